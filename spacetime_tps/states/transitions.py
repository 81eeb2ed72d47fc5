"""What goes from one state to the other, and transitions cut from long unbiased trajectories: the reference for every other way."""

import numpy as np

from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames, part, time_reversed


def connects(positions: np.ndarray, a: State, b: State) -> bool:
    """Whether the first of frames (F, atoms, 3) is in a and the LAST in b."""
    return bool(a.contains(positions[0]) and b.contains(positions[-1]))


def transitions(frames: Frames, a: State, b: State) -> tuple[list[Frames], Frames]:
    """The transitions in an unbiased trajectory, each from its last frame in one state to its first in the other.

    Those from B to A come turned in time: at equilibrium they are transitions from A to B as good as any (detailed balance). The second
    result is what follows the last frame in a state, that frame included: put before the next piece of the same trajectory, it loses no
    transition at the seam. Before a state was met, that is the whole trajectory.
    """
    in_a = a.contains(frames.positions)
    visits = np.flatnonzero(in_a | b.contains(frames.positions))
    if not len(visits):
        return [], frames
    crossings = np.flatnonzero(in_a[visits[1:]] != in_a[visits[:-1]])
    found = []
    for k in crossings.tolist():
        piece = part(frames, slice(int(visits[k]), int(visits[k + 1]) + 1))
        found.append(piece if in_a[visits[k]] else time_reversed(piece))
    return found, part(frames, slice(int(visits[-1]), None))
