"""Values of which some are angles: differences that take the short way round, and lines that stay continuous."""

import numpy as np


def difference(a: np.ndarray, b: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """What takes values a (..., D) to b (..., D): angles, radians, by the short way round, in [-pi, pi)."""
    straight = np.asarray(b - a)
    return np.where(angular, (straight + np.pi) % (2 * np.pi) - np.pi, straight)


def continuous(values: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Values (N, D) along a line, angles without their leaps of 2 pi."""
    return np.where(angular, np.unwrap(values, axis=0), values)


def winding(values: np.ndarray, angular: np.ndarray) -> tuple[int, ...]:
    """Whole turns of each value along a line (N, D), relative to the short way round between its ends; 0 for what is no angle."""
    line = continuous(values, angular)
    extra = (line[-1] - line[0]) - difference(line[0], line[-1], angular)
    return tuple(int(t) for t in np.round(np.where(angular, extra, 0.0) / (2 * np.pi)))


def between(values: np.ndarray, angular: np.ndarray, *, count: int = 20) -> np.ndarray:
    """Points (F, D) close together on the lines between neighbouring values (N, D)."""
    line = continuous(values, angular)
    s = np.linspace(0.0, len(line) - 1.0, count * (len(line) - 1) + 1)
    return np.stack([np.interp(s, np.arange(len(line)), c) for c in line.T], axis=1)


def within(degrees: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """Whether angles (...) lie in the range that goes up from low to high, across 180 where high < low."""
    return (np.asarray(degrees) - low) % 360.0 <= width(low, high)


def width(low: float, high: float) -> float:
    """Degrees from low up to high; where the two are one angle, or whole turns apart, that is the whole circle."""
    return (high - low) % 360.0 or 360.0


def meet(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two ranges of angles, degrees, share more than an end: then one of them begins in the other."""
    beyond = 1e-6
    return bool(within(second[0] + beyond, *first) or within(first[0] + beyond, *second))
