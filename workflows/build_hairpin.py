"""Build systems/hairpin/folded.pdb and unfolded.pdb: run `python workflows/build_hairpin.py` (PeptideBuilder: the `peptides` extra).

GYDPETGTWG is chignolin, a beta hairpin of ten residues (Honda, Yamasaki, Sawada, Morii, Structure 12, 1507, 2004; PDB 1UAO). No file of
that entry is used. PeptideBuilder lays the chain out from textbook torsions: those of an antiparallel strand for residues 1 to 3 and 8 to
10, and for Pro4 to Gly7 those of the loop of a 4:6 hairpin, alpha-R, alpha-R, gamma-R, alpha-L (Sibanda, Blundell, Thornton, J. Mol. Biol.
206, 759, 1989). By ff99SB-ILDN in OBC water springs then close the hydrogen bonds across the strands while the side chains find room;
without springs the molecule walks at 300 K, and is minimised. The unfolded structure is of 40 ps at 600 K, peptide bonds and hands as they
were: of the frames that lie far from the folded one, minimised, that which then lies farthest.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import PeptideBuilder
from Bio.PDB import PDBIO

from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.engines.openmm.dynamics import FREE, Engine, Model, Walk
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.molecules.ends import two_ends
from spacetime_tps.molecules.forcefield import build_system, serialised
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.molecules.structure import Structure, atom_index, atoms_of, write_pdb

SEQUENCE = "GYDPETGTWG"
STRAND = (-120.0, 130.0)
TORSIONS = (STRAND, STRAND, (-90.0, 110.0), (-60.0, -30.0), (-65.0, -30.0), (-95.0, 0.0), (85.0, 10.0), STRAND, STRAND, STRAND)
"""phi and psi of each residue, degrees"""
BONDS = (("3:N", "8:O"), ("7:N", "3:O"), ("1:N", "10:O"), ("10:N", "1:O"))
"""Hydrogen bonds across the strands, from N to O"""
BOND, SPRING, TURN = 0.29, 5000.0, 60.0
"""nm, kJ/mol/nm^2 of what closes a hydrogen bond, and kJ/mol of what holds a torsion of the backbone meanwhile"""
FORCEFIELD = ["amber99sbildn.xml", "amber99_obc.xml"]
TOLERANCE = 1.0
"""kJ/mol/nm"""
FOLDER = Path(__file__).parent.parent / "systems" / "hairpin"


def laid_out(sequence: str, torsions: Sequence[tuple[float, float]]) -> Structure:
    """All atoms, ends charged, as at pH 7."""
    phi, psi = zip(*torsions, strict=True)
    chain = PeptideBuilder.make_structure(sequence, list(phi[1:]), list(psi[:-1]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chain.pdb"
        writer = PDBIO()
        writer.set_structure(chain)
        writer.save(str(file))
        return two_ends(file, file, FORCEFIELD, keep_names=True, keep_solvent=False).start


def model_of(molecule: Structure, *, closing: bool = False) -> Model:
    """At 300 K, by steps of 1 fs; `closing`: with springs where hydrogen bonds are longer than `BOND`, and towards `TORSIONS`."""
    system = build_system(molecule.topology, FORCEFIELD)
    if closing:
        springs = openmm.CustomBondForce(f"0.5*{SPRING}*max(0,r-{BOND})^2")
        for pair in BONDS:
            springs.addBond(*(atom_index(molecule.topology, label) for label in pair))
        turns = openmm.CustomTorsionForce(f"{TURN}*(1-cos(theta-theta0))")
        turns.addPerTorsionParameter("theta0")
        for k, angles in enumerate(TORSIONS, 1):
            both = ((f"{k - 1}:C", f"{k}:N", f"{k}:CA", f"{k}:C"), (f"{k}:N", f"{k}:CA", f"{k}:C", f"{k + 1}:N"))
            for labels, angle in zip(both, angles, strict=True):
                if not {"0:C", f"{len(TORSIONS) + 1}:N"} & {*labels}:
                    turns.addTorsion(*(atom_index(molecule.topology, label) for label in labels), [np.radians(angle)])
        system.addForce(springs)
        system.addForce(turns)
    return Model(serialised(system), 300.0, 1.0, 0.001, "CPU")


def minimum(model: Model, positions: np.ndarray) -> np.ndarray:
    return minimise(Potential(model), positions, tolerance=TOLERANCE).positions


def walked(model: Model, positions: np.ndarray, picoseconds: float, seed: int) -> np.ndarray:
    """Frames (F, atoms, 3), one a picosecond, the start left out."""
    steps = round(1000 * picoseconds)
    return Engine(model).walk(Walk(None, FREE, steps, 1000, seed, positions, discard=1000)).positions.astype(float)


def trace(molecule: Structure) -> np.ndarray:
    return np.array([k for k, atom in enumerate(atoms_of(molecule.topology)) if atom.name in ("N", "CA", "C")])


def lengths(molecule: Structure, positions: np.ndarray) -> str:
    pairs = np.array([[atom_index(molecule.topology, label) for label in bond] for bond in BONDS])
    apart = np.linalg.norm(positions[..., pairs[:, 0], :] - positions[..., pairs[:, 1], :], axis=-1).reshape(-1, len(BONDS)).mean(axis=0)
    return ", ".join(f"{a}-{b} {r:.2f}" for (a, b), r in zip(BONDS, apart, strict=True))


def main() -> None:
    molecule = laid_out(SEQUENCE, TORSIONS)
    integrity, backbone = Integrity.of(molecule), trace(molecule)
    warm, closing = model_of(molecule), model_of(molecule, closing=True)
    closed = walked(closing, minimum(closing, molecule.positions), 20.0, 1)[-1]
    print("closed:", lengths(molecule, closed))
    settled = walked(warm, minimum(warm, closed), 10.0, 2)[-1]
    folded = minimum(warm, settled)
    assert integrity.holds(folded[None]).all()
    stays = walked(warm, folded, 30.0, 3)
    print("folded:", lengths(molecule, folded), "nm; in 30 ps at 300 K", lengths(molecule, stays))
    apart = rmsd(stays[:, backbone], folded[backbone])
    print(f"RMSD of the backbone in 30 ps at 300 K: {apart.mean():.3f} on average, {apart.max():.3f} nm at most")
    hot = walked(replace(warm, temperature=600.0), folded, 40.0, 4)
    whole = hot[integrity.holds(hot)]
    apart = rmsd(whole[:, backbone], folded[backbone])
    print(f"at 600 K {len(whole)} of {len(hot)} frames whole; RMSD of the backbone up to {apart.max():.2f} nm")
    quenched = np.array([minimum(warm, x) for x in whole[apart > 0.75 * apart.max()]])
    apart = rmsd(quenched[:, backbone], folded[backbone])
    unfolded = quenched[apart.argmax()]
    assert integrity.holds(unfolded[None]).all()
    print(f"unfolded: {rmsd(unfolded[backbone], folded[backbone]):.3f} nm from folded;", lengths(molecule, unfolded))
    FOLDER.mkdir(exist_ok=True)
    for name, positions in (("folded", folded), ("unfolded", unfolded)):
        write_pdb(FOLDER / f"{name}.pdb", Structure(molecule.topology, positions))


if __name__ == "__main__":
    main()
