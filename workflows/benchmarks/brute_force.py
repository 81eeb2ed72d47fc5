"""Unbiased transitions by brute force, where it can be had: long trajectories of a hot molecule, cut where they cross."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.engines.openmm.dynamics import FREE, Walk
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json
from spacetime_tps.paths.transition import Transition, keep_path, write_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.config import write_config
from spacetime_tps.problems.problem import Problem
from spacetime_tps.problems.system import SystemSpec
from spacetime_tps.progress import Progress
from spacetime_tps.sampling.residence import residence
from spacetime_tps.seeds import seed_of
from spacetime_tps.settings import Settings
from spacetime_tps.states.transitions import transitions
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, joined, part

STAGE = "brute_force"
WALKERS = 8
SEGMENT = 500_000
STRIDE = 25


class _Walker:
    """One long trajectory, a segment at a time."""

    def __init__(self, problem: Problem, index: int):
        self.problem, self.index = problem, index
        self.integrity = problem.integrity
        self.segments = 0
        self.frames_from = np.zeros(2, dtype=int)
        """Frames of a whole molecule so far that come from A, and from B"""
        self.frames_in = np.zeros(2, dtype=int)
        """Those that are in A, and in B"""
        self._restart()

    def _restart(self) -> None:
        self.open: Frames | None = None
        self.positions, self.velocities = self.problem.start.positions, None

    def task(self, seed: int) -> Walk:
        """The next segment."""
        number = seed_of(seed, f"{STAGE}_{self.index}", self.segments)
        return Walk(None, FREE, SEGMENT, STRIDE, number, self.positions, self.velocities)

    def take(self, frames: Frames) -> tuple[list[Frames], int]:
        """The whole transitions that a segment completes, and how many more were made by a molecule that is no longer what it was.

        A trajectory whose molecule has turned an amide bond or a chiral centre begins anew, from the start structure.
        """
        self.segments += 1
        new = frames if self.open is None else part(frames, slice(1, None))
        pieces = [new] if self.open is None else [self.open, new]
        a, b = self.problem.a, self.problem.b
        whole = new.positions[self.integrity.holds(new.positions)]
        self.frames_in += [int(state.contains(whole).sum()) for state in (a, b)]
        stretch = joined(pieces, spacing=STRIDE * self.problem.model.timestep)
        before = (0, 0) if self.open is None else self._residence(self.open)
        self.frames_from += np.subtract(self._residence(stretch), before)
        found, self.open = transitions(stretch, a, b)
        kept = [f for f in found if self.integrity.holds(f.positions).all()]
        self.positions, self.velocities = frames.positions[-1].astype(float), frames.velocities[-1].astype(float)
        if not self.integrity.holds(frames.positions[-1:]).all():
            self._restart()
        return kept, len(found) - len(kept)

    def _residence(self, frames: Frames) -> tuple[int, int]:
        return residence(frames, self.problem.a, self.problem.b, self.integrity.holds(frames.positions))


def populations(frames: np.ndarray) -> dict[str, float] | None:
    """F_B - F_A, kT, from the frames (walkers, 2) in A and in B of trajectories that cross by themselves; its error leaves out one walker
    after another (jackknife). None where one walker alone has been in a state."""
    total, count = frames.sum(axis=0), len(frames)
    if not (total > frames).all():
        return None
    without = np.log((total - frames)[:, 0] / (total - frames)[:, 1])
    error = float(np.sqrt((count - 1) * without.var()))
    return {"value": float(np.log(total[0] / total[1])), "standard_error": error}


def run_brute_force(spec: SystemSpec, out: Path, *, count: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Run until `count` transitions are there, those from B to A turned in time included; write a run folder of them.

    Raises SpacetimeError where the folder is in use, or where a sweep of all trajectories is unstable.
    """
    if out.exists() and any(out.iterdir()):
        raise SpacetimeError(f"{out} is not empty; choose another --out")
    begin = time.perf_counter()
    settings, storage = Settings(seed=seed), Folder(out)
    problem = preparation.prepare(spec)
    preparation.save(problem, out)
    problem = preparation.load(out)
    write_config(out, spec, settings)
    walkers = [_Walker(problem, index) for index in range(WALKERS)]
    rows: list[Transition] = []
    broken = evaluations = 0
    with Workers(problem.model) as workers:
        while len(rows) < count:
            tasks = [walker.task(seed) for walker in walkers]
            with progress.task(f"{len(rows)} transitions", WALKERS * SEGMENT) as advance:
                for walker, task, frames in zip(walkers, tasks, workers.walks(tasks), strict=True):
                    if not frames.stable:
                        raise SpacetimeError("brute force is unstable at this temperature: there is no reference here")
                    found, lost = walker.take(frames)
                    broken += lost
                    evaluations += frames.evaluations
                    advance(frames.evaluations)
                    for path in found:
                        name = f"{STAGE}_{len(rows):05d}"
                        path = replace(path, time=path.time - path.time[0])
                        file, highest = keep_path(storage, problem, name, path)
                        way = problem.coordinates.way_of(problem.coordinates.values(path.positions), *problem.ends)
                        steps = STRIDE * (len(path) - 1)
                        rows.append(Transition(name, STAGE, "ok", 1, highest, None, len(path), steps, task.seed, 1.0, way, file))
            write_transitions(storage, rows)
    time_from = np.sum([w.frames_from for w in walkers], axis=0) * STRIDE * problem.model.timestep
    counted = {"preparation": problem.evaluations}
    summary = {
        "system": spec.name, "temperature_K": spec.temperature_K, "platform": problem.model.platform, "seed": seed,
        "transitions": len(rows), "transitions_of_a_broken_molecule_left_out": broken,
        "by_route": {way: sum(r.route == way for r in rows) for way in sorted({r.route for r in rows})},
        "free_energy_difference_kT": populations(np.array([w.frames_in for w in walkers])),
        "time_from_A_ps": float(time_from[0]), "time_from_B_ps": float(time_from[1]),
        "evaluations": {**counted, "total": sum(counted.values())}, "baseline_evaluations": {STAGE: evaluations},
        "wall_seconds": {STAGE: time.perf_counter() - begin},
    }  # fmt: skip
    write_json(out / "summary.json", summary)
    return summary
