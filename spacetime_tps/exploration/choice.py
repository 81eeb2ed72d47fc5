"""Which routes windows are sampled along next, and whether there is nothing left to be gained by it."""

from collections.abc import Collection, Sequence

from spacetime_tps.exploration.route import Route, Winding
from spacetime_tps.exploration.settings import RoundSettings

TRIES = 3
"""Rounds in which a route's windows may disagree before it is given up for a better one"""


def followed(routes: Sequence[Route], known: Collection[Winding], settings: RoundSettings) -> list[Route]:
    """Routes, best rank first, to sample windows along: all while no barrier is known; then those close to the best or in doubt, as many as
    are to be sampled at least, new curves, and those of a class that nothing is known of yet.

    known: the classes that windows were sampled in.
    """
    ranked = [r for r in routes if r.geodesic]
    if not ranked:
        return list(routes)
    leader = min(ranked, key=lambda r: r.rank)
    return [
        r
        for rank, r in enumerate(routes)
        if close(r, leader, settings) or in_doubt(r, leader) or rank < settings.routes or r.winding not in known or r.geodesic is None
    ]


def close(route: Route, leader: Route, settings: RoundSettings) -> bool:
    """Whether the barrier of a route is close to the best one's. A route through a forbidden region is not, if the best keeps out."""
    return route.barrier <= leader.barrier + settings.route_margin_kT and (leader.crosses or not route.crosses)


def in_doubt(route: Route, leader: Route) -> bool:
    """Whether a route of the best one's class may be better than it for all that its windows say: their two directions disagree, so far."""
    return route.winding == leader.winding and route.unsettled and route.rounds < TRIES


def best(routes: Sequence[Route]) -> Route:
    """The lowest rank among routes that windows were sampled along."""
    return min((r for r in routes if r.rounds), key=lambda r: r.rank)


def explored(routes: Sequence[Route], leader: Route, known: Collection[Winding], settings: RoundSettings) -> bool:
    """Whether more rounds would not help against forbidden regions: the best route keeps away or cannot, and its rivals are known."""
    rivals = followed(routes, known, settings)
    return (leader.lack == 0.0 or leader.crosses) and all(r.rounds > 1 for r in rivals)
