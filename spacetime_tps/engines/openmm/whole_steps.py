"""Velocities at whole steps, where turning them runs the motion backwards; LangevinMiddle in OpenMM keeps those of half a step before."""

import numpy as np
import openmm
from openmm import unit

from spacetime_tps.engines.openmm.constraints import drift, inverse_masses, place, tangent
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model


def whole_step_velocities(model: Model, positions: np.ndarray, velocities: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, int]:
    """Velocities (F, atoms, 3), nm/ps, at the times of their frames, and the evaluations that it took, one a frame.

    positions (F, atoms, 3), nm; velocities (F, atoms, 3) that belong `offsets` (F,) steps after them. A step of LangevinMiddle kicks by
    dt force / mass at a whole step and then drifts, so that v(t) = v(t + o dt) - o dt force(x(t)) / mass for o = -1/2 and 1/2: friction and
    noise act in the middle of a step, outside of that half. What would stretch constraints is taken off.
    """
    context = Dynamics(model).context
    kick = model.timestep * inverse_masses(context)
    found = []
    for x, v, o in zip(positions.astype(float), velocities, offsets.tolist(), strict=True):
        place(context, x)
        found.append(tangent(context, v - o * kick * context.getState(forces=True).getForces(asNumpy=True)._value))
    return np.array(found).reshape(velocities.shape), len(found)


class WholeSteps:
    """An OpenMM context under LangevinMiddle with velocities at whole steps.

    OpenMM keeps those of half a step before: turned, they would be half a step late, and a path would have a kick of dt force / mass in it.
    `evaluations` counts steps. The force that moves velocities by half a step is that of a stored frame, whose step has paid for it.
    """

    def __init__(self, context: openmm.Context):
        integrator = context.getIntegrator()
        self.context, self.half = context, 0.5 * integrator.getStepSize().value_in_unit(unit.picosecond)
        self.inverse = inverse_masses(context)
        kT = unit.MOLAR_GAS_CONSTANT_R * integrator.getTemperature()
        self.spread = np.sqrt(kT.value_in_unit(unit.kilojoule_per_mole) * self.inverse)
        self.evaluations = 0

    def _half_kick(self) -> np.ndarray:
        return np.asarray(self.half * self.inverse * self.context.getState(forces=True).getForces(asNumpy=True)._value)

    def put(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Set positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps."""
        place(self.context, positions)
        self.context.setVelocities(velocities - self._half_kick())

    def get(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (atoms, 3), nm, and velocities (atoms, 3), nm/ps."""
        state = self.context.getState(positions=True, velocities=True)
        velocities = tangent(self.context, state.getVelocities(asNumpy=True)._value + self._half_kick())
        return state.getPositions(asNumpy=True)._value, velocities

    def step(self, count: int) -> None:
        """Steps of the dynamics."""
        self.evaluations += count
        self.context.getIntegrator().step(count)

    def forget(self, rng: np.random.Generator) -> None:
        """One step of the dynamics whose middle forgets the velocity, which leaves their stationary distribution as it is.

        OpenPathSampling's RandomVelocities draws velocities at a whole step, as OpenMM keeps them, where LangevinMiddle's are neither
        Maxwell nor independent of positions. Each draw then leaves kT (omega dt)^2 / 4 of heat in a vibration, which shot after shot hands
        on: alanine dipeptide at 1 fs has 4.6 kJ/mol too much in its bonds alone, a third of the spread of highest energies. In the middle
        of a step velocities are Maxwell and independent of positions, so they are drawn there.
        """
        self.evaluations += 1
        positions, velocities = self.get()
        middle = drift(self.context, positions, tangent(self.context, velocities + self._half_kick()), self.half)
        drift(self.context, middle, tangent(self.context, self.spread * rng.normal(size=positions.shape)), self.half)
