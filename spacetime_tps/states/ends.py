"""Where the frames of a trajectory are, and where it ended: in A, in B, or in neither."""

import numpy as np

IN_A, IN_B, NOWHERE = 0, 1, -1
"""In one of the two states, or in neither: its steps ran out, or it broke down"""
NAMES = np.array(["A", "B", ""])
"""Of the three, as people read them"""


def met(ends: np.ndarray) -> np.ndarray:
    """Which of some ends (...) are in a state."""
    return np.asarray(ends != NOWHERE)


def trials(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of ends (n, ...) of n trajectories: how many (...) are in B, and how many in a state, which are the trials of a committor."""
    return np.asarray((ends == IN_B).sum(axis=0)), np.asarray(met(ends).sum(axis=0))
