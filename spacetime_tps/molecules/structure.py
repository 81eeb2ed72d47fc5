"""A molecule's topology with one set of positions: its atoms by name, and as a PDB file."""

import io
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openmm import Vec3, app, unit
from openmm.app.internal.unitcell import computeLengthsAndAngles

from spacetime_tps.coordinates.molecule import Atom, Cell, index_of
from spacetime_tps.files import write_text


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
    return index_of(label, atoms_of(topology))


def atoms_of(topology: app.Topology) -> tuple[Atom, ...]:
    """As coordinates see them."""
    symbols = ("H" if is_hydrogen(a) else "" if a.element is None else a.element.symbol for a in topology.atoms())
    return tuple(Atom(a.name, a.residue.name, a.residue.id, symbol) for a, symbol in zip(topology.atoms(), symbols, strict=True))


def write_pdb(path: Path, structure: Structure) -> None:
    """Write one structure as `pdb_text`."""
    write_text(path, pdb_text(structure))


def pdb_text(structure: Structure) -> str:
    """One structure, with CONECT records for bonds that names do not tell; without OpenMM's header, which holds the date."""
    text = io.StringIO()
    vectors = structure.topology.getPeriodicBoxVectors()
    if vectors is not None:
        a, b, c, alpha, beta, gamma = computeLengthsAndAngles(vectors)
        angles = (np.degrees(x) for x in (alpha, beta, gamma))
        text.write("CRYST1{:9.3f}{:9.3f}{:9.3f}{:7.2f}{:7.2f}{:7.2f} P 1           1 \n".format(*(10.0 * x for x in (a, b, c)), *angles))
    app.PDBFile.writeModel(structure.topology, structure.positions * unit.nanometer, text, keepIds=True)
    app.PDBFile.writeFooter(_untold(structure.topology), text)
    return text.getvalue()


def _untold(topology: app.Topology) -> app.Topology:
    """The same atoms and bonds, residues of standard name with other bonds than these have under a name that is none: OpenMM writes CONECT
    records for those alone, and caps that CHARMM's patches put into a residue would be lost."""
    plain = _copied(topology, {}, bonded=False)
    plain.createStandardBonds()
    known = {frozenset((a.index, b.index)) for a, b in plain.bonds()}
    others = {a.residue.index: "" for bond in topology.bonds() if frozenset(a.index for a in bond) not in known for a in bond}
    return _copied(topology, others, bonded=True) if others else topology


def _copied(topology: app.Topology, names: Mapping[int, str], *, bonded: bool) -> app.Topology:
    """With other names of some residues, by index, and with or without bonds."""
    found, atoms = app.Topology(), []
    for chain in topology.chains():
        new_chain = found.addChain(chain.id)
        for residue in chain.residues():
            new_residue = found.addResidue(names.get(residue.index, residue.name), new_chain, residue.id, residue.insertionCode)
            atoms += [found.addAtom(atom.name, atom.element, new_residue) for atom in residue.atoms()]
    for a, b in topology.bonds() if bonded else ():
        found.addBond(atoms[a.index], atoms[b.index])
    return found
