"""Geodesics on a torsion surface: all ways round, at a noise floor that is raised until samples can follow the best curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines as routing
from spacetime_tps.exploration.route import Route
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.von_mises import VonMises, VonMisesAbove
from spacetime_tps.geometry.geodesic import Geodesic, evaluate, minimise
from spacetime_tps.geometry.graph import LatticePath, lattice_paths
from spacetime_tps.geometry.penalties import Avoid, Barrier, Divergence, EffectiveSamples, Penalty
from spacetime_tps.surfaces.annealed import largest_variance

FIRST_FLOOR, LAST_FLOOR, RAISE = 50.0, 1600.0, 2.0
STEEPEST = 2.0
"""Precision times variance, at most, of a posterior that samples can follow: 1 on flat ground at equal concentrations, 2 on a barrier half
as curved as the noise is stiff, large where there are two basins"""
BARRIER, SHARPNESS = 0.2, 2.0
"""Weight of the barrier per kT, in units of the straight curve's energy"""
AVOIDANCE = 30.0
"""Weight of the regions, in the same unit"""
KEPT = 0.9
"""Share of a region's floor that counts as kept: the penalty is soft"""
MARGIN = 10.0
"""kT above the best barrier beyond which a route is not refined at the next floor"""
FEWEST_SAMPLES, SUPPORT = 10.0, 1.0
ALL_SAMPLES = 400.0
"""Floor from which lattice paths use all samples; below it, in proportion, the first ones, which must be in no order"""
LATTICE, POINTS, NODES, PASSES, EVALUATIONS = 48, 48, 16, 2, 50


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
    """The easiest route among the ways round both torsions, in one denoiser's geometry; no energy is evaluated.

    Curves start from the easiest lattice paths. The floor on kappa doubles until the posterior along the best curve has one basin
    everywhere, since samples cannot follow one that moves its weight from basin to basin. The samples must be in no particular order.
    Raises SpacetimeError where regions leave no way.
    """

    def allowed(eta: Tensor, moments: Moments) -> Tensor:
        return torch.stack([torch.ones(len(eta), dtype=torch.bool), *(r.divergence(eta, moments) > r.floor for r in regions)]).all(0)

    floor, spent = first_floor, 0
    while True:
        some = min(round(len(denoiser.log_weights) * floor / ALL_SAMPLES), len(denoiser.log_weights))
        coarse = WeightedSamples(denoiser.features[:some], denoiser.log_weights[:some])
        paths = lattice_paths(coarse, *ends, level=floor, size=LATTICE, barrier_weight=BARRIER, allowed=allowed)
        if not paths and floor * RAISE > LAST_FLOOR:
            raise SpacetimeError("the forbidden regions leave no way from one end to the other, however narrow the distributions")
        near = [path for path in paths if path.barrier < min(p.barrier for p in paths) + MARGIN]
        found = [_route(path, floor, end_level) for path in near]
        for _ in range(PASSES if found else 0):  # points are at constant speed again after each, so that no leap goes unseen
            found, trials = _refined(found, denoiser, floor, end_level, regions)
            spent += trials
        if found and (_steepness(found[0], denoiser, floor) <= STEEPEST or floor * RAISE > LAST_FLOOR):
            break
        floor *= RAISE
    nearest = _nearest(found[0].eta, denoiser, regions)
    return Found(found[0], found, floor, _steepness(found[0], denoiser, floor), nearest, nearest >= KEPT, spent)


def _route(path: LatticePath, floor: float, end_level: float) -> Route:
    """A lattice path, smoothed, as a curve at the floor."""
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path.center, axis=0), axis=1))])
    center = np.stack([np.interp(np.linspace(0, s[-1], POINTS), s, gaussian_filter1d(c, 1.0, mode="nearest")) for c in path.center.T], -1)
    center[[0, -1]] = path.center[[0, -1]]
    end = np.full(2, max(end_level, floor))
    level = routing.precisions(1.02 * floor, end, end, POINTS)
    eta = VonMises(2).natural(torch.from_numpy(center), torch.from_numpy(level)).numpy()
    turned = np.degrees(center[-1] - center[0])
    return Route(f"phi{turned[0]:+.0f}_psi{turned[1]:+.0f}", routing.class_of(eta, VonMises(2)), eta)


def relaxed(found: Found, denoiser: WeightedSamples, *, end_level: float) -> Geodesic:
    """The geodesic of another denoiser that the best curve of a search relaxes to, at the same floor."""
    routes = [found.best]
    for _ in range(PASSES):
        routes, _ = _refined(routes, denoiser, found.floor, end_level, ())
    assert routes[0].geodesic is not None
    return routes[0].geodesic


def _refined(
    found: list[Route], denoiser: WeightedSamples, floor: float, end_level: float, regions: Sequence[Region]
) -> tuple[list[Route], int]:
    """The routes optimised at a floor, those out of the regions first, the easiest first; and the evaluations of the objective."""
    family = VonMisesAbove(len(found[0].winding), floor=floor)
    refined, spent = [], 0
    for route in found:
        end = np.full(family.torsions, max(end_level, floor))
        level = torch.from_numpy(routing.precisions(1.02 * floor, end, end, POINTS))
        center = torch.from_numpy(routing.centers(route.eta, family))
        s = torch.linspace(0, 1, POINTS, dtype=torch.double)[:, None]
        straight = family.natural(center[:1] + s * (center[-1:] - center[:1]), level)
        unit = float(curve.energy(straight, denoiser.moments(straight).mean))
        penalties: list[Penalty] = [
            Barrier(weight=BARRIER * unit, sharpness=SHARPNESS),
            EffectiveSamples(floor=FEWEST_SAMPLES, weight=SUPPORT * unit),
        ]
        penalties += [Avoid([region.divergence], floor=region.floor, weight=AVOIDANCE * unit) for region in regions]
        eta = family.natural(center, level)
        best = minimise(eta, denoiser.supporting(eta), penalties, family=family, nodes=NODES, points=POINTS, evaluations=EVALUATIONS)
        best = evaluate(best.eta, denoiser, family=family, points=POINTS, trace=best.trace)
        spent += len(best.trace)
        refined.append(replace(route, eta=best.eta.numpy(), geodesic=best))
    return sorted(refined, key=lambda r: (_nearest(r.eta, denoiser, regions) < KEPT, _difficulty(r))), spent


def _difficulty(route: Route) -> float:
    """L^2/2 (1 + w max KL): what curves minimise. By the largest KL alone a long way over a high plateau would beat a basin on the way."""
    return 0.5 * route.length**2 * (1.0 + BARRIER * route.barrier)


def _steepness(route: Route, denoiser: WeightedSamples, floor: float) -> float:
    """Largest precision times variance along a route."""
    family, eta = VonMisesAbove(len(route.winding), floor=floor), torch.from_numpy(route.eta)
    return float((family.precisions(eta).amax(-1) * largest_variance(eta, denoiser, family)).max())


def _nearest(eta: np.ndarray, denoiser: WeightedSamples, regions: Sequence[Region]) -> float:
    """The least divergence from any region along a curve, in units of the region's floor; infinite without regions."""
    at = torch.from_numpy(eta)
    moments = denoiser.moments(at)
    return min((float((region.divergence(at, moments) / region.floor).min()) for region in regions), default=float("inf"))


def sobol(points: int, torsions: int, seed: int) -> Tensor:
    """Scrambled Sobol points (points, torsions) over the torus, in [-pi, pi)."""
    engine = torch.quasirandom.SobolEngine(torsions, scramble=True, seed=seed)
    return (engine.draw(points, dtype=torch.double) * 2.0 - 1.0) * torch.pi
