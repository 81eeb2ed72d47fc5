"""Where walks start: draws among weighted frames, one seed a walk."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.errors import SpacetimeError


def draw_starts(log_weight: np.ndarray, allowed: np.ndarray, seeds: Sequence[int], *, state: str = "A") -> np.ndarray:
    """Which frame each walk starts from: draws among the allowed frames (S,) bool with log weights (S,), one seed a walk.

    state: what the allowed ones are in. Returns indices (len(seeds),). Raises SpacetimeError where no frame is allowed.
    """
    if not allowed.any():
        raise SpacetimeError(f"no sampled frame is in state {state}: widen the state or sample longer (training.steps_{state.lower()})")
    logits = np.where(allowed, log_weight, -np.inf)
    cumulative = np.cumsum(np.exp(logits - logits.max()))
    draws = np.array([np.random.default_rng(seed).random() for seed in seeds])
    return np.searchsorted(cumulative, draws * cumulative[-1], side="right")
