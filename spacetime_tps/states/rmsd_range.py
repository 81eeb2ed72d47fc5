"""A distance from a structure, after superposition."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spacetime_tps.coordinates.lengths import PER_NM
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.states.protocol import Condition


@dataclass(frozen=True)
class RmsdRange:
    """The root mean square distance of some atoms from a structure, after superposition, from `low` to `high` nm."""

    file: str
    """The structure, in the run folder"""
    atoms: tuple[int, ...]
    reference: tuple[tuple[float, float, float], ...]
    """Of those atoms, nm"""
    high: float
    low: float = 0.0

    key = "rmsd"

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3): bool (...)."""
        found = rmsd(np.asarray(positions)[..., np.array(self.atoms), :], np.array(self.reference))
        return np.asarray((found >= self.low) & (found <= self.high))

    def to_json(self) -> dict[str, Any]:
        limits = ({"max_nm": self.high} if np.isfinite(self.high) else {}) | ({"min_nm": self.low} if self.low else {})
        return {"file": self.file, "atoms": [*self.atoms], **limits}

    def wider(self, margin: float) -> "RmsdRange":
        return replace(self, low=max(self.low - margin / PER_NM, 0.0), high=self.high + margin / PER_NM)

    def apart(self, other: Condition) -> bool:
        """Whether the other is about the same atoms, and the triangle inequality lets not both hold."""
        if not isinstance(other, RmsdRange) or other.atoms != self.atoms:
            return False
        between = float(rmsd(np.array(self.reference), np.array(other.reference)))
        return between > self.high + other.high or self.low > between + other.high or other.low > between + self.high
