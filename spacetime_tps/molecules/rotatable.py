"""Coordinates that a user need not name: what differs between two structures."""

from collections.abc import Sequence

import numpy as np
from openmm import app

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.distances import CHANGED as CHANGED_DISTANCE
from spacetime_tps.coordinates.distances import Cell, Distances
from spacetime_tps.coordinates.torsions import CHANGED, Torsions
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import Structure


def changed_torsions(start: Structure, end: Structure) -> Torsions:
    """Torsions about heavy-atom bonds that differ by more than 30 degrees: those in no ring, or, where none of them does, those in rings.

    Raises SpacetimeError when there is none.
    """
    for candidates in (rotatable_torsions(start.topology), ring_torsions(start.topology)):
        if candidates.atoms:
            apart = difference(candidates.values(start.positions), candidates.values(end.positions), candidates.angular)
            keep = np.flatnonzero(np.abs(apart) > CHANGED)
            if len(keep):
                closed = tuple(candidates.closed[k] for k in keep) if candidates.closed else ()
                return Torsions(tuple(candidates.names[k] for k in keep), tuple(candidates.atoms[k] for k in keep), closed)
    raise SpacetimeError("no torsion differs by more than 30 degrees between the two structures: they are in the same state")


def changed_distances(start: Structure, end: Structure, cell: Cell | None) -> Distances:
    """Bonded pairs of atoms whose distance differs by more than 0.05 nm. Raises SpacetimeError when there is none."""
    bonds = [(a, b) if a.index < b.index else (b, a) for a, b in start.topology.bonds()]
    everything = Distances(tuple(_pair_name(a, b) for a, b in bonds), tuple((a.index, b.index) for a, b in bonds), cell)
    if bonds:
        keep = np.flatnonzero(np.abs(everything.values(end.positions) - everything.values(start.positions)) > CHANGED_DISTANCE)
        if len(keep):
            return Distances(tuple(everything.names[k] for k in keep), tuple(everything.atoms[k] for k in keep), cell)
    raise SpacetimeError("no bonded distance differs by more than 0.05 nm between the two structures: name the pairs in system.yaml")


def heavy_atoms(topology: app.Topology) -> list[int]:
    """Indices of all atoms but hydrogen."""
    return [a.index for a in topology.atoms() if a.element is None or a.element.symbol != "H"]


def atom_label(atom: app.topology.Atom) -> str:
    """Residue number and atom name, fit for the name of a coordinate."""
    return f"{atom.residue.id}.{atom.name}"


def _pair_name(a: app.topology.Atom, b: app.topology.Atom) -> str:
    return f"d_{atom_label(a)}_{atom_label(b)}"


def ring_torsions(topology: app.Topology) -> Torsions:
    """One torsion about each heavy-atom bond that is in a ring, along the ring: through the neighbours by the shortest way back."""
    heavy, near = _heavy_bonds(topology)
    names, atoms = [], []
    for j, k in sorted({(min(a, b), max(a, b)) for a in near for b in near[a]}):
        way = _shortest(near, j, k)
        if len(way) >= 4:
            names.append(_torsion_name(heavy, j, k))
            atoms.append((way[1], j, k, way[-2]))
    return Torsions(tuple(names), tuple(atoms), (True,) * len(atoms))


def _shortest(near: dict[int, set[int]], start: int, end: int) -> Sequence[int]:
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


def _heavy_bonds(topology: app.Topology) -> tuple[dict[int, app.topology.Atom], dict[int, set[int]]]:
    heavy = {a.index: a for a in topology.atoms() if a.element is not None and a.element.symbol != "H"}
    near: dict[int, set[int]] = {index: set() for index in heavy}
    for a, b in topology.bonds():
        if a.index in heavy and b.index in heavy:
            near[a.index].add(b.index)
            near[b.index].add(a.index)
    return heavy, near


def _torsion_name(heavy: dict[int, app.topology.Atom], j: int, k: int) -> str:
    residue = heavy[j].residue
    return f"{residue.name}{residue.id}_{heavy[j].name}_{heavy[k].name}"


def rotatable_torsions(topology: app.Topology) -> Torsions:
    """One torsion about each heavy-atom bond that is in no ring and has heavy atoms on both sides, along the longest branches."""
    heavy, near = _heavy_bonds(topology)
    names, atoms = [], []
    for j, k in sorted({(min(a, b), max(a, b)) for a in near for b in near[a]}):
        left, right = near[j] - {k}, near[k] - {j}
        if not left or not right or k in _branch(near, j, k):
            continue
        i = max(left, key=lambda n: (len(_branch(near, n, j)), -n))
        m = max(right, key=lambda n: (len(_branch(near, n, k)), -n))
        names.append(_torsion_name(heavy, j, k))
        atoms.append((i, j, k, m))
    return Torsions(tuple(names), tuple(atoms))


def _branch(near: dict[int, set[int]], root: int, without: int) -> set[int]:
    """Atoms reached from `root` without crossing its bond to `without`; `without` itself among them means a ring."""
    seen, stack = {root}, [n for n in near[root] if n != without]
    while stack:
        atom = stack.pop()
        if atom not in seen:
            seen.add(atom)
            stack.extend(near[atom])
    return seen
