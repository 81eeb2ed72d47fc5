"""The torsions of a molecule that a user need not name: rotatable bonds between heavy atoms that differ between two structures."""

import numpy as np
from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.coordinates import Torsions, shortest_change
from spacetime_tps.molecules.structure import Structure

CHANGED = np.radians(30.0)
"""A torsion that differs by more between the two ends is one that the transition turns"""


def changed_torsions(start: Structure, end: Structure) -> Torsions:
    """Torsions about acyclic heavy-atom bonds that differ by more than 30 degrees. Raises SpacetimeError when there is none."""
    everything = rotatable_torsions(start.topology)
    if everything.atoms:
        changed = np.abs(shortest_change(everything.angles(start.positions), everything.angles(end.positions))) > CHANGED
        if changed.any():
            keep = np.flatnonzero(changed)
            return Torsions(tuple(everything.names[k] for k in keep), tuple(everything.atoms[k] for k in keep))
    raise SpacetimeError("no torsion differs by more than 30 degrees between the two structures: they are in the same state")


def rotatable_torsions(topology: app.Topology) -> Torsions:
    """One torsion about each heavy-atom bond that is in no ring and has heavy atoms on both sides, along the longest branches."""
    heavy = {a.index: a for a in topology.atoms() if a.element is not None and a.element.symbol != "H"}
    bonds = [(a.index, b.index) for a, b in topology.bonds() if a.index in heavy and b.index in heavy]
    near: dict[int, set[int]] = {index: set() for index in heavy}
    for a, b in bonds:
        near[a].add(b)
        near[b].add(a)
    names, atoms = [], []
    for j, k in sorted((min(bond), max(bond)) for bond in bonds):
        left, right = near[j] - {k}, near[k] - {j}
        if not left or not right or k in _branch(near, j, k):
            continue
        i = max(left, key=lambda n: (len(_branch(near, n, j)), -n))
        m = max(right, key=lambda n: (len(_branch(near, n, k)), -n))
        residue = heavy[j].residue
        names.append(f"{residue.name}{residue.id}_{heavy[j].name}_{heavy[k].name}")
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
