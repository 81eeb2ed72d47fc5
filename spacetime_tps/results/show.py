"""Pictures in a notebook: the map of a run, and one of its paths in three dimensions."""

import io
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mdtraj

from spacetime_tps.report.data import RunData
from spacetime_tps.report.figures import STYLE, map_of_coordinates
from spacetime_tps.results.paths import Paths
from spacetime_tps.terminal import console

NEEDED = "for paths in three dimensions: pip install nglview, or pip install py3Dmol"


def show(run: RunData, paths: Paths, name: str | None) -> None:
    """Display both in a notebook; elsewhere say where pictures are."""
    path = paths[name] if name is not None else paths.representative()
    if not console.is_jupyter:
        pictures = run.folder / "report.html" if (run.folder / "report.html").exists() else run.folder
        console.print(f"in a notebook this shows the map and {path.name if path else 'no path'}; see {pictures}", markup=False)
        return
    from IPython.display import Image, display

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        map_of_coordinates(run).savefig(buffer, format="png")
    display(Image(buffer.getvalue(), width=520))
    if path is None:
        return
    viewer = next((view for module, view in VIEWERS.items() if find_spec(module)), None)
    if viewer is None:
        console.print(NEEDED, markup=False)
    else:
        display(viewer(path.mdtraj()))


def _nglview(trajectory: mdtraj.Trajectory) -> Any:
    import nglview

    view = nglview.show_mdtraj(trajectory.superpose(trajectory))
    view.add_representation("licorice")
    return view


def _py3dmol(trajectory: mdtraj.Trajectory) -> Any:
    import py3Dmol

    view = py3Dmol.view(width=500, height=400)
    view.addModelsAsFrames(pdb_text(trajectory.superpose(trajectory)), "pdb")
    view.setStyle({"stick": {}})
    view.animate({"loop": "backAndForth"})
    view.zoomTo()
    return view


def pdb_text(trajectory: mdtraj.Trajectory) -> str:
    """All frames as models of one PDB file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "path.pdb"
        trajectory.save_pdb(str(file))
        return file.read_text()


VIEWERS: dict[str, Callable[[mdtraj.Trajectory], Any]] = {"nglview": _nglview, "py3Dmol": _py3dmol}
"""What draws a trajectory in a notebook, by the package that it needs"""
