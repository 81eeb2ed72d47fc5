"""A run's paths in the formats of other tools."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.handover import plumed
from spacetime_tps.handover.trajectories import each, joined
from spacetime_tps.pipeline.explored import EXPORTED

Writer = Callable[[Path, Path], list[Path]]
"""Of a run folder, into a folder that there is; the files"""


def _openpathsampling(folder: Path, out: Path) -> list[Path]:
    if find_spec("openpathsampling") is None:
        raise SpacetimeError('OpenPathSampling is not installed; pip install "spacetime_tps[ops]" in an environment of its own')
    from spacetime_tps.handover.openpathsampling import write_storage

    return write_storage(folder, out)


TRAJECTORIES = ("xtc", "dcd", "pdb")
FORMATS: Mapping[str, Writer] = {
    **{name: partial(each, name) for name in TRAJECTORIES}, "plumed": plumed.write, "ops": _openpathsampling,
}  # fmt: skip
"""What there is to export to, by name. A new one is added here."""


def export(folder: str | Path, file_format: str, out: str | Path | None = None, *, one_file: bool = False) -> list[Path]:
    """Hand a run over to another tool, in a folder `out` (default: DIR/export); returns the files.

    xtc, dcd, pdb: every path as NAME.xtc and so on, or with `one_file` all of them as paths.xtc with their weights in paths.csv; positions
    alone, since only TRR keeps velocities, and XTC rounds to 0.001 nm. view.md beside them has lines for PyMOL, VMD and NGLView. plumed:
    plumed.dat with coordinates, states and path. ops: OpenPathSampling's storage, with weights beside. Raises SpacetimeError for an unknown
    format or no paths.
    """
    folder = Path(folder)
    if file_format not in FORMATS:
        raise SpacetimeError(f"unknown format {file_format!r}; there are {', '.join(FORMATS)}")
    if one_file and file_format not in TRAJECTORIES:
        raise SpacetimeError(f"{file_format} is one file anyway; {', '.join(TRAJECTORIES)} can be")
    write = partial(joined, file_format) if one_file else FORMATS[file_format]
    return write(folder, Path(out) if out is not None else folder / EXPORTED)
