"""Paths walked back: with their works a method's own paths give dissipated work and the free-energy difference of A and B."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.driving import Driven, drive_back
from spacetime_tps.methods.pulled import Pulled
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.problem import Problem


@dataclass(frozen=True)
class Reverse:
    """A method's curves walked from B to A, at the same cost a path."""

    method: Pulled

    @property
    def name(self) -> str:
        return f"{self.method.name}_reverse"

    @property
    def baseline(self) -> bool:
        return self.method.baseline

    @property
    def mirror_of(self) -> str | None:
        return self.method.name

    def asked(self, settings: MethodSettings) -> int:
        return settings.reverse if self.method.asked(settings) else 0

    def made_from(self, settings: MethodSettings) -> Any:
        return self.method.made_from(settings)

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return self.method.along(problem, curves)

    def most_curves(self, routes: int) -> int:
        return self.method.most_curves(routes)

    def steps(self, settings: MethodSettings) -> int:
        return self.method.steps(settings)

    def frames(self, settings: MethodSettings) -> int:
        return self.method.frames(settings)

    def stride(self, settings: MethodSettings) -> int:
        return self.method.stride(settings)

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        return drive_back(problem, simulation, curve, self.method.pace(settings), seeds)
