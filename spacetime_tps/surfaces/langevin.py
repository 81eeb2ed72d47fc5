"""Metropolis-adjusted Langevin steps of many walkers on a tilted surface, exp(-U/kT) f."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from spacetime_tps.potentials.surface import Surface

Tilt = Callable[[Tensor], tuple[Tensor, Tensor]]
"""log f (n,) and its gradient (n, D) at x (n, D)"""


class Walkers(NamedTuple):
    """Where they are, and what the surface is there."""

    x: Tensor
    """(n, D)"""
    energy: Tensor
    """U (n,)"""
    gradient: Tensor
    """of U (n, D)"""


def placed(surface: Surface, x: Tensor) -> Walkers:
    """Walkers at x (n, D); n evaluations."""
    return Walkers(x, *surface.energy_and_gradient(x))


def metropolis_step(
    surface: Surface, kT: float, tilt: Tilt, walkers: Walkers, *, ds: float, generator: torch.Generator, longest: float = torch.inf
) -> tuple[Walkers, Tensor]:
    """One step of all walkers (Roberts, Tweedie, Bernoulli 2, 341, 1996) on exp(-U/kT) f, and which accepted it (n,); n evaluations.

    The proposal has drift ds/2 times the force over kT and noise of variance ds. One longer than `longest` is rejected, which keeps
    detailed balance.
    """
    x = walkers.x
    factor, pull = tilt(x)
    value, gradient = walkers.energy / kT - factor, walkers.gradient / kT - pull
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    new = placed(surface, x - 0.5 * ds * gradient + ds**0.5 * noise)
    factor, pull = tilt(new.x)
    new_value, new_gradient = new.energy / kT - factor, new.gradient / kT - pull
    back = (x - new.x + 0.5 * ds * new_gradient).square().sum(-1) / (2.0 * ds)
    log_ratio = value - new_value - back + 0.5 * noise.square().sum(-1)
    keep = torch.rand(len(x), generator=generator, dtype=x.dtype).log() < log_ratio
    keep &= (new.x - x).norm(dim=-1) <= longest
    one = keep[:, None]
    chosen = (torch.where(one, new.x, x), torch.where(keep, new.energy, walkers.energy), torch.where(one, new.gradient, walkers.gradient))
    return Walkers(*chosen), keep
