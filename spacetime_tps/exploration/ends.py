"""Plain MD in the two ends: where windows start, what the noise levels of the ends follow from, and the thermal reference."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spacetime_tps.engines.openmm.dynamics import FREE, Walk
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.settings import TrainingSettings
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

GROUP = "samples"
"""Where these walks and those of windows are kept"""
FLOOR = 40.0
"""Per rad^2 or 0.01 nm^2"""
FEWEST = 100
"""Frames in a state that say how much heat moves it"""


@dataclass(frozen=True)
class Ends:
    """Walks that began in A and in B."""

    problem: Problem
    in_a: list[Frames]
    in_b: list[Frames]

    @property
    def evaluations(self) -> int:
        """Of all walks."""
        return sum(f.evaluations for f in (*self.in_a, *self.in_b))

    @cached_property
    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """The last positions (atoms, 3) in A and in B. Raises SpacetimeError where the walks left their state at once."""
        return _last_inside(self.in_a, self.problem.a), _last_inside(self.in_b, self.problem.b)

    def pool(self, *, every: int) -> Pool:
        """A pool of every `every`-th frame."""
        return Pool.of_ends(self.problem.coordinates, self.problem.a, self.problem.b, self.in_a, self.in_b, every=every)

    def precisions(self, floor: float, points: int) -> np.ndarray:
        """Precisions (points, L) of an initial curve: the noise floor, and at its ends as much as holds the state (lines.end_precision)."""
        coordinates = self.problem.coordinates
        first, last = (
            lines.end_precision(coordinates.family(), center, features, inside, floor)
            for center, (features, inside) in zip(self.problem.ends, self._seen, strict=True)
        )
        return lines.precisions(floor, first, last, points)

    @cached_property
    def heat(self) -> float:
        """By how much heat blurs lengths within the two states: their mean variance, 0.01 nm^2; 0 where any coordinate is an angle,
        or too few frames say."""
        coordinates = self.problem.coordinates
        inside = [features[there] for features, there in self._seen if there.sum() >= FEWEST]
        if coordinates.angular.any() or not inside:
            return 0.0
        return float(np.mean([t[:, list(coordinates.family().locations)].var(axis=0) for t in inside]))

    @property
    def noise_floor(self) -> float:
        """The first noise floor where none is asked for: `FLOOR`, or as wide as heat where that blurs lengths more: they have no scale of
        their own as angles have, and narrower noise takes windows and work."""
        return min(FLOOR, 1.0 / self.heat) if self.heat else FLOOR

    @cached_property
    def _seen(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each end: T (S, E) of all frames, and whether they are in its state (S,)."""
        found = []
        for frames, state in ((self.in_a, self.problem.a), (self.in_b, self.problem.b)):
            positions = np.concatenate([f.positions for f in frames])
            found.append((self.problem.coordinates.features(positions), state.contains(positions)))
        return found


def walk_ends(problem: Problem, simulation: Simulation, settings: TrainingSettings, *, seed: int) -> Ends:
    """Walk in both ends from the two structures."""
    discard = max(settings.equilibration_steps, settings.stride)
    named = [
        (
            f"md_{end}_{index}",
            Walk(
                bias=None, schedule=FREE, steps=discard + steps, stride=settings.stride, seed=seed_of(seed, f"md_{end}", index),
                positions=structure.positions, discard=discard,
            ),
        )
        for end, structure, steps in (("A", problem.start, settings.steps_a), ("B", problem.end, settings.steps_b))
        for index in range(settings.walks)
    ]  # fmt: skip
    frames = simulation.cached_walks(GROUP, named, title="MD in both ends")
    return Ends(problem, frames[: settings.walks], frames[settings.walks :])


def _last_inside(runs: list[Frames], state: State) -> np.ndarray:
    for frames in reversed(runs):
        inside = np.flatnonzero(state.contains(frames.positions))
        if len(inside):
            return frames.positions[inside[-1]].astype(float)
    raise SpacetimeError("plain MD left its state at once: the structure is no minimum of this state, or the state is too narrow")
