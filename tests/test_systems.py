"""Bundled systems: what their build scripts make, against the files in systems/."""

import itertools
import runpy
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import unit

from spacetime_tps.molecules.integrity import other_hand
from spacetime_tps.molecules.order import brought
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.problem import prepare
from spacetime_tps.problems.system import load_system

ROOT = Path(__file__).parent.parent
NAMES = {"start_name": "start.pdb", "end_name": "end.pdb", "keep_names": True}
ENDS = {"cyclohexane": ("chair", "inverted"), "wca_dimer": ("compact", "extended")}


def built(name: str) -> openmm.System:
    script = runpy.run_path(str(ROOT / "workflows" / f"build_{name}.py"))
    if name == "cyclohexane":
        system: openmm.System = script["opls_system"](script["cyclohexane"]())
        return system
    return script["source"]().system


def stored(name: str) -> openmm.System:
    return openmm.XmlSerializer.deserialize((ROOT / "systems" / name / "system.xml").read_text())


def ends(name: str) -> list[Structure]:
    return [load_structure(ROOT / "systems" / name / f"{end}.pdb") for end in ENDS[name]]


def energy(system: openmm.System, positions: np.ndarray) -> float:
    """Potential energy in kJ/mol, in double precision."""
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    return float(context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))


def ring_torsions(positions: np.ndarray) -> np.ndarray:
    """The six torsions of the carbons in degrees."""
    p = [np.roll(positions[:6], -k, axis=0) for k in range(4)]
    bonds = [q - o for o, q in itertools.pairwise(p)]
    n, m = np.cross(bonds[0], bonds[1]), np.cross(bonds[1], bonds[2])
    sine = (np.cross(n, m) * bonds[1]).sum(axis=1) / np.linalg.norm(bonds[1], axis=1)
    return np.degrees(np.arctan2(sine, (n * m).sum(axis=1)))


def hands(positions: np.ndarray) -> np.ndarray:
    """Sign of the triple product of C(i-1), C(i+1) and H(i)1 about C(i), for each carbon."""
    carbons = positions[:6]
    arms = [np.roll(carbons, 1, axis=0) - carbons, np.roll(carbons, -1, axis=0) - carbons, positions[6::2] - carbons]
    return np.sign(np.linalg.det(np.stack(arms, axis=1)))


@pytest.mark.parametrize("name", ENDS)
def test_the_build_script_gives_the_stored_system(name: str) -> None:
    # The XML keeps every digit of a double, so that only the order of summation could differ: 1e-9 kJ/mol of about 100.
    for structure in ends(name):
        assert energy(built(name), structure.positions) == pytest.approx(energy(stored(name), structure.positions), abs=1e-9)


@pytest.mark.parametrize("name", ENDS)
def test_both_ends_hold_the_systems_atoms_in_one_order(name: str) -> None:
    start, end = ends(name)
    np.testing.assert_array_equal(brought(start, end, **NAMES).structure.positions, end.positions)
    system = stored(name)
    assert system.getNumConstraints() == 0
    assert not any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces())
    masses = [atom.element.mass.value_in_unit(unit.dalton) for atom in start.topology.atoms()]
    # openmmtools rounds argon's mass to 39.9.
    np.testing.assert_allclose(masses, [system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(len(masses))], atol=0.1)


def test_the_chairs_are_minima_of_equal_energy() -> None:
    # A PDB file rounds to 0.0001 nm: 0.00003 nm in each coordinate, against the stiffest bond, costs less than 0.001 kJ/mol an atom.
    for structure in ends("cyclohexane"):
        assert energy(stored("cyclohexane"), structure.positions) == pytest.approx(50.2828, abs=0.02)


def test_the_ring_flips_and_no_hydrogen_changes_its_face() -> None:
    start, end = (structure.positions for structure in ends("cyclohexane"))
    signs = np.array([1, -1] * 3)
    turned = ring_torsions(start) * signs * np.sign(ring_torsions(start)[0])
    np.testing.assert_allclose(turned, 55.8, atol=0.1)
    np.testing.assert_allclose(ring_torsions(end), -ring_torsions(start), atol=0.1)
    np.testing.assert_array_equal(hands(start), hands(end))
    assert len(set(hands(start))) == 1
    # Axial hydrogens stand off the plane by more than 0.1 nm, equatorial ones by less than 0.02: H11 and its like exchange.
    axial = [np.abs(x[6:, 2]).round(3) > 0.1 for x in (start, end)]
    np.testing.assert_array_equal(axial[0], ~axial[1])


def test_the_chairs_carbons_lie_superposed() -> None:
    start, end = (structure.positions[:6] for structure in ends("cyclohexane"))
    np.testing.assert_allclose(start.mean(axis=0), end.mean(axis=0), atol=1e-4)
    u, _, v = np.linalg.svd(end.T @ start)
    np.testing.assert_allclose(u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v, np.eye(3), atol=1e-3)


