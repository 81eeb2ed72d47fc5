"""Where a trajectory ended."""

import numpy as np

IN_A, IN_B, NOWHERE = 0, 1, -1
"""In one of the two states, or in neither: its steps ran out, or it broke down"""


def met(ends: np.ndarray) -> np.ndarray:
    """Which of some ends (...) are in a state."""
    return np.asarray(ends != NOWHERE)
