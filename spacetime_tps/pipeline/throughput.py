"""How much of OpenMM's raw speed the sampling of a guided path keeps, as a ratio of two timings taken side by side in one process."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spacetime_tps.engines.openmm.dynamics import Dynamics
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import GEODESIC, frames_file
from spacetime_tps.methods.driving import Driven, schedule, walks_along
from spacetime_tps.methods.guided import Guided
from spacetime_tps.problems import problem as preparation
from spacetime_tps.settings import settings_of
from spacetime_tps.stages.paths import judged
from spacetime_tps.storage.folder import Folder

GUIDED = Guided()


@dataclass(frozen=True)
class Throughput:
    """Steps per second of guided paths and of integrator.step alone, pair by pair."""

    guided: np.ndarray
    raw: np.ndarray

    @property
    def ratio(self) -> float:
        """The median over pairs of guided over raw."""
        return float(np.median(self.guided / self.raw))


def measure(folder: Path, scratch: Path, *, pairs: int) -> Throughput:
    """Time `pairs` guided paths, each beside as many bare steps of the same System with its restraint, in this process.

    A guided path is timed whole: dynamics, frames, judgement, and its files, which go to the folder `scratch`.
    """
    problem = preparation.load(folder)
    storage = Folder(folder)
    if not storage.has(frames_file(1)):
        raise SpacetimeError(f"{folder} holds no geodesic yet: finish the run first")
    pace = GUIDED.pace(settings_of(folder))
    positions, velocities = storage.frames(frames_file(1))
    starts = np.resize(np.flatnonzero(problem.a.contains(positions)), pairs)
    eta = schedule(problem.coordinates.family(), storage.arrays(GEODESIC)["eta"], pace.points, pace.steps_per_point)
    tasks = walks_along(
        problem.coordinates, eta, steps_per_point=pace.steps_per_point, stride=pace.stride, seeds=range(1, pairs + 1),
        positions=positions[starts], velocities=velocities[starts],
    )  # fmt: skip
    model, kept = problem.model, Folder(scratch)
    dynamics, bare = (Dynamics(model, tasks[0].bias) for _ in range(2))
    bare.begin(1, problem.start.positions, parameters=eta[0])
    guided, raw = [], []
    for index, task in enumerate(tasks):
        begin = time.perf_counter()
        frames = dynamics.walk(task)
        judged(kept, problem, GUIDED, f"guided_{index:04d}", "best", Driven(task.seed, frames, eta[frames.point]))
        steps = frames.evaluations
        middle = time.perf_counter()
        bare.integrator.step(steps)
        bare.context.getState(energy=True)  # waits for a GPU
        guided.append(steps / (middle - begin))
        raw.append(steps / (time.perf_counter() - middle))
    return Throughput(np.array(guided), np.array(raw))
