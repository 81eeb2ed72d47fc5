"""The unbiased transition path ensemble of a molecule: its paths with weights, its shots, its transition states and its averages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.paths.transition import Transition, file_of, read_transitions, replace_transitions
from spacetime_tps.problems.problem import Problem
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.states.ends import IN_A, IN_B
from spacetime_tps.storage.protocol import Row, Storage, as_row
from spacetime_tps.trajectories.frames import Frames, snapshots, thinned
from spacetime_tps.unbiased.averages import averages, counts, path_density
from spacetime_tps.unbiased.committors import (
    CommittorTrials,
    committor_columns,
    committor_rows,
    shoot_again,
    shooting_points,
    transition_states,
    tried_again,
)
from spacetime_tps.unbiased.engine import OpenMMShooting
from spacetime_tps.unbiased.names import STAGE, batch_name, batch_of, site_of, walk_name, walker_of
from spacetime_tps.unbiased.routes import route_frames
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.unbiased.verdict import against
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window

OUTCOME = {IN_A: "A", IN_B: "B"}
SHOT_COLUMNS = ("shot", "purpose", "crossing", "window_variable", "window_center", "window_stiffness", "walk", "frame", "seed", "first",
                "forward", "backward", "evaluations", "path", "weight")  # fmt: skip
SHOT_TEXT = ("shot", "purpose", "window_variable", "walk", "forward", "backward", "path")
"""Those that hold text"""
RECORD, DENSITY, SHOTS_TABLE, COMMITTORS, STATES = (
    "samples/unbiased.json", "samples/path_density.npz", "shots.csv", "committor.csv", "transition_states.trr"
)  # fmt: skip


@dataclass(frozen=True)
class Unbiased:
    """The value of the unbiased stage."""

    rows: list[Transition]
    """Reactive paths with their weights, which sum to their number"""
    shots: list[Row]
    """Every shot (`SHOT_COLUMNS`), those for committors alone included"""
    committors: list[Row]
    """A shooting point each"""
    states: Frames | None
    """Transition states, those nearest to one half first; None where there are none"""
    density: dict[str, np.ndarray]
    """(averages.path_density)"""
    record: dict[str, Any]
    """Averages, counts and costs as plain data"""

    @property
    def walker(self) -> np.ndarray:
        """(paths,) which walker each path is from: paths of one are not independent."""
        walk = {shot["path"]: shot["walk"] for shot in self.shots if shot["path"]}
        return np.array([walker_of(walk[row.path]) for row in self.rows])

    def save(self, storage: Storage, problem: Problem) -> None:
        """The rows of transitions.csv, shots.csv, committor.csv, transition_states.trr, samples/path_density.npz and unbiased.json."""
        replace_transitions(storage, STAGE, self.rows)
        storage.put_table(SHOTS_TABLE, SHOT_COLUMNS, [tuple(row.values()) for row in self.shots])
        storage.put_table(COMMITTORS, committor_columns(problem.coordinates), [tuple(row.values()) for row in self.committors])
        storage.remove(STATES)
        if self.states is not None:
            storage.put_frames(STATES, self.states, timestep=1.0, cell=problem.model.cell)
        storage.put_arrays(DENSITY, self.density)
        storage.put_record(RECORD, self.record)

    @staticmethod
    def load(storage: Storage) -> "Unbiased":
        """Read what `save` wrote."""
        states = snapshots(*storage.frames(STATES)) if storage.has(STATES) else None
        rows = [r for r in read_transitions(storage) if r.stage == STAGE]
        return Unbiased(
            rows, storage.table(SHOTS_TABLE), storage.table(COMMITTORS), states, storage.arrays(DENSITY), storage.record(RECORD)
        )


def sample_unbiased(
    problem: Problem, simulation: Simulation, sampled: Sampled, settings: UnbiasedSettings, *, seed: int, stride: int
) -> Unbiased:
    """Shoot from the tops of the sampled routes until the wanted effective number is there or the budget is spent.

    Batches that the storage keeps are used. stride: steps between the frames of `sampled.in_a`. Raises SpacetimeError where nothing is
    reactive, or free energies cannot be linked.
    """
    engine = OpenMMShooting(problem, simulation, settings, seed=seed)
    apart = [sampled.record["routes"][rank - 1]["forward_backward_kT"] for rank in sampled.ranks]
    routes = [
        route_frames(curve, problem, engine.integrity.holds(curve.positions), disagreement=kT)
        for curve, kT in zip(sampled.curves, apart, strict=True)
    ]
    again = int(CommittorTrials.read(simulation.storage).evaluations.sum())
    sampler = ShotSampler(engine, settings, seed=seed, say=simulation.progress.say, again=again)
    coordinates = problem.coordinates
    ensemble = sampler.sample(routes, coordinates.separating(*problem.boxes), chosen=chosen(coordinates, settings.variable))
    scale = len(ensemble.weight) / ensemble.weight.sum()
    weight = iter((scale * ensemble.weight).tolist())
    rows: list[Transition] = []
    shots: list[Sequence[Any]] = []
    held: dict[str, Window] = {}
    for number, site in enumerate(ensemble.sites):
        for count, batch in enumerate(site.batches):
            mine = _rows(batch, weight)
            rows += mine.values()
            shots += _shots(batch, batch_name(number, count), mine)
            held[batch_name(number, count)] = batch.window
    points = shooting_points(ensemble, coordinates)
    trials = shoot_again(ensemble, points, problem, simulation, settings, seed=seed)
    fresh = tried_again(points, trials)
    states = transition_states(points, fresh, simulation.storage)
    paths = [coordinates.values(simulation.storage.frames(row.file)[0]) for row in rows]
    in_a = [thinned(run, settings.stride // stride) for run in sampled.in_a]
    record = {
        **counts(ensemble, settings, committor_evaluations=int(trials.evaluations.sum())),
        **averages(ensemble, paths, problem, in_a, settings, seed=seed),
        "transition_states": len(states),
    }  # fmt: skip
    record["not_an_ensemble_because"] = against(record)
    columns = committor_columns(coordinates)
    return Unbiased(
        rows, [as_row(SHOT_COLUMNS, row) for row in (*shots, *_more_shots(trials, held))],
        [as_row(columns, row) for row in committor_rows(points, fresh)],
        states if len(states) else None, path_density(paths, ensemble.weight, coordinates), record,
    )  # fmt: skip


def chosen(coordinates: Coordinates, name: str) -> Variable | None:
    """The value of that name, as a variable; None for no name. Raises SpacetimeError where there is none of it."""
    if name and name not in coordinates.names:
        raise SpacetimeError(f"unbiased.variable: there is no coordinate {name!r}; there are {', '.join(coordinates.names)}")
    return coordinates.variable(name) if name else None


def _rows(batch: Batch, weight: Iterator[float]) -> dict[int, Transition]:
    """The batch's paths as rows of transitions.csv, by their shot."""
    return {
        int(shot): Transition(
            str(batch.path_name[k]), STAGE, "ok", 1, float(batch.path_max_energy[k]), None, int(batch.path_frames[k]),
            int(batch.shot_evaluations[shot]), int(batch.shot_seed[shot]), next(weight), str(batch.path_way[k]),
            file_of(str(batch.path_name[k])),
        )
        for k, shot in enumerate(batch.path_shot)
    }  # fmt: skip


