"""Solvent brought to equilibrium about a solute that keeps its shape."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import openmm
from openmm import unit
from scipy.spatial.distance import pdist, squareform

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.engines.openmm.constraints import place, positions_of
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.forcefield import cell_of, deserialised
from spacetime_tps.molecules.structure import cell_from
from spacetime_tps.seeds import seed_of

STIFFNESS, REACH = 2000.0, 1.0
"""kJ/mol/nm^2 and nm: springs between atoms of the solute that lie within reach of each other keep its shape, wherever it drifts"""
FRICTION, PRESSURE, EVERY = 5.0, 1.0, 25
"""1/ps; bar; steps between changes of the box, each of which costs two evaluations"""
GENTLE = ((0.0002, 1000), (0.001, 500))
"""ps and steps: what clashes moves apart slowly before there is motion. Minimisation would let hydrogens of water, which repel nothing,
fall on other atoms"""
GENTLE_STEPS = sum(steps for _, steps in GENTLE)
THICK = 100.0
"""1/ps, meanwhile"""
CLOSE = 0.003
"""Of the mean volume, within which the box is left; it is waited for that as long again, at most"""


@dataclass(frozen=True)
class Equilibrated:
    """Where the atoms are, in which box."""

    positions: np.ndarray
    """(atoms, 3), nm"""
    cell: Cell
    evaluations: int


def equilibrated(
    model: Model, positions: np.ndarray, shape: np.ndarray, *, steps: int, constant_volume: bool, seed: int,
    advance: Callable[[int], None],
) -> Equilibrated:  # fmt: skip
    """What clashes moved apart, then everything walked for so many steps, with the molecule held in its shape by springs between the atoms
    `shape` (indices). Not at constant volume, the box is one that has the mean volume of the second half, at 1 bar.

    `advance` is told of evaluations as they come. Raises SpacetimeError where the dynamics breaks down.
    """
    try:
        return _walked(model, positions, shape, steps, constant_volume, seed, advance)
    except openmm.OpenMMException as problem:
        raise SpacetimeError(
            f"the solvent cannot be equilibrated about the molecule ({problem}): use a smaller timestep_fs, or a larger padding_nm"
        ) from problem


def _walked(
    model: Model, positions: np.ndarray, shape: np.ndarray, steps: int, constant_volume: bool, seed: int, advance: Callable[[int], None]
) -> Equilibrated:
    springs, spent = _springs(positions, shape), 0
    for timestep, count in GENTLE:
        gentle = _Run(model, springs, positions, timestep, THICK, seed, advance)
        gentle.after(count)
        positions, spent = positions_of(gentle.context), spent + gentle.evaluations
    run = _Run(model, springs, positions, model.timestep, FRICTION, seed, advance, constant_volume=constant_volume)
    volumes = [run.after(EVERY) for _ in range(steps // EVERY)]
    mean = float(np.mean(volumes[len(volumes) // 2 :])) if volumes else run.volume
    for _ in volumes:
        if constant_volume or abs(run.volume / mean - 1.0) < CLOSE:
            break
        run.after(EVERY)
    return Equilibrated(positions_of(run.context), run.cell, spent + run.evaluations)


class _Run:
    """Dynamics with springs, and maybe a barostat."""

    def __init__(
        self, model: Model, springs: openmm.HarmonicBondForce, positions: np.ndarray, timestep: float, friction: float, seed: int,
        advance: Callable[[int], None], *, constant_volume: bool = True,
    ):  # fmt: skip
        system = model.system()
        system.addForce(openmm.XmlSerializer.clone(springs))
        if not constant_volume:
            barostat = openmm.MonteCarloBarostat(PRESSURE, model.temperature, EVERY)
            barostat.setRandomNumberSeed(seed_of(seed, "barostat", 0))
            system.addForce(barostat)
        integrator = replace(model, friction=friction, timestep=timestep).integrator(seed_of(seed, "equilibration", 0))
        self.context = model.context(system, integrator)
        place(self.context, positions)
        self.context.setVelocitiesToTemperature(model.temperature, seed_of(seed, "velocities", 0))
        self.evaluations, self._advance, self._tried = 0, advance, 0 if constant_volume else 2

    def after(self, steps: int) -> float:
        """Steps; the volume then."""
        self.context.getIntegrator().step(steps)
        spent = steps + self._tried * steps // EVERY
        self.evaluations += spent
        self._advance(spent)
        return self.volume

    @property
    def cell(self) -> Cell:
        return cell_from(self.context.getState().getPeriodicBoxVectors())

    @property
    def volume(self) -> float:
        return float(np.linalg.det(self.cell))


def _springs(positions: np.ndarray, shape: np.ndarray) -> openmm.HarmonicBondForce:
    apart = squareform(pdist(positions[shape]))
    force = openmm.HarmonicBondForce()
    for i, j in zip(*np.nonzero(np.triu(apart < REACH, 1)), strict=True):
        force.addBond(int(shape[i]), int(shape[j]), float(apart[i, j]), STIFFNESS)
    return force


def resized(model_xml: str, cell: Cell) -> openmm.System:
    """The system in another box."""
    system = deserialised(model_xml, "system.xml")
    if cell_of(system) is not None:
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*vector) * unit.nanometer for vector in cell))
    return system
