"""To OpenPathSampling and back: a path, states and network from a run folder; a run folder from trajectories. Needs the `ops` extra.

Import this module before a storage that it wrote is opened: OpenPathSampling finds the classes in it by their names.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import mdtraj
import numpy as np
import openpathsampling
from openpathsampling.engines import openmm as engines

from spacetime_tps.engines.openmm.dynamics import inverse_masses
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.engines.openmm.whole_steps import langevin, whole_step_velocities
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_csv
from spacetime_tps.paths.transition import Transition, keep_path, write_transitions
from spacetime_tps.pipeline.summary import paths_summary
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.problem import Problem
from spacetime_tps.report.data import RunData
from spacetime_tps.report.page import write_report
from spacetime_tps.results.paths import TransitionPath
from spacetime_tps.results.results import Results
from spacetime_tps.results.show import representative
from spacetime_tps.states.state import state_of
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, time_reversed

STAGE = "openpathsampling"
LENGTH, SPEED = (engines.Engine.units[of] for of in ("length", "velocity"))
MADE_BY_PATHS = ("guided", "guided_reverse", "steered", "steered_reverse", "region", "unbiased", "total")
"""Evaluations of a run that a folder of imported paths does not take over"""
TAKEN = ("*.pdb", "*.xml", "*.npz", "*.pt", "config.yaml", "states.json", "coordinates.json", "preparation.json", "routes/*", "regions/*",
         "samples/windows.npz", "samples/rounds.json", "samples/weighted_*")  # fmt: skip


class WholeStepEngine(engines.Engine):  # type: ignore[misc]
    """OpenPathSampling's engine for OpenMM under LangevinMiddle, with velocities at whole steps, so that turned ones run back."""

    _default_options: ClassVar[dict[str, Any]] = {**engines.Engine._default_options, "platform": "Reference"}
    _current_snapshot: Any
    evaluations = 0
    """Force evaluations so far"""

    def initialize(self, platform: Any = None) -> None:
        """As OpenPathSampling calls it; on the run's platform."""
        super().initialize(platform or self.options["platform"])

    @classmethod
    def from_dict(cls, dct: dict[str, Any]) -> "WholeStepEngine":
        """What OpenPathSampling stored."""
        plain = engines.Engine.from_dict({**dct, "options": {k: v for k, v in dct["options"].items() if k != "platform"}})
        return cls(plain.topology, plain.system, plain.integrator, dct["properties"], dct["options"])

    def _half_kick(self) -> np.ndarray:
        self.evaluations += 1
        context = self.simulation.context
        force = context.getState(forces=True).getForces(asNumpy=True)._value
        return np.asarray(0.5 * self.integrator.getStepSize()._value * inverse_masses(context) * force)

    def snapshot(self, positions: np.ndarray, velocities: np.ndarray) -> Any:
        """OpenPathSampling's object of positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps, at a whole step."""
        box = self.simulation.context.getState().getPeriodicBoxVectors(asNumpy=True)
        return engines.Snapshot.construct(coordinates=positions * LENGTH, box_vectors=box, velocities=velocities * SPEED, engine=self)

    @property
    def current_snapshot(self) -> Any:
        """What the context holds."""
        if self._current_snapshot is None:
            state = self.simulation.context.getState(positions=True, velocities=True)
            positions, velocities = state.getPositions(asNumpy=True)._value, state.getVelocities(asNumpy=True)._value
            self._current_snapshot = self.snapshot(positions, velocities + self._half_kick())
        return self._current_snapshot

    @current_snapshot.setter
    def current_snapshot(self, snapshot: Any) -> None:
        if snapshot is self._current_snapshot:
            return
        context = self.simulation.context
        context.setPositions(snapshot.coordinates)
        if snapshot.box_vectors is not None:
            context.setPeriodicBoxVectors(*snapshot.box_vectors)
        context.setVelocities(snapshot.velocities - self._half_kick() * SPEED)
        self._current_snapshot = snapshot

    def generate_next_frame(self) -> Any:
        """The snapshot so many steps later."""
        self.evaluations += self.n_steps_per_frame
        return super().generate_next_frame()


class StateVolume(openpathsampling.Volume):  # type: ignore[misc]
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


@dataclass(frozen=True)
class PathSampling:
    """What OpenPathSampling starts from."""

    engine: WholeStepEngine
    trajectory: Any
    """openpathsampling.Trajectory from A to B, only its ends in the states: `TransitionPath.name` is `name`"""
    name: str
    a: StateVolume
    b: StateVolume
    network: Any = field(repr=False)
    """openpathsampling.TPSNetwork from A to B"""


