"""Whether two sets of weighted paths have the same distribution of a number: weighted Kolmogorov-Smirnov with a bootstrap null."""

from dataclasses import dataclass

import numpy as np


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
    """(sum w)^2 / sum w^2 of weights (n,)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


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
