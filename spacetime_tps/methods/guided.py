"""Guided transitions: along the geodesics."""

from collections.abc import Iterator, Sequence
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.driving import Driven, drive
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.problem import Problem


class Guided:
    """Annealed Langevin dynamics along each route's geodesic."""

    name = "guided"

    def asked(self, settings: MethodSettings) -> int:
        return settings.guided.paths

    def made_from(self, settings: MethodSettings) -> Any:
        return settings.guided.model_dump(exclude={"paths"})

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return list(curves)

    def steps(self, settings: MethodSettings) -> int:
        return settings.guided.steps

    def frames(self, settings: MethodSettings) -> int:
        return settings.guided.frames

    def stride(self, settings: MethodSettings) -> int:
        return settings.guided.stride

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        g = settings.guided
        return drive(
            problem.coordinates, problem.a, simulation, curve, points=g.points, steps_per_point=g.steps_per_point, stride=g.stride,
            seeds=seeds,
        )  # fmt: skip
