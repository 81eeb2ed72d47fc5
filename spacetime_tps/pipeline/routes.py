"""Routes: initial curves from A to B, every way there is and through intermediate minima, told apart by their winding."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from spacetime_tps.coordinates.circle import between, continuous, difference, winding
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families import Family
from spacetime_tps.geometry.geodesic import Geodesic

SAME = 0.35
"""Radians, or 0.1 nm"""
ENOUGH_INSIDE, STEP, MOST_STEPS = 0.99, 1.2, 12
NAMED = 3
"""Coordinates that a route's name tells of, at most"""
DISAGREEMENT = 5.0
"""kT between windows walked from A and from B beyond which a barrier says nothing"""
KEPT = 0.9
"""Share of a forbidden region's floor that counts as kept: the penalty is soft"""


@dataclass(frozen=True)
class Nearness:
    """How near a curve comes to a forbidden region."""

    region: str
    divergence: float | None
    """From the region with its margin, the least along the curve, nats; None where no sample is in it"""
    floor: float
    """What it must not fall below"""
    probability: float
    """P_eta(region), the largest along the curve; 0 where no sample is in it"""
    center: tuple[float, ...] | None
    """Center of the curve where the divergence is least, as people read it"""
    crosses: bool
    """Whether the line of its centers runs through the region: samples then must, even where the weight of p_eta lies on either side"""

    @property
    def lack(self) -> float:
        """Nats that the curve comes too near by; 0 where it keeps away."""
        if self.crosses:
            return self.floor
        return 0.0 if self.divergence is None else max(KEPT * self.floor - self.divergence, 0.0)


