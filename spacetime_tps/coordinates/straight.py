"""What coordinates that do not wrap have in common: there is one way from a to b, and T ends with the sum of their squares."""

from abc import ABC, abstractmethod

import numpy as np

from spacetime_tps.coordinates.protocol import Way


class Straight(ABC):
    """D values that are about as large as thermal motion in a unit of their own; T = (values, sum of their squares)."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """D + 1."""

    @property
    @abstractmethod
    def unit(self) -> tuple[str, ...]:
        """D units that people read them in."""

    @property
    @abstractmethod
    def scale(self) -> np.ndarray:
        """(D,) how many of those make one."""

    @property
    def angular(self) -> np.ndarray:
        return np.zeros(self.dimension - 1, dtype=bool)

    @abstractmethod
    def values(self, positions: np.ndarray) -> np.ndarray:
        """(..., D) of positions (..., atoms, 3), nm."""

    def features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., D+1) of positions (..., atoms, 3)."""
        found = self.values(positions)
        return np.concatenate([found, (found**2).sum(-1, keepdims=True)], axis=-1)

    def held_features(self, positions: np.ndarray) -> np.ndarray:
        """The same: nothing is held."""
        return self.features(positions)

    def ways(self, a: np.ndarray, b: np.ndarray, limit: int) -> list[Way]:
        """The straight line: nothing winds."""
        return [Way("direct", b - a)]

    def way_of(self, path: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
        """There is one way."""
        return "direct"
