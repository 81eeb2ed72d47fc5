"""psi of the windows that shots come from: relative to A by a ladder, or among each other where one site alone asks for no rate."""

from collections.abc import Sequence
from typing import Generic

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.engine import ShootingEngine, Start
from spacetime_tps.shooting.ladder import MOST_RUNGS, EnsembleFrames, ladder_error, log_partitions, relative, rungs
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.sites import Site
from spacetime_tps.windows.window import Window

DRAWS = 20
COLUMNS = ("features", "in_a", "walk")


class FreeEnergies(Generic[Start]):
    """Of the windows of sites, by MBAR. Each figure and each ladder is found once and kept.

    With a ladder psi is relative to the partition function of A, so that weights of several sites compare, and their sum is a rate. Without
    one it is relative to the site's first window: enough for averages over the paths of a single site.
    """

    def __init__(self, engine: ShootingEngine[Start], settings: ShootingSettings, *, seed: int, rates: bool):
        """rates: whether psi is wanted relative to A, which takes a ladder. Several sites take one each in any case."""
        self.engine, self.settings, self.seed, self.rates = engine, settings, seed, rates
        self._known: dict[tuple[int, int, bool], np.ndarray] = {}
        self._ladders: dict[int, tuple[list[EnsembleFrames], int]] = {}

    def linked(self, sites: Sequence[Site[Start]]) -> bool:
        """Whether these sites need ladders."""
        return self.rates or len(sites) > 1

    def psi(self, number: int, site: Site[Start], *, linked: bool, quick: bool = False) -> np.ndarray:
        """(K,) of each window of a site, in kT. Raises SpacetimeError where windows do not overlap, or nothing links them to A.

        quick: from the pilots and the first batch after them alone, which is found once; MBAR over everything takes seconds.
        """
        first = [b for b in site.batches if b.pilot] + [b for b in site.batches if not b.pilot][:1]
        batches = first if quick else site.batches
        key = (number, len(batches), linked)
        if key not in self._known:
            own = _own(site, batches)
            try:
                if linked:
                    below = self._below(number, site)
                    self._known[key] = log_partitions(site.in_a, [*below, *own])[len(below) :]
                else:
                    self._known[key] = relative(own)
            except SpacetimeError as problem:
                raise SpacetimeError(f"the free energy of the windows at {site.crossing.route} is not known: {problem}") from problem
        return self._known[key]

    def error(self, number: int, site: Site[Start], *, linked: bool, rng: np.random.Generator) -> float:
        """Standard error, kT, of a site's free energy relative to A; nan where there are no shots or no ladder."""
        if not site.batches or not linked:
            return float("nan")
        return ladder_error(site.in_a, [*self._below(number, site), *_own(site, site.batches)], draws=DRAWS, rng=rng)

    @property
    def evaluations(self) -> int:
        """Of the ladders."""
        return sum(evaluations for _, evaluations in self._ladders.values())

    def ahead(self, sites: Sequence[Site[Start]]) -> int:
        """Evaluations of ladders that are still to be walked, for the sites that need one."""
        if not self.linked(sites):
            return 0
        rungs_ahead = sum(len(self._rungs(site)) for number, site in enumerate(sites) if number not in self._ladders)
        return rungs_ahead * self.settings.walkers * self.settings.rung_steps

    def _below(self, number: int, site: Site[Start]) -> Sequence[EnsembleFrames]:
        """The ensembles from A up to a site: its ladder, walked from where the pilots ended, or the windows of its route."""
        if number not in self._ladders:
            windows = self._rungs(site)
            self._ladders[number] = self._climbed(number, site, windows) if windows else ([], 0)
        below = self._ladders[number][0] or site.frames.windows
        if not below:
            raise SpacetimeError(
                f"no ladder of windows leads from there down to A within half a turn or {MOST_RUNGS} windows; use a softer window"
            )
        return below

    def _rungs(self, site: Site[Start]) -> list[Window]:
        """From the window of the last of the first pilots down to A."""
        window = site.pilots[-1].window if site.pilots else site.crossing.window
        return rungs(window, site.onward(window.variable), site.in_a)

    def _climbed(self, number: int, site: Site[Start], windows: list[Window]) -> tuple[list[EnsembleFrames], int]:
        """Half of the walks down from where a pilot ended, half up from draws in A."""
        top = self.engine.ends(number, max(len(site.pilots) - 1, 0))[::2]
        seeds = [seed_of(self.seed, f"bottom_{number}", k) for k in range(self.settings.walkers - len(top))]
        return self.engine.ladder(number, windows, top, site.starts_in_a(windows[-1], seeds))


def _own(site: Site[Start], batches: Sequence[Batch]) -> list[EnsembleFrames]:
    """The frames of each of a site's windows."""
    found = []
    for window in site.windows:
        of = [b for b in batches if b.window == window]
        found.append(EnsembleFrames(window.log_factor, *(np.concatenate([getattr(b, c) for b in of]) for c in COLUMNS)))
    return found
