"""Two PDB files of one molecule: read, checked to hold the same atoms, and brought to the same order."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openmm import app, unit
from openmm.app.internal.unitcell import computeLengthsAndAngles
from scipy.spatial import cKDTree

from spacetime_tps.coordinates.molecule import Atom, Cell, Molecule, index_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_text

OVERLAP = 0.01
"""nm, below which two atoms are one too many"""
WATER = {"HOH", "WAT", "TIP3", "SOL"}
AtomKey = tuple[int, str, str, str]


@dataclass(frozen=True)
class Structure:
    """A molecule's topology and one set of positions (atoms, 3) in nm."""

    topology: app.Topology
    positions: np.ndarray


def load_pdb(path: Path) -> Structure:
    """Read the first model of a PDB file. Raises SpacetimeError where it is missing, unreadable, empty or holds water, and for two atoms in
    one place."""
    if not path.is_file():
        raise SpacetimeError(f"{path}: there is no such file")
    found = structure_of(path.read_bytes(), str(path))
    near = cKDTree(found.positions).query_pairs(OVERLAP)
    if near:
        one, other = (full_name(found.topology, k) for k in min(near))
        raise SpacetimeError(f"{path}: {one} and {other} lie within {OVERLAP:g} nm of each other")
    return found


def full_name(topology: app.Topology, index: int) -> str:
    """An atom as people read it, as in 'ALA 2 CA'."""
    atom = list(topology.atoms())[index]
    return f"{atom.residue.name} {atom.residue.id} {atom.name}"


def structure_of(content: bytes, name: str) -> Structure:
    """The first model of what a PDB file holds; `name` is for sentences. Raises SpacetimeError where it is unreadable, empty or holds
    water."""
    try:
        pdb = app.PDBFile(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    except Exception as problem:  # OpenMM's reader raises whatever its parser meets
        raise SpacetimeError(f"{name} cannot be read as a PDB file: {problem}") from problem
    if pdb.topology.getNumAtoms() == 0:
        raise SpacetimeError(f"{name} holds no atoms")
    if any(residue.name in WATER for residue in pdb.topology.residues()):
        raise SpacetimeError(
            f"{name} holds water, and explicit solvent is not supported: remove it; "
            "an implicit solvent file may be added to the force field"
        )
    positions = np.array(pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    whole = np.isfinite(positions).all(axis=1)
    if not whole.all():
        raise SpacetimeError(f"{name}: the coordinates of {full_name(pdb.topology, int(np.argmin(whole)))} are no numbers")
    return Structure(pdb.topology, positions)


def models_in(path: Path) -> int:
    """How many models a PDB file holds; `load_pdb` reads the first."""
    return max(sum(line.startswith(b"MODEL ") for line in path.read_bytes().splitlines()), 1)


def same_order(start: Structure, end: Structure, *, end_name: str = "end.pdb", start_name: str = "start.pdb") -> Structure:
    """The end structure with its atoms in the start's order, matched by residue number and atom name.

    Raises SpacetimeError that names the first atom which one of them lacks.
    """
    start_keys, end_keys = _keys(start.topology), _keys(end.topology)
    missing = [(key, end_name) for key in start_keys if key not in set(end_keys)]
    missing += [(key, start_name) for key in end_keys if key not in set(start_keys)]
    if missing:
        (_, number, residue, atom), lacking = missing[0]
        raise SpacetimeError(
            f"{start_name} has {len(start_keys)} atoms and {end_name} {len(end_keys)}: residue {number} {residue} lacks {atom} in {lacking}"
        )
    place = {key: index for index, key in enumerate(end_keys)}
    return Structure(start.topology, end.positions[[place[key] for key in start_keys]])


def _keys(topology: app.Topology) -> list[AtomKey]:
    keys = [(a.residue.chain.index, a.residue.id, a.residue.name, a.name) for a in topology.atoms()]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SpacetimeError(f"residue {twice[1]} {twice[2]} holds {twice[3]} twice; keep one of the alternate positions")
    return keys


def atom_index(topology: app.Topology, label: str) -> int:
    """Index of the atom written 'RESIDUE_NUMBER:ATOM_NAME', as in '2:CA'. Raises SpacetimeError where there is none."""
    return index_of(label, _atoms(topology))


def molecule_of(start: Structure, end: Structure, cell: Cell | None) -> Molecule:
    """What coordinates see of a molecule in two structures, the atoms in the same order in both."""
    bonds = tuple((int(a.index), int(b.index)) for a, b in start.topology.bonds())
    return Molecule(_atoms(start.topology), bonds, start.positions, end.positions, cell)


def _atoms(topology: app.Topology) -> tuple[Atom, ...]:
    symbols = ("" if a.element is None else a.element.symbol for a in topology.atoms())
    return tuple(Atom(a.name, a.residue.name, a.residue.id, symbol) for a, symbol in zip(topology.atoms(), symbols, strict=True))


def write_pdb(path: Path, structure: Structure) -> None:
    """Write one structure, with CONECT records for residues that are not standard; without OpenMM's header, which holds the date."""
    text = io.StringIO()
    vectors = structure.topology.getPeriodicBoxVectors()
    if vectors is not None:
        a, b, c, alpha, beta, gamma = computeLengthsAndAngles(vectors)
        angles = (np.degrees(x) for x in (alpha, beta, gamma))
        text.write("CRYST1{:9.3f}{:9.3f}{:9.3f}{:7.2f}{:7.2f}{:7.2f} P 1           1 \n".format(*(10.0 * x for x in (a, b, c)), *angles))
    app.PDBFile.writeModel(structure.topology, structure.positions * unit.nanometer, text, keepIds=True)
    app.PDBFile.writeFooter(structure.topology, text)
    write_text(path, text.getvalue())
