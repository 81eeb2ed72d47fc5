"""Quadrature for few dimensions: the weighted-sample posterior of a grid's points, exact to the grid's resolution."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry.families.protocol import Family


def periodic_grid(points: int, dimension: int) -> Tensor:
    """Angles (points**dimension, dimension) in [-pi, pi), equally spaced: on a circle the trapezoid rule converges exponentially."""
    axis = torch.arange(points, dtype=torch.double) * (2.0 * torch.pi / points) - torch.pi
    return torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)


def quadrature(family: Family, grid: Tensor, energy: Callable[[Tensor], Tensor], *, kT: float) -> WeightedSamples:
    """The denoiser of exp(-U/kT) on equally weighted points, grid (S, D), one evaluation each; `energy` (S, D) to (S,), in the unit of kT.

    The number of effective samples says how many grid points p_eta covers: below ten or so the grid is too coarse for that eta.
    """
    return WeightedSamples(family.features(grid), -energy(grid) / kT)


def simpson(ends: Sequence[tuple[float, float]], points: int) -> tuple[Tensor, Tensor]:
    """Grid (S, D) over a box that is not periodic and its log weights (S,), Simpson's rule along each axis; `points` must be odd."""
    if points < 3 or points % 2 == 0:
        raise ValueError(f"Simpson's rule needs an odd number of points, at least 3, got {points}")
    axes = [torch.linspace(low, high, points, dtype=torch.double) for low, high in ends]
    rule = torch.full((points,), 2.0, dtype=torch.double)
    rule[1::2] = 4.0
    rule[[0, -1]] = 1.0
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    log_weight = torch.cartesian_prod(*[rule.log()] * len(axes)).reshape(-1, len(axes)).sum(-1)
    return grid, log_weight
