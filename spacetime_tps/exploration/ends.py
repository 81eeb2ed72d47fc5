"""Plain MD in the two ends: where windows start, what the noise levels of the ends follow from, and the thermal reference."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spacetime_tps.engines.openmm.dynamics import FREE, Walk
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.engines.openmm.walk_cache import trajectory_file
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

    @cached_property
    def _seen(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each end: T (S, E) of all frames, and whether they are in its state (S,)."""
        found = []
        for frames, state in ((self.in_a, self.problem.a), (self.in_b, self.problem.b)):
            positions = np.concatenate([f.positions for f in frames])
            found.append((self.problem.coordinates.features(positions), state.contains(positions)))
        return found


def _walk_name(end: str, index: int | str) -> str:
    return f"md_{end}_{index}"


def walk_ends(problem: Problem, simulation: Simulation, settings: TrainingSettings, *, seed: int) -> Ends:
    """Walk in both ends from the two structures."""
    discard = max(settings.equilibration_steps, settings.stride)
    named = [
        (
            _walk_name(end, index),
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


def walk_files(end: str) -> str:
    """A pattern for the trajectories of the walks of `walk_ends` in A or in B."""
    return trajectory_file(GROUP, _walk_name(end, "*"))


def kept_walks(simulation: Simulation, end: str) -> list[Frames]:
    """Those walks, as they are kept; none where no trajectory is. Raises SpacetimeError where one of them is missing or damaged."""
    cache = simulation.cache(GROUP)
    return [cache.stored(_walk_name(end, index)) for index in range(len(simulation.storage.names(walk_files(end))))]


def _last_inside(runs: list[Frames], state: State) -> np.ndarray:
    for frames in reversed(runs):
        inside = np.flatnonzero(state.contains(frames.positions))
        if len(inside):
            return frames.positions[inside[-1]].astype(float)
    raise SpacetimeError("plain MD left its state at once: the structure is no minimum of this state, or the state is too narrow")
