"""A structure brought to the atoms and the order of another."""

from dataclasses import dataclass, replace

import numpy as np
from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.completion import Borne, added, with_heavy_atoms, with_hydrogens
from spacetime_tps.molecules.equals import numbered_alike
from spacetime_tps.molecules.integrity import other_hand
from spacetime_tps.molecules.matching import Atom, Side, borne, places_in
from spacetime_tps.molecules.residues import Residue, paired
from spacetime_tps.molecules.structure import Structure, full_name, is_hydrogen, without


@dataclass(frozen=True)
class Brought:
    """A structure in the atoms and the order of another, and which of them it lacked."""

    structure: Structure
    put_in: tuple[Atom, ...]


def brought(start: Structure, end: Structure, *, end_name: str, start_name: str, keep_names: bool) -> Brought:
    """The end structure with the start's topology: its atoms in the same order, with those put in that it lacks.

    Atoms that are equal by symmetry are those of one name where `keep_names`; else, and where names differ, they are numbered so that
    the least turns between the two. Raises SpacetimeError that lists what one of them lacks, and for another hand.
    """
    found, named = _laid(start, end, end_name=end_name, start_name=start_name)
    structure = numbered_alike(start, found.structure, named & keep_names)
    turned = other_hand(start, structure)
    if turned is not None:
        raise SpacetimeError(f"{start_name} and {end_name} are not one molecule: {turned} is of the other hand")
    return replace(found, structure=structure)


def of_topology(topology: app.Topology, structure: Structure, *, name: str, topology_name: str) -> Brought:
    """A structure with the atoms of a topology, in its order, with those put in that it lacks. Raises SpacetimeError that lists what one of
    them lacks."""
    nowhere = Structure(topology, np.zeros((topology.getNumAtoms(), 3)))
    with np.errstate(invalid="ignore"):  # of directions, which it has none of
        return _laid(nowhere, structure, end_name=name, start_name=topology_name)[0]


def _laid(start: Structure, end: Structure, *, end_name: str, start_name: str) -> tuple[Brought, np.ndarray]:
    """The end with the start's topology, and which atoms (atoms,) bear the same name in both."""
    given, end = end, with_heavy_atoms_of(start, end, end_name=end_name, start_name=start_name)
    places = places_in(Side(start, start_name), Side(end, end_name))
    positions = end.positions[places]
    if (places < 0).any():
        positions = _with_hydrogens(start, positions, places < 0, end_name)
    atoms, names = list(start.topology.atoms()), [a.name for a in end.topology.atoms()]
    named = np.array([k >= 0 and a.name == names[k] for a, k in zip(atoms, places, strict=True)])
    put_in = (*added(given, end), *(atoms[k] for k in np.flatnonzero(places < 0)))
    return Brought(Structure(start.topology, positions), put_in), named


def with_heavy_atoms_of(start: Structure, end: Structure, *, end_name: str, start_name: str) -> Structure:
    """The end with heavy atoms put in where one of its residues has fewer than the start's."""
    if sum(map(_heavy, end.topology.residues())) == sum(map(_heavy, start.topology.residues())):
        return end
    pairs = paired(start, end, start_name=start_name, end_name=end_name)
    fewer = [theirs for ours, theirs in pairs if _heavy(theirs) < _heavy(ours)]
    return with_heavy_atoms(end, fewer, end_name) if fewer else end


def hydrogens_by_residue(side: Side) -> list[Borne]:
    """Of each residue its hydrogens and what bears them, by name."""
    found: list[Borne] = [[] for _ in side.structure.topology.residues()]
    for bearer, hydrogens in borne(side).items():
        found[side.atoms[bearer].residue.index] += [(side.atoms[h].name, side.atoms[bearer].name) for h in hydrogens]
    return found


def _with_hydrogens(start: Structure, positions: np.ndarray, missing: np.ndarray, name: str) -> np.ndarray:
    """Positions (atoms, 3) with those of the missing ones found."""
    partial = without(Structure(start.topology, positions), set(np.flatnonzero(missing).tolist()))
    whole = with_hydrogens(partial, hydrogens_by_residue(Side(start, "")), name)
    place = {(a.residue.index, a.name): a.index for a in whole.topology.atoms()}
    for atom in start.topology.atoms():
        if (atom.residue.index, atom.name) not in place:
            raise SpacetimeError(f"there is no place for the hydrogen {full_name(start.topology, atom.index)}: put it into both files")
    return whole.positions[[place[a.residue.index, a.name] for a in start.topology.atoms()]]


def _heavy(residue: Residue) -> int:
    return sum(not is_hydrogen(a) for a in residue.atoms())
