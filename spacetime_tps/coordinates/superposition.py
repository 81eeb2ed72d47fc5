"""Best superposition of frames on a reference (Kabsch, Acta Cryst. A 32, 922, 1976), all atoms of equal weight."""

import numpy as np


def superposed(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Positions (..., n, 3) moved and turned, never reflected, onto reference (n, 3)."""
    p = np.asarray(positions, dtype=float)
    moved = p - p.mean(axis=-2, keepdims=True)
    return np.asarray(moved @ rotation(p, reference) + reference.mean(axis=0))


def rotation(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The matrix (..., 3, 3) that turns positions (..., n, 3), as rows from their centre, onto reference (n, 3)."""
    moved = positions - positions.mean(axis=-2, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("...ni,nj->...ij", moved, reference - reference.mean(axis=0)))
    u[..., -1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None]
    return np.asarray(u @ vt)


def rmsd(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root mean square distance (...) of positions (..., n, 3) from reference (n, 3) after superposition."""
    return np.asarray(np.sqrt(((superposed(positions, reference) - reference) ** 2).sum(-1).mean(-1)))
