"""Torsion angles through their cosines and sines."""

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.bessel import log_i0

TINY = 1e-12
"""Added to kappa^2: no corner at zero, where a gradient would have no direction"""


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

    @property
    def locations(self) -> tuple[int, ...]:
        return tuple(range(2 * self.torsions))

    @property
    def squares(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """None: |T| is constant."""
        return ()

    @property
    def levels(self) -> int:
        return self.torsions

    @property
    def angular(self) -> np.ndarray:
        return np.ones(self.torsions, dtype=bool)

    def features(self, angles: Tensor) -> Tensor:
        """T of angles (..., n) in radians, as (..., 2n)."""
        return torch.stack([torch.cos(angles), torch.sin(angles)], dim=-1).flatten(-2)

    def values(self, features: Tensor) -> Tensor:
        """Angles (..., n) in (-pi, pi]."""
        return self.center(features)

    def level(self, eta: Tensor) -> Tensor:
        """Concentrations kappa (..., n)."""
        return eta.unflatten(-1, (self.torsions, 2)).norm(dim=-1)

    def precisions(self, eta: Tensor) -> Tensor:
        """Concentrations (..., n)."""
        return self.level(eta)

    def level_of(self, precision: Tensor) -> Tensor:
        """Concentrations themselves."""
        return precision

    def spread(self, mean: Tensor) -> Tensor:
        """1 - |mu_i|^2 (..., n)."""
        return 1.0 - mean.unflatten(-1, (self.torsions, 2)).square().sum(-1)

    def center(self, eta: Tensor) -> Tensor:
        """Mean directions (..., n) in (-pi, pi]."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        return torch.atan2(pairs[..., 1], pairs[..., 0])

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., 2n) from angles (..., n) in radians and concentrations (..., n)."""
        return (level.unsqueeze(-1) * self.features(center).unflatten(-1, (self.torsions, 2))).flatten(-2)

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T (...) and its gradient (..., n) per radian, at angles x (..., n)."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        cosine, sine = torch.cos(x), torch.sin(x)
        return (pairs[..., 0] * cosine + pairs[..., 1] * sine).sum(-1), pairs[..., 1] * cosine - pairs[..., 0] * sine

    @property
    def groups(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """A torsion each."""
        return tuple(((2 * k, 2 * k + 1), k) for k in range(self.torsions))

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """That of free rotation, sum log I_0(kappa_i) (...)."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        return log_i0((pairs.square().sum(-1) + TINY).sqrt())[0].sum(-1)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """precision * (T + normal / sqrt(precision)), torsion by torsion: |T| is constant, and its square drops out."""
        wide = precision.repeat_interleave(2, dim=-1)
        return wide * features + wide.sqrt() * normal

    def chart(self, eta: Tensor) -> Tensor:
        """eta itself: polar coordinates would tear at kappa = 0, where a curve may pass."""
        return eta

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return z


class VonMisesAbove(VonMises):
    """Torsion angles whose concentrations stay above a floor by construction: the low-variance constraint, met exactly.

    The chart is polar, (c_i, u_i) with kappa_i = floor (1 + u_i^2). Above a floor kappa = 0 is out of reach, so a curve cannot slip
    through it to the other side of the circle, and an optimiser cannot change the winding of a route.
    """

    def __init__(self, torsions: int, *, floor: float):
        super().__init__(torsions)
        if floor <= 0:
            raise ValueError(f"floor must be positive, got {floor}")
        self.floor = floor

    def chart(self, eta: Tensor) -> Tensor:
        """(c, u) of a curve (N, 2n), the centers c continuous along it; concentrations below the floor are raised to it."""
        center = torch.from_numpy(np.unwrap(self.center(eta).detach().numpy(), axis=-2))
        return torch.cat([center, (self.level(eta) / self.floor - 1.0).clamp_min(0.0).sqrt()], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        center, above = z.chunk(2, dim=-1)
        return self.natural(center, self.floor * (1.0 + above.square()))