def to_openpathsampling(folder: str | Path, path: str | None = None, *, seed: int = 1) -> PathSampling:
    """An initial trajectory, engine, states and network of a run.

    path: a name of transitions.csv; the heaviest unbiased path, or else the first that connects, where None. Of a path that stays in its
    states for a while, the piece between is taken. Snapshots are as far apart as the path's frames, with velocities at whole steps, which
    take one evaluation each. seed: of the engine. Raises SpacetimeError where no path connects the states, or nothing lies between them.
    """
    results, problem = Results(RunData.of(folder)), preparation.load(Path(folder))
    chosen = results.paths[path] if path is not None else representative(results.paths)
    if chosen is None:
        raise SpacetimeError(f"{folder} holds no path that connects its states")
    engine = engine_of(problem, stride=_stride(problem, chosen), longest=_longest(results, problem, chosen), seed=seed)
    a, b = volumes(problem)
    trajectory = trajectory_of(problem, engine, chosen)
    return PathSampling(engine, trajectory, chosen.name, a, b, openpathsampling.TPSNetwork(a, b))


def engine_of(problem: Problem, *, stride: int, longest: int, seed: int) -> WholeStepEngine:
    """The dynamics of a run: a snapshot every `stride` steps, `longest` snapshots of a trajectory at most."""
    system, integrator = langevin(problem.model, seed=seed)
    platform = problem.model.platform
    return WholeStepEngine(
        engines.topology.MDTrajTopology(mdtraj.Topology.from_openmm(problem.start.topology)), system, integrator,
        {"Threads": "1"} if platform == "CPU" else {}, {"n_steps_per_frame": stride, "n_frames_max": longest, "platform": platform},
    )  # fmt: skip


def volumes(problem: Problem) -> tuple[StateVolume, StateVolume]:
    """A and B."""
    structures = {"start.pdb": problem.start.positions.tolist(), "end.pdb": problem.end.positions.tolist()}
    a, b = (
        StateVolume(label, list(boxes), problem.model.cell, structures if any("rmsd" in box for box in boxes) else {}).named(label)
        for label, boxes in zip("AB", problem.boxes, strict=True)
    )
    return a, b


def trajectory_of(problem: Problem, engine: WholeStepEngine, path: TransitionPath) -> Any:
    """A path's piece between the states as an openpathsampling.Trajectory, velocities at whole steps."""
    piece = between(path.states, path.name)
    positions = path.positions[piece]
    velocities, evaluations = whole_step_velocities(problem.model, positions, path.velocities[piece], path.velocity_offsets[piece])
    engine.evaluations += evaluations
    return openpathsampling.Trajectory([engine.snapshot(x, v) for x, v in zip(positions.astype(float), velocities, strict=True)])


def between(states: np.ndarray, name: str) -> slice:
    """From the last frame in one state to the next in the other. states (F,): "A", "B" or "". Raises SpacetimeError where there is no such
    piece with frames between."""
    inside = np.flatnonzero(states != "")
    for first, last in zip(inside[:-1].tolist(), inside[1:].tolist(), strict=True):
        if states[first] != states[last] and last > first + 1:
            return slice(first, last + 1)
    raise SpacetimeError(f"the path {name} has no frames between A and B")


def _stride(problem: Problem, path: TransitionPath) -> int:
    return round(float(path.times[1] - path.times[0]) / problem.model.timestep)


def _longest(results: Results, problem: Problem, path: TransitionPath) -> int:
    return int(results.settings["unbiased"]["longest"]) // _stride(problem, path)


def write_storage(folder: str | Path, out: Path) -> list[Path]:
    """Every path that connects, with engine, states and network, as OpenPathSampling's storage OUT/paths.nc; OUT/paths.csv has the weights.

    A path is found by its name, `storage.tags["unbiased_..."]`.
    """
    results, problem = Results(RunData.of(folder)), preparation.load(Path(folder))
    start, rows = to_openpathsampling(folder), []
    out.mkdir(parents=True, exist_ok=True)
    file = out / "paths.nc"
    storage = openpathsampling.Storage(str(file), "w")
    for path in results.paths.select(hit=True):
        try:
            trajectory = trajectory_of(problem, start.engine, path)
        except SpacetimeError:  # nothing of it between the states
            continue
        storage.save(trajectory)
        storage.tags[path.name] = trajectory
        rows.append((path.name, path.stage, path.weight))
    storage.save(start.network)
    storage.sync()
    storage.close()
    write_csv(out / "paths.csv", ("path", "stage", "weight"), rows)
    return [file, out / "paths.csv"]


