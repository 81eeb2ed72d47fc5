"""Storage in memory: for a notebook, where nothing has to survive the session."""

import copy
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.protocol import Row, as_row
from spacetime_tps.trajectories.frames import Frames


class Memory:
    """Keeps copies."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def _get(self, name: str) -> Any:
        if name not in self._kept:
            raise SpacetimeError(f"{name} is missing: the stage that makes it has not run")
        return copy.deepcopy(self._kept[name])

    def put_frames(self, name: str, frames: Frames, *, timestep: float, cell: Cell | None) -> None:
        self._kept[name] = tuple(np.array(x, dtype=np.float32) for x in (frames.positions, frames.velocities))

    def frames(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        positions, velocities = self._get(name)
        return positions, velocities

    def put_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        self._kept[name] = {key: np.array(array) for key, array in arrays.items()}

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        return dict(self._get(name))

    def put_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._kept[name] = [as_row(columns, row) for row in rows]

    def table(self, name: str) -> list[Row]:
        return list(self._get(name))

    def put_record(self, name: str, content: Any) -> None:
        self._kept[name] = copy.deepcopy(content)

    def record(self, name: str) -> Any:
        return self._get(name)

    def put_bytes(self, name: str, content: bytes) -> None:
        self._kept[name] = content

    def content(self, name: str) -> bytes:
        return bytes(self._get(name))

    def has(self, name: str) -> bool:
        return name in self._kept

    def names(self, pattern: str) -> list[str]:
        return sorted(name for name in self._kept if _matches(name, pattern))

    def remove(self, pattern: str) -> None:
        for name in self.names(pattern):
            del self._kept[name]


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=True))
