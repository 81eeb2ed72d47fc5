"""Where to shoot from: the tops of routes, each with weighted frames that walks can start from, and the batches that were shot there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import takewhile
from typing import Any, Generic

import numpy as np

from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.shooting.batches import Batch, Trial, outcomes_of, trials
from spacetime_tps.shooting.crossing import MOST_WINDOWS, Crossing, chord, crossings_of, distinct, hopeless, next_window, tangent
from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.reaction_coordinate import NAME, Found, Outcomes, committor_variable
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window

FITS = 2
"""Variables fitted to the shots of a site, at most"""


@dataclass(frozen=True)
class Site(Generic[Start]):
    """A crossing to shoot from, the frames of its route's class, and what was shot so far."""

    crossing: Crossing
    frames: RouteFrames[Start]
    log_population: float
    """log of the weight of A in the class, which ties the classes' free energies together"""
    batches: list[Batch] = field(default_factory=list)
    instead: Sequence[Crossing] = ()
    """On other variables, tried in this order where no window on those before gives a reactive shot"""
    fits: int = 0
    """Variables that may be fitted to its shots"""

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
    def tried(self) -> dict[Variable, list[Trial]]:
        """What the windows on each variable gave, in the order they were tried."""
        found: dict[Variable, list[Trial]] = {}
        for trial in trials(self.batches):
            found.setdefault(trial.window.variable, []).append(trial)
        return found

    @property
    def stuck(self) -> bool:
        """Whether the windows on the latest variable are hopeless."""
        return bool(self.batches) and hopeless(self.tried[self.latest.variable])

    def onward(self, variable: Variable) -> float:
        """As Crossing has it, for any variable of the site: one that is fitted grows from A to B."""
        known = {c.window.variable: c.onward for c in (self.crossing, *self.instead)}
        return known.get(variable, 1.0)

    @property
    def hopeless(self) -> bool:
        """Whether windows enough were tried on every variable without a reactive shot."""
        tried = self.tried
        return all(c.window.variable in tried for c in (self.crossing, *self.instead)) and all(map(hopeless, tried.values()))

    def starts(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the weighted frames, one a seed."""
        drawn = draw_starts(self.frames.log_weight + window.log_factor(self.frames.statistic), self.frames.whole, seeds)
        return [self.frames.start(int(k)) for k in drawn]

    def starts_in_a(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the frames in A, one a seed."""
        drawn = draw_starts(window.log_factor(self.in_a), np.ones(len(self.frames.plain), dtype=bool), seeds)
        return [self.frames.start(int(self.frames.plain[k])) for k in drawn]

    def next_window(self) -> tuple[Window, bool]:
        """The window to try next, and whether it is the one to stay with: batches beyond the pilots have settled that.

        Where the windows on a variable are hopeless, the best of an earlier one serves, or the next variable is tried. Before shooting
        begins in earnest, the variable that the committor depends on by the shots so far takes the place of one that tells less.
        """
        tried, taken = self.tried, {b.window for b in self.batches if not b.pilot}
        every = [t for of in tried.values() for t in of]
        chosen = next((t.window for t in every if t.window in taken and t.stays), None)
        if chosen or not every:
            return chosen or self.crossing.window, chosen is not None
        if not self.stuck:
            mine = sorted(tried[self.latest.variable], key=lambda t: t.window == self.latest)
            if sum(b.window.variable == self.latest.variable for b in self.batches) > 2 * MOST_WINDOWS:
                return max(mine, key=lambda t: (t.stays, t.reactive)).window, True
            window, settled = next_window(replace(self.crossing, onward=self.onward(self.latest.variable)), mine)
            better = self.committor() if settled and not taken else None
            first = self.crossing.window.stiffness
            return (Window(better.variable, better.half, first), False) if better else (window, settled)
        reactive = [t for t in every if t.reactive > 0.0]
        if reactive:
            return max(reactive, key=lambda t: t.reactive).window, True
        left = next((c for c in self.instead if c.window.variable not in tried), None)
        return (left.window, False) if left else (self.latest, True)

    def committor(self) -> Found | None:
        """The variable that the committor depends on by all shots so far, if it tells more than the latest one."""
        if sum(variable.name == NAME for variable in self.tried) >= self.fits:
            return None
        rows = [outcomes_of(batch) for batch in self.batches]
        together = (np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Outcomes))
        return committor_variable(Outcomes(*together), self.latest.variable, self.frames.curve)


def sites_of(
    routes: Sequence[RouteFrames[Start]], variables: Sequence[Variable], *, stiffness: float, margin_kT: float
) -> tuple[list[Site[Start]], list[tuple[Crossing, str]]]:
    """Crossings worth shooting from, and those that are left out, with the reason.

    variables: those that every path passes through, ordered by the barrier that the best route has on them; where there are none, or none
    holds, the way from A to B and that along the best route's curve at its top. The first holds for all other routes: both ways round it,
    nothing passes unseen. A variable is fitted to shots where there is one route alone: on a linear one, ways round would be one window.

    Routes whose frames cannot be trusted are left out, other than the best. Where that goes straight from A to B, those that rest in a
    third basin are too: each is two transitions, and a trajectory that has fallen into the basin between them stays there.
    """
    best, found = routes[0], []
    why_not = [_why_not(r, best) for r in routes]
    direct = [r for r, why in zip(routes, why_not, strict=True) if not why]
    others = (chord(best.curve), tangent(best.curve, best.cost))
    order = [c.window.variable for of in (variables, others) for c in crossings_of(best, of, stiffness=stiffness)]
    for frames in direct:
        tops = sorted(crossings_of(frames, order, stiffness=stiffness), key=lambda c: order.index(c.window.variable))
        inside = float(np.log(np.exp(frames.log_weight)[frames.in_a].sum()))
        found.append(Site(tops[0], frames, inside, instead=tops[1:], fits=FITS if len(routes) == 1 else 0))
    kept = distinct([s.crossing for s in found])
    sites = [s for s in found if s.crossing in kept]
    cost = [s.log_population - s.crossing.log_partition for s in sites]
    above = [c - min(cost) for c in cost]
    why = "by the windows of the rounds it costs about {:.0f} kT more than the best one, for a share of {:.0e} or so"
    dear = [(s.crossing, why.format(c, np.exp(-c))) for s, c in zip(sites, above, strict=True) if c > margin_kT]
    dear += [(crossings_of(r, order, stiffness=stiffness)[0], why) for r, why in zip(routes, why_not, strict=True) if why]
    return [s for s, c in zip(sites, above, strict=True) if c <= margin_kT], dear


def _why_not(route: RouteFrames[Any], best: RouteFrames[Any]) -> str:
    """Why a route is not shot from; nothing where it is, as the best one in any case."""
    if route is best:
        return ""
    if route.unsettled:
        return route.unsettled
    if route.third_basin and not best.third_basin:
        return f"it rests in a basin that is neither A nor B, {route.third_basin}: that way is two transitions"
    return ""
