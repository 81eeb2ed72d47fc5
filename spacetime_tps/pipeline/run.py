"""The whole run: each stage if it is missing or out of date, in a folder whose files are the only state between them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from threadpoolctl import threadpool_limits

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.engines.openmm.workers import Workers, available_cores
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_text
from spacetime_tps.pipeline import prepared as preparation
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.artifacts import Curve, read_curves, write_sampled
from spacetime_tps.pipeline.avoidance import bind
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress, Silent
from spacetime_tps.pipeline.rounds import Rounds
from spacetime_tps.pipeline.settings import Settings, parse_settings, validated
from spacetime_tps.pipeline.stages import Stages, fingerprint
from spacetime_tps.pipeline.summary import summarise
from spacetime_tps.pipeline.system import SystemSpec
from spacetime_tps.pipeline.transitions import PathSampler, read_transitions, write_transitions
from spacetime_tps.pipeline.unbiased import shoot_stage
from spacetime_tps.report.page import write_report

A_TRANSITION = 2500
"""Evaluations for one effective unbiased transition, as a guess before anything is known: those of a small molecule"""
OURS = ("guided", "steered")
"""Stages that walk along curves"""


def run(spec: SystemSpec, out: Path, settings: Settings | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Run every stage that is missing or out of date; returns summary.json's content.

    Raises SpacetimeError for input that cannot be used, before anything is written, and for a folder that holds another system's run.
    """
    settings, progress = settings or Settings(), progress or Silent()
    if settings.guided.paths == 0 and settings.unbiased.paths == 0:
        raise SpacetimeError("guided.paths and unbiased.paths are 0: ask for at least one path")
    _check_folder(out, spec)
    stages = Stages(out)
    made_from = fingerprint(spec.fingerprint(), settings.dynamics.model_dump())
    if not (stages.current("preparation", made_from) and (out / "preparation.json").exists()):
        begin = time.perf_counter()
        checked = preparation.prepare(spec, settings)
        bind(settings.avoid, checked)  # what cannot be avoided is said before anything is written
        _write_config(out, spec, settings)
        with stages.making("preparation", made_from, seconds=time.perf_counter() - begin):
            preparation.save(checked, out)
    prepared = preparation.load(out)
    bind(settings.avoid, prepared)
    _write_config(out, spec, settings)
    for stale in ("summary.json", "report.html"):  # a run that is interrupted must not show an older one's results
        (out / stale).unlink(missing_ok=True)
    progress.say(estimate(prepared, settings))
    with _one_thread(), Workers(prepared.model, settings.workers or None) as workers:
        made_from = _sample(out, prepared, settings, workers, progress, stages, made_from)
        _paths(out, prepared, settings, workers, progress, stages, made_from)
        shoot_stage(out, prepared, settings, workers, progress, stages, made_from)
    summary = summarise(out, spec.name, prepared, stages, avoid=settings.avoid)
    write_report(out)
    return summary


