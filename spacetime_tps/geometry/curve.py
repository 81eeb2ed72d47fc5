"""Energy, length and speed of a curve of denoising distributions, from eta and mu at its points alone."""

import torch
from torch import Tensor

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.spline import resample


class NotConvex(SpacetimeError):
    """A denoiser whose mu is the gradient of no convex function where a curve needs it."""


def segments(eta: Tensor, mean: Tensor) -> Tensor:
    """d_eta . d_mu of neighbouring points, (..., N, E) to (..., N-1): their symmetrised KL divergence, never negative for a convex psi."""
    return (eta.diff(dim=-2) * mean.diff(dim=-2)).sum(-1)


def energy(eta: Tensor, mean: Tensor) -> Tensor:
    """Fisher-Rao energy (N-1)/2 sum d_eta . d_mu, which tends to the integral of half the squared speed over unit time; (...)."""
    pieces = segments(eta, mean)
    return 0.5 * pieces.shape[-1] * pieces.sum(-1)


def length(eta: Tensor, mean: Tensor) -> Tensor:
    """Fisher-Rao length, the sum of sqrt(d_eta . d_mu); (...). Raises NotConvex for a negative segment, an error of the denoiser."""
    return _steps(eta, mean).sum(-1)


def _steps(eta: Tensor, mean: Tensor) -> Tensor:
    pieces = segments(eta, mean)
    rounding = 1e-12 * (eta.diff(dim=-2).norm(dim=-1) * mean.norm(dim=-1)[..., 1:]) + 1e-300
    if not bool((pieces >= -rounding).all()):
        raise NotConvex("the denoiser gives a negative segment d_eta . d_mu: its log-partition is not convex")
    return pieces.clamp_min(0.0).sqrt()


def at_constant_speed(eta: Tensor, mean: Tensor, count: int, family: Family) -> Tensor:
    """The same curve at `count` points equally far apart in Fisher-Rao length: (N, E) to (count, E). Ends are kept."""
    steps = _steps(eta, mean)
    # A floor keeps positions increasing where two points coincide.
    steps = steps.clamp_min(1e-9 * float(steps.sum()) + 1e-300)
    position = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    return family.from_chart(resample(family.chart(eta), position, count))
