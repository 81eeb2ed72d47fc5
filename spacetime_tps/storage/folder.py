"""Storage in a run folder, in files that other tools read: TRR, NPZ, CSV, JSON."""

import csv
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_csv, write_bytes, write_csv, write_json, write_npz
from spacetime_tps.storage.protocol import Row
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr, write_trr


class Folder:
    """One file a name."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def _file(self, name: str) -> Path:
        if not self.has(name):
            raise SpacetimeError(f"{self.path} is not a complete run folder: {name} is missing")
        return self.path / name

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        """The file, and a sentence for what readers of JSON, NPZ, CSV and TRR raise where one is damaged."""
        file = self._file(name)
        try:
            yield file
        except (ValueError, OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, csv.Error) as problem:
            raise SpacetimeError(f"{file} is damaged: {problem}") from problem

    def put_frames(self, name: str, frames: Frames, *, timestep: float, cell: Cell | None) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        write_trr(self.path / name, frames, timestep=timestep, cell=cell)

    def frames(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        with self._reading(name) as file:
            positions, velocities, _ = read_trr(file)
            return positions, velocities

    def put_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        write_npz(self.path / name, arrays)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with self._reading(name) as file, np.load(file) as data:
            return dict(data)

    def put_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        write_csv(self.path / name, columns, rows)

    def table(self, name: str) -> list[Row]:
        with self._reading(name) as file:
            rows = read_csv(file)
            for line, row in enumerate(rows, 2):
                if None in row or None in row.values():
                    raise ValueError(f"line {line} has not as many cells as there are columns")
            return list(rows)

    def put_record(self, name: str, content: Any) -> None:
        write_json(self.path / name, content)

    def record(self, name: str) -> Any:
        with self._reading(name) as file:
            content = json.loads(file.read_text())
            if not isinstance(content, dict | list):
                raise ValueError(f"it holds {content!r} alone")
            return content

    def put_bytes(self, name: str, content: bytes) -> None:
        write_bytes(self.path / name, content)

    def content(self, name: str) -> bytes:
        return self._file(name).read_bytes()

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def names(self, pattern: str) -> list[str]:
        return sorted(str(file.relative_to(self.path)) for file in self.path.glob(pattern) if file.is_file())

    def remove(self, pattern: str) -> None:
        for name in self.names(pattern):
            (self.path / name).unlink()
