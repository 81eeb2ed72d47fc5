"""A molecule's topology with one set of positions: its atoms by name, as coordinates see it, and as a PDB file."""

import io
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openmm import Vec3, app, unit
from openmm.app.internal.unitcell import computeLengthsAndAngles

from spacetime_tps.coordinates.molecule import Atom, Cell, Molecule, index_of
from spacetime_tps.files import write_text
from spacetime_tps.molecules.composition import solute_size


@dataclass(frozen=True)
class Structure:
    """A molecule's topology and one set of positions (atoms, 3) in nm."""

    topology: app.Topology
    positions: np.ndarray

    @property
    def cell(self) -> Cell | None:
        """Of its file; None where that gives none."""
        vectors = self.topology.getPeriodicBoxVectors()
        return None if vectors is None else cell_from(vectors)

    @property
    def quantity(self) -> unit.Quantity:
        """The positions as OpenMM's editing of molecules takes them."""
        return [Vec3(*x) for x in self.positions.tolist()] * unit.nanometer


def of_quantity(topology: app.Topology, positions: unit.Quantity) -> Structure:
    """The inverse of `quantity`."""
    return Structure(topology, np.array(positions.value_in_unit(unit.nanometer), dtype=float).reshape(-1, 3))


def cell_from(vectors: unit.Quantity) -> Cell:
    """OpenMM's box vectors as plain numbers, nm."""
    a, b, c = (v.value_in_unit(unit.nanometer) for v in vectors)
    return (float(a[0]), float(a[1]), float(a[2])), (float(b[0]), float(b[1]), float(b[2])), (float(c[0]), float(c[1]), float(c[2]))


def without(structure: Structure, atoms: Container[int]) -> Structure:
    """The structure without some atoms, by their indices."""
    modeller = app.Modeller(structure.topology, structure.quantity)
    modeller.delete([atom for atom in structure.topology.atoms() if atom.index in atoms])
    return of_quantity(modeller.topology, modeller.positions)


def is_hydrogen(atom: app.topology.Atom) -> bool:
    """Whether the atom's element is hydrogen, deuterium included."""
    return atom.element is not None and atom.element.atomic_number == 1


def full_name(topology: app.Topology, index: int) -> str:
    """An atom as people read it, as in 'ALA 2 CA'."""
    atom = list(topology.atoms())[index]
    return f"{atom.residue.name} {atom.residue.id} {atom.name}"


def atom_index(topology: app.Topology, label: str) -> int:
    """Index of the atom written 'RESIDUE_NUMBER:ATOM_NAME', as in '2:CA'. Raises SpacetimeError where there is none."""
    return index_of(label, _atoms(topology))


def molecule_of(start: Structure, end: Structure, cell: Cell | None) -> Molecule:
    """What coordinates see of a molecule in two structures, the atoms in the same order in both: not the solvent."""
    size = solute_size(start.topology)
    bonds = tuple((int(a.index), int(b.index)) for a, b in start.topology.bonds() if max(a.index, b.index) < size)
    return Molecule(_atoms(start.topology)[:size], bonds, start.positions[:size], end.positions[:size], cell)


def _atoms(topology: app.Topology) -> tuple[Atom, ...]:
    symbols = ("H" if is_hydrogen(a) else "" if a.element is None else a.element.symbol for a in topology.atoms())
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
