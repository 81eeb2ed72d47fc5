"""Fourth stage: the unbiased transition path ensemble in the run folder, its rows, its shots, its transition states and its averages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.files import write_csv, write_json
from spacetime_tps.pipeline.averages import averages, read_center, write_density
from spacetime_tps.pipeline.openmm_shooting import STAGE
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.shooting import sample
from spacetime_tps.pipeline.stages import Stages, fingerprint
from spacetime_tps.pipeline.transition_states import Trials, read_trials, verify, write_states
from spacetime_tps.pipeline.transitions import Transition, read_transitions, write_transitions
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.states.ends import IN_A, IN_B
from spacetime_tps.trajectories.trr import read_trr

OUTCOME = {IN_A: "A", IN_B: "B"}
AFTERWARDS = {"paths", "budget", "states", "state_shots"}
"""Settings that change no shot that is there"""
SHOT_COLUMNS = ("shot", "purpose", "crossing", "window_variable", "window_center", "window_stiffness", "walk", "frame", "seed", "first",
                "forward", "backward", "evaluations", "path", "weight")  # fmt: skip


def shoot_stage(
    folder: Path, prepared: Prepared, settings: Settings, workers: Workers, progress: Progress, stages: Stages, upstream: str
) -> None:
    """Shoot what is missing, and write transitions.csv, shots.csv, committor.csv, transition_states.trr and samples/unbiased.json.

    Shots that were made under other settings, or from other windows, are removed first.
    """
    made_from = fingerprint(upstream, settings.guided.stride, settings.unbiased.model_dump(exclude=AFTERWARDS))
    if not stages.begun(STAGE, made_from):
        if (folder / "samples/shots").exists():
            progress.say("the settings behind the unbiased paths have changed: those that are there are replaced")
        _remove(folder)
    if not settings.unbiased.paths:
        return
    with stages.making(STAGE, made_from):
        ensemble = sample(folder, prepared, settings, workers, progress, again=int(read_trials(folder).evaluations.sum()))
        scale = len(ensemble.weight) / ensemble.weight.sum()
        weight = iter((scale * ensemble.weight).tolist())
        rows, shots = [], []
        for number, site in enumerate(ensemble.sites):
            for count, batch in enumerate(site.batches):
                mine = _rows(batch, weight)
                rows += list(mine.values())
                shots += _shots(batch, f"{number}_{count:04d}", mine)
        write_transitions(folder, [*(r for r in read_transitions(folder) if r.stage != STAGE), *rows])
        trials = verify(folder, ensemble, prepared, settings, workers)
        write_csv(folder / "shots.csv", SHOT_COLUMNS, [*shots, *_more_shots(trials)])
        states = write_states(folder, ensemble, prepared, trials)
        files = [file for batch in ensemble.batches for file in batch.path_file.tolist()]
        paths = [prepared.coordinates.values(read_trr(folder / file)[0]) for file in files]
        write_density(folder, paths, ensemble.weight, prepared.coordinates)
        found = averages(folder, ensemble, paths, prepared, settings, committor_evaluations=int(trials.evaluations.sum()))
        write_json(folder / "samples/unbiased.json", {**found, "transition_states": states})


def _remove(folder: Path) -> None:
    for path in (folder / "samples/region", folder / "samples/shots"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("samples/unbiased.json", "samples/path_density.npz", "shots.csv", "committor.csv", "transition_states.trr"):
        (folder / name).unlink(missing_ok=True)
    write_transitions(folder, [r for r in read_transitions(folder) if r.stage != STAGE])
    for file in (folder / "transitions").glob(f"{STAGE}_*"):
        file.unlink()


def _rows(batch: Batch, weight: Iterator[float]) -> dict[int, Transition]:
    """The batch's paths as rows of transitions.csv, by their shot."""
    return {
        int(shot): Transition(
            str(batch.path_name[k]), STAGE, "ok", 1, float(batch.path_max_energy[k]), int(batch.path_frames[k]),
            int(batch.shot_evaluations[shot]), int(batch.shot_seed[shot]), next(weight), str(batch.path_way[k]), str(batch.path_file[k]),
        )
        for k, shot in enumerate(batch.path_shot)
    }  # fmt: skip


def _shots(batch: Batch, name: str, rows: dict[int, Transition]) -> list[tuple[Any, ...]]:
    """The batch's shots as rows of shots.csv; weight 0 where a shot is not reactive."""
    window = batch.window
    purpose = "pilot" if batch.pilot else "ensemble"
    place = (window.variable.name, round(read_center(window), 3), window.stiffness)
    found = []
    for k in range(len(batch.shot_point)):
        path = rows.get(k)
        ends = (OUTCOME.get(int(e), "none") for e in (batch.shot_forward[k], batch.shot_backward[k]))
        point = int(batch.shot_point[k])
        frame = int(batch.point_frame[point])
        found.append((
            f"{name}_{k:04d}", purpose, batch.crossing, *place, f"{name}_{batch.point_walk[point]}", frame, int(batch.shot_seed[k]),
            int(batch.shot_first[k]), *ends, int(batch.shot_evaluations[k]), path.path if path else "", path.weight if path else 0.0,
        ))  # fmt: skip
    return found


def _more_shots(trials: Trials) -> list[tuple[Any, ...]]:
    """Shots for committors alone, as rows of shots.csv."""
    columns = (trials.walk, trials.frame, trials.seed, trials.first, trials.forward, trials.backward, trials.evaluations)
    rows = []
    for k, (walk, frame, seed, first, forward, backward, evaluations) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        ends = (OUTCOME.get(forward, "none"), OUTCOME.get(backward, "none"))
        rows.append(
            (f"committor_{k:04d}", "committor", walk.split("_")[0], "", "", "", walk, frame, seed, first, *ends, evaluations, "", 0.0)
        )
    return rows
