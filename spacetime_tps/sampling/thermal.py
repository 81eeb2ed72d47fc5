"""The thermal reference: the highest energy of equilibrium stretches in A that are as long as a path and looked at as often."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.sampling.free_energy import common_statistical_inefficiency
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


def maxima_by_piece(runs: Sequence[Frames], frames_a_path: int, a: State) -> list[np.ndarray]:
    """Highest potential energies (kJ/mol) of stretches of `frames_a_path` frames that never leave state a, in order of time: (stretches,)
    for each maximal piece of a run in a.

    A piece is cut into as many stretches, end to end from its first frame, as it holds: a frame outside is on its way elsewhere, not heat.
    """
    return [
        np.array([piece[k : k + frames_a_path].max() for k in range(0, len(piece) - frames_a_path + 1, frames_a_path)])
        for piece in inside(runs, a)
    ]


def thermal_maxima(runs: Sequence[Frames], frames_a_path: int, a: State) -> np.ndarray:
    """Of all pieces together (`maxima_by_piece`), maybe none."""
    return np.concatenate([np.zeros(0), *maxima_by_piece(runs, frames_a_path, a)])


def thermal_inefficiency(runs: Sequence[Frames], frames_a_path: int, a: State) -> float:
    """How many of `thermal_maxima` one independent one is worth: stretches shorter than the energy's memory, which is 1 / friction for a
    molecule alone, are not independent."""
    return common_statistical_inefficiency(maxima_by_piece(runs, frames_a_path, a))


def thermal_mean(runs: Sequence[Frames], frames_a_path: int, a: State) -> tuple[float, float]:
    """Mean of `thermal_maxima`, kJ/mol, and its standard error; nan where there are too few."""
    every = thermal_maxima(runs, frames_a_path, a)
    if len(every) < 2:
        return float("nan"), float("nan")
    return float(every.mean()), float(every.std(ddof=1) * np.sqrt(thermal_inefficiency(runs, frames_a_path, a) / len(every)))


def longest_stretch(runs: Sequence[Frames], a: State, *, count: int) -> int:
    """The largest number of frames of which there are `count` stretches that never leave state a; zero where there are not so many."""
    lengths = np.array([len(piece) for piece in inside(runs, a)], dtype=int)
    return max((n for n in {int(m) // k for m in lengths for k in range(1, count + 1)} if n and (lengths // n).sum() >= count), default=0)
