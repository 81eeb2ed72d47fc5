"""Cubic splines as linear maps from the values at their nodes to the values anywhere, so that gradients pass through."""

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor


def uniform_spline(nodes: int, points: int) -> Tensor:
    """Matrix (points, nodes), in double: node values on a uniform grid to values on a uniform grid, not-a-knot ends.

    Node values as unknowns are well conditioned; the null-space basis of the constraints, as used elsewhere, has condition number 3,300.
    """
    if nodes < 4:
        raise ValueError(f"a cubic spline needs at least 4 nodes, got {nodes}")
    spline = CubicSpline(np.linspace(0.0, 1.0, nodes), np.eye(nodes))
    return torch.from_numpy(spline(np.linspace(0.0, 1.0, points)))


def resample(values: Tensor, position: Tensor, count: int) -> Tensor:
    """Values (N, E) known at increasing positions (N,), interpolated at `count` equally spaced positions: (count, E)."""
    x = position.detach().numpy()
    spline = CubicSpline(x, values.detach().numpy())
    return torch.from_numpy(spline(np.linspace(x[0], x[-1], count)))
