"""Whether walks side by side in one window see the same part of it."""

import numpy as np


def r_hat(features: np.ndarray, walk: np.ndarray) -> float | None:
    """The potential scale reduction factor of Gelman and Rubin, Statist. Sci. 7, 457 (1992), over walks: the largest of any entry of T.

    features (F, E), walk (F,): which one each frame is from. One where walks have mixed, about sqrt(2) where each is worth two independent
    frames, more where each keeps to a part of its own. None where there is one walk, or nothing moves.
    """
    walks = [features[walk == k] for k in np.unique(walk)]
    within = np.mean([w.var(axis=0) for w in walks], axis=0)
    moves = within > 0.0
    if len(walks) < 2 or not moves.any():
        return None
    between = np.var([w.mean(axis=0) for w in walks], axis=0, ddof=1)
    return float(np.sqrt(1.0 + (between[moves] / within[moves]).max()))
