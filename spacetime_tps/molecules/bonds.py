"""Bonds of atoms that a file gives none for, by distance."""

import numpy as np
from scipy.spatial import cKDTree

from spacetime_tps.molecules.structure import Structure, is_hydrogen

RADII = {
    "H": 0.031, "D": 0.031,
    "B": 0.084, "C": 0.076, "N": 0.071, "O": 0.066, "F": 0.057, "Si": 0.111, "P": 0.107, "S": 0.105, "Cl": 0.102, "Se": 0.120,
    "Br": 0.120, "I": 0.139,
}  # fmt: skip
"""Covalent radii, nm (Cordero et al., Dalton Trans. 2832, 2008)"""
TOLERANCE = 0.04
"""nm, by which a bond may be longer than the sum of its radii (Meng, Lewis, J. Comput. Chem. 12, 891, 1991)"""


FAR = 0.2
"""nm, beyond which a hydrogen is not bonded whatever its name says"""


def all_bonds(structure: Structure) -> set[tuple[int, int]]:
    """Pairs of indices, the smaller first: the topology's bonds, and those by distance of atoms that have none, within their residue. Bonds
    of hydrogens that are far too long, as those by a name that is another atom's too, are none."""
    atoms, x = list(structure.topology.atoms()), structure.positions
    radius = [0.0 if a.element is None else RADII.get(a.element.symbol, 0.0) for a in atoms]
    pairs = {(min(a.index, b.index), max(a.index, b.index)) for a, b in structure.topology.bonds()}
    found = {(i, j) for i, j in pairs if RADII["H"] not in (radius[i], radius[j]) or float(np.linalg.norm(x[i] - x[j])) < FAR}
    bonded = {k for pair in found for k in pair}
    loose = {k for k, r in enumerate(radius) if r and k not in bonded}
    if not loose:
        return found
    for i, j in cKDTree(x).query_pairs(2 * max(radius) + TOLERANCE):
        one, other = atoms[i], atoms[j]
        if one.residue is not other.residue or not (i in loose or j in loose) or not (radius[i] and radius[j]):
            continue
        if is_hydrogen(one) and is_hydrogen(other):
            continue
        if float(np.linalg.norm(x[i] - x[j])) < radius[i] + radius[j] + TOLERANCE:
            found.add((min(i, j), max(i, j)))
    return found
