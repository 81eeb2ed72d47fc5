"""Build systems/valine_dipeptide and systems/n_methylacetamide: run `python workflows/build_side_chain_and_amide.py`.

Ace-Val-Nme is alanine dipeptide (openmmtools) with two of the hydrogens on its CB made carbons; Ace-Nme is laid out flat. Hydrogens are
OpenMM's. By ff99SB-ILDN in vacuum each is turned to either conformer in small steps under a stiff restraint, and minimised freely.
"""

from pathlib import Path

import numpy as np
from openmm import app, unit
from openmmtools import testsystems

from build_alanine_dipeptide import turned
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.molecules.forcefield import build_system, serialised
from spacetime_tps.molecules.structure import Structure, atom_index, write_pdb

FORCEFIELD = ["amber99sbildn.xml"]
SYSTEMS = Path(__file__).parent.parent / "systems"
CARBON_CARBON = 0.153
BRANCHES = {"HB2": "CG1", "HB3": "CG2"}
FLAT = {
    "ACE": {"CH3": (-0.08, 0.13, 0.0), "C": (0.0, 0.0, 0.0), "O": (-0.06, -0.11, 0.0)},
    "NME": {"N": (0.133, 0.01, 0.0), "C": (0.21, -0.12, 0.0)},
}
"""Heavy atoms of trans N-methylacetamide, nm"""


def with_hydrogens(topology: app.Topology, positions: np.ndarray) -> Structure:
    """A structure of heavy atoms and whatever hydrogens there are, with those that lack."""
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.addHydrogens(app.ForceField(*FORCEFIELD))
    return Structure(modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer)))


def valine() -> Structure:
    """Ace-Val-Nme with the backbone of openmmtools' alanine dipeptide."""
    source = testsystems.AlanineDipeptideVacuum(constraints=None)
    x = source.positions.value_in_unit(unit.nanometer)
    beta = next(x[a.index] for a in source.topology.atoms() if a.name == "CB")
    topology, positions = app.Topology(), []
    chain = topology.addChain()
    for number, old in enumerate(source.topology.residues(), 1):
        residue = topology.addResidue("VAL" if old.name == "ALA" else old.name, chain, str(number))
        for atom in old.atoms():
            arm = x[atom.index] - beta
            if old.name == "ALA" and atom.name in BRANCHES:
                topology.addAtom(BRANCHES[atom.name], app.element.carbon, residue)
                positions.append(beta + CARBON_CARBON * arm / np.linalg.norm(arm))
            else:
                topology.addAtom("HB" if old.name == "ALA" and atom.name == "HB1" else atom.name, atom.element, residue)
                positions.append(x[atom.index])
    topology.createStandardBonds()
    return with_hydrogens(topology, np.array(positions))


def amide() -> Structure:
    """N-methylacetamide, trans."""
    topology, positions = app.Topology(), []
    chain = topology.addChain()
    for number, (name, atoms) in enumerate(FLAT.items(), 1):
        residue = topology.addResidue(name, chain, str(number))
        for atom, place in atoms.items():
            topology.addAtom(atom, app.Element.getBySymbol("C" if atom == "CH3" else atom), residue)
            positions.append(place)
    topology.createStandardBonds()
    return with_hydrogens(topology, np.array(positions))


def write(folder: str, molecule: Structure, four: tuple[str, str, str, str], targets: dict[str, float]) -> None:
    """A PDB file a conformer, by the value of one torsion in degrees."""
    atoms = tuple(atom_index(molecule.topology, label) for label in four)
    torsions = Torsions(("turned",), ((atoms[0], atoms[1], atoms[2], atoms[3]),))
    model = Model(serialised(build_system(molecule.topology, FORCEFIELD)), 300.0, 1.0, 0.001, "Reference")
    (SYSTEMS / folder).mkdir(exist_ok=True)
    for name, target in targets.items():
        positions = turned(model, torsions, molecule.positions, np.radians([target]))
        print(folder, name, np.degrees(torsions.values(positions)).round(1))
        write_pdb(SYSTEMS / folder / f"{name}.pdb", Structure(molecule.topology, positions))


def main() -> None:
    write("valine_dipeptide", valine(), ("2:N", "2:CA", "2:CB", "2:CG1"), {"trans": 180.0, "gauche": -60.0})
    write("n_methylacetamide", amide(), ("1:CH3", "1:C", "2:N", "2:C"), {"trans": 180.0, "cis": 0.0})


if __name__ == "__main__":
    main()
