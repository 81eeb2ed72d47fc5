"""A run in a folder: preparation, all stages, summary and report; each done only where it is missing or out of date."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.engines.openmm.workers import available_cores
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import collected, reader
from spacetime_tps.exploration.sampled import PREPARATION
from spacetime_tps.paths.transition import SUMMARY
from spacetime_tps.pipeline.summary import summarise
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.config import CONFIG, change_settings, read_config, write_config
from spacetime_tps.problems.problem import Problem
from spacetime_tps.problems.system import SystemSpec, load_system
from spacetime_tps.progress import Progress
from spacetime_tps.report.page import PAGE, write_report
from spacetime_tps.settings import Settings, of_preparation, parse_settings, settings_of
from spacetime_tps.stages import exploration
from spacetime_tps.stages.driver import check, keys_of, run_stages
from spacetime_tps.stages.protocol import Stage
from spacetime_tps.stages.records import Records, fingerprint
from spacetime_tps.stages.registry import STAGES, after
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import LOCK, in_use
from spacetime_tps.terminal import ConsoleProgress


def run(
    system: SystemSpec | str | Path, out: str | Path, settings: Settings | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Run every stage that is missing or out of date; returns summary.json's content.

    system: what `load_system` or `two_structures` gives, the name of a bundled system, or a folder with a system.yaml. out: the run folder;
    `spacetime_tps.open(out)` reads it. Progress is shown on the terminal or in the notebook; `progress.Silent()` says nothing.
    Raises SpacetimeError for input that cannot be used, before anything is written, for a folder that holds another system's run, and for
    one that another call works on.
    """
    spec, out = system if isinstance(system, SystemSpec) else load_system(system), Path(out)
    settings, progress = settings or Settings(), progress or ConsoleProgress()
    if all(stage.asked(settings) is None for stage in after(exploration.NAME)):
        raise SpacetimeError("no stage is asked for paths, as by guided.paths or unbiased.paths: ask for at least one path")
    check_folder(out, spec)
    with in_use(out):
        problem, settings = _prepared(spec, out, settings, progress)
        progress.say(estimate(problem, settings))
        return finish(out, spec.name, problem, settings, progress)


