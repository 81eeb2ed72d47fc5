"""OpenPathSampling's shooting moves of a molecule: its ensembles, selectors and acceptance, on the dynamics of this package.

Needs the `ops` extra, so it is imported only where a chain runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mdtraj
import numpy as np
import openmm
import openpathsampling as paths
from openmm import app, unit
from openpathsampling.engines import openmm as engines
from openpathsampling.snapshot_modifier import SnapshotModifier

from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.whole_steps import WholeSteps
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.states.state import State

SPEED = unit.nanometer / unit.picosecond


@dataclass(frozen=True)
class Move:
    """Where a chain is after a move."""

    accepted: bool
    renewed: bool
    """Whether the path shares no frame any more with what it was when this was last true, or at the beginning"""
    positions: np.ndarray
    """(F, atoms, 3), nm, of the current path, from A to B or from B to A"""
    velocities: np.ndarray
    """(F, atoms, 3), nm/ps, at whole steps"""
    evaluations: int
    """Force evaluations of this move"""
    integrator_steps: int
    """Of the whole chain so far, as OpenMM's context of the trajectories counts them"""


class WholeStepEngine(engines.Engine):  # type: ignore[misc]
    """OpenPathSampling's engine for OpenMM, with LangevinMiddle and velocities at whole steps."""

    def __init__(self, model: Model, topology: app.Topology, *, stride: int, longest: int, seed: int):
        """A snapshot is every `stride` steps; trajectories of more than `longest` snapshots are given up."""
        integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, model.timestep)
        integrator.setRandomNumberSeed(seed)
        super().__init__(
            engines.topology.MDTrajTopology(mdtraj.Topology.from_openmm(topology)),
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

    def trajectory(self, positions: np.ndarray, velocities: np.ndarray) -> Any:
        """OpenPathSampling's object of a path (F, atoms, 3)."""
        return paths.Trajectory([self.snapshot(x, v) for x, v in zip(positions.astype(float), velocities.astype(float), strict=True)])

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


class FreshVelocities(SnapshotModifier):  # type: ignore[misc]
    """What RandomVelocities is for, drawn where LangevinMiddle has them Maxwell (`WholeSteps.forget`)."""

    def __init__(self, engine: WholeStepEngine, rng: np.random.Generator):
        super().__init__()
        self.engine, self.rng = engine, rng

    def __call__(self, snapshot: Any) -> Any:
        self.engine.dynamics.put(snapshot.coordinates._value, snapshot.velocities._value)
        self.engine.dynamics.forget(self.rng)
        return self.engine.snapshot(*self.engine.dynamics.get())

    def probability_ratio(self, old_snapshot: Any, new_snapshot: Any) -> float:
        """A step of the dynamics is its own reverse."""
        return 1.0


Scheme = Callable[[WholeStepEngine, Any, np.random.Generator], Any]
"""A mover of an ensemble, on an engine"""


def one_way(engine: WholeStepEngine, ensemble: Any, rng: np.random.Generator) -> Any:
    """One-way shooting: every inner frame alike, forward or backward alike, velocities as they are; the noise takes it elsewhere."""
    return paths.OneWayShootingMover(ensemble, paths.UniformSelector(), engine)


def two_way(engine: WholeStepEngine, ensemble: Any, rng: np.random.Generator) -> Any:
    """Two-way shooting: every inner frame alike, all velocities drawn anew."""
    return paths.TwoWayShootingMover(ensemble, paths.UniformSelector(), FreshVelocities(engine, rng), engine)


def any_length(a: Any, b: Any) -> Any:
    """The ensemble of paths between two volumes with only their ends in them. Both directions of time belong to it."""
    return paths.TPSNetwork.from_states_all_to_all([a, b]).sampling_ensembles[0]


def volumes(a: State, b: State) -> tuple[Any, Any]:
    """OpenPathSampling's volumes of two states."""

    def where(snapshot: Any) -> int:
        if a.contains(snapshot.xyz):
            return IN_A
        return IN_B if b.contains(snapshot.xyz) else NOWHERE

    place = paths.FunctionCV("place", where, cv_time_reversible=True)
    return paths.CVDefinedVolume(place, IN_A - 0.5, IN_A + 0.5), paths.CVDefinedVolume(place, IN_B - 0.5, IN_B + 0.5)


def chain(
    model: Model, topology: app.Topology, a: State, b: State, positions: np.ndarray, velocities: np.ndarray, scheme: Scheme, *,
    length: int | None, stride: int, longest: int, seed: int,
) -> Iterator[Move]:  # fmt: skip
    """A chain of shooting moves without end from a path (F, atoms, 3), in nm and nm/ps.

    length: frames of every path, from A to B; None samples paths of any length up to `longest` frames. Raises ValueError for a path that
    is not of the ensemble.
    """
    rng = np.random.default_rng(seed)
    engine = WholeStepEngine(model, topology, stride=stride, longest=longest, seed=int(rng.integers(1, 2**31)))
    ends = volumes(a, b)
    ensemble = any_length(*ends) if length is None else paths.FixedLengthTPSNetwork(*ends, length=length).sampling_ensembles[0]
    path = engine.trajectory(positions, velocities)
    if not ensemble(path):
        raise ValueError(f"a path of {len(path)} frames is not of the ensemble that the chain samples")
    yield from moves(engine, path, ensemble, scheme(engine, ensemble, rng), rng, lambda: engine.dynamics.evaluations)


def moves(
    engine: WholeStepEngine, path: Any, ensemble: Any, mover: Any, rng: np.random.Generator, evaluations: Callable[[], int]
) -> Iterator[Move]:
    """Moves without end from a trajectory of the ensemble; `evaluations` spent so far in all."""
    for part in (mover, *mover.movers, *(m.selector for m in mover.movers)):
        part._rng = rng
    context, remembered = engine.simulation.context, path
    x, v = _arrays(path)
    while True:
        before = evaluations()
        # A new sample each time: one that knows its parent keeps all paths before it in memory.
        change = mover.move(paths.SampleSet([paths.Sample(replica=0, trajectory=path, ensemble=ensemble)]))
        renewed = False
        if change.accepted:
            path = change.trials[0].trajectory
            x, v = _arrays(path)
            renewed = not path.is_correlated(remembered)
            remembered = path if renewed else remembered
        yield Move(bool(change.accepted), renewed, x, v, evaluations() - before, context.getStepCount())


def _arrays(path: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities (F, atoms, 3)."""
    x, v = (np.array([getattr(s, kind)._value for s in path]) for kind in ("coordinates", "velocities"))
    return x, v
