"""What a data bank's file holds beside the molecule and cannot take part: water and ions."""

from collections import Counter

from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.reading import Read
from spacetime_tps.molecules.records import WATER
from spacetime_tps.molecules.structure import Structure, without

IONS = {"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Cd", "Hg", "F", "Cl", "Br", "I"}
"""Elements, where an atom is a residue of its own and bonded to nothing"""
GROUPS = {"SO4", "PO4", "NO3"}
"""Residues that are ions of several atoms"""


def without_solvent(structure: Structure, name: str) -> Read:
    """The molecule alone; `name` is for sentences. Raises SpacetimeError where nothing is left."""
    bonded = {atom.residue for bond in structure.topology.bonds() for atom in bond if bond[0].residue is not bond[1].residue}
    water = [r for r in structure.topology.residues() if r.name in WATER]
    ions = [r for r in structure.topology.residues() if r not in bonded and _is_ion(r)]
    if len(water) + len(ions) == structure.topology.getNumResidues():
        if not water:
            return Read(structure)
        raise SpacetimeError(f"{name} holds no molecule beside water and ions")
    left_out = {atom.index for residue in (*water, *ions) for atom in residue.atoms()}
    if not left_out:
        return Read(structure)
    counts = [(len(water), "water molecule" + "s" * (len(water) > 1)), *((n, ion) for ion, n in Counter(r.name for r in ions).items())]
    told = ", ".join(f"{n} {what}" for n, what in counts if n)
    sentence = f"{name}: {told} left out, since explicit solvent is not supported: the run is without"
    return Read(without(structure, left_out), (f"{sentence}; an implicit solvent file may be added to a force field",))


def _is_ion(residue: app.topology.Residue) -> bool:
    atoms = list(residue.atoms())
    alone = len(atoms) == 1 and atoms[0].element is not None and atoms[0].element.symbol in IONS
    return alone or residue.name in GROUPS
