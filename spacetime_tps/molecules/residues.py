"""Which residue of one structure is which of another: by chain, number and name, or by their order."""

from difflib import SequenceMatcher
from typing import TypeAlias

from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import Structure

LISTED = 3
"""Differences that a sentence lists, at most"""
STANDARD = {
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR",
    "VAL", "ACE", "NME", "A", "C", "G", "U", "DA", "DC", "DG", "DT",
}  # fmt: skip
Residue: TypeAlias = app.topology.Residue
Key = tuple[int, str, str, str]


def paired(start: Structure, end: Structure, *, start_name: str, end_name: str) -> list[tuple[Residue, Residue]]:
    """Each residue of the start with that of the end. Where numbers differ, chains and names in their order tell; of residues that are not
    standard the names may differ too. Raises SpacetimeError that lists what one of them lacks."""
    ours, theirs = list(start.topology.residues()), list(end.topology.residues())
    by_key = {_key(r): r for r in theirs}
    if {_key(r) for r in ours} == set(by_key) and len(ours) == len(theirs) == len(by_key):
        return [(r, by_key[_key(r)]) for r in ours]
    if len(ours) == len(theirs) and all(_alike(a, b) for a, b in zip(ours, theirs, strict=True)):
        return list(zip(ours, theirs, strict=True))
    counts = f"{start_name} has {start.topology.getNumAtoms()} atoms and {end_name} {end.topology.getNumAtoms()}"
    raise SpacetimeError(f"{counts}: {listed(_differences(ours, theirs, start_name, end_name))}")


def listed(differences: list[str]) -> str:
    """A few of them, and how many there are more."""
    more = len(differences) - LISTED
    return "; ".join([*differences[:LISTED], *([f"and {more} more"] if more > 0 else [])])


def residue_name(residue: Residue) -> str:
    """As people read it, as in 'residue 2 ALA'."""
    return f"residue {residue.id}{residue.insertionCode.strip()} {residue.name}"


def _key(residue: Residue) -> Key:
    return residue.chain.index, residue.id, residue.insertionCode.strip(), residue.name


def _alike(one: Residue, other: Residue) -> bool:
    return one.name == other.name or not ({one.name, other.name} & STANDARD)


def _differences(ours: list[Residue], theirs: list[Residue], start_name: str, end_name: str) -> list[str]:
    """By the longest common sequence of names, so that numbers need not agree."""
    found = []
    matcher = SequenceMatcher(None, [r.name for r in ours], [r.name for r in theirs], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "replace" and b - a == d - c:
            found += [
                f"{end_name} lacks {residue_name(one)} and holds {residue_name(other)} instead"
                for one, other in zip(ours[a:b], theirs[c:d], strict=True)
            ]
        elif kind != "equal":
            found += [f"{end_name} lacks {residue_name(r)}" for r in ours[a:b]]
            found += [f"{start_name} lacks {residue_name(r)}, which {end_name} holds" for r in theirs[c:d]]
    return found or [f"the chains of {start_name} and {end_name} are in another order"]
