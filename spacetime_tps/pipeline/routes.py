"""Routes: initial curves from A to B, both ways round each torsion and through intermediate minima, told apart by their winding."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch

from spacetime_tps.baselines.steered import straight_line
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families import VonMises
from spacetime_tps.geometry.geodesic import Geodesic
from spacetime_tps.molecules.coordinates import shortest_change
from spacetime_tps.molecules.rotatable import CHANGED

SAME = np.radians(20.0)
ENOUGH_INSIDE, STEP, MOST_STEPS = 0.99, 1.2, 12
NAMED = 3
"""Torsions that a route's name tells of, at most"""
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
    """Center of the curve where the divergence is least, degrees"""
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
    """Turns of each torsion beyond the short way round: the class that a route must not leave unnoticed"""
    eta: np.ndarray
    """(N, 2n)"""
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
    def rank(self) -> tuple[bool, float]:
        """What routes are sorted by: those that keep out of forbidden regions first, by barrier; then by barrier and nats lacking."""
        return self.lack > 0.0, self.barrier + self.lack


def unwrapped(eta: np.ndarray) -> np.ndarray:
    """Centers (N, n) of a curve (N, 2n) in radians, continuous along it."""
    pairs = eta.reshape(len(eta), -1, 2)
    return np.unwrap(np.arctan2(pairs[..., 1], pairs[..., 0]), axis=0)


def straight_energy(eta: torch.Tensor, denoiser: Denoiser, family: VonMises) -> float:
    """Energy of the straight line between the ends of a curve (N, 2n), with its concentrations and in its class: the unit of penalties."""
    center = torch.from_numpy(unwrapped(eta.numpy()))
    s = torch.linspace(0.0, 1.0, len(eta), dtype=torch.double)[:, None]
    straight = family.natural(center[:1] + s * (center[-1:] - center[:1]), family.level(eta))
    return float(curve.energy(straight, denoiser.moments(straight).mean))


def center_line(eta: np.ndarray, *, between: int = 20) -> np.ndarray:
    """Points (F, n) close together on the lines between neighbouring centers of a curve (N, 2n), radians."""
    centers = unwrapped(eta)
    s = np.linspace(0.0, len(centers) - 1.0, between * (len(centers) - 1) + 1)
    return np.stack([np.interp(s, np.arange(len(centers)), c) for c in centers.T], axis=1)


def winding(eta: np.ndarray) -> tuple[int, ...]:
    """Whole turns of each torsion along a curve (N, 2n), relative to the short way round between its ends."""
    angles = unwrapped(eta)
    turned = angles[-1] - angles[0]
    return tuple(int(t) for t in np.round((turned - shortest_change(angles[0], angles[-1])) / (2 * np.pi)))


def way_of(names: tuple[str, ...], path: np.ndarray, here: np.ndarray, there: np.ndarray) -> str:
    """The name of the class of routes that a path belongs to, as `straight_routes` names them.

    path (F, n): torsions in radians along it, from a state about `here` (n,) to one about `there`, close enough in time for none to turn by
    half a circle between frames. Both ends are taken to `here` and `there` the short way.
    """
    angles = np.unwrap(path, axis=0)
    change = angles[-1] - angles[0] + shortest_change(here, angles[0]) - shortest_change(there, angles[-1])
    changed = np.flatnonzero(np.abs(shortest_change(here, there)) > CHANGED)
    return name_of(names, change, changed)


def levels(floor: float, start: np.ndarray, end: np.ndarray, points: int) -> np.ndarray:
    """Concentrations (points, n): the floor, rising to those of the ends (n,) over the first and last tenth."""
    s = np.linspace(0.0, 1.0, points)[:, None]
    first, last = np.clip(1.0 - s / 0.1, 0.0, 1.0), np.clip(1.0 - (1.0 - s) / 0.1, 0.0, 1.0)
    return floor + first * (start - floor) + last * (end - floor)


