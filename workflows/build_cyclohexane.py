"""Build systems/cyclohexane: run `python workflows/build_cyclohexane.py`.

C6H12 in vacuum with OPLS-AA of 1996. Its combining rules are geometric, so that every pair is an exception of its own. Each chair is made
from ideal bond vectors and minimised. H11, H21, ... lie on the upper face of the ring in both chairs and H12, H22, ... on the lower: a ring
flip leaves a hydrogen on its face, and turns axial into equatorial.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from spacetime_tps.files import write_text
from spacetime_tps.molecules.structure import Structure, write_pdb

KCAL = 4.184
# Jorgensen, Maxwell and Tirado-Rives, J. Am. Chem. Soc. 118, 11225 (1996); bonds and angles of hydrocarbons as in its parameter files.
CHARGE = 0.06  # of each hydrogen; a carbon makes up for its own
SIGMA = {"C": 0.35, "H": 0.25}  # nm
EPSILON = {"C": 0.066 * KCAL, "H": 0.030 * KCAL}  # kJ/mol
BOND = {"CC": (0.1529, 268.0), "CH": (0.1090, 340.0)}  # nm; kcal/mol/A^2 of E = k (r - r0)^2
ANGLE = {"CCC": (112.7, 58.35), "CCH": (110.7, 37.5), "HCH": (107.8, 33.0)}  # degrees; kcal/mol/rad^2 of E = k (a - a0)^2
TORSION = {"CCCC": (1.740, -0.157, 0.279), "CCCH": (0.0, 0.0, 0.366), "HCCH": (0.0, 0.0, 0.318)}  # V1, V2, V3 in kcal/mol
SCALE_14 = 0.5
FOLDER = Path(__file__).parent.parent / "systems" / "cyclohexane"


def cyclohexane() -> app.Topology:
    topology = app.Topology()
    residue = topology.addResidue("CYH", topology.addChain("A"))
    carbons = [topology.addAtom(f"C{i}", app.element.carbon, residue) for i in range(1, 7)]
    for i, carbon in enumerate(carbons):
        topology.addBond(carbon, carbons[(i + 1) % 6])
    for i, face in itertools.product(range(6), (1, 2)):
        topology.addBond(carbons[i], topology.addAtom(f"H{i + 1}{face}", app.element.hydrogen, residue))
    return topology


def paths(topology: app.Topology, atoms: int) -> list[tuple[int, ...]]:
    """Every chain of `atoms` bonded atoms, as indices, in one direction."""
    neighbours: dict[int, list[int]] = {atom.index: [] for atom in topology.atoms()}
    for first, second in topology.bonds():
        neighbours[first.index].append(second.index)
        neighbours[second.index].append(first.index)
    chains: list[tuple[int, ...]] = [(atom,) for atom in neighbours]
    for _ in range(atoms - 1):
        chains = [(*chain, atom) for chain in chains for atom in neighbours[chain[-1]] if atom not in chain]
    return [chain for chain in chains if chain[0] < chain[-1]]


def opls_system(topology: app.Topology) -> openmm.System:
    """OPLS-AA of a saturated hydrocarbon."""
    element = [atom.element.symbol for atom in topology.atoms()]
    charge = [CHARGE if symbol == "H" else 0.0 for symbol in element]
    for pair in paths(topology, 2):
        for one, other in (pair, pair[::-1]):
            if element[one] == "C" and element[other] == "H":
                charge[one] -= CHARGE
    system = openmm.System()
    bonds, angles, torsions, pairs = (
        openmm.HarmonicBondForce(),
        openmm.HarmonicAngleForce(),
        openmm.PeriodicTorsionForce(),
        openmm.NonbondedForce(),
    )
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
        pairs.addParticle(charge[atom.index], SIGMA[atom.element.symbol], EPSILON[atom.element.symbol])

    def kind(chain: tuple[int, ...]) -> str:
        word = "".join(element[atom] for atom in chain)
        return min(word, word[::-1])

    for chain in paths(topology, 2):
        length, k = BOND[kind(chain)]
        bonds.addBond(*chain, length, 200 * k * KCAL)
    for chain in paths(topology, 3):
        degrees, k = ANGLE[kind(chain)]
        angles.addAngle(*chain, math.radians(degrees), 2 * k * KCAL)
    for chain in paths(topology, 4):
        for n, v in enumerate(TORSION[kind(chain)], start=1):
            if v:
                torsions.addTorsion(*chain, n, math.pi * (n == 2), v / 2 * KCAL)

    ends = [{(chain[0], chain[-1]) for chain in paths(topology, atoms)} for atoms in (2, 3, 4)]
    for i, j in itertools.combinations(range(len(element)), 2):
        scale = 0.0 if (i, j) in ends[0] | ends[1] else SCALE_14 if (i, j) in ends[2] else 1.0
        one, two = element[i], element[j]
        sigma, epsilon = math.sqrt(SIGMA[one] * SIGMA[two]), math.sqrt(EPSILON[one] * EPSILON[two])
        pairs.addException(i, j, scale * charge[i] * charge[j], sigma, scale * epsilon)
    for force in (bonds, angles, torsions, pairs):
        system.addForce(force)
    return system


def chair(first_up: bool) -> np.ndarray:
    """Positions (18, 3) in nm of an ideal chair in the xy plane, with C1 above or below it. By symmetry the two lie superposed."""
    turn = np.pi / 3 * np.arange(6)
    outward = np.stack([np.cos(turn), np.sin(turn), np.zeros(6)], axis=1)
    side = np.outer((1 if first_up else -1) * (-1.0) ** np.arange(6), [0.0, 0.0, 1.0])
    carbons = 0.147 * outward + 0.025 * side
    axial, equatorial = 0.109 * side, 0.103 * outward - 0.036 * side
    faces = np.where((side[:, 2] > 0)[:, None, None], np.stack([axial, equatorial], 1), np.stack([equatorial, axial], 1))
    return np.concatenate([carbons, (carbons[:, None] + faces).reshape(12, 3)])


def minimised(system: openmm.System, positions: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions in nm and energy in kJ/mol of the nearest minimum."""
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 1e-3)
    state = context.getState(positions=True, energy=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)), energy


def main() -> None:
    topology = cyclohexane()
    system = opls_system(topology)
    FOLDER.mkdir(exist_ok=True)
    write_text(FOLDER / "system.xml", openmm.XmlSerializer.serialize(system))
    start, energy = minimised(system, chair(True))
    end, other = minimised(system, chair(False))
    for name, positions, value in (("chair", start, energy), ("inverted", end, other)):
        print(f"{name} {value:.4f} kJ/mol")
        write_pdb(FOLDER / f"{name}.pdb", Structure(topology, positions))


if __name__ == "__main__":
    main()
