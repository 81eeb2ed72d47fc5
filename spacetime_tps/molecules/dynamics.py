"""The package's only MD loop: Langevin dynamics of one molecule under a restraint that changes from point to point of a curve."""

import math
from dataclasses import dataclass

import numpy as np
import openmm

from spacetime_tps.molecules.coordinates import BIAS_GROUP, Torsions
from spacetime_tps.units import thermal_energy

OWN_GROUPS = (1 << BIAS_GROUP) - 1
"""Bit mask of all force groups but the restraint's"""


@dataclass(frozen=True)
class Model:
    """Everything a process needs to simulate the molecule; plain data, so that it can be sent to one."""

    system_xml: str
    torsions: Torsions
    temperature: float
    """K"""
    friction: float
    """1/ps"""
    timestep: float
    """ps"""
    platform: str

    @property
    def kT(self) -> float:
        return thermal_energy(self.temperature)


@dataclass(frozen=True)
class Walk:
    """A task: `steps` Langevin steps at each of the points `eta` (P, E), in their order, from given positions."""

    eta: np.ndarray
    steps: int
    stride: int
    """Steps between stored frames."""
    seed: int
    positions: np.ndarray
    """(atoms, 3), nm"""
    velocities: np.ndarray | None = None
    """(atoms, 3), nm/ps; drawn from the Maxwell distribution when None."""
    discard: int = 0
    """Steps at each point before frames are stored. With 0, the first stored frame is the start itself."""
    friction: float | None = None
    """1/ps; the model's when None. Whatever it is, the stationary distribution is the same."""


@dataclass(frozen=True)
class Frames:
    """What a walk leaves: F frames, at every `stride` steps of the stored parts."""

    positions: np.ndarray
    """(F, atoms, 3) float32, nm"""
    velocities: np.ndarray
    """(F, atoms, 3) float32, nm/ps"""
    time: np.ndarray
    """(F,) ps since the start of the walk"""
    potential_energy: np.ndarray
    """(F,) kJ/mol, without the restraint"""
    point: np.ndarray
    """(F,) index into the walk's eta of the restraint that the frame was made under"""
    evaluations: int
    """Force evaluations spent, those of an unstable walk included."""
    stable: bool

    def __len__(self) -> int:
        return len(self.time)


def biased_system(model: Model) -> tuple[openmm.System, openmm.CustomTorsionForce]:
    """The model's System with its restraint added."""
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    force = model.torsions.restraint(model.kT)
    system.addForce(force)
    return system, force


def restrained_context(model: Model) -> tuple[openmm.Context, openmm.LangevinMiddleIntegrator, openmm.CustomTorsionForce]:
    """A context of the model with its restraint, its integrator, and the restraint. On the CPU platform it keeps to one thread."""
    system, restraint = biased_system(model)
    integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, model.timestep)
    properties = {"Threads": "1"} if model.platform == "CPU" else {}
    platform = openmm.Platform.getPlatformByName(model.platform)
    return openmm.Context(system, integrator, platform, properties), integrator, restraint


def inverse_masses(context: openmm.Context) -> np.ndarray:
    """(atoms, 1), 1/Da; zero for particles that do not move."""
    system = context.getSystem()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])[:, None]
    return np.divide(1.0, masses, out=np.zeros_like(masses), where=masses > 0.0)


class Dynamics:
    """One OpenMM context of a model, reused from task to task."""

    def __init__(self, model: Model):
        self.model = model
        self.context, self.integrator, self._restraint = restrained_context(model)

    def begin(
        self, seed: int, eta: np.ndarray, positions: np.ndarray, velocities: np.ndarray | None = None, *, friction: float | None = None
    ) -> None:
        """Start anew from positions (atoms, 3) under a restraint eta (E,). Velocities are drawn from the Maxwell distribution when None;
        the friction, 1/ps, is the model's when None."""
        # OpenMM reads the integrator's seed when a context is made, so each task makes its own.
        self.integrator.setRandomNumberSeed(seed)
        self.integrator.setFriction(self.model.friction if friction is None else friction)
        self.context.reinitialize()
        self.context.setPositions(positions)
        # OpenMM shifts drawn velocities by half a step with the forces at hand: the last task's restraint must be gone.
        self.restrain(eta)
        if velocities is None:
            self.context.setVelocitiesToTemperature(self.model.temperature, seed)
        else:
            self.context.setVelocities(velocities)

    def restrain(self, eta: np.ndarray) -> None:
        """Set the restraint to eta (E,)."""
        self.model.torsions.set_bias(self._restraint, self.context, eta)

    def walk(self, task: Walk) -> Frames:
        """Run a task. A walk whose coordinates or energy stop being finite ends there, with stable=False."""
        self.begin(task.seed, task.eta[0], task.positions, task.velocities, friction=task.friction)
        record = Record(self.context)
        try:
            if task.discard == 0:
                record.add(0.0, 0)
            for point, eta in enumerate(task.eta):
                self.restrain(eta)
                record.step(self.integrator, task.discard)
                for _ in range((task.steps - task.discard) // task.stride):
                    record.step(self.integrator, task.stride)
                    record.add(record.steps * self.model.timestep, point)
        except (openmm.OpenMMException, FloatingPointError):
            return record.frames(stable=False)
        return record.frames(stable=True)


class Record:
    """Frames as they come."""

    def __init__(self, context: openmm.Context):
        self._context = context
        self._rows: list[tuple[np.ndarray, np.ndarray, float, float, int]] = []
        self._atoms = context.getSystem().getNumParticles()
        self.steps = 0

    def step(self, integrator: openmm.Integrator, count: int) -> None:
        """Steps that count."""
        self.steps += count  # counted first: a step that fails was paid for
        integrator.step(count)

    def positions(self) -> np.ndarray:
        """(atoms, 3), nm, as they are now."""
        positions = np.empty((self._atoms, 3))
        self._context.getState(positions=True)._getVectorAsNumpy(openmm.State.Positions, positions)
        return positions

    def add(self, time: float, point: int) -> None:
        """Store a frame."""
        # Beside 25 steps of 12 us each, OpenMM's units on the arrays would cost an eighth of the speed; the call under them does not.
        state = self._context.getState(positions=True, velocities=True, energy=True, groups=OWN_GROUPS)
        energy = state.getPotentialEnergy()._value
        if not math.isfinite(energy):
            raise FloatingPointError("potential energy is not finite")
        positions, velocities = np.empty((self._atoms, 3)), np.empty((self._atoms, 3))
        state._getVectorAsNumpy(openmm.State.Positions, positions)
        state._getVectorAsNumpy(openmm.State.Velocities, velocities)
        self._rows.append((positions, velocities, time, energy, point))

    def frames(self, *, stable: bool) -> Frames:
        """All of them."""
        with np.errstate(over="ignore"):
            positions, velocities = (np.array([r[k] for r in self._rows], dtype=np.float32).reshape(-1, self._atoms, 3) for k in (0, 1))
        return Frames(
            positions=positions,
            velocities=velocities,
            time=np.array([r[2] for r in self._rows], dtype=float),
            potential_energy=np.array([r[3] for r in self._rows], dtype=float),
            point=np.array([r[4] for r in self._rows], dtype=int),
            evaluations=self.steps,
            stable=stable and bool(np.isfinite(positions).all() and np.isfinite(velocities).all()),
        )
