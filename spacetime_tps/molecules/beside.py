"""What stands about the molecule in two files: left out, or taken where it is the same in both."""

from collections.abc import Sequence

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.composition import is_last, solute_size
from spacetime_tps.molecules.reading import Read
from spacetime_tps.molecules.solvent import alike, parted, same_box, without_solvent
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.molecules.water import gathered

Solvents = tuple[Structure, Structure] | None
"""About both ends, the same molecules in one box; None where there is nothing, or what is there is not taken"""
NONE = "--solvent tip3p puts the molecule into water"
NEW = "it is kept where both files hold the same molecules in one order and one box (CRYST1), and new water is put in"


def alone(files: Sequence[Read], names: tuple[str, str], *, keep_solvent: bool) -> tuple[Read, Read, Solvents]:
    """The molecules, and the solvents where they are kept: where they are the same and `keep_solvent`."""
    one, other = (parted(read.structure, name) for read, name in zip(files, names, strict=True))
    if keep_solvent and one.solvent.cell is not None and alike(one.solvent, other.solvent):
        one, other = (parted(gathered(read.structure, one.solvent.cell), name) for read, name in zip(files, names, strict=True))
        kept = Read(one.molecule, (*files[0].said, f"{one.told} of {names[0]} and of {names[1]} are kept, in their box"))
        return kept, Read(other.molecule, files[1].said), (one.solvent, other.solvent)
    because = NEW if keep_solvent else NONE
    ours, theirs = (
        Read((found := without_solvent(read.structure, name, because)).structure, (*read.said, *found.said))
        for read, name in zip(files, names, strict=True)
    )
    return ours, theirs, None


def as_they_are(files: Sequence[Read], names: tuple[str, str], cell: Cell | None) -> tuple[Read, Read, Solvents]:
    """For a System of their own: with the water that they hold. Raises SpacetimeError where it is not the same, or not last."""
    for read, name in zip(files, names, strict=True):
        if cell is not None and read.structure.cell is not None and not same_box(read.structure.cell, cell):
            raise SpacetimeError(f"{name} is in another box (CRYST1) than the system: both ends must be in the system's")
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
