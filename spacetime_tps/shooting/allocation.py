"""Which site the next batch goes to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spacetime_tps.shooting import budget
from spacetime_tps.shooting.crossing import distinct
from spacetime_tps.shooting.sites import Site

LEAST = 5
"""Batches at each of several sites, where they are worth it"""
WORTH = 0.1
"""Share of all evaluations that a site may take for its first `LEAST` batches, or the share of its paths where that is more"""


def behind(sites: Sequence[Site[Any]], weight: np.ndarray) -> int | None:
    """A site that had no batch in its window, or fewer than `LEAST` and not more than they are worth; None where there is none.

    The share of a minor way rests on its own shots alone. Sites whose pilots met on the same top are one, and there a single site needs
    none. weight (paths,), site by site.
    """
    rivals = [n for n, s in enumerate(sites) if not s.hopeless]
    tops = [replace(sites[n].crossing, window=sites[n].latest) for n in rivals]
    apart = distinct(tops)
    if len(apart) < 2:
        return None
    share = _by_site(sites, weight) / max(float(weight.sum()), 1e-300)
    spent = [budget.shot([site]) for site in sites]
    for n in (n for n, top in zip(rivals, tops, strict=True) if top in apart):
        batches = sites[n].settled_batches
        if batches == 0 or (batches < LEAST and spent[n] < max(share[n], WORTH) * sum(spent)):
            return n
    return None


def neediest(sites: Sequence[Site[Any]], weight: np.ndarray) -> int:
    """The site where one more evaluation lowers the sum of squared weights most; weight (paths,), site by site.

    With n shots at a site its weights fall as 1/n, their number grows as n: the sum of squares S falls as 1/n, and n is what was spent
    there over the cost of a shot. So one more evaluation lowers S by S over what was spent.
    """
    gain = _by_site(sites, weight**2) / np.array([max(budget.shot([site]), 1) for site in sites])
    return int(np.argmax(gain))


def _by_site(sites: Sequence[Site[Any]], values: np.ndarray) -> np.ndarray:
    """Sums (sites,) of values (paths,), site by site."""
    counts = [site.paths for site in sites]
    return np.array([part.sum() for part in np.split(values, np.cumsum(counts)[:-1])])
