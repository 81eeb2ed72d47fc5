"""Exponential families: which statistic T a restraint acts on, and how its natural parameter eta reads as center and noise level."""

from typing import Protocol

import torch
from torch import Tensor

from spacetime_tps.geometry.schedule import Schedule, VariancePreserving


class Family(Protocol):
    """What geometry and denoisers need to know of coordinates: p_eta(x) is proportional to exp(-U(x)/kT + eta . T(x))."""

    @property
    def dimension(self) -> int:
        """Length E of eta and of T."""

    def statistic(self, x: Tensor) -> Tensor:
        """T (..., E) of coordinates (..., D)."""

    def level(self, eta: Tensor) -> Tensor:
        """Noise level of eta (..., E), as (..., L): the larger, the narrower p_eta."""

    def center(self, eta: Tensor) -> Tensor:
        """Where p_eta is drawn to, eta (..., E) to coordinates (..., D)."""

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """The eta (..., E) with this center (..., D) and level (..., L)."""

    def chart(self, eta: Tensor) -> Tensor:
        """eta (..., E) in the coordinates that splines run in and the optimiser moves, (..., E): all of comparable size."""

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""


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

    def chart(self, eta: Tensor) -> Tensor:
        """eta itself: polar coordinates would tear at kappa = 0, where a curve may pass."""
        return eta

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return z


class Cartesian:
    """Coordinates x in R^D under Gaussian noise x_t = alpha x + sigma eps: T = (x, |x|^2), eta = (alpha/sigma^2 x_t, -SNR/2).

    exp(eta . T) is, up to a constant, exp(-SNR/2 |x - x_t/alpha|^2): the center is x_t/alpha and the noise level log_snr. The schedule only
    decides which x_t stands for a center; the distributions, and with them the geometry, depend on eta alone.
    """

    def __init__(self, coordinates: int, schedule: Schedule | None = None):
        if coordinates < 1:
            raise ValueError(f"coordinates must be at least 1, got {coordinates}")
        self.coordinates = coordinates
        self.schedule = schedule or VariancePreserving()

    @property
    def dimension(self) -> int:
        return self.coordinates + 1

    def statistic(self, x: Tensor) -> Tensor:
        """T of x (..., D), as (..., D+1)."""
        return torch.cat([x, x.square().sum(-1, keepdim=True)], dim=-1)

    def level(self, eta: Tensor) -> Tensor:
        """log_snr (..., 1)."""
        return torch.log(-2.0 * eta[..., -1:])

    def center(self, eta: Tensor) -> Tensor:
        """x_t / alpha (..., D)."""
        return eta[..., :-1] / (-2.0 * eta[..., -1:])

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., D+1) from x_t / alpha (..., D) and log_snr (..., 1)."""
        snr = level.exp()
        return torch.cat([snr * center, -0.5 * snr], dim=-1)

    def at(self, x_t: Tensor, log_snr: Tensor) -> Tensor:
        """eta (..., D+1) of the spacetime point x_t (..., D), log_snr (..., 1)."""
        return self.natural(x_t / self.schedule.alpha(log_snr), log_snr)

    def chart(self, eta: Tensor) -> Tensor:
        """(x_t, log_snr): eta itself spans many orders of magnitude along a curve."""
        log_snr = self.level(eta)
        return torch.cat([self.schedule.alpha(log_snr) * self.center(eta), log_snr], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return self.at(z[..., :-1], z[..., -1:])
