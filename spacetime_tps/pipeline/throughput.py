"""How much of OpenMM's raw speed the sampling of a guided path keeps, as a ratio of two timings taken side by side in one process."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.pipeline import prepared as preparation
from spacetime_tps.pipeline.artifacts import read_curves
from spacetime_tps.pipeline.settings import validated
from spacetime_tps.pipeline.transitions import store_path
from spacetime_tps.sampling.guided import schedule


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
    prepared = preparation.load(folder)
    curves = read_curves(folder)
    if not curves:
        raise SpacetimeError(f"{folder} holds no geodesic yet: finish the run first")
    curve, settings = curves[0], validated(yaml.safe_load((folder / "config.yaml").read_text())["settings"]).guided
    model = prepared.model
    bias = CurveBias(prepared.coordinates)
    dynamics, bare = Dynamics(model, bias), Dynamics(model, bias)
    bare.begin(1, prepared.start.positions, parameters=curve.eta[0])
    guided, raw = [], []
    curve = replace(curve, eta=schedule(curve.eta, settings.points, settings.steps_per_point))
    for index in range(pairs):
        task = Walk(bias, curve.eta, settings.steps_per_point, settings.stride, index + 1, curve.positions[index].astype(float))
        begin = time.perf_counter()
        frames = dynamics.walk(task)
        store_path(scratch, prepared, "guided", curve, index, task.seed, frames)
        steps = frames.evaluations
        middle = time.perf_counter()
        bare.integrator.step(steps)
        bare.context.getState(energy=True)  # waits for a GPU
        guided.append(steps / (middle - begin))
        raw.append(steps / (time.perf_counter() - middle))
    return Throughput(np.array(guided), np.array(raw))
