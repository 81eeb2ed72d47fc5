"""A route from A to B: its curve, what is known of it, and what routes are ranked by."""

from dataclasses import dataclass, replace

import numpy as np

from spacetime_tps.geometry.geodesic import Geodesic

DISAGREEMENT, DOUBT = 5.0, 2.0
"""kT between windows walked from A and from B: beyond the one a barrier says nothing, beyond the other a reader has to know"""

Winding = tuple[int, ...]
"""The class of a route: turns of each coordinate beyond the short way round. Routes of one class share their samples"""


def kept(floor: float) -> float:
    """Nats from a forbidden region that count as kept where `floor` is asked for: the penalty is soft."""
    return 0.9 * floor


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
    """Values of the center of the curve where the divergence is least"""
    crosses: bool
    """Whether the line of its centers runs through the region: samples then must, even where the weight of p_eta lies on either side"""

    margin: float = 1.0
    """Share of the margin that the ends of the curve leave room for"""

    @property
    def lack(self) -> float:
        """Nats that the curve comes too near by; 0 where it keeps away."""
        if self.crosses:
            return self.floor
        return 0.0 if self.divergence is None else max(kept(self.floor) - self.divergence, 0.0)


@dataclass(frozen=True)
class Route:
    """A curve from A to B, before and after it was optimised."""

    name: str
    winding: Winding
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
    twins: int = 0
    """Further routes found that lead through the same minimum with equal atoms renumbered, and are not followed"""

    def along(self, geodesic: Geodesic) -> "Route":
        """The route with another curve."""
        return replace(self, eta=geodesic.eta.numpy(), geodesic=geodesic)

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
        return directions_disagree(self.disagreement)

    @property
    def rank(self) -> tuple[bool, bool, bool, float]:
        """What routes are sorted by: those that windows were walked along first; of these those that keep out of forbidden regions, of
        these those whose barrier is known, by barrier, with the nats that they lack where they do not keep out."""
        return not self.rounds, self.lack > 0.0, self.unsettled, self.barrier + self.lack


def directions_disagree(apart: float) -> bool:
    """Whether free energies of windows walked from A and from B that differ by so many kT are no equilibrium's."""
    return apart > DISAGREEMENT


def disagreement_note(apart: float) -> str | None:
    """What is to be said of windows walked from A and from B whose free energies differ by so many kT; None where they agree."""
    if directions_disagree(apart):
        return (
            f"Windows walked from A and from B still differ by {apart:.1f} kT on the best route, so that its barrier is not known: "
            "a higher noise floor (geodesic.floor) tells basins apart, more rounds (rounds.max_rounds) let it rise, and longer windows "
            "(windows.steps) follow what is slow."
        )
    if apart > DOUBT:
        return (
            f"Windows walked from A and from B differ by {apart:.1f} kT: free energies are no better than that. Longer windows "
            "(windows.steps) help."
        )
    return None
