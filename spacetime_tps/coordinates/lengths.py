"""What coordinates that are lengths have in common: nm, in files, and 0.1 nm, in values."""

import numpy as np

from spacetime_tps.coordinates.straight import Straight
from spacetime_tps.windows.linear import Linear

PER_NM = 10.0
"""Values are in 0.1 nm, which is about the size of thermal motion"""


def length(name: str, names: tuple[str, ...]) -> Linear:
    """The one of that name (D names) as a scalar of T."""
    return Linear(name, (*(float(own == name) for own in names), 0.0), 1.0 / PER_NM)


class Lengths(Straight):
    """D lengths in 0.1 nm."""

    @property
    def unit(self) -> tuple[str, ...]:
        return ("nm",) * (self.dimension - 1)

    @property
    def scale(self) -> np.ndarray:
        return np.full(self.dimension - 1, 1.0 / PER_NM)
