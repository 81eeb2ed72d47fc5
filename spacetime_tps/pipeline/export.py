"""Trajectories in the formats of other tools, by MDTraj."""

from pathlib import Path

import mdtraj as md

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.storage.folder import Folder

FORMATS = ("xtc", "dcd", "pdb")


def export(folder: Path, file_format: str, out: Path | None = None) -> list[Path]:
    """Write every path of a run as OUT/NAME.xtc, .dcd or .pdb (default OUT: DIR/export); returns the files.

    Positions alone: only TRR keeps velocities, and XTC rounds to 0.001 nm. Raises SpacetimeError for an unknown format or no paths.
    """
    if file_format not in FORMATS:
        raise SpacetimeError(f"unknown format {file_format!r}; there are {', '.join(FORMATS)}")
    rows = [row for row in read_transitions(Folder(folder)) if row.file]
    if not rows:
        raise SpacetimeError(f"{folder} holds no paths to export")
    out = out or folder / "export"
    out.mkdir(parents=True, exist_ok=True)
    topology = md.load_topology(str(folder / "topology.pdb"))
    files = []
    for row in rows:
        path = md.load(str(folder / row.file), top=topology)
        path.unitcell_vectors = None
        files.append(out / f"{row.path}.{file_format}")
        path.save(str(files[-1]))
    return files
