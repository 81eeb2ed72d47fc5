"""Exponential families: which statistic T a restraint acts on, and how its natural parameter eta reads as center and noise level."""

from typing import Protocol

import torch
from torch import Tensor


class Family(Protocol):
    """What geometry and denoisers need to know of coordinates: p_eta(x) is proportional to exp(-U(x)/kT + eta . T(x))."""

    @property
    def dimension(self) -> int:
        """Length E of eta and of T."""

    def level(self, eta: Tensor) -> Tensor:
        """Noise level of eta (..., E), as (..., L): the larger, the narrower p_eta."""

    def center(self, eta: Tensor) -> Tensor:
        """Where p_eta is drawn to, eta (..., E) to coordinates (..., D)."""

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """The eta (..., E) with this center (..., D) and level (..., L)."""


class VonMises:
    """Torsion angles: T = (cos theta_1, sin theta_1, cos theta_2, ...), so that nothing wraps.

    eta_i = kappa_i (cos c_i, sin c_i), and exp(eta . T) is a product of von Mises factors with centers c_i and concentrations
    kappa_i = |eta_i|. Since |T| is constant, kappa is the noise level: a separate log_snr would be a gauge.
    """

    def __init__(self, torsions: int):
        if torsions < 1:
            raise ValueError(f"torsions must be at least 1, got {torsions}")
        self.torsions = torsions

    @property
    def dimension(self) -> int:
        return 2 * self.torsions

    def statistic(self, angles: Tensor) -> Tensor:
        """T of angles (..., n) in radians, as (..., 2n)."""
        return torch.stack([torch.cos(angles), torch.sin(angles)], dim=-1).flatten(-2)

    def level(self, eta: Tensor) -> Tensor:
        """Concentrations kappa (..., n)."""
        return eta.unflatten(-1, (self.torsions, 2)).norm(dim=-1)

    def center(self, eta: Tensor) -> Tensor:
        """Mean directions (..., n) in (-pi, pi]."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        return torch.atan2(pairs[..., 1], pairs[..., 0])

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., 2n) from angles (..., n) in radians and concentrations (..., n)."""
        return (level.unsqueeze(-1) * self.statistic(center).unflatten(-1, (self.torsions, 2))).flatten(-2)