def from_openpathsampling(trajectories: str | Path | Iterable[Any], run: str | Path, out: str | Path) -> Path:
    """A run folder that `report`, `compare` and `spacetime_tps.open` read, from a storage file, or trajectories, of OpenPathSampling.

    run: the folder whose molecule, states and curves they belong to; `out` is like it but for its paths, which are these, of the stage
    "openpathsampling". Of a storage with Monte Carlo steps, each path weighs as many steps as it was the present one. Paths from B to A are
    turned in time. Every frame's energy is evaluated anew. Raises SpacetimeError where `out` is not empty, or nothing connects A and B.
    """
    run, out = Path(run), Path(out)
    if out.exists() and any(out.iterdir()):
        raise SpacetimeError(f"{out} is not empty; choose another folder")
    source, problem = RunData.of(run), preparation.load(run)
    potential = Potential(problem.model)
    found = [
        (frames, weight) for trajectory, weight in _weighted(trajectories)
        if (frames := _frames(trajectory, problem, potential)) is not None
    ]  # fmt: skip
    if not found:
        raise SpacetimeError("none of the trajectories connects A and B, with only its ends in them")
    for file in {file for pattern in TAKEN for file in run.glob(pattern) if file.is_file()}:
        (out / file.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, out / file.relative_to(run))
    rows = [_keep(problem, Folder(out), k, frames, weight) for k, (frames, weight) in enumerate(found)]
    write_transitions(Folder(out), rows)
    Folder(out).put_record("summary.json", _summary(source.summary, rows, potential.evaluations))
    write_report(out)
    return out


def _weighted(trajectories: str | Path | Iterable[Any]) -> Iterator[tuple[Any, float]]:
    """Trajectories with their weights; a storage is open while they are read."""
    if not isinstance(trajectories, str | Path):
        yield from ((trajectory, 1.0) for trajectory in trajectories)
        return
    if not Path(trajectories).is_file():
        raise SpacetimeError(f"{trajectories}: there is no such file")
    storage = openpathsampling.Storage(str(trajectories), "r")
    try:
        yield from _steps(storage) if len(storage.steps) else ((trajectory, 1.0) for trajectory in storage.trajectories)
    finally:
        storage.close()


def _steps(storage: Any) -> list[tuple[Any, float]]:
    """The present path of each Monte Carlo step, once, with the number of steps that it stayed."""
    found: list[tuple[Any, float]] = []
    for step in storage.steps:
        present = step.active[0].trajectory
        if found and found[-1][0].__uuid__ == present.__uuid__:
            found[-1] = (present, found[-1][1] + 1.0)
        else:
            found.append((present, 1.0))
    return found


def _frames(trajectory: Any, problem: Problem, potential: Potential) -> Frames | None:
    """A trajectory as frames from A to B; None where it does not connect them, or has more than its ends in them."""
    positions, velocities = (np.array([getattr(s, of)._value for s in trajectory], np.float32) for of in ("coordinates", "velocities"))
    states = _labels(problem, positions)
    if set(states[[0, -1]]) != {"A", "B"} or (states[1:-1] != "").any():
        return None
    engine = trajectory[0].engine
    spacing = engine.n_steps_per_frame * problem.model.timestep
    energies = np.array([potential(x.astype(float))[0] for x in positions])
    count = len(positions)
    frames = Frames(
        positions, velocities, spacing * np.arange(count), energies, np.zeros(count, dtype=int), 0, True,
        np.zeros(count) if isinstance(engine, WholeStepEngine) else None,
    )  # fmt: skip
    return frames if states[0] == "A" else time_reversed(frames)


def _labels(problem: Problem, positions: np.ndarray) -> np.ndarray:
    a, b = (state.contains(positions) for state in (problem.a, problem.b))
    return np.where(a, "A", np.where(b, "B", ""))


def _keep(problem: Problem, folder: Folder, number: int, frames: Frames, weight: float) -> Transition:
    name = f"{STAGE}_{number:05d}"
    file, highest = keep_path(folder, problem, name, frames)
    way = problem.coordinates.way_of(problem.coordinates.values(frames.positions), *problem.ends)
    return Transition(name, STAGE, "ok", 1, highest, None, len(frames), 0, 0, weight, way, file)


def _summary(source: dict[str, Any], rows: Sequence[Transition], evaluations: int) -> dict[str, Any]:
    """The source's, with these paths instead of its own."""
    spent = {name: count for name, count in source["evaluations"].items() if name not in MADE_BY_PATHS} | {"energies of paths": evaluations}

    def told(mine: Sequence[Transition]) -> dict[str, Any]:
        return paths_summary([row for row in mine for _ in range(round(row.weight or 1.0))], np.zeros(0))

    return {
        **source, "failed": None, "avoid": None, "unbiased": None, "embedded_reference": None, "reverse": {}, "work": {},
        "stages": {STAGE: told(rows)},
        "by_route": {STAGE: {route: told([row for row in rows if row.route == route]) for route in dict.fromkeys(r.route for r in rows)}},
        "evaluations": {**spent, "total": sum(spent.values())}, "baseline_evaluations": {},
    }  # fmt: skip
