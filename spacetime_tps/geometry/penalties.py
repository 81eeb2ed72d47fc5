"""Penalties added to a curve's energy: means or soft maxima over the curve, so that weights do not depend on the number of points."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from spacetime_tps.geometry.curve import segments
from spacetime_tps.geometry.denoiser import Denoiser, Moments, confinement_free_energy, kl_divergence
from spacetime_tps.geometry.families.protocol import Family


class Penalty(Protocol):
    """A term of the objective that sees the curve and its moments."""

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        """Penalty of a curve eta (N, E), a scalar in units of the curve's energy."""


class LowVariance:
    """Keeps the noise narrow: weight * mean of (1 - precision/floor)^2 where one of the family's precisions is below the floor."""

    def __init__(self, family: Family, floor: float | Tensor, *, weight: float):
        """floor: a precision, or one for each level (L,)."""
        self.family, self.floor, self.weight = family, floor, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        lack = torch.relu(1.0 - self.family.precisions(eta) / self.floor)
        return self.weight * lack.square().mean()


class Barrier:
    """weight * soft maximum over the curve of KL(p_eta || p_0), which sees the barriers that the metric alone does not.

    The soft maximum is log(mean(exp(sharpness * KL))) / sharpness, KL in kT.
    """

    def __init__(self, *, weight: float, sharpness: float):
        self.weight, self.sharpness = weight, sharpness

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        cost = confinement_free_energy(eta, moments)
        return self.weight * (torch.logsumexp(self.sharpness * cost, dim=0) - math.log(len(cost))) / self.sharpness


class Followable:
    """Keeps samples able to follow: weight * mean of (steepness/limit - 1)^2 where the steepness is above the limit.

    The steepness, for each noise level, is precision * variance: what there is over what the noise alone would leave. A posterior of two
    basins has a large one, whatever its mean does; a curve through such points leaps, and no sample follows. What the two ends have beyond
    one (several coordinates share a level, and each adds to the variance) counts as none.
    """

    def __init__(self, family: Family, *, limit: float, weight: float):
        self.family, self.limit, self.weight = family, limit, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        return self.weight * torch.relu(self.steepness(eta, moments) / self.limit - 1.0).square().mean()

    def steepness(self, eta: Tensor, moments: Moments) -> Tensor:
        """At each point and level (N, L) of a curve eta (N, E)."""
        ratio = self.family.precisions(eta) * self.family.spread(moments.mean)
        usual = torch.maximum(ratio[0], ratio[-1]).detach().clamp_min(1.0) - 1.0
        return ratio - usual


class Convex:
    """Keeps a curve where the denoiser is one: weight * sum of -d_eta . d_mu over segments where that is positive.

    A psi that is convex by construction has none. Under another the optimiser would be drawn to them: they lower the energy.
    """

    def __init__(self, *, weight: float):
        self.weight = weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        return self.weight * torch.relu(-segments(eta, moments.mean)).sum()


class EffectiveSamples:
    """Keeps the curve where samples support it: weight * mean of log(floor / n_eff)^2 where n_eff is below the floor.

    Without it the optimiser goes where one sample dominates, since the Hessian of psi vanishes there.
    """

    def __init__(self, *, floor: float, weight: float):
        self.floor, self.weight = floor, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        lack = torch.relu(math.log(self.floor) - moments.effective_samples.log())
        return self.weight * lack.square().mean()


Divergence = Callable[[Tensor, Moments], Tensor]
"""From a curve eta (N, E) and its moments to how far each of its points is from something forbidden, (N,) in nats."""


class Avoid:
    """Keeps a curve away from forbidden regions: weight * sum over regions of the mean of (1 - KL/floor)^2 where KL is below the floor.

    KL is the divergence of a region from p_eta, `from_point` or `from_samples`. Exact divergences are never negative, so no constant has to
    be found by trial before the penalty acts.
    """

    def __init__(self, regions: list[Divergence], *, floor: float, weight: float):
        if floor <= 0:
            raise ValueError(f"floor must be positive, got {floor}")
        self.regions, self.floor, self.weight = regions, floor, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        lack = torch.stack([torch.relu(1.0 - region(eta, moments) / self.floor) for region in self.regions])
        return self.weight * lack.square().mean(-1).sum()


def from_point(forbidden: Tensor, denoiser: Denoiser) -> Divergence:
    """KL(p_* || p_eta) of the denoising distribution at eta_* = `forbidden` (E,): a point with a noise level."""
    with torch.no_grad():
        there = denoiser.moments(forbidden)

    def divergence(eta: Tensor, moments: Moments) -> Tensor:
        return kl_divergence(forbidden, there, eta, moments)

    return divergence


def from_samples(inside: Denoiser) -> Divergence:
    """KL(p_eta restricted to a set || p_eta) = -log P_eta(set), of a set given by the Boltzmann samples inside it.

    `inside` has the log-partition psi_in of those samples with the weights they have among all, so that log P_eta(set) = psi_in - psi.
    """

    def divergence(eta: Tensor, moments: Moments) -> Tensor:
        return moments.log_partition - inside.moments(eta).log_partition

    return divergence