def explore(
    system: SystemSpec | str | Path, out: str | Path, settings: Settings | None = None, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """What a run does before it makes any path, so that several jobs can make them (pipeline.shards). The routes, best first, as
    summary.json has them. Raises as `run`."""
    spec, out = system if isinstance(system, SystemSpec) else load_system(system), Path(out)
    settings, progress = settings or Settings(), progress or ConsoleProgress()
    check_folder(out, spec)
    with in_use(out):
        problem, settings = _prepared(spec, out, settings, progress)
        with _simulation(out, problem, settings, progress) as simulation:
            later = after(exploration.NAME)
            before = [stage for stage in STAGES if stage not in later]
            values = run_stages(problem, simulation, settings, stages=before, changing=lambda: _remove_results(out))
        keys, records = keys_of(problem, settings), Records(Folder(out))
        if any(records.outdated(stage.name, keys[stage.name]) for stage in later):
            _remove_results(out)  # they are of paths that the settings of this call ask to be replaced
    return list(values[exploration.NAME].record["routes"])


def _prepared(spec: SystemSpec, out: Path, settings: Settings, progress: Progress) -> tuple[Problem, Settings]:
    """The problem, as the folder holds it, and the settings, the structures of their regions read; both are written."""
    folder = Folder(out)
    records = Records(folder)
    avoid, structures = collected(settings.avoid, folder)
    settings = settings.model_copy(update={"avoid": avoid})
    read = reader(structures, folder)

    def write() -> None:
        """The structures that were read, since their files may change, and what the settings say of them."""
        for name, content in structures.items():
            folder.put_bytes(name, content)
        write_config(out, spec, settings)

    made_from = fingerprint(spec.fingerprint(), *of_preparation(settings).values())
    if not (records.current(PREPARATION, made_from, "") and (out / preparation.NOTES).exists()):
        begin = time.perf_counter()
        checked = preparation.prepare(spec, settings.dynamics, progress)
        check(checked, settings, read)  # what cannot be had is said before anything is written
        write()
        _remove_results(out)
        with records.making(PREPARATION, made_from, seconds=time.perf_counter() - begin):
            preparation.save(checked, out)
    problem = preparation.load(out)
    check(problem, settings, read)
    write()
    return problem, settings


def shoot(folder: str | Path, assignments: Sequence[str], progress: Progress | None = None) -> dict[str, Any]:
    """The unbiased stage of a finished run, under its settings with some changed, as 'unbiased.paths=1000'; summary.json's content.

    Raises SpacetimeError where the run is not finished, or a setting is none of the unbiased stage's.
    """
    folder = Path(folder)
    other = [a for a in assignments if not a.strip().startswith("unbiased.")]
    if other:
        raise SpacetimeError(f"{other[0].partition('=')[0]} is not a setting of unbiased; change it with run")
    return extend(folder, assignments, progress)


def extend(folder: Path, assignments: Sequence[str], progress: Progress | None = None) -> dict[str, Any]:
    """All stages of a run whose exploration is finished, under its settings with some changed; summary.json's content.

    Raises SpacetimeError where the run is not finished, or a setting is none.
    """
    content = read_config(folder)
    settings = parse_settings(assignments, base=settings_of(folder))
    with in_use(folder):
        Records(Folder(folder)).check_finished(exploration.NAME)
        problem = preparation.load(folder)
        check(problem, settings, Folder(folder).content)
        change_settings(folder, settings)
        return finish(folder, content["system"]["name"], problem, settings, progress or ConsoleProgress())


def _remove_results(folder: Path) -> None:
    """A run that is interrupted must not show an older one's; one that changes nothing, or that cannot be read, keeps them."""
    for stale in (SUMMARY, PAGE):
        (folder / stale).unlink(missing_ok=True)


def finish(
    out: Path, name: str, problem: Problem, settings: Settings, progress: Progress, *,
    stages: Sequence[Stage] = STAGES, elsewhere: Mapping[str, float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run stages that are missing, write summary and report; summary.json's content. elsewhere: seconds that stages took in other
    folders."""
    with _simulation(out, problem, settings, progress) as simulation:
        values = run_stages(problem, simulation, settings, stages=stages, changing=lambda: _remove_results(out))
        summary = summarise(name, problem, simulation.storage, settings, values)
    for stage, seconds in (elsewhere or {}).items():
        Records(Folder(out)).add_seconds(stage, seconds)
    summary["wall_seconds"] = Records(Folder(out)).wall_seconds()
    Folder(out).put_record(SUMMARY, summary)
    write_report(out)
    return summary


def _simulation(out: Path, problem: Problem, settings: Settings, progress: Progress) -> Simulation:
    return Simulation(problem.model, processes=settings.workers or None, storage=Folder(out), progress=progress)


def estimate(problem: Problem, settings: Settings) -> str:
    """What a run from scratch is going to cost, as a sentence."""
    parts = [stage.cost(problem, settings) for stage in STAGES]
    total = sum(count for _, count in parts)
    rate = problem.steps_per_second * 0.8 * (settings.workers or available_cores())
    minutes = f", about {total / rate / 60 + 0.7:.0f} min" if rate else ""
    listed = ", ".join(f"{count / 1e6:.1f} M in {name}" for name, count in parts if count)
    return f"{problem.model.platform} platform; about {total / 1e6:.1f} million force evaluations{minutes}: {listed}"


def check_folder(out: Path, spec: SystemSpec) -> None:
    """Raise SpacetimeError where a folder is in other use than for runs of this system."""
    if out.exists() and not out.is_dir():
        raise SpacetimeError(f"{out} is a file; --out wants a folder")
    if (out / CONFIG).exists():
        holds = read_config(out)
        if holds["system"]["name"] != spec.name:
            raise SpacetimeError(f"{out} holds a run of {holds['system']['name']!r}, not of {spec.name!r}; choose another --out")
        if holds["inputs"] != spec.inputs():
            raise SpacetimeError(f"{out} holds a run of other structures; choose another --out")
    elif out.exists() and any(file.name != LOCK for file in out.iterdir()):
        raise SpacetimeError(f"{out} is not empty and holds no run; choose another --out")
