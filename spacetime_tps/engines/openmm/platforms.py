"""Which OpenMM platform is fastest for this molecule is timed, not guessed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import openmm

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, Walk
from spacetime_tps.errors import SpacetimeError

WARM_UP, TRIAL_STEPS, REPEATS = 20, 100, 5
HOPELESS = 5.0
"""A platform this many times slower than the best one is given up after its first stretch."""


def available() -> list[str]:
    """Names of the platforms of this installation."""
    return [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]


def check(name: str) -> str:
    """The name itself; raises SpacetimeError when there is no such platform."""
    if name not in available():
        raise SpacetimeError(f"there is no OpenMM platform {name!r} here; there are {', '.join(available())}")
    return name


def fastest(
    model: Model, coordinates: Coordinates, positions: np.ndarray, candidates: Sequence[str] | None = None
) -> tuple[str, float, int]:
    """Time restrained dynamics on each candidate (default: all): (best platform, its steps per second, evaluations spent).

    A platform's rate is that of the fastest of `REPEATS` stretches: on a busy machine a single one says little.
    """
    bias = CurveBias(coordinates)
    rates: dict[str, float] = {}
    spent = 0
    for name in candidates or available():
        try:
            dynamics = Dynamics(replace(model, platform=name), bias)
        except openmm.OpenMMException:  # a GPU platform can be installed where no GPU is
            continue
        rates[name] = 0.0
        for steps in (WARM_UP, *[TRIAL_STEPS] * REPEATS):
            task = Walk(bias, np.zeros((1, coordinates.dimension)), steps, steps, seed=1, positions=positions)
            begin = time.perf_counter()
            spent += dynamics.walk(task).evaluations
            rates[name] = max(rates[name], steps / (time.perf_counter() - begin))  # whatever else runs here only slows it down
            if steps > WARM_UP and rates[name] * HOPELESS < max(rates.values()):
                break
    return *quickest(rates), spent


def quickest(rates: Mapping[str, float]) -> tuple[str, float]:
    """The platform with the highest rate, and its rate. Raises SpacetimeError where there is none."""
    if not rates:
        raise SpacetimeError("no OpenMM platform could run the molecule")
    best = max(rates, key=rates.__getitem__)
    return best, rates[best]
