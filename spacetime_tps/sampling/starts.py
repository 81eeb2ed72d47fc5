"""Where walks start: draws among weighted frames, one seed a walk."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.errors import SpacetimeError


def draw_starts(log_weight: np.ndarray, allowed: np.ndarray, seeds: Sequence[int], *, none: str) -> np.ndarray:
    """Which frame each walk starts from: draws among the allowed frames (S,) bool with log weights (S,), one seed a walk.

    none: what is wrong where no frame is allowed. Returns indices (len(seeds),). Raises SpacetimeError with it.
    """
    if not allowed.any():
        raise SpacetimeError(none)
    logits = np.where(allowed, log_weight, -np.inf)
    cumulative = np.cumsum(np.exp(logits - logits.max()))
    draws = np.array([np.random.default_rng(seed).random() for seed in seeds])
    return np.searchsorted(cumulative, draws * cumulative[-1], side="right")
