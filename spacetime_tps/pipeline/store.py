"""Walks that survive an interruption: each is a trajectory in samples/, run only where it is not there yet."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spacetime_tps.engines.openmm.dynamics import Model, Walk
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json, write_npz
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr, write_trr


class WalkStore:
    """The folder samples/: NAME.trr, NAME.npz with energies and window indices, and walks.json with what each was made from."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._index_file = folder / "walks.json"
        self._index: dict[str, dict[str, int | bool | str]] = json.loads(self._index_file.read_text()) if self._index_file.exists() else {}
        self._used: set[str] = set()

    def run(self, named: Sequence[tuple[str, Walk]], workers: Workers, progress: Progress, title: str) -> list[Frames]:
        """The frames of each named walk, from the folder where it was run before with the same input."""
        self._used |= {name for name, _ in named}
        digests = {name: _digest(workers.model, walk) for name, walk in named}
        missing = [(name, walk) for name, walk in named if self._index.get(name, {}).get("digest") != digests[name]]
        with progress.task(title, sum(len(walk.schedule) * walk.steps for _, walk in missing)) as advance:
            for (name, _), frames in zip(missing, workers.walks(walk for _, walk in missing), strict=True):
                if not frames.stable:
                    raise SpacetimeError(f"the walk {name} is unstable: use a smaller dynamics.timestep_fs")
                self._put(name, digests[name], frames, workers.model)
                advance(frames.evaluations)
        return [self._get(name) for name, _ in named]

    def stored(self, names: Sequence[str]) -> list[Frames]:
        """The frames of walks that were run before."""
        return [self._get(name) for name in names]

    def sweep(self) -> None:
        """Remove walks that this run did not use: they belong to other settings."""
        for name in set(self._index) - self._used:
            del self._index[name]
            for file in (self.folder / f"{name}.trr", self.folder / f"{name}.npz"):
                file.unlink(missing_ok=True)
        write_json(self._index_file, self._index)

    def _put(self, name: str, digest: str, frames: Frames, model: Model) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_trr(self.folder / f"{name}.trr", frames, timestep=model.timestep, cell=model.cell)
        write_npz(
            self.folder / f"{name}.npz",
            {"time_ps": frames.time, "potential_energy_kj_mol": frames.potential_energy, "point": frames.point},
        )
        self._index[name] = {"digest": digest, "evaluations": frames.evaluations}
        write_json(self._index_file, self._index)

    def _get(self, name: str) -> Frames:
        positions, velocities, _ = read_trr(self.folder / f"{name}.trr")
        with np.load(self.folder / f"{name}.npz") as data:
            time, energy, point = data["time_ps"], data["potential_energy_kj_mol"], data["point"]
        entry = self._index[name]
        return Frames(positions, velocities, time, energy, point, int(entry["evaluations"]), stable=True)


def _digest(model: Model, walk: Walk) -> str:
    """Fixed by everything that decides what a walk gives."""
    fixed = (
        model.system_xml,
        walk.bias,
        model.temperature,
        model.friction if walk.friction is None else walk.friction,
        model.timestep,
        model.platform,
        walk.steps,
        walk.stride,
        walk.seed,
        walk.discard,
    )
    arrays = [np.asarray(a, dtype=float) for a in (walk.schedule, walk.positions, walk.velocities) if a is not None]
    return hashlib.sha256(repr(fixed).encode() + b"".join(a.tobytes() for a in arrays)).hexdigest()
