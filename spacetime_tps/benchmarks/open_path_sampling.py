"""OpenPathSampling's two-way shooting for a prepared molecule: its ensemble, selector and acceptance, on the dynamics of this package.

Needs the `ops` extra; nothing but benchmarks.two_way imports it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mdtraj
import numpy as np
import openmm
import openpathsampling as paths
from openmm import unit
from openpathsampling.engines import openmm as engines
from openpathsampling.snapshot_modifier import SnapshotModifier

from spacetime_tps.molecules.coordinates import shortest_change
from spacetime_tps.molecules.shooting import IN_A, IN_B, NOWHERE
from spacetime_tps.pipeline.prepared import Prepared

SPEED = unit.nanometer / unit.picosecond


@dataclass(frozen=True)
class Bias:
    """Weight of a frame in neither state as a shooting point: a Gaussian of one torsion; frames in a state have none."""

    torsion: int
    center: float
    """Radians"""
    width: float
    """Standard deviation, radians"""


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


class WholeStepEngine(engines.Engine):  # type: ignore[misc]
    """OpenMM's LangevinMiddle with velocities at whole steps, where turning them runs the motion backwards.

    OpenMM keeps those of half a step before: turned, they would be half a step late, and a path would have a kick of dt force / mass in it.
    """

    def __init__(self, prepared: Prepared, *, stride: int, longest: int, seed: int):
        """A snapshot is every `stride` steps; trajectories of more than `longest` snapshots are given up."""
        model = prepared.model
        integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, model.timestep)
        integrator.setRandomNumberSeed(seed)
        super().__init__(
            engines.topology.MDTrajTopology(mdtraj.Topology.from_openmm(prepared.start.topology)),
            openmm.XmlSerializer.deserialize(model.system_xml),
            integrator,
            openmm_properties={"Threads": "1"} if model.platform == "CPU" else {},
            options={"n_steps_per_frame": stride, "n_frames_max": longest},
        )
        self.initialize(model.platform)
        self.evaluations = 0
        masses = np.array([self.system.getParticleMass(i)._value for i in range(self.system.getNumParticles())])[:, None]
        self.inverse = np.divide(1.0, masses, out=np.zeros_like(masses), where=masses > 0.0)
        """(atoms, 1), 1/Da"""
        self.half = 0.5 * model.timestep
        """ps"""

    def half_kick(self) -> np.ndarray:
        """dt force / (2 mass), nm/ps (atoms, 3), at the positions of the context."""
        self.evaluations += 1
        force = self.simulation.context.getState(forces=True).getForces(asNumpy=True)._value
        return self.half * self.inverse * force

    def half_kick_at(self, positions: np.ndarray) -> np.ndarray:
        """The same at positions (atoms, 3), nm, where it leaves the context."""
        self._current_snapshot = None
        self.simulation.context.setPositions(positions)
        return self.half_kick()

    def snapshot(self, positions: np.ndarray, velocities: np.ndarray) -> Any:
        """OpenPathSampling's object of positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps, at a whole step."""
        return engines.Snapshot.construct(
            coordinates=unit.Quantity(positions, unit.nanometer),
            box_vectors=self.simulation.context.getState().getPeriodicBoxVectors(asNumpy=True),
            velocities=unit.Quantity(velocities, SPEED),
            engine=self,
        )

    def _build_current_snapshot(self) -> Any:
        state = self.simulation.context.getState(positions=True, velocities=True)
        return self.snapshot(state.getPositions(asNumpy=True)._value, state.getVelocities(asNumpy=True)._value + self.half_kick())

    @property
    def current_snapshot(self) -> Any:
        """What the context holds."""
        if self._current_snapshot is None:
            self._current_snapshot = self._build_current_snapshot()
        return self._current_snapshot

    @current_snapshot.setter
    def current_snapshot(self, snapshot: Any) -> None:
        kick = self.half_kick_at(snapshot.coordinates._value)
        self.simulation.context.setVelocities(snapshot.velocities._value - kick)
        self._current_snapshot = snapshot

    def generate_next_frame(self) -> Any:
        """The snapshot a stride later."""
        self.evaluations += self.n_steps_per_frame
        self.integrator.step(self.n_steps_per_frame)
        self._current_snapshot = None
        return self.current_snapshot


