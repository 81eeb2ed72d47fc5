"""Routes as what a ShotSampler shoots from."""

from functools import partial

import numpy as np
import torch
from scipy.special import softmax

from spacetime_tps.coordinates.naming import place
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration.route import directions_disagree
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.geometry.families.features import features_of_centers, without_squares
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.pool import ENDS
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.shooting.route import RouteFrames, basin_between
from spacetime_tps.unbiased.engine import Start


def route_frames(curve: Curve, problem: Problem, whole: np.ndarray, *, disagreement: float = 0.0) -> RouteFrames[Start]:
    """A curve with its weighted frames; whole (S,): in which of them the molecule is what it was. disagreement: kT between the free-energy
    differences of its windows walked from A and from B."""
    in_a = problem.a.contains(curve.positions)
    samples = WeightedSamples(torch.from_numpy(curve.features), torch.from_numpy(curve.log_weight))
    along = samples.moments(torch.from_numpy(curve.eta)).mean.numpy()
    family = problem.coordinates.family()
    return RouteFrames(
        curve.route, features_of_centers(curve.eta, family), without_squares(along, family), curve.cost, curve.features, curve.log_weight,
        in_a, whole, np.flatnonzero(whole[curve.parts[0]]), partial(_start, curve), _along(curve, in_a),
        f"its windows walked from A and from B differ by {disagreement:.0f} kT" if directions_disagree(disagreement) else "",
        _third_basin(curve, problem, in_a, along),
    )  # fmt: skip


def _third_basin(curve: Curve, problem: Problem, in_a: np.ndarray, mean: np.ndarray) -> str:
    """As RouteFrames has it; mean (N, E) along the curve."""
    in_either = in_a | problem.b.contains(curve.positions)
    share = np.array([softmax(curve.log_weight + curve.features @ eta) @ in_either for eta in curve.eta])
    point = basin_between(curve.cost, 1.0 - share)
    if point is None:
        return ""
    coordinates = problem.coordinates
    values = coordinates.family().values(torch.from_numpy(mean[point])).numpy()
    return place(coordinates, values) or f"at {point / (len(curve.eta) - 1):.2f} of its curve"


def _start(curve: Curve, frame: int) -> Start:
    return curve.positions[frame].astype(float), curve.velocities[frame].astype(float)


def _along(curve: Curve, in_a: np.ndarray) -> list[EnsembleFrames]:
    """The windows of a route's curves, each as one walk: they hold all coordinates, and link the top to A with less certainty."""
    return [
        EnsembleFrames(partial(_tilt, eta), curve.features[part], in_a[part], np.full(len(curve.features[part]), walk))
        for walk, (eta, part) in enumerate(zip(curve.ensembles[ENDS:], curve.parts[ENDS:], strict=True))
    ]


def _tilt(eta: np.ndarray, features: np.ndarray) -> np.ndarray:
    return np.asarray(features @ eta)
