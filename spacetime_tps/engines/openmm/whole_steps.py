"""Velocities at whole steps, where turning them runs the motion backwards; LangevinMiddle in OpenMM keeps those of half a step before."""

from typing import Any

import numpy as np
import openmm

from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, inverse_masses
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.molecules.forcefield import deserialised


def whole_step_velocities(model: Model, positions: np.ndarray, velocities: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, int]:
    """Velocities (F, atoms, 3), nm/ps, at the times of their frames, and the evaluations that it took, one a frame.

    positions (F, atoms, 3), nm; velocities (F, atoms, 3) that belong `offsets` (F,) steps after them. A step of LangevinMiddle kicks by
    dt force / mass at a whole step and then drifts, so that v(t) = v(t + o dt) - o dt force(x(t)) / mass for o = -1/2 and 1/2: friction and
    noise act in the middle of a step, outside of that half.
    """
    potential, kick = Potential(model), model.timestep * inverse_masses(Dynamics(model).context)
    found = [v + o * kick * potential(x)[1] for x, v, o in zip(positions.astype(float), velocities, offsets.tolist(), strict=True)]
    return np.array(found).reshape(velocities.shape), potential.evaluations


def langevin(model: Model, *, seed: int) -> tuple[Any, Any]:
    """The model's OpenMM System and a LangevinMiddleIntegrator of its own."""
    integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, model.timestep)
    integrator.setRandomNumberSeed(seed)
    return deserialised(model.system_xml, "system.xml"), integrator
