"""OpenPathSampling's shooting moves of a molecule: its ensembles, selectors and acceptance, on the dynamics of this package.

Needs the `ops` extra, so it is imported only where a chain runs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import mdtraj
import numpy as np
import openpathsampling as paths
from openmm import app
from openpathsampling.engines import openmm as engines
from openpathsampling.snapshot_modifier import SnapshotModifier

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.protocol import Boxes
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.whole_steps import WholeSteps
from spacetime_tps.states.state import state_of, structures_of

LENGTH, SPEED = (engines.Engine.units[of] for of in ("length", "velocity"))


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
    """OpenPathSampling's engine for OpenMM, with LangevinMiddle and velocities at whole steps, so that turned ones run back.

    Import this module before a storage that holds one is opened: OpenPathSampling finds the classes in it by their names.
    """

    _default_options: ClassVar[dict[str, Any]] = {**engines.Engine._default_options, "platform": "Reference"}
    _current_snapshot: Any

    def initialize(self, platform: Any = None) -> None:
        """As OpenPathSampling calls it; on the platform of the options."""
        super().initialize(platform or self.options["platform"])

    @classmethod
    def from_dict(cls, dct: dict[str, Any]) -> "WholeStepEngine":
        """What OpenPathSampling stored."""
        plain = engines.Engine.from_dict({**dct, "options": {k: v for k, v in dct["options"].items() if k != "platform"}})
        return cls(plain.topology, plain.system, plain.integrator, dct["properties"], dct["options"])

    @cached_property
    def dynamics(self) -> WholeSteps:
        """The engine's context, and what was integrated in it."""
        return WholeSteps(self.simulation.context)

    def snapshot(self, positions: np.ndarray, velocities: np.ndarray) -> Any:
        """OpenPathSampling's object of positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps, at a whole step."""
        box = self.simulation.context.getState().getPeriodicBoxVectors(asNumpy=True)
        return engines.Snapshot.construct(coordinates=positions * LENGTH, box_vectors=box, velocities=velocities * SPEED, engine=self)

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
        if snapshot is self._current_snapshot:
            return
        if snapshot.box_vectors is not None:
            self.simulation.context.setPeriodicBoxVectors(*snapshot.box_vectors)
        self.dynamics.put(snapshot.coordinates._value, snapshot.velocities._value)
        self._current_snapshot = snapshot

    def generate_next_frame(self) -> Any:
        """The snapshot a stride later."""
        self.dynamics.step(self.n_steps_per_frame)
        self._current_snapshot = None
        return self.current_snapshot


def engine_of(model: Model, topology: app.Topology, *, stride: int, longest: int, seed: int) -> WholeStepEngine:
    """The dynamics of a model: a snapshot every `stride` steps; trajectories of more than `longest` snapshots are given up."""
    return WholeStepEngine(
        engines.topology.MDTrajTopology(mdtraj.Topology.from_openmm(topology)), model.system(), model.integrator(seed), model.properties,
        {"n_steps_per_frame": stride, "n_frames_max": longest, "platform": model.platform},
    )  # fmt: skip


class StateVolume(paths.Volume):  # type: ignore[misc]
    """A state of a run folder. Snapshots are looked at as files have them, in float32: rounding takes frames across a border."""

    def __init__(self, label: str, boxes: list[dict[str, Any]], cell: Any, structures: dict[str, list[list[float]]]):
        """boxes: as in states.json; structures: positions, nm, of the files that they name."""
        super().__init__()
        self.label, self.boxes, self.cell, self.structures = label, boxes, cell, structures
        self._state = state_of(boxes, cell=cell, read=lambda file: np.array(structures[file]))

    def __call__(self, snapshot: Any) -> bool:
        return bool(self._state.contains(np.asarray(snapshot.xyz, dtype=np.float32)))

    def __str__(self) -> str:
        return f"{self.label}: {self.boxes}"

    @property
    def default_name(self) -> str:
        """The state's."""
        return self.label


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


def volumes(boxes: Sequence[Boxes], cell: Cell | None, start: np.ndarray, end: np.ndarray) -> tuple[StateVolume, StateVolume]:
    """A and B. boxes: of each as in states.json; start, end (atoms, 3): structures that they may name."""
    structures = {name: positions.tolist() for name, positions in structures_of(start, end).items()}
    a, b = (StateVolume(label, list(of), cell, structures).named(label) for label, of in zip("AB", boxes, strict=True))
    return a, b


def chain(
    model: Model, topology: app.Topology, ends: tuple[Any, Any], positions: np.ndarray, velocities: np.ndarray, scheme: Scheme, *,
    length: int | None, stride: int, longest: int, seed: int,
) -> Iterator[Move]:  # fmt: skip
    """A chain of shooting moves without end from a path (F, atoms, 3), in nm and nm/ps.

    ends: the volumes A and B; length: frames of every path, from A to B; None samples paths of any length up to `longest` frames. Raises
    ValueError for a path that is not of the ensemble.
    """
    rng = np.random.default_rng(seed)
    engine = engine_of(model, topology, stride=stride, longest=longest, seed=int(rng.integers(1, 2**31)))
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
