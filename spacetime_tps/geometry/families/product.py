"""Families side by side, each with noise of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.families.protocol import Family


class ProductFamily:
    """Independent noise in each of several blocks: eta, T, coordinates and levels are those of the blocks side by side."""

    def __init__(self, blocks: Sequence[Family]):
        if not blocks:
            raise ValueError("a product needs at least one family")
        self.blocks = tuple(blocks)
        self._sizes = [block.dimension for block in self.blocks]
        self._widths = [len(block.angular) for block in self.blocks]
        self._levels = [block.levels for block in self.blocks]

    @property
    def dimension(self) -> int:
        return sum(self._sizes)

    @property
    def locations(self) -> tuple[int, ...]:
        firsts = np.cumsum([0, *self._sizes[:-1]]).tolist()
        return tuple(first + k for first, block in zip(firsts, self.blocks, strict=True) for k in block.locations)

    @property
    def squares(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        firsts = np.cumsum([0, *self._sizes[:-1]]).tolist()
        blocks = zip(self.blocks, firsts, strict=True)
        return tuple((entry + e, tuple(k + e for k in of)) for block, e in blocks for entry, of in block.squares)

    @property
    def levels(self) -> int:
        return sum(self._levels)

    @property
    def angular(self) -> np.ndarray:
        return np.concatenate([block.angular for block in self.blocks])

    def features(self, x: Tensor) -> Tensor:
        """T (..., E) of coordinates (..., D)."""
        return torch.cat([b.features(part) for b, part in zip(self.blocks, x.split(self._widths, -1), strict=True)], dim=-1)

    def values(self, features: Tensor) -> Tensor:
        """(..., D)."""
        return torch.cat([b.values(part) for b, part in self._parts(features)], dim=-1)

    def level(self, eta: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.level(part) for b, part in self._parts(eta)], dim=-1)

    def precisions(self, eta: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.precisions(part) for b, part in self._parts(eta)], dim=-1)

    def level_of(self, precision: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.level_of(p) for b, p in zip(self.blocks, precision.split(self._levels, -1), strict=True)], dim=-1)

    def spread(self, mean: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.spread(part) for b, part in self._parts(mean)], dim=-1)

    def center(self, eta: Tensor) -> Tensor:
        """(..., D)."""
        return torch.cat([b.center(part) for b, part in self._parts(eta)], dim=-1)

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., E) from centers (..., D) and levels (..., L)."""
        parts = zip(self.blocks, center.split(self._widths, -1), level.split(self._levels, -1), strict=True)
        return torch.cat([b.natural(c, v) for b, c, v in parts], dim=-1)

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T(x) (...) and its gradient (..., D)."""
        found = [b.bias(e, part) for (b, e), part in zip(self._parts(eta), x.split(self._widths, -1), strict=True)]
        return torch.stack([value for value, _ in found]).sum(0), torch.cat([slope for _, slope in found], dim=-1)

    @property
    def groups(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """The blocks' groups, one after the other."""
        entry = np.cumsum([0, *self._sizes[:-1]]).tolist()
        level = np.cumsum([0, *self._levels[:-1]]).tolist()
        blocks = zip(self.blocks, entry, level, strict=True)
        return tuple((tuple(k + e for k in group), n + v) for block, e, v in blocks for group, n in block.groups)

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """The sum of the blocks'."""
        sizes = [len(block.locations) for block in self.blocks]
        parts = zip(self._parts(eta), center.split(sizes, -1), variance.split(sizes, -1), strict=True)
        return torch.stack([b.reference(part, c, v) for (b, part), c, v in parts]).sum(0)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """The blocks' side by side."""
        parts = zip(self._parts(features), precision.split(self._levels, -1), normal.split(self._sizes, -1), strict=True)
        return torch.cat([b.noised(part, p, n) for (b, part), p, n in parts], dim=-1)

    def chart(self, eta: Tensor) -> Tensor:
        """The blocks' charts side by side."""
        return torch.cat([b.chart(part) for b, part in self._parts(eta)], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return torch.cat([b.from_chart(part) for b, part in self._parts(z)], dim=-1)

    def _parts(self, eta: Tensor) -> list[tuple[Family, Tensor]]:
        return list(zip(self.blocks, eta.split(self._sizes, -1), strict=True))
