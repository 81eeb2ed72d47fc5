"""Two structure files of one molecule: whole, of one protonation, and their atoms in one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.completion import Borne, added, check_chains, told, with_heavy_atoms, with_hydrogens
from spacetime_tps.molecules.composition import is_last, solute_size
from spacetime_tps.molecules.forcefield import unmatched
from spacetime_tps.molecules.matching import Side, borne, places_in
from spacetime_tps.molecules.order import brought, hydrogens_by_residue, with_heavy_atoms_of
from spacetime_tps.molecules.reading import Read, read_structure
from spacetime_tps.molecules.solvent import alike, parted, without_solvent
from spacetime_tps.molecules.structure import Structure, is_hydrogen, without
from spacetime_tps.molecules.water import gathered


@dataclass(frozen=True)
class Ends:
    """Start and end with one topology, and sentences on what was left out of their files or put in."""

    start: Structure
    end: Structure
    said: tuple[str, ...]
    solvents: tuple[Structure, Structure] | None = None
    """What is about them, the same molecules in one box; None where there is nothing, or what is there is not taken"""


def two_ends(
    start: Path, end: Path, forcefield: Sequence[str], *, keep_names: bool, keep_solvent: bool = False, cell: Cell | None = None
) -> Ends:
    """What two files hold, the start as the force field wants it and the end as the start is; without force-field files the start is taken
    as it is. `keep_names` as in `brought`; `keep_solvent`: water that is the same in both is taken, as it is without force-field files;
    `cell`: of the system, where that is periodic. Raises SpacetimeError where the two are not one molecule."""
    files = [read_structure(path) for path in (start, end)]
    if forcefield:
        ours, theirs, solvents = _alone(files, (start.name, end.name), keep_solvent=keep_solvent)
    else:
        ours, theirs, solvents = _as_they_are(files, (start.name, end.name), cell)
    for read, path in ((ours, start), (theirs, end)):
        check_chains(read.structure, path.name)
    names = {"start_name": start.name, "end_name": end.name}
    whole = _whole(ours.structure, theirs.structure, forcefield, **names) if forcefield else ours.structure
    heavy = with_heavy_atoms_of(whole, theirs.structure, **names)
    found = brought(whole, heavy, keep_names=keep_names, **names)
    said = [*ours.said, *told(added(ours.structure, whole), start.name), *theirs.said]
    said += told([*added(theirs.structure, heavy), *found.put_in], end.name)
    return Ends(whole, found.structure, tuple(said), solvents)


def _alone(files: Sequence[Read], names: tuple[str, str], *, keep_solvent: bool) -> tuple[Read, Read, tuple[Structure, Structure] | None]:
    """The molecules, and the solvents where they are kept."""
    one, other = (parted(read.structure, name) for read, name in zip(files, names, strict=True))
    if keep_solvent and one.solvent.cell is not None and alike(one.solvent, other.solvent):
        one, other = (parted(gathered(read.structure, one.solvent.cell), name) for read, name in zip(files, names, strict=True))
        kept = Read(one.molecule, (*files[0].said, f"{one.told} of {names[0]} and of {names[1]} are kept, in their box"))
        return kept, Read(other.molecule, files[1].said), (one.solvent, other.solvent)
    ours, theirs = (
        Read((found := without_solvent(read.structure, name)).structure, (*read.said, *found.said))
        for read, name in zip(files, names, strict=True)
    )
    return ours, theirs, None


def _as_they_are(files: Sequence[Read], names: tuple[str, str], cell: Cell | None) -> tuple[Read, Read, tuple[Structure, Structure] | None]:
    """For a System of their own: with the water that they hold. Raises SpacetimeError where it is not the same, or not last."""
    whole = [read.structure if cell is None else gathered(read.structure, cell) for read in files]
    if all(solute_size(s.topology) == len(s.positions) for s in whole):
        return Read(whole[0], files[0].said), Read(whole[1], files[1].said), None
    for structure, name in zip(whole, names, strict=True):
        if not is_last(structure.topology):
            raise SpacetimeError(f"{name}: water and ions must stand after the molecule, in the structures and in the system")
    one, other = (parted(s, name) for s, name in zip(whole, names, strict=True))
    if not alike(one.solvent, other.solvent):
        raise SpacetimeError(
            f"{names[0]} holds {one.told or 'no water'} and {names[1]} {other.told or 'no water'}: with a system they must be the same, in "
            "one order and one box (CRYST1)"
        )
    return Read(one.molecule, files[0].said), Read(other.molecule, files[1].said), (one.solvent, other.solvent)


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
