"""Where routes cross the top: which variable to hold there, where, and how the windows of a pilot lead to a better place.

A variable whose ranges in A and in B do not meet is passed through by every path from A to B. Windows on that variable alone at the top see
all of them, whatever the other coordinates do. Where no such variable is known, or none holds, the way from A to B serves, or that along
the geodesic at its top; and once shots have told what the committor depends on, that does (`reaction_coordinate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.shooting.batches import WindowTrial
from spacetime_tps.shooting.reaction_coordinate import spanning
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window

MOVE = 1.5
MOST_WINDOWS = 8
FRUITLESS = 4
PER_DEVIATION = 4
"""Places that a top is looked for at"""
DISTINCT, SLICE = 4.0, 1 / 12
"""Deviations, or the part of a period, between windows that are different crossings"""


@dataclass(frozen=True)
class Crossing:
    """The top of a route."""

    route: str
    window: Window
    onward: float
    """+1 where B lies at larger values of the window's variable, -1 where at smaller ones"""
    log_partition: float
    """psi of the window, relative to the Boltzmann distribution that the weights are of"""


def chord(curve: np.ndarray) -> Linear:
    """The way from one end of a curve (N, E) of mean features to the other."""
    return spanning("a_to_b", curve[-1] - curve[0], curve)


def tangent(curve: np.ndarray, free_energy: np.ndarray) -> Linear:
    """The way along a curve at its top, as a variable.

    curve (N, E): mean T along it, its squares left at zero; free_energy (N,). The direction is that from a tenth of the curve before the
    top to a tenth behind, so that no wiggle of the curve decides it.
    """
    top, reach = int(np.argmax(free_energy)), max(len(curve) // 10, 1)
    return spanning("along_the_curve", curve[min(top + reach, len(curve) - 1)] - curve[max(top - reach, 0)], curve)


def crossings_of(frames: RouteFrames[Any], variables: Sequence[Variable], *, stiffness: float) -> list[Crossing]:
    """The top of a route on each variable, by the free energy of confining it alone to each place from A to B; highest barrier first.

    Places go from where frames are at the curve's one end to where they are at its other, the way round that its centers go: centers of
    restraints may lie where no frame ever is. The barrier is that from the deepest of them. Of all coordinates that which the committor
    depends on shows the highest: along others, one sees less of what separates A from B. A window that held several would see one gate in
    the ridge; paths through others would hardly ever be shot, and would carry enormous weights when they are.
    """
    found = []
    for variable in variables:
        begin, end = _ends(frames, variable)
        places = np.linspace(begin, end, 2 * max(round(0.5 * PER_DEVIATION * abs(end - begin) * stiffness**0.5), 1) + 1)
        windows = [Window(variable, float(c), stiffness) for c in places]
        psi = [float(logsumexp(frames.log_weight + w.log_factor(frames.features))) for w in windows]
        lowest = 1 + int(np.argmin(psi[1:-1]))
        found.append((max(psi) - psi[lowest], Crossing(frames.route, windows[lowest], float(np.sign(end - begin)) or 1.0, psi[lowest])))
    return [crossing for _, crossing in sorted(found, key=lambda pair: -pair[0])]


def _ends(frames: RouteFrames[Any], variable: Variable) -> tuple[float, float]:
    """Values of a variable at both ends of a route; where it wraps, the second as many turns on as the route turns."""
    begin, end = (float(variable.value(frames.curve[k])) for k in (0, -1))
    if variable.period is not None:
        turned = np.unwrap(variable.value(frames.centers), period=variable.period)
        end += variable.period * round(float(turned[-1] - turned[0] - (end - begin)) / variable.period)
    return begin, end


def distinct(crossings: Sequence[Crossing]) -> list[Crossing]:
    """Crossings of different variables, or on the same one `DISTINCT` deviations (a `SLICE` of a period, 30 degrees of an angle) apart.
    Routes that cross together are one crossing, named by the first."""
    kept: list[Crossing] = []
    for c in crossings:
        same = [k for k in kept if k.window.variable == c.window.variable]
        if all(_gap(k.window, c.window) > _apart(c.window) for k in same):
            kept.append(c)
    return kept


def _apart(window: Window) -> float:
    """How far from it another place is."""
    period = window.variable.period
    return period * SLICE if period else DISTINCT * window.deviation


def _gap(first: Window, second: Window) -> float:
    return float(abs(first.apart(np.array(second.center))))


def next_window(crossing: Crossing, trials: Sequence[WindowTrial]) -> tuple[Window, bool]:
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


def hopeless(trials: Sequence[WindowTrial]) -> bool:
    """Whether `FRUITLESS` windows have been tried and none of their shots was reactive."""
    return len(trials) >= FRUITLESS and all(t.reactive == 0.0 for t in trials)


def _half_way(place: np.ndarray, share: np.ndarray, ended: np.ndarray) -> float | None:
    """Where the line through the logits of shares (n,), weighted by what they rest on, is zero; None where it does not rise.

    Shares lie on both sides of one half. A line that is zero beyond their last place, of which the share is then near one half, ends there:
    to go on would lead back and forth between places that were tried.
    """
    slope, at_zero = np.polyfit(place, np.log(share / (1.0 - share)), 1, w=np.sqrt(ended * share * (1.0 - share) + 1e-9))
    return float(np.clip(-at_zero / slope, place.min(), place.max())) if slope > 0.0 else None
