"""How places and ways are told in words: by the coordinates that matter most, few enough to be read."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.coordinates.circle import to_read

MOST = 4
"""Coordinates that a name or a sentence holds"""


def largest(change: np.ndarray) -> list[int]:
    """Which of some changes (D,) are the `MOST` largest, in their order."""
    return sorted(np.argsort(-np.abs(change), kind="stable")[:MOST].tolist())


def place(names: Sequence[str], values: np.ndarray, angular: np.ndarray) -> str:
    """Values (D,), radians or 0.1 nm, as in 'phi 0, d 3.1'; nothing where there are more than `MOST`."""
    if len(names) > MOST:
        return ""
    read = np.where(angular, (to_read(values, angular) + 180.0) % 360.0 - 180.0, values)
    return ", ".join(f"{name} {value:.{0 if angle else 1}f}" for name, value, angle in zip(names, read, angular, strict=True))
