"""Bonds of a molecule that a torsion is of, and the four atoms of each: outside rings and inside."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.coordinates.molecule import Molecule

Four = tuple[int, int, int, int]
Neighbours = dict[int, set[int]]


def about_bonds(molecule: Molecule) -> list[Four]:
    """One for each heavy-atom bond that is in no ring and has heavy atoms on both sides, along the longest branches."""
    near = _skeleton(molecule)
    found = []
    for j, k in _bonds(near):
        left, right = near[j] - {k}, near[k] - {j}
        if not left or not right or k in _branch(near, j, k):
            continue
        i = max(left, key=lambda n: (len(_branch(near, n, j)), -n))
        m = max(right, key=lambda n: (len(_branch(near, n, k)), -n))
        found.append((i, j, k, m))
    return found


def along_rings(molecule: Molecule) -> list[Four]:
    """One for each heavy-atom bond that is in a ring, along the ring: through the neighbours by the shortest way back."""
    near = _skeleton(molecule)
    ways = [(j, k, _shortest(near, j, k)) for j, k in _bonds(near)]
    return [(way[1], j, k, way[-2]) for j, k, way in ways if len(way) >= 4]


def turned(molecule: Molecule, positions: np.ndarray, four: Four, angle: float) -> np.ndarray:
    """Positions (atoms, 3) with a torsion changed by an angle in radians, all beyond its bond moving with it (Rodrigues' formula); as they
    are where the bond is in a ring."""
    near: Neighbours = {k: set() for k in range(len(molecule.atoms))}
    for a, b in molecule.bonds:
        near[a].add(b)
        near[b].add(a)
    _, j, k, _ = four
    beyond = sorted(_branch(near, k, j))
    if j in beyond:
        return positions
    axis = positions[k] - positions[j]
    axis = axis / np.linalg.norm(axis)
    arm = positions[beyond] - positions[k]
    along = np.outer(arm @ axis, axis)
    found = positions.copy()
    found[beyond] = positions[k] + along + np.cos(angle) * (arm - along) + np.sin(angle) * np.cross(axis, arm)
    return found


def _skeleton(molecule: Molecule) -> Neighbours:
    """The neighbours of each atom of an element but hydrogen, among those atoms."""
    near: Neighbours = {k: set() for k, atom in enumerate(molecule.atoms) if atom.element not in ("", "H")}
    for a, b in molecule.bonds:
        if a in near and b in near:
            near[a].add(b)
            near[b].add(a)
    return near


def _bonds(near: Neighbours) -> list[tuple[int, int]]:
    return sorted({(min(a, b), max(a, b)) for a in near for b in near[a]})


def _shortest(near: Neighbours, start: int, end: int) -> Sequence[int]:
    """Atoms of the shortest way from start to end that is not their bond; nothing where there is none."""
    before: dict[int, int] = {start: start}
    edge = [start]
    while edge:
        further = []
        for atom in edge:
            for other in sorted(near[atom]):
                if other in before or (atom, other) == (start, end):
                    continue
                before[other] = atom
                if other == end:
                    way = [end]
                    while way[-1] != start:
                        way.append(before[way[-1]])
                    return way[::-1]
                further.append(other)
        edge = further
    return []


def _branch(near: Neighbours, root: int, without: int) -> set[int]:
    """Atoms reached from `root` without crossing its bond to `without`; `without` itself among them means a ring."""
    seen, stack = {root}, [n for n in near[root] if n != without]
    while stack:
        atom = stack.pop()
        if atom not in seen:
            seen.add(atom)
            stack.extend(near[atom])
    return seen
