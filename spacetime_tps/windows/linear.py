"""A linear function of the features as a window variable, held by a harmonic factor: a distance, or the way along a curve."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Linear:
    """s = direction . T. log_factor = -stiffness (s - center)^2 / 2."""

    name: str
    direction: tuple[float, ...]
    """(E,)"""
    scale: float = 1.0

    kind = "linear"
    period = None
    energy = "0.5*stiffness*(f0-center)^2"

    @property
    def functionals(self) -> tuple[tuple[float, ...], ...]:
        return (self.direction,)

    def value(self, features: np.ndarray) -> np.ndarray:
        """direction . T."""
        return np.asarray(features @ np.array(self.direction))

    def log_factor(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """-stiffness (s - center)^2 / 2."""
        return np.asarray(-0.5 * stiffness * (self.value(features) - center) ** 2)

    def slope(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """-stiffness (s - center) direction."""
        return np.asarray(-stiffness * (self.value(features) - center)[..., None] * np.array(self.direction))

    def mean(self, features: np.ndarray) -> tuple[float, float]:
        """Mean and variance."""
        s = self.value(features)
        return float(s.mean()), float(s.var())

    def embedded(self, first: int, dimension: int) -> "Linear":
        """The same in a longer T, of which this one's begins at entry `first`."""
        return Linear(self.name, (*[0.0] * first, *self.direction, *[0.0] * (dimension - first - len(self.direction))), self.scale)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "direction": [*self.direction], "scale": self.scale}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Linear":
        """The inverse of `to_json`."""
        return Linear(data["name"], tuple(data["direction"]), data["scale"])
