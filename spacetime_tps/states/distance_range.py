"""A distance between two limits."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spacetime_tps.coordinates.boxes import one_way
from spacetime_tps.coordinates.distances import distance
from spacetime_tps.coordinates.lengths import PER_NM
from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.states.protocol import Condition, Read


@dataclass(frozen=True)
class DistanceRange:
    """Two atoms from `low` to `high` nm apart, the nearest image where there is a periodic cell."""

    atoms: tuple[int, int]
    low: float
    high: float
    cell: Cell | None = None

    key, listed, definition = "distances", True, None

    @staticmethod
    def of_entry(entry: Any, cell: Cell | None, read: Read) -> "list[DistanceRange]":
        """Of ranges [i, j, low, high]."""
        return [DistanceRange((int(d[0]), int(d[1])), float(d[2]), float(d[3]), cell) for d in entry]

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3): bool (...)."""
        found = distance(positions, np.array([self.atoms]), self.cell)[..., 0]
        return np.asarray((found >= self.low) & (found <= self.high))

    def to_json(self) -> list[Any]:
        return [*self.atoms, self.low, self.high]

    def wider(self, margin: float) -> "DistanceRange":
        return replace(self, low=self.low - margin / PER_NM, high=self.high + margin / PER_NM)

    def apart(self, other: Condition) -> bool:
        """Whether the other is a range of the same distance that shares nothing with this one."""
        if not isinstance(other, DistanceRange) or one_way(other.atoms) != one_way(self.atoms):
            return False
        return self.high < other.low or other.high < self.low
