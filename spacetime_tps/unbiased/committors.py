"""Committors at shooting points, and transition states: points that looked like one half, and still do where shot from again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spacetime_tps.coordinates.naming import read
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.shooting import Shot
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.engines.openmm.walk_cache import trajectory_file
from spacetime_tps.problems.problem import Problem
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.batches import outcomes_of
from spacetime_tps.shooting.budget import affordable
from spacetime_tps.shooting.committor import Committors
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.states import ends
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames, snapshots
from spacetime_tps.unbiased.engine import REGION, SHOTS, shot_from
from spacetime_tps.unbiased.names import batch_name, walk_name
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.windows.window import Window

TRIALS = f"{SHOTS}/committors.npz"
FIELDS = ("walk", "frame", "seed", "first", "forward", "backward", "evaluations")
STATE_FRAME = "transition_state_frame"
"""The column of committor.csv that holds the frame of a point in transition_states.trr, -1 where it is none"""
TRIAL_COLUMNS = ("reached_b", "trials", "committor", "low_95", "high_95")


@dataclass(frozen=True)
class Points:
    """All P points that were shot from."""

    crossing: np.ndarray
    """(P,)"""
    frame: list[tuple[str, int]]
    """Name of the walk in samples/region/, and the frame there"""
    window: list[Window]
    """That the walk was held in"""
    values: np.ndarray
    """(P, D) of the coordinates, as people read them"""
    variable: np.ndarray
    """(P,) value of the variable that the walk was held on, as people read it"""
    committors: Committors


@dataclass(frozen=True)
class CommittorTrials:
    """Shots that tell committors alone: their points were chosen by earlier outcomes, so that their paths are of no known density."""

    walk: np.ndarray
    frame: np.ndarray
    seed: np.ndarray
    first: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    evaluations: np.ndarray

    @staticmethod
    def read(storage: Storage) -> "CommittorTrials":
        """All that were made so far."""
        if not storage.has(TRIALS):
            return CommittorTrials(np.zeros(0, dtype="<U1"), *(np.zeros(0, dtype=int) for _ in FIELDS[1:]))
        arrays = storage.arrays(TRIALS)
        return CommittorTrials(**{name: arrays[name] for name in FIELDS})

    def at(self, walk: str, frame: int) -> tuple[int, int]:
        """How many trajectories from a point reached B, and how many ended in a state."""
        mine = self._mine(walk, frame)
        reached, ended = ends.trials(np.concatenate([self.forward[mine], self.backward[mine]]))
        return int(reached), int(ended)

    def count(self, walk: str, frame: int) -> int:
        """Shots from a point."""
        return int(self._mine(walk, frame).sum())

    def _mine(self, walk: str, frame: int) -> np.ndarray:
        return np.asarray((self.walk == walk) & (self.frame == frame))


def shooting_points(ensemble: Ensemble, coordinates: Coordinates) -> Points:
    """Every shooting point outside the states, with its committor: two trials a shot."""
    crossing, frame, window, features, reached, trials = [], [], [], [], [], []
    for number, site in enumerate(ensemble.sites):
        for count, batch in enumerate(site.batches):
            outcomes = outcomes_of(batch)
            for point in np.unique(batch.shot_point[batch.shot_evaluations > 0]).tolist():
                crossing.append(number)
                frame.append((walk_name(batch_name(number, count), batch.point_walk[point]), int(batch.point_frame[point])))
                window.append(batch.window)
                features.append(batch.point_features[point])
                reached.append(int(outcomes.reached_b[point]))
                trials.append(int(outcomes.ended[point]))
    values = coordinates.family().values(torch.from_numpy(np.array(features).reshape(-1, coordinates.dimension))).numpy()
    at = [w.read(float(w.variable.value(t))) for w, t in zip(window, features, strict=True)]
    return Points(
        np.array(crossing), frame, window, read(coordinates, values), np.array(at), Committors(np.array(reached), np.array(trials))
    )


def shoot_again(
    ensemble: Ensemble, points: Points, problem: Problem, simulation: Simulation, settings: UnbiasedSettings, *, seed: int
) -> CommittorTrials:
    """Trials at the points nearest to one half, as many as are missing and the budget allows, kept beside those that there are."""
    known = CommittorTrials.read(simulation.storage)
    rows: list[tuple[str, int, int, int]] = []
    tasks: list[Shot] = []
    for k in points.committors.near_half()[: settings.states].tolist():
        (walk, frame), window = points.frame[k], points.window[k]
        x, v = simulation.storage.frames(trajectory_file(REGION, walk))
        for shot in range(known.count(walk, frame), settings.state_shots):
            number = seed_of(seed, f"committor_{walk}_{frame}", shot)
            tasks.append(shot_from(problem, settings, window, x[frame].astype(float), v[frame].astype(float), number))
            rows.append((walk, frame, number, tasks[-1].first))
    so_far = np.concatenate([b.shot_evaluations[b.shot_evaluations > 0] for b in ensemble.batches])
    count = affordable(settings.budget - ensemble.evaluations, so_far, len(tasks))
    rows, outcomes = rows[:count], list(simulation.shots(tasks[:count]))
    fresh = [(*row, *o.ends, o.evaluations) for row, o in zip(rows, outcomes, strict=True)]
    columns = [np.array(c) for c in zip(*fresh, strict=True)] if fresh else [np.zeros(0, dtype=getattr(known, f).dtype) for f in FIELDS]
    every = {name: np.concatenate([getattr(known, name), column]) for name, column in zip(FIELDS, columns, strict=True)}
    simulation.storage.put_arrays(TRIALS, every)
    return CommittorTrials(**every)


def tried_again(points: Points, trials: CommittorTrials) -> Committors:
    """Of all points, from the fresh trials alone: the first ones chose the point."""
    return Committors(*(np.array(c, dtype=int) for c in zip(*(trials.at(*f) for f in points.frame), strict=True)))


def transition_states(points: Points, again: Committors, storage: Storage) -> Frames:
    """The points whose fresh trials say one half, nearest first, as frames; maybe none."""
    chosen = [points.frame[k] for k in again.near_half().tolist()]
    walks = {walk: storage.frames(trajectory_file(REGION, walk)) for walk, _ in chosen}
    positions, velocities = (np.array([walks[walk][i][frame] for walk, frame in chosen]) for i in (0, 1))
    return snapshots(positions, velocities)


def column_of(name: str, unit: str) -> str:
    """The column of committor.csv that holds a coordinate: NAME_degrees, or NAME_nm."""
    return f"{name}_{unit}"


def committor_columns(coordinates: Coordinates) -> tuple[str, ...]:
    """Of committor.csv."""
    named = (column_of(name, unit) for name, unit in zip(coordinates.names, coordinates.unit, strict=True))
    return ("walk", "frame", "crossing", *named, "variable", *TRIAL_COLUMNS, *(f"again_{c}" for c in TRIAL_COLUMNS), STATE_FRAME)


def committor_rows(points: Points, again: Committors) -> list[Sequence[object]]:
    """A row of committor.csv each: nan without a trial, and the frame of `transition_states`, -1 where a point is none."""
    rank = {k: n for n, k in enumerate(again.near_half().tolist())}
    intervals = [(c, *c.interval()) for c in (points.committors, again)]
    rows: list[Sequence[object]] = []
    for k in range(len(points.crossing)):
        numbers: list[object] = []
        for c, low, high in intervals:
            known = c.trials[k] > 0
            numbers += [int(c.reached_b[k]), int(c.trials[k]), *(round(float(x[k]), 4) if known else "nan" for x in (c.value, low, high))]
        place = (*points.frame[k], int(points.crossing[k]), *points.values[k].round(4).tolist(), round(float(points.variable[k]), 4))
        rows.append((*place, *numbers, rank.get(k, -1)))
    return rows
