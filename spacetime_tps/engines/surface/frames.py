"""What a ShotSampler shoots from on a surface: Boltzmann-weighted points, the states' separating angles, and a window that stays on top."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry.families.features import features_of_centers, without_squares
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.shooting.crossing import crossings_of
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.protocol import Variable

DRAWN = 2000
"""Equilibrium draws from A, and from a window to see whether it stays"""
SOFTEST, STIFFEST = 25.0, 3200.0


def route_frames(
    route: str, eta: Tensor, cost: Tensor, x: Tensor, log_weight: Tensor, family: Family, a: Discs, *, seed: int
) -> RouteFrames[np.ndarray]:
    """A curve eta (N, E) with cost (N,) and points x (S, D) of log Boltzmann weights (S,), up to a constant."""
    weight = torch.log_softmax(log_weight, dim=0).numpy()
    in_a = a.contains(x).numpy()
    inside = np.flatnonzero(in_a)
    chance = np.exp(weight[inside])
    plain = np.random.default_rng(seed).choice(inside, DRAWN, p=chance / chance.sum())
    points, features = x.numpy(), family.features(x)
    along = WeightedSamples(features, log_weight).moments(eta).mean.numpy()
    return RouteFrames(
        route, features_of_centers(eta.numpy(), family), without_squares(along, family), cost.numpy(), features.numpy(), weight, in_a,
        np.ones(len(x), dtype=bool), plain, lambda frame: points[frame],
    )  # fmt: skip


def separating_angles(a: Discs, b: Discs, family: VonMises, names: Sequence[str]) -> tuple[Variable, ...]:
    """Angles whose ranges in the discs of A meet none of those in B: every path passes between."""
    apart = np.abs(difference(np.array(b.centers), np.array(a.centers)[:, None], np.array(True))).min(axis=(0, 1))
    reach = a.radius + b.radius
    return tuple(Angle(names[k], family.dimension, 2 * k, 2 * k + 1) for k in np.flatnonzero(apart > reach).tolist())


def stiffness_that_stays(frames: RouteFrames[np.ndarray], variables: Sequence[Variable], *, seed: int) -> float:
    """Of a window at the top of a curve, doubled from `SOFTEST` until draws of the weighted points from it are one peak at its center."""
    rng, stiffness = np.random.default_rng(seed), SOFTEST
    while stiffness < STIFFEST:
        crossing, *_ = crossings_of(frames, variables, stiffness=stiffness)
        log_share = frames.log_weight + crossing.window.log_factor(frames.features)
        share = np.exp(log_share - log_share.max())
        if crossing.window.stays(frames.features[rng.choice(len(share), DRAWN, p=share / share.sum())]):
            break
        stiffness *= 2.0
    return stiffness
