"""The thermal reference: the highest energy of equilibrium runs in A that are as long as a path and looked at as often."""

import numpy as np

from spacetime_tps.molecules.dynamics import Frames
from spacetime_tps.molecules.states import State


def thermal_maxima(runs: list[Frames], frames_a_path: int, b: State) -> np.ndarray:
    """Highest potential energy (kJ/mol) of each consecutive stretch of `frames_a_path` frames of runs from A.

    A stretch that visits B is a transition, not heat, and is left out.
    """
    stretches = []
    for run in runs:
        whole = len(run) // frames_a_path * frames_a_path
        left = b.contains(run.positions[:whole]).reshape(-1, frames_a_path).any(axis=1)
        stretches.append(run.potential_energy[:whole].reshape(-1, frames_a_path).max(axis=1)[~left])
    return np.concatenate(stretches)
