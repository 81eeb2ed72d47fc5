"""Best superposition of frames on a reference (Kabsch, Acta Cryst. A 32, 922, 1976), all atoms of equal weight."""

import numpy as np


def centre(positions: np.ndarray) -> np.ndarray:
    """(..., 3) of positions (..., n, 3)."""
    return np.asarray(positions.mean(axis=-2))


def superposed(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Positions (..., n, 3) moved and turned, never reflected, onto reference (n, 3)."""
    p = np.asarray(positions, dtype=float)
    return np.asarray((p - centre(p)[..., None, :]) @ rotation(p, reference) + centre(reference))


def rotation(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The matrix (..., 3, 3) that turns positions (..., n, 3), as rows from their centre, onto reference (n, 3)."""
    moved = positions - centre(positions)[..., None, :]
    u, _, vt = np.linalg.svd(np.einsum("...ni,nj->...ij", moved, reference - centre(reference)))
    u[..., -1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None]
    return np.asarray(u @ vt)


def rmsd(positions: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root mean square distance (...) of positions (..., n, 3) from reference (n, 3) after superposition."""
    return np.asarray(np.sqrt(((superposed(positions, reference) - reference) ** 2).sum(-1).mean(-1)))
