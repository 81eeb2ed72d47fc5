"""Walks that survive an interruption: each is run only where it is not kept yet, made from the same input."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields

import numpy as np

from spacetime_tps.engines.openmm.dynamics import Model, Walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames

COLUMNS = ("time_ps", "potential_energy_kj_mol", "point")


def trajectory_file(group: str, name: str) -> str:
    """The name of a walk's trajectory in the storage; a pattern where `name` is one."""
    return f"{group}/{name}.trr"


def _columns_file(group: str, name: str) -> str:
    return f"{group}/{name}.npz"


class WalkCache:
    """The walks of one group of a storage: GROUP/NAME.trr, its other columns in GROUP/NAME.npz, and GROUP/walks.json with what each was
    made from and what it took."""

    def __init__(self, storage: Storage, group: str, model: Model):
        self.storage, self.group, self.model = storage, group, model
        index = f"{group}/walks.json"
        self._index: dict[str, dict[str, int | str]] = dict(storage.record(index)) if storage.has(index) else {}
        self._used: set[str] = set()

    def run(
        self, named: Sequence[tuple[str, Walk]], walks: Callable[[Iterable[Walk]], Iterator[Frames]], advance: Callable[[int], None]
    ) -> list[Frames]:
        """The frames of each named walk; `walks` runs those that are missing, and `advance` is told what each took.

        Raises SpacetimeError for a walk that is unstable.
        """
        self._used |= {name for name, _ in named}
        missing = [(name, walk, digest) for name, walk, digest in self._missing(named)]
        for (name, _, digest), frames in zip(missing, walks([walk for _, walk, _ in missing]), strict=True):
            if not frames.stable:
                raise SpacetimeError(f"the walk {name} is unstable: use a smaller dynamics.timestep_fs")
            if self._index.pop(name, None) is not None:  # old words must not vouch for new frames
                self.storage.put_record(f"{self.group}/walks.json", self._index)
            self._put(name, frames)
            self._index[name] = {"digest": digest, "evaluations": frames.evaluations}
            self.storage.put_record(f"{self.group}/walks.json", self._index)
            advance(frames.evaluations)
        return [self.stored(name) for name, _ in named]

    def ahead(self, named: Sequence[tuple[str, Walk]]) -> int:
        """Evaluations that the missing ones are going to take."""
        return sum(len(walk.schedule) * walk.steps for _, walk, _ in self._missing(named))

    def stored(self, name: str) -> Frames:
        """A walk that was run before, with what it took. Raises SpacetimeError for one that the index does not hold."""
        if name not in self._index:
            raise SpacetimeError(f"{self.group}/walks.json does not know the walk {name}: it is damaged")
        positions, velocities = self.storage.frames(trajectory_file(self.group, name))
        columns = self.storage.arrays(_columns_file(self.group, name))
        time, energy, point = (columns[key] for key in COLUMNS)
        return Frames(positions, velocities, time, energy, point, int(self._index[name]["evaluations"]), stable=True)

    def sweep(self) -> None:
        """Remove walks that were not asked for since the cache was opened or last swept: they belong to other settings."""
        for name in set(self._index) - self._used:
            del self._index[name]
            for file in self._files(name):
                self.storage.remove(file)
        self._used = set()
        self.storage.put_record(f"{self.group}/walks.json", self._index)

    def _put(self, name: str, frames: Frames) -> None:
        self.storage.put_frames(trajectory_file(self.group, name), frames, timestep=self.model.timestep, cell=self.model.cell)
        columns = (frames.time, frames.potential_energy, frames.point)
        self.storage.put_arrays(_columns_file(self.group, name), dict(zip(COLUMNS, columns, strict=True)))

    def _missing(self, named: Sequence[tuple[str, Walk]]) -> list[tuple[str, Walk, str]]:
        digests = [(name, walk, _digest(self.model, walk)) for name, walk in named]
        return [(name, walk, digest) for name, walk, digest in digests if not self._holds(name, digest)]

    def _holds(self, name: str, digest: str) -> bool:
        return self._index.get(name, {}).get("digest") == digest and all(map(self.storage.has, self._files(name)))

    def _files(self, name: str) -> tuple[str, str]:
        return trajectory_file(self.group, name), _columns_file(self.group, name)


def _digest(model: Model, walk: Walk) -> str:
    """Fixed by everything that decides what a walk gives: all that the two hold, the friction being the walk's where it has one."""
    held = asdict(model) | {f.name: getattr(walk, f.name) for f in fields(Walk)}
    held["bias"] = walk.bias and walk.bias.to_json()
    held["friction"] = model.friction if walk.friction is None else walk.friction
    arrays = {name: np.asarray(value, dtype=float) for name, value in held.items() if isinstance(value, np.ndarray)}
    plain = repr(sorted((name, value) for name, value in held.items() if name not in arrays))
    return hashlib.sha256(plain.encode() + b"".join(name.encode() + a.tobytes() for name, a in sorted(arrays.items()))).hexdigest()
