"""The transition path ensemble from weighted shots, for any engine: settle on windows, shoot in batches, until enough effective paths are
there."""

from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting import budget
from spacetime_tps.shooting.allocation import behind, neediest
from spacetime_tps.shooting.batches import window_trials
from spacetime_tps.shooting.engine import ShootingEngine, Start
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.free_energies import FreeEnergies
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.shooting.selection import sites_of
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.sites import Site
from spacetime_tps.shooting.weights import ShotDensity, path_weights
from spacetime_tps.units import decimals
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.window import Window


class ShotSampler(Generic[Start]):
    """Shoots batch by batch; the engine keeps each as soon as it is done."""

    def __init__(
        self, engine: ShootingEngine[Start], settings: ShootingSettings, *, seed: int, rates: bool = True,
        say: Callable[[str], None] = lambda text: None, again: int = 0,
    ):  # fmt: skip
        """rates: whether weights are wanted relative to the population of A (FreeEnergies). again: evaluations that earlier trials of
        committors have taken from the budget."""
        self.engine, self.settings, self.seed, self.say, self.again = engine, settings, seed, say, again
        self.free_energies = FreeEnergies(engine, settings, seed=seed, rates=rates)

    def sample(self, routes: Sequence[RouteFrames[Start]], variables: Sequence[Variable], *, chosen: Variable | None = None) -> Ensemble:
        """Shoot until the wanted effective number is there or the budget is spent.

        routes: the best one first. variables: scalars that separate A from B; chosen: one to hold instead (`sites_of`). Raises
        SpacetimeError where nothing is reactive, or where the windows of several sites cannot be linked.
        """
        o = self.settings
        sites, left_out = sites_of(routes, variables, stiffness=o.stiffness, margin_kT=o.margin_kT, chosen=chosen)
        for number, site in enumerate(sites):
            site.batches.extend(self.engine.done(number))
        told = -1
        while True:
            settled = self.settle(sites)
            weight = self.weights(sites, quick=True)
            if effective_number(weight) >= o.paths:
                weight = self.weights(sites)
            found, late = effective_number(weight), behind(sites, weight)
            enough = found >= o.paths and late is None
            cost = budget.batch_cost(sites, o, points=o.points, states=o.states)
            lost = all(s.hopeless for s in sites)
            if settled is None or enough or lost or self.spent(sites) + cost > o.budget:
                break
            told = self._tell(found, self.spent(sites), told)
            number = neediest(sites, weight) if late is None else late
            self.one_batch(number, sites[number], settled[number], pilot=False)
        weight = weight if enough else self.weights(sites)
        shots = sum(site.shots for site in sites)
        if not weight.sum():
            held = " or ".join(dict.fromkeys(variable.name for site in sites for variable in site.tried)) or "any variable"
            raise SpacetimeError(
                f"none of {shots} shots was reactive: windows on {held} at the top of the routes do not hold the barrier, or the budget "
                "(unbiased.budget) is too small to find it"
            )
        left_out += [(s.crossing, f"none of {s.shots} shots was reactive") for s in sites if not s.paths]
        rng, linked = np.random.default_rng(seed_of(self.seed, "ladder_errors", 0)), self.free_energies.linked(sites)
        errors = [self.free_energies.error(number, site, linked=linked, rng=rng) for number, site in enumerate(sites)]
        separating = all(s.latest.variable in variables for s in sites)
        return Ensemble(sites, left_out, weight, enough, lost, errors, self.free_energies.evaluations, self.spent(sites), separating)

    def settle(self, sites: Sequence[Site[Start]]) -> list[Window] | None:
        """The window to stay with at each site, once small batches have led there; None where the budget ends before."""
        windows = []
        for number, site in enumerate(sites):
            window, settled = site.next_window()
            while not settled:
                self._tell_of_change(site, window)
                cost = budget.batch_cost(sites, self.settings, points=self.settings.pilot_points, discard=self.settings.equilibration)
                if self.spent(sites) + cost > self.settings.budget:
                    return None
                self.one_batch(number, site, window, pilot=True)
                self._tell_of(site)
                window, settled = site.next_window()
            windows.append(window)
        return windows

    def one_batch(self, number: int, site: Site[Start], window: Window, *, pilot: bool) -> None:
        """One more batch of a site, from where its walks were; the first, and the first on a variable in another's stead, starts from the
        weighted frames of the route: walks that slid into a basin are no place to begin."""
        o = self.settings
        if site.batches and not (site.stuck and window.variable != site.latest.variable):
            starts = self.engine.ends(number, len(site.batches) - 1)
        else:
            starts = site.starts(window, [seed_of(self.seed, f"start_{number}", walker) for walker in range(o.walkers)])
        moved = not site.batches or site.batches[-1].window != window
        points, discard = o.pilot_points if pilot else o.points, o.equilibration if moved else 0
        count, onward = len(site.batches), site.onward(window.variable)
        site.batches.append(self.engine.batch(number, count, window, starts, points=points, pilot=pilot, discard=discard, onward=onward))

    def weights(self, sites: Sequence[Site[Start]], *, quick: bool = False) -> np.ndarray:
        """(paths,) of all paths, site by site, under the f of all windows of all sites. quick: as in FreeEnergies.psi."""
        if not any(site.paths for site in sites):
            return np.zeros(0)
        linked = self.free_energies.linked(sites)
        windows, psi, shots, features = [], [], [], []
        for number, site in enumerate(sites):
            if not site.batches:
                continue
            windows += list(site.windows)
            psi += list(self.free_energies.psi(number, site, linked=linked, quick=quick))
            shots += [sum(len(b.shot_point) for b in of) for of in site.windows.values()]
            features += [s for b in site.batches for s in b.path_features]
        return path_weights(features, ShotDensity(windows, np.array(psi), np.array(shots, dtype=float)))

    def spent(self, sites: Sequence[Site[Start]]) -> int:
        """So far, with the ladders that are still to be walked and earlier trials of committors."""
        return self.again + budget.shot(sites) + self.free_energies.evaluations + self.free_energies.ahead(sites)

    def _tell(self, found: float, spent: int, told: int) -> int:
        """Say how far it is, once every tenth of the way; the tenth."""
        tenth = int(10 * found / self.settings.paths)
        if tenth > told:
            self.say(f"  unbiased: {found:.0f} of {self.settings.paths} effective paths, {spent:,} evaluations")
        return max(tenth, told)

    def _tell_of(self, site: Site[Start]) -> None:
        last = next(t for t in window_trials(site.batches) if t.window == site.latest)
        self.say(
            f"  window at {place_name(last.window)}, stiffness {last.window.stiffness:.0f}: {last.reactive:.2f} of shots reactive, "
            f"{last.share:.2f} of trajectories end in B" + ("" if last.stays else "; slides off the top")
        )

    def _tell_of_change(self, site: Site[Start], window: Window) -> None:
        """Say where the windows of a site go over to another variable, and why."""
        if not site.batches or window.variable == site.latest.variable:
            return
        found = site.committor() if site.fitted(window.variable) else None
        why = (
            f"tells more of where trajectories end, by {found.gain:.0f} ± {found.gain_error:.0f} in the log-likelihood of walks left out"
            if found
            else "is tried: no shot was reactive so far"
        )
        self.say(f"  {window.variable.name} {why}")


def place_name(window: Window) -> str:
    """A window's variable and center as people read them, to a tenth of what tells places apart."""
    return f"{window.variable.name} {window.place:.{decimals(window.variable.scale) + 1}f}"
