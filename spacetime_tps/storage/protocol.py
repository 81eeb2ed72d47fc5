"""Where what a run makes is kept, so that an interruption loses nothing and later stages find it: a folder, or memory alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.trajectories.frames import Frames

Row = Mapping[str, str]


def as_row(columns: Sequence[str], values: Sequence[object]) -> Row:
    """A row of a table as it is read back."""
    return {column: "" if value is None else str(value) for column, value in zip(columns, values, strict=True)}


class Storage(Protocol):
    """Named things of five kinds. A name is that of a file in a run folder, 'samples/md_A_0.trr'; what is put replaces what had the name,
    whole or not at all. Reading what is not there raises SpacetimeError, which names it.

    Implementations: `folder.Folder`, `memory.Memory`.
    """

    def put_frames(self, name: str, frames: Frames, *, timestep: float, cell: Cell | None) -> None:
        """Keep positions, velocities and times of a trajectory, .trr. timestep in ps; cell, nm, that of every frame."""

    def frames(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (F, atoms, 3) in nm and velocities (F, atoms, 3) in nm/ps of a trajectory, float32."""

    def put_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep named arrays, .npz."""

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Named arrays."""

    def put_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Keep a table, .csv."""

    def table(self, name: str) -> list[Row]:
        """The rows of a table by column, as text; None became the empty text."""

    def put_record(self, name: str, content: Any) -> None:
        """Keep plain data, .json."""

    def record(self, name: str) -> Any:
        """Plain data."""

    def put_bytes(self, name: str, content: bytes) -> None:
        """Keep the content of a file of another kind."""

    def content(self, name: str) -> bytes:
        """The content of such a file."""

    def has(self, name: str) -> bool:
        """Whether something of this name is there."""

    def names(self, pattern: str) -> list[str]:
        """Names that match a pattern with * within one level, in alphabetical order."""

    def remove(self, pattern: str) -> None:
        """Remove whatever matches a pattern; nothing where nothing does."""
