"""One angle of the coordinates as a window variable, held by a von Mises factor."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Angle:
    """The angle whose cosine and sine are entries `cosine` and `sine` of T. log_factor = stiffness cos(s - center)."""

    name: str
    dimension: int
    """E"""
    cosine: int
    sine: int

    kind = "angle"
    period = 2.0 * np.pi
    scale = 180.0 / np.pi
    energy = "-stiffness*(f0*cos(center)+f1*sin(center))"

    @property
    def functionals(self) -> tuple[tuple[float, ...], ...]:
        rows = np.zeros((2, self.dimension))
        rows[0, self.cosine] = rows[1, self.sine] = 1.0
        return tuple(map(tuple, rows.tolist()))

    def value(self, features: np.ndarray) -> np.ndarray:
        """Radians in (-pi, pi]."""
        return np.arctan2(features[..., self.sine], features[..., self.cosine])

    def log_factor(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """stiffness cos(s - center)."""
        return np.asarray(stiffness * (features[..., self.cosine] * np.cos(center) + features[..., self.sine] * np.sin(center)))

    def slope(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """stiffness (cos center, sin center) in the angle's two entries, whatever the features are."""
        found = np.zeros(features.shape)
        found[..., self.cosine], found[..., self.sine] = stiffness * np.cos(center), stiffness * np.sin(center)
        return found

    def mean(self, features: np.ndarray) -> tuple[float, float]:
        """Mean direction, and 1 - R^2 of the mean resultant length R: the variance where it is small."""
        cosine, sine = float(features[..., self.cosine].mean()), float(features[..., self.sine].mean())
        return float(np.arctan2(sine, cosine)), 1.0 - cosine**2 - sine**2

    def embedded(self, first: int, dimension: int) -> "Angle":
        """The same in a longer T, of which this one's begins at entry `first`."""
        return Angle(self.name, dimension, first + self.cosine, first + self.sine)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "dimension": self.dimension, "cosine": self.cosine, "sine": self.sine}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Angle":
        """The inverse of `to_json`."""
        return Angle(data["name"], data["dimension"], data["cosine"], data["sine"])
