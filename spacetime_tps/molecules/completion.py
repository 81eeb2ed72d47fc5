"""Atoms that a file lacks: heavy ones of standard residues by PDBFixer's templates, hydrogens by OpenMM's Modeller."""

import io
import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import openmm
from openmm import app
from pdbfixer import PDBFixer

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.matching import Atom
from spacetime_tps.molecules.residues import LISTED, Residue, listed, residue_name
from spacetime_tps.molecules.structure import Structure, is_hydrogen, of_quantity

PH = 7.0
LONGEST = 0.25
"""nm, of a peptide bond: beyond it residues are missing between"""
BACKBONE = {"N", "CA", "C"}
NOTHING = "ATOM      1  N   GLY A   1       0.000   0.000   0.000  1.00  0.00           N\n"
Borne = list[tuple[str, str]]
"""Hydrogens of a residue, each with the name of the atom that bears it"""


def check_chains(structure: Structure, name: str) -> None:
    """Raise SpacetimeError, with where, if residues of a chain are missing between others."""
    gaps = []
    for one, other in structure.topology.bonds():
        if {one.name, other.name} != {"C", "N"} or one.residue is other.residue:
            continue
        before, after = (one, other) if one.name == "C" else (other, one)
        apart = float(np.linalg.norm(structure.positions[before.index] - structure.positions[after.index]))
        if apart > LONGEST:
            gaps.append(f"between {residue_name(before.residue)} and {residue_name(after.residue)}, whose C and N lie {apart:.2g} nm apart")
    if gaps:
        raise SpacetimeError(f"{name} lacks residues {listed(gaps)}: build them, or make two chains of it")


def with_heavy_atoms(structure: Structure, residues: Collection[Residue], name: str) -> Structure:
    """The structure with heavy atoms put in that these residues, standard ones, lack; itself where they lack none. Raises SpacetimeError
    where one lacks an atom of the backbone."""
    fixer = PDBFixer(pdbfile=io.StringIO(NOTHING), platform=_reference())
    fixer.topology, fixer.positions, fixer.missingResidues = structure.topology, structure.quantity, {}
    fixer.findMissingAtoms()
    fixer.missingAtoms = {r: atoms for r, atoms in fixer.missingAtoms.items() if r in residues}
    fixer.missingTerminals = {r: atoms for r, atoms in fixer.missingTerminals.items() if r in residues}
    if not fixer.missingAtoms and not fixer.missingTerminals:
        return structure
    for residue, atoms in fixer.missingAtoms.items():
        backbone = [a.name for a in atoms if a.name in BACKBONE]
        if backbone:
            raise SpacetimeError(f"{residue_name(residue)} lacks {backbone[0]}, an atom of the backbone, in {name}: build it")
    with _as_sentence(name):
        fixer.addMissingAtoms(seed=1)
    return of_quantity(fixer.topology, fixer.positions)


def with_hydrogens(structure: Structure, variants: Sequence[Borne | None], name: str) -> Structure:
    """The structure with hydrogens put in: of each residue those that are listed, or else those that it has at pH 7. Those that are there
    stay where they are. Raises SpacetimeError where OpenMM cannot."""
    modeller = app.Modeller(structure.topology, structure.quantity)
    with _same_numbers(), _as_sentence(name):
        modeller.addHydrogens(pH=PH, variants=list(variants), platform=_reference())
    found = of_quantity(modeller.topology, modeller.positions)
    return _unmoved(structure, found)


def added(before: Structure, after: Structure) -> list[Atom]:
    """What was put in."""
    there = {(a.residue.index, a.name) for a in before.topology.atoms()}
    return [a for a in after.topology.atoms() if (a.residue.index, a.name) not in there]


def told(atoms: Sequence[Atom], name: str) -> list[str]:
    """What was put into a file, as a sentence; none where nothing was."""
    heavy, hydrogens = [a for a in atoms if not is_hydrogen(a)], [a for a in atoms if is_hydrogen(a)]
    parts = [f"{len(hydrogens)} hydrogens" if len(hydrogens) > LISTED else _by_residue(hydrogens)] if hydrogens else []
    parts += [_by_residue(heavy)] if heavy else []
    return [f"{name} lacks {' and '.join(parts)}: put in"] if parts else []


def _by_residue(atoms: Sequence[Atom]) -> str:
    residues: dict[str, list[str]] = {}
    for atom in atoms:
        residues.setdefault(residue_name(atom.residue), []).append(atom.name)
    return listed([f"{', '.join(names)} of {residue}" for residue, names in residues.items()])


def _unmoved(before: Structure, after: Structure) -> Structure:
    """With the atoms that were there to the last bit where they were."""
    place = {(a.residue.index, a.name): a.index for a in after.topology.atoms()}
    positions = after.positions.copy()
    for atom in before.topology.atoms():
        positions[place[atom.residue.index, atom.name]] = before.positions[atom.index]
    return Structure(after.topology, positions)


def _reference() -> openmm.Platform:
    """The platform whose sums are the same each time."""
    return openmm.Platform.getPlatformByName("Reference")


@contextmanager
def _as_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as problem:  # OpenMM and PDBFixer raise whatever they meet
        raise SpacetimeError(f"the atoms that {name} lacks cannot be put in: {problem}") from problem


@contextmanager
def _same_numbers() -> Iterator[None]:
    """Modeller draws where it puts hydrogens first from Python's own generator."""
    before = random.getstate()
    random.seed(1)
    try:
        yield
    finally:
        random.setstate(before)
