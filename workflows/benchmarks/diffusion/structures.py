"""Structures of alanine dipeptide with given phi and psi, all else as in a file, and their RMSDs."""

from pathlib import Path

import mdtraj
import numpy as np
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates.superposition import rmsd

STRUCTURE = Path(__file__).parents[3] / "systems/alanine_dipeptide/c5.pdb"


def turned(structure: mdtraj.Trajectory, four: np.ndarray, angle: float) -> mdtraj.Trajectory:
    """The first frame with the torsion of four atoms (4,) at `angle` (rad): all beyond the middle bond turned about it, rigidly."""
    _, j, k, _ = (int(n) for n in four)
    near: dict[int, set[int]] = {atom.index: set() for atom in structure.topology.atoms}
    for a, b in structure.topology.bonds:
        near[a.index].add(b.index)
        near[b.index].add(a.index)
    beyond, stack = {k}, [k]
    while stack:
        for other in near[stack.pop()] - beyond - {j}:
            beyond.add(other)
            stack.append(other)
    moved = sorted(beyond)
    x = structure.xyz[0].astype(float)
    change = angle - float(mdtraj.compute_dihedrals(structure[:1], [four], periodic=False)[0, 0])
    axis = (x[k] - x[j]) / np.linalg.norm(x[k] - x[j])
    x[moved] = Rotation.from_rotvec(change * axis).apply(x[moved] - x[k]) + x[k]
    return mdtraj.Trajectory(x[None], structure.topology)


def heavy_atom_rmsd(angles: np.ndarray, structure: Path = STRUCTURE) -> np.ndarray:
    """RMSD (n, n) in nm of the heavy atoms of structures with phi, psi (n, 2) in radians, each pair superposed."""
    given = mdtraj.load(str(structure))
    phi, psi = mdtraj.compute_phi(given)[0][0], mdtraj.compute_psi(given)[0][0]
    heavy = given.topology.select("not element H")
    x = np.stack([turned(turned(given, phi, a), psi, b).xyz[0, heavy].astype(float) for a, b in angles])
    return np.stack([rmsd(x, reference) for reference in x])
