"""The hairpin is the molecule that it claims to be, and constraints and masses of hydrogens that a system asks for are there."""

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import unit

from spacetime_tps.engines.openmm.dynamics import FREE, Engine, Walk
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import minima
from spacetime_tps.exploration.ends import Ends
from spacetime_tps.exploration.floor import NoiseFloor, first_floor
from spacetime_tps.exploration.minima import intermediates
from spacetime_tps.exploration.rounds import Rounds
from spacetime_tps.exploration.route import Route
from spacetime_tps.exploration.settings import ExplorationSettings, GeodesicSettings
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, bundled_systems, load_system
from spacetime_tps.progress import Silent
from spacetime_tps.trajectories.frames import snapshots

FOLDER = bundled_systems()["hairpin"]


@pytest.fixture(scope="module")
def hairpin() -> Problem:
    return prepare("hairpin", DynamicsSettings(platform="CPU"))


def blurred(problem: Problem, spread_a: float, spread_b: float, count: int = 4000) -> Ends:
    """Ends of `count` frames each, their atoms blurred by hand, nm."""
    held, rng, found = [*problem.coordinates.atoms], np.random.default_rng(1), []
    for structure, spread in ((problem.start, spread_a), (problem.end, spread_b)):
        x = np.repeat(structure.positions[None], count, axis=0)
        x[:, held] += spread * rng.standard_normal((count, len(held), 3))
        found.append(snapshots(x, np.zeros_like(x)))
    return Ends(problem, [found[0]], [found[1]])


@pytest.mark.parametrize("name", ["folded", "unfolded"])
def test_the_files_hold_the_peptide_whole(name):
    structure = mdtraj.load(FOLDER / f"{name}.pdb")
    codes = "".join(residue.code for residue in structure.topology.residues)
    omega = np.abs(np.degrees(mdtraj.compute_omega(structure)[1]))
    place = [{atom.name: structure.xyz[0, atom.index] for atom in residue.atoms} for residue in structure.topology.residues]
    # L: seen from HA towards CA, C, CB (here the side chain) and N follow each other clockwise ("CORN").
    hands = [np.dot(np.cross(r["N"] - r["CA"], r["C"] - r["CA"]), r["CB"] - r["CA"]) for r in place if "CB" in r]
    assert (codes, structure.n_atoms) == ("GYDPETGTWG", 138)
    assert omega.min() > 150.0
    assert len(hands) == 7
    assert min(hands) > 0.0
    assert {"H2", "H3"} <= set(place[0])
    assert {"O", "OXT"} <= set(place[-1])


def test_the_folded_one_is_a_hairpin_and_the_other_is_none():
    folded, unfolded = (mdtraj.load(FOLDER / f"{name}.pdb") for name in ("folded", "unfolded"))
    backbone = folded.topology.select("backbone and not name O")
    strands = [[folded.topology.select(f"resSeq {k} and name CA")[0] for k in pair] for pair in ((2, 9), (3, 8))]
    assert mdtraj.compute_distances(folded, strands).max() < 0.65
    assert mdtraj.compute_distances(unfolded, strands).min() > 0.7
    assert mdtraj.rmsd(unfolded, folded, atom_indices=backbone)[0] > 0.35


def test_states_are_disjoint_and_hydrogens_as_asked_for(hairpin):
    system = hairpin.model.system()
    masses = [system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())]
    hydrogens = [a.index for a in hairpin.start.topology.atoms() if a.element.symbol == "H"]
    plain = sum(a.element.mass.value_in_unit(unit.dalton) for a in hairpin.start.topology.atoms())
    assert not hairpin.a.contains(hairpin.end.positions)
    assert not hairpin.b.contains(hairpin.start.positions)
    assert system.getNumConstraints() == len(hydrogens) == 61
    assert {round(masses[k], 6) for k in hydrogens} == {3.0}
    assert sum(masses) == pytest.approx(plain, abs=0.05)
    assert hairpin.model.timestep == pytest.approx(0.004)


