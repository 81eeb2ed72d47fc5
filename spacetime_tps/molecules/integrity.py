"""Whether a molecule is still the one it was: its amide bonds cis or trans as before, its chiral centres of the same hand."""

from dataclasses import dataclass

import numpy as np
from openmm import app

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.molecules.structure import Structure


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
    def of(structure: Structure) -> "Integrity":
        """The amide bonds and tetrahedral carbons with three heavy neighbours of a structure."""
        near, symbol = _neighbours(structure.topology)
        amides = Torsions((), tuple(_amides(near, symbol)))
        trans = np.cos(amides.values(structure.positions)) < 0.0 if amides.atoms else np.zeros(0, dtype=bool)
        centres = np.array(_centres(near, symbol), dtype=int).reshape(-1, 4)
        return Integrity(amides, trans, centres, _hand(structure.positions, centres))

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (F, atoms, 3): bool (F,)."""
        positions = np.asarray(positions)
        whole = (_hand(positions, self.centres) == self.hand).all(axis=-1)
        if self.amides.atoms:
            whole &= ((np.cos(self.amides.values(positions)) < 0.0) == self.trans).all(axis=-1)
        return whole


def _neighbours(topology: app.Topology) -> tuple[dict[int, list[int]], dict[int, str]]:
    symbol = {a.index: a.element.symbol if a.element is not None else "" for a in topology.atoms()}
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


def _hand(positions: np.ndarray, centres: np.ndarray) -> np.ndarray:
    p = np.asarray(positions, dtype=float)
    a, b, c = (p[..., centres[:, k], :] - p[..., centres[:, 0], :] for k in (1, 2, 3))
    return np.sign((np.cross(a, b) * c).sum(-1))
