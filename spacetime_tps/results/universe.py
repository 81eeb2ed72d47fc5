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
    """Frames in memory, each at its own time and with `ts.data["weight"]`."""

    def __init__(self, coordinates: np.ndarray, times: np.ndarray | None = None, weights: np.ndarray | None = None, **given: Any):
        self.frame_times, self.frame_weights = times, weights
        super().__init__(coordinates, **given)

    def copy(self) -> "WeightedReader":
        """The same frames with the same times and weights."""
        found: WeightedReader = super().copy()
        found.frame_times, found.frame_weights = self.frame_times, self.frame_weights
        found[self.ts.frame]
        return found

    def _read_next_timestep(self, ts: Any = None) -> Any:
        ts = super()._read_next_timestep(ts)
        if self.frame_times is not None and self.frame_weights is not None:
            ts.time = float(self.frame_times[ts.frame])
            ts.data["weight"] = float(self.frame_weights[ts.frame])
        return ts


def universe(
    topology: Path, positions: np.ndarray, velocities: np.ndarray, weights: np.ndarray, *, times: np.ndarray, cell: Cell | None
) -> Universe:
    """Of positions (F, atoms, 3), nm, velocities (F, atoms, 3), nm/ps, weights (F,) and times (F,), ps, of frames; MDAnalysis has Å."""
    box = {} if cell is None else {"dimensions": triclinic_box(*(PER_NM * np.array(cell)))}
    spacing = float(times[1] - times[0]) if len(times) > 1 else 1.0
    return Universe(
        str(topology), PER_NM * positions, format=WeightedReader, order="fac", velocities=PER_NM * velocities, dt=spacing, times=times,
        weights=weights, **box,
    )  # fmt: skip
