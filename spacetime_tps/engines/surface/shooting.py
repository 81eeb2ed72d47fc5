"""Shooting batches on a surface: the ShootingEngine of overdamped motion, all shots at once."""

import json
from collections.abc import Sequence

import numpy as np
import torch

from spacetime_tps.engines.surface.dynamics import Overdamped, Shots, shoot
from spacetime_tps.engines.surface.walking import walk
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.window import Window

STORED = 5
"""Steps of a walk from one frame that free energies are found from to the next"""


class SurfaceShooting:
    """Walks, batches and paths are kept in memory. A start is a point (D,); a path can have been shot from each of its steps."""

    def __init__(self, dynamics: Overdamped, family: Family, a: Discs, b: Discs, settings: ShootingSettings, *, seed: int, longest: int):
        """longest: steps of each trajectory of a shot, at most."""
        self.dynamics, self.family, self.a, self.b, self.longest = dynamics, family, a, b, longest
        self.gap, self.shots, self.rung_steps, self.seed = settings.gap, settings.shots, settings.rung_steps, seed
        self.rung_discard = settings.rung_discard
        self.paths: dict[str, np.ndarray] = {}
        """(F, D) of each reactive path, by the names in the batches: from its last step in A to its first in B"""
        self._batches: dict[int, list[Batch]] = {}
        self._ends: dict[tuple[int, int], np.ndarray] = {}

    def done(self, site: int) -> list[Batch]:
        """Those that this engine made."""
        return [*self._batches.get(site, [])]

    def batch(
        self, site: int, number: int, window: Window, starts: Sequence[np.ndarray], *, points: int, pilot: bool, discard: int, onward: float
    ) -> Batch:
        """As ShootingEngine.batch: the last steps of `points` stretches of `gap` steps are shot from."""
        name = f"{site}_{number:04d}"
        seed = seed_of(self.seed, f"surface_{name}", 0)
        generator = torch.Generator().manual_seed(seed)
        steps = discard + points * self.gap
        (frames,) = self._walk([window], np.stack(starts), steps, generator)
        self._ends[site, number] = frames[-1]
        seen = frames[discard:][STORED - 1 :: STORED] if self.gap >= STORED else frames[discard:]
        features, in_a, walker = self._seen(seen)
        index = np.arange(discard + self.gap - 1, steps, self.gap)
        at = frames[index].swapaxes(0, 1).reshape(-1, frames.shape[-1])
        source = np.repeat(np.arange(len(at)), self.shots)
        inside = self._state(at)[source]
        free = np.flatnonzero(inside == NOWHERE)
        found = shoot(self.dynamics, torch.from_numpy(at[source[free]]), self.a, self.b, longest=self.longest, generator=generator)
        ends, taken = np.stack([inside, inside], axis=1), np.zeros(len(source), dtype=int)
        ends[free], taken[free] = found.outcome, found.steps.sum(axis=1)
        batch = Batch(
            crossing=site, pilot=pilot, variable=json.dumps(window.variable.to_json()), center=window.center, stiffness=window.stiffness,
            features=features, in_a=in_a, walk=walker, ahead=window.shift(features) * onward > 0.0,
            walk_evaluations=len(starts) * (1 + steps), broken=0,
            point_walk=np.repeat(np.arange(len(starts)), points), point_frame=np.tile(index, len(starts)),
            point_features=self._features(at),
            shot_point=source, shot_seed=np.full(len(source), seed), shot_first=np.ones(len(source), dtype=int),
            shot_forward=ends[:, 0], shot_backward=ends[:, 1], shot_evaluations=taken, shot_stable=np.ones(len(source), dtype=bool),
            **self._paths(name, found, free),
        )  # fmt: skip
        self._batches.setdefault(site, []).append(batch)
        return batch

    def ends(self, site: int, number: int) -> list[np.ndarray]:
        """Last points of a batch's walks."""
        return list(self._ends[site, number])

    def ladder(
        self, site: int, windows: Sequence[Window], top: Sequence[np.ndarray], bottom: Sequence[np.ndarray]
    ) -> tuple[list[EnsembleFrames], int]:
        """As ShootingEngine.ladder."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, f"surface_ladder_{site}", 0))
        both = [(windows, np.stack(top)), (windows[::-1], np.stack(bottom))]
        down, up = (self._walk(way, start, self.rung_steps, generator)[:, self.rung_discard :: STORED] for way, start in both)
        rungs = [
            EnsembleFrames(w.log_factor, *self._seen(np.concatenate(x, axis=1))) for w, *x in zip(windows, down, up[::-1], strict=True)
        ]
        return rungs[::-1], (len(top) + len(bottom)) * (1 + len(windows) * self.rung_steps)

    def _walk(self, windows: Sequence[Window], start: np.ndarray, steps: int, generator: torch.Generator) -> np.ndarray:
        return walk(self.dynamics.surface, self.dynamics.kT, self.family, windows, start, steps=steps, generator=generator)

    def _features(self, x: np.ndarray) -> np.ndarray:
        return self.family.features(torch.from_numpy(x)).numpy()

    def _state(self, x: np.ndarray) -> np.ndarray:
        """IN_A, IN_B or NOWHERE (n,) of points (n, D)."""
        at = torch.from_numpy(x)
        return np.where(self.a.contains(at).numpy(), IN_A, np.where(self.b.contains(at).numpy(), IN_B, NOWHERE))

    def _seen(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of frames (F, W, D): T (F W, E), whether in A (F W,), and the walk they are from (F W,)."""
        flat = frames.reshape(-1, frames.shape[-1])
        return self._features(flat), self._state(flat) == IN_A, np.tile(np.arange(frames.shape[1]), len(frames))

    def _paths(self, name: str, found: Shots, shot: np.ndarray) -> dict[str, np.ndarray]:
        """Keep the reactive paths; the batch's columns that describe them."""
        names = [f"{name}_{k:04d}" for k in shot[found.source]]
        self.paths.update(zip(names, found.paths, strict=True))
        points = [self._features(path[1:-1]) for path in found.paths]
        highest = [float(self.dynamics.surface.energy(torch.from_numpy(path)).max()) for path in found.paths]
        return {
            "path_shot": shot[found.source], "path_name": np.array(names, dtype=str),
            "path_way": np.full(len(names), ""), "path_max_energy": np.array(highest),
            "path_frames": np.array([len(p) for p in found.paths], dtype=int),
            "path_points": np.array([len(p) for p in points], dtype=int),
            "points": np.concatenate([np.zeros((0, self.family.dimension)), *points]),
        }  # fmt: skip
