"""Two structure files of one molecule: whole, of one protonation, and their atoms in one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from openmm import app

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.beside import Solvents, alone, as_they_are
from spacetime_tps.molecules.completion import Borne, added, check_chains, told, with_heavy_atoms, with_hydrogens
from spacetime_tps.molecules.forcefield import unmatched
from spacetime_tps.molecules.matching import Side, borne, places_in
from spacetime_tps.molecules.order import brought, hydrogens_by_residue, of_topology, with_heavy_atoms_of
from spacetime_tps.molecules.reading import Read, check_apart, content_of, structure_of
from spacetime_tps.molecules.records import WATER
from spacetime_tps.molecules.snapshots import is_snapshot, snapshot_of
from spacetime_tps.molecules.solvent import dry, parted, without_solvent
from spacetime_tps.molecules.structure import Structure, is_hydrogen, without
from spacetime_tps.states.state import START


@dataclass(frozen=True)
class Ends:
    """Start and end with one topology, and sentences on what was left out of their files or put in."""

    start: Structure
    end: Structure
    said: tuple[str, ...]
    solvents: Solvents = None


def two_ends(
    start: Path, end: Path, forcefield: Sequence[str], *, keep_names: bool, keep_solvent: bool = False, cell: Cell | None = None
) -> Ends:
    """What two files hold, the start as the force field wants it and the end as the start is; without force-field files the start is taken
    as it is. `keep_names` as in `brought`; `keep_solvent`: water that is the same in both is taken, as it is without force-field files;
    `cell`: of the system, where that is periodic. Raises SpacetimeError where the two are not one molecule."""
    for path in (start, end):
        if is_snapshot(path.name):
            raise SpacetimeError(f"{path} holds positions alone: give the topology that they are of by --system, or a PDB or mmCIF file")
    files = [structure_of(content_of(path), str(path)) for path in (start, end)]
    short = (start.name, end.name)
    ours, theirs, solvents = alone(files, short, keep_solvent=keep_solvent) if forcefield else as_they_are(files, short, cell)
    for path, file, read in zip((start, end), files, (ours, theirs), strict=True):
        check_chains(read.structure, path.name)
        check_apart(file.structure if solvents else read.structure, str(path))
    names = {"start_name": start.name, "end_name": end.name}
    whole = _whole(ours.structure, theirs.structure, forcefield, **names) if forcefield else ours.structure
    found = brought(whole, theirs.structure, keep_names=keep_names, **names)
    said = [*ours.said, *told(added(ours.structure, whole), start.name), *theirs.said]
    return Ends(whole, found.structure, (*said, *told(found.put_in, end.name)), solvents)


def two_ends_of(topology: app.Topology, topology_name: str, start: Path, end: Path, *, keep_names: bool) -> Ends:
    """The same of a topology's atoms, which both files are brought to; they may hold positions alone, in its order."""

    def placed(path: Path) -> Read:
        nowhere = Structure(topology, np.zeros((topology.getNumAtoms(), 3)))
        read = _as_molecule(content_of(path), str(path), nowhere, topology_name)
        check_apart(read.structure, str(path))
        found = of_topology(topology, read.structure, name=path.name, topology_name=topology_name)
        return Read(found.structure, (*read.said, *told(found.put_in, path.name)))

    here, there = placed(start), placed(end)
    found = brought(here.structure, there.structure, keep_names=keep_names, start_name=start.name, end_name=end.name)
    return Ends(here.structure, found.structure, (*here.said, *there.said))


def one_more(content: bytes, name: str, of: Structure, *, keep_names: bool) -> Structure:
    """What a file called `name` holds as a further structure of the molecule in `of`, brought to it as an end is to the start: without
    solvent, which neither need have. Raises SpacetimeError where it is another molecule."""
    found = _as_molecule(content, name, of, START).structure
    return brought(dry(of), found, keep_names=keep_names, start_name=START, end_name=name).structure


def _as_molecule(content: bytes, name: str, of: Structure, of_name: str) -> Read:
    """Of a file, the molecule that is in `of`: ions alone where they are a part of it there, or positions of all of its atoms in the same
    order."""
    if is_snapshot(name):
        return Read(dry(snapshot_of(content, name, of.topology, of_name)))
    found, short = structure_of(content, name), PurePath(name).name
    if not parted(dry(of), of_name).told:
        molecule = without_solvent(found.structure, short, f"{of_name} has none")
        found = Read(molecule.structure, (*found.said, *molecule.said))
    elif any(residue.name in WATER for residue in found.structure.topology.residues()):
        raise SpacetimeError(f"{name} holds water, and {of_name} has none: remove it from the structure")
    check_chains(found.structure, short)
    return found


def _whole(start: Structure, end: Structure, forcefield: Sequence[str], *, start_name: str, end_name: str) -> Structure:
    """The start with what residues lack that the force field does not know as they are. Where it has none of a residue's hydrogens, those
    are put in that the end has, if it has any, or else those at pH 7."""
    lacking = unmatched(start.topology, forcefield)
    if not lacking:
        return start
    start = with_heavy_atoms(start, lacking, start_name)
    lacking_numbers = {residue.index for residue in unmatched(start.topology, forcefield)}
    here = hydrogens_by_residue(Side(start, start_name))
    bare = lacking_numbers & {number for number, hydrogens in enumerate(here) if not hydrogens}
    there = _as_in(end, start, start_name=start_name, end_name=end_name) if bare else []
    variants: list[Borne | None] = [*here]
    for number in lacking_numbers:
        variants[number] = (there[number] or None) if number in bare else None
    return with_hydrogens(start, variants, start_name) if lacking_numbers else start


def _as_in(end: Structure, start: Structure, *, start_name: str, end_name: str) -> list[Borne]:
    """Of each of the start's residues the hydrogens that the end has."""
    end = with_heavy_atoms_of(start, end, start_name=start_name, end_name=end_name)
    bare = [without(s, {a.index for a in s.topology.atoms() if is_hydrogen(a)}) for s in (start, end)]
    ours, theirs, whole = Side(bare[0], start_name), Side(bare[1], end_name), Side(end, end_name)
    places = places_in(ours, theirs)
    in_end = {(a.residue.index, a.name): a for a in theirs.atoms}
    back = {int(place): k for k, place in enumerate(places)}
    found: list[Borne] = [[] for _ in bare[0].topology.residues()]
    for bearer, hydrogens in borne(whole).items():
        atom = whole.atoms[bearer]
        same = ours.atoms[back[in_end[atom.residue.index, atom.name].index]]
        found[same.residue.index] += [(whole.atoms[h].name, same.name) for h in hydrogens]
    return found
