"""One shooting batch: walks in a window, shots from them, and what is kept of both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spacetime_tps.shooting.reaction_coordinate import Outcomes
from spacetime_tps.states.ends import trials
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window


@dataclass(frozen=True)
class Batch:
    """S shots from P points of W walks in one window of a site. Arrays of one row a point begin with `point_`, a shot with
    `shot_`, a path with `path_`."""

    crossing: int
    pilot: bool
    """Whether its window was being tried, or had been settled on"""
    variable: str
    """Of its window, as JSON"""
    center: float
    stiffness: float
    features: np.ndarray
    """(F, E) T of the walks' stored frames, those of a broken molecule left out"""
    in_a: np.ndarray
    """(F,) bool"""
    walk: np.ndarray
    """(F,): which walk each frame is from"""
    ahead: bool
    """Whether the frames lie on B's side of the center, on average"""
    walk_evaluations: int
    broken: int
    """Points that were not shot from, and paths that were left out, because the molecule was no longer what it was"""
    point_walk: np.ndarray
    point_frame: np.ndarray
    """Index of the point in its walk's trajectory"""
    point_features: np.ndarray
    """(P, E)"""
    shot_point: np.ndarray
    """Index of the shot's point"""
    shot_seed: np.ndarray
    shot_first: np.ndarray
    shot_forward: np.ndarray
    shot_backward: np.ndarray
    """IN_A, IN_B or NOWHERE; both the point's own state where it lies in one"""
    shot_evaluations: np.ndarray
    shot_stable: np.ndarray
    path_shot: np.ndarray
    """Which shot each path is from"""
    path_name: np.ndarray
    """What the engine keeps each under"""
    path_way: np.ndarray
    """Which way round each goes"""
    path_max_energy: np.ndarray
    """Highest U of its stored frames"""
    path_frames: np.ndarray
    """How many those are"""
    path_points: np.ndarray
    """How many rows of `points` are each path's"""
    points: np.ndarray
    """(sum of path_points, E) T of all points that the paths could have been shot from"""

    @property
    def window(self) -> Window:
        """Where the points were drawn."""
        return Window(variable_of(json.loads(self.variable)), float(self.center), float(self.stiffness))

    @property
    def evaluations(self) -> int:
        """Of the shots."""
        return int(self.shot_evaluations.sum())

    @property
    def path_features(self) -> list[np.ndarray]:
        """T (P, E) of each path's points."""
        return np.split(self.points, np.cumsum(self.path_points)[:-1]) if len(self.path_points) else []

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything, as named arrays."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @staticmethod
    def of_arrays(arrays: Mapping[str, np.ndarray]) -> "Batch":
        """From what `to_arrays` gave."""
        values: dict[str, Any] = {f.name: arrays[f.name] if arrays[f.name].ndim else arrays[f.name].item() for f in fields(Batch)}
        return Batch(**values)


@dataclass(frozen=True)
class WindowTrial:
    """What a window gave."""

    window: Window
    stays: bool
    reached_b: int
    """Trajectories, two a shot, that ended in B"""
    ended: int
    """in either state"""
    reactive: float
    """Fraction of its shots"""

    @property
    def share(self) -> float:
        """Share that reached B, drawn a little to one half."""
        return (self.reached_b + 1.0) / (self.ended + 2.0)


def window_trials(batches: list[Batch]) -> list[WindowTrial]:
    """What each window of a crossing gave, in the order they were tried. A window that did not stay on top counts by its slide alone."""
    found: dict[Window, list[Batch]] = {}
    for batch in batches:
        found.setdefault(batch.window, []).append(batch)
    return [_trial(window, of) for window, of in found.items()]


def outcomes_of(batch: Batch) -> Outcomes:
    """What became of the two trajectories of each shot, by the points they came from."""
    of_shots = trials(np.stack([batch.shot_forward, batch.shot_backward]))
    reached, ended = (np.bincount(batch.shot_point, of, len(batch.point_walk)) for of in of_shots)
    return Outcomes(batch.point_features, reached, ended, batch.point_walk)


def _trial(window: Window, batches: list[Batch]) -> WindowTrial:
    shots = sum(len(b.shot_point) for b in batches)
    if not window.stays(np.concatenate([b.features for b in batches])):
        slid = np.mean([b.ahead for b in batches]) > 0.5
        return WindowTrial(window, False, 2 * shots if slid else 0, 2 * shots, 0.0)
    outcomes = [outcomes_of(b) for b in batches]
    reached, ended = int(sum(o.reached_b.sum() for o in outcomes)), int(sum(o.ended.sum() for o in outcomes))
    paths = sum(len(b.path_shot) for b in batches)
    return WindowTrial(window, True, reached, ended, paths / max(shots, 1))
