"""Room made in a box of solvent for the molecule in another shape."""

import numpy as np
from scipy.spatial import cKDTree

from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.structure import Structure

CLASH = 0.2
"""nm: nearer to the molecule a solvent molecule cannot stay; minimisation moves others apart"""
GRID = 0.05
"""nm, between places that are tried"""


def with_solute(structure: Structure, solute: np.ndarray) -> np.ndarray:
    """Positions (atoms, 3) with the first ones, of the molecule, replaced by `solute`, nm, in a rectangular periodic box. Solvent molecules
    that it would overlap are moved, one by one, to where they are farthest from all else: most find the place that the molecule left.
    """
    assert structure.cell is not None
    edges = np.diag(np.array(structure.cell))
    size = solute_size(structure.topology)
    found = structure.positions.copy()
    found[:size] = solute
    molecules = [np.array([a.index for a in r.atoms()]) for r in structure.topology.residues() if next(r.atoms()).index >= size]
    near = cKDTree(solute % edges, boxsize=edges)
    in_way = [m for m in molecules if near.query(found[m] % edges)[0].min() < CLASH]
    placed = np.setdiff1d(np.arange(len(found)), np.concatenate([*in_way, np.zeros(0, dtype=int)]))
    grid = np.stack(np.meshgrid(*(np.arange(0.0, edge, GRID) for edge in edges), indexing="ij"), axis=-1).reshape(-1, 3)
    room = cKDTree(found[placed] % edges, boxsize=edges).query(grid)[0]
    for molecule in in_way:
        there = grid[np.argmax(room)]
        found[molecule] += there - found[molecule].mean(axis=0)
        taken = cKDTree(found[molecule] % edges, boxsize=edges)
        room = np.minimum(room, taken.query(grid)[0])
    return found
