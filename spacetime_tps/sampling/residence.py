"""Which state a trajectory comes from, frame by frame."""

import numpy as np

from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE, met
from spacetime_tps.states.state import State
from spacetime_tps.states.transitions import places
from spacetime_tps.trajectories.frames import Frames


def residence(frames: Frames, a: State, b: State, counted: np.ndarray | None = None) -> tuple[int, int]:
    """How many frames of a trajectory after its first come from A, and how many from B: the state that was met last.

    counted (F,) bool: frames that count; all where None.
    """
    place = places(frames.positions, a, b)
    last = np.maximum.accumulate(np.where(met(place), np.arange(len(place)), 0))
    origin = (place[last] if counted is None else np.where(counted, place[last], NOWHERE))[1:]
    return int((origin == IN_A).sum()), int((origin == IN_B).sum())
