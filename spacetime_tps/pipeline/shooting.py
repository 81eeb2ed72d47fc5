"""The unbiased stage: windows at the crossings of the routes, shots from them in batches, until enough effective paths are there."""

from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.states import separating
from spacetime_tps.molecules.workers import Workers, seed_of
from spacetime_tps.pipeline.artifacts import Curve
from spacetime_tps.pipeline.batches import Batch, trials
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.volley import Volley
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.sampling.crossing import Crossing, Window, crossing_of, distinct, hopeless, next_window
from spacetime_tps.sampling.ensemble import Region, path_weights
from spacetime_tps.sampling.guided import draw_starts
from spacetime_tps.sampling.link import Sampled, link_error, log_partitions, rungs

COLUMNS = ("statistic", "in_a", "walk")
LINK_DRAWS = 20
LEAST = 5
"""Batches at each of several crossings"""


@dataclass(frozen=True)
class Site:
    """A crossing to shoot from, with the weighted frames of its route's class."""

    crossing: Crossing
    curve: Curve
    log_population: float
    """log of the weight of A in the class, which ties the classes' free energies together"""
    whole: np.ndarray
    """(S,): in which of the curve's frames the molecule is what it was"""
    batches: list[Batch]

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
    def frames_in_a(self) -> np.ndarray:
        """Which of the curve's frames are of plain MD in A."""
        return np.flatnonzero(self.whole[: self.curve.counts[0]])

    @property
    def in_a(self) -> np.ndarray:
        """T (S, E) of plain MD in A."""
        return self.curve.statistic[self.frames_in_a]


