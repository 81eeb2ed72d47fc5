"""Whether two sets of weighted paths have the same distribution of a number: weighted Kolmogorov-Smirnov with a bootstrap null."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv


@dataclass(frozen=True)
class Agreement:
    """A distance and what chance alone would give."""

    distance: float
    limit: float
    """99th percentile of the null"""

    @property
    def holds(self) -> bool:
        """Whether the distance is within the limit; a true agreement fails once in a hundred."""
        return self.distance <= self.limit


def effective_number(weight: np.ndarray) -> float:
    """Kish's: (sum w)^2 / sum w^2 of weights (n,); 0 where there are none."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.sum() else 0.0


def kolmogorov_smirnov(x: np.ndarray, w: np.ndarray, y: np.ndarray, v: np.ndarray) -> float:
    """Largest difference of the weighted cumulative distributions of x (n,) with weights w and y (m,) with weights v."""
    at = np.sort(np.concatenate([x, y]))
    return float(np.abs(_cumulative(x, w, at) - _cumulative(y, v, at)).max())


def agreement(
    x: np.ndarray, w: np.ndarray, reference: np.ndarray, *, rng: np.random.Generator, draws: int = 2000, percentile: float = 99.0
) -> Agreement:
    """Compare weighted x (n,) with an unweighted reference (m,), whose entries are independent.

    The null draws with replacement, both from the reference: as many as x is worth, the effective number of its weights, and m.
    """
    worth = max(round(effective_number(w)), 2)
    null = [
        kolmogorov_smirnov(
            rng.choice(reference, worth), np.ones(worth), rng.choice(reference, len(reference)), np.ones(len(reference))
        )
        for _ in range(draws)
    ]  # fmt: skip
    return Agreement(kolmogorov_smirnov(x, w, reference, np.ones(len(reference))), float(np.percentile(null, percentile)))


def _cumulative(x: np.ndarray, w: np.ndarray, at: np.ndarray) -> np.ndarray:
    order = np.argsort(x)
    total = np.concatenate([[0.0], np.cumsum(w[order])])
    return total[np.searchsorted(x[order], at, side="right")] / total[-1]


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance, between 0 and 1 (the root of the divergence in bits), of histograms p (..., bins) and q (..., bins)."""
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    middle = 0.5 * (p + q)
    divergence = 0.5 * (_relative_entropy(p, middle) + _relative_entropy(q, middle))
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0) / np.log(2.0)))


def density_agreement(
    visits: np.ndarray, w: np.ndarray, reference: np.ndarray, *, rng: np.random.Generator, draws: int = 2000, percentile: float = 99.0
) -> Agreement:
    """Compare the densities of weighted paths, visits (n, bins), with those of independent reference paths (m, bins), by Jensen-Shannon.

    The null draws whole paths from the reference, as `agreement` does.
    """
    worth, many = max(round(effective_number(w)), 2), len(reference)
    even = np.full(many, 1.0 / many)
    drawn = [rng.multinomial(size, even, size=draws) @ reference for size in (worth, many)]
    null = jensen_shannon(drawn[0], drawn[1])
    return Agreement(float(jensen_shannon(w @ visits, reference.sum(axis=0))), float(np.percentile(null, percentile)))


def share_interval(count: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a share of which `count` in `total` independent draws were seen."""
    tail = (1.0 - confidence) / 2.0
    low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1.0 - tail)) if count < total else 1.0
    return low, high


def difference_interval(share: float, error: float, count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of the difference between a share with a standard error and one of which `count` in `total` independent draws were
    seen, from the intervals of both (method of variance estimates recovery: Zou and Donner, Statistics in Medicine 27, 1693, 2008)."""
    low, high = share_interval(count, total)
    reference, reach = count / total, 1.96 * error
    difference = share - reference
    return difference - float(np.hypot(reach, high - reference)), difference + float(np.hypot(reach, reference - low))


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0) / np.where(q > 0.0, q, 1.0)), 0.0).sum(axis=-1))
