"""Diagnostics of a sampler: how straight its trajectories are, and whether its samples are the data's."""

from typing import NamedTuple

import torch
from torch import Tensor


def quasi_linearity(path: Tensor) -> Tensor:
    """Cosine of each step with the way from the point it starts at to the last point, (N, ..., D) to (N-1, ...).

    One all along a straight path that never turns back, and for the last step of any path: the quasi-linearity of Chen et al., arXiv
    2305.19947. Take centers x_t/alpha: a schedule that shrinks x_t bends the path by itself. In one dimension it is a sign; it is zero for
    a step that does not move or starts at the last point already.
    """
    return torch.nn.functional.cosine_similarity(path.diff(dim=0), path[-1] - path[:-1], dim=-1, eps=1e-300)


def departure(path: Tensor) -> Tensor:
    """Distance of each point from the straight line through both ends, (N, ..., D) to (N, ...): the trajectory deviation of Chen et al."""
    chord = path[-1] - path[0]
    along = chord / chord.norm(dim=-1, keepdim=True)
    offset = path - path[:1]
    return (offset - (offset * along).sum(-1, keepdim=True) * along).norm(dim=-1)


class TwoSampleTest(NamedTuple):
    """An energy distance with what it is between samples of one distribution."""

    distance: float
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, over all pairs: zero only for equal distributions; in units of x."""
    null: Tensor
    """The same distance after each of P random relabellings (P,)."""
    p_value: float
    """The share of relabellings, the given labels among them, that are as far apart: uniform, so a level of 0.01 alarms falsely in 1 %."""


def energy_test(a: Tensor, b: Tensor, *, permutations: int, generator: torch.Generator) -> TwoSampleTest:
    """Whether samples a (n, E) and b (m, E) come from one distribution, by Szekely and Rizzo's energy distance and permutation of labels.

    For torsions give their features T = (cos, sin), where distances do not wrap. Samples must be independent: thin a trajectory first.
    Costs (n + m)^2 (P + E) operations. Raises ValueError where shapes do not fit.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"samples must have shapes (n, E) and (m, E), got {tuple(a.shape)} and {tuple(b.shape)}")
    pooled = torch.cat([a, b]).double()
    apart = torch.cdist(pooled, pooled)
    contrast = torch.cat([a.new_full((len(a),), 1.0 / len(a)), a.new_full((len(b),), -1.0 / len(b))]).double()
    order = [torch.arange(len(pooled)), *(torch.randperm(len(pooled), generator=generator) for _ in range(permutations))]
    labels = torch.stack([contrast[o] for o in order])
    distances = -((labels @ apart) * labels).sum(-1)
    as_far = (distances >= distances[0] * (1.0 - 1e-12)).sum()
    return TwoSampleTest(float(distances[0]), distances[1:], float(as_far) / len(distances))
