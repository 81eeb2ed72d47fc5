"""Surfaces in closed form: Mueller-Brown and a double well with two channels."""

import torch
from torch import Tensor


class MuellerBrown:
    """The four-Gaussian surface of Mueller and Brown (Theor. Chim. Acta 53, 75, 1979), in its usual units times `scale`.

    Minima near (-0.558, 1.442), (-0.050, 0.467) and (0.623, 0.028), at -146.70, -80.77 and -108.17 for a scale of 1.
    """

    dimension = 2
    _height = torch.tensor([-200.0, -100.0, -170.0, 15.0], dtype=torch.double)
    _a = torch.tensor([-1.0, -1.0, -6.5, 0.7], dtype=torch.double)
    _b = torch.tensor([0.0, 0.0, 11.0, 0.6], dtype=torch.double)
    _c = torch.tensor([-10.0, -10.0, -6.5, 0.7], dtype=torch.double)
    _x = torch.tensor([1.0, 0.0, -0.5, -1.0], dtype=torch.double)
    _y = torch.tensor([0.0, 0.5, 1.5, 1.0], dtype=torch.double)

    def __init__(self, *, scale: float = 1.0):
        self.scale = scale

    def energy(self, x: Tensor) -> Tensor:
        """U (...) at x (..., 2)."""
        return self._terms(x)[0].sum(-1)

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U (n,) and its gradient (n, 2)."""
        term, dx, dy = self._terms(x)
        slope_x = (term * (2 * self._a * dx + self._b * dy)).sum(-1)
        slope_y = (term * (self._b * dx + 2 * self._c * dy)).sum(-1)
        return term.sum(-1), torch.stack([slope_x, slope_y], dim=-1)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dx, dy = x[..., :1] - self._x, x[..., 1:] - self._y
        return self.scale * self._height * torch.exp(self._a * dx**2 + self._b * dx * dy + self._c * dy**2), dx, dy


class TwoChannels:
    """A double well in x whose barrier has two gates in y.

    U = h (x^2 - 1)^2 + G [g (y^2 - 1)^2 + t y] + (1 - G) k y^2 with G = exp(-x^2 / (2 w^2)), h the barrier, g the wall, t the tilt,
    k the stiffness and w the width. Wells near (-1, 0) and (1, 0); saddles near (0, 1) and (0, -1), which t sets apart by about 2 t. The
    straight line between the wells crosses the wall between the gates, g higher.
    """

    dimension = 2

    def __init__(self, *, barrier: float = 8.0, wall: float = 6.0, tilt: float = 0.5, stiffness: float = 5.0, width: float = 0.4):
        self.barrier, self.wall, self.tilt, self.stiffness, self.width = barrier, wall, tilt, stiffness, width

    def energy(self, x: Tensor) -> Tensor:
        """U (...) at x (..., 2)."""
        x1, y = x[..., 0], x[..., 1]
        gate = torch.exp(-0.5 * (x1 / self.width) ** 2)
        inside, outside = self.wall * (y**2 - 1) ** 2 + self.tilt * y, self.stiffness * y**2
        return self.barrier * (x1**2 - 1) ** 2 + gate * inside + (1 - gate) * outside

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U (n,) and its gradient (n, 2)."""
        x1, y = x[..., 0], x[..., 1]
        gate = torch.exp(-0.5 * (x1 / self.width) ** 2)
        inside, outside = self.wall * (y**2 - 1) ** 2 + self.tilt * y, self.stiffness * y**2
        slope_x = 4 * self.barrier * x1 * (x1**2 - 1) - gate * x1 / self.width**2 * (inside - outside)
        slope_y = gate * (4 * self.wall * y * (y**2 - 1) + self.tilt) + (1 - gate) * 2 * self.stiffness * y
        return self.barrier * (x1**2 - 1) ** 2 + gate * inside + (1 - gate) * outside, torch.stack([slope_x, slope_y], dim=-1)
