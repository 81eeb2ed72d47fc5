"""Fourth stage: the unbiased transition path ensemble in the run folder, its rows, its shots, its transition states and its averages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.files import write_csv, write_json
from spacetime_tps.molecules.dynamics import Frames
from spacetime_tps.molecules.shooting import IN_A, IN_B
from spacetime_tps.molecules.trajectory import read_trr, write_trr
from spacetime_tps.molecules.workers import Workers
from spacetime_tps.pipeline.artifacts import read_curves
from spacetime_tps.pipeline.averages import averages, shooting_points, write_density
from spacetime_tps.pipeline.batches import Batch
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.shooting import Ensemble, ShotSampler
from spacetime_tps.pipeline.stages import Stages, fingerprint
from spacetime_tps.pipeline.transitions import Transition, read_transitions, write_transitions
from spacetime_tps.pipeline.volley import STAGE

OUTCOME = {IN_A: "A", IN_B: "B"}
SHOT_COLUMNS = ("shot", "crossing", "window_torsion", "window_degrees", "window_kappa", "walk", "point", "seed", "first",
                "forward", "backward", "evaluations", "path", "weight")  # fmt: skip
STATES_KEPT = 50


def shoot_stage(
    folder: Path, prepared: Prepared, settings: Settings, workers: Workers, progress: Progress, stages: Stages, upstream: str
) -> None:
    """Shoot what is missing, and write transitions.csv, shots.csv, committor.csv, transition_states.trr and samples/unbiased.json.

    Shots that were made under other settings, or from other windows, are removed first.
    """
    made_from = fingerprint(upstream, settings.guided.stride, settings.unbiased.model_dump(exclude={"paths", "budget"}))
    if not stages.begun(STAGE, made_from):
        _remove(folder)
    if not settings.unbiased.paths:
        return
    with stages.making(STAGE, made_from):
        ensemble = ShotSampler(prepared, settings, workers, folder, progress).sample(read_curves(folder))
        scale = len(ensemble.weight) / ensemble.weight.sum()
        weight = iter((scale * ensemble.weight).tolist())
        rows, shots = [], []
        for number, site in enumerate(ensemble.sites):
            for count, batch in enumerate(site.batches):
                mine = _rows(batch, weight)
                rows += list(mine.values())
                shots += _shots(batch, f"{number}_{count:04d}", mine, prepared)
        write_transitions(folder, [*(r for r in read_transitions(folder) if r.stage != STAGE), *rows])
        write_csv(folder / "shots.csv", SHOT_COLUMNS, shots)
        _write_states(folder, ensemble, prepared)
        write_density(folder, ensemble, prepared)
        write_json(folder / "samples/unbiased.json", averages(folder, ensemble, prepared, settings))


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


def _shots(batch: Batch, name: str, rows: dict[int, Transition], prepared: Prepared) -> list[tuple[Any, ...]]:
    """The batch's shots as rows of shots.csv; weight 0 where a shot is not reactive."""
    window = batch.window
    place = (prepared.torsions.names[window.torsion], round(float(np.degrees(window.center)), 3), window.stiffness)
    found = []
    for k in range(len(batch.shot_point)):
        path = rows.get(k)
        ends = (OUTCOME.get(int(e), "none") for e in (batch.shot_forward[k], batch.shot_backward[k]))
        point = int(batch.shot_point[k])
        found.append((
            f"{name}_{k:04d}", batch.crossing, *place, f"{name}_{batch.point_walk[point]}", point, int(batch.shot_seed[k]),
            int(batch.shot_first[k]), *ends, int(batch.shot_evaluations[k]), path.path if path else "", path.weight if path else 0.0,
        ))  # fmt: skip
    return found


def _write_states(folder: Path, ensemble: Ensemble, prepared: Prepared) -> None:
    """committor.csv, a row a shooting point, and transition_states.trr: points whose committor is near one half, nearest first."""
    points = shooting_points(ensemble)
    low, high = points.committors.interval()
    chosen = points.committors.near_half()[:STATES_KEPT].tolist()
    rank = {k: n for n, k in enumerate(chosen)}
    columns = ("walk", "frame", "crossing", *(f"{name}_degrees" for name in prepared.torsions.names), "reached_b", "trials", "committor",
               "low_95", "high_95", "transition_state")  # fmt: skip
    value, reached, trials = points.committors.value, points.committors.reached_b, points.committors.trials
    rows = [
        (*points.frame[k], int(points.crossing[k]), *points.angles[k].round(2).tolist(), int(reached[k]), int(trials[k]),
         *(round(float(x[k]), 4) for x in (value, low, high)), rank.get(k, ""))
        for k in range(len(trials))
    ]  # fmt: skip
    write_csv(folder / "committor.csv", columns, rows)
    (folder / "transition_states.trr").unlink(missing_ok=True)
    if not chosen:
        return
    positions, velocities = [], []
    for walk, frame in (points.frame[k] for k in chosen):
        x, v, _ = read_trr(folder / f"samples/region/{walk}.trr")
        positions.append(x[frame])
        velocities.append(v[frame])
    order = np.arange(len(chosen))
    states = Frames(np.array(positions), np.array(velocities), order * prepared.model.timestep, np.zeros(len(order)), order, 0, True)
    write_trr(folder / "transition_states.trr", states, timestep=prepared.model.timestep)
