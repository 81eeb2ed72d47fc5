"""Penalties added to a curve's energy: means or soft maxima over the curve, so that weights do not depend on the number of points."""

import math
from typing import Protocol

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Moments, confinement_free_energy
from spacetime_tps.geometry.families import Family


class Penalty(Protocol):
    """A term of the objective that sees the curve and its moments."""

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        """Penalty of a curve eta (N, E), a scalar in units of the curve's energy."""


class LowVariance:
    """Keeps the noise level above a floor (L,): weight * mean of ((floor - level)/floor)^2 where the level is below it."""

    def __init__(self, family: Family, floor: Tensor, *, weight: float):
        self.family, self.floor, self.weight = family, floor, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        lack = torch.relu(1.0 - self.family.level(eta) / self.floor)
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


class EffectiveSamples:
    """Keeps the curve where samples support it: weight * mean of log(floor / n_eff)^2 where n_eff is below the floor.

    Without it the optimiser goes where one sample dominates, since the Hessian of psi vanishes there.
    """

    def __init__(self, *, floor: float, weight: float):
        self.floor, self.weight = floor, weight

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        lack = torch.relu(math.log(self.floor) - moments.effective_samples.log())
        return self.weight * lack.square().mean()