@dataclass(frozen=True)
class Ensemble:
    """All batches, and what they amount to."""

    sites: list[Site]
    left_out: list[tuple[Crossing, str]]
    """Crossings that no path was shot from, and why"""
    weight: np.ndarray
    """(paths,), in the order of the sites' batches; their sum estimates reactive paths, both directions, per spacing, relative to A"""
    reason: str
    link_error: list[float]
    """Standard error, kT, of each site's free energy relative to A"""
    ladder_evaluations: int
    separating: bool
    """Whether every path must turn the torsion of the crossings"""

    @property
    def batches(self) -> list[Batch]:
        """Site by site."""
        return [batch for site in self.sites for batch in site.batches]

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2."""
        return _effective(self.weight)


class ShotSampler:
    """Shoots into a run folder, batch by batch, each kept as soon as it is done."""

    def __init__(self, prepared: Prepared, settings: Settings, workers: Workers, folder: Path, progress: Progress, *, again: int):
        """again: evaluations that earlier trials from transition states have taken from the budget."""
        self.prepared, self.settings, self.workers, self.folder, self.progress = prepared, settings, workers, folder, progress
        self.options = settings.unbiased
        self.volley = Volley(prepared, settings, workers, folder)
        self.kept = folder / "samples/shots"
        self.torsions = len(prepared.torsions.atoms)
        self._known: dict[tuple[int, int], np.ndarray] = {}
        self._ladders: dict[int, tuple[list[Sampled], int]] = {}
        self._again = again

    def sample(self, curves: list[Curve]) -> Ensemble:
        """Shoot until the wanted effective number is there or the budget is spent. Raises SpacetimeError where nothing is reactive."""
        sites, left_out = self._sites(curves)
        for number, site in enumerate(sites):
            for file in sorted(self.kept.glob(f"{number}_*.npz")):
                site.batches.append(Batch.load(file))
        told = -1
        while True:
            settled = self._pilot(sites)
            weight = self.weights(sites, quick=True)
            if _effective(weight) >= self.options.paths:
                weight = self.weights(sites)
            effective, spent = _effective(weight), self._spent(sites)
            behind = _behind(sites)
            enough = effective >= self.options.paths and behind is None
            fruitless = all(hopeless(trials(site.batches)) for site in sites)
            next_cost = self._cost(sites, points=self.options.points, states=self.options.states)
            if settled is None or enough or fruitless or spent + next_cost > self.options.budget:
                break
            number = self._neediest(sites, weight) if behind is None else behind
            told = self._tell(effective, spent, told)
            self._batch(number, sites[number], settled[number], pilot=False)
        weight = weight if enough else self.weights(sites)
        if not weight.sum():
            raise SpacetimeError(
                f"none of {sum(len(b.shot_point) for s in sites for b in s.batches)} shots was reactive: the windows at the top of the "
                "routes do not hold the barrier, or unbiased.budget is too small to find it"
            )
        barren = [s for s in sites if not any(len(b.path_shot) for b in s.batches)]
        left_out += [(s.crossing, f"none of {sum(len(b.shot_point) for b in s.batches)} shots was reactive") for s in barren]
        reason = "the effective number is reached" if enough else "the budget is spent"
        ladders = sum(evaluations for _, evaluations in self._ladders.values())
        separating = bool(self._separating())
        return Ensemble(sites, left_out, weight, reason, self.link_errors(sites), ladders, separating)

    def _tell(self, effective: float, spent: int, told: int) -> int:
        """Say how far it is, once every tenth of the way; the tenth."""
        tenth = int(10 * effective / self.options.paths)
        if tenth > told:
            self.progress.say(f"  unbiased: {effective:.0f} of {self.options.paths} effective paths, {spent:,} evaluations")
        return max(tenth, told)

    def _sites(self, curves: list[Curve]) -> tuple[list[Site], list[tuple[Crossing, str]]]:
        """Crossings worth shooting from, and those that cost too much."""
        found: list[Site] = []
        torsions = self._separating() or list(range(self.torsions))
        for curve in curves:
            crossing = crossing_of(curve.route, curve.eta, curve.statistic, curve.log_weight, torsions, stiffness=self.options.stiffness)
            torsions = [crossing.window.torsion]  # of the best route; both ways round it, nothing passes unseen
            population = np.log(np.exp(curve.log_weight)[self.prepared.a.contains(curve.positions)].sum())
            found.append(Site(crossing, curve, float(population), self.volley.integrity.holds(curve.positions), []))
        kept = distinct([s.crossing for s in found])
        sites = [s for s in found if s.crossing in kept]
        cost = [s.log_population - s.crossing.log_partition for s in sites]
        above = [c - min(cost) for c in cost]
        chosen = [s for s, c in zip(sites, above, strict=True) if c <= self.options.margin_kT]
        why = "by the windows of the rounds it costs about {:.0f} kT more than the best one, for a share of {:.0e} or so"
        dear = [(s.crossing, why.format(c, np.exp(-c))) for s, c in zip(sites, above, strict=True) if c > self.options.margin_kT]
        return chosen, dear

    def _separating(self) -> list[int]:
        return separating(self.prepared.a, self.prepared.b, self.prepared.torsions.atoms)

    def _pilot(self, sites: list[Site]) -> list[Window] | None:
        """The window to stay with at each site, once small batches have led there; None where the budget ends before."""
        windows = []
        for number, site in enumerate(sites):
            window = site.latest
            while not hopeless(trials(site.batches)):
                tried = trials(site.batches)
                taken = {b.window for b in site.batches if not b.pilot}
                chosen = next((t.window for t in tried if t.window in taken and t.stays), None)
                window, settled = (chosen, True) if chosen else next_window(site.crossing, tried)
                if settled:
                    break
                next_cost = self._cost(sites, points=self.volley.pilot_points, discard=self.options.equilibration)
                if self._spent(sites) + next_cost > self.options.budget:
                    return None
                self._batch(number, site, window, pilot=True)
                last = trials(site.batches)[-1]
                self.progress.say(
                    f"  window at {self.prepared.torsions.names[window.torsion]} {np.degrees(window.center):.1f}, kappa "
                    f"{window.stiffness:.0f}: {last.reactive:.2f} of shots reactive, {last.share:.2f} of trajectories end in B"
                    + ("" if last.stays else "; slides off the top")
                )
            windows.append(window)
        return windows

    def weights(self, sites: list[Site], *, quick: bool = False) -> np.ndarray:
        """Of all paths, site by site, under the f of all windows of all sites.

        quick: psi from the pilots and the first batches after them alone, which is found once; MBAR over everything takes seconds.
        """
        eta, psi, shots, statistics = [], [], [], []
        for number, site in enumerate(sites):
            if not site.batches:
                continue
            windows = site.windows
            eta += [w.eta(self.torsions) for w in windows]
            psi += list(self._log_partitions(number, site, quick=quick))
            shots += [sum(len(b.shot_point) for b in of) for of in windows.values()]
            statistics += [s for b in site.batches for s in b.path_statistics]
        return path_weights(statistics, Region(np.array(eta), np.array(psi), np.array(shots, dtype=float)))

    def _log_partitions(self, number: int, site: Site, *, quick: bool) -> np.ndarray:
        """psi of each window of a site, relative to the partition function of A."""
        first = [b for b in site.batches if b.pilot] + [b for b in site.batches if not b.pilot][:1]
        batches = first if quick else site.batches
        key = (number, len(batches))
        if key not in self._known:
            ensembles = self._ensembles(number, site, batches)
            psi = log_partitions(site.in_a, ensembles)
            self._known[key] = psi[len(ensembles) - len(site.windows) :]
        return self._known[key]

    def _ensembles(self, number: int, site: Site, batches: list[Batch]) -> list[Sampled]:
        """The ladder from A up to a site, where there is one, or the windows of its route's curves; then the site's own windows."""
        below, _ = self._ladder(number, site)
        own = []
        for window in site.windows:
            of = [b for b in batches if b.window == window]
            own.append(Sampled(window.eta(self.torsions), *(np.concatenate([getattr(b, c) for b in of]) for c in COLUMNS)))
        return [*(below or _curve_ensembles(site.curve, self.prepared)), *own]

    def _ladder(self, number: int, site: Site) -> tuple[list[Sampled], int]:
        """The ladder of a site and its evaluations, walked from where the pilots ended; nothing where A cannot be met."""
        if number not in self._ladders:
            windows = self._rungs(site)
            self._ladders[number] = self._climbed(number, site, windows, len(site.pilots) - 1) if windows else ([], 0)
        return self._ladders[number]

    def _rungs(self, site: Site) -> list[Window]:
        """From the window of the last of the first pilots down to A."""
        return rungs(site.pilots[-1].window if site.pilots else site.crossing.window, site.crossing.onward, site.in_a)

    def _climbed(self, number: int, site: Site, windows: list[Window], pilot: int) -> tuple[list[Sampled], int]:
        """Half of the walks down from where a pilot ended, half up from frames of plain MD in A."""
        top = self.volley.ends(number, pilot)[::2]
        seeds = [seed_of(self.settings.seed, f"bottom_{number}", k) for k in range(self.options.walkers - len(top))]
        everywhere = np.ones(len(site.in_a), dtype=bool)
        drawn = draw_starts(site.in_a, np.zeros(len(site.in_a)), everywhere, windows[-1].eta(self.torsions), seeds)
        drawn = site.frames_in_a[drawn]
        bottom = [(site.curve.positions[k].astype(float), site.curve.velocities[k].astype(float)) for k in drawn]
        return self.volley.ladder(number, windows, top, bottom)

    def link_errors(self, sites: list[Site]) -> list[float]:
        """Standard error, kT, of each site's free energy relative to A."""
        rng = np.random.default_rng(self.settings.seed)
        return [
            link_error(site.in_a, self._ensembles(number, site, site.batches), draws=LINK_DRAWS, rng=rng) if site.batches else float("nan")
            for number, site in enumerate(sites)
        ]

    def _neediest(self, sites: list[Site], weight: np.ndarray) -> int:
        """The site where one more shot lowers the sum of squared weights most."""
        squares, first = [], 0
        for site in sites:
            paths = sum(len(b.path_shot) for b in site.batches)
            squares.append(float((weight[first : first + paths] ** 2).sum()) / sum(len(b.shot_point) for b in site.batches))
            first += paths
        return int(np.argmax(squares))

    def _spent(self, sites: list[Site]) -> int:
        """So far, with the ladders that are still to be walked."""
        shot = self._again + sum(b.evaluations + b.walk_evaluations for site in sites for b in site.batches)
        ahead = sum(len(self._rungs(site)) for number, site in enumerate(sites) if number not in self._ladders)
        walked = sum(evaluations for _, evaluations in self._ladders.values())
        return shot + walked + ahead * self.options.walkers * self.options.rung_steps

    def _cost(self, sites: list[Site], *, points: int, discard: int = 0, states: int = 0) -> float:
        """What a batch of so many points on each walk is going to cost, and shooting again from so many states: hardly ever more."""
        o = self.options
        shots = o.walkers * points * o.shots + states * o.state_shots
        known = np.concatenate([np.zeros(1), *(b.shot_evaluations for site in sites for b in site.batches)])
        return float(o.walkers * (discard + points * o.gap) + shots * known.mean() + 4.0 * np.sqrt(shots) * known.std())

    def _batch(self, number: int, site: Site, window: Window, *, pilot: bool) -> None:
        """One more batch of a site, from where its walks were; the first starts from the weighted frames of the route."""
        o = self.options
        if site.batches:
            starts = self.volley.ends(number, len(site.batches) - 1)
        else:
            seeds = [seed_of(self.settings.seed, f"start_{number}", walker) for walker in range(o.walkers)]
            drawn = draw_starts(site.curve.statistic, site.curve.log_weight, site.whole, window.eta(self.torsions), seeds)
            starts = [(x, v) for x, v in zip(site.curve.positions[drawn], site.curve.velocities[drawn], strict=True)]
        moved = not site.batches or site.batches[-1].window != window
        batch = self.volley.fire(
            number, len(site.batches), window, starts, pilot=pilot, discard=o.equilibration if moved else 0, onward=site.crossing.onward
        )
        batch.save(self.kept / f"{number}_{len(site.batches):04d}.npz")
        site.batches.append(batch)


