"""The thermal reference: the highest energy of equilibrium stretches in A that are as long as a path and looked at as often."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames


def inside(runs: Sequence[Frames], a: State) -> list[np.ndarray]:
    """Potential energies (kJ/mol) of the maximal pieces of runs that stay in state a, one (F,) array a piece, F >= 1."""
    pieces = []
    for run in runs:
        steps = np.diff(np.concatenate([[False], a.contains(run.positions), [False]]).astype(int))
        enters, leaves = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        pieces += [run.potential_energy[i:j] for i, j in zip(enters, leaves, strict=True)]
    return pieces


def thermal_maxima(runs: Sequence[Frames], frames_a_path: int, a: State) -> np.ndarray:
    """Highest potential energy (kJ/mol) of each stretch of `frames_a_path` frames that never leaves state a: (stretches,), maybe none.

    A run is cut into its maximal pieces in a, and each piece into as many stretches, end to end from its first frame, as it holds: a frame
    outside is on its way elsewhere, not heat.
    """
    return np.array([
        piece[k : k + frames_a_path].max()
        for piece in inside(runs, a)
        for k in range(0, len(piece) - frames_a_path + 1, frames_a_path)
    ])  # fmt: skip


def longest_stretch(runs: Sequence[Frames], a: State, *, count: int) -> int:
    """The largest number of frames of which there are `count` stretches that never leave state a; zero where there are not so many."""
    lengths = np.array([len(piece) for piece in inside(runs, a)], dtype=int)
    return max((n for n in {int(m) // k for m in lengths for k in range(1, count + 1)} if n and (lengths // n).sum() >= count), default=0)