def test_steps_of_4_fs_conserve_energy(hairpin):
    """Verlet's energy, whose drift and scatter grow where a step is too long for the fastest vibration."""
    model = hairpin.model
    warm = Engine(model).walk(Walk(None, FREE, 500, 500, 1, hairpin.end.positions)).positions[-1]
    integrator = openmm.VerletIntegrator(model.timestep)
    integrator.setConstraintTolerance(1e-6)
    context = model.context(model.system(), integrator)
    context.setPositions(warm.astype(float))
    context.applyConstraints(1e-6)
    context.setVelocitiesToTemperature(300.0, 1)
    totals = []
    for _ in range(100):
        integrator.step(5)
        state = context.getState(energy=True)
        totals.append(state.getKineticEnergy()._value + state.getPotentialEnergy()._value)
    degrees_of_freedom = 3 * 138 - 61
    assert np.std(totals) < 0.2 * model.kT * np.sqrt(degrees_of_freedom)  # a fifth of what heat itself scatters


@pytest.mark.parametrize(("key", "value", "steps"), [("constraints", "HBonds", 2.0), ("hydrogen_mass_Da", 3.0, 1.0)])
def test_the_step_follows_from_constraints_and_masses(key, value, steps):
    spec = {"name": "x", "start": "a.pdb", "end": "b.pdb", "forcefield": ["amber99sbildn.xml"]}
    assert SystemSpec.model_validate(spec | {key: value}).timestep_fs == steps
    assert SystemSpec.model_validate(spec | {key: value, "timestep_fs": 0.5}).timestep_fs == 0.5


def test_a_prepared_system_brings_its_own_constraints(tmp_path):
    butane = bundled_systems()["butane"]
    (tmp_path / "system.yaml").write_text(
        f"name: x\nstart: {butane / 'trans.pdb'}\nend: {butane / 'gauche.pdb'}\nsystem: {butane / 'system.xml'}\nconstraints: HBonds\n"
    )
    with pytest.raises(SpacetimeError, match="constraints and masses of hydrogens are in it"):
        load_system(tmp_path)


def test_noise_of_lengths_is_no_narrower_than_heat(hairpin):
    free = 1.0 - 6.0 / (3 * len(hairpin.coordinates.atoms))  # superposition takes six degrees of freedom
    wide = first_floor(GeodesicSettings(), blurred(hairpin, 0.04, 0.02).heat, 24)
    assert wide.precision == pytest.approx(1.0 / (free * 0.5 * (0.4**2 + 0.2**2)), rel=0.03)
    assert wide.highest == wide.precision, "noise no wider than heat parts what it can"
    usual = NoiseFloor(40.0, 24, 400.0)
    assert first_floor(GeodesicSettings(), blurred(hairpin, 0.002, 0.002).heat, 24) == usual
    few = blurred(hairpin, 0.04, 0.02, count=50)
    assert (few.heat, first_floor(GeodesicSettings(), few.heat, 24)) == (0.0, usual)


def test_a_floor_that_heat_sets_stays_and_one_that_is_given_rises(hairpin):
    ends = blurred(hairpin, 0.03, 0.03)
    doubtful = Route("direct", (0,) * 30, np.zeros((8, 31)), rounds=1, disagreement=30.0, lowest_overlap=0.9)
    found = {}
    with Simulation(hairpin.model, processes=1, progress=Silent()) as simulation:
        for given in (None, 5.0):
            work = Rounds(hairpin, simulation, ExplorationSettings(geodesic={"floor": given}), ends, seed=1)
            stays = work.move_floor(doubtful, [doubtful])
            found[given] = stays, work.floor.precision
    assert found == {None: (True, pytest.approx(1.0 / ends.heat)), 5.0: (False, 20.0)}


def test_a_minimum_that_heat_blurs_is_no_place_to_lead_a_route_through(hairpin):
    near = hairpin.end.positions.copy()
    near[list(hairpin.coordinates.atoms)] += 0.04 * np.random.default_rng(2).choice([-1.0, 1.0], size=(10, 3))
    apart = float(np.mean((hairpin.coordinates.values(near) - hairpin.ends[1]) ** 2))
    passed = np.stack(hairpin.ends)
    assert minima._apart(hairpin.coordinates, passed[1], hairpin.coordinates.values(near), 0.24 * apart)
    assert not minima._apart(hairpin.coordinates, passed[1], hairpin.coordinates.values(near), 0.26 * apart)
    assert intermediates(hairpin, hairpin.start.positions[None], passed[1:], count=1)[0] != []
    assert intermediates(hairpin, hairpin.start.positions[None], passed[1:], count=1, heat=100.0)[0] == []
