"""OpenPathSampling's two-way shooting from a window at the crossing, for a prepared molecule.

Needs the `ops` extra; nothing but benchmarks.two_way imports it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import openpathsampling as paths
from openpathsampling.snapshot_modifier import SnapshotModifier

from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import Dynamics
from spacetime_tps.engines.openmm.open_path_sampling import Move, any_length, engine_of, moves, volumes
from spacetime_tps.engines.openmm.whole_steps import WholeSteps
from spacetime_tps.problems.problem import Problem
from spacetime_tps.windows.window import Window


@dataclass(frozen=True)
class Selector:
    """Weight of a frame in neither state as a shooting point: the window's Boltzmann factor. In a state it is zero."""

    window: Window
    walk: int
    """Steps under the window's restraint that a shooting point takes before it is shot from"""


class RestrainedWalk(SnapshotModifier):  # type: ignore[misc]
    """Fresh velocities, and a walk under the restraint whose Boltzmann factor is the selector's weight f.

    Across the torsion that a path crosses by, others hardly move in the time that it is near the top: with fresh velocities alone,
    psi of alanine dipeptide takes 400 moves to change at the crossing of phi. The walk (forget, walk, forget) is its own reverse and leaves
    pi(x) f(x) as it is, so pi(x) K(x to x') / (pi(x') K(x' to x)) = f(x') / f(x), which the modifier's ratio takes from the acceptance.
    """

    def __init__(self, problem: Problem, chosen: Selector, make: Callable[[np.ndarray, np.ndarray], Any], rng: np.random.Generator):
        """`make` turns positions and velocities into a snapshot."""
        super().__init__()
        self.chosen, self.make, self.rng = chosen, make, rng
        window, self.coordinates = chosen.window, problem.coordinates
        self.walk = Dynamics(problem.model, WindowBias(self.coordinates, window.variable))
        place = np.array([window.center, window.stiffness])
        self.walk.begin(int(rng.integers(1, 2**31)), problem.start.positions, parameters=place)
        self.dynamics = WholeSteps(self.walk.context)

    def __call__(self, snapshot: Any) -> Any:
        self.dynamics.put(snapshot.coordinates._value, snapshot.velocities._value)
        self.dynamics.forget(self.rng)
        if self.chosen.walk:
            self.dynamics.step(self.chosen.walk)
            self.dynamics.forget(self.rng)
        return self.make(*self.dynamics.get())

    def probability_ratio(self, old_snapshot: Any, new_snapshot: Any) -> float:
        """f(x) / f(x')."""
        old, new = (float(self.chosen.window.log_factor(self.coordinates.features(s.xyz))) for s in (old_snapshot, new_snapshot))
        return float(np.exp(old - new))


def two_way_chain(
    problem: Problem, positions: np.ndarray, velocities: np.ndarray, chosen: Selector, *, stride: int, longest: int, seed: int
) -> Iterator[Move]:
    """Two-way shooting without end from a path (F, atoms, 3), in nm and nm/ps, in the ensemble of paths of any length between A and B.

    Both directions of time belong to the ensemble. OpenPathSampling accepts with the ratio of the shooting point's share of the selector's
    weight in the new path to that in the old one, times the modifier's ratio.
    """
    rng = np.random.default_rng(seed)
    engine = engine_of(problem.model, problem.start.topology, stride=stride, longest=longest, seed=int(rng.integers(1, 2**31)))
    ensemble = any_length(*volumes(problem.boxes, problem.model.cell, problem.start.positions, problem.end.positions))
    weight = paths.FunctionCV("weight", lambda snapshot: _weight(problem, chosen, snapshot.xyz), cv_time_reversible=True)
    modifier = RestrainedWalk(problem, chosen, engine.snapshot, rng)
    mover = paths.TwoWayShootingMover(ensemble, paths.BiasedSelector(weight), modifier, engine)
    start = engine.trajectory(positions, velocities)
    yield from moves(engine, start, ensemble, mover, rng, lambda: engine.dynamics.evaluations + modifier.dynamics.evaluations)


def _weight(problem: Problem, chosen: Selector, positions: np.ndarray) -> float:
    if problem.a.contains(positions) or problem.b.contains(positions):
        return 0.0
    return float(np.exp(chosen.window.log_factor(problem.coordinates.features(positions))))
