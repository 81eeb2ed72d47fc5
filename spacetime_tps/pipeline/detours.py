"""Initial curves past a forbidden region, on either side of it: the optimiser pushes a curve to one side at best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spacetime_tps.geometry.families import VonMises
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.avoidance import Region
from spacetime_tps.pipeline.routes import Route

CLEARANCE = 3.0
"""Standard deviations, 1/sqrt(kappa), from the edge of a region to a detour"""
TAPER = 0.15
"""Share of the curve, on either side of a region, over which a detour leaves it"""
HELD = 4
"""Points at either end over which a detour meets the curve, at least"""


def detours(route: Route, regions: Sequence[Region], level: np.ndarray, names: tuple[str, ...]) -> list[Route]:
    """Routes past either side of each region that the centers of a route enter; none where all of them enter a region after all.

    level (N, n): concentrations of the new curves; names (n,): of the torsions.
    """
    centers = routing.unwrapped(route.eta)
    away = float(np.degrees(CLEARANCE / np.sqrt(level.min())))
    found = []
    for region in regions:
        inside = np.flatnonzero(region.holds(centers))
        for past in _sides(centers, inside, region, away) if len(inside) else []:
            eta = VonMises(len(names)).natural(torch.from_numpy(past.centers), torch.from_numpy(level)).numpy()
            if not any(r.holds(routing.center_line(eta)).any() for r in regions):
                found.append(Route(f"{route.name}_past_{names[past.torsion]}{past.edge:+.0f}", routing.winding(eta), eta))
    return found


@dataclass(frozen=True)
class _Past:
    centers: np.ndarray
    """(N, n) radians"""
    torsion: int
    edge: float
    """degrees: where the curve passes"""


def _sides(centers: np.ndarray, inside: np.ndarray, region: Region, away: float) -> list[_Past]:
    """The centers (N, n) moved out of the region by one torsion, down or up; inside: the indices of those in it."""
    index = np.arange(len(centers))
    apart = np.abs(index[:, None] - inside)
    nearest = inside[apart.argmin(axis=1)]
    bump = 0.5 + 0.5 * np.cos(np.pi * np.minimum(apart.min(axis=1) / (TAPER * len(centers)), 1.0))
    bump *= np.minimum(np.minimum(index, index[::-1]) / HELD, 1.0)
    moved = []
    for k, low, high in region.ranges:
        here = np.degrees(centers[:, k])
        for edge, shift in ((low - away, -((here - low) % 360.0) - away), (high + away, (high - here) % 360.0 + away)):
            past = centers.copy()
            past[:, k] += bump * np.radians(shift[nearest])
            moved.append(_Past(past, k, (edge + 180.0) % 360.0 - 180.0))
    return moved
