"""Where to shoot from: the tops of routes, each with weighted frames that walks can start from, and the batches that were shot there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic

import numpy as np

from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.shooting.batches import Batch, trials
from spacetime_tps.shooting.crossing import Crossing, crossing_of, distinct, hopeless, next_window, tangent
from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window


@dataclass(frozen=True)
class RouteFrames(Generic[Start]):
    """A route and S weighted frames of its class."""

    route: str
    """Name"""
    curve: np.ndarray
    """(N, E) T at the centers of its curve, squares left at zero"""
    cost: np.ndarray
    """(N,) kT, of confining the system to each of its points"""
    statistic: np.ndarray
    """(S, E) T of the frames"""
    log_weight: np.ndarray
    """(S,) log of normalised Boltzmann weights"""
    in_a: np.ndarray
    """(S,) bool"""
    whole: np.ndarray
    """(S,) bool: whether the molecule is what it was"""
    plain: np.ndarray
    """(R,) which frames are draws of the Boltzmann distribution restricted to A, equally likely; they may repeat"""
    start: Callable[[int], Start]
    """A frame as the engine starts from it"""
    windows: Sequence[EnsembleFrames] = ()
    """Ensembles along the route from A on, which link its top to A where no ladder does"""


@dataclass(frozen=True)
class Site(Generic[Start]):
    """A crossing to shoot from, the frames of its route's class, and what was shot so far."""

    crossing: Crossing
    frames: RouteFrames[Start]
    log_population: float
    """log of the weight of A in the class, which ties the classes' free energies together"""
    batches: list[Batch] = field(default_factory=list)

    @property
    def windows(self) -> dict[Window, list[Batch]]:
        """The batches of each window, in the order that windows were tried in."""
        found: dict[Window, list[Batch]] = {}
        for batch in self.batches:
            found.setdefault(batch.window, []).append(batch)
        return found

    @property
    def latest(self) -> Window:
        """The window of the last batch, or the first guess."""
        return self.batches[-1].window if self.batches else self.crossing.window

    @property
    def pilots(self) -> list[Batch]:
        """Those before any other batch: what comes later does not move the ladder."""
        return list(takewhile(lambda b: b.pilot, self.batches))

    @property
    def shots(self) -> int:
        """Fired so far."""
        return sum(len(b.shot_point) for b in self.batches)

    @property
    def paths(self) -> int:
        """Reactive ones so far."""
        return sum(len(b.path_shot) for b in self.batches)

    @property
    def in_a(self) -> np.ndarray:
        """T (R, E) of equilibrium draws in A."""
        return self.frames.statistic[self.frames.plain]

    @property
    def hopeless(self) -> bool:
        """Whether windows enough were tried without a reactive shot."""
        return hopeless(trials(self.batches))

    def starts(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the weighted frames, one a seed."""
        drawn = draw_starts(self.frames.log_weight + window.log_factor(self.frames.statistic), self.frames.whole, seeds)
        return [self.frames.start(int(k)) for k in drawn]

    def starts_in_a(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the frames in A, one a seed."""
        drawn = draw_starts(window.log_factor(self.in_a), np.ones(len(self.frames.plain), dtype=bool), seeds)
        return [self.frames.start(int(self.frames.plain[k])) for k in drawn]

    def next_window(self) -> tuple[Window, bool]:
        """The window to try next, and whether it is the one to stay with: batches beyond the pilots have settled that."""
        if self.hopeless:
            return self.latest, True
        tried, taken = trials(self.batches), {b.window for b in self.batches if not b.pilot}
        chosen = next((t.window for t in tried if t.window in taken and t.stays), None)
        return (chosen, True) if chosen else next_window(self.crossing, tried)


def sites_of(
    routes: Sequence[RouteFrames[Start]], variables: Sequence[Variable], *, stiffness: float, margin_kT: float
) -> tuple[list[Site[Start]], list[tuple[Crossing, str]]]:
    """Crossings worth shooting from, and those that are left out, with the reason.

    variables: those that every path passes through; where there are none, the way along the best route's curve at its top. The first
    route's choice holds for all others: both ways round it, nothing passes unseen.
    """
    found: list[Site[Start]] = []
    for frames in routes:
        variables = variables or (tangent(frames.curve, frames.cost),)
        crossing = crossing_of(frames.route, frames.curve, frames.statistic, frames.log_weight, variables, stiffness=stiffness)
        variables = (crossing.window.variable,)
        found.append(Site(crossing, frames, float(np.log(np.exp(frames.log_weight)[frames.in_a].sum()))))
    kept = distinct([s.crossing for s in found])
    sites = [s for s in found if s.crossing in kept]
    cost = [s.log_population - s.crossing.log_partition for s in sites]
    above = [c - min(cost) for c in cost]
    why = "by the windows of the rounds it costs about {:.0f} kT more than the best one, for a share of {:.0e} or so"
    dear = [(s.crossing, why.format(c, np.exp(-c))) for s, c in zip(sites, above, strict=True) if c > margin_kT]
    return [s for s, c in zip(sites, above, strict=True) if c <= margin_kT], dear
