"""Build systems/butane: run `python workflows/build_butane.py`.

C4H10 in vacuum with OPLS-AA of 1996 (`build_cyclohexane`). Carbons are laid out trans, hydrogens are ideal; the central torsion is turned
to gauche in small steps under a stiff restraint, and both are minimised freely.
"""

import itertools
import math
from pathlib import Path

import numpy as np
from openmm import app

from build_alanine_dipeptide import turned
from build_cyclohexane import opls_system
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.files import write_text
from spacetime_tps.molecules.forcefield import serialised
from spacetime_tps.molecules.structure import Structure, write_pdb

TETRAHEDRAL = math.acos(-1.0 / 3.0)
CARBON, HYDROGEN = 0.1529, 0.1090
TARGETS = {"gauche": 65.0, "trans": 180.0}
FOLDER = Path(__file__).parent.parent / "systems" / "butane"


def butane() -> Structure:
    """All trans, the carbons in the xy plane."""
    topology, positions = app.Topology(), []
    residue = topology.addResidue("BUT", topology.addChain("A"))
    step, rise = CARBON * math.sin(0.5 * TETRAHEDRAL), CARBON * math.cos(0.5 * TETRAHEDRAL)
    line = np.array([[step * k, rise * (k % 2), 0.0] for k in range(-1, 5)])  # the first and the last stand where a hydrogen does
    carbons = [topology.addAtom(f"C{k}", app.element.carbon, residue) for k in range(1, 5)]
    positions += [*line[1:5]]
    for one, other in itertools.pairwise(carbons):
        topology.addBond(one, other)
    for k, carbon in enumerate(carbons, 1):
        here, before, after = line[k], line[k - 1] - line[k], line[k + 1] - line[k]
        out = -(before + after) / np.linalg.norm(before + after)
        aside = np.array([0.0, 0.0, math.sin(0.5 * TETRAHEDRAL)])
        ways = [math.cos(0.5 * TETRAHEDRAL) * out + sign * aside for sign in (1.0, -1.0)]
        ways += [before / CARBON] if k == 1 else [after / CARBON] if k == 4 else []
        for number, way in enumerate(ways, 1):
            topology.addBond(carbon, topology.addAtom(f"H{k}{number}", app.element.hydrogen, residue))
            positions.append(here + HYDROGEN * way)
    return Structure(topology, np.array(positions))


def main() -> None:
    molecule = butane()
    xml = serialised(opls_system(molecule.topology))
    FOLDER.mkdir(exist_ok=True)
    write_text(FOLDER / "system.xml", xml)
    torsions = Torsions(("central",), ((0, 1, 2, 3),))
    for name, target in TARGETS.items():
        positions = turned(Model(xml, 300.0, 1.0, 0.001, "Reference"), torsions, molecule.positions, np.radians([target]))
        print(name, np.degrees(torsions.values(positions)).round(1))
        write_pdb(FOLDER / f"{name}.pdb", Structure(molecule.topology, positions))


if __name__ == "__main__":
    main()
