"""Torsion coordinates: from positions to T for the denoiser, and the restraint force -kT eta . T for OpenMM."""

from dataclasses import dataclass

import numpy as np
import openmm

BIAS_GROUP = 31
"""Force group of the restraint; the molecule's own forces stay in the groups below it."""


def shortest_change(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The change in [-pi, pi) that takes each angle (...), in radians, the short way round."""
    return (end - start + np.pi) % (2 * np.pi) - np.pi


@dataclass(frozen=True)
class Torsions:
    """n torsions of four atoms each. A restraint eta is a product of von Mises factors (geometry.families.VonMises)."""

    names: tuple[str, ...]
    atoms: tuple[tuple[int, int, int, int], ...]

    @property
    def dimension(self) -> int:
        """Length of eta and T."""
        return 2 * len(self.atoms)

    def angles(self, positions: np.ndarray) -> np.ndarray:
        """Torsions (..., n) in radians, in (-pi, pi], IUPAC sign, of positions (..., atoms, 3)."""
        p = np.asarray(positions, dtype=float)
        i, j, k, m = (p[..., column, :] for column in np.array(self.atoms).T)
        axis = k - j
        left, right = np.cross(j - i, axis), np.cross(axis, m - k)
        sine = (np.cross(left, right) * axis).sum(-1) / np.linalg.norm(axis, axis=-1)
        return np.arctan2(sine, (left * right).sum(-1))

    def statistic(self, positions: np.ndarray) -> np.ndarray:
        """T (..., 2n) = (cos, sin) per torsion, of positions (..., atoms, 3)."""
        angles = self.angles(positions)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(*angles.shape[:-1], self.dimension)

    def restraint(self, kT: float) -> openmm.CustomTorsionForce:
        """The force with energy -kT eta . T(x), eta zero until `set_bias`. kT in kJ/mol."""
        force = openmm.CustomTorsionForce(f"-kT*(eta_cos*cos(theta) + eta_sin*sin(theta)); kT={kT!r}")
        force.setName("SpacetimeRestraint")
        force.addPerTorsionParameter("eta_cos")
        force.addPerTorsionParameter("eta_sin")
        for atoms in self.atoms:
            force.addTorsion(*atoms, [0.0, 0.0])
        force.setForceGroup(BIAS_GROUP)
        return force

    def set_bias(self, force: openmm.CustomTorsionForce, context: openmm.Context, eta: np.ndarray) -> None:
        """Set the restraint of a running context to eta (2n,)."""
        for index, (atoms, pair) in enumerate(zip(self.atoms, np.reshape(eta, (-1, 2)).tolist(), strict=True)):
            force.setTorsionParameters(index, *atoms, pair)
        force.updateParametersInContext(context)
