"""Default states: from two structures alone, a box about each that ends well before the other."""

import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.states.state import END, START, State, states_of


def states_around(coordinates: Coordinates, start: np.ndarray, end: np.ndarray, *, cell: Cell | None) -> tuple[State, State]:
    """A about start (atoms, 3) and B about end, nm, as `Coordinates.box_around` has them.

    Raises SpacetimeError where the two differ too little in every coordinate.
    """
    a, b = coordinates.box_around(start, end, START), coordinates.box_around(end, start, END)
    if not a:
        raise SpacetimeError("the two minimised structures do not differ enough in any coordinate: they are in the same state")
    return states_of({"A": [a], "B": [b]}, cell=cell, start=start, end=end)
