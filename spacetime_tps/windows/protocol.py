"""Window variables: smooth scalars of the features that shooting windows are a bias on."""

from typing import Any, Protocol

import numpy as np


class Variable(Protocol):
    """A scalar s of T, and the bias that holds it at a place. Implementations are frozen and hashable, and stand in
    `windows.registry.VARIABLES`.

    s may depend on T in any smooth way; OpenMM sees it through `functionals`, linear in T, and `energy`, an expression of those.
    """

    @property
    def kind(self) -> str:
        """Its key in files."""

    @property
    def name(self) -> str:
        """For people, and in files."""

    @property
    def period(self) -> float | None:
        """Of s, where it wraps."""

    @property
    def scale(self) -> float:
        """What s is multiplied by to be in the unit that people read it in."""

    @property
    def functionals(self) -> tuple[tuple[float, ...], ...]:
        """Coefficients (E,) of f0 = c . T, f1, ..."""

    @property
    def energy(self) -> str:
        """-log_factor in kT, an OpenMM expression of f0, f1, ..., `center` and `stiffness`."""

    def value(self, features: np.ndarray) -> np.ndarray:
        """s (...) of features T (..., E)."""

    def log_factor(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """Log of the factor (...) by which a window changes the Boltzmann distribution, at features (..., E)."""

    def slope(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        """Derivative of `log_factor` by the features, (..., E), at features (..., E)."""

    def mean(self, features: np.ndarray) -> tuple[float, float]:
        """Mean and variance of s over frames (F, E), on the branch about the mean where s wraps."""

    def embedded(self, first: int, dimension: int) -> "Variable":
        """The same scalar of a longer T (`dimension`), of which the one here begins at entry `first`."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, its kind included."""
