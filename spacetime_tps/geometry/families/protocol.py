"""What an exponential family is: the features T that a restraint acts on, and how its natural parameter eta reads as center and noise."""

from typing import Protocol

import numpy as np
from torch import Tensor


class Family(Protocol):
    """What geometry and denoisers need to know of coordinates: p_eta(x) is proportional to exp(-U(x)/kT + eta . T(x))."""

    @property
    def dimension(self) -> int:
        """Length E of eta and of T."""

    @property
    def locations(self) -> tuple[int, ...]:
        """Which entries of T move with the coordinates."""

    @property
    def squares(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """The other entries, and of which locations each is the sum of squares."""

    @property
    def levels(self) -> int:
        """L, how many noise levels there are."""

    @property
    def angular(self) -> np.ndarray:
        """(D,) bool: which coordinates are angles."""

    def features(self, x: Tensor) -> Tensor:
        """T (..., E) of coordinates (..., D)."""

    def values(self, features: Tensor) -> Tensor:
        """The coordinates (..., D) behind T (..., E): the inverse of `features`, also of a mean of T."""

    def level(self, eta: Tensor) -> Tensor:
        """Noise level of eta (..., E), as (..., L): the larger, the narrower p_eta."""

    def precisions(self, eta: Tensor) -> Tensor:
        """The inverse variance that the noise alone would leave, for each noise level, (..., L)."""

    def level_of(self, precision: Tensor) -> Tensor:
        """The noise levels (..., L) with precisions (..., L)."""

    def spread(self, mean: Tensor) -> Tensor:
        """The variance of all that one noise level is of, (..., L), from the mean of T (..., E)."""

    def center(self, eta: Tensor) -> Tensor:
        """Where p_eta is drawn to, eta (..., E) to coordinates (..., D)."""

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """The eta (..., E) with this center (..., D) and level (..., L)."""

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T(x) (...) and its gradient with respect to the coordinates x (..., D)."""

    @property
    def groups(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """What moves by itself: the one or two entries of T that belong together, and which of the noise levels is theirs."""

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """A log-partition (...) for want of a better: with T of this center and variance (locations,), or T unknown but for its size."""

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """What an observation of T (..., E) under noise of precision (..., L) adds to eta (..., E); normal (..., E): standard numbers.

        With x from p_eta and y = T + noise, x given y is from p of eta plus this: Bayes' rule.
        """

    def chart(self, eta: Tensor) -> Tensor:
        """A curve eta (N, E) in the coordinates that splines run in and the optimiser moves, (N, E): all of comparable size."""

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
