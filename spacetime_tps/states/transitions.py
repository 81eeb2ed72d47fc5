"""What goes from one state to the other, and transitions cut from long unbiased trajectories: the reference for every other way."""

import numpy as np

from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE, met
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames, part, time_reversed


def connects(positions: np.ndarray, a: State, b: State) -> bool:
    """Whether the first of frames (F, atoms, 3) is in a and the LAST in b."""
    return bool(a.contains(positions[0]) and b.contains(positions[-1]))


def places(positions: np.ndarray, a: State, b: State) -> np.ndarray:
    """IN_A, IN_B or NOWHERE of frames (..., atoms, 3): (...)."""
    return np.where(a.contains(positions), IN_A, np.where(b.contains(positions), IN_B, NOWHERE))


def crossings(place: np.ndarray) -> list[slice]:
    """Pieces of a trajectory whose frames are at these places (F,), each from its last frame in one state to the next in the other."""
    inside = np.flatnonzero(met(place))
    turns = np.flatnonzero(place[inside[1:]] != place[inside[:-1]])
    return [slice(int(inside[k]), int(inside[k + 1]) + 1) for k in turns]


def transitions(frames: Frames, a: State, b: State) -> tuple[list[Frames], Frames]:
    """The transitions in an unbiased trajectory, each from its last frame in one state to its first in the other.

    Those from B to A come turned in time: at equilibrium they are transitions from A to B as good as any (detailed balance). The second
    result is what follows the last frame in a state, that frame included: put before the next piece of the same trajectory, it loses no
    transition at the seam. Before a state was met, that is the whole trajectory.
    """
    place = places(frames.positions, a, b)
    inside = np.flatnonzero(met(place))
    if not len(inside):
        return [], frames
    pieces = [(part(frames, piece), place[piece.start]) for piece in crossings(place)]
    return [x if begins == IN_A else time_reversed(x) for x, begins in pieces], part(frames, slice(int(inside[-1]), None))
