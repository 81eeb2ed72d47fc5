"""Build systems/wca_dimer: run `python workflows/build_wca_dimer.py` (a minute).

The System is openmmtools' DoubleWellDimer_WCAFluid. Its density must be given per nm^3: openmmtools takes its default, a reduced density,
for that (its issue 530), which leaves a gas of reduced density 0.038 in a box of 6.08 nm.
"""

from pathlib import Path

import numpy as np
import openmm
from openmm import unit
from openmmtools import testsystems

from spacetime_tps.files import write_text
from spacetime_tps.molecules.structure import Structure, write_pdb

SIGMA = 0.34  # nm
DENSITY = 0.70  # particles in SIGMA^3
TEMPERATURE = 0.824 * 120.0  # K
TARGETS = {"compact": 2 ** (1 / 6) * SIGMA, "extended": 2 ** (1 / 6) * SIGMA + 0.6 * SIGMA}  # nm
STIFF = 5000.0  # kJ/mol/nm^2
TIMESTEP = 0.005  # ps
STEERED, FREE = 5000, 2000  # steps
FOLDER = Path(__file__).parent.parent / "systems" / "wca_dimer"


def source() -> testsystems.DoubleWellDimer_WCAFluid:
    return testsystems.DoubleWellDimer_WCAFluid(density=DENSITY / SIGMA**3)


def equilibrated(system: openmm.System, positions: unit.Quantity, distance: float) -> np.ndarray:
    """Positions in nm after dynamics with the dimer held near `distance` (nm), then free."""
    steered = openmm.XmlSerializer.clone(system)
    force = openmm.CustomBondForce("strength*(r-target)^2/2")
    force.addGlobalParameter("strength", STIFF)
    force.addGlobalParameter("target", distance)
    force.addBond(0, 1)
    steered.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, TIMESTEP)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(steered, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 500)
    context.setVelocitiesToTemperature(TEMPERATURE, 1)
    integrator.step(STEERED)
    context.setParameter("strength", 0.0)
    integrator.step(FREE)
    return np.array(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def boxed(positions: np.ndarray, box: float) -> np.ndarray:
    """The dimer whole in the middle of the cubic box of side `box` (nm), the fluid wrapped around it. The dimer's force knows no images."""
    moved = positions - positions[:2].mean(axis=0) + box / 2
    moved[2:] %= box
    return moved


def main() -> None:
    fluid = source()
    FOLDER.mkdir(exist_ok=True)
    write_text(FOLDER / "system.xml", openmm.XmlSerializer.serialize(fluid.system))
    box = fluid.system.getDefaultPeriodicBoxVectors()[0][0].value_in_unit(unit.nanometer)
    fluid.topology.setUnitCellDimensions((box, box, box))
    for name, distance in TARGETS.items():
        positions = boxed(equilibrated(fluid.system, fluid.positions, distance), box)
        print(name, np.linalg.norm(positions[0] - positions[1]).round(4), "nm")
        write_pdb(FOLDER / f"{name}.pdb", Structure(fluid.topology, positions))


if __name__ == "__main__":
    main()
