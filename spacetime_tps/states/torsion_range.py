"""A torsion between two angles."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spacetime_tps.coordinates.boxes import one_way
from spacetime_tps.coordinates.circle import width, within
from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.states.protocol import Condition, Read


@dataclass(frozen=True)
class TorsionRange:
    """A torsion (four atoms) that goes up from `low` to `high` degrees, across 180 where high < low; by nearest images where there is a
    periodic cell."""

    atoms: tuple[int, int, int, int]
    low: float
    high: float
    cell: Cell | None = None

    key, listed, definition = "torsions", True, None

    @staticmethod
    def of_entry(entry: Any, cell: Cell | None, read: Read) -> "list[TorsionRange]":
        """Of ranges [i, j, k, l, low, high]."""
        return [TorsionRange((int(t[0]), int(t[1]), int(t[2]), int(t[3])), float(t[4]), float(t[5]), cell) for t in entry]

    def includes(self, degrees: np.ndarray | float) -> np.ndarray:
        """Whether angles (...) lie in the range; one of zero width is the whole circle."""
        return within(degrees, self.low, self.high)

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3): bool (...)."""
        return self.includes(np.degrees(Torsions(("",), (self.atoms,), cell=self.cell).values(positions)[..., 0]))

    def to_json(self) -> list[Any]:
        return [*self.atoms, self.low, self.high]

    def wider(self, margin: float) -> "TorsionRange":
        """The whole circle where that leaves no gap."""
        more = float(np.degrees(margin))
        if width(self.low, self.high) + 2.0 * more >= 360.0:
            return replace(self, low=-180.0, high=180.0)
        return replace(self, low=self.low - more, high=self.high + more)

    def apart(self, other: Condition) -> bool:
        """Whether the other is a range of the same torsion that shares no angle with this one."""
        if not isinstance(other, TorsionRange) or one_way(other.atoms) != one_way(self.atoms):
            return False
        return not (self.includes(other.low) or self.includes(other.high) or other.includes(self.low) or other.includes(self.high))
