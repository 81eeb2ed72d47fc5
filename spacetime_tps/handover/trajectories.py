"""Paths as trajectories that viewers open, one file each or all in one, by MDTraj."""

import shutil
from pathlib import Path

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_csv, write_text
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule
from spacetime_tps.results.paths import Paths
from spacetime_tps.storage.folder import Folder

VIEW = """Lines to look at {name} with, in this folder.

PyMOL, at its prompt:

    load topology.pdb, path
    load_traj {name}, path, state=1
    intra_fit path

VMD, in a shell:

    vmd topology.pdb {name}

NGLView, in a notebook:

    import mdtraj, nglview
    nglview.show_mdtraj(mdtraj.load("{name}", top="topology.pdb"))
{weights}"""
WEIGHTS = """
Frames of unbiased paths are an ensemble with the weights in paths.csv alone, one row a frame:

    import mdtraj, pandas
    frames, rows = mdtraj.load("{name}", top="topology.pdb"), pandas.read_csv("paths.csv")
"""


def each(file_format: str, folder: Path, out: Path) -> list[Path]:
    """OUT/NAME.xtc, .dcd or .pdb of every path, with OUT/topology.pdb and OUT/view.md; the trajectories."""
    files = []
    for path in _stored(folder):
        out.mkdir(parents=True, exist_ok=True)
        files.append(out / f"{path.name}.{file_format}")
        path.mdtraj().save(str(files[-1]))
    _beside(folder, files[0], "")
    return files


def joined(file_format: str, folder: Path, out: Path) -> list[Path]:
    """All paths one after another as OUT/paths.xtc, .dcd or .pdb, and OUT/paths.csv, a row a frame."""
    paths = _stored(folder)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"paths.{file_format}"
    paths.mdtraj().save(str(file))
    rows = [(path.name, path.stage, path.route, int(path.hit), time, path.weight) for path in paths for time in path.times.tolist()]
    write_csv(out / "paths.csv", ("frame", "path", "stage", "route", "hit", "time_ps", "weight"), [(k, *row) for k, row in enumerate(rows)])
    _beside(folder, file, WEIGHTS.format(name=file.name))
    return [file, out / "paths.csv"]


def _stored(folder: Path) -> Paths:
    rows = [row for row in read_transitions(Folder(folder)) if row.file]
    if not rows:
        raise SpacetimeError(f"{folder} holds no paths to export")
    return Paths(rows, run := RunData(folder), Molecule(run))


def _beside(folder: Path, file: Path, weights: str) -> None:
    shutil.copy(folder / "topology.pdb", file.parent / "topology.pdb")
    write_text(file.parent / "view.md", VIEW.format(name=file.name, weights=weights))
