"""A place to shoot from: the top of a route, weighted frames that walks can start from, and the batches that were shot there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import takewhile
from typing import Generic

import numpy as np

from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.shooting.batches import Batch, WindowTrial, outcomes_of, window_trials
from spacetime_tps.shooting.crossing import MOST_WINDOWS, Crossing, hopeless, next_window
from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.reaction_coordinate import Found, Outcomes, committor_variable
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window


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
    def settled(self) -> Window | None:
        """The window that was settled on: of the last batch beyond the pilots; None before that."""
        return next((b.window for b in reversed(self.batches) if not b.pilot), None)

    @property
    def settled_batches(self) -> int:
        """How many were shot in the window that was settled on."""
        return sum(not b.pilot and b.window == self.settled for b in self.batches)

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
        return self.frames.features[self.frames.plain]

    @property
    def tried(self) -> dict[Variable, list[WindowTrial]]:
        """What the windows on each variable gave, in the order they were tried."""
        found: dict[Variable, list[WindowTrial]] = {}
        for trial in window_trials(self.batches):
            found.setdefault(trial.window.variable, []).append(trial)
        return found

    @property
    def stuck(self) -> bool:
        """Whether the windows on the latest variable are hopeless."""
        return bool(self.batches) and hopeless(self.tried[self.latest.variable])

    @property
    def guesses(self) -> dict[Variable, Crossing]:
        """The crossings by their variables, in the order that these are tried in."""
        return {c.window.variable: c for c in (self.crossing, *self.instead)}

    def fitted(self, variable: Variable) -> bool:
        """Whether a variable was found from shots here."""
        return variable not in self.guesses

    def onward(self, variable: Variable) -> float:
        """As Crossing has it, for any variable of the site: one that is fitted grows from A to B."""
        return 1.0 if self.fitted(variable) else self.guesses[variable].onward

    @property
    def hopeless(self) -> bool:
        """Whether windows enough were tried on every variable without a reactive shot."""
        tried = self.tried
        return all(variable in tried for variable in self.guesses) and all(map(hopeless, tried.values()))

    def starts(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the weighted frames, one a seed."""
        drawn = draw_starts(
            self.frames.log_weight + window.log_factor(self.frames.features),
            self.frames.whole,
            seeds,
            none="in no sampled frame is the molecule what it was",
        )
        return [self.frames.start(int(k)) for k in drawn]

    def starts_in_a(self, window: Window, seeds: Sequence[int]) -> list[Start]:
        """Draws from a window among the frames in A, one a seed."""
        drawn = draw_starts(window.log_factor(self.in_a), np.ones(len(self.frames.plain), dtype=bool), seeds, none="no frame is in A")
        return [self.frames.start(int(self.frames.plain[k])) for k in drawn]

    def next_window(self) -> tuple[Window, bool]:
        """The window to try next, and whether it is the one to stay with: batches beyond the pilots have settled that.

        Where the windows on a variable are hopeless, the best of an earlier one serves, or the next variable is tried. Before shooting
        begins in earnest, the variable that the committor depends on by the shots so far takes the place of one that tells less.
        """
        tried, chosen = self.tried, self.settled
        every = [t for of in tried.values() for t in of]
        if not every:
            return self.crossing.window, False
        if chosen and next(t for t in every if t.window == chosen).stays:
            return chosen, True
        if not self.stuck:
            mine = sorted(tried[self.latest.variable], key=lambda t: t.window == self.latest)
            if sum(b.window.variable == self.latest.variable for b in self.batches) > 2 * MOST_WINDOWS:
                return max(mine, key=lambda t: (t.stays, t.reactive)).window, True
            window, settled = next_window(replace(self.crossing, onward=self.onward(self.latest.variable)), mine)
            better = self.committor() if settled and chosen is None else None
            first = self.crossing.window.stiffness
            return (Window(better.variable, better.half, first), False) if better else (window, settled)
        reactive = [t for t in every if t.reactive > 0.0]
        if reactive:
            return max(reactive, key=lambda t: t.reactive).window, True
        left = next((c for c in self.instead if c.window.variable not in tried), None)
        return (left.window, False) if left else (self.latest, True)

    def committor(self) -> Found | None:
        """The variable that the committor depends on by all shots so far, if it tells more than the latest one."""
        if sum(map(self.fitted, self.tried)) >= self.fits:
            return None
        rows = [outcomes_of(batch) for batch in self.batches]
        together = (np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Outcomes))
        return committor_variable(Outcomes(*together), self.latest.variable, self.frames.curve)
