"""What coordinates that are lengths have in common: they do not wrap, there is one way from a to b, and T ends with their squares."""

from abc import ABC, abstractmethod

import numpy as np

from spacetime_tps.coordinates.protocol import Way
from spacetime_tps.windows.linear import Linear

PER_NM = 10.0
"""Values are in 0.1 nm, which is about the size of thermal motion"""


def length(name: str, names: tuple[str, ...]) -> Linear:
    """The one of that name (D names) as a scalar of T."""
    return Linear(name, (*(float(own == name) for own in names), 0.0), 1.0 / PER_NM)


class Lengths(ABC):
    """D lengths in 0.1 nm; T = (values, sum of their squares)."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """D + 1."""

    @property
    def unit(self) -> tuple[str, ...]:
        return ("nm",) * (self.dimension - 1)

    @property
    def scale(self) -> np.ndarray:
        return np.full(self.dimension - 1, 1.0 / PER_NM)

    @property
    def angular(self) -> np.ndarray:
        return np.zeros(self.dimension - 1, dtype=bool)

    @abstractmethod
    def values(self, positions: np.ndarray) -> np.ndarray:
        """(..., D) of positions (..., atoms, 3) in nm."""

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
