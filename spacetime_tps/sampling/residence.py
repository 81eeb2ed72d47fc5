"""Which state a trajectory comes from, frame by frame."""

import numpy as np

from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames


def residence(frames: Frames, a: State, b: State, counted: np.ndarray | None = None) -> tuple[int, int]:
    """How many frames of a trajectory after its first come from A, and how many from B: the state that was met last.

    counted (F,) bool: frames that count; all where None.
    """
    state = np.where(a.contains(frames.positions), 1, np.where(b.contains(frames.positions), 2, 0))
    last = np.maximum.accumulate(np.where(state > 0, np.arange(len(state)), 0))
    origin = (state[last] if counted is None else state[last] * counted)[1:]
    return int((origin == 1).sum()), int((origin == 2).sum())
