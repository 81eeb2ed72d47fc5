"""Files that hold positions for a topology's atoms in its order: restarts of Amber, GROMACS gro, CHARMM coordinates."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
from openmm import app, unit

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.reading import check_numbers
from spacetime_tps.molecules.structure import Structure, full_name

LONGEST = 0.3
"""nm, beyond which no two atoms are bonded"""


def is_snapshot(name: str) -> bool:
    """By its suffix."""
    return PurePath(name).suffix.lower() in READERS


def snapshot_of(content: bytes, name: str, topology: app.Topology, of: str) -> Structure:
    """Positions for the atoms of a topology from what a file called `name` holds; `of` names the topology's file. Raises SpacetimeError
    where it is unreadable, has another number of atoms, or other atoms: where what is bonded lies far apart."""
    form, read = READERS[PurePath(name).suffix.lower()]
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = Path(folder) / "snapshot"
            file.write_bytes(content)
            positions = np.array(read(file).value_in_unit(unit.nanometer), dtype=float).reshape(-1, 3)
    except Exception as problem:  # OpenMM's readers raise whatever their parsers meet
        raise SpacetimeError(f"{name} cannot be read as {form}: {str(problem) or type(problem).__name__}") from problem
    if len(positions) != topology.getNumAtoms():
        raise SpacetimeError(f"{name} has {len(positions)} atoms and {of} {topology.getNumAtoms()}")
    found = Structure(topology, positions)
    check_numbers(found, name)
    _check_bonds(found, name, of)
    return found


def _check_bonds(structure: Structure, name: str, of: str) -> None:
    pairs = np.array([(a.index, b.index) for a, b in structure.topology.bonds()], dtype=int).reshape(-1, 2)
    apart = np.linalg.norm(structure.positions[pairs[:, 0]] - structure.positions[pairs[:, 1]], axis=1)
    if len(pairs) and apart.max() > LONGEST:
        one, other = (full_name(structure.topology, k) for k in pairs[apart.argmax()].tolist())
        raise SpacetimeError(
            f"{name}: {one} and {other}, bonded in {of}, lie {apart.max():.2g} nm apart: its atoms are in another order, or the "
            "molecule is cut by a periodic box"
        )


def _amber(path: Path) -> unit.Quantity:
    return app.AmberInpcrdFile(str(path)).getPositions(asNumpy=True)


def _gro(path: Path) -> unit.Quantity:
    return app.GromacsGroFile(str(path)).getPositions(asNumpy=True)


def _crd(path: Path) -> unit.Quantity:
    """CHARMM's cards begin with a title after asterisks; Amber's coordinates have the suffix too."""
    lines = path.read_text().splitlines()
    if not lines or not lines[0].startswith("*"):
        return _amber(path)
    if not any(line.strip() and not line.startswith("*") for line in lines):  # OpenMM would look for a further line for ever
        raise ValueError("nothing follows its title")
    return app.CharmmCrdFile(str(path)).positions


AMBER = "an Amber restart or coordinate file"
READERS: dict[str, tuple[str, Callable[[Path], unit.Quantity]]] = {
    **dict.fromkeys((".inpcrd", ".rst7", ".rst", ".restrt", ".ncrst"), (AMBER, _amber)),
    ".gro": ("a GROMACS gro file", _gro),
    ".crd": ("a CHARMM or Amber coordinate file", _crd),
    ".cor": ("a CHARMM coordinate file", _crd),
}
"""What a sentence calls it, and how it is read"""
