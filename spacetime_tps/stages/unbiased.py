"""The stage of unbiased transitions."""

from typing import Any

from spacetime_tps.exploration.regions import ReadBytes
from spacetime_tps.paths.transition import FOLDER, remove_paths
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings
from spacetime_tps.stages import exploration
from spacetime_tps.stages.protocol import Given
from spacetime_tps.unbiased.averages import PURPOSES
from spacetime_tps.unbiased.engine import REGION, SHOTS
from spacetime_tps.unbiased.ensemble import COMMITTORS, DENSITY, RECORD, SHOTS_TABLE, STATES, Unbiased, chosen, sample_unbiased
from spacetime_tps.unbiased.names import EVERY_PATH, STAGE

A_TRANSITION = 2500
"""Evaluations for one effective unbiased transition, as a guess before anything is known: those of a small molecule"""
MORE = {"paths", "budget", "states", "state_shots"}
"""Settings that change no shot that is there"""


class UnbiasedPaths:
    """Its value is an Unbiased."""

    name, needs = STAGE, (exploration.NAME,)
    files = (f"{REGION}/*", f"{SHOTS}/*", RECORD, DENSITY, SHOTS_TABLE, COMMITTORS, STATES)

    def made_from(self, settings: Settings) -> Any:
        return settings.unbiased.model_dump(exclude=MORE)

    def asked(self, settings: Settings) -> Any:
        return settings.unbiased.model_dump(include=MORE) if settings.unbiased.paths else None

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        """The variable is one of the coordinates."""
        chosen(problem.coordinates, settings.unbiased.variable)

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        return "unbiased paths", min(settings.unbiased.paths * A_TRANSITION, settings.unbiased.budget)

    def spent(self, value: Unbiased | None) -> dict[str, int]:
        return dict.fromkeys(PURPOSES, 0) if value is None else dict(value.record["evaluations"])

    def run(self, given: Given) -> Unbiased:
        settings = given.settings
        return sample_unbiased(
            given.problem, given.simulation, given.values[exploration.NAME], settings.unbiased,
            seed=settings.seed, stride=settings.training.stride,
        )  # fmt: skip

    def save(self, value: Unbiased, given: Given) -> None:
        value.save(given.simulation.storage, given.problem)

    def load(self, given: Given) -> Unbiased:
        return Unbiased.load(given.simulation.storage)

    def clear(self, given: Given) -> bool:
        storage = given.simulation.storage
        there = bool(storage.names(f"{SHOTS}/*"))
        for pattern in self.files:
            storage.remove(pattern)
        given.simulation.forget(REGION)
        remove_paths(storage, STAGE)
        storage.remove(f"{FOLDER}/{EVERY_PATH}")  # an interrupted stage has no rows yet
        return there
