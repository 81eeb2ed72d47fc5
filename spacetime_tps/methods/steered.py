"""Steered MD: along straight lines with the restraint strengths of the best geodesic, at equal cost."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from spacetime_tps.coordinates.circle import difference, winding
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.pulled import Pulled
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.problem import Problem

SHORT, SAME = "straight", "straight_same_way"


class Steered(Pulled):
    """The line the short way round, and the one in the best geodesic's class where that is another: only the second is a fair rival."""

    name = "steered"
    baseline = True

    def asked(self, settings: MethodSettings) -> int:
        return settings.steered.paths

    def most_curves(self, routes: int) -> int:
        return 2

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        best, family = curves[0], problem.coordinates.family()
        here, there = problem.ends
        precision = family.precisions(torch.from_numpy(best.eta)).numpy()
        centers = lines.centers(best.eta, family)
        short = difference(here, there, family.angular)
        same = short + 2.0 * np.pi * np.array(winding(centers, family.angular))
        changes = {SHORT: short} | ({SAME: same} if not np.allclose(same, short) else {})
        return [replace(best, route=name, eta=lines.line(family, here, change, precision)) for name, change in changes.items()]
