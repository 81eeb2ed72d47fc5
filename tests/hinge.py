"""What tests of the upper rooms share: a molecule of five atoms whose torsions are set by hand and whose landscape is known exactly, and
walks in this process.

U = 6 kJ/mol (1 + cos 2 phi) + 3 kJ/mol (1 - cos(psi - 20 degrees)): minima at phi = -90 and 90 degrees, 12 kJ/mol between them both ways.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import openmm
from openmm import app

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Engine, Model, Walk
from spacetime_tps.engines.openmm.shooting import Outcome, Shot, shoot
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.molecules.integrity import Integrity, hands
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.problem import Problem
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames

PLANE = Torsions(("phi", "psi"), ((0, 1, 2, 3), (1, 2, 3, 4)))
A, B = (State(((TorsionRange((0, 1, 2, 3), low, low + 60.0),),)) for low in (-120.0, 60.0))
"""phi from -120 to -60, and from 60 to 120 degrees"""
ZERO = 10.0
BOND = 0.15
PHI, PSI = 6.0, 3.0
"""kJ/mol, of the two torsions' terms"""


def placed(phi: Any, psi: Any = 0.0) -> np.ndarray:
    """Positions (F, 5, 3), nm, with these torsions in degrees: bonds of 0.15 nm at right angles."""
    f, p = (np.radians(np.atleast_1d(x).astype(float)) for x in np.broadcast_arrays(phi, psi))
    none, one = np.zeros_like(f), np.ones_like(f)
    first = np.stack([np.cos(f), -np.sin(f), none], axis=-1)
    rest = [np.stack(xyz, axis=-1) for xyz in ((none, none, none), (none, none, one), (one, none, one))]
    last = rest[-1] + np.stack([none, np.sin(p), -np.cos(p)], axis=-1)
    return BOND * np.stack([first, *rest, last], axis=1)


def frames(phi: Any, psi: Any = 0.0, *, energy: Any = 0.0, point: Any = 0, evaluations: int = 0, stable: bool = True) -> Frames:
    """Frames with these torsions in degrees; energy in kJ/mol above start.pdb. Velocities number them."""
    x = placed(phi, psi)
    k = np.arange(len(x))
    v = np.broadcast_to(k[:, None, None], x.shape)
    energies, points = np.broadcast_to(ZERO + np.asarray(energy, dtype=float), k.shape), np.broadcast_to(point, k.shape)
    return Frames(x.astype(np.float32), v.astype(np.float32), 0.002 * k, energies.copy(), points.copy(), evaluations, stable)


def letters(text: str, energy: Any = 0.0) -> Frames:
    """A frame a letter, in A (a), in B (b) or in neither."""
    return frames([{"a": -90.0, "b": 90.0}.get(letter, 0.0) for letter in text], energy=energy)


def hinge() -> Problem:
    """Five carbon atoms at 300 K, A and B on phi, psi the same in both; steps of 2 fs. The energies of frames made by hand are not U."""
    system, topology = openmm.System(), app.Topology()
    bonds, angles, torsions = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.PeriodicTorsionForce()
    for k in range(4):
        bonds.addBond(k, k + 1, BOND, 1e5)
    for k in range(3):
        angles.addAngle(k, k + 1, k + 2, np.pi / 2, 500.0)
    torsions.addTorsion(0, 1, 2, 3, 2, 0.0, PHI)
    torsions.addTorsion(1, 2, 3, 4, 1, np.radians(200.0), PSI)
    for force in (bonds, angles, torsions):
        system.addForce(force)
    residue = topology.addResidue("X", topology.addChain())
    for k in range(5):
        system.addParticle(12.0)
        topology.addAtom(f"C{k}", app.Element.getBySymbol("C"), residue)
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 10.0, 0.002, "Reference")
    start, end = (Structure(topology, placed(phi, 20.0)[0]) for phi in (-90.0, 90.0))
    return Problem(model, PLANE, start, end, A, B, ZERO, 1000.0, 77, True)


CENTRE = np.array([[3, 4, 2, 1]])
"""An atom and three neighbours, of the other hand where psi is negative"""


class Handed(Problem):
    """A hinge that counts as broken where psi is negative."""

    @property
    def integrity(self) -> Integrity:
        return Integrity(Torsions((), ()), np.zeros(0, dtype=bool), CENTRE, hands(self.start.positions, CENTRE))


def handed() -> Handed:
    """As `hinge`."""
    whole = hinge()
    return Handed(**{f.name: getattr(whole, f.name) for f in fields(whole)})


class Told:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: list[tuple[str, int, list[int]]] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        done: list[int] = []
        self.tasks.append((title, evaluations, done))
        yield done.append


class _Here:
    def __init__(self, model: Model):
        self.engine, self.asked = Engine(model), []

    def walks(self, tasks: Iterable[Walk]) -> Iterator[Frames]:
        for task in tasks:
            self.asked.append(task)
            yield self.engine.walk(task)

    def shots(self, tasks: Iterable[Shot]) -> Iterator[Outcome]:
        for task in tasks:
            self.asked.append(task)
            yield shoot(self.engine, task)


class Here(Simulation):
    """A simulation that walks in this process and keeps what it was asked for."""

    def __init__(self, problem: Problem, *, storage: Storage | None = None):
        super().__init__(problem.model, processes=1, storage=storage, progress=Told())
        self._workers = _Here(problem.model)  # type: ignore[assignment]

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def told(self) -> Told:
        assert isinstance(self.progress, Told)
        return self.progress

    @property
    def asked(self) -> Sequence[Any]:
        """Walks and shots, in the order they were run."""
        return self._workers.asked  # type: ignore[attr-defined, no-any-return]
