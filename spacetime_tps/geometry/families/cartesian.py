"""Coordinates on a line under Gaussian noise."""

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.schedule import Schedule, VariancePreserving


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

    @property
    def locations(self) -> tuple[int, ...]:
        return tuple(range(self.coordinates))

    @property
    def squares(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        return ((self.coordinates, self.locations),)

    @property
    def levels(self) -> int:
        return 1

    @property
    def angular(self) -> np.ndarray:
        return np.zeros(self.coordinates, dtype=bool)

    def features(self, x: Tensor) -> Tensor:
        """T of x (..., D), as (..., D+1)."""
        return torch.cat([x, x.square().sum(-1, keepdim=True)], dim=-1)

    def values(self, features: Tensor) -> Tensor:
        """x (..., D)."""
        return features[..., :-1]

    def level(self, eta: Tensor) -> Tensor:
        """log_snr (..., 1)."""
        return torch.log(-2.0 * eta[..., -1:])

    def precisions(self, eta: Tensor) -> Tensor:
        """The signal-to-noise ratio (..., 1)."""
        return -2.0 * eta[..., -1:]

    def level_of(self, precision: Tensor) -> Tensor:
        """log_snr (..., 1)."""
        return precision.log()

    def spread(self, mean: Tensor) -> Tensor:
        """E|x|^2 - |E x|^2 (..., 1)."""
        return mean[..., -1:] - mean[..., :-1].square().sum(-1, keepdim=True)

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

    def spacetime(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """x_t (..., D) and log_snr (..., 1) of eta (..., D+1): the inverse of `at`."""
        log_snr = self.level(eta)
        return self.schedule.alpha(log_snr) * self.center(eta), log_snr

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T (...) and its gradient (..., D) at x (..., D)."""
        a, b = eta[..., :-1], eta[..., -1:]
        return (a * x).sum(-1) + b[..., 0] * x.square().sum(-1), a + 2.0 * b * x

    @property
    def groups(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """A coordinate each, all of one noise level."""
        return tuple(((k,), 0) for k in range(self.coordinates))

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """That of independent normal coordinates (...)."""
        a, snr = eta[..., :-1], -2.0 * eta[..., -1:]
        stiff = 1.0 / variance + snr
        pulled = a + center / variance
        return 0.5 * (pulled.square() / stiff - center.square() / variance - (variance * stiff).log()).sum(-1)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """precision * (x + normal / sqrt(precision)), and -precision / 2 for the square."""
        place = precision * features[..., :-1] + precision.sqrt() * normal[..., :-1]
        return torch.cat([place, -0.5 * precision], dim=-1)

    def chart(self, eta: Tensor) -> Tensor:
        """(m, log q), mean and log precision of the posterior of standard normal data: q = 1 + SNR, m = SNR x_t / (alpha q).

        Where noise rules these are eta up to factors, where the data do they are (x_t/alpha, log_snr). Out of pure noise a geodesic runs
        straight in eta, while (x_t, log_snr) change without limit in next to no length, which a spline cannot follow with few nodes.
        Meant for data of unit size, within a factor of ten.
        """
        q = 1.0 - 2.0 * eta[..., -1:]
        return torch.cat([eta[..., :-1] / q, q.log()], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`; SNR > 0 wherever log q > 0."""
        return torch.cat([z[..., :-1] * z[..., -1:].exp(), -0.5 * torch.expm1(z[..., -1:])], dim=-1)
