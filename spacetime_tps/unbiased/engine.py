"""Shooting batches in OpenMM: walks in a window, points on them, and shots from the points."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.engines.openmm.shooting import Outcome, Shot
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.paths.transition import keep_path
from spacetime_tps.problems.problem import Problem
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.states.ends import NOWHERE
from spacetime_tps.states.transitions import places
from spacetime_tps.trajectories.frames import Frames, part
from spacetime_tps.unbiased.names import batch_name, every_batch, ladder_name, path_name, walk_name
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.windows.window import Window

REGION, SHOTS = "samples/region", "samples/shots"
"""Where walks in windows and batches are kept"""
Start = tuple[np.ndarray, np.ndarray]
"""Positions and velocities (atoms, 3)"""


@dataclass(frozen=True)
class _Point:
    """A place to shoot from."""

    walk: int
    frame: int
    """Index in the walk's trajectory"""
    positions: np.ndarray
    velocities: np.ndarray


class OpenMMShooting:
    """The ShootingEngine of a molecule. Walks, batches and reactive paths go to the simulation's storage, each as soon as it is done."""

    def __init__(self, problem: Problem, simulation: Simulation, settings: UnbiasedSettings, *, seed: int):
        self.problem, self.simulation, self.settings, self.seed = problem, simulation, settings, seed
        self.integrity = problem.integrity

    def done(self, site: int) -> list[Batch]:
        """Those in the storage."""
        storage = self.simulation.storage
        return [Batch.of_arrays(storage.arrays(name)) for name in storage.names(f"{SHOTS}/{every_batch(site)}.npz")]

    def batch(
        self, site: int, number: int, window: Window, starts: Sequence[Start], *, points: int, pilot: bool, discard: int, onward: float
    ) -> Batch:
        """As ShootingEngine.batch. Points and paths in which the molecule is no longer what it was are left out, and counted."""
        name = batch_name(site, number)
        steps = discard + points * self.settings.gap
        walks = [self._walk([window], steps, start, seed_of(self.seed, f"region_{name}", k), discard) for k, start in enumerate(starts)]
        walked = self.simulation.cached_walks(REGION, [(walk_name(name, k), w) for k, w in enumerate(walks)])
        every = self.settings.gap // self.settings.stride
        chosen = [
            _Point(k, frame, frames.positions[frame].astype(float), frames.velocities[frame].astype(float))
            for k, frames in enumerate(walked)
            for frame in range(len(frames) - 1 - (points - 1) * every, len(frames), every)
        ]
        whole = [p for p in chosen if self.integrity.holds(p.positions[None]).all()]
        fired_from = [p for p in whole for _ in range(self.settings.shots)]
        seeds = [seed_of(self.seed, f"shot_{name}", index) for index in range(len(fired_from))]
        first = [first_frame(seed, self.settings) for seed in seeds]
        outcomes = self._outcomes(window, fired_from, seeds)
        kept = [k for k, o in enumerate(outcomes) if o.path is not None and self.problem.whole(o.path.positions)]
        lost = sum(o.path is not None for o in outcomes) - len(kept)
        features, in_a, walk = self.seen(walked)
        batch = Batch(
            crossing=site, pilot=pilot, variable=json.dumps(window.variable.to_json()),
            center=window.center, stiffness=window.stiffness,
            features=features, in_a=in_a, walk=walk, ahead=window.shift(features) * onward > 0.0,
            walk_evaluations=sum(f.evaluations for f in walked), broken=self.settings.shots * (len(chosen) - len(whole)) + lost,
            point_walk=_integers(p.walk for p in whole), point_frame=_integers(p.frame for p in whole),
            point_features=self.problem.coordinates.features(np.array([p.positions for p in whole]).reshape(-1, *starts[0][0].shape)),
            shot_point=np.repeat(np.arange(len(whole)), self.settings.shots),
            shot_seed=_integers(seeds), shot_first=_integers(first),
            shot_forward=_integers(o.ends[0] for o in outcomes), shot_backward=_integers(o.ends[1] for o in outcomes),
            shot_evaluations=_integers(o.evaluations for o in outcomes), shot_stable=np.array([o.stable for o in outcomes], dtype=bool),
            **self._paths(name, outcomes, kept),
        )  # fmt: skip
        self.simulation.storage.put_arrays(f"{SHOTS}/{name}.npz", batch.to_arrays())
        return batch

    def ladder(
        self, site: int, windows: Sequence[Window], top: Sequence[Start], bottom: Sequence[Start]
    ) -> tuple[list[EnsembleFrames], int]:
        """As ShootingEngine.ladder."""
        steps = self.settings.rung_steps
        discard = self.settings.rung_discard // self.settings.stride * self.settings.stride
        named = []
        for k, start in enumerate((*top, *bottom)):
            seed = seed_of(self.seed, f"ladder_{site}", k)
            named.append((ladder_name(site, k), self._walk(windows if k < len(top) else windows[::-1], steps, start, seed, discard)))
        walked = self.simulation.cached_walks(REGION, named)
        downward = [f if k < len(top) else replace(f, point=len(windows) - 1 - f.point) for k, f in enumerate(walked)]
        found = [EnsembleFrames(windows[k].log_factor, *self.seen([_of_point(f, k) for f in downward])) for k in range(len(windows))]
        return found[::-1], sum(f.evaluations for f in walked)

    def _walk(self, windows: Sequence[Window], steps: int, start: Start, seed: int, discard: int) -> Walk:
        """Walks only have to find their distribution: more friction than the dynamics have lets go of heat sooner."""
        bias = WindowBias(self.problem.coordinates, windows[0].variable)
        places = np.array([w.parameters for w in windows])
        return Walk(bias, places, steps, self.settings.stride, seed, *start, discard=discard, friction=self.settings.walk_friction_per_ps)

    def ends(self, site: int, number: int) -> list[Start]:
        """Where the walks of a batch ended: their last frames in which the molecule was whole."""
        names = [walk_name(batch_name(site, number), k) for k in range(self.settings.walkers)]
        found = []
        for frames in (self.simulation.cache(REGION).stored(name) for name in names):
            whole = np.flatnonzero(self.integrity.holds(frames.positions))
            last = int(whole[-1]) if len(whole) else 0
            found.append((frames.positions[last].astype(float), frames.velocities[last].astype(float)))
        return found

    def _outcomes(self, window: Window, points: Sequence[_Point], seeds: Sequence[int]) -> list[Outcome]:
        """What becomes of each shot; one from a point in a state ends there both ways, at no cost."""
        state = [int(places(p.positions, self.problem.a, self.problem.b)) for p in points]
        tasks = [
            shot_from(self.problem, self.settings, window, p.positions, p.velocities, seed)
            for p, seed, inside in zip(points, seeds, state, strict=True)
            if inside == NOWHERE
        ]
        rest = self.simulation.shots(tasks)
        return [next(rest) if inside == NOWHERE else Outcome((inside, inside), 0, True, None, None) for inside in state]

    def seen(self, walks: Sequence[Frames]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of all frames of whole molecules: T (F, E), whether in A (F,), and the walk they are from (F,)."""
        frames = np.concatenate([f.positions for f in walks])
        walk = np.repeat(np.arange(len(walks)), [len(f) for f in walks])
        whole = self.integrity.holds(frames)
        return self.problem.coordinates.features(frames[whole]), self.problem.a.contains(frames[whole]), walk[whole]

    def _paths(self, name: str, outcomes: Sequence[Outcome], kept: Sequence[int]) -> dict[str, np.ndarray]:
        """Write the reactive paths `kept`; the batch's columns that describe them."""
        names, ways, highest, lengths, points = [], [], [], [], []
        for k in kept:
            path, features = outcomes[k].path, outcomes[k].features
            assert path is not None
            assert features is not None
            names.append(path_name(name, k))
            _, energy = keep_path(self.simulation.storage, self.problem, names[-1], path)
            highest.append(energy)
            lengths.append(len(path))
            ways.append(self.problem.way_of(path.positions))
            points.append(features)
        return {
            "path_shot": _integers(kept), "path_name": np.array(names, dtype=str),
            "path_way": np.array(ways, dtype=str), "path_max_energy": np.array(highest, dtype=float), "path_frames": _integers(lengths),
            "path_points": _integers(len(s) for s in points),
            "points": np.concatenate([np.zeros((0, self.problem.coordinates.dimension)), *points]),
        }  # fmt: skip


def shot_from(
    problem: Problem, settings: UnbiasedSettings, window: Window, positions: np.ndarray, velocities: np.ndarray, seed: int
) -> Shot:
    """A shot from a point (atoms, 3) of a walk in a window, nm and nm/ps."""
    return Shot(
        positions, velocities, WindowBias(problem.coordinates, window.variable), window.parameters, seed, first_frame(seed, settings),
        settings.stride, settings.spacing, settings.longest, problem.a, problem.b, problem.coordinates,
    )  # fmt: skip


def first_frame(seed: int, settings: UnbiasedSettings) -> int:
    """A shot's first stored frame (engines.openmm.shooting.Shot.first): even over the multiples of `spacing` up to `stride`."""
    return settings.spacing * (1 + seed // 2 % (settings.stride // settings.spacing))  # seeds are odd (seed_of)


def _of_point(frames: Frames, point: int) -> Frames:
    """The frames of a walk that were made under one of its points."""
    which = np.flatnonzero(frames.point == point)
    return part(frames, slice(int(which[0]), int(which[-1]) + 1))


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=int)
