"""Initial curves past a forbidden region, on either side of it: the optimiser pushes a curve to one side at best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.forbidden import ForbiddenRegion
from spacetime_tps.exploration.route import Route
from spacetime_tps.units import decimals

CLEARANCE = 3.0
"""Standard deviations, 1/sqrt(kappa), from the edge of a region to a detour"""
TAPER = 0.15
"""Share of the curve, on either side of a region, over which a detour leaves it"""
HELD = 4
"""Points at either end over which a detour meets the curve, at least"""

Ranges = Sequence[tuple[int, float, float]]
"""(coordinate, from, to), in the unit people read"""


def detours(route: Route, regions: Sequence[ForbiddenRegion], precision: np.ndarray, coordinates: Coordinates) -> list[Route]:
    """Routes past either side of each region that the centers of a route enter; none where all of them enter a region after all.

    precision (N, L): of the new curves.
    """
    family, names = coordinates.family(), coordinates.names
    centers = lines.centers(route.eta, family)
    away = CLEARANCE / float(np.sqrt(precision.min()))
    found = []
    for region in regions:
        inside = np.flatnonzero(region.holds(centers))
        for past in _sides(centers, inside, passable(region, coordinates), away, coordinates) if len(inside) else []:
            eta = lines.at_precision(family, past.centers, precision)
            if not any(r.holds(lines.center_line(eta, family)).any() for r in regions):
                place = f"{past.edge:+.{decimals(float(coordinates.scale[past.coordinate]))}f}"
                found.append(Route(f"{route.name}_past_{names[past.coordinate]}{place}", lines.class_of(eta, family), eta))
    return found


def passable(region: ForbiddenRegion, coordinates: Coordinates) -> Ranges:
    """The ranges of a region that one coordinate alone can leave: those of coordinates that a range can bound."""
    return [(k, low, high) for k, low, high in region.ranges if coordinates.bounded[k]]


@dataclass(frozen=True)
class _Past:
    centers: np.ndarray
    """(N, D)"""
    coordinate: int
    edge: float
    """Where the curve passes, in its unit"""


def _sides(centers: np.ndarray, inside: np.ndarray, ranges: Ranges, away: float, coordinates: Coordinates) -> list[_Past]:
    """The centers (N, D) moved out of a region by one coordinate, down or up; inside: the indices of those in it."""
    index = np.arange(len(centers))
    apart = np.abs(index[:, None] - inside)
    nearest = inside[apart.argmin(axis=1)]
    bump = 0.5 + 0.5 * np.cos(np.pi * np.minimum(apart.min(axis=1) / (TAPER * len(centers)), 1.0))
    bump *= np.minimum(np.minimum(index, index[::-1]) / HELD, 1.0)
    moved = []
    for k, low, high in ranges:
        unit, turn = coordinates.scale[k], 360.0 if coordinates.angular[k] else np.inf
        here, clear = unit * centers[:, k], unit * away
        for edge, shift in ((low - clear, -_up(here - low, turn) - clear), (high + clear, _up(high - here, turn) + clear)):
            past = centers.copy()
            past[:, k] += bump * shift[nearest] / unit
            moved.append(_Past(past, k, (edge + 180.0) % 360.0 - 180.0 if coordinates.angular[k] else edge))
    return moved


def _up(way: np.ndarray, turn: float) -> np.ndarray:
    return way % turn if np.isfinite(turn) else way
