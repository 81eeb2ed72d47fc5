"""To OpenPathSampling and back: a path, states and network from a run folder; a run folder from trajectories. Needs the `ops` extra.

Import this module before a storage that it wrote is opened: OpenPathSampling finds the classes in it by their names.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import openpathsampling

from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.engines.openmm.open_path_sampling import StateVolume, WholeStepEngine, engine_of, volumes
from spacetime_tps.engines.openmm.whole_steps import whole_step_velocities
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import set_up
from spacetime_tps.files import write_csv
from spacetime_tps.paths.transition import SUMMARY, Transition, keep_path, write_transitions
from spacetime_tps.pipeline.explored import copy_explored
from spacetime_tps.pipeline.summary import of_exploration, paths_summary
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.problem import Problem
from spacetime_tps.report.data import RunData
from spacetime_tps.report.page import write_report
from spacetime_tps.results.paths import TransitionPath
from spacetime_tps.results.results import Results
from spacetime_tps.seeds import seed_of
from spacetime_tps.stages.records import FILE
from spacetime_tps.states.ends import IN_A, IN_B, met
from spacetime_tps.states.transitions import crossings, places
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, at_whole_steps, time_reversed

STAGE = "openpathsampling"


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

    path: a name of transitions.csv; that of `Paths.representative` where None. Of a path that stays in its
    states for a while, the piece between is taken. Snapshots are as far apart as the path's frames, with velocities at whole steps. seed:
    of the engine. Raises SpacetimeError where no path connects the states, or nothing lies between them.
    """
    results, problem = Results(RunData.of(folder)), preparation.load(Path(folder))
    chosen = results.paths[path] if path is not None else results.paths.representative()
    if chosen is None:
        raise SpacetimeError(f"{folder} holds no path that connects its states")
    engine = engine_of(
        problem.model, problem.start.topology, stride=_stride(problem, chosen), longest=_longest(results, problem, chosen),
        seed=seed_of(seed, "openpathsampling", 0),
    )  # fmt: skip
    a, b = volumes(problem.boxes, problem.model.cell, *(s.positions for s in (problem.start, problem.end)))
    trajectory = trajectory_of(problem, engine, chosen)
    return PathSampling(engine, trajectory, chosen.name, a, b, openpathsampling.TPSNetwork(a, b))


def trajectory_of(problem: Problem, engine: WholeStepEngine, path: TransitionPath) -> Any:
    """A path's piece between the states as an openpathsampling.Trajectory from A to B, velocities at whole steps; one from B to A is turned
    in time."""
    piece = between(path.places, path.name)
    positions = path.positions[piece]
    velocities, _ = whole_step_velocities(problem.model, positions, path.velocities[piece], path.velocity_offsets[piece])
    if path.places[piece.start] == IN_B:
        positions, velocities = positions[::-1], -velocities[::-1]
    return engine.trajectory(positions, velocities)


def between(place: np.ndarray, name: str) -> slice:
    """The first piece of a path from one state to the other. place (F,): states.ends. Raises SpacetimeError where there is none with frames
    between."""
    for piece in crossings(place):
        if piece.stop - piece.start > 2:
            return piece
    raise SpacetimeError(f"the path {name} has no frames between A and B")


def _stride(problem: Problem, path: TransitionPath) -> int:
    return round(float(path.times[1] - path.times[0]) / problem.model.timestep)


def _longest(results: Results, problem: Problem, path: TransitionPath) -> int:
    return results.settings.unbiased.longest // _stride(problem, path)


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
    turned in time; those in which the molecule does not stay what it was are left out. Every frame's energy is evaluated anew. Raises
    SpacetimeError where `out` is not empty, or nothing connects A and B.
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
    copy_explored(run, out)
    Folder(out).remove(FILE)
    rows = [_keep(problem, Folder(out), k, frames, weight) for k, (frames, weight) in enumerate(found)]
    write_transitions(Folder(out), rows)
    Folder(out).put_record(SUMMARY, _summary(source.summary, rows, potential.evaluations))
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
    """A trajectory as frames from A to B; None where it does not connect them, or has more than its ends in them, or the molecule did not
    stay what it was."""
    positions, velocities = (np.array([getattr(s, of)._value for s in trajectory], np.float32) for of in ("coordinates", "velocities"))
    place = places(positions, problem.a, problem.b)
    if {int(place[0]), int(place[-1])} != {IN_A, IN_B} or met(place[1:-1]).any():
        return None
    engine = trajectory[0].engine
    step = engine.integrator.getStepSize()._value
    if not np.isclose(step, problem.model.timestep):
        raise SpacetimeError(f"the trajectories are of steps of {1e3 * step:g} fs, the run's of {1e3 * problem.model.timestep:g} fs")
    spacing = engine.n_steps_per_frame * step
    energies = np.array([potential(x.astype(float))[0] for x in positions])
    frames = at_whole_steps(positions, velocities, energies, spacing=spacing)
    if not isinstance(engine, WholeStepEngine):
        frames = replace(frames, velocity_offset=None)
    found = frames if place[0] == IN_A else time_reversed(frames)
    return found if problem.connects(found.positions) else None


def _keep(problem: Problem, folder: Folder, number: int, frames: Frames, weight: float) -> Transition:
    name = f"{STAGE}_{number:05d}"
    file, highest = keep_path(folder, problem, name, frames)
    way = problem.way_of(frames.positions)
    return Transition(name, STAGE, "ok", 1, highest, None, len(frames), 0, 0, weight, way, file)


def _summary(source: dict[str, Any], rows: Sequence[Transition], evaluations: int) -> dict[str, Any]:
    """That of the source's exploration, with these paths."""
    spent = set_up(source["evaluations"]) | {"energies of paths": evaluations}
    routes = {route: [row for row in rows if row.route == route] for route in dict.fromkeys(row.route for row in rows)}

    return {
        **of_exploration(source), "failed": None, "avoid": None, "unbiased": None, "embedded_reference": None, "reverse": {}, "work": {},
        "stages": {STAGE: paths_summary(rows)},
        "by_route": {STAGE: {route: paths_summary(mine) for route, mine in routes.items()}},
        "evaluations": {**spent, "total": sum(spent.values())}, "baseline_evaluations": {},
    }  # fmt: skip
