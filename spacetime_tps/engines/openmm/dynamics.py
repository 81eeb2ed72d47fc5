"""The package's only MD loop: Langevin dynamics of one molecule under a bias that changes from point to point of a schedule."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import openmm

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.superposition import centre, rotation
from spacetime_tps.engines.openmm.bias import BIAS_GROUP, Attached, Bias
from spacetime_tps.engines.openmm.constraints import TOLERANCE, constrained, place, positions_of
from spacetime_tps.molecules.forcefield import cell_of, deserialised
from spacetime_tps.seeds import seed_of
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.units import thermal_energy

OWN_GROUPS = (1 << BIAS_GROUP) - 1
"""Bit mask of all force groups but the bias's"""


@dataclass(frozen=True)
class Model:
    """Everything a process needs to simulate the molecule; plain data, so that it can be sent to one."""

    system_xml: str
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

    @cached_property
    def cell(self) -> Cell | None:
        """Box vectors, nm; None where nothing is periodic."""
        return cell_of(self.system())

    def system(self) -> openmm.System:
        """A System of the caller's own, in which no force of the molecule's is in the group of biases."""
        found = deserialised(self.system_xml, "system.xml")
        for force in found.getForces():
            if force.getForceGroup() == BIAS_GROUP:
                force.setForceGroup(0)
        return found

    def integrator(self, seed: int = 0) -> openmm.LangevinMiddleIntegrator:
        """The integrator of all dynamics of the model, whoever runs it."""
        found = openmm.LangevinMiddleIntegrator(self.temperature, self.friction, self.timestep)
        found.setConstraintTolerance(TOLERANCE)
        found.setRandomNumberSeed(seed)
        return found

    @property
    def properties(self) -> dict[str, str]:
        """Of its platform. One thread adds up forces in one order: the same numbers on every machine, and a core a process."""
        return {"Threads": "1"} if self.platform == "CPU" else {}

    def context(self, system: openmm.System, integrator: openmm.Integrator) -> openmm.Context:
        """On its platform."""
        return openmm.Context(system, integrator, openmm.Platform.getPlatformByName(self.platform), self.properties)


@dataclass(frozen=True)
class Walk:
    """A task: `steps` Langevin steps at each of the points of a schedule, in their order, from given positions."""

    bias: Bias | None
    """What holds the molecule; None for dynamics without any"""
    schedule: np.ndarray
    """(P, parameters of the bias); (1, 0) without one"""
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


FREE = np.zeros((1, 0))
"""The schedule of a walk without bias"""


class Dynamics:
    """One OpenMM context of a model under one bias, reused from task to task. On the CPU platform it keeps to one thread."""

    def __init__(self, model: Model, bias: Bias | None = None):
        self.model, self.bias = model, bias
        system = model.system()
        self._bias: Attached | None = None if bias is None else bias.attach(system, model.kT, model.timestep)
        self.integrator = model.integrator()
        self.context = model.context(system, self.integrator)

    def begin(
        self,
        seed: int,
        positions: np.ndarray,
        velocities: np.ndarray | None = None,
        *,
        parameters: np.ndarray | None = None,
        friction: float | None = None,
    ) -> None:
        """Start anew from positions (atoms, 3), under the bias with these parameters. Velocities are drawn from the Maxwell distribution
        when None; the friction, 1/ps, is the model's when None."""
        # OpenMM reads the integrator's seed when a context is made, so each task makes its own.
        self.integrator.setRandomNumberSeed(seed)
        self.integrator.setFriction(self.model.friction if friction is None else friction)
        self.context.reinitialize()
        place(self.context, positions)
        # OpenMM shifts drawn velocities by half a step with the forces at hand: the last task's bias must be gone.
        if parameters is not None:
            self.set_bias(parameters)
        if velocities is None:
            self.context.setVelocitiesToTemperature(self.model.temperature, seed_of(seed, "velocities", 0))
        else:
            self.context.setVelocities(velocities)

    @property
    def positions(self) -> np.ndarray:
        """(atoms, 3), nm, as they are now."""
        return positions_of(self.context)

    def _placed(self, positions: np.ndarray, velocities: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """The molecule moved and turned as a whole to where its bias holds it: it may have tumbled."""
        frame = None if self.bias is None else self.bias.frame
        if frame is None:
            return positions, velocities
        held, reference = positions[list(frame.atoms)], np.array(frame.reference)
        turn = rotation(held, reference)
        return (positions - centre(held)) @ turn + centre(reference), None if velocities is None else velocities @ turn

    def set_bias(self, parameters: np.ndarray) -> None:
        """Set the bias; nothing where there is none."""
        if self._bias is not None:
            self._bias.set(self.context, parameters)

    def walk(self, task: Walk) -> Frames:
        """Run a task. A walk whose coordinates or energy stop being finite ends there, with stable=False.

        Raises ValueError for a task under another bias than this context's.
        """
        if task.bias != self.bias:
            raise ValueError(f"the walk is under {task.bias}, and the context under {self.bias}")
        positions, velocities = self._placed(task.positions, task.velocities)
        self.begin(task.seed, positions, velocities, parameters=task.schedule[0], friction=task.friction)
        record = Record(self.context)
        try:
            if task.discard == 0:
                record.add(0.0, 0)
            for point, parameters in enumerate(task.schedule):
                self.set_bias(parameters)
                record.step(self.integrator, task.discard)
                for _ in range((task.steps - task.discard) // task.stride):
                    record.step(self.integrator, task.stride)
                    record.add(record.steps * self.model.timestep, point)
        except (openmm.OpenMMException, FloatingPointError):
            return record.frames(stable=False)
        return record.frames(stable=True)


class Engine:
    """Dynamics of one model under any bias: a context each, made when it is first needed."""

    def __init__(self, model: Model):
        self.model = model
        self._contexts: dict[Bias | None, Dynamics] = {}

    def under(self, bias: Bias | None) -> Dynamics:
        """The dynamics under a bias."""
        if bias not in self._contexts:
            self._contexts[bias] = Dynamics(self.model, bias)
        return self._contexts[bias]

    def walk(self, task: Walk) -> Frames:
        """Run a task."""
        return self.under(task.bias).walk(task)


class Record:
    """Frames as they come."""

    def __init__(self, context: openmm.Context):
        self._context, self._constrained = context, constrained(context)
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
        """Store a frame, with velocities that constraints allow: the integrator leaves half of the noise across them for its next kick."""
        if self._constrained:
            self._context.applyVelocityConstraints(TOLERANCE)
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
