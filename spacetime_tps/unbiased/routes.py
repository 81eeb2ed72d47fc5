"""Routes as what a ShotSampler shoots from."""

from functools import partial

import numpy as np
import torch
from scipy.special import softmax

from spacetime_tps.coordinates.circle import to_read
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration.route import DISAGREEMENT
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.geometry.families.features import features_of_centers, values_of, without_squares
from spacetime_tps.problems.problem import Problem
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.shooting.route import RouteFrames, basin_between
from spacetime_tps.unbiased.engine import Start

NAMED = 4
"""Coordinates whose values tell a place"""


def route_frames(curve: Curve, problem: Problem, whole: np.ndarray, *, disagreement: float = 0.0) -> RouteFrames[Start]:
    """A curve with its weighted frames; whole (S,): in which of them the molecule is what it was. disagreement: kT between the free-energy
    differences of its windows walked from A and from B."""
    in_a = problem.a.contains(curve.positions)
    samples = WeightedSamples(torch.from_numpy(curve.statistic), torch.from_numpy(curve.log_weight))
    along = samples.moments(torch.from_numpy(curve.eta)).mean.numpy()
    family = problem.coordinates.family()
    return RouteFrames(
        curve.route, features_of_centers(curve.eta, family), without_squares(along, family), curve.cost, curve.statistic, curve.log_weight,
        in_a, whole, np.flatnonzero(whole[: curve.counts[0]]), partial(_start, curve), _along(curve, in_a),
        f"its windows walked from A and from B differ by {disagreement:.0f} kT" if disagreement > DISAGREEMENT else "",
        _third_basin(curve, problem, in_a, along),
    )  # fmt: skip


def _third_basin(curve: Curve, problem: Problem, in_a: np.ndarray, mean: np.ndarray) -> str:
    """As RouteFrames has it; mean (N, E) along the curve."""
    in_either = in_a | problem.b.contains(curve.positions)
    share = np.array([softmax(curve.log_weight + curve.statistic @ eta) @ in_either for eta in curve.eta])
    place = basin_between(curve.cost, 1.0 - share)
    if place is None:
        return ""
    coordinates, along = problem.coordinates, f"at {place / (len(curve.eta) - 1):.2f} of its curve"
    if len(coordinates.names) > NAMED:
        return along
    values = to_read(values_of(mean[place], coordinates.family()), coordinates.angular)
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(coordinates.names, values.tolist(), strict=True))


def _start(curve: Curve, frame: int) -> Start:
    return curve.positions[frame].astype(float), curve.velocities[frame].astype(float)


def _along(curve: Curve, in_a: np.ndarray) -> list[EnsembleFrames]:
    """The windows of a route's curves, each as one walk: they hold all coordinates, and link the top to A with less certainty."""
    ends = np.cumsum(curve.counts)
    pieces = [slice(int(end - count), int(end)) for end, count in zip(ends, curve.counts, strict=True)][2:]
    return [
        EnsembleFrames(partial(_tilt, eta), curve.statistic[piece], in_a[piece], np.full(len(curve.statistic[piece]), walk))
        for walk, (eta, piece) in enumerate(zip(curve.ensembles[2:], pieces, strict=True))
    ]


def _tilt(eta: np.ndarray, statistic: np.ndarray) -> np.ndarray:
    return np.asarray(statistic @ eta)
