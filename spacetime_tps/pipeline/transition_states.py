"""Transition states: shooting points whose committor looked like one half, shot from again, and kept where fresh trials say so too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.shooting import Shot
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.files import write_csv, write_npz
from spacetime_tps.pipeline.averages import Points, shooting_points
from spacetime_tps.pipeline.openmm_shooting import first_frame
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.budget import affordable
from spacetime_tps.shooting.committor import Committors
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.states.ends import IN_B
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr, write_trr

FILE = "samples/shots/committors.npz"
FIELDS = ("walk", "frame", "seed", "first", "forward", "backward", "evaluations")


@dataclass(frozen=True)
class Trials:
    """Shots that tell committors alone: their points were chosen by earlier outcomes, so that their paths are of no known density."""

    walk: np.ndarray
    frame: np.ndarray
    seed: np.ndarray
    first: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    evaluations: np.ndarray

    def at(self, walk: str, frame: int) -> tuple[int, int]:
        """How many trajectories from a point reached B, and how many ended in a state."""
        mine = self._mine(walk, frame)
        ends = np.concatenate([self.forward[mine], self.backward[mine]])
        return int((ends == IN_B).sum()), int((ends >= 0).sum())

    def count(self, walk: str, frame: int) -> int:
        """Shots from a point."""
        return int(self._mine(walk, frame).sum())

    def _mine(self, walk: str, frame: int) -> np.ndarray:
        return np.asarray((self.walk == walk) & (self.frame == frame))


def verify(folder: Path, ensemble: Ensemble, prepared: Prepared, settings: Settings, workers: Workers) -> Trials:
    """Shoot again from the points nearest to one half, as often as is missing and the budget allows."""
    points, known = shooting_points(ensemble, prepared.coordinates), read_trials(folder)
    chosen = [points.frame[k] for k in points.committors.near_half()[: settings.unbiased.states].tolist()]
    stride, spacing = settings.guided.stride, settings.unbiased.spacing
    rows: list[tuple[str, int, int, int]] = []
    tasks = []
    for walk, frame in chosen:
        window = points.window[points.frame.index((walk, frame))]
        bias, place = WindowBias(prepared.coordinates, window.variable), np.array([window.center, window.stiffness])
        x, v, _ = read_trr(folder / f"samples/region/{walk}.trr")
        for shot in range(known.count(walk, frame), settings.unbiased.state_shots):
            seed = seed_of(settings.seed, f"committor_{walk}_{frame}", shot)
            first = first_frame(seed, stride=stride, spacing=spacing)
            rows.append((walk, frame, seed, first))
            where = (x[frame].astype(float), v[frame].astype(float), bias, place)
            tasks.append(
                Shot(*where, seed, first, stride, spacing, settings.unbiased.longest, prepared.a, prepared.b, prepared.coordinates)
            )
    so_far = np.concatenate([b.shot_evaluations[b.shot_evaluations > 0] for b in ensemble.batches])
    count = affordable(settings.unbiased.budget - ensemble.evaluations, so_far, len(tasks))
    rows, outcomes = rows[:count], list(workers.shots(tasks[:count]))
    fresh = [(*row, *o.ends, o.evaluations) for row, o in zip(rows, outcomes, strict=True)]
    columns = [np.array(c) for c in zip(*fresh, strict=True)] if fresh else [np.zeros(0, dtype=getattr(known, f).dtype) for f in FIELDS]
    every = {name: np.concatenate([getattr(known, name), column]) for name, column in zip(FIELDS, columns, strict=True)}
    write_npz(folder / FILE, every)
    return Trials(**every)


def read_trials(folder: Path) -> Trials:
    """All that were made so far."""
    if not (folder / FILE).exists():
        return Trials(np.zeros(0, dtype="<U1"), *(np.zeros(0, dtype=int) for _ in FIELDS[1:]))
    with np.load(folder / FILE) as data:
        return Trials(**{name: data[name] for name in FIELDS})


def write_states(folder: Path, ensemble: Ensemble, prepared: Prepared, trials: Trials) -> int:
    """committor.csv, a row a shooting point, and transition_states.trr, nearest to one half first; how many those are.

    A transition state's own committor is that of the fresh trials alone: the first ones chose it.
    """
    points = shooting_points(ensemble, prepared.coordinates)
    again = Committors(*(np.array(c, dtype=int) for c in zip(*(trials.at(*f) for f in points.frame), strict=True)))
    chosen = again.near_half().tolist()
    _write_table(folder, points, prepared.coordinates, again, chosen)
    (folder / "transition_states.trr").unlink(missing_ok=True)
    if chosen:
        found = [(read_trr(folder / f"samples/region/{walk}.trr"), frame) for walk, frame in (points.frame[k] for k in chosen)]
        positions, velocities = (np.array([data[i][frame] for data, frame in found]) for i in (0, 1))
        order = np.arange(len(chosen))
        states = Frames(positions, velocities, order * prepared.model.timestep, np.zeros(len(order)), order, 0, True)
        write_trr(folder / "transition_states.trr", states, timestep=prepared.model.timestep, cell=prepared.model.cell)
    return len(chosen)


def column_of(name: str, unit: str) -> str:
    """The column of committor.csv that holds a coordinate: NAME_degrees, or NAME_angstrom."""
    return f"{name}_{'degrees' if unit == 'degrees' else 'angstrom'}"


def _write_table(folder: Path, points: Points, coordinates: Coordinates, again: Committors, chosen: list[int]) -> None:
    rank = {k: n for n, k in enumerate(chosen)}
    named = (column_of(name, unit) for name, unit in zip(coordinates.names, coordinates.unit, strict=True))
    columns = ("walk", "frame", "crossing", *named, "variable", "reached_b", "trials", "committor", "low_95", "high_95",
               "again_reached_b", "again_trials", "again_committor", "again_low_95", "again_high_95", "transition_state")  # fmt: skip
    rows = []
    for k in range(len(points.crossing)):
        numbers: list[float | int | str] = []
        for c in (points.committors, again):
            low, high = c.interval()
            known = c.trials[k] > 0
            numbers += [int(c.reached_b[k]), int(c.trials[k]), *(round(float(x[k]), 4) if known else "" for x in (c.value, low, high))]
        rows.append(
            (
                *points.frame[k],
                int(points.crossing[k]),
                *points.values[k].round(4).tolist(),
                round(float(points.variable[k]), 4),
                *numbers,
                rank.get(k, ""),
            )
        )
    write_csv(folder / "committor.csv", columns, rows)
