"""What is known of a route before anything is shot: its curve, and weighted frames that walks can start from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.ladder import EnsembleFrames

DEEP = 2.0
"""kT, of a basin between the states: trajectories that fall into it stay for seven times as long as it takes them to cross it, at least"""
NEITHER = 0.9
"""Share of a basin's distribution that is in neither state, at least"""


@dataclass(frozen=True)
class RouteFrames(Generic[Start]):
    """A route and S weighted frames of its class."""

    route: str
    """Name"""
    centers: np.ndarray
    """(N, E) T at the centers of its curve, squares left at zero"""
    curve: np.ndarray
    """(N, E) mean T along it, squares left at zero"""
    cost: np.ndarray
    """(N,) kT, of confining the system to each of its points"""
    features: np.ndarray
    """(S, E) T of the frames"""
    log_weight: np.ndarray
    """(S,) log of normalised Boltzmann weights"""
    in_a: np.ndarray
    """(S,) bool"""
    whole: np.ndarray
    """(S,) bool: whether the molecule is what it was"""
    plain: np.ndarray
    """(R,) which frames are draws of the Boltzmann distribution restricted to A, equally likely; they may repeat"""
    start: Callable[[int], Start]
    """A frame as the engine starts from it"""
    windows: Sequence[EnsembleFrames] = ()
    """Ensembles along the route from A on, which link its top to A where no ladder does"""
    untrusted: str = ""
    """Why the weights of its frames cannot be trusted, if they cannot"""
    third_basin: str = ""
    """What people call the place, where the route rests between A and B in a basin that is neither"""


def basin_between(cost: np.ndarray, outside: np.ndarray) -> int | None:
    """The deepest bottom along a curve in neither state, `DEEP` below the highest points on both of its sides; None where there is none.

    cost (N,): of confinement to each point, kT; outside (N,): the share of each point's distribution that is in neither state.
    """
    sides = np.minimum(np.maximum.accumulate(cost), np.maximum.accumulate(cost[::-1])[::-1])
    around = np.concatenate([[np.inf], cost, [np.inf]])
    bottom = (cost <= around[:-2]) & (cost <= around[2:])
    depth = np.where(bottom & (outside > NEITHER), sides - cost, 0.0)
    deepest = int(np.argmax(depth))
    return deepest if depth[deepest] >= DEEP else None