def straight_routes(names: tuple[str, ...], here: np.ndarray, there: np.ndarray, level: np.ndarray, limit: int) -> list[Route]:
    """Straight lines in torsion space, the shortest first, then with torsions that change turned the other way round.

    All combinations while they are within `limit`, else one torsion at a time.
    """
    short = shortest_change(here, there)
    changed = np.flatnonzero(np.abs(short) > CHANGED)
    sets = [set(c) for r in range(len(changed) + 1) for c in itertools.combinations(changed, r)]
    if len(sets) > limit:
        sets = [s for s in sets if len(s) <= 1][:limit]
    routes = []
    for turned in sets:
        change = short.copy()
        for k in turned:
            change[k] -= np.copysign(2 * np.pi, short[k])
        eta = straight_line(here, change, level)
        routes.append(Route(name_of(names, change, changed), winding(eta), eta))
    return numbered(routes)


def through(names: tuple[str, ...], here: np.ndarray, via: np.ndarray, there: np.ndarray, level: np.ndarray) -> Route:
    """Two straight legs, each the short way round, through the angles `via` (n,) of an intermediate minimum."""
    first, second = shortest_change(here, via), shortest_change(via, there)
    share = np.linalg.norm(first) / (np.linalg.norm(first) + np.linalg.norm(second))
    turn = min(max(round(share * (len(level) - 1)), 1), len(level) - 2)
    eta = np.concatenate([straight_line(here, first, level[: turn + 1]), straight_line(via, second, level[turn:])[1:]])
    change = first + second
    changed = np.flatnonzero(np.abs(shortest_change(here, there)) > CHANGED)
    place = "_".join(f"{x:.0f}" for x in np.degrees(via[changed][:NAMED]))
    return Route(f"{name_of(names, change, changed)}_via_{place}", winding(eta), eta)


def name_of(names: tuple[str, ...], change: np.ndarray, changed: np.ndarray) -> str:
    """The route's name: the torsions that turn most, and by how many degrees."""
    most = changed[np.argsort(-np.abs(change[changed]), kind="stable")][:NAMED]
    return "_".join(f"{names[k]}{np.degrees(change[k]):+.0f}" for k in sorted(most))


def turned(route: Route, eta: np.ndarray) -> Route:
    """The new route that a curve eta (N, 2n) makes which left the class of `route`; its name says so."""
    now = winding(eta)
    return Route(f"{route.name}_turned{''.join(f'{w:+d}' for w in now)}", now, eta)


def numbered(routes: list[Route]) -> list[Route]:
    """The routes, with a number added to names that are there already: files and rows are told apart by them."""
    seen: dict[str, int] = {}
    named = []
    for route in routes:
        seen[route.name] = seen.get(route.name, 0) + 1
        named.append(route if seen[route.name] == 1 else replace(route, name=f"{route.name}_{seen[route.name]}"))
    return named


def distinct(routes: list[Route]) -> list[Route]:
    """Routes ordered by rank. Of those in one class whose curves stay within 20 degrees, the one followed longest is kept."""
    kept: list[Route] = []
    for route in sorted(routes, key=lambda r: -r.rounds):  # stable: earlier routes win ties
        if not any(route.winding == k.winding and _apart(route.eta, k.eta) < SAME for k in kept):
            kept.append(route)
    return sorted(kept, key=lambda r: r.rank)


def _apart(p: np.ndarray, q: np.ndarray) -> float:
    """The largest distance, in radians over all torsions, from a point of one curve to the other curve, both ways."""
    difference = shortest_change(unwrapped(p)[:, None], unwrapped(q)[None])
    distance = np.linalg.norm(difference, axis=-1)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


def end_level(family: VonMises, center: np.ndarray, statistic: np.ndarray, inside: np.ndarray, floor: float) -> np.ndarray:
    """Concentrations (n,) of an end: from the floor up, in steps of 1.2, until 99 % of p_eta is inside the state.

    center (n,): the end's torsions; statistic (S, 2n) and inside (S,): frames of plain MD in the end, and whether in its state. A
    tighter end than that spends length, and with it steps, where nothing is gained.
    """
    level = np.full(len(center), floor)
    for _ in range(MOST_STEPS):
        eta = family.natural(torch.from_numpy(center), torch.from_numpy(level)).numpy()
        weight = np.exp(statistic @ eta - (statistic @ eta).max())
        if weight[inside].sum() >= ENOUGH_INSIDE * weight.sum():
            break
        level = level * STEP
    return level
