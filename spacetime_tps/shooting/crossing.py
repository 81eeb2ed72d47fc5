"""Where routes cross the top: which variable to hold there, where, and how the windows of a pilot lead to a better place.

A variable whose ranges in A and in B do not meet is passed through by every path from A to B. Windows on that variable alone at the top see
all of them, whatever the other coordinates do. Where no such variable is known, the way along the geodesic at its top serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window

MOVE = 1.5
MOST_WINDOWS = 8
FRUITLESS = 4
APART = 4.0
"""Deviations between windows that are different crossings"""


@dataclass(frozen=True)
class Crossing:
    """The top of a route."""

    route: str
    window: Window
    onward: float
    """+1 where B lies at larger values of the window's variable, -1 where at smaller ones"""
    log_partition: float
    """psi of the window, relative to the Boltzmann distribution that the weights are of"""


def tangent(curve_features: np.ndarray, free_energy: np.ndarray) -> Linear:
    """The way along a curve at its top, as a variable: direction . T, the direction of unit length.

    curve_features (N, E): T at the centers of a curve, its squares left at zero; free_energy (N,) along it. The direction is that from a
    tenth of the curve before the top to a tenth behind, so that no wiggle of the curve decides it.
    """
    top, reach = int(np.argmax(free_energy)), max(len(curve_features) // 10, 1)
    before, behind = curve_features[max(top - reach, 0)], curve_features[min(top + reach, len(curve_features) - 1)]
    direction = (behind - before) / np.linalg.norm(behind - before)
    return Linear("along_the_curve", tuple(direction.tolist()))


def crossing_of(
    route: str,
    curve_features: np.ndarray,
    statistic: np.ndarray,
    log_weight: np.ndarray,
    variables: Sequence[Variable],
    *,
    stiffness: float,
) -> Crossing:
    """The top of a curve by the free energy of confining one variable alone to each of its points, weighted frames given.

    curve_features (N, E): T at the centers of the curve; statistic (S, E), log_weight (S,); variables: those to choose from. The one with
    the highest top is taken: along the others, one sees less of what separates A from B. A window that held several would see one gate in
    the ridge; paths through others would hardly ever be shot, and would carry enormous weights when they are.
    """
    tops = []
    for variable in variables:
        places = variable.value(curve_features)
        if variable.period is not None:
            places = np.unwrap(places, period=variable.period)
        windows = [Window(variable, float(c), stiffness) for c in places[1:-1]]
        psi = [float(logsumexp(log_weight + w.log_factor(statistic))) for w in windows]
        lowest = int(np.argmin(psi))
        step = places[-1] - places[0] if variable.period is None else places[lowest + 2] - places[lowest]
        tops.append(Crossing(route, windows[lowest], float(np.sign(step)) or 1.0, psi[lowest]))
    return min(tops, key=lambda c: c.log_partition)


def distinct(crossings: Sequence[Crossing]) -> list[Crossing]:
    """Crossings of different variables, or `APART` deviations (30 degrees of an angle) from each other on the same one. Routes that cross
    together are one crossing, named by the first."""
    kept: list[Crossing] = []
    for c in crossings:
        same = [k for k in kept if k.window.variable == c.window.variable]
        if all(_gap(k.window, c.window) > (np.radians(30.0) if c.window.variable.period else APART * c.window.deviation) for k in same):
            kept.append(c)
    return kept


def _gap(first: Window, second: Window) -> float:
    return float(abs(first.apart(np.array(second.center))))


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
            return replace(last.window, center=middle * onward), True
    if len(trials) >= MOST_WINDOWS:
        return max(trials, key=lambda t: (t.stays, t.reactive)).window, True
    step = MOVE * last.window.deviation * (1.0 if last.share < 0.5 else -1.0)
    stiffness = last.window.stiffness * (1.0 if last.stays else 2.0)
    return replace(last.window, center=last.window.center + step * onward, stiffness=stiffness), False


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
