"""Plain steered MD: the straight line in torsion space, the short way round each torsion, at one restraint strength."""

import numpy as np


def straight_line(start: np.ndarray, change: np.ndarray, level: np.ndarray) -> np.ndarray:
    """eta (N, 2n) of the line from angles start (n,) by change (n,), in radians, with concentrations level (N, n)."""
    angles = start + np.linspace(0.0, 1.0, len(level))[:, None] * change
    return (level[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)).reshape(len(level), -1)


def shortest_change(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The change (n,) in (-pi, pi] that takes each angle the short way round."""
    return (end - start + np.pi) % (2 * np.pi) - np.pi
