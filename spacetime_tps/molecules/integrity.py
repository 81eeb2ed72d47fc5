"""Whether a molecule is still the one it was: its amide bonds cis or trans as before, its chiral centres of the same hand."""

from dataclasses import dataclass

import numpy as np
from openmm import app

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.molecules.structure import Structure, atoms_of, full_name


@dataclass(frozen=True)
class Integrity:
    """What hot dynamics can break without breaking a bond, as it is in a reference structure."""

    amides: Torsions
    trans: np.ndarray
    """(amides,) bool"""
    centres: np.ndarray
    """(centres, 4): each chiral centre and three of its neighbours"""
    hand: np.ndarray
    """(centres,) sign of the triple product of the three bonds"""

    @staticmethod
    def of(structure: Structure, end: Structure | None = None) -> "Integrity":
        """The amide bonds and tetrahedral carbons with three heavy neighbours of a structure; of amides those alone that are the same in
        `end`, since others turn on the way there."""
        near, symbol = neighbours(structure.topology)
        found = Torsions((), tuple(_amides(near, symbol)))
        one, other = ((np.cos(found.values(s.positions)) < 0.0) if found.atoms else np.zeros(0) for s in (structure, end or structure))
        amides = Torsions((), tuple(four for four, same in zip(found.atoms, one == other, strict=True) if same))
        trans = np.cos(amides.values(structure.positions)) < 0.0 if amides.atoms else np.zeros(0, dtype=bool)
        centres = np.array(_centres(near, symbol), dtype=int).reshape(-1, 4)
        return Integrity(amides, trans, centres, hands(structure.positions, centres))

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (F, atoms, 3): bool (F,)."""
        positions = np.asarray(positions)
        whole = (hands(positions, self.centres) == self.hand).all(axis=-1)
        if self.amides.atoms:
            whole &= ((np.cos(self.amides.values(positions)) < 0.0) == self.trans).all(axis=-1)
        return whole


def other_hand(start: Structure, end: Structure) -> str | None:
    """A chiral centre that is of another hand in `end`, as people read it. Centres with two neighbours that are alike are none."""
    near, symbol = neighbours(start.topology)
    kinds = kinds_of(near, symbol)
    centres = np.array([c for c in _centres(near, symbol) if len({kinds[n] for n in near[c[0]]}) == 4], dtype=int).reshape(-1, 4)
    turned = np.flatnonzero(hands(start.positions, centres) != hands(end.positions, centres))
    if not len(turned):
        return None
    return full_name(start.topology, int(centres[turned[0], 0]))


def kinds_of(near: dict[int, list[int]], symbol: dict[int, str]) -> dict[int, int]:
    """Atoms by what they are bonded to, and what that is bonded to, and so on: equal numbers are alike (Weisfeiler and Leman)."""
    kinds = {atom: hash(name) for atom, name in symbol.items()}
    for _ in near:
        finer = {atom: hash((kinds[atom], tuple(sorted(kinds[n] for n in around)))) for atom, around in near.items()}
        if len(set(finer.values())) == len(set(kinds.values())):
            break
        kinds = finer
    return kinds


def neighbours(topology: app.Topology) -> tuple[dict[int, list[int]], dict[int, str]]:
    """Of each atom those that it is bonded to, and its element's symbol, that of hydrogen for deuterium."""
    symbol = {index: atom.element for index, atom in enumerate(atoms_of(topology))}
    near: dict[int, list[int]] = {index: [] for index in symbol}
    for a, b in topology.bonds():
        near[a.index].append(b.index)
        near[b.index].append(a.index)
    return near, symbol


def _amides(near: dict[int, list[int]], symbol: dict[int, str]) -> list[tuple[int, int, int, int]]:
    """C(=O)-N bonds between carbons: the torsion from carbon to carbon. Where N bears two, as in proline, either tells a turn."""
    found = []
    for c, around in near.items():
        if symbol[c] != "C" or not any(symbol[o] == "O" and len(near[o]) == 1 for o in around):
            continue
        for n in (x for x in around if symbol[x] == "N"):
            before = [x for x in around if symbol[x] == "C"]
            after = [x for x in near[n] if symbol[x] == "C" and x != c]
            found += [(before[0], c, n, after[0])] if before and after else []
    return found


def _centres(near: dict[int, list[int]], symbol: dict[int, str]) -> list[tuple[int, int, int, int]]:
    found = []
    for c, around in near.items():
        heavy = sorted(x for x in around if symbol[x] != "H")
        if symbol[c] == "C" and len(around) == 4 and len(heavy) >= 3:
            found.append((c, heavy[0], heavy[1], heavy[2]))
    return found


def hands(positions: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Signs (..., centres) of the triple product of three bonds, of positions (..., atoms, 3) and centres (centres, 4), the atom first."""
    p = np.asarray(positions, dtype=float)
    a, b, c = (p[..., centres[:, k], :] - p[..., centres[:, 0], :] for k in (1, 2, 3))
    return np.sign((np.cross(a, b) * c).sum(-1))
