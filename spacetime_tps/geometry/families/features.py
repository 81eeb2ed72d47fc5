"""Between features and the values that people read, on arrays of any family."""

import numpy as np
import torch

from spacetime_tps.geometry.families.protocol import Family


def values_of(features: np.ndarray, family: Family) -> np.ndarray:
    """Values (S, D) of the coordinates behind features T (S, E)."""
    moving = features[..., list(family.locations)]
    if not family.angular.any():
        return moving
    eta = torch.from_numpy(features).clone()
    eta[..., [entry for entry, _ in family.squares]] = -0.5  # unit precision, so that the center is the location itself
    return family.center(eta).numpy()


def features_of_centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """T (N, E) at the centers of a curve (N, E), its squares left at zero."""
    return without_squares(family.features(family.center(torch.from_numpy(eta))).numpy(), family)


def without_squares(features: np.ndarray, family: Family) -> np.ndarray:
    """Features T (..., E) with the sums of squares of displacements set to zero: what is left is linear in where the molecule is."""
    moving = np.zeros(family.dimension)
    moving[list(family.locations)] = 1.0
    return np.asarray(features * moving)
