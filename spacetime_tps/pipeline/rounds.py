"""Second stage: windows, weights, denoiser and geodesic, repeated until the best curve stays."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Trained
from spacetime_tps.engines.openmm.dynamics import FREE, Walk
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.engines.openmm.minimisation import minimise as quench
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.geodesic import evaluate
from spacetime_tps.pipeline import polish
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.avoidance import Avoidance, bind
from spacetime_tps.pipeline.detours import detours
from spacetime_tps.pipeline.optimisation import SAFETY, CurveOptimiser
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.routes import DISAGREEMENT, Route
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.store import WalkStore
from spacetime_tps.sampling.free_energy import Weights
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.thermal import thermal_maxima
from spacetime_tps.sampling.windows import WindowPlan, Windows, gather, pick, window_walks
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

QUENCH_TOLERANCE = 20.0
"""kJ/mol/nm: enough to tell which basin a frame falls into"""
FLOOR_STEP = 2.0**0.5
HOPELESS, RAISED = 20.0, 4.0
"""kT between the two directions from which the noise floor rises by so much at once"""
PLENTY = 0.4
"""Overlap of neighbouring windows that a higher floor still leaves enough of"""

Winding = tuple[int, ...]
"""Routes of one winding share their samples"""


@dataclass(frozen=True)
class Sampled:
    """What the rounds leave behind."""

    routes: list[Route]
    """All routes: those along which windows were sampled first, best barrier first"""
    pools: dict[Winding, Pool]
    weights: dict[Winding, Weights]
    floor: float
    """Concentration that the measured overlap led to"""
    lengths: list[float]
    """of the best curve after each round"""
    thermal: np.ndarray
    """Highest energies (kJ/mol, absolute) of equilibrium stretches that stay in A and are as long as a path; maybe none"""
    training_evaluations: int
    window_evaluations: int
    window_rounds: list[tuple[int, str, float, float]]
    """(round, route, lowest overlap, disagreement in kT) of each set of windows"""
    window_sets: dict[Winding, list[tuple[int, str]]]
    """(round, route) of the sets in each pool, in their order there"""
    latest: dict[str, Windows]
    """The last windows of each route"""
    trained: dict[Winding, tuple[TrainedDenoiser, Trained]]
    """The denoiser of each class that paths are sampled in, and what its training did; empty where weighted samples are kept"""


class Rounds:
    """The loop and its state: routes, pools and the noise floor."""

    def __init__(self, prepared: Prepared, settings: Settings, workers: Workers, folder: Path, progress: Progress):
        self.prepared, self.settings, self.workers, self.progress = prepared, settings, workers, progress
        self.coordinates, self.family = prepared.coordinates, prepared.coordinates.family()
        self.store = WalkStore(folder / "samples")
        self.floor, self.count = settings.geodesic.floor, settings.windows.count
        options = settings.avoidance
        self.avoidance = Avoidance(bind(settings.avoid, prepared), self.family, margin=options.margin_degrees, floor=options.floor_nats)
        self.optimiser = CurveOptimiser(self.family, settings.geodesic, settings.avoidance, self.avoidance)
        self.pools: dict[Winding, Pool] = {}
        self.weights: dict[Winding, Weights] = {}
        self.window_evaluations = 0
        self.window_rounds: list[tuple[int, str, float, float]] = []
        self.window_sets: dict[Winding, list[tuple[int, str]]] = {}
        self.latest: dict[str, Windows] = {}
        self._sound: set[Winding] = set()

    def run(self) -> Sampled:
        in_a, in_b = self._training()
        a, b = self.prepared.a, self.prepared.b
        self._ends = Pool.of_ends(self.coordinates, a, b, in_a, in_b, every=self.settings.training.pool_stride)
        self._end_frames = tuple(np.concatenate([f.positions for f in frames]) for frames in (in_a, in_b))
        self._last = tuple(_last_inside(frames, state) for frames, state in zip(self._end_frames, (a, b), strict=True))
        limit = self.settings.rounds.max_routes
        here, there = self.prepared.ends
        routes = routing.straight_routes(self.coordinates, here, there, self._precisions(), max(limit // 2, 1))
        lengths: list[float] = []
        for count in range(1, self.settings.rounds.max_rounds + 1):
            routes = self._sample(count, routes)
            if count == 1:
                routes += self._through_minima(limit - len(routes))
            floor = self.floor
            routes = routing.distinct([new for route in routes for new in self._optimise(route)], self.coordinates)
            best = self._best(routes)
            if count == 1:
                routes += self._past_regions(routes)
            fresh = count == 1 or (best.rounds == 1 and bool(self.avoidance.regions))
            settled = fresh or self._set_floor(best)  # windows are at constant speed from a route's second round on
            lengths.append(best.length)
            self.progress.say(_describe(count, best, floor))
            still = len(lengths) > 1 and abs(lengths[-1] / lengths[-2] - 1.0) < self.settings.rounds.length_tolerance
            enough = count >= self.settings.rounds.min_rounds and best.rounds > 1 and self._explored(routes, best)
            if enough and settled and still and not self._held_back(best):
                break
        self.store.sweep()
        routes = sorted(routes, key=lambda r: (r.rounds == 0, r.rank))
        trained = self._train(routes[: self.settings.rounds.routes])
        return Sampled(
            routes=[self._polish(route, trained) if rank < self.settings.rounds.routes else route for rank, route in enumerate(routes)],
            trained=trained,
            pools=self.pools, weights=self.weights, floor=floor, lengths=lengths,
            thermal=thermal_maxima(in_a, self.settings.path_frames, a),
            training_evaluations=sum(f.evaluations for f in (*in_a, *in_b)),
            window_evaluations=self.window_evaluations, window_rounds=self.window_rounds, window_sets=self.window_sets, latest=self.latest,
        )  # fmt: skip

    def _train(self, routes: list[Route]) -> dict[Winding, tuple[TrainedDenoiser, Trained]]:
        """A trained denoiser for each class of the routes that paths are going to be sampled along."""
        trained: dict[Winding, tuple[TrainedDenoiser, Trained]] = {}
        for route in routes if self.settings.denoiser.components and polish.trainable(self.family) else []:
            if route.rounds and route.winding not in trained:
                model, record = polish.train_for(route, self.denoiser(route.winding), self.settings.denoiser, seed=self.settings.seed)
                trained[route.winding] = model, record
                self.progress.say(f"denoiser trained on the samples of {route.name}: held-out loss {record.held_out_loss:.3f}")
        return trained

    def _polish(self, route: Route, trained: dict[Winding, tuple[TrainedDenoiser, Trained]]) -> Route:
        """The route's geodesic under the trained denoiser of its class, where there is one."""
        if route.winding not in trained or not route.rounds:
            return route
        samples = self.denoiser(route.winding)
        start = torch.from_numpy(route.eta)
        regions = polish.under_samples(self.optimiser.regions(start, samples, self.settings.avoidance.weights[-1]), samples)
        unit = routing.straight_energy(start, samples, self.family)
        found = polish.polished(
            route,
            polish.Supported(trained[route.winding][0], samples),
            [*self.optimiser.penalties(unit, floor=self.floor), *regions],
            self.family,
            self.settings.geodesic,
        )
        found = self._placed(found, samples)
        return found if found.lack <= route.lack else route

    def denoiser(self, kind: Winding) -> WeightedSamples:
        """The weighted-sample posterior of a class of routes."""
        return WeightedSamples(torch.from_numpy(self.pools[kind].statistic), torch.from_numpy(self.weights[kind].log_weight))

    def _training(self) -> tuple[list[Frames], list[Frames]]:
        training, stride = self.settings.training, self.settings.guided.stride
        named = []
        for end, structure, segments in (
            ("A", self.prepared.start, training.segments_a),
            ("B", self.prepared.end, training.segments_b),
        ):
            for index in range(training.walks):
                named.append((f"md_{end}_{index}", Walk(
                    bias=None, schedule=FREE,
                    steps=max(training.equilibration_steps, stride) + segments * self.settings.path_frames * stride,
                    stride=stride, seed=seed_of(self.settings.seed, f"md_{end}", index),
                    positions=structure.positions, discard=max(training.equilibration_steps, stride),
                )))  # fmt: skip
        frames = self.store.run(named, self.workers, self.progress, "MD in both ends")
        return frames[: training.walks], frames[training.walks :]

    def _precisions(self) -> np.ndarray:
        """Precisions (points, L) of an initial curve under the present floor."""
        ends = zip(self.prepared.ends, self._end_frames, (self.prepared.a, self.prepared.b), strict=True)
        first, last = (
            routing.end_precision(self.family, center, self.coordinates.features(frames), state.contains(frames), self.floor)
            for center, frames, state in ends
        )
        return routing.precisions(self.floor, first, last, self.settings.geodesic.points)

    def _followed(self, routes: list[Route]) -> list[Route]:
        """Routes to sample windows along: all while no barrier is known; then those close to the best, as many as are to be sampled at
        least, and those of a class that nothing is known of yet."""
        rounds = self.settings.rounds
        best = min((r for r in routes if r.geodesic), key=lambda r: r.rank, default=None)
        if best is None:
            return routes
        return [
            r
            for rank, r in enumerate(routes)
            if self._close(r, best)
            or rank < rounds.routes
            or r.winding not in self.pools
            or (self.avoidance.regions and r.geodesic is None)
        ]

    def _close(self, route: Route, best: Route) -> bool:
        """Whether the barrier of a route is close to the best one's. A route through a forbidden region is not, if the best keeps out."""
        return route.barrier <= best.barrier + self.settings.rounds.route_margin_kT and (best.crosses or not route.crosses)

    def _explored(self, routes: list[Route], best: Route) -> bool:
        """Whether more rounds would not help against forbidden regions: the best route keeps away or cannot, and its rivals are known."""
        if not self.avoidance.regions:
            return True
        return (best.lack == 0.0 or best.crosses) and all(r.rounds > 1 for r in self._followed(routes))

    def _best(self, routes: list[Route]) -> Route:
        """The lowest rank among routes that windows were sampled along."""
        return min((r for r in routes if r.rounds), key=lambda r: r.rank)

    def _sample(self, count: int, routes: list[Route]) -> list[Route]:
        """The routes, with windows sampled and weighted along those that are followed, all at once."""
        plan, seed = self.settings.windows, self.settings.seed
        followed = self._followed(routes)
        etas = [plan.stiffness * pick(route.eta, min(self.count, len(route.eta))) for route in followed]
        named: list[tuple[str, Walk]] = []
        for route, eta in zip(followed, etas, strict=True):
            name = f"round{count}_{route.name}"
            walks = window_walks(
                self.coordinates, eta, WindowPlan(plan.steps, plan.discard, plan.stride), start=self._last[0], end=self._last[1],
                seeds=(seed_of(seed, name, 0), seed_of(seed, name, 1)),
            )  # fmt: skip
            named += [(f"{name}_{way}", walk) for way, walk in zip(("forward", "backward"), walks, strict=True)]
        frames = self.store.run(named, self.workers, self.progress, f"round {count}: windows, routes followed: {len(followed)}")
        self.window_evaluations += sum(f.evaluations for f in frames)
        measured = {}
        for index, (route, eta) in enumerate(zip(followed, etas, strict=True)):
            windows = gather(self.coordinates, eta, frames[2 * index], frames[2 * index + 1])
            self._take(route, count, windows)
            lowest = float(windows.overlap.min())
            self.window_rounds.append((count, route.name, lowest, windows.disagreement))
            self.progress.say(
                f"  {route.name}: overlap of neighbours >= {lowest:.2f}, both directions differ by {windows.disagreement:.1f} kT"
            )
            measured[route.name] = replace(
                route, rounds=route.rounds + 1, disagreement=windows.disagreement, lowest_overlap=lowest
            )  # fmt: skip
        for kind in {route.winding for route in followed}:
            self.weights[kind] = self.pools[kind].weights()
        return [measured.get(route.name, route) for route in routes]

    def _take(self, route: Route, count: int, windows: Windows) -> None:
        """Put the windows into the pool of the route's class. Those whose two directions disagree are no equilibrium: they are taken only
        while there are no others, and leave when there are."""
        kind, sound = route.winding, windows.disagreement <= DISAGREEMENT
        self.latest[route.name] = windows
        if kind not in self.pools or (kind not in self._sound):
            self.pools[kind], self.window_sets[kind] = self._ends.copy(), []
        if sound or kind not in self._sound:
            self.pools[kind].add(windows)
            self.window_sets[kind].append((count, route.name))
        if sound:
            self._sound.add(kind)

    def _through_minima(self, most: int) -> list[Route]:
        """Routes through minima that sampled frames fall into, the lowest first."""
        if most < 1:
            return []
        potential = Potential(self.prepared.model)
        here, there = self.prepared.ends
        known = [here, there]
        frames = np.concatenate([np.concatenate(pool.positions) for pool in self.pools.values()])
        chosen = frames[np.linspace(0, len(frames) - 1, self.settings.rounds.quenches).astype(int)]
        minima = [quench(potential, x, tolerance=QUENCH_TOLERANCE) for x in chosen]
        self.window_evaluations += potential.evaluations
        found = []
        for minimum in sorted(minima, key=lambda m: m.energy):
            values = self.coordinates.values(minimum.positions)
            if all(self.coordinates.changed(k, values) for k in known):
                known.append(values)
                found.append(routing.through(self.coordinates, here, values, there, self._precisions()))
        return routing.numbered(found[:most])

    def _past_regions(self, routes: list[Route]) -> list[Route]:
        """Detours of the routes that enter a forbidden region, best barrier first, half as many as there may be initial curves."""
        precision = self._precisions()
        entering = sorted((r for r in routes if r.lack), key=lambda r: r.barrier)
        found = [d for r in entering for d in detours(r, self.avoidance.regions, precision, self.coordinates)]
        return routing.numbered(found)[: max(self.settings.rounds.max_routes // 2, 1)]

    def _held_back(self, route: Route) -> bool:
        """Whether the edge of the sampled region holds the curve back: its penalty acts, and more windows would let the curve move on."""
        assert route.geodesic is not None
        return float(route.geodesic.effective_samples.min()) < SAFETY * self.settings.geodesic.min_effective_samples

    def _set_floor(self, best: Route) -> bool:
        """Move the floor of the next round where the best route's windows ask for it; True when it stays.

        Windows that disagree between the two directions hold several basins at once: narrower noise tells them apart, and more windows
        keep the overlap.
        """
        plan, g = self.settings.windows, self.settings.geodesic
        if best.unsettled and self.floor < g.highest_floor:
            factor = min(RAISED if best.disagreement > HOPELESS else 2.0, g.highest_floor / self.floor)
            self.floor *= factor
            self.count = round(factor**0.5 * self.count) if best.lowest_overlap < PLENTY else self.count
            self.progress.say(
                f"  windows walked from A and from B differ by {best.disagreement:.1f} kT on {best.name}: the noise floor rises to "
                f"{self.floor:.0f}, which tells basins apart that one window held"
            )
        elif best.lowest_overlap < plan.min_overlap and self.floor > g.floor:
            self.count = round(2.0**0.5 * self.count)
        elif best.lowest_overlap < plan.min_overlap:
            self.floor /= FLOOR_STEP
        elif best.lowest_overlap > plan.max_overlap and FLOOR_STEP * self.floor <= g.highest_floor:
            self.floor *= FLOOR_STEP
        else:
            return True
        return False

    def _optimise(self, route: Route) -> list[Route]:
        """The route with its geodesic under its class's denoiser; a route of a class without windows stays as it is.

        Where the optimiser turned the curve into another class, the route keeps what it had, and the turned curve is a route of its own.
        """
        if route.winding not in self.pools:
            return [route]
        denoiser = self.denoiser(route.winding)
        start = torch.from_numpy(routing.at_precision(self.family, routing.centers(route.eta, self.family), self._precisions()))
        if route.unsettled:  # samples that are no equilibrium lead nowhere
            stays = evaluate(start, denoiser, family=self.family, points=self.settings.geodesic.points)
            return [self._placed(replace(route, eta=stays.eta.numpy(), geodesic=stays), denoiser)]
        found = self.optimiser.geodesic(start, denoiser, floor=self.floor, first=route.geodesic is None)
        if routing.class_of(found.eta.numpy(), self.family) == route.winding:
            found = self.optimiser.trusted(start, found, denoiser)
            return [self._placed(replace(route, eta=found.eta.numpy(), geodesic=found), denoiser)]
        turned = routing.reclassed(route, found.eta.numpy(), self.family)
        self.progress.say(f"  {route.name} left its class: the optimiser turned it into {turned.name}")
        stays = route.geodesic or evaluate(start, denoiser, family=self.family, points=self.settings.geodesic.points)
        return [self._placed(replace(route, geodesic=stays), denoiser), turned]

    def _placed(self, route: Route, denoiser: WeightedSamples) -> Route:
        """The route with how near it comes to the forbidden regions."""
        return replace(route, nearness=self.avoidance.nearness(route.eta, denoiser))


def _last_inside(positions: np.ndarray, state: State) -> np.ndarray:
    """The last of positions (F, atoms, 3) that is in a state, in double."""
    inside = np.flatnonzero(state.contains(positions))
    if not len(inside):
        raise SpacetimeError("plain MD left its state at once: the structure is no minimum of this state, or the state is too narrow")
    return positions[inside[-1]].astype(float)


def _describe(count: int, best: Route, floor: float) -> str:
    assert best.geodesic is not None
    return (
        f"round {count}: best route {best.name}, length {best.length:.2f}, barrier {best.barrier:.2f} kT, effective samples >= "
        f"{float(best.geodesic.effective_samples.min()):.0f}, largest segment {float(best.geodesic.segment.max()):.3f}, "
        f"kappa floor {floor:.1f}"
    )
