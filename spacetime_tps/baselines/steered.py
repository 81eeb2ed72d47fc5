"""Plain steered MD: a straight line in torsion space, walked with the restraint strengths and steps of a guided path."""

import numpy as np


def straight_line(start: np.ndarray, change: np.ndarray, level: np.ndarray) -> np.ndarray:
    """eta (N, 2n) of the line from angles start (n,) by change (n,), in radians, with concentrations level (N, n)."""
    angles = start + np.linspace(0.0, 1.0, len(level))[:, None] * change
    return (level[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)).reshape(len(level), -1)