class FreshVelocities(SnapshotModifier):  # type: ignore[misc]
    """One step of the dynamics whose middle forgets the velocity: x, v to x', v', which leaves the stationary distribution as it is.

    OpenPathSampling's RandomVelocities draws v at a whole step, as OpenMM keeps it, where LangevinMiddle's v is neither Maxwell nor
    independent of x. Each draw then leaves kT (omega dt)^2 / 4 of heat in a vibration, which shot after shot hands on: alanine dipeptide
    at 1 fs has 4.6 kJ/mol too much in its bonds alone, as much as a third of the spread of highest energies. In the middle of a step
    velocities are Maxwell and independent of positions, so they are drawn there.
    """

    def __init__(self, engine: WholeStepEngine, kT: float, rng: np.random.Generator):
        super().__init__()
        self.engine, self.rng = engine, rng
        self.spread = np.sqrt(kT * engine.inverse)

    def __call__(self, snapshot: Any) -> Any:
        engine, x = self.engine, snapshot.coordinates._value
        middle = x + engine.half * (snapshot.velocities._value + engine.half_kick_at(x))
        fresh = self.spread * self.rng.normal(size=x.shape)
        x = middle + engine.half * fresh
        return engine.snapshot(x, fresh + engine.half_kick_at(x))

    def probability_ratio(self, old_snapshot: Any, new_snapshot: Any) -> float:
        """1: the step is as reversible as the dynamics."""
        return 1.0


def two_way_chain(
    prepared: Prepared, positions: np.ndarray, velocities: np.ndarray, bias: Bias, *, stride: int, longest: int, seed: int
) -> Iterator[Move]:
    """Two-way shooting without end from a path (F, atoms, 3), in nm and nm/ps, in the ensemble of paths of any length between A and B.

    Both directions of time belong to the ensemble. OpenPathSampling accepts with the ratio of the shooting point's share of the bias in the
    new path to that in the old one.
    """
    rng = np.random.default_rng(seed)
    engine = WholeStepEngine(prepared, stride=stride, longest=longest, seed=int(rng.integers(1, 2**31)))
    place = paths.FunctionCV("place", lambda snapshot: _place(prepared, snapshot.xyz), cv_time_reversible=True)
    a, b = (paths.CVDefinedVolume(place, which - 0.5, which + 0.5) for which in (IN_A, IN_B))
    weight = paths.FunctionCV("weight", lambda snapshot: _weight(prepared, bias, snapshot.xyz), cv_time_reversible=True)
    selector = paths.BiasedSelector(weight)
    ensemble = paths.TPSNetwork.from_states_all_to_all([a, b]).sampling_ensembles[0]
    mover = paths.TwoWayShootingMover(ensemble, selector, FreshVelocities(engine, prepared.model.kT, rng), engine)
    for part in (selector, mover, *mover.movers):
        part._rng = rng
    path = paths.Trajectory([engine.snapshot(x, v) for x, v in zip(positions.astype(float), velocities.astype(float), strict=True)])
    while True:
        before = engine.evaluations
        # A new sample each time: one that knows its parent keeps all paths before it in memory.
        change = mover.move(paths.SampleSet([paths.Sample(replica=0, trajectory=path, ensemble=ensemble)]))
        if change.accepted:
            path = change.trials[0].trajectory
        x, v = (np.array([getattr(s, kind)._value for s in path]) for kind in ("coordinates", "velocities"))
        yield Move(bool(change.accepted), x, v, engine.evaluations - before)


def _place(prepared: Prepared, positions: np.ndarray) -> int:
    if prepared.a.contains(positions):
        return IN_A
    return IN_B if prepared.b.contains(positions) else NOWHERE


def _weight(prepared: Prepared, bias: Bias, positions: np.ndarray) -> float:
    if _place(prepared, positions) != NOWHERE:
        return 0.0
    away = shortest_change(np.array(bias.center), prepared.torsions.angles(positions)[bias.torsion])
    return float(np.exp(-0.5 * (away / bias.width) ** 2))
