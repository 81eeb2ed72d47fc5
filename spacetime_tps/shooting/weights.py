"""The transition path ensemble from shots whose points have a known density: weights of paths, and what follows from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.windows.window import Window, log_factors


@dataclass(frozen=True)
class ShotDensity:
    """Where shots came from: windows k with densities p_k(x) = exp(-U/kT + b_k - psi_k) / Z, and n_k shots from each.

    A shot counts in n_k whatever became of it, one from a point that turned out to lie in a state included.
    """

    windows: Sequence[Window]
    """K biases b_k on the features"""
    log_partition: np.ndarray
    """psi (K,), of all windows relative to one and the same Z"""
    shots: np.ndarray
    """n (K,)"""

    def log_factor(self, features: np.ndarray) -> np.ndarray:
        """log f (P,) at T (P, E): f = sum_k n_k exp(b_k - psi_k), the balance heuristic (Veach and Guibas 1995)."""
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(log_factors(self.windows, features) - self.log_partition + np.log(self.shots), axis=-1))


def path_weights(features: Sequence[np.ndarray], density: ShotDensity) -> np.ndarray:
    """Statistical weights (paths,) of reactive paths: 1 / sum of f over all points that the path could have been shot from.

    features: T (P, E) of those points, path by path (Batch.path_features). A path X with equilibrium probability P(X) is shot from its
    point x_i with probability P(X) p_k(x_i) / p(x_i), p the equilibrium density, so that P(X) sum_i f(x_i) of it are expected in all, and
    the inverse undoes that (Menzl, Singraber, Dellago 2016; Jung, Okazaki, Hummer 2017; Lazzeri, Bolhuis, Covino 2025).

    Their sum is an estimate of how many reactive paths, both directions counted, begin per spacing of the points at equilibrium.
    """
    return np.exp([-logsumexp(density.log_factor(s)) for s in features]) if len(features) else np.zeros(0)


@dataclass(frozen=True)
class Estimate:
    """A weighted average and its bootstrap standard error."""

    value: float
    error: float

    def to_json(self) -> dict[str, float]:
        """Plain data."""
        return {"value": self.value, "standard_error": self.error}


def product(x: Estimate, y: Estimate) -> Estimate:
    """The product of two independent estimates."""
    return Estimate(x.value * y.value, float(np.hypot(x.error * y.value, x.value * y.error)))


def weighted_mean(values: np.ndarray, weight: np.ndarray, times: np.ndarray) -> Estimate:
    """Average of values (n,) under weights (n,), with its error over bootstrap multiplicities `times` (draws, n)."""
    return weighted_statistic(lambda w: float(w @ values / w.sum()) if w.sum() else float("nan"), weight, times)


def weighted_statistic(of: Callable[[np.ndarray], float], weight: np.ndarray, times: np.ndarray) -> Estimate:
    """Any function of the weights (n,), with its error over bootstrap multiplicities `times` (draws, n)."""
    return Estimate(of(weight), float(np.nanstd([of(weight * t) for t in times])))


def design_effect(values: np.ndarray, weight: np.ndarray, clustered: np.ndarray, alone: np.ndarray) -> float:
    """How many times larger the variance of a mean is for the correlation within clusters: one where they are as good as independent.

    clustered, alone (draws, n): bootstrap multiplicities by cluster and entry by entry.
    """
    return (weighted_mean(values, weight, clustered).error / weighted_mean(values, weight, alone).error) ** 2


def heaviest(weight: np.ndarray, *, share: float = 0.01) -> tuple[float, float]:
    """The largest weight over the mean one, and the part of all weight that the heaviest `share` of paths carries."""
    top = np.sort(weight)[::-1][: max(round(share * len(weight)), 1)]
    return float(weight.max() / weight.mean()), float(top.sum() / weight.sum())
