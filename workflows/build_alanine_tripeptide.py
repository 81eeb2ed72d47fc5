"""Build systems/alanine_tripeptide/beta.pdb and alpha.pdb: run `python workflows/build_alanine_tripeptide.py`.

Ace-Ala3-Nme is spliced from copies of alanine dipeptide (openmmtools), peptide group on peptide group. By ff99SB-ILDN in OBC water it is
then turned to the backbone torsions of either conformer in small steps under a stiff restraint, and minimised freely.
"""

from pathlib import Path

import numpy as np
from openmm import app, unit
from openmmtools import testsystems

from build_alanine_dipeptide import turned
from spacetime_tps.coordinates.superposition import rotation
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.molecules.forcefield import build_system, serialised
from spacetime_tps.molecules.structure import Structure, atom_index, write_pdb

TARGETS = {"beta": (-120.0, 130.0), "alpha": (-65.0, -40.0)}
RESIDUES = 3
FORCEFIELD = ["amber99sbildn.xml", "amber99_obc.xml"]
FOLDER = Path(__file__).parent.parent / "systems" / "alanine_tripeptide"
GROUP = ("CA", "C", "O", "N")
"""Of a peptide group, as a residue and the next one's N have them; CH3 is acetyl's CA"""


def spliced(count: int) -> Structure:
    """Ace-Ala_count-Nme from alanine dipeptide: each copy's acetyl is laid on the peptide group before it."""
    source = testsystems.AlanineDipeptideVacuum(constraints=None)
    unit_positions = source.positions.value_in_unit(unit.nanometer)
    residues = {r.name: list(r.atoms()) for r in source.topology.residues()}
    place = {(name, atom.name): unit_positions[atom.index] for name, atoms in residues.items() for atom in atoms}
    topology = app.Topology()
    chain = topology.addChain()
    positions: list[np.ndarray] = []

    def add(name: str, moved: dict[tuple[str, str], np.ndarray], number: int) -> None:
        residue = topology.addResidue(name, chain, str(number))
        for atom in residues[name]:
            topology.addAtom(atom.name, atom.element, residue)
            positions.append(moved[name, atom.name])

    add("ACE", place, 1)
    for number in range(2, count + 2):
        add("ALA", place, number)
        if number <= count:
            here = np.array([place["ALA", "CA"], place["ALA", "C"], place["ALA", "O"], place["NME", "N"]])
            there = np.array([place["ACE", "CH3"], place["ACE", "C"], place["ACE", "O"], place["ALA", "N"]])
            turn = rotation(there, here)
            place = {key: (x - there.mean(axis=0)) @ turn + here.mean(axis=0) for key, x in place.items()}
    add("NME", place, count + 2)
    topology.createStandardBonds()
    return Structure(topology, np.array(positions))


def main() -> None:
    molecule = spliced(RESIDUES)
    backbone = [
        tuple(atom_index(molecule.topology, label) for label in four)
        for k in range(2, RESIDUES + 2)
        for four in ((f"{k - 1}:C", f"{k}:N", f"{k}:CA", f"{k}:C"), (f"{k}:N", f"{k}:CA", f"{k}:C", f"{k + 1}:N"))
    ]
    names = tuple(f"{name}{k}" for k in range(1, RESIDUES + 1) for name in ("phi", "psi"))
    torsions = Torsions(names, tuple(backbone))
    model = Model(serialised(build_system(molecule.topology, FORCEFIELD)), 300.0, 1.0, 0.001, "Reference")
    FOLDER.mkdir(exist_ok=True)
    for name, target in TARGETS.items():
        positions = turned(model, torsions, molecule.positions, np.radians(target * RESIDUES))
        print(name, np.degrees(torsions.values(positions)).round(1))
        write_pdb(FOLDER / f"{name}.pdb", Structure(molecule.topology, positions))


if __name__ == "__main__":
    main()
