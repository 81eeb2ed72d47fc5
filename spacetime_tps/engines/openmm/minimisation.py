"""Energy minimisation with every evaluation counted."""

from dataclasses import dataclass

import numpy as np
import openmm
from openmm import unit
from scipy.optimize import minimize

from spacetime_tps.engines.openmm.constraints import inverse_masses, place, positions_of
from spacetime_tps.engines.openmm.dynamics import Model

STIFFNESS = (1e5, 1e6)
"""kJ/mol/nm^2 of springs that stand for constraints, one minimisation after another; a bond to hydrogen has 3e5"""


@dataclass(frozen=True)
class Minimum:
    """A minimised structure."""

    positions: np.ndarray
    """(atoms, 3), nm"""
    energy: float
    """kJ/mol"""
    evaluations: int


class Potential:
    """Energy and gradient of the unrestrained molecule, each call one evaluation."""

    def __init__(self, model: Model):
        system = model.system()
        self._context = model.context(system, openmm.VerletIntegrator(model.timestep))
        found = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
        self.constraints = np.array([(i, j) for i, j, _ in found], dtype=int).reshape(-1, 2)
        self.lengths = np.array([length.value_in_unit(unit.nanometer) for *_, length in found])
        self.moves = inverse_masses(self._context)[:, 0] > 0.0
        self.evaluations = 0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in kJ/mol and its gradient (atoms, 3) in kJ/mol/nm."""
        self.evaluations += 1
        self._context.setPositions(positions)
        self._context.computeVirtualSites()
        state = self._context.getState(energy=True, forces=True)
        force = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
        return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), -force

    def allowed(self, positions: np.ndarray) -> np.ndarray:
        """Positions (atoms, 3), nm, moved to where constraints hold and virtual sites belong; no evaluation."""
        place(self._context, positions)
        return positions_of(self._context)


def minimise(potential: Potential, positions: np.ndarray, *, tolerance: float, moving: np.ndarray | None = None) -> Minimum:
    """The nearest minimum by L-BFGS, until no force component exceeds `tolerance` in kJ/mol/nm; where `moving` (atoms,) bool is given, of
    those atoms among the others as they are. Springs stand for constraints, which hold in what comes back.
    """
    before, start = potential.evaluations, np.array(positions, dtype=float)
    free = potential.moves if moving is None else potential.moves & moving
    held = free[potential.constraints].all(axis=1)
    if not held.any():
        found, energy = _bottom(potential, start, free, held, 0.0, tolerance)
        return Minimum(found, energy, potential.evaluations - before)
    for stiffness in STIFFNESS:
        start, _ = _bottom(potential, start, free, held, stiffness, tolerance)
    found = potential.allowed(start)
    energy, _ = potential(found)
    return Minimum(found, energy, potential.evaluations - before)


def _bottom(
    potential: Potential, positions: np.ndarray, free: np.ndarray, held: np.ndarray, stiffness: float, tolerance: float
) -> tuple[np.ndarray, float]:
    """Positions and energy with springs for the constraints `held`, whose energy is in it."""
    pairs, lengths = potential.constraints[held], potential.lengths[held]

    def full(x: np.ndarray) -> np.ndarray:
        there = positions.copy()
        there[free] = x.reshape(-1, 3)
        return there

    def flat(x: np.ndarray) -> tuple[float, np.ndarray]:
        there = full(x)
        energy, gradient = potential(there)
        if len(pairs):
            apart = there[pairs[:, 1]] - there[pairs[:, 0]]
            length = np.linalg.norm(apart, axis=1)
            pull = stiffness * ((length - lengths) / length)[:, None] * apart
            np.add.at(gradient, pairs[:, 1], pull)
            np.add.at(gradient, pairs[:, 0], -pull)
            energy += 0.5 * stiffness * float(((length - lengths) ** 2).sum())
        return energy, gradient[free].ravel()

    result = minimize(
        flat,
        positions[free].ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": tolerance, "ftol": 1e-12, "maxiter": 20_000, "maxfun": 20_000, "maxcor": 30},
    )
    return full(result.x), float(result.fun)
