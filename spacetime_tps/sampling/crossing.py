"""Where routes cross the top: which torsion to hold there, where, and how the windows of a pilot lead to a better place.

A torsion whose ranges in A and in B do not meet is turned by every path from A to B, one way round or the other. Windows on that torsion
alone at the top of either way see all of them, whatever the other torsions do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

STEEPEST = 2.5
"""Concentration times variance, at most, of a window that stays on top: one on flat ground, large where it falls into a basin"""
MOVE = 1.5
MOST_WINDOWS = 8
FRUITLESS = 4


@dataclass(frozen=True)
class Window:
    """A restraint on one torsion; all others are free."""

    torsion: int
    center: float
    """radians"""
    stiffness: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the torsion on flat ground, radians."""
        return float(self.stiffness**-0.5)

    def eta(self, torsions: int) -> np.ndarray:
        """Natural parameter (2 torsions,)."""
        eta = np.zeros((torsions, 2))
        eta[self.torsion] = self.stiffness * np.cos(self.center), self.stiffness * np.sin(self.center)
        return eta.ravel()


@dataclass(frozen=True)
class Crossing:
    """The top of a route."""

    route: str
    window: Window
    onward: float
    """+1 where B lies at larger angles of the window's torsion, -1 where at smaller ones"""
    log_partition: float
    """psi of the window, relative to the Boltzmann distribution that the weights are of"""


def crossing_of(
    route: str, curve: np.ndarray, statistic: np.ndarray, log_weight: np.ndarray, torsions: Sequence[int], *, stiffness: float
) -> Crossing:
    """The top of a curve (N, 2n) by the free energy of confining one torsion alone to each of its points, weighted frames given.

    statistic (S, 2n), log_weight (S,); torsions: those to choose from. The one with the highest top is taken: along the others, one sees
    less of what separates A from B. A window that held several would see one gate in the ridge; paths through others would hardly ever be
    shot, and would carry enormous weights when they are.
    """
    pairs = curve.reshape(len(curve), -1, 2)
    centers = np.unwrap(np.arctan2(pairs[..., 1], pairs[..., 0]), axis=0)
    tops = []
    for torsion in torsions:
        windows = [Window(torsion, float(c), stiffness) for c in centers[1:-1, torsion]]
        psi = [float(logsumexp(log_weight + statistic @ w.eta(centers.shape[1]))) for w in windows]
        lowest = int(np.argmin(psi))
        step = centers[lowest + 2, torsion] - centers[lowest, torsion]
        tops.append(Crossing(route, windows[lowest], float(np.sign(step)) or 1.0, psi[lowest]))
    return min(tops, key=lambda c: c.log_partition)


def distinct(crossings: Sequence[Crossing], *, apart: float = np.radians(30.0)) -> list[Crossing]:
    """Crossings of different torsions, or `apart` in the same one. Routes that cross together are one crossing, named by the first."""
    kept: list[Crossing] = []
    for c in crossings:
        same = (k for k in kept if k.window.torsion == c.window.torsion)
        if all(abs((k.window.center - c.window.center + np.pi) % (2 * np.pi) - np.pi) > apart for k in same):
            kept.append(c)
    return kept


def shift(statistic: np.ndarray, window: Window) -> float:
    """How far, in radians, the mean direction of a window's torsion over frames, T (F, 2n), lies from its center."""
    cosine, sine = _mean_pair(statistic, window)
    return float((np.arctan2(sine, cosine) - window.center + np.pi) % (2 * np.pi) - np.pi)


def stays(statistic: np.ndarray, window: Window) -> bool:
    """Whether frames of a window, T (F, 2n), are one narrow peak within a deviation of its center: not in a basin, nor split over two."""
    cosine, sine = _mean_pair(statistic, window)
    return bool(window.stiffness * (1.0 - cosine**2 - sine**2) < STEEPEST and abs(shift(statistic, window)) < window.deviation)


def _mean_pair(statistic: np.ndarray, window: Window) -> tuple[float, float]:
    cosine, sine = statistic.reshape(len(statistic), -1, 2)[:, window.torsion].mean(axis=0)
    return float(cosine), float(sine)


@dataclass(frozen=True)
class Trial:
    """What a window gave."""

    window: Window
    stays: bool
    reached_b: int
    """Trajectories, two a shot, that ended in B"""
    ended: int
    """in either state"""
    reactive: float
    """Fraction of its shots"""

    @property
    def share(self) -> float:
        """Share that reached B, drawn a little to one half."""
        return (self.reached_b + 1.0) / (self.ended + 2.0)


def next_window(crossing: Crossing, trials: Sequence[Trial]) -> tuple[Window, bool]:
    """The window to try next and whether it is the one to stay with, from the windows tried so far, in their order.

    A window that slides off the top is made twice as stiff; one whose trajectories mostly end in one state is moved towards the other. Once
    windows on both sides are known, the one to stay with is where a logistic curve through their shares of B passes one half. Where
    `MOST_WINDOWS` do not lead there, it is the one with most reactive shots.
    """
    if not trials:
        return crossing.window, False
    last, onward = trials[-1], crossing.onward
    flat = [t for t in trials if t.stays and t.window.stiffness == last.window.stiffness]
    place = np.array([t.window.center * onward for t in flat])
    share = np.array([t.share for t in flat])
    if len(flat) > 1 and share.min() < 0.5 <= share.max():
        middle = _half_way(place, share, np.array([t.ended for t in flat]))
        if middle is not None:
            return Window(last.window.torsion, middle * onward, last.window.stiffness), True
    if len(trials) >= MOST_WINDOWS:
        return max(trials, key=lambda t: (t.stays, t.reactive)).window, True
    step = MOVE * last.window.deviation * (1.0 if last.share < 0.5 else -1.0)
    stiffness = last.window.stiffness * (1.0 if last.stays else 2.0)
    return Window(last.window.torsion, last.window.center + step * onward, stiffness), False


def hopeless(trials: Sequence[Trial]) -> bool:
    """Whether `FRUITLESS` windows have been tried and none of their shots was reactive."""
    return len(trials) >= FRUITLESS and all(t.reactive == 0.0 for t in trials)


def _half_way(place: np.ndarray, share: np.ndarray, ended: np.ndarray) -> float | None:
    """Where the line through the logits of shares (n,), weighted by what they rest on, is zero; None where it does not rise.

    Shares lie on both sides of one half. A line that is zero beyond their last place, of which the share is then near one half, ends there:
    to go on would lead back and forth between places that were tried.
    """
    slope, at_zero = np.polyfit(place, np.log(share / (1.0 - share)), 1, w=np.sqrt(ended * share * (1.0 - share) + 1e-9))
    return float(np.clip(-at_zero / slope, place.min(), place.max())) if slope > 0.0 else None
