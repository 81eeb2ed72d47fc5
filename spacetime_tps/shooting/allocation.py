"""Which site the next batch goes to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spacetime_tps.shooting.crossing import distinct
from spacetime_tps.shooting.sites import Site

LEAST = 5
"""Batches at each of several sites"""


def behind(sites: Sequence[Site[Any]]) -> int | None:
    """A site that had fewer than `LEAST` batches in its window, or None: the share of a minor way rests on its own shots alone.

    Sites whose pilots met on the same top are one, and there a single site needs none.
    """
    rivals = [n for n, s in enumerate(sites) if not s.hopeless]
    tops = [replace(sites[n].crossing, window=sites[n].latest) for n in rivals]
    apart = distinct(tops)
    few = (n for n, top in zip(rivals, tops, strict=True) if top in apart and sites[n].settled_batches < LEAST)
    return next(few, None) if len(apart) > 1 else None


def neediest(sites: Sequence[Site[Any]], weight: np.ndarray) -> int:
    """The site where one more shot lowers the sum of squared weights most; weight (paths,), site by site.

    With n shots at a site its weights fall as 1/n, their number grows as n: the sum of squares S falls as 1/n, by S/n for one more.
    """
    gain, first = [], 0
    for site in sites:
        gain.append(float((weight[first : first + site.paths] ** 2).sum()) / max(site.shots, 1))
        first += site.paths
    return int(np.argmax(gain))
