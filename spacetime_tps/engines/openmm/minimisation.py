"""Energy minimisation with every evaluation counted."""

from dataclasses import dataclass

import numpy as np
import openmm
from openmm import unit
from scipy.optimize import minimize

from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.molecules.forcefield import deserialised


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
        system = deserialised(model.system_xml, "system.xml")
        platform = openmm.Platform.getPlatformByName(model.platform)
        one_thread = {"Threads": "1"} if model.platform == "CPU" else {}  # sums in one order: the same minima on every machine
        self._context = openmm.Context(system, openmm.VerletIntegrator(model.timestep), platform, one_thread)
        self.evaluations = 0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in kJ/mol and its gradient (atoms, 3) in kJ/mol/nm."""
        self.evaluations += 1
        self._context.setPositions(positions)
        state = self._context.getState(energy=True, forces=True)
        force = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
        return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), -force


def minimise(potential: Potential, positions: np.ndarray, *, tolerance: float) -> Minimum:
    """The nearest minimum by L-BFGS, until no force component exceeds `tolerance` in kJ/mol/nm."""
    before = potential.evaluations

    def flat(x: np.ndarray) -> tuple[float, np.ndarray]:
        energy, gradient = potential(x.reshape(-1, 3))
        return energy, gradient.ravel()

    result = minimize(
        flat,
        np.asarray(positions, dtype=float).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": tolerance, "ftol": 1e-12, "maxiter": 20_000, "maxfun": 20_000, "maxcor": 30},
    )
    return Minimum(result.x.reshape(-1, 3), float(result.fun), potential.evaluations - before)
