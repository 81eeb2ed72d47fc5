"""What is known of a route before anything is shot: its curve, and weighted frames that walks can start from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.ladder import EnsembleFrames


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
    statistic: np.ndarray
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
