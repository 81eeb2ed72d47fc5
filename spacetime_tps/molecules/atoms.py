"""A molecule as coordinates see it, its atoms by name or chosen in MDAnalysis' selection language."""

import io
import warnings
from functools import cache

from spacetime_tps.coordinates.molecule import Cell, Molecule, Select
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.solvent import dry
from spacetime_tps.molecules.structure import Structure, atoms_of, pdb_text


def molecule_of(start: Structure, end: Structure, cell: Cell | None) -> Molecule:
    """What coordinates see of a molecule in two structures, the atoms in the same order in both: not the solvent. Selections are of the
    start."""
    size = solute_size(start.topology)
    bonds = tuple((int(a.index), int(b.index)) for a, b in start.topology.bonds() if max(a.index, b.index) < size)
    return Molecule(atoms_of(start.topology)[:size], bonds, start.positions[:size], end.positions[:size], cell, selecting(dry(start)))


def selecting(structure: Structure) -> Select:
    """How atoms of this structure are selected, as MDAnalysis reads it from a PDB file."""

    @cache
    def universe():  # type: ignore[no-untyped-def]
        import MDAnalysis  # takes a second, which is spent where something is selected

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = MDAnalysis.Universe(MDAnalysis.lib.util.NamedStream(io.StringIO(pdb_text(structure)), "structure.pdb"))
            if hasattr(found, "bonds"):  # by CONECT records alone
                found.del_TopologyAttr("bonds")
            found.add_TopologyAttr("bonds", [(a.index, b.index) for a, b in structure.topology.bonds()])
        return found

    def select(words: str) -> tuple[int, ...]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                atoms = universe().select_atoms(words)
        except Exception as problem:  # MDAnalysis raises whatever its parser meets
            reason = " ".join(str(problem).split()) or type(problem).__name__
            raise SpacetimeError(f"{words!r} cannot be read as a selection of MDAnalysis: {reason}") from problem
        if not len(atoms):
            raise SpacetimeError(f"{words!r} selects no atom; a selection is in MDAnalysis' language, as 'name CA and resid 2:9'")
        return tuple(sorted(int(k) for k in atoms.indices))

    return select
