"""Which OpenMM platform is fastest for this molecule is timed, not guessed."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import openmm

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, Walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.forcefield import deserialised

WARM_UP, TRIAL_STEPS, REPEATS = 20, 100, 5
MOST_FOR_REFERENCE = 1000
"""Particles"""
HOPELESS = 5.0
"""A platform this many times slower than the best one is given up."""


def available() -> list[str]:
    """Names of the platforms of this installation."""
    return [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]


def check(name: str) -> str:
    """The name itself; raises SpacetimeError when there is no such platform."""
    if name not in available():
        raise SpacetimeError(f"there is no OpenMM platform {name!r} here; there are {', '.join(available())}")
    return name


def likely(system_xml: str) -> str:
    """The platform that OpenMM holds to be the fastest of those that can run a system. Raises SpacetimeError where none can."""
    system = deserialised(system_xml, "system.xml")
    for name in sorted(available(), key=lambda name: -openmm.Platform.getPlatformByName(name).getSpeed()):
        with suppress(openmm.OpenMMException):
            openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName(name))
            return name
    raise SpacetimeError("no OpenMM platform could run the molecule")


def fastest(
    model: Model, coordinates: Coordinates, positions: np.ndarray, candidates: Sequence[str] | None = None
) -> tuple[str, float, int]:
    """Time restrained dynamics on each candidate (default: all): (best platform, its steps per second, evaluations spent).

    A platform's rate is that of the fastest of `REPEATS` stretches, which the platforms take turns at: on a busy machine a single one says
    little.
    """
    bias = CurveBias(coordinates)
    trials: dict[str, Dynamics] = {}
    for name in candidates or _worthwhile(len(positions)):
        with suppress(openmm.OpenMMException):  # a GPU platform can be installed where no GPU is
            trials[name] = Dynamics(replace(model, platform=name), bias)
    rates = dict.fromkeys(trials, 0.0)
    spent = 0
    for steps in (WARM_UP, *[TRIAL_STEPS] * REPEATS):
        for name, dynamics in trials.items():
            if rates[name] and rates[name] * HOPELESS < max(rates.values()):
                continue
            task = Walk(bias, np.zeros((1, coordinates.dimension)), steps, steps, seed=1, positions=positions)
            begin = time.perf_counter()
            spent += dynamics.walk(task).evaluations
            if steps > WARM_UP:  # a GPU compiles first, and whatever else runs here only slows a platform down
                rates[name] = max(rates[name], steps / (time.perf_counter() - begin))
    return *quickest(rates), spent


def _worthwhile(particles: int) -> list[str]:
    """All platforms, but for Reference where there are many particles and another one."""
    every = available()
    return [name for name in every if name != "Reference" or particles <= MOST_FOR_REFERENCE] or every


def quickest(rates: Mapping[str, float]) -> tuple[str, float]:
    """The platform with the highest rate, and its rate. Raises SpacetimeError where there is none."""
    if not rates:
        raise SpacetimeError("no OpenMM platform could run the molecule")
    best = max(rates, key=rates.__getitem__)
    return best, rates[best]
