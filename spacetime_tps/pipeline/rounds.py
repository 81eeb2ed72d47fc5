"""Second stage: windows, weights, denoiser and geodesic, repeated until the best curve stays."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from spacetime_tps.baselines.steered import shortest_change
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families import VonMises
from spacetime_tps.geometry.geodesic import minimise
from spacetime_tps.geometry.penalties import Barrier, EffectiveSamples, LowVariance, Penalty
from spacetime_tps.molecules.dynamics import Frames, Walk
from spacetime_tps.molecules.preparation import Potential
from spacetime_tps.molecules.preparation import minimise as quench
from spacetime_tps.molecules.workers import Workers, seed_of
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.routes import Route
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.store import WalkStore
from spacetime_tps.sampling.free_energy import Weights
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.thermal import thermal_maxima
from spacetime_tps.sampling.windows import WindowPlan, gather, pick, window_walks

QUENCH_TOLERANCE = 20.0
"""kJ/mol/nm: enough to tell which basin a frame falls into"""
FLOOR_STEP = 2.0**0.5
SAFETY = 2.0
"""The penalty on effective samples is soft: it acts from twice the wanted number on"""

Class = tuple[int, ...]


@dataclass(frozen=True)
class Sampled:
    """What the rounds leave behind."""

    routes: list[Route]
    """All routes: those along which windows were sampled first, best barrier first"""
    pools: dict[Class, Pool]
    weights: dict[Class, Weights]
    floor: float
    """Concentration that the measured overlap led to"""
    lengths: list[float]
    """of the best curve after each round"""
    thermal: np.ndarray
    """Highest energies (kJ/mol, absolute) of equilibrium stretches in A as long as a path"""
    training_evaluations: int
    window_evaluations: int
    window_rounds: list[tuple[int, str, float, float]]
    """(round, route, lowest overlap, disagreement in kT) of each set of windows"""
    window_sets: dict[Class, list[tuple[int, str]]]
    """(round, route) of the sets in each pool, in their order there"""


class Rounds:
    """The loop and its state: routes, pools and the noise floor."""

    def __init__(self, prepared: Prepared, settings: Settings, workers: Workers, folder: Path, progress: Progress):
        self.prepared, self.settings, self.workers, self.progress = prepared, settings, workers, progress
        self.family = VonMises(len(prepared.torsions.atoms))
        self.store = WalkStore(folder / "samples")
        self.floor = settings.geodesic.floor
        self.pools: dict[Class, Pool] = {}
        self.weights: dict[Class, Weights] = {}
        self.window_evaluations = 0
        self.window_rounds: list[tuple[int, str, float, float]] = []
        self.window_sets: dict[Class, list[tuple[int, str]]] = {}

    def run(self) -> Sampled:
        in_a, in_b = self._training()
        self._ends = Pool.of_ends(self.prepared.torsions, self.prepared.b, in_a, in_b, every=self.settings.training.pool_stride)
        self._last = (in_a[0].positions[-1].astype(float), in_b[0].positions[-1].astype(float))
        here, there = self.prepared.end_angles
        self._end_frames = tuple(np.concatenate([f.positions for f in frames]) for frames in (in_a, in_b))
        limit = self.settings.rounds.max_routes
        routes = routing.straight_routes(self.prepared.torsions.names, here, there, self._levels(), limit)
        lengths: list[float] = []
        for count in range(1, self.settings.rounds.max_rounds + 1):
            followed = self._followed(routes)
            for route in followed:
                measured = self._sample(count, route)
                routes = [measured if r is route else r for r in routes]
            if count == 1:
                routes += self._through_minima(limit - len(routes))
            routes = routing.distinct([self._optimise(r) for r in routes])
            best = self._best(routes)
            settled = count == 1 or self._set_floor(best)  # windows are at constant speed from the second round on
            lengths.append(best.geodesic.length if best.geodesic else float("nan"))
            self.progress.say(_describe(count, best, self.floor))
            still = len(lengths) > 1 and abs(lengths[-1] / lengths[-2] - 1.0) < self.settings.rounds.length_tolerance
            free = (
                best.geodesic is not None
                and float(best.geodesic.effective_samples.min()) > 2 * self.settings.geodesic.min_effective_samples
            )
            if count >= self.settings.rounds.min_rounds and settled and still and free and best.rounds > 1:
                break
        self.store.sweep()
        best = self._best(routes)
        return Sampled(
            routes=sorted(routes, key=lambda r: (r.rounds == 0, r.barrier)),
            pools=self.pools, weights=self.weights, floor=self.floor, lengths=lengths,
            thermal=thermal_maxima(in_a, self.settings.path_frames),
            training_evaluations=sum(f.evaluations for f in (*in_a, *in_b)),
            window_evaluations=self.window_evaluations, window_rounds=self.window_rounds,
            window_sets=self.window_sets,
        )  # fmt: skip

    def denoiser(self, kind: Class) -> WeightedSamples:
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
                    eta=np.zeros((1, self.family.dimension)),
                    steps=training.equilibration_steps + segments * self.settings.path_frames * stride,
                    stride=stride, seed=seed_of(self.settings.seed, f"md_{end}", index),
                    positions=structure.positions, discard=max(training.equilibration_steps, stride),
                )))  # fmt: skip
        frames = self.store.run(named, self.workers, self.progress, "MD in both ends")
        if not all(f.stable for f in frames):
            raise SpacetimeError("plain MD is unstable: use a smaller dynamics.timestep_fs")
        return frames[: training.walks], frames[training.walks :]

    def _levels(self) -> np.ndarray:
        """Concentrations (points, n) of an initial curve under the present floor."""
        ends = zip(self.prepared.end_angles, self._end_frames, (self.prepared.a, self.prepared.b), strict=True)
        first, last = (
            routing.end_level(self.family, center, self.prepared.torsions.statistic(frames), state.contains(frames), self.floor)
            for center, frames, state in ends
        )
        return routing.levels(self.floor, first, last, self.settings.geodesic.points)

    def _followed(self, routes: list[Route]) -> list[Route]:
        """Routes whose barrier is close to the best one's, at least as many as are to be sampled; all of them while none is known."""
        rounds = self.settings.rounds
        lowest = min(r.barrier for r in routes)
        if not np.isfinite(lowest):
            return routes
        return [r for i, r in enumerate(routes) if r.barrier <= lowest + rounds.route_margin_kT or i < rounds.routes]

    def _best(self, routes: list[Route]) -> Route:
        """The lowest barrier among routes that windows were sampled along."""
        return min((r for r in routes if r.rounds), key=lambda r: r.barrier)

    def _sample(self, count: int, route: Route) -> Route:
        plan = self.settings.windows
        eta = plan.stiffness * pick(route.eta, plan.count)
        name = f"round{count}_{route.name}"
        seed = self.settings.seed
        walks = window_walks(
            eta, WindowPlan(plan.steps, plan.discard, plan.stride), start=self._last[0], end=self._last[1],
            seeds=(seed_of(seed, name, 0), seed_of(seed, name, 1)),
        )  # fmt: skip
        named = [(f"{name}_{way}", walk) for way, walk in zip(("forward", "backward"), walks, strict=True)]
        frames = self.store.run(named, self.workers, self.progress, f"round {count}: windows {route.name}")
        self.window_evaluations += sum(f.evaluations for f in frames)
        if not all(f.stable for f in frames):
            raise SpacetimeError(f"the windows of route {route.name} are unstable: use a smaller dynamics.timestep_fs or geodesic.floor")
        windows = gather(self.prepared.torsions, eta, *frames)
        self.pools.setdefault(route.winding, self._ends.copy()).add(windows)
        self.window_sets.setdefault(route.winding, []).append((count, route.name))
        self.weights[route.winding] = self.pools[route.winding].weights()
        lowest = float(windows.overlap.min())
        self.window_rounds.append((count, route.name, lowest, windows.disagreement))
        return replace(route, rounds=route.rounds + 1, disagreement=windows.disagreement, lowest_overlap=lowest)

    def _through_minima(self, most: int) -> list[Route]:
        """Routes through minima that sampled frames fall into, the lowest first."""
        potential = Potential(self.prepared.model)
        torsions = self.prepared.torsions
        here, there = self.prepared.end_angles
        known = [here, there]
        frames = np.concatenate([np.concatenate(pool.positions) for pool in self.pools.values()])
        chosen = frames[np.linspace(0, len(frames) - 1, self.settings.rounds.quenches).astype(int)]
        minima = [quench(potential, x, tolerance=QUENCH_TOLERANCE) for x in chosen]
        self.window_evaluations += potential.evaluations
        found = []
        for minimum in sorted(minima, key=lambda m: m.energy):
            angles = torsions.angles(minimum.positions)
            if all(np.abs(shortest_change(k, angles)).max() > routing.CHANGED for k in known):
                known.append(angles)
                found.append(routing.through(torsions.names, here, angles, there, self._levels()))
        return found[: max(most, 0)]

    def _held_back(self, route: Route) -> bool:
        """Whether the edge of the sampled region holds the curve back: its penalty acts, and more windows would let the curve move on."""
        assert route.geodesic is not None
        return float(route.geodesic.effective_samples.min()) < SAFETY * self.settings.geodesic.min_effective_samples

    def _set_floor(self, best: Route) -> bool:
        """Move the floor of the next round where the overlap of the best route's windows asks for it; True when it stays."""
        plan = self.settings.windows
        if best.lowest_overlap < plan.min_overlap:
            self.floor /= FLOOR_STEP
        elif best.lowest_overlap > plan.max_overlap:
            self.floor *= FLOOR_STEP
        else:
            return True
        return False

    def _penalties(self) -> list[Penalty]:
        g = self.settings.geodesic
        floor = torch.full((self.family.torsions,), self.floor, dtype=torch.double)
        return [
            LowVariance(self.family, floor, weight=g.low_variance_weight),
            Barrier(weight=g.barrier_weight, sharpness=g.barrier_sharpness),
            EffectiveSamples(floor=SAFETY * g.min_effective_samples, weight=g.effective_samples_weight),
        ]

    def _optimise(self, route: Route) -> Route:
        """The route's geodesic under its class's denoiser; a route of a class without windows stays as it is."""
        if route.winding not in self.pools:
            return route
        g = self.settings.geodesic
        center = torch.from_numpy(routing.unwrapped(route.eta))
        start = self.family.natural(center, torch.from_numpy(self._levels()))
        found = minimise(start, self.denoiser(route.winding), self._penalties(), nodes=g.nodes, points=g.points, evaluations=g.evaluations)
        return routing.optimised(route, found)


def _describe(count: int, best: Route, floor: float) -> str:
    assert best.geodesic is not None
    g = best.geodesic
    return (
        f"round {count}: best route {best.name}, length {g.length:.2f}, barrier {g.barrier:.2f} kT, effective samples >= "
        f"{float(g.effective_samples.min()):.0f}, overlap >= {best.lowest_overlap:.2f}, forward/backward differ by "
        f"{best.disagreement:.2f} kT, kappa floor {floor:.1f}"
    )
