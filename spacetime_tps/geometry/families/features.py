"""Features T of any family as arrays: of a curve's centers, and without their squares."""

import numpy as np
import torch

from spacetime_tps.geometry.families.protocol import Family


def features_of_centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """T (N, E) at the centers of a curve (N, E), its squares left at zero."""
    return without_squares(family.features(family.center(torch.from_numpy(eta))).numpy(), family)


def without_squares(features: np.ndarray, family: Family) -> np.ndarray:
    """Features T (..., E) with the sums of squares of displacements set to zero: what is left is linear in where the molecule is."""
    moving = np.zeros(family.dimension)
    moving[list(family.locations)] = 1.0
    return np.asarray(features * moving)