def test_the_dimer_is_whole_and_in_its_wells() -> None:
    distances = [np.linalg.norm(structure.positions[0] - structure.positions[1]) for structure in ends("wca_dimer")]
    assert 0.33 < distances[0] < 0.43
    assert 0.54 < distances[1] < 0.64
    assert energy(stored("wca_dimer"), ends("wca_dimer")[0].positions) < 1000


def test_the_dimers_box_is_the_systems() -> None:
    vectors = np.array([v.value_in_unit(unit.nanometer) for v in stored("wca_dimer").getDefaultPeriodicBoxVectors()])
    side = vectors[0, 0]
    assert 216 * 0.34**3 / side**3 == pytest.approx(0.70, abs=1e-6)
    for structure in ends("wca_dimer"):
        # CRYST1 keeps 0.0001 nm.
        box = np.array(structure.topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer))
        np.testing.assert_allclose(box, vectors, atol=1e-4)
        assert (structure.positions > -1e-4).all()
        assert (structure.positions < side + 1e-4).all()


# Alanine tripeptide -------------------------------------------------------------------------------------------------------------------


def test_the_tripeptide_is_spliced_from_whole_residues() -> None:
    made = runpy.run_path(str(ROOT / "workflows" / "build_alanine_tripeptide.py"))["spliced"](3)
    atoms, bonds = list(made.topology.atoms()), list(made.topology.bonds())
    assert (len(atoms), len(bonds)) == (42, 41)
    assert [r.name for r in made.topology.residues()] == ["ACE", "ALA", "ALA", "ALA", "NME"]
    lengths = np.array([np.linalg.norm(made.positions[a.index] - made.positions[b.index]) for a, b in bonds])
    assert 0.09 < lengths.min() < lengths.max() < 0.16
    peptide = [k for k, (a, b) in enumerate(bonds) if {a.name, b.name} == {"C", "N"} and a.residue != b.residue]
    np.testing.assert_allclose(lengths[peptide], [0.1335] * 4, atol=0.001)
    apart = np.linalg.norm(made.positions[:, None] - made.positions[None], axis=-1)
    assert apart[np.triu_indices(42, 1)].min() > 0.09


@pytest.mark.parametrize(("end", "phi", "psi"), [("beta", (-160.0, -120.0), (130.0, 175.0)), ("alpha", (-120.0, -50.0), (-60.0, -10.0))])
def test_the_tripeptides_ends_are_minima_with_their_torsions(end: str, phi: tuple[float, float], psi: tuple[float, float]) -> None:
    folder = ROOT / "systems" / "alanine_tripeptide"
    spec = load_system(str(folder))
    prepared = prepare(spec)
    structure = load_structure(folder / f"{end}.pdb")
    values = np.degrees(prepared.coordinates.values(structure.positions[None]))[0]
    assert prepared.coordinates.names == ("phi1", "psi1", "phi2", "psi2", "phi3", "psi3")
    assert all(phi[0] < x < phi[1] for x in values[::2])
    assert all(psi[0] < x < psi[1] for x in values[1::2])
    system = openmm.XmlSerializer.deserialize(prepared.model.system_xml)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(structure.positions)
    before = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    openmm.LocalEnergyMinimizer.minimize(context, 0.1)
    after = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    assert 0.0 <= before - after < 0.5, "what three decimals of a PDB cost"


def test_all_atoms_of_cyclohexane_are_fifty_four_coordinates() -> None:
    assert prepare(load_system(str(ROOT / "systems" / "cyclohexane_atoms"))).coordinates.dimension == 55


@pytest.mark.parametrize(
    ("name", "labels", "ends"),
    [
        ("valine_dipeptide", ("VAL2_CA_CB",), ((-177.9,), (-67.4,))),
        ("n_methylacetamide", ("omega", "hydrogen"), ((180.0, 180.0), (0.0, 0.0))),
    ],
)
def test_torsions_that_turn_separate_the_states(name: str, labels: tuple[str, ...], ends: tuple[tuple[float, ...], ...]) -> None:
    problem = prepare(load_system(name))
    assert problem.coordinates.names == labels
    for found, expected in zip(problem.ends, ends, strict=True):
        np.testing.assert_allclose((np.degrees(found) - expected + 180.0) % 360.0 - 180.0, 0.0, atol=2.0)
    assert problem.a.contains(problem.start.positions)
    assert problem.b.contains(problem.end.positions)
    assert [v.name for v in problem.coordinates.separating(*problem.boxes)] == [labels[0]]


@pytest.mark.parametrize(("build", "atoms"), [("valine", 28), ("amide", 12)])
def test_molecules_built_by_hand_are_the_stored_ones(build: str, atoms: int) -> None:
    molecule = runpy.run_path(str(ROOT / "workflows" / "build_side_chain_and_amide.py"))[build]()
    folder = ROOT / "systems" / {"valine": "valine_dipeptide", "amide": "n_methylacetamide"}[build]
    stored_one = load_structure(folder / "trans.pdb")
    assert len(molecule.positions) == atoms
    assert other_hand(stored_one, brought(stored_one, molecule, **NAMES).structure) is None
