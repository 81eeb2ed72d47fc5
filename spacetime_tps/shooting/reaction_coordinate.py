"""A reaction coordinate from shots: the linear function of the features whose logistic is the committor (Peters and Trout 2006).

A trajectory from x reaches B with probability p_B(x). With logit p_B = b0 + b . T(x) outcomes have a likelihood, and the b that makes it
largest says which combination of features the committor depends on (doi:10.1063/1.2234477). A ridge keeps b small where few points say
anything of it. Whether b tells more than the variable that points were drawn along is decided on walks left out, and how strong the
ridge is, on walks left out of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit

from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window

NAME = "committor"
"""Of the variables found here"""
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 4
SURE = 2.0
"""Standard errors by which the held-out likelihood must gain"""
FEWEST = 20
"""Trajectories that ended in either state, at least"""
SPAN = 2.0
"""Of a linear variable over a route's curve: -1 to 1 about its middle, so that windows are as narrow on it as on an angle"""


@dataclass(frozen=True)
class Outcomes:
    """P points that were shot from."""

    features: np.ndarray
    """T (P, E)"""
    reached_b: np.ndarray
    """(P,) trajectories that ended in B"""
    ended: np.ndarray
    """(P,) in either state"""
    walk: np.ndarray
    """(P,) labels: points of one walk are left out together"""

    def of(self, points: np.ndarray) -> "Outcomes":
        """Those of some points, bool (P,)."""
        return Outcomes(self.features[points], self.reached_b[points], self.ended[points], self.walk[points])


@dataclass(frozen=True)
class Found:
    """A variable, where its p_B is one half, and what it explains beyond another one."""

    variable: Linear
    half: float
    """Its value where p_B = 1/2, or the nearest that a point has"""
    gain: float
    """Held-out log-likelihood over that of the other variable, of all trajectories together"""
    gain_error: float
    """Standard error, over walks"""


def spanning(name: str, direction: np.ndarray, curve: np.ndarray) -> Linear:
    """direction . T (E,), in a unit in which it spans `SPAN` over the curve (N, E)."""
    return Linear(name, tuple((direction * SPAN / np.ptp(curve @ direction)).tolist()))


def committor_variable(outcomes: Outcomes, current: Variable, curve: np.ndarray) -> Found | None:
    """The fitted variable, or None: where too little ended in a state, its gain over `current` is not sure, or it falls from A to B.

    curve (N, E): mean T along the route, from A to B.
    """
    seen = outcomes.ended > 0
    o = outcomes.of(seen)
    missed = o.ended - o.reached_b
    if min(o.reached_b.sum(), missed.sum()) < FEWEST or len(np.unique(o.walk)) < FOLDS:
        return None
    spread = o.features.std(axis=0)
    use = (spread > 1e-9 * max(float(spread.max()), 1.0)) & (np.ptp(curve, axis=0) > 0.0)  # squares are left at zero on a curve
    mean, scale = o.features.mean(axis=0)[use], spread[use]
    z = (o.features[:, use] - mean) / scale
    along = _about_mean(current, o.features)[:, None]
    gains = _by_walk(_held_out(z, o, RIDGES) - _held_out(along, o, (0.0,)), o.walk)
    gain, error = float(gains.sum()), float(np.sqrt(len(gains)) * gains.std(ddof=1))
    offset, slope = _fit(z, o.reached_b, o.ended, _ridge(z, o, RIDGES))
    direction = np.zeros(len(use))
    direction[use] = slope / scale
    if gain < SURE * error or direction @ (curve[-1] - curve[0]) <= 0.0:
        return None
    variable = spanning(NAME, direction, curve)
    unit, at = np.linalg.norm(variable.direction) / np.linalg.norm(direction), variable.value(o.features)
    half = float(np.clip(unit * (direction[use] @ mean - offset), at.min(), at.max()))
    return Found(variable, half, gain, error)


def _about_mean(variable: Variable, features: np.ndarray) -> np.ndarray:
    """Values (P,) of a variable less their mean, the short way round where it wraps."""
    return Window(variable, variable.mean(features)[0], 1.0).apart(variable.value(features))


def _fit(z: np.ndarray, reached: np.ndarray, ended: np.ndarray, ridge: float) -> tuple[float, np.ndarray]:
    """b0 and b (n,) of the largest penalised likelihood of outcomes at z (P, n): ridge |b|^2 / 2 is taken off; b0 is free."""
    missed = ended - reached

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        logit = b[0] + z @ b[1:]
        up, down = log_expit(logit), log_expit(-logit)
        residual = ended * np.exp(up) - reached
        gradient = np.concatenate([[residual.sum()], z.T @ residual + ridge * b[1:]])
        return float(-(reached @ up + missed @ down) + 0.5 * ridge * b[1:] @ b[1:]), gradient

    found = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return float(found[0]), found[1:]


def _ridge(z: np.ndarray, o: Outcomes, ridges: Sequence[float]) -> float:
    """The ridge under which walks that were left out are likeliest."""
    if len(ridges) == 1:
        return ridges[0]
    return max(ridges, key=lambda ridge: float(_held_out(z, o, (ridge,)).sum()))


def _held_out(z: np.ndarray, o: Outcomes, ridges: Sequence[float]) -> np.ndarray:
    """(P,) log-likelihood of each point's outcomes under the fit to the other folds of walks, its ridge chosen on those alone."""
    labels = np.unique(o.walk)
    found = np.zeros(len(z))
    for fold in range(FOLDS):
        out = np.isin(o.walk, labels[fold::FOLDS])
        ridge = _ridge(z[~out], o.of(~out), ridges)
        offset, slope = _fit(z[~out], o.reached_b[~out], o.ended[~out], ridge)
        logit = offset + z[out] @ slope
        found[out] = o.reached_b[out] * log_expit(logit) + (o.ended - o.reached_b)[out] * log_expit(-logit)
    return found


def _by_walk(values: np.ndarray, walk: np.ndarray) -> np.ndarray:
    return np.array([values[walk == label].sum() for label in np.unique(walk)])
