"""Build systems/alanine_dipeptide/c5.pdb and c7ax.pdb: run `python workflows/build_alanine_dipeptide.py`.

The molecule (ACE-ALA-NME, topology and first positions) comes from openmmtools; ff99SB-ILDN in vacuum does the rest: phi and psi are turned
to the target in small steps under a stiff restraint, then everything is minimised freely.
"""

from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from openmmtools import testsystems

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model
from spacetime_tps.molecules.forcefield import build_system
from spacetime_tps.molecules.structure import Structure, atom_index, write_pdb

TARGETS = {"c5": (-147.0, 159.0), "c7ax": (60.0, -41.0)}
STIFF = 300.0
FOLDER = Path(__file__).parent.parent / "systems" / "alanine_dipeptide"


def turned(model: Model, torsions: Torsions, positions: np.ndarray, target: np.ndarray) -> np.ndarray:
    dynamics = Dynamics(model, CurveBias(torsions))
    context = dynamics.context
    context.setPositions(positions)
    here = torsions.values(positions)
    change = difference(here, target, torsions.angular)
    for fraction in np.linspace(0.05, 1.0, 20):
        angles = here + fraction * change
        dynamics.set_bias(STIFF * np.stack([np.cos(angles), np.sin(angles)], axis=-1).ravel())
        openmm.LocalEnergyMinimizer.minimize(context)
    dynamics.set_bias(np.zeros(torsions.dimension))
    openmm.LocalEnergyMinimizer.minimize(context, 0.01)
    return np.array(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def main() -> None:
    source = testsystems.AlanineDipeptideVacuum(constraints=None)
    topology: app.Topology = source.topology
    labels = (("1:C", "2:N", "2:CA", "2:C"), ("2:N", "2:CA", "2:C", "3:N"))
    first, second = (tuple(atom_index(topology, label) for label in four) for four in labels)
    system = build_system(topology, ["amber99sbildn.xml"])
    torsions = Torsions(("phi", "psi"), (first, second))
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, 0.001, "Reference")
    for name, target in TARGETS.items():
        positions = turned(model, torsions, source.positions.value_in_unit(unit.nanometer), np.radians(target))
        print(name, np.degrees(torsions.values(positions)).round(1))
        write_pdb(FOLDER / f"{name}.pdb", Structure(topology, positions))


if __name__ == "__main__":
    main()
