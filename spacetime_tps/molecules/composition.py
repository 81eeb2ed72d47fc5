"""Which atoms of a topology are water, and ions in it."""

from openmm import app

from spacetime_tps.molecules.records import WATER

IONS = {"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Cd", "Hg", "F", "Cl", "Br", "I"}
"""Elements, where an atom is a residue of its own and bonded to nothing"""
GROUPS = {"SO4", "PO4", "NO3"}
"""Residues that are ions of several atoms"""


def solute_size(topology: app.Topology) -> int:
    """How many atoms stand before the solvent: all of them where there is no water."""
    if not any(residue.name in WATER for residue in topology.residues()):
        return int(topology.getNumAtoms())
    return min(solvent_atoms(topology))


def is_last(topology: app.Topology) -> bool:
    """Whether the solvent stands after all else."""
    return solvent_atoms(topology) >= set(range(solute_size(topology), topology.getNumAtoms()))


def solvent_atoms(topology: app.Topology) -> set[int]:
    """Atoms of water, and of ions that are bonded to nothing."""
    bonded = {atom.residue for bond in topology.bonds() for atom in bond if bond[0].residue is not bond[1].residue}
    found = [r for r in topology.residues() if r.name in WATER or (r not in bonded and _is_ion(r))]
    return {atom.index for residue in found for atom in residue.atoms()}


def _is_ion(residue: app.topology.Residue) -> bool:
    atoms = list(residue.atoms())
    alone = len(atoms) == 1 and atoms[0].element is not None and atoms[0].element.symbol in IONS
    return alone or residue.name in GROUPS
