"""A window: a bias that holds one scalar of the features at a place and leaves all else free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.windows.protocol import Variable

STEEPEST = 2.5
"""Stiffness times variance, at most, of a window that stays on top: one on flat ground, large where it falls into a basin"""


@dataclass(frozen=True)
class Window:
    """The density exp(-U/kT) times the variable's factor at a center."""

    variable: Variable
    center: float
    stiffness: float

    @staticmethod
    def at(variable: Variable, place: float, stiffness: float) -> "Window":
        """With its center at a place as people read it."""
        return Window(variable, place / variable.scale, stiffness)

    @property
    def deviation(self) -> float:
        """Standard deviation of the variable on flat ground."""
        return float(self.stiffness**-0.5)

    @property
    def parameters(self) -> np.ndarray:
        """Of its bias: center, stiffness."""
        return np.array([self.center, self.stiffness])

    def log_factor(self, features: np.ndarray) -> np.ndarray:
        """(...) at T (..., E)."""
        return self.variable.log_factor(features, self.center, self.stiffness)

    def slope(self, features: np.ndarray) -> np.ndarray:
        """Derivative of `log_factor` by T, (..., E), at T (..., E)."""
        return self.variable.slope(features, self.center, self.stiffness)

    def shift(self, features: np.ndarray) -> float:
        """How far the mean of the variable over frames (F, E) lies from the center."""
        return float(self.apart(np.array(self.variable.mean(features)[0])))

    def apart(self, values: np.ndarray) -> np.ndarray:
        """How far values (...) of the variable lie from the center, the short way round where it wraps."""
        apart, period = values - self.center, self.variable.period
        return apart if period is None else (apart + 0.5 * period) % period - 0.5 * period

    def read(self, value: float) -> float:
        """A value of the variable as people read it, within half a period of zero where it wraps."""
        period = self.variable.period
        return float(self.variable.scale * (value if period is None else (value + 0.5 * period) % period - 0.5 * period))

    @property
    def place(self) -> float:
        """The center as people read it."""
        return self.read(self.center)

    def stays(self, features: np.ndarray) -> bool:
        """Whether frames (F, E) are one narrow peak within a deviation of the center: not in a basin, nor split over two."""
        return self.stiffness * self.variable.mean(features)[1] < STEEPEST and abs(self.shift(features)) < self.deviation


def log_factors(windows: Sequence[Window], features: np.ndarray) -> np.ndarray:
    """(..., K) of K windows at T (..., E)."""
    return np.stack([window.log_factor(features) for window in windows], axis=-1)
