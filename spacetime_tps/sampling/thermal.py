"""The thermal reference: the highest energy of equilibrium stretches in A that are as long as a path and looked at as often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.free_energy import common_statistical_inefficiency
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

FEWEST = 2
"""Stretches, without which a mean has no error"""


@dataclass(frozen=True)
class ThermalReference:
    """Highest energies of stretches of plain MD that never leave A."""

    maxima: np.ndarray
    """(stretches,), kJ/mol above start.pdb"""
    frames: int
    """Of each stretch"""
    inefficiency: float
    """How many stretches one independent one is worth: those shorter than the energy's memory, which is 1 / friction for a molecule alone,
    are not independent"""

    @property
    def value(self) -> float:
        """Their mean."""
        return float(self.maxima.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(self.maxima.std(ddof=1) * np.sqrt(self.inefficiency / len(self.maxima)))


def thermal_reference(runs: Sequence[Frames], frames_a_path: int, a: State, *, zero: float) -> ThermalReference:
    """Of stretches as long as a path; where fewer than two are, of the longest of which there are two, which are cooler.

    runs: plain MD with frames as far apart as the path's; zero: energy of start.pdb, kJ/mol. Raises SpacetimeError where no run stays in A.
    """
    frames = min(frames_a_path, longest_stretch(runs, a, count=FEWEST))
    if not frames:
        raise SpacetimeError("no run from A stays in A: there is nothing to compare with; widen the state or use a lower temperature")
    pieces = maxima_by_piece(runs, frames, a)
    return ThermalReference(np.concatenate(pieces) - zero, frames, common_statistical_inefficiency(pieces))


def matched_reference(
    runs: Sequence[Frames], frames: np.ndarray, weight: np.ndarray, a: State, *, zero: float
) -> tuple[float, float]:  # fmt: skip
    """Mean of thermal references, length by length, of paths of `frames` (paths,) with weights (paths,); and its standard error, as of
    stretches that all lengths share. kJ/mol. Raises as `thermal_reference`."""
    found = [(weight[frames == one].sum(), thermal_reference(runs, one, a, zero=zero)) for one in np.unique(frames).tolist()]
    share = np.array([mass for mass, _ in found]) / weight.sum()
    return (
        float(share @ [reference.value for _, reference in found]),
        float(share @ [reference.standard_error for _, reference in found]),
    )  # fmt: skip


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


def longest_stretch(runs: Sequence[Frames], a: State, *, count: int) -> int:
    """The largest number of frames of which there are `count` stretches that never leave state a; zero where there are not so many."""
    lengths = np.array([len(piece) for piece in inside(runs, a)], dtype=int)
    return max((n for n in {int(m) // k for m in lengths for k in range(1, count + 1)} if n and (lengths // n).sum() >= count), default=0)
