"""How places and ways are told in words: by the coordinates that matter most, few enough to be read."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.units import decimals

MOST = 4
"""Coordinates that a name or a sentence holds"""


def largest(change: np.ndarray) -> list[int]:
    """Which of some changes (D,) are the `MOST` largest, in their order."""
    return sorted(np.argsort(-np.abs(change), kind="stable")[:MOST].tolist())


def read(coordinates: Coordinates, values: np.ndarray) -> np.ndarray:
    """Values (..., D) in the units of the coordinates; those that wrap between -180 and 180 degrees."""
    wrapped = np.where(coordinates.angular, (values + np.pi) % (2.0 * np.pi) - np.pi, values)
    return np.asarray(coordinates.scale * wrapped)


def unread(coordinates: Coordinates, told: np.ndarray) -> np.ndarray:
    """Values (..., D) from what `read` gave."""
    return np.asarray(told / coordinates.scale)


def short(coordinates: Coordinates, values: np.ndarray) -> list[str]:
    """Values (D,) as words: whole degrees, 0.01 nm."""
    return [f"{value:.{decimals(scale)}f}" for value, scale in zip(read(coordinates, values), coordinates.scale.tolist(), strict=True)]


def place(coordinates: Coordinates, values: np.ndarray) -> str:
    """Values (D,) as in 'phi 0, d 0.31'; nothing where there are more than `MOST`."""
    if len(coordinates.names) > MOST:
        return ""
    return ", ".join(f"{name} {value}" for name, value in zip(coordinates.names, short(coordinates, values), strict=True))


def listed(names: Sequence[str]) -> str:
    """A few of them, and how many there are more."""
    if len(names) > MOST:
        return f"{', '.join(names[:MOST])} and {len(names) - MOST} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
