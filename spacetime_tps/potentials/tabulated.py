"""Surfaces from tables over two torsions: a bicubic spline, periodic where the table is."""

from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor

from spacetime_tps.errors import SpacetimeError

PAD = 8
"""Points added on either side of a periodic table, so that the spline does not feel its end"""
TURN = 2.0 * np.pi


class Tabulated:
    """U(phi, psi), angles in radians, on any branch: they are wrapped to [-pi, pi) first."""

    dimension = 2

    def __init__(self, phi: np.ndarray, psi: np.ndarray, energy: np.ndarray):
        """phi (n,), psi (m,) equally spaced, energy (n, m). A table is periodic where its last line continues at, or repeats, its first.

        A table that covers the turn with unequal ends is taken as it is: U then jumps at the seam, and forces do not see the jump.
        """
        axes, values = [np.asarray(phi, dtype=float), np.asarray(psi, dtype=float)], np.asarray(energy, dtype=float)
        if values.shape != tuple(len(a) for a in axes):
            raise SpacetimeError(f"a surface of {len(phi)} x {len(psi)} angles cannot have energies of shape {values.shape}")
        repeats = [abs(axis[-1] - axis[0] - TURN) < 1e-6 * TURN for axis in axes]
        self.periodic = not any(repeats) or (np.allclose(values[0], values[-1]) and np.allclose(values[:, 0], values[:, -1]))
        if self.periodic:
            for k, repeated in enumerate(repeats):
                if repeated:
                    axes[k], values = axes[k][:-1], np.delete(values, -1, axis=k)
                elif abs(axes[k][-1] + axes[k][1] - 2 * axes[k][0] - TURN) > 1e-3:
                    raise SpacetimeError("a surface must cover a whole turn of both torsions, in radians")
            axes = [np.concatenate([a[-PAD:] - TURN, a, a[:PAD] + TURN]) for a in axes]
            values = np.pad(values, PAD, mode="wrap")
        self._low = torch.tensor([a[0] for a in axes], dtype=torch.double)
        self._step = torch.tensor([(a[-1] - a[0]) / (len(a) - 1) for a in axes], dtype=torch.double)
        self._cells = torch.tensor([len(a) - 2 for a in axes])
        spline = RectBivariateSpline(*axes, values)
        hx, hy = self._step.tolist()
        nodes = [spline(*axes), hx * spline(*axes, dx=1), hy * spline(*axes, dy=1), hx * hy * spline(*axes, dx=1, dy=1)]
        # A cubic spline is, cell by cell, the Hermite interpolant of its own values and slopes.
        node = torch.from_numpy(np.stack(nodes, axis=-1).reshape(*nodes[0].shape, 2, 2))  # (row, column, order in psi, order in phi)
        corners = [torch.stack([node[i : len(node) - 1 + i, j : node.shape[1] - 1 + j] for j in (0, 1)], -1) for i in (0, 1)]
        self._columns = node.shape[1] - 1
        # (cell, [order, corner] in phi, [order, corner] in psi)
        self._block = torch.stack(corners, -2).permute(0, 1, 3, 4, 2, 5).reshape(-1, 4, 4).contiguous()

    def energy(self, x: Tensor) -> Tensor:
        """U (...) at x (..., 2)."""
        return self.energy_and_gradient(x.reshape(-1, 2))[0].reshape(x.shape[:-1])

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U (n,) and its gradient (n, 2) per radian, at x (n, 2)."""
        wrapped = torch.remainder(x + np.pi, TURN) - np.pi
        scaled = (wrapped - self._low) / self._step
        cell = torch.minimum(scaled.long().clamp_min(0), self._cells)
        block = self._block[cell[:, 0] * self._columns + cell[:, 1]]
        phi, psi = _hermite(scaled - cell).unbind(1)
        along_psi = torch.bmm(block, psi)
        energy, slope_psi = (phi[..., :1] * along_psi).sum(1).unbind(-1)
        slope_phi = torch.linalg.vecdot(phi[..., 1], along_psi[..., 0])
        return energy, torch.stack([slope_phi, slope_psi], dim=-1) / self._step


def _hermite(t: Tensor) -> Tensor:
    """Cubic Hermite basis at t (n, axes) and its derivative: (n, axes, 4, 2), the 4 being values at 0 and 1, then slopes at 0 and 1."""
    s = 1.0 - t
    bend = 6 * t * s
    value = [s * s * (1 + 2 * t), t * t * (3 - 2 * t), t * s * s, -t * t * s]
    slope = [-bend, bend, s * (s - 2 * t), t * (t - 2 * s)]
    return torch.stack([torch.stack(value, -1), torch.stack(slope, -1)], -1)


def load_surface(path: Path) -> Tabulated:
    """From an .npz with phi, psi (radians) and energy (axis 0 = phi), or a text table of phi, psi, energy with phi fastest.

    Raises SpacetimeError for a file that is neither.
    """
    if not path.is_file():
        raise SpacetimeError(f"there is no surface file {path}")
    if path.suffix == ".npz":
        with np.load(path) as data:
            if not {"phi", "psi", "energy"} <= set(data.files):
                raise SpacetimeError(f"{path.name} must hold phi, psi and energy; it holds {', '.join(data.files)}")
            return Tabulated(data["phi"], data["psi"], data["energy"])
    try:
        table = np.loadtxt(path)
    except ValueError as problem:
        raise SpacetimeError(f"{path.name} is neither an .npz nor a table of numbers") from problem
    if table.ndim != 2 or table.shape[1] != 3:
        raise SpacetimeError(f"{path.name} must have three columns, phi, psi and energy")
    phi, psi = np.unique(table[:, 0]), np.unique(table[:, 1])
    if len(phi) * len(psi) != len(table) or not np.allclose(table[: len(phi), 0], phi):
        raise SpacetimeError(f"{path.name} must be a full table with phi running fastest")
    return Tabulated(phi, psi, table[:, 2].reshape(len(psi), len(phi)).T)
