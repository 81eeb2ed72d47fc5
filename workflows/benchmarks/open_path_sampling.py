"""OpenPathSampling's two-way shooting for a prepared molecule: its ensemble, selector and acceptance, on the dynamics of this package.

Needs the `ops` extra; nothing but benchmarks.two_way imports it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mdtraj
import numpy as np
import openmm
import openpathsampling as paths
from openmm import unit
from openpathsampling.engines import openmm as engines
from openpathsampling.snapshot_modifier import SnapshotModifier

from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, inverse_masses
from spacetime_tps.problems.problem import Problem
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.windows.window import Window

SPEED = unit.nanometer / unit.picosecond


@dataclass(frozen=True)
class Selector:
    """Weight of a frame in neither state as a shooting point: the window's Boltzmann factor. In a state it is zero."""

    window: Window
    walk: int
    """Steps under the window's restraint that a shooting point takes before it is shot from"""


@dataclass(frozen=True)
class Move:
    """Where the chain is after a move."""

    accepted: bool
    positions: np.ndarray
    """(F, atoms, 3), nm, of the current path: from A to B or from B to A, only its ends in the states"""
    velocities: np.ndarray
    """(F, atoms, 3), nm/ps, at whole steps"""
    evaluations: int
    """Force evaluations of this move"""


class WholeSteps:
    """An OpenMM context under LangevinMiddle with velocities at whole steps, where turning them runs the motion backwards.

    OpenMM keeps those of half a step before: turned, they would be half a step late, and a path would have a kick of dt force / mass in it.
    """

    def __init__(self, context: openmm.Context, model: Model):
        self.context, self.half = context, 0.5 * model.timestep
        self.inverse = inverse_masses(context)
        self.spread = np.sqrt(model.kT * self.inverse)
        self.evaluations = 0

    def _half_kick(self) -> np.ndarray:
        self.evaluations += 1
        return self.half * self.inverse * self.context.getState(forces=True).getForces(asNumpy=True)._value

    def put(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Set positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps."""
        self.context.setPositions(positions)
        self.context.setVelocities(velocities - self._half_kick())

    def get(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps."""
        state = self.context.getState(positions=True, velocities=True)
        return state.getPositions(asNumpy=True)._value, state.getVelocities(asNumpy=True)._value + self._half_kick()

    def step(self, count: int) -> None:
        """Steps of the dynamics."""
        self.evaluations += count
        self.context.getIntegrator().step(count)

    def forget(self, rng: np.random.Generator) -> None:
        """One step of the dynamics whose middle forgets the velocity, which leaves their stationary distribution as it is.

        OpenPathSampling's RandomVelocities draws velocities at a whole step, as OpenMM keeps them, where LangevinMiddle's are neither
        Maxwell nor independent of positions. Each draw then leaves kT (omega dt)^2 / 4 of heat in a vibration, which shot after shot hands
        on: alanine dipeptide at 1 fs has 4.6 kJ/mol too much in its bonds alone, a third of the spread of highest energies. In the middle
        of a step velocities are Maxwell and independent of positions, so they are drawn there.
        """
        positions, velocities = self.get()
        middle = positions + self.half * (velocities + self._half_kick())
        fresh = self.spread * rng.normal(size=positions.shape)
        self.context.setPositions(middle + self.half * fresh)
        self.context.setVelocities(fresh)


class WholeStepEngine(engines.Engine):  # type: ignore[misc]
    """OpenPathSampling's engine for OpenMM, with LangevinMiddle and velocities at whole steps."""

    def __init__(self, problem: Problem, *, stride: int, longest: int, seed: int):
        """A snapshot is every `stride` steps; trajectories of more than `longest` snapshots are given up."""
        model = problem.model
        integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, model.timestep)
        integrator.setRandomNumberSeed(seed)
        super().__init__(
            engines.topology.MDTrajTopology(mdtraj.Topology.from_openmm(problem.start.topology)),
            openmm.XmlSerializer.deserialize(model.system_xml),
            integrator,
            openmm_properties={"Threads": "1"} if model.platform == "CPU" else {},
            options={"n_steps_per_frame": stride, "n_frames_max": longest},
        )
        self.initialize(model.platform)
        self.dynamics = WholeSteps(self.simulation.context, model)
        self._current_snapshot: Any = None
        self._box = self.simulation.context.getState().getPeriodicBoxVectors(asNumpy=True)

    def snapshot(self, positions: np.ndarray, velocities: np.ndarray) -> Any:
        """OpenPathSampling's object of positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps, at a whole step."""
        return engines.Snapshot.construct(
            coordinates=unit.Quantity(positions, unit.nanometer), box_vectors=self._box, velocities=unit.Quantity(velocities, SPEED),
            engine=self,
        )  # fmt: skip

    @property
    def current_snapshot(self) -> Any:
        """What the context holds."""
        if self._current_snapshot is None:
            self._current_snapshot = self.snapshot(*self.dynamics.get())
        return self._current_snapshot

    @current_snapshot.setter
    def current_snapshot(self, snapshot: Any) -> None:
        self.dynamics.put(snapshot.coordinates._value, snapshot.velocities._value)
        self._current_snapshot = snapshot

    def generate_next_frame(self) -> Any:
        """The snapshot a stride later."""
        self.dynamics.step(self.n_steps_per_frame)
        self._current_snapshot = None
        return self.current_snapshot


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
        self.dynamics = WholeSteps(self.walk.context, problem.model)

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
    engine = WholeStepEngine(problem, stride=stride, longest=longest, seed=int(rng.integers(1, 2**31)))
    place = paths.FunctionCV("place", lambda snapshot: _place(problem, snapshot.xyz), cv_time_reversible=True)
    a, b = (paths.CVDefinedVolume(place, which - 0.5, which + 0.5) for which in (IN_A, IN_B))
    weight = paths.FunctionCV("weight", lambda snapshot: _weight(problem, chosen, snapshot.xyz), cv_time_reversible=True)
    selector = paths.BiasedSelector(weight)
    ensemble = paths.TPSNetwork.from_states_all_to_all([a, b]).sampling_ensembles[0]
    modifier = RestrainedWalk(problem, chosen, engine.snapshot, rng)
    mover = paths.TwoWayShootingMover(ensemble, selector, modifier, engine)
    for part in (selector, mover, *mover.movers):
        part._rng = rng
    path = paths.Trajectory([engine.snapshot(x, v) for x, v in zip(positions.astype(float), velocities.astype(float), strict=True)])
    while True:
        before = engine.dynamics.evaluations + modifier.dynamics.evaluations
        # A new sample each time: one that knows its parent keeps all paths before it in memory.
        change = mover.move(paths.SampleSet([paths.Sample(replica=0, trajectory=path, ensemble=ensemble)]))
        if change.accepted:
            path = change.trials[0].trajectory
        x, v = (np.array([getattr(s, kind)._value for s in path]) for kind in ("coordinates", "velocities"))
        yield Move(bool(change.accepted), x, v, engine.dynamics.evaluations + modifier.dynamics.evaluations - before)


def _place(problem: Problem, positions: np.ndarray) -> int:
    if problem.a.contains(positions):
        return IN_A
    return IN_B if problem.b.contains(positions) else NOWHERE


def _weight(problem: Problem, chosen: Selector, positions: np.ndarray) -> float:
    if _place(problem, positions) != NOWHERE:
        return 0.0
    return float(np.exp(chosen.window.log_factor(problem.coordinates.features(positions))))
