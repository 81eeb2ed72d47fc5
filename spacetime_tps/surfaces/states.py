"""States on a surface: unions of discs."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Discs:
    """All points within `radius` of a center; on the torus where `periodic`."""

    centers: tuple[tuple[float, float], ...]
    radius: float
    periodic: bool

    def contains(self, x: Tensor) -> Tensor:
        """(...) for points x (..., 2)."""
        difference = x[..., None, :] - torch.tensor(self.centers, dtype=x.dtype)
        if self.periodic:
            difference = torch.remainder(difference + torch.pi, 2.0 * torch.pi) - torch.pi
        return (difference.norm(dim=-1) < self.radius).any(-1)
