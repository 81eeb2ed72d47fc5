"""The thermal reference: the highest energy of equilibrium runs in A that are as long as a path and looked at as often."""

import numpy as np

from spacetime_tps.molecules.dynamics import Frames


def thermal_maxima(runs: list[Frames], frames_a_path: int) -> np.ndarray:
    """Highest potential energy (kJ/mol) of each consecutive stretch of `frames_a_path` frames of the runs."""
    stretches = []
    for run in runs:
        whole = len(run) // frames_a_path * frames_a_path
        stretches.append(run.potential_energy[:whole].reshape(-1, frames_a_path).max(axis=1))
    return np.concatenate(stretches)
