"""Nearest images in a periodic cell, as OpenMM takes them in every force of two or more atoms."""

import numpy as np

from spacetime_tps.coordinates.molecule import Cell


def nearest_image(apart: np.ndarray, cell: Cell | None) -> np.ndarray:
    """Vectors (..., 3), nm, between atoms: those to the nearest image where there is a periodic cell."""
    for axis in (2, 1, 0) if cell is not None else ():
        vector = np.array(cell[axis])  # type: ignore[index]
        apart = apart - np.round(apart[..., axis : axis + 1] / vector[axis]) * vector
    return apart
