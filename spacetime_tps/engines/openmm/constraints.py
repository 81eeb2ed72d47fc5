"""Positions and velocities that constraints allow, by OpenMM's own algorithms; nothing changes where a System has no constraints.

LangevinMiddle projects velocities onto the constraints right after its kick, so velocities that are set need not lie there for the motion
to be right; those that are read, drawn or taken for the start of a half step do.
"""

import numpy as np
import openmm

TOLERANCE = 1e-6
"""Of a constraint's length, relative; of the integrator's steps too"""


def place(context: openmm.Context, positions: np.ndarray) -> None:
    """Set positions (atoms, 3), nm, moved to where constraints hold, and virtual sites to where they belong."""
    context.setPositions(positions)
    context.applyConstraints(TOLERANCE)


def tangent(context: openmm.Context, velocities: np.ndarray) -> np.ndarray:
    """Velocities (atoms, 3), nm/ps, without what would stretch a constraint at the context's positions. The context's own stay."""
    if not constrained(context):
        return velocities
    before = context.getState(velocities=True).getVelocities()
    context.setVelocities(velocities)
    context.applyVelocityConstraints(TOLERANCE)
    found = context.getState(velocities=True).getVelocities(asNumpy=True)._value
    context.setVelocities(before)
    return np.asarray(found)


def drift(context: openmm.Context, positions: np.ndarray, velocities: np.ndarray, time: float) -> np.ndarray:
    """Move by `time`, ps, from positions with velocities that constraints allow: where that leads (atoms, 3). The context is there, with
    the velocities of the move."""
    straight = positions + time * velocities
    place(context, straight)
    if not constrained(context):
        context.setVelocities(velocities)
        return straight
    there = positions_of(context)
    context.setVelocities((there - positions) / time)
    return there


def positions_of(context: openmm.Context) -> np.ndarray:
    """(atoms, 3), nm, as they are now."""
    return np.asarray(context.getState(positions=True).getPositions(asNumpy=True)._value)


def constrained(context: openmm.Context) -> bool:
    """Whether there are any constraints."""
    return bool(context.getSystem().getNumConstraints())


def inverse_masses(context: openmm.Context) -> np.ndarray:
    """(atoms, 1), 1/Da; zero for particles that do not move."""
    system = context.getSystem()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])[:, None]
    return np.divide(1.0, masses, out=np.zeros_like(masses), where=masses > 0.0)
