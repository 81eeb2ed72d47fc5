"""Paths as MDAnalysis sees them: trajectories in memory whose frames know the weight of their path."""

from pathlib import Path
from typing import Any

import numpy as np
from MDAnalysis import Universe
from MDAnalysis.coordinates.memory import MemoryReader
from MDAnalysis.lib.mdamath import triclinic_box

from spacetime_tps.coordinates.molecule import Cell

PER_NM = 10.0


class WeightedReader(MemoryReader):  # type: ignore[misc]
    """Frames in memory, each with `ts.data["weight"]`."""

    def __init__(self, coordinates: np.ndarray, weights: np.ndarray | None = None, **given: Any):
        self.frame_weights = weights
        super().__init__(coordinates, **given)

    def copy(self) -> "WeightedReader":
        """The same frames with the same weights."""
        found: WeightedReader = super().copy()
        found.frame_weights = self.frame_weights
        return found

    def _read_next_timestep(self, ts: Any = None) -> Any:
        ts = super()._read_next_timestep(ts)
        if self.frame_weights is not None:
            ts.data["weight"] = float(self.frame_weights[ts.frame])
        return ts


def universe(
    topology: Path, positions: np.ndarray, velocities: np.ndarray, weights: np.ndarray, *, spacing: float, cell: Cell | None
) -> Universe:
    """Of positions (F, atoms, 3), nm, velocities (F, atoms, 3), nm/ps, and weights (F,) of frames `spacing` ps apart; MDAnalysis has Å."""
    box = {} if cell is None else {"dimensions": triclinic_box(*(PER_NM * np.array(cell)))}
    return Universe(
        str(topology), PER_NM * positions, format=WeightedReader, order="fac", velocities=PER_NM * velocities, dt=spacing, weights=weights,
        **box,
    )  # fmt: skip