def _curve_ensembles(curve: Curve, prepared: Prepared) -> list[Sampled]:
    """The windows of a route's curves, each as one walk: they hold all torsions, and link the top to A with less certainty."""
    ends = np.cumsum(curve.counts)
    pieces = [slice(int(end - count), int(end)) for end, count in zip(ends, curve.counts, strict=True)][2:]
    in_a = prepared.a.contains(curve.positions)
    walks = np.arange(len(pieces))
    return [
        Sampled(eta, curve.statistic[piece], in_a[piece], np.full(len(curve.statistic[piece]), walk))
        for eta, piece, walk in zip(curve.ensembles[2:], pieces, walks, strict=True)
    ]


def _behind(sites: list[Site]) -> int | None:
    """A site that had fewer than `LEAST` batches in its window, or None: the share of a minor way rests on its own shots alone.

    Sites whose pilots met on the same top are one, and there a single site needs none.
    """
    rivals = [n for n, s in enumerate(sites) if not hopeless(trials(s.batches))]
    tops = [replace(sites[n].crossing, window=sites[n].latest) for n in rivals]
    apart = distinct(tops)
    few = (n for n, top in zip(rivals, tops, strict=True) if top in apart and sum(not b.pilot for b in sites[n].batches) < LEAST)
    return next(few, None) if len(apart) > 1 else None


def _effective(weight: np.ndarray) -> float:
    return effective_number(weight) if weight.sum() else 0.0
