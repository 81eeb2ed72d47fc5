"""What samplers ask of a potential energy surface."""

from typing import Protocol

from torch import Tensor


class Surface(Protocol):
    """An energy over a few coordinates, with its gradient. Many points at once."""

    @property
    def dimension(self) -> int:
        """Number of coordinates D."""

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U (n,) and its gradient (n, D) at x (n, D), in the surface's own unit of energy; n evaluations."""

    def energy(self, x: Tensor) -> Tensor:
        """U (...) at x (..., D)."""