def shoot(folder: Path, assignments: Sequence[str], progress: Progress | None = None) -> dict[str, Any]:
    """The unbiased stage of a finished run, under its settings with some changed, as 'unbiased.paths=1000'; summary.json's content.

    Raises SpacetimeError where the run is not finished, or a setting is none of the unbiased stage's.
    """
    progress = progress or Silent()
    config = folder / "config.yaml"
    if not config.exists() or not list(folder.glob("samples/weighted_*.trr")):
        raise SpacetimeError(f"{folder} holds no finished run to shoot from: call run first")
    content = yaml.safe_load(config.read_text())
    other = [a for a in assignments if not a.strip().startswith("unbiased.")]
    if other:
        raise SpacetimeError(f"{other[0].partition('=')[0]} is not a setting of unbiased; change it with run")
    settings = parse_settings(assignments, base=validated(content["settings"]))
    prepared = preparation.load(folder)
    stages = Stages(folder)
    write_text(config, yaml.safe_dump({**content, "settings": settings.model_dump(mode="json")}, sort_keys=False))
    with _one_thread(), Workers(prepared.model, settings.workers or None) as workers:
        shoot_stage(folder, prepared, settings, workers, progress, stages, stages.made_from("sampling"))
    summary = summarise(folder, content["system"]["name"], prepared, stages, avoid=settings.avoid)
    write_report(folder)
    return summary


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch and BLAS on one thread: sums in one order, so that the same seed gives the same curve whatever the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def estimate(prepared: Prepared, settings: Settings) -> str:
    """What a run from scratch is going to cost, as a sentence."""
    t, w, r, g = settings.training, settings.windows, settings.rounds, settings.guided
    stretch = settings.path_frames * g.stride
    training = t.walks * (2 * t.equilibration_steps + (t.segments_a + t.segments_b) * stretch)
    ways = len(prepared.coordinates.ways(*prepared.ends, max(r.max_routes // 2, 1)))
    windows = (ways + (r.min_rounds + r.max_rounds) // 2) * 2 * w.count * w.steps
    guided = (g.paths * r.routes + g.steered) * settings.path_steps
    shots = min(settings.unbiased.paths * A_TRANSITION, settings.unbiased.budget)
    total = training + windows + guided + shots
    rate = prepared.steps_per_second * 0.8 * (settings.workers or available_cores())
    minutes = f", about {total / rate / 60 + 0.7:.0f} min" if rate else ""
    parts = {"the two ends": training, "windows": windows, "guided paths": guided, "unbiased ones": shots}
    listed = ", ".join(f"{count / 1e6:.1f} M in {name}" for name, count in parts.items() if count)
    return f"{prepared.model.platform} platform; about {total / 1e6:.1f} million force evaluations{minutes}: {listed}"


def _check_folder(out: Path, spec: SystemSpec) -> None:
    if out.exists() and not out.is_dir():
        raise SpacetimeError(f"{out} is a file; --out wants a folder")
    config = out / "config.yaml"
    if config.exists():
        holds = yaml.safe_load(config.read_text())
        if not isinstance(holds, dict) or not {"system", "inputs", "settings"} <= set(holds):
            raise SpacetimeError(f"{out} holds a config.yaml that is not of a run; choose another --out")
        if holds["system"]["name"] != spec.name:
            raise SpacetimeError(f"{out} holds a run of {holds['system']['name']!r}, not of {spec.name!r}; choose another --out")
        if holds["inputs"] != spec.inputs():
            raise SpacetimeError(f"{out} holds a run of other structures; choose another --out")
    elif out.exists() and any(out.iterdir()):
        raise SpacetimeError(f"{out} is not empty and holds no run; choose another --out")


def _write_config(out: Path, spec: SystemSpec, settings: Settings) -> None:
    content = {"system": spec.model_dump(mode="json"), "inputs": spec.inputs(), "settings": settings.model_dump(mode="json")}
    write_text(out / "config.yaml", yaml.safe_dump(content, sort_keys=False))


def _sample(out: Path, prepared: Prepared, settings: Settings, workers: Workers, progress: Progress, stages: Stages, upstream: str) -> str:
    parts = settings.model_dump(include={"seed", "training", "windows", "geodesic", "rounds", "denoiser", "avoid", "avoidance"})
    made_from = fingerprint(upstream, parts, settings.path_frames, settings.guided.stride)
    if not stages.current("sampling", made_from):
        with stages.making("sampling", made_from):
            sampled = Rounds(prepared, settings, workers, out, progress).run()
            write_sampled(out, sampled, prepared, routes=settings.rounds.routes)
    return made_from


def _paths(out: Path, prepared: Prepared, settings: Settings, workers: Workers, progress: Progress, stages: Stages, upstream: str) -> None:
    """Guided paths, and steered ones where they are asked for. Only missing ones are sampled; more than are asked for stay."""
    made_from = fingerprint(upstream, settings.guided.model_dump(exclude={"paths", "steered"}))
    if not stages.begun("paths", made_from):
        if any(r.stage in OURS for r in read_transitions(out)):
            progress.say("the settings behind the paths have changed: those that are there are replaced")
        write_transitions(out, [r for r in read_transitions(out) if r.stage not in OURS])
    curves = read_curves(out, routes=settings.rounds.routes)
    wanted = [("guided", curve, settings.guided.paths) for curve in curves]
    wanted.append(("steered", steered_curve(curves[0], prepared), settings.guided.steered))
    sampler = PathSampler(prepared, settings, workers, out, progress)
    before = read_transitions(out)
    with stages.making("paths", made_from):
        rows = [r for r in before if r.stage not in OURS]
        for stage, curve, asked in wanted:
            mine = [r for r in before if (r.stage, r.route) == (stage, curve.route)]
            count = max(asked, len(mine))
            later = [r for r in before if r not in mine and r.path not in {x.path for x in rows}]
            rows += sampler.sample(stage, curve, count, [*rows, *later], mine)
        write_transitions(out, rows)
    kept = {Path(r.file).stem for r in rows if r.file}
    for file in (f for stage in OURS for f in (out / "transitions").glob(f"{stage}_*")):
        if file.stem not in kept:
            file.unlink()


def steered_curve(curve: Curve, prepared: Prepared) -> Curve:
    """The straight line the short way round, with the restraint strengths and the start frames of a curve."""
    here, there = prepared.ends
    family = prepared.coordinates.family()
    precision = family.precisions(torch.from_numpy(curve.eta)).numpy()
    return replace(curve, route="straight", eta=routing.line(family, here, difference(here, there, family.angular), precision))
