"""Biases in OpenMM: the restraint -kT eta . T along a curve, and windows on one scalar of T. Both come from the coordinates' terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import openmm
from openmm import unit

from spacetime_tps.coordinates.protocol import Coordinates, HeldFrame, Term
from spacetime_tps.coordinates.superposition import centre
from spacetime_tps.windows.protocol import Variable

BIAS_GROUP = 31
"""Force group of everything that is no force of the molecule's own"""
PREFIX = "spacetime_"
"""Of parameters of a whole context: a System may have some of its own"""
HOLD = f"{PREFIX}hold"
SOFTEST = 0.15
"""Angular frequency of a held frame times the time step: stiff against the molecule's turning, slow against the integrator"""


class Attached(Protocol):
    """A bias in a System of which a context is going to be made."""

    def set(self, context: openmm.Context, parameters: np.ndarray) -> None:
        """Parameters of a running context; all zero switches the bias off."""


class Bias(Protocol):
    """What is added to a molecule's energy while it walks. Frozen and hashable: contexts are kept by it."""

    @property
    def frame(self) -> HeldFrame | None:
        """What is held in the laboratory while the bias acts; a walk must begin there."""

    def attach(self, system: openmm.System, kT: float, timestep: float) -> Attached:
        """Add the forces. kT in kJ/mol; timestep in ps."""

    def to_json(self) -> dict[str, Any]:
        """All that it depends on, as plain data: walks that are kept are told apart by it."""


@dataclass(frozen=True)
class CurveBias:
    """-kT eta . T(x), with eta (E,) as its parameters."""

    coordinates: Coordinates

    @property
    def frame(self) -> HeldFrame | None:
        return self.coordinates.frame

    def attach(self, system: openmm.System, kT: float, timestep: float) -> Attached:
        """One force for each kind of term."""
        groups = [_TermForce(same, f"-{kT!r}", system) for same in _alike(self.coordinates.terms)]
        for group in groups:
            _add(system, group.force, "SpacetimeRestraint")
        return _Curve(groups, _held(self.coordinates.frame, system, timestep))

    def to_json(self) -> dict[str, Any]:
        return {"blocks": self.coordinates.to_json()}


@dataclass(frozen=True)
class WindowBias:
    """A window on a scalar of T, with (center, stiffness) as its parameters."""

    coordinates: Coordinates
    variable: Variable

    @property
    def frame(self) -> HeldFrame | None:
        return self.coordinates.frame

    def attach(self, system: openmm.System, kT: float, timestep: float) -> Attached:
        """A CustomCVForce over the terms that the variable's functionals need."""
        definitions, forces = [], {}
        for k, coefficients in enumerate(np.array(self.variable.functionals)):
            needed = [term for term in self.coordinates.terms if np.any(coefficients[list(term.features)])]
            for n, same in enumerate(_alike(needed)):
                forces[f"f{k}_{n}"] = _TermForce(same, "1", system, coefficients).force
            definitions.append(f"f{k}=" + ("+".join(name for name in forces if name.startswith(f"f{k}_")) or "0"))
        own = (f"{name}={PREFIX}{name}" for name in ("center", "stiffness"))
        force = openmm.CustomCVForce("; ".join((f"{kT!r}*({self.variable.energy})", *own, *definitions)))
        force.addGlobalParameter(f"{PREFIX}center", 0.0)
        force.addGlobalParameter(f"{PREFIX}stiffness", 0.0)
        for name, part in forces.items():
            force.addCollectiveVariable(name, part)
        _add(system, force, "SpacetimeWindow")
        return _Placed(_held(self.coordinates.frame, system, timestep))

    def to_json(self) -> dict[str, Any]:
        return {"blocks": self.coordinates.to_json(), "variable": self.variable.to_json()}


def _add(system: openmm.System, force: openmm.Force, name: str) -> None:
    force.setName(name)
    force.setForceGroup(BIAS_GROUP)
    system.addForce(force)


def _alike(terms: Sequence[Term]) -> list[list[Term]]:
    """Terms that one force can hold."""

    def kind(term: Term) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        return len(term.atoms), term.expressions, tuple(name for name, _ in term.constants)

    return [list(same) for _, same in groupby(sorted(terms, key=kind), key=kind)]


