"""Coordinates that nobody chose, found from what separates two structures: torsions where few turn, positions where all moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.coordinates.molecule import Molecule
from spacetime_tps.coordinates.naming import listed
from spacetime_tps.coordinates.positions import Positions, separation
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.rotatable import Four, turned
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.coordinates.torsions import CLEARLY, SAME, Torsions, torsion_changes, turning_torsions
from spacetime_tps.errors import SpacetimeError

AUTO = "auto"
FEW = 12
"""Torsions that are followed one by one, at most: what weighted samples of windows tell of a curve grows thin in more"""
CHAIN = 8
"""Residues from which on a molecule has a backbone whose shape is more than its torsions one by one"""
TRACE = {"CA": "C", "P": "P"}
"""Atoms, with their elements, that stand for a residue"""
BACKBONE = ({"N", "CA"}, {"CA", "C"}, {"C", "N"})
MOVED = 0.15
"""nm, RMSD of the backbone above which it has moved; what heat alone does to a folded one is less"""
EXPLAINED = 0.5
"""Share of that RMSD which torsions may leave where they account for the change"""


@dataclass(frozen=True)
class Choice:
    """Coordinates, and what they are and why in words."""

    coordinates: Coordinates
    because: str


def automatic(molecule: Molecule) -> Choice:
    """Torsions that differ between the ends, `FEW` at most, where they account for what moves; else positions, of one atom a residue or of
    all but hydrogen. Raises SpacetimeError where nothing differs."""
    turning = turning_torsions(molecule)
    trace = tuple(k for k, atom in enumerate(molecule.atoms) if TRACE.get(atom.name) == atom.element)
    if len(trace) >= CHAIN:
        return _of_chain(molecule, turning, trace)
    if turning is not None and len(turning.names) <= FEW:
        return _torsions(molecule, turning)
    return _positions(molecule, turning, molecule.chosen(None), "atoms but hydrogen")


def _of_chain(molecule: Molecule, turning: Torsions | None, trace: tuple[int, ...]) -> Choice:
    apart = _apart(molecule, molecule.start, trace)
    if turning is not None and apart <= MOVED:
        return _torsions(molecule, turning)
    for torsions in () if turning is None else (turning, _of_backbone(molecule, turning)):
        if torsions is not None and len(torsions.names) <= FEW:
            there = molecule.start
            for four, change in zip(torsions.atoms, torsion_changes(torsions, molecule), strict=True):
                there = turned(molecule, there, four, change)
            if _apart(molecule, there, trace) <= EXPLAINED * apart:
                return _torsions(molecule, torsions, of=turning)
    return _positions(molecule, turning, trace, f"{' and '.join(sorted({molecule.atoms[k].name for k in trace}))} atoms")


def _apart(molecule: Molecule, positions: np.ndarray, atoms: Sequence[int]) -> float:
    return float(rmsd(positions[[*atoms]], molecule.end[[*atoms]]))


def _of_backbone(molecule: Molecule, torsions: Torsions) -> Torsions | None:
    names = [{molecule.atoms[j].name, molecule.atoms[k].name} for _, j, k, _ in torsions.atoms]
    return torsions.kept([number for number, pair in enumerate(names) if pair in BACKBONE])


def _torsions(molecule: Molecule, torsions: Torsions, of: Torsions | None = None) -> Choice:
    """The `FEW` that turn most; `of` are all that turn, where they are a part of them."""
    count = len(torsions.names) if of is None else len(of.names)
    most = np.argsort(-np.abs(torsion_changes(torsions, molecule)), kind="stable")[:FEW]
    kept = torsions.kept(sorted(most.tolist()))
    assert kept is not None
    names = listed([torsion_name(molecule, four) for four in kept.atoms])
    if len(kept.names) == count:
        return Choice(kept, f"{names}, {'the torsion that differs' if count == 1 else 'the torsions that differ'} {CLEARLY}")
    which = "that turn most, while the backbone stays" if of is None else "of the backbone, which account for how it moves"
    return Choice(kept, f"{names}, those {which}, of {count} torsions that differ {CLEARLY}")


def _positions(molecule: Molecule, turning: Torsions | None, atoms: tuple[int, ...], called: str) -> Choice:
    apart = separation(*(x[[*atoms]] for x in (molecule.start, molecule.end)))
    if apart is None:
        raise SpacetimeError(SAME)
    count = 0 if turning is None else len(turning.names)
    why = f"no torsion differs {CLEARLY}"
    if count:
        why = f"{count} torsion{' differs' if count == 1 else 's differ'} {CLEARLY}, "
        why += "too many to be followed one by one" if count > FEW else "which do not account for it"
    found = Positions.of_atoms(atoms, molecule, f"the {called} are")
    return Choice(found, f"positions of {len(atoms)} {called}, {apart:.2f} nm apart (RMSD): {why}")


def torsion_name(molecule: Molecule, four: Four) -> str:
    """As people read it: psi of ALA 2, chi1 of VAL 2, C2-C3 of BUT 1."""
    one, other = sorted((molecule.atoms[four[1]], molecule.atoms[four[2]]), key=lambda a: CHI.get(a.name[1:2], 0))
    names = {one.name, other.name}
    if one.number == other.number and names in BACKBONE[:2]:
        name = "phi" if "N" in names else "psi"
    elif names == {"C", "N"} and one.number != other.number:
        name, one = "omega", one if one.name == "C" else other
    elif CHI.get(other.name[1:2], 0) - CHI.get(one.name[1:2], -1) == 1 and {"CA", "CB"} & _names_of(molecule, one.number) == {"CA", "CB"}:
        name = f"chi{CHI[other.name[1:2]]}"
    else:
        name = f"{one.name}-{other.name}"
    return f"{name} of {one.residue} {one.number}"


CHI = {letter: k for k, letter in enumerate("ABGDEZ")}
"""How far from the backbone an atom of a side chain is, by the second letter of its name"""


def _names_of(molecule: Molecule, number: str) -> set[str]:
    return {atom.name for atom in molecule.atoms if atom.number == number}
