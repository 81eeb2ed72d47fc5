"""Initial curves from A to B, every way there is and through intermediate minima; classes and names of curves."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from spacetime_tps.coordinates.circle import between, continuous, difference, winding
from spacetime_tps.coordinates.naming import largest, short
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.exploration.route import Route, Winding
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family

SAME = 0.35
"""Radians, or 0.1 nm"""
ENOUGH_INSIDE, STEP, MOST_STEPS = 0.99, 1.2, 12


def centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """Centers (N, D) of a curve (N, E), continuous along it."""
    return continuous(family.center(torch.from_numpy(eta)).numpy(), family.angular)


def straightened(eta: torch.Tensor, family: Family) -> torch.Tensor:
    """The straight line (N, E) between the ends of a curve (N, E), with its noise levels and in its class."""
    center = torch.from_numpy(centers(eta.numpy(), family))
    s = torch.linspace(0.0, 1.0, len(eta), dtype=torch.double)[:, None]
    return family.natural(center[:1] + s * (center[-1:] - center[:1]), family.level(eta))


def straight_energy(eta: torch.Tensor, denoiser: Denoiser, family: Family) -> float:
    """Energy of the straight line between the ends of a curve (N, E): the unit of penalties."""
    straight = straightened(eta, family)
    return float(curve.energy(straight, denoiser.moments(straight).mean))


def center_line(eta: np.ndarray, family: Family) -> np.ndarray:
    """Points (F, D) close together on the lines between neighbouring centers of a curve (N, E)."""
    return between(centers(eta, family), family.angular)


def class_of(eta: np.ndarray, family: Family) -> Winding:
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
    return unique(routes)


def through(coordinates: Coordinates, here: np.ndarray, via: np.ndarray, there: np.ndarray, precision: np.ndarray) -> Route:
    """Two straight legs, each the short way round, through the values `via` (D,) of an intermediate minimum."""
    family = coordinates.family()
    first, second = difference(here, via, family.angular), difference(via, there, family.angular)
    share = np.linalg.norm(first) / (np.linalg.norm(first) + np.linalg.norm(second))
    turn = min(max(round(share * (len(precision) - 1)), 1), len(precision) - 2)
    eta = np.concatenate([line(family, here, first, precision[: turn + 1]), line(family, via, second, precision[turn:])[1:]])
    name = coordinates.way_of(np.stack([here, here + first, here + first + second]), here, there)
    change = difference(here, there, family.angular)
    told = short(coordinates, via)
    place = "_".join(told[k] for k in largest(change))
    return Route(f"{name}_via_{place}", class_of(eta, family), eta)


def reclassed(eta: np.ndarray, coordinates: Coordinates, here: np.ndarray, there: np.ndarray) -> Route:
    """The new route that a curve eta (N, E) makes which left the class of its own, named as a path along it is."""
    family = coordinates.family()
    return Route(coordinates.way_of(center_line(eta, family), here, there), class_of(eta, family), eta)


def unique(routes: Sequence[Route], taken: Collection[str] = ()) -> list[Route]:
    """The routes, with a number added to names that are there already, or taken: files and rows are told apart by them."""
    named: list[Route] = []
    for route in routes:
        used, name, number = {*taken, *(r.name for r in named)}, route.name, 1
        while name in used:
            number += 1
            name = f"{route.name}_{number}"
        named.append(replace(route, name=name))
    return named


def distinct(routes: list[Route], coordinates: Coordinates) -> list[Route]:
    """Routes ordered by rank. Of those in one class whose curves run within `SAME` of each other, the one followed longest is kept."""
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


def end_precision(family: Family, center: np.ndarray, features: np.ndarray, inside: np.ndarray, floor: float) -> np.ndarray:
    """Precisions (L,) of an end: from the floor up, in steps of 1.2, until 99 % of p_eta is inside the state.

    center (D,): the end's values; features (S, E) and inside (S,): frames of plain MD in the end, and whether in its state. A tighter end
    than that spends length, and with it steps, where nothing is gained.
    """
    precision = np.full(family.levels, floor)
    for _ in range(MOST_STEPS):
        log_share = features @ at_precision(family, center, precision)
        weight = np.exp(log_share - log_share.max())
        if weight[inside].sum() >= ENOUGH_INSIDE * weight.sum():
            break
        precision = precision * STEP
    return precision