@dataclass(frozen=True)
class Route:
    """A curve from A to B, before and after it was optimised."""

    name: str
    winding: tuple[int, ...]
    """Turns of each coordinate beyond the short way round: the class that a route must not leave unnoticed"""
    eta: np.ndarray
    """(N, E)"""
    geodesic: Geodesic | None = None
    rounds: int = 0
    """Rounds in which windows were sampled along it"""
    disagreement: float = float("nan")
    """kT, of its last windows' forward and backward free energies"""
    lowest_overlap: float = float("nan")
    """of neighbours among its last windows"""
    nearness: tuple[Nearness, ...] = ()
    """To each forbidden region, after the last optimisation"""

    @property
    def length(self) -> float:
        """Fisher-Rao length; nan before the first optimisation."""
        return self.geodesic.length if self.geodesic else float("nan")

    @property
    def barrier(self) -> float:
        """kT; infinite before the first optimisation."""
        return self.geodesic.barrier if self.geodesic else float("inf")

    @property
    def lack(self) -> float:
        """Nats by which it comes too near a forbidden region; 0 where it keeps away from all."""
        return max((n.lack for n in self.nearness), default=0.0)

    @property
    def crosses(self) -> bool:
        """Whether its centers run through a forbidden region."""
        return any(n.crosses for n in self.nearness)

    @property
    def unsettled(self) -> bool:
        """Whether its windows walked from A and from B disagree so much that its barrier says nothing yet."""
        return self.disagreement > DISAGREEMENT

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What routes are sorted by: those that keep out of forbidden regions first, of these those whose barrier is known, by barrier;
        with the nats that they lack where they do not keep out."""
        return self.lack > 0.0, self.unsettled, self.barrier + self.lack


def centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """Centers (N, D) of a curve (N, E), continuous along it."""
    return continuous(family.center(torch.from_numpy(eta)).numpy(), family.angular)


def features_of_centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """T (N, E) at the centers of a curve (N, E), its squares left at zero."""
    at = family.statistic(family.center(torch.from_numpy(eta))).numpy()
    moving = np.zeros(family.dimension)
    moving[list(family.locations)] = 1.0
    return np.asarray(at * moving)


def straight_energy(eta: torch.Tensor, denoiser: Denoiser, family: Family) -> float:
    """Energy of the straight line between the ends of a curve (N, E), with its noise levels and in its class: the unit of penalties."""
    center = torch.from_numpy(centers(eta.numpy(), family))
    s = torch.linspace(0.0, 1.0, len(eta), dtype=torch.double)[:, None]
    straight = family.natural(center[:1] + s * (center[-1:] - center[:1]), family.level(eta))
    return float(curve.energy(straight, denoiser.moments(straight).mean))


def center_line(eta: np.ndarray, family: Family) -> np.ndarray:
    """Points (F, D) close together on the lines between neighbouring centers of a curve (N, E)."""
    return between(centers(eta, family), family.angular)


def class_of(eta: np.ndarray, family: Family) -> tuple[int, ...]:
    """Whole turns of each coordinate along a curve (N, E), relative to the short way round between its ends."""
    return winding(centers(eta, family), family.angular)


def precisions(floor: float, start: np.ndarray, end: np.ndarray, points: int) -> np.ndarray:
    """Precisions (points, L): the floor, rising to those of the ends (L,) over the first and last tenth."""
    s = np.linspace(0.0, 1.0, points)[:, None]
    first, last = np.clip(1.0 - s / 0.1, 0.0, 1.0), np.clip(1.0 - (1.0 - s) / 0.1, 0.0, 1.0)
    return floor + first * (start - floor) + last * (end - floor)


def line(family: Family, start: np.ndarray, change: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """eta (N, E) of the straight line from values start (D,) by change (D,), with precisions (N, L)."""
    center = start + np.linspace(0.0, 1.0, len(precision))[:, None] * change
    return at_precision(family, center, precision)


def at_precision(family: Family, center: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """eta (..., E) with centers (..., D) and precisions (..., L)."""
    return family.natural(torch.from_numpy(center), family.level_of(torch.from_numpy(precision))).numpy()


def straight_routes(coordinates: Coordinates, here: np.ndarray, there: np.ndarray, precision: np.ndarray, limit: int) -> list[Route]:
    """Straight lines, one for each way from values here (D,) to there, the shortest first; at most `limit`."""
    family = coordinates.family()
    routes = []
    for way in coordinates.ways(here, there, limit):
        eta = line(family, here, way.change, precision)
        routes.append(Route(way.name, class_of(eta, family), eta))
    return numbered(routes)


def through(coordinates: Coordinates, here: np.ndarray, via: np.ndarray, there: np.ndarray, precision: np.ndarray) -> Route:
    """Two straight legs, each the short way round, through the values `via` (D,) of an intermediate minimum."""
    family = coordinates.family()
    first, second = difference(here, via, family.angular), difference(via, there, family.angular)
    share = np.linalg.norm(first) / (np.linalg.norm(first) + np.linalg.norm(second))
    turn = min(max(round(share * (len(precision) - 1)), 1), len(precision) - 2)
    eta = np.concatenate([line(family, here, first, precision[: turn + 1]), line(family, via, second, precision[turn:])[1:]])
    name = coordinates.way_of(np.stack([here, here + first, here + first + second]), here, there)
    change = difference(here, there, family.angular)
    most = np.sort(np.argsort(-np.abs(change), kind="stable")[:NAMED])
    place = "_".join(f"{np.degrees(via[k]) if family.angular[k] else via[k]:.{0 if family.angular[k] else 1}f}" for k in most)
    return Route(f"{name}_via_{place}", class_of(eta, family), eta)


def reclassed(route: Route, eta: np.ndarray, family: Family) -> Route:
    """The new route that a curve eta (N, E) makes which left the class of `route`; its name says so."""
    now = class_of(eta, family)
    return Route(f"{route.name}_turned{''.join(f'{w:+d}' for w in now)}", now, eta)


def numbered(routes: list[Route]) -> list[Route]:
    """The routes, with a number added to names that are there already: files and rows are told apart by them."""
    seen: dict[str, int] = {}
    named = []
    for route in routes:
        seen[route.name] = seen.get(route.name, 0) + 1
        named.append(route if seen[route.name] == 1 else replace(route, name=f"{route.name}_{seen[route.name]}"))
    return named


def distinct(routes: list[Route], coordinates: Coordinates) -> list[Route]:
    """Routes ordered by rank. Of those in one class whose curves are never far enough apart to tell minima apart, the one followed longest
    is kept."""
    family = coordinates.family()
    kept: list[Route] = []
    for route in sorted(routes, key=lambda r: -r.rounds):  # stable: earlier routes win ties
        if not any(route.winding == k.winding and _near(route.eta, k.eta, family) for k in kept):
            kept.append(route)
    return sorted(kept, key=lambda r: r.rank)


def _near(p: np.ndarray, q: np.ndarray, family: Family) -> bool:
    """Whether every point of either curve has one of the other within `SAME`, over all coordinates."""
    apart = difference(centers(p, family)[:, None], centers(q, family)[None], family.angular)
    distance = np.linalg.norm(apart, axis=-1)
    return bool(max(distance.min(axis=0).max(), distance.min(axis=1).max()) < SAME)


def end_precision(family: Family, center: np.ndarray, statistic: np.ndarray, inside: np.ndarray, floor: float) -> np.ndarray:
    """Precisions (L,) of an end: from the floor up, in steps of 1.2, until 99 % of p_eta is inside the state.

    center (D,): the end's values; statistic (S, E) and inside (S,): frames of plain MD in the end, and whether in its state. A tighter end
    than that spends length, and with it steps, where nothing is gained.
    """
    levels = family.precisions(torch.zeros(family.dimension, dtype=torch.double)).shape[-1]
    precision = np.full(levels, floor)
    for _ in range(MOST_STEPS):
        log_share = statistic @ at_precision(family, center, precision)
        weight = np.exp(log_share - log_share.max())
        if weight[inside].sum() >= ENOUGH_INSIDE * weight.sum():
            break
        precision = precision * STEP
    return precision
