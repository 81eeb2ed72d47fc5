"""The bootstrap of whole clusters: what is drawn together is not independent."""

import numpy as np


def cluster_draws(count: int, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of so many clusters is drawn, with replacement: (draws, count) whole numbers.

    Of C clusters C - 1 are drawn, so that the variance of a mean has no bias however few clusters there are (Rao and Wu 1988,
    doi:10.1080/01621459.1988.10478591). A single cluster is always drawn: it says nothing of any error.
    """
    return rng.multinomial(max(count - 1, 1), np.full(count, 1.0 / count), size=draws)


def resampled(clusters: np.ndarray, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Multiplicities (draws, n) of n entries with a cluster label each, one on average (`cluster_draws`)."""
    labels, member = np.unique(clusters, return_inverse=True)
    times = cluster_draws(len(labels), draws=draws, rng=rng)
    return np.asarray(times[:, member] * (len(labels) / times[0].sum()))
