"""What a structure holds beside the molecule: water, and ions in it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from openmm import app

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.composition import solute_size, solvent_atoms
from spacetime_tps.molecules.reading import Read
from spacetime_tps.molecules.records import WATER
from spacetime_tps.molecules.structure import Structure, of_quantity, without


@dataclass(frozen=True)
class Parted:
    """A structure in two."""

    molecule: Structure
    solvent: Structure
    """Of no atoms where there is none"""

    @property
    def told(self) -> str:
        """What the solvent is, by numbers: '2 water molecules, 1 NA'."""
        residues = [r.name for r in self.solvent.topology.residues()]
        water = sum(name in WATER for name in residues)
        counts = [(water, "water molecule" + "s" * (water > 1)), *((n, ion) for ion, n in Counter(residues).items() if ion not in WATER)]
        return ", ".join(f"{n} {what}" for n, what in counts if n)


def parted(structure: Structure, name: str) -> Parted:
    """The molecule, and water and ions; `name` is for sentences. Ions without water are the molecule where there is nothing else. Raises
    SpacetimeError where there is no molecule."""
    solvent = solvent_atoms(structure.topology)
    if len(solvent) == structure.topology.getNumAtoms():
        if any(residue.name in WATER for residue in structure.topology.residues()):
            raise SpacetimeError(f"{name} holds no molecule beside water and ions")
        solvent = set()
    return Parted(without(structure, solvent) if solvent else structure, without(structure, set(range(len(structure.positions))) - solvent))


def dry(structure: Structure) -> Structure:
    """What stands before the water: all of it where there is none."""
    size = solute_size(structure.topology)
    return structure if size == len(structure.positions) else without(structure, range(size, len(structure.positions)))


def without_solvent(structure: Structure, name: str, because: str) -> Read:
    """The molecule alone, and a sentence on what was left out, `because` of which; `name` is for it. Raises SpacetimeError where nothing is
    left."""
    parts = parted(structure, name)
    if not parts.told:
        return Read(structure)
    return Read(parts.molecule, (f"{name}: {parts.told} left out: {because}",))


def in_solvent(molecule: Structure, solvent: Structure) -> Structure:
    """Both, the molecule first, in the solvent's box."""
    modeller = app.Modeller(molecule.topology, molecule.quantity)
    modeller.add(solvent.topology, solvent.quantity)
    modeller.topology.setPeriodicBoxVectors(solvent.topology.getPeriodicBoxVectors())
    return of_quantity(modeller.topology, modeller.positions)


def alike(one: Structure, other: Structure) -> bool:
    """Whether two solvents are the same molecules in the same order, in one box."""
    kinds = [[(residue.name, len(list(residue.atoms()))) for residue in s.topology.residues()] for s in (one, other)]
    if kinds[0] != kinds[1] or not kinds[0] or one.cell is None or other.cell is None:
        return False
    return same_box(one.cell, other.cell)


def same_box(one: Cell, other: Cell) -> bool:
    """To what a PDB file keeps of it."""
    return bool(np.abs(np.array(one) - np.array(other)).max() < 1e-3)
