"""Geodesics on a torsion surface: all ways round, at a noise floor that is raised until samples can follow the best curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.families import VonMisesAbove
from spacetime_tps.geometry.geodesic import Geodesic, evaluate, minimise
from spacetime_tps.geometry.penalties import Avoid, Barrier, Divergence, EffectiveSamples, Penalty
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.routes import Route
from spacetime_tps.surfaces.annealed import largest_variance

FIRST_FLOOR, LAST_FLOOR, RAISE = 25.0, 1600.0, 2.0
STEEPEST = 2.5
"""Precision times variance, at most, of a posterior that samples can follow: 1 on flat ground, large where it has two basins"""
BARRIER, SHARPNESS = 0.2, 2.0
"""Weight of the barrier per kT, in units of the straight curve's energy"""
AVOIDANCE = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Weights of the regions, in the same unit, one after the other: a strong penalty at once throws a curve off the samples"""
KEPT = 0.9
"""Share of a region's floor that counts as kept: the penalty is soft"""
MARGIN = 10.0
"""kT above the best barrier beyond which a route is not refined at the next floor"""
FEWEST_SAMPLES, SUPPORT = 10.0, 1.0
POINTS, NODES, EVALUATIONS = 48, 16, 50


@dataclass(frozen=True)
class Region:
    """A forbidden set on a surface, as the samples inside it."""

    divergence: Divergence
    """-log P_eta(region), nats"""
    floor: float
    """What it must not fall below"""


@dataclass(frozen=True)
class Found:
    """The best geodesic of a search, and the others."""

    best: Route
    routes: list[Route]
    floor: float
    steepness: float
    """Largest precision times variance along the best curve"""
    nearest: float
    """Least divergence from a region along the best curve, in units of the region's floor; infinite without regions"""
    met: bool
    """Whether the best curve keeps out of every region"""
    evaluations: int
    """of the objective, over all routes and floors"""

    @property
    def geodesic(self) -> Geodesic:
        """The best route's geodesic."""
        assert self.best.geodesic is not None
        return self.best.geodesic


def search(
    denoiser: WeightedSamples,
    ends: tuple[np.ndarray, np.ndarray],
    *,
    end_level: float,
    regions: Sequence[Region] = (),
    first_floor: float = FIRST_FLOOR,
) -> Found:
    """The route with the lowest barrier among the ways round each torsion, in one denoiser's geometry, no samples drawn.

    The floor on kappa starts where distributions are wide, so that curves see the large features of the surface first, and doubles until
    the posterior along the best curve has one basin everywhere. Routes that enter a region are worse than any that does not.
    """
    torsions = len(ends[0])
    level = np.full((POINTS, torsions), max(first_floor, end_level))
    found = routing.straight_routes(tuple(f"t{k}" for k in range(torsions)), *ends, level, 2**torsions)
    floor, spent = first_floor, 0
    while True:
        found, trials = _refined(found, denoiser, floor, end_level, (), 0.0)
        spent += trials
        steepness = _steepness(found[0], denoiser, floor)
        if steepness <= STEEPEST or floor * RAISE > LAST_FLOOR:
            break
        floor *= RAISE
        found = [route for route in found if regions or route.barrier < found[0].barrier + MARGIN]
    # Once more, from points at constant speed: no leap of a curve between two points goes unseen. Regions act only now, at the final floor:
    # wider distributions reach into them from far off.
    for weight in AVOIDANCE if regions else (0.0,):
        found, trials = _refined(found, denoiser, floor, end_level, regions, weight)
        spent += trials
        if _nearest(found[0].eta, denoiser, regions) >= KEPT:
            found = [route for route in found if route.barrier < found[0].barrier + MARGIN]
    steepness = _steepness(found[0], denoiser, floor)
    nearest = _nearest(found[0].eta, denoiser, regions)
    return Found(found[0], found, floor, steepness, nearest, nearest >= KEPT, spent)


def at_points(found: Geodesic, denoiser: WeightedSamples, floor: float, points: int) -> Geodesic:
    """The same geodesic at another number of points."""
    family = VonMisesAbove(found.eta.shape[1] // 2, floor=floor)
    return evaluate(found.eta, denoiser, family=family, points=points)


def _refined(
    found: list[Route], denoiser: WeightedSamples, floor: float, end_level: float, regions: Sequence[Region], avoidance: float
) -> tuple[list[Route], int]:
    """The routes optimised at a floor, those that keep out of the regions first, then by barrier; and the evaluations of the objective."""
    family = VonMisesAbove(len(found[0].winding), floor=floor)
    refined, spent = [], 0
    for route in found:
        level = torch.from_numpy(routing.levels(1.02 * floor, *[np.full(family.torsions, max(end_level, floor))] * 2, POINTS))
        center = torch.from_numpy(routing.unwrapped(route.eta))
        s = torch.linspace(0, 1, POINTS, dtype=torch.double)[:, None]
        straight = family.natural(center[:1] + s * (center[-1:] - center[:1]), level)
        unit = float(curve.energy(straight, denoiser.moments(straight).mean))
        penalties: list[Penalty] = [
            Barrier(weight=BARRIER * unit, sharpness=SHARPNESS),
            EffectiveSamples(floor=FEWEST_SAMPLES, weight=SUPPORT * unit),
        ]
        penalties += [Avoid([region.divergence], floor=region.floor, weight=avoidance * unit) for region in regions]
        eta = family.natural(center, level)
        best = minimise(eta, denoiser.supporting(eta), penalties, family=family, nodes=NODES, points=POINTS, evaluations=EVALUATIONS)
        best = evaluate(best.eta, denoiser, family=family, points=POINTS, trace=best.trace)
        spent += len(best.trace)
        refined.append(replace(route, eta=best.eta.numpy(), geodesic=best))
    return sorted(refined, key=lambda r: (_nearest(r.eta, denoiser, regions) < KEPT, r.barrier)), spent


def _steepness(route: Route, denoiser: WeightedSamples, floor: float) -> float:
    """Largest precision times variance along a route."""
    family, eta = VonMisesAbove(len(route.winding), floor=floor), torch.from_numpy(route.eta)
    return float((family.precision(eta) * largest_variance(eta, denoiser, family)).max())


def _nearest(eta: np.ndarray, denoiser: WeightedSamples, regions: Sequence[Region]) -> float:
    """The least divergence from any region along a curve, in units of the region's floor; infinite without regions."""
    at = torch.from_numpy(eta)
    moments = denoiser.moments(at)
    return min((float((region.divergence(at, moments) / region.floor).min()) for region in regions), default=float("inf"))


def sobol(points: int, torsions: int, seed: int) -> Tensor:
    """Scrambled Sobol points (points, torsions) over the torus, in [-pi, pi)."""
    engine = torch.quasirandom.SobolEngine(torsions, scramble=True, seed=seed)
    return (engine.draw(points, dtype=torch.double) * 2.0 - 1.0) * torch.pi