def _shots(batch: Batch, name: str, rows: dict[int, Transition]) -> list[Sequence[Any]]:
    """The batch's shots as rows of shots.csv; weight 0 where a shot is not reactive."""
    purpose, place = "pilot" if batch.pilot else "ensemble", _place(batch.window)
    found: list[Sequence[Any]] = []
    for k in range(len(batch.shot_point)):
        path = rows.get(k)
        ends = (OUTCOME.get(int(e), "none") for e in (batch.shot_forward[k], batch.shot_backward[k]))
        point = int(batch.shot_point[k])
        frame = int(batch.point_frame[point])
        found.append((
            f"{name}_{k:04d}", purpose, batch.crossing, *place, walk_name(name, batch.point_walk[point]), frame, int(batch.shot_seed[k]),
            int(batch.shot_first[k]), *ends, int(batch.shot_evaluations[k]), path.path if path else "", path.weight if path else 0.0,
        ))  # fmt: skip
    return found


def _place(window: Window) -> tuple[str, float, float]:
    return window.variable.name, round(window.place, 3), window.stiffness


def _more_shots(trials: CommittorTrials, held: dict[str, Window]) -> list[Sequence[Any]]:
    """Shots for committors alone, as rows of shots.csv. held: the window of each batch's walks."""
    columns = (trials.walk, trials.frame, trials.seed, trials.first, trials.forward, trials.backward, trials.evaluations)
    rows: list[Sequence[Any]] = []
    for k, (walk, frame, seed, first, forward, backward, evaluations) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        ends = (OUTCOME.get(forward, "none"), OUTCOME.get(backward, "none"))
        place = (site_of(walk), *_place(held[batch_of(walk)]))
        rows.append((f"committor_{k:04d}", "committor", *place, walk, frame, seed, first, *ends, evaluations, "", 0.0))
    return rows
