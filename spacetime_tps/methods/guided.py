"""Guided transitions: along the geodesics."""

from collections.abc import Sequence

from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.pulled import Pulled
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.problem import Problem


class Guided(Pulled):
    """Annealed Langevin dynamics along each route's geodesic."""

    name = "guided"
    baseline = False

    def asked(self, settings: MethodSettings) -> int:
        return settings.guided.paths

    def most_curves(self, routes: int) -> int:
        return routes

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return list(curves)
