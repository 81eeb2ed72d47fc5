"""Trajectories as TRR files: float32 positions and velocities, in the units they are computed in."""

import os
from pathlib import Path

import numpy as np
from MDAnalysis.lib.formats.libmdaxdr import TRRFile

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.trajectories.frames import Frames


def write_trr(path: Path, frames: Frames, *, timestep: float, cell: Cell | None = None) -> None:
    """Write positions (nm), velocities (nm/ps) and times (ps), whole or not at all. timestep in ps numbers the steps;
    the cell, nm, is that of every frame."""
    temporary = path.with_name("." + path.name)
    box = np.zeros((3, 3), dtype=np.float32) if cell is None else np.array(cell, dtype=np.float32)
    steps = np.rint(frames.time / timestep).astype(int).tolist()
    with TRRFile(str(temporary), "w") as file:
        for x, v, time, step in zip(frames.positions, frames.velocities, frames.time.tolist(), steps, strict=True):
            file.write(x, v, None, box, step, time, 0.0, x.shape[0])
    os.replace(temporary, path)


def read_trr(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (F, atoms, 3) in nm, velocities (F, atoms, 3) in nm/ps, times (F,) in ps."""
    with TRRFile(str(path)) as file:
        frames = [(frame.x.copy(), frame.v.copy(), frame.time) for frame in file]
    positions, velocities, times = zip(*frames, strict=True)
    return np.array(positions), np.array(velocities), np.array(times)
