"""Evaluations: what was spent, and what a batch is going to cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.sites import Site

MARGIN = 4.0
"""Standard deviations of the sum of all shots that an estimate leaves room for"""


def shot(sites: Sequence[Site[Any]]) -> int:
    """Evaluations of all batches so far, walks and shots."""
    return sum(b.evaluations + b.walk_evaluations for site in sites for b in site.batches)


def shots_cost(count: int, evaluations: np.ndarray) -> float:
    """What `count` shots are going to take, hardly ever more; evaluations (n,) of shots so far. Nothing is known before the first one."""
    if not len(evaluations):
        return 0.0
    return float(count * evaluations.mean() + MARGIN * np.sqrt(count) * evaluations.std())


def batch_cost(sites: Sequence[Site[Any]], settings: ShootingSettings, *, points: int, discard: int = 0, states: int = 0) -> float:
    """What a batch of so many points on each walk is going to cost, and shooting again from so many states: hardly ever more."""
    walks = settings.walkers * (1 + discard + points * settings.gap)
    shots = settings.walkers * points * settings.shots + states * settings.state_shots
    known = np.concatenate([np.zeros(1), *(b.shot_evaluations for site in sites for b in site.batches)])
    return walks + shots_cost(shots, known)


def affordable(left: float, evaluations: np.ndarray, most: int) -> int:
    """How many of `most` further shots keep within `left`."""
    found = most
    while found and shots_cost(found, evaluations) > left:
        found -= 1
    return found
