"""Curves with fixed ends, relaxed under an objective by L-BFGS over the node values of a spline."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from spacetime_tps.geometry.spline import resample, uniform_spline


class Relaxed(NamedTuple):
    """What the optimiser reached."""

    curve: Tensor
    """Points (points, D), detached."""
    trace: tuple[float, ...]
    """The objective at each of its evaluations."""


def relax(start: Tensor, objective: Callable[[Tensor], Tensor], *, nodes: int, points: int, evaluations: int) -> Relaxed:
    """The minimum of `objective`, a function of curves (points, D) to a scalar, that is reached from the curve `start` (N, D).

    The ends stay fixed; the other `nodes` values of a cubic spline through `start` are moved. L-BFGS stops after `evaluations` of the
    objective or at convergence.
    """
    spline = uniform_spline(nodes, points)
    placed = resample(start.double(), torch.linspace(0.0, 1.0, len(start), dtype=torch.double), nodes)
    interior = placed[1:-1].clone().requires_grad_(True)
    trace: list[float] = []

    def along() -> Tensor:
        return spline @ torch.cat([placed[:1], interior, placed[-1:]])

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective(along())
        value.backward()
        trace.append(float(value.detach()))
        return value

    optimiser = torch.optim.LBFGS(
        [interior],
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-4,
        tolerance_change=1e-7,
    )
    optimiser.step(closure)
    return Relaxed(along().detach(), tuple(trace))
