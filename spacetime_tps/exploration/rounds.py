"""The exploration: windows, weights and geodesics, repeated until the best curve stays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from spacetime_tps.denoisers.protocol import Fitted
from spacetime_tps.denoisers.registry import trainer_for
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Trained, apart
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration import lines, polish
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.choice import best, explored, followed, in_doubt
from spacetime_tps.exploration.classes import Classes
from spacetime_tps.exploration.detours import detours, passable
from spacetime_tps.exploration.ends import GROUP, Ends, walk_ends
from spacetime_tps.exploration.floor import first_floor
from spacetime_tps.exploration.forbidden import bind
from spacetime_tps.exploration.minima import intermediates
from spacetime_tps.exploration.optimisation import CurveOptimiser
from spacetime_tps.exploration.penalties import acts_below
from spacetime_tps.exploration.route import Route, Winding, directions_disagree
from spacetime_tps.exploration.settings import ExplorationSettings
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.geodesic import Geodesic, described, evaluate
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.windows import CurveWindows, WindowPlan, gather, pick, window_walks
from spacetime_tps.seeds import seed_of


@dataclass(frozen=True)
class WindowSet:
    """One set of windows: when and along what they were walked, and what they said."""

    round: int
    route: str
    lowest_overlap: float
    disagreement: float
    """kT"""


@dataclass(frozen=True)
class Explored:
    """What the rounds leave behind."""

    routes: list[Route]
    """All routes: those along which windows were sampled first, best rank first"""
    ends: Ends
    classes: Classes
    trained: dict[Winding, Fitted]
    """The denoiser of each class that paths are sampled in, and what its training did; empty where weighted samples are kept"""
    floor: float
    """Precision that the last round worked with"""
    lengths: list[float]
    """of the best curve after each round"""
    sets: list[WindowSet]
    evaluations: int
    """Of windows, and of the quenches between them"""

    def along_curve(self, kind: Winding, family: Family) -> tuple[Route, torch.Tensor]:
        """The best route of a class that a denoiser was trained for, and how far that is from the weighted samples along its curve (N,),
        over the thermal spread."""
        route = next(r for r in self.routes if r.winding == kind)
        return route, apart(self.trained[kind].denoiser, self.classes.denoiser(kind), torch.from_numpy(route.eta), family)


def explore(problem: Problem, simulation: Simulation, settings: ExplorationSettings, *, seed: int) -> Explored:
    """MD in both ends, then rounds until the best curve stays and its windows ask for nothing else.

    Raises SpacetimeError where MD leaves its state at once, a walk is unstable, or ensembles do not overlap.
    """
    ends = walk_ends(problem, simulation, settings.training, seed=seed)
    work = Rounds(problem, simulation, settings, ends, seed=seed)
    limit = settings.rounds.max_routes
    routes = lines.straight_routes(problem.coordinates, *problem.ends, work.precisions(), settings.rounds.straight_lines)
    lengths: list[float] = []
    for count in range(1, settings.rounds.max_rounds + 1):
        routes = work.sample(count, routes)
        if count == 1:
            routes += work.through_minima(limit - len(routes), routes)
        floor = work.floor.precision
        optimised = [work.optimise(route) for route in routes]
        turned = lines.unique([route for _, *more in optimised for route in more], {route.name for route in routes})
        routes = lines.distinct([same for same, *_ in optimised] + turned, problem.coordinates)
        leader = best(routes)
        if count == 1:
            routes += work.past_regions(routes)
        fresh = count == 1 or (leader.rounds == 1 and bool(work.avoidance.regions))
        settled = fresh or work.move_floor(leader, routes)  # windows are at constant speed from a route's second round on
        lengths.append(leader.length)
        simulation.progress.say(_describe(count, leader, floor))
        stood = _stood_still(lengths, settings.rounds.length_tolerance)
        enough = count >= settings.rounds.min_rounds and leader.rounds > 1 and work.explored(routes, leader)
        if enough and settled and stood and (stood > 1 or not work.held_back(leader)):
            break
    simulation.cache(GROUP).sweep()
    routes = sorted(routes, key=lambda r: r.rank)
    wanted = routes[: settings.rounds.routes]
    trained = work.train(wanted)
    polished = [work.polish(route, trained, floor) for route in wanted]
    routes = sorted(polished, key=lambda r: r.rank) + routes[len(wanted) :]
    found = Explored(routes, ends, work.classes, trained, floor, lengths, work.sets, work.evaluations)
    for kind in trained:
        route, differ = found.along_curve(kind, work.family)
        simulation.progress.say(
            f"  along {route.name} the trained denoiser is {float(differ.median()):.3f} of the thermal spread from the weighted samples, "
            f"{float(differ.max()):.3f} at most"
        )
    return found


class Rounds:
    """What changes from round to round: the samples of each class, the noise floor, and what was spent."""

    def __init__(self, problem: Problem, simulation: Simulation, settings: ExplorationSettings, ends: Ends, *, seed: int):
        self.problem, self.simulation, self.settings, self.ends, self.seed = problem, simulation, settings, ends, seed
        self.coordinates, self.family = problem.coordinates, problem.coordinates.family()
        options = settings.avoidance
        regions = bind(settings.avoid, problem, simulation.storage.content)
        self.avoidance = Avoidance(regions, self.family, margin=options.margin, floor=options.floor_nats)
        self.optimiser = CurveOptimiser(self.family, settings.geodesic, options, self.avoidance)
        self.floor = first_floor(settings.geodesic, ends.heat, settings.windows.count)
        self.classes = Classes(ends.pool(every=settings.training.pool_stride), self.avoidance.marks)
        self.sets: list[WindowSet] = []
        self.evaluations = 0

    def precisions(self) -> np.ndarray:
        """Precisions (points, L) of an initial curve under the present floor."""
        return self.ends.precisions(self.floor.precision, self.settings.geodesic.points)

    def sample(self, count: int, routes: list[Route]) -> list[Route]:
        """The routes, with windows sampled and weighted along those that are followed, all at once. Where those of a route disagree though
        the last ones did not, they are walked once more."""
        chosen = followed(routes, self.classes.of, self.settings.rounds)
        windows = self._windows(f"round{count}", f"round {count}: windows, routes followed: {len(chosen)}", chosen)
        shaken = [
            r for r, w in zip(chosen, windows, strict=True) if r.rounds and not r.unsettled and directions_disagree(w.disagreement)
        ]  # fmt: skip
        again = dict(zip((r.name for r in shaken), self._windows(f"round{count}_again", "windows that disagreed", shaken), strict=True))
        measured = {}
        for route, first in zip(chosen, windows, strict=True):
            walked = [first, *([again[route.name]] if route.name in again else [])]
            found = min(walked, key=lambda w: w.disagreement)
            self.classes.take(route, count, found)
            for of in sorted(walked, key=lambda w: w is found):
                self.sets.append(WindowSet(count, route.name, float(of.overlap.min()), of.disagreement))
            self.simulation.progress.say(
                f"  {route.name}: overlap of neighbours >= {found.overlap.min():.2f}, both directions differ by {found.disagreement:.1f} kT"
                + (f", walked once more after {first.disagreement:.1f} kT" if route.name in again else "")
            )
            measured[route.name] = replace(
                route, rounds=route.rounds + 1, disagreement=found.disagreement, lowest_overlap=float(found.overlap.min())
            )
        self.classes.weigh({route.winding for route in chosen})
        return [measured.get(route.name, route) for route in routes]

    def _windows(self, named: str, title: str, routes: Sequence[Route]) -> list[CurveWindows]:
        """Windows along each route, walked both ways; `named`: what their walks are called before the route's name."""
        if not routes:
            return []
        plan = self.settings.windows
        etas = [pick(self._raised(route.eta), min(self.floor.windows, len(route.eta))) for route in routes]
        walks: list[tuple[str, Walk]] = []
        start, end = self.ends.last
        for route, eta in zip(routes, etas, strict=True):
            name = f"{named}_{route.name}"
            both = window_walks(
                self.coordinates, eta, WindowPlan(plan.steps, plan.discard, plan.stride), start=start, end=end,
                seeds=(seed_of(self.seed, name, 0), seed_of(self.seed, name, 1)),
            )  # fmt: skip
            walks += [(f"{name}_{way}", walk) for way, walk in zip(("forward", "backward"), both, strict=True)]
        frames = self.simulation.cached_walks(GROUP, walks, title=title)
        self.evaluations += sum(f.evaluations for f in frames)
        return [gather(self.coordinates, eta, frames[2 * k], frames[2 * k + 1]) for k, eta in enumerate(etas)]

    def _raised(self, eta: np.ndarray) -> np.ndarray:
        """A curve (N, E) with its precisions raised to the present floor where they are below."""
        precision = np.maximum(self.family.precisions(torch.from_numpy(eta)).numpy(), self.precisions())
        return lines.at_precision(self.family, lines.centers(eta, self.family), precision)

    def optimise(self, route: Route) -> list[Route]:
        """The route with its geodesic under its class's denoiser, or as far on the way there from the curve that windows were walked along
        as samples can follow; a route without windows stays as it is.

        Where the optimiser turned the curve into another class, the route keeps what it had, and the turned curve is a route of its own.
        """
        if not route.rounds:
            return [route]
        denoiser = self.classes.denoiser(route.winding)
        walked = torch.from_numpy(self._raised(route.eta))
        if route.unsettled:  # samples that are no equilibrium lead nowhere, and do not say where along it points belong
            return [self._placed(route.along(described(walked, denoiser)), denoiser)]
        start = torch.from_numpy(lines.at_precision(self.family, lines.centers(route.eta, self.family), self.precisions()))
        found = self.optimiser.geodesic(start, denoiser, floor=self.floor.precision, first=route.geodesic is None)
        if lines.class_of(found.eta.numpy(), self.family) == route.winding:
            found = self.optimiser.trusted(walked, found, denoiser)
            return [self._placed(route.along(found), denoiser)]
        turned = lines.reclassed(found.eta.numpy(), self.coordinates, *self.problem.ends)
        self.simulation.progress.say(f"  {route.name} left its class: the optimiser turned it into {turned.name}")
        stays = route.geodesic or evaluate(walked, denoiser, family=self.family, points=self.settings.geodesic.points)
        return [self._placed(route.along(stays), denoiser), turned]

    def through_minima(self, most: int, routes: Sequence[Route]) -> list[Route]:
        """Routes through minima that sampled frames fall into and none of `routes` passes, the lowest first; at most so many."""
        if most < 1:
            return []
        passed = np.concatenate([lines.center_line(route.eta, self.family) for route in routes])
        minima, evaluations = intermediates(
            self.problem, self.classes.frames(), passed, count=self.settings.rounds.quenches, heat=self.ends.heat,
            regions=self.avoidance.regions,
        )  # fmt: skip
        self.evaluations += evaluations
        here, there = self.problem.ends
        found = [
            replace(lines.through(self.coordinates, here, minimum.values, there, self.precisions()), twins=minimum.twins)
            for minimum in minima[:most]
        ]
        return lines.unique(found, {route.name for route in routes})

    def past_regions(self, routes: Sequence[Route]) -> list[Route]:
        """Detours of the routes that enter a forbidden region, best barrier first, half as many as there may be initial curves."""
        entering = sorted((r for r in routes if r.lack), key=lambda r: r.barrier)
        for region in self.avoidance.regions if entering else ():
            if not passable(region, self.coordinates):
                self.simulation.progress.say(f"  no detours are tried past the region {region.label!r}: no range of a coordinate bounds it")
        found = [d for r in entering for d in detours(r, self.avoidance.regions, self.precisions(), self.coordinates)]
        return lines.unique(found)[: self.settings.rounds.straight_lines]

    def move_floor(self, leader: Route, routes: Sequence[Route]) -> bool:
        """Move the floor of the next round where the windows of the best route ask for it, or those of one of its class that is in doubt;
        True when it stays."""
        asking = next((r for r in routes if in_doubt(r, leader)), leader)
        moved = self.floor.after(asking, self.settings.windows)
        if moved.precision > self.floor.precision:
            self.simulation.progress.say(
                f"  windows walked from A and from B differ by {asking.disagreement:.1f} kT on {asking.name}: the noise floor rises to "
                f"{moved.precision:.0f}, which tells basins apart that one window held"
            )
        stays, self.floor = moved == self.floor, moved
        return stays

    def explored(self, routes: Sequence[Route], leader: Route) -> bool:
        """Whether more rounds would not help against forbidden regions."""
        return not self.avoidance.regions or explored(routes, leader, self.classes.of, self.settings.rounds)

    def held_back(self, route: Route) -> bool:
        """Whether the edge of the sampled region holds the curve back: its penalty acts, and more windows would let the curve move on."""
        assert route.geodesic is not None
        return float(route.geodesic.effective_samples.min()) < acts_below(self.settings.geodesic)

    def train(self, routes: Sequence[Route]) -> dict[Winding, Fitted]:
        """A trained denoiser for each class of these routes, where there is one for the family and one is wanted."""
        trained: dict[Winding, Fitted] = {}
        trainer = trainer_for(self.family, self.settings.denoiser)
        for route in routes if trainer else []:
            if route.rounds and route.winding not in trained:
                assert trainer is not None
                trained[route.winding] = trainer.fit(
                    self.classes.ensembles(route.winding), self.family, torch.from_numpy(route.eta),
                    seed=seed_of(self.seed, f"denoiser_{route.name}", 0),
                )  # fmt: skip
                self.simulation.progress.say(_told(route.name, trained[route.winding].record))
        return trained

    def polish(self, route: Route, trained: dict[Winding, Fitted], floor: float) -> Route:
        """The route's geodesic under the trained denoiser of its class, where there is one and samples can follow it; `floor`: that of the
        last round."""
        if route.winding not in trained or not route.rounds:
            return route
        samples, model = self.classes.denoiser(route.winding), trained[route.winding].denoiser
        start = torch.from_numpy(route.eta)
        penalties = self.optimiser.penalties_on(start, samples, floor=floor, push=self.settings.avoidance.weights[-1])
        relaxed = polish.polished(start, model, samples, penalties, self.family, self.settings.geodesic)

        def at_even_speed(eta: torch.Tensor) -> Geodesic:
            return evaluate(eta, samples, family=self.family, points=self.settings.geodesic.points, trace=relaxed.trace)

        def sound(curve: Geodesic) -> bool:
            same = lines.class_of(curve.eta.numpy(), self.family) == route.winding
            return same and polish.is_convex(curve.eta, model) and self._lack(route, curve, samples) <= route.lack

        found = self.optimiser.toward(at_even_speed(start), at_even_speed(relaxed.curve), samples, sound=sound)
        if found is None:
            self.simulation.progress.say(
                f"  {route.name} stays as it was: nowhere on the way to its curve under the trained denoiser is that convex, in its "
                "class, out of regions, and to be followed by samples"
            )
            return route
        return self._placed(route.along(found), samples)

    def _placed(self, route: Route, denoiser: WeightedSamples) -> Route:
        """The route with how near it comes to the forbidden regions."""
        return replace(route, nearness=self.avoidance.nearness(route.eta, denoiser))

    def _lack(self, route: Route, curve: Geodesic, denoiser: WeightedSamples) -> float:
        """What another curve of the route lacks to the regions."""
        return self._placed(route.along(curve), denoiser).lack


def _stood_still(lengths: Sequence[float], tolerance: float) -> int:
    """For how many rounds up to the last the length has changed by less than the tolerance, relative to the round before."""
    moves = [abs(after / before - 1.0) >= tolerance for before, after in pairwise(lengths)]
    return next((k for k, moved in enumerate(reversed(moves)) if moved), len(moves))


def _told(route: str, record: Trained) -> str:
    line = f"denoiser trained on the samples of {route}: held-out loss {record.held_out_loss:.3f}"
    if record.unseen is None:
        return line
    u = record.unseen
    return (
        f"{line}; off {u.windows} unseen windows by {u.denoiser:.3f} of the thermal spread ({u.denoiser / u.standard_error:.1f} of their "
        f"standard errors), weighted samples by {u.samples:.3f}"
    )


def _describe(count: int, leader: Route, floor: float) -> str:
    assert leader.geodesic is not None
    return (
        f"round {count}: best route {leader.name}, length {leader.length:.2f}, barrier {leader.barrier:.2f} kT, effective samples >= "
        f"{float(leader.geodesic.effective_samples.min()):.0f}, largest segment {float(leader.geodesic.segment.max()):.3f}, "
        f"kappa floor {floor:.1f}"
    )
