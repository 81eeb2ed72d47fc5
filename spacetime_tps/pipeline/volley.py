"""How one batch of the unbiased stage is made: walks in a window, points on them, shots from the points, files of the reactive ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spacetime_tps.molecules.dynamics import Frames, Walk
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.molecules.paths import part
from spacetime_tps.molecules.shooting import IN_A, IN_B, NOWHERE, Outcome, Shot
from spacetime_tps.molecules.workers import Workers, seed_of
from spacetime_tps.pipeline.batches import Batch
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Silent
from spacetime_tps.pipeline.routes import way_of
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.store import WalkStore
from spacetime_tps.pipeline.transitions import write_path
from spacetime_tps.sampling.crossing import Window, shift
from spacetime_tps.sampling.link import Sampled

STAGE = "unbiased"
PILOT_SHOTS = 6
"""From each walk, in a window that is being tried"""
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


class Volley:
    """Makes batches in a run folder."""

    def __init__(self, prepared: Prepared, settings: Settings, workers: Workers, folder: Path):
        self.prepared, self.settings, self.workers, self.folder = prepared, settings, workers, folder
        self.options, self.stride = settings.unbiased, settings.guided.stride
        self.store = WalkStore(folder / "samples/region")
        self.integrity = Integrity.of(prepared.start)

    @property
    def pilot_points(self) -> int:
        """On each walk of a pilot."""
        return max(PILOT_SHOTS // self.options.shots, 1)

    def fire(
        self, crossing: int, number: int, window: Window, starts: Sequence[Start], *, pilot: bool, discard: int, onward: float
    ) -> Batch:
        """Batch `number` of a crossing: one walk from each start, points on each after `discard` steps, the shots from them.

        A pilot has PILOT_SHOTS shots a walk, spread over points as later batches do.

        onward: +1 where B lies at larger angles of the window's torsion, -1 where at smaller.
        """
        points = self.pilot_points if pilot else self.options.points
        name = f"{crossing}_{number:04d}"
        eta = window.eta(len(self.prepared.torsions.atoms))[None]
        steps = discard + points * self.options.gap
        walks = [self._walk(eta, steps, start, seed_of(self.settings.seed, f"region_{name}", k), discard) for k, start in enumerate(starts)]
        walked = self.store.run([(f"{name}_{k}", w) for k, w in enumerate(walks)], self.workers, Silent(), "")
        every = self.options.gap // self.stride
        chosen = [
            _Point(k, frame, frames.positions[frame].astype(float), frames.velocities[frame].astype(float))
            for k, frames in enumerate(walked)
            for frame in range(len(frames) - 1 - (points - 1) * every, len(frames), every)
        ]
        whole = [p for p in chosen if self.integrity.holds(p.positions[None]).all()]
        shot_from = [p for p in whole for _ in range(self.options.shots)]
        seeds = [seed_of(self.settings.seed, f"shot_{name}", index) for index in range(len(shot_from))]
        first = [first_frame(seed, stride=self.stride, spacing=self.options.spacing) for seed in seeds]
        outcomes = self._outcomes(eta[0], shot_from, seeds, first)
        kept = [k for k, o in enumerate(outcomes) if o.path is not None and self.integrity.holds(o.path.positions).all()]
        lost = sum(o.path is not None for o in outcomes) - len(kept)
        statistic, in_a, walk = self.seen(walked)
        return Batch(
            crossing=crossing, pilot=pilot, torsion=window.torsion, center=window.center, stiffness=window.stiffness,
            statistic=statistic, in_a=in_a, walk=walk, onward=shift(statistic, window) * onward > 0.0,
            walk_evaluations=sum(f.evaluations for f in walked), broken=self.options.shots * (len(chosen) - len(whole)) + lost,
            point_walk=_integers(p.walk for p in whole), point_frame=_integers(p.frame for p in whole),
            point_statistic=self.prepared.torsions.statistic(np.array([p.positions for p in whole]).reshape(-1, *starts[0][0].shape)),
            shot_point=np.repeat(np.arange(len(whole)), self.options.shots),
            shot_seed=_integers(seeds), shot_first=_integers(first),
            shot_forward=_integers(o.ends[0] for o in outcomes), shot_backward=_integers(o.ends[1] for o in outcomes),
            shot_evaluations=_integers(o.evaluations for o in outcomes), shot_stable=np.array([o.stable for o in outcomes], dtype=bool),
            **self._paths(name, outcomes, kept),
        )  # fmt: skip

    def ladder(self, crossing: int, windows: Sequence[Window], top: Sequence[Start], bottom: Sequence[Start]) -> tuple[list[Sampled], int]:
        """Walks down a ladder of windows from starts at its top, and up from starts in A; the frames of each window, the one nearest to A
        first, and the evaluations. Walks both ways lag to both sides."""
        torsions, steps = len(self.prepared.torsions.atoms), self.options.rung_steps
        eta = np.array([w.eta(torsions) for w in windows])
        discard = steps // 3 // self.stride * self.stride
        named = []
        for k, start in enumerate((*top, *bottom)):
            seed = seed_of(self.settings.seed, f"ladder_{crossing}", k)
            named.append((f"{crossing}_ladder_{k}", self._walk(eta if k < len(top) else eta[::-1], steps, start, seed, discard)))
        walked = self.store.run(named, self.workers, Silent(), "")
        turned = [f if k < len(top) else replace(f, point=len(eta) - 1 - f.point) for k, f in enumerate(walked)]
        found = [Sampled(eta[k], *self.seen([_of_point(f, k) for f in turned])) for k in range(len(windows))]
        return found[::-1], sum(f.evaluations for f in walked)

    def _walk(self, eta: np.ndarray, steps: int, start: Start, seed: int, discard: int) -> Walk:
        """Walks only have to find their distribution: more friction than the dynamics have lets go of heat sooner."""
        return Walk(eta, steps, self.stride, seed, *start, discard=discard, friction=self.options.walk_friction_per_ps)

    def ends(self, crossing: int, number: int) -> list[Start]:
        """Where the walks of a batch ended: their last frames in which the molecule was whole."""
        names = [f"{crossing}_{number:04d}_{k}" for k in range(self.options.walkers)]
        found = []
        for frames in self.store.stored(names):
            whole = np.flatnonzero(self.integrity.holds(frames.positions))
            last = int(whole[-1]) if len(whole) else 0
            found.append((frames.positions[last].astype(float), frames.velocities[last].astype(float)))
        return found

    def _outcomes(self, eta: np.ndarray, points: Sequence[_Point], seeds: Sequence[int], first: Sequence[int]) -> list[Outcome]:
        """What becomes of each shot; one from a point in a state ends there both ways, at no cost."""
        a, b, o = self.prepared.a, self.prepared.b, self.options
        state = [IN_A if a.contains(p.positions) else IN_B if b.contains(p.positions) else NOWHERE for p in points]
        tasks = [
            Shot(p.positions, p.velocities, eta, seed, f, self.stride, o.spacing, o.longest, a, b)
            for p, seed, f, inside in zip(points, seeds, first, state, strict=True)
            if inside == NOWHERE
        ]
        rest = self.workers.shots(tasks)
        return [next(rest) if inside == NOWHERE else Outcome((inside, inside), 0, True, None, None) for inside in state]

    def seen(self, walks: Sequence[Frames]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of all frames of whole molecules: T (F, E), whether in A (F,), and the walk they are from (F,)."""
        frames = np.concatenate([f.positions for f in walks])
        walk = np.repeat(np.arange(len(walks)), [len(f) for f in walks])
        whole = self.integrity.holds(frames)
        return self.prepared.torsions.statistic(frames[whole]), self.prepared.a.contains(frames[whole]), walk[whole]

    def _paths(self, name: str, outcomes: Sequence[Outcome], kept: Sequence[int]) -> dict[str, np.ndarray]:
        """Write the reactive paths `kept`; the batch's columns that describe them."""
        names, files, ways, highest, lengths, statistics = [], [], [], [], [], []
        for k in kept:
            path, statistic = outcomes[k].path, outcomes[k].statistic
            assert path is not None
            assert statistic is not None
            names.append(f"{STAGE}_{name}_{k:04d}")
            file, energy = write_path(self.folder, self.prepared, names[-1], path)
            files.append(file)
            highest.append(energy)
            lengths.append(len(path))
            ways.append(way_of(self.prepared.torsions.names, self.prepared.torsions.angles(path.positions), *self.prepared.end_angles))
            statistics.append(statistic)
        return {
            "path_shot": _integers(kept), "path_name": np.array(names, dtype=str), "path_file": np.array(files, dtype=str),
            "path_way": np.array(ways, dtype=str), "path_max_energy": np.array(highest, dtype=float), "path_frames": _integers(lengths),
            "path_points": _integers(len(s) for s in statistics),
            "points": np.concatenate([np.zeros((0, self.prepared.torsions.dimension)), *statistics]),
        }  # fmt: skip


def first_frame(seed: int, *, stride: int, spacing: int) -> int:
    """A shot's first stored frame (molecules.shooting.Shot.first): even over the multiples of `spacing` up to `stride`."""
    return spacing * (1 + seed // 2 % (stride // spacing))  # seed_of's numbers are odd: seed % 4 would be 1 or 3


def _of_point(frames: Frames, point: int) -> Frames:
    """The frames of a walk that were made under one of its points."""
    which = np.flatnonzero(frames.point == point)
    return part(frames, slice(int(which[0]), int(which[-1]) + 1))


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=int)