class _TermForce:
    """factor * sum over terms of coefficient . expressions, as one of OpenMM's custom forces."""

    def __init__(self, terms: Sequence[Term], factor: str, system: openmm.System, coefficients: np.ndarray | None = None):
        self.terms = terms
        first = terms[0]
        names = [f"e{k}" for k in range(len(first.expressions))]
        energy = f"{factor}*(" + "+".join(f"{name}*({part})" for name, part in zip(names, first.expressions, strict=True)) + ")"
        make, per, add, change = {
            4: (openmm.CustomTorsionForce, "addPerTorsionParameter", "addTorsion", "setTorsionParameters"),
            3: (openmm.CustomAngleForce, "addPerAngleParameter", "addAngle", "setAngleParameters"),
            2: (openmm.CustomBondForce, "addPerBondParameter", "addBond", "setBondParameters"),
            1: (openmm.CustomExternalForce, "addPerParticleParameter", "addParticle", "setParticleParameters"),
        }[len(first.atoms)]
        self.force = make(energy)
        for name in [*names, *(name for name, _ in first.constants)]:
            getattr(self.force, per)(name)
        self._change = getattr(self.force, change)
        for term in terms:
            getattr(self.force, add)(*term.atoms, self._parameters(term, coefficients))
        if len(first.atoms) > 1 and system.usesPeriodicBoundaryConditions():
            self.force.setUsesPeriodicBoundaryConditions(True)

    def set(self, context: openmm.Context, coefficients: np.ndarray) -> None:
        """Coefficients (E,) of a running context."""
        for index, term in enumerate(self.terms):
            self._change(index, *term.atoms, self._parameters(term, coefficients))
        self.force.updateParametersInContext(context)

    @staticmethod
    def _parameters(term: Term, coefficients: np.ndarray | None) -> list[float]:
        at = [0.0] * len(term.features) if coefficients is None else coefficients[list(term.features)].tolist()
        return [*at, *(value for _, value in term.constants)]


class _Held:
    """Orientation and centre of a frame, held where it is on."""

    def __init__(self, frame: HeldFrame, system: openmm.System, timestep: float):
        reference, atoms = np.array(frame.reference), list(frame.atoms)
        masses = np.array([system.getParticleMass(a).value_in_unit(unit.dalton) for a in atoms])
        away = reference - np.average(reference, axis=0, weights=masses)
        inertia = np.linalg.eigvalsh((masses[:, None, None] * ((away**2).sum(-1)[:, None, None] * np.eye(3) - _outer(away))).sum(0))
        stiff = (SOFTEST / timestep) ** 2
        self._k = float(stiff * max(inertia[0], 0.1 * inertia[1]))
        everywhere = np.zeros((system.getNumParticles(), 3))
        everywhere[atoms] = reference
        self._orientation = openmm.OrientationRestraintForce(0.0, everywhere.tolist(), atoms)
        middle = openmm.CustomCentroidBondForce(1, f"0.5*{HOLD}*((x1-{HOLD}_x)^2+(y1-{HOLD}_y)^2+(z1-{HOLD}_z)^2)")
        middle.addGroup(atoms, [1.0] * len(atoms))
        middle.addBond([0], [])
        self._centre = float(stiff * masses.sum())
        middle.addGlobalParameter(HOLD, 0.0)
        for axis, place in zip("xyz", centre(reference).tolist(), strict=True):
            middle.addGlobalParameter(f"{HOLD}_{axis}", place)
        _add(system, self._orientation, "HeldOrientation")
        _add(system, middle, "HeldCentre")

    def set(self, context: openmm.Context, on: bool) -> None:
        """Hold, or let go."""
        self._orientation.setK(self._k if on else 0.0)
        self._orientation.updateParametersInContext(context)
        context.setParameter(HOLD, self._centre if on else 0.0)


def _outer(x: np.ndarray) -> np.ndarray:
    return x[:, :, None] * x[:, None, :]


def _held(frame: HeldFrame | None, system: openmm.System, timestep: float) -> _Held | None:
    return None if frame is None else _Held(frame, system, timestep)


class _Curve:
    def __init__(self, groups: Sequence[_TermForce], held: _Held | None):
        self._groups, self._hold = groups, held

    def set(self, context: openmm.Context, parameters: np.ndarray) -> None:
        for group in self._groups:
            group.set(context, parameters)
        if self._hold is not None:
            self._hold.set(context, bool(np.any(parameters)))


class _Placed:
    def __init__(self, held: _Held | None):
        self._hold = held

    def set(self, context: openmm.Context, parameters: np.ndarray) -> None:
        context.setParameter(f"{PREFIX}center", float(parameters[0]))
        context.setParameter(f"{PREFIX}stiffness", float(parameters[1]))
        if self._hold is not None:
            self._hold.set(context, bool(parameters[1]))
