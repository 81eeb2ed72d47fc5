"""What is measured of every denoiser: errors of mu, negative segments, time, and the geodesic it leads to."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.exploration import lines as routing
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser, Moments
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMisesAbove
from spacetime_tps.geometry.geodesic import Geodesic, evaluate
from spacetime_tps.geometry.penalties import Barrier
from spacetime_tps.geometry.relax import relax

LINES, LINE_POINTS = 300, 64
FLOORS, BARRIER, SHARPNESS = (25.0, 50.0, 100.0), 0.2, 2.0
POINTS, NODES, EVALUATIONS = 48, 16, 100


def moments(denoiser: Denoiser, eta: Tensor) -> Moments:
    """In pieces that fit the cache, without gradients, in double."""
    with torch.no_grad():
        parts = [denoiser.moments(part) for part in eta.split(128)]
    return Moments(*(torch.cat([column.double() for column in columns]) for columns in zip(*parts, strict=True)))


def negative_share(denoiser: Denoiser, eta: Tensor, family: Family, lines: int = LINES) -> float:
    """Share of segments with d_eta . d_mu < 0 on straight lines, in the chart, between the first and the next `lines` points of eta."""
    z = torch.cat([family.chart(e[None]) for e in eta[: 2 * lines]])
    s = torch.linspace(0, 1, LINE_POINTS, dtype=torch.double)[None, :, None]
    paths = family.from_chart((1 - s) * z[:lines, None] + s * z[lines : 2 * lines, None])
    mean = moments(denoiser, paths.reshape(-1, eta.shape[1])).mean.reshape(paths.shape)
    return negative(paths, mean)


def negative(eta: Tensor, mean: Tensor) -> float:
    """Share of negative segments, rounding aside."""
    rounding = 1e-12 * eta.diff(dim=-2).norm(dim=-1) * mean.norm(dim=-1)[..., 1:]
    return float((curve.segments(eta, mean) < -rounding).double().mean())


def milliseconds(denoiser: Denoiser, eta: Tensor, repeats: int = 9) -> float:
    """Median wall time of the moments of 64 points with the gradient that an optimiser needs."""
    spent = []
    for _ in range(repeats):
        at = eta[:64].clone().requires_grad_(True)
        begin = time.perf_counter()
        m = denoiser.moments(at)
        ((at * m.mean).sum() + (m.log_partition.sum() if bool(m.log_partition.isfinite().all()) else 0.0)).backward()
        spent.append(time.perf_counter() - begin)
    return 1e3 * sorted(spent)[repeats // 2]


@dataclass(frozen=True)
class Route:
    """The curve one denoiser leads to, judged by the exact one."""

    eta: Tensor
    energy: float
    objective: float
    """Energy and barrier penalty, exact"""
    barrier: float
    """Largest KL(p_eta || p_0), kT, exact"""
    claimed: float
    """The energy that the denoiser itself gives the curve"""
    negative: float
    """Share of the curve's segments that the denoiser itself gives a negative energy"""


def straight(here: Sequence[float], there: Sequence[float], turned: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The angles of a straight line between two points (radians), torsions in `turned` going the other way round."""
    change = np.remainder(np.subtract(there, here) + np.pi, 2 * np.pi) - np.pi
    for k in turned:
        change[k] -= math.copysign(2 * np.pi, change[k])
    s = np.linspace(0, 1, POINTS)[:, None]
    return np.asarray(here) + s * change, change


def geodesic(denoiser: Denoiser, exact: Denoiser, centers: np.ndarray, floors: Sequence[float] = FLOORS) -> Route:
    """From centers (POINTS, n), the geodesic over the floors one after the other, as benchmarks.torus finds it.

    The barrier's weight is taken from the straight line between the ends in the exact geometry, so that all designs minimise one thing.
    """
    center = torch.from_numpy(centers)
    for floor in floors:
        family = VonMisesAbove(centers.shape[1], floor=floor)
        level = torch.from_numpy(routing.precisions(1.02 * floor, *[np.full(centers.shape[1], floors[-1])] * 2, POINTS))
        ends = torch.from_numpy(np.linspace(centers[0], centers[-1], POINTS))
        line = family.natural(ends, level)
        unit = float(curve.energy(line, moments(exact, line).mean))
        barrier = Barrier(weight=BARRIER * unit, sharpness=SHARPNESS)

        def objective(z: Tensor, family: VonMisesAbove = family, barrier: Barrier = barrier) -> Tensor:
            eta = family.from_chart(z)
            m = denoiser.moments(eta)
            return curve.energy(eta, m.mean) + barrier(eta, m)

        z = relax(family.chart(family.natural(center, level)), objective, nodes=NODES, points=POINTS, evaluations=EVALUATIONS).curve
        center = z[:, : centers.shape[1]]
        eta = family.from_chart(z)
    own = moments(denoiser, eta).mean
    fair: Geodesic = evaluate(eta, exact, family=family, points=POINTS)
    with torch.no_grad():
        total = fair.energy + float(barrier(fair.eta, exact.moments(fair.eta)))
    return Route(fair.eta, fair.energy, total, fair.barrier, float(curve.energy(eta, own)), negative(eta, own))


def best(exact: Denoiser, found: Sequence[Route], floor: float = FLOORS[-1]) -> Route:
    """The lowest exact objective that is reached from any of these curves: narrow distributions see local minima everywhere."""
    family = VonMisesAbove(found[0].eta.shape[1] // 2, floor=floor)
    starts = [np.unwrap(family.center(route.eta).numpy(), axis=0) for route in found]
    return min((*found, *(geodesic(exact, exact, s, (floor,)) for s in starts)), key=lambda route: route.objective)
