"""Torsions, restraints, states and dynamics against OpenMM and MDTraj themselves."""

import dataclasses
import math

import mdtraj as md
import numpy as np
import openmm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmm import unit
from scipy.special import ive

from spacetime_tps.coordinates.torsions import Torsions, rotatable_torsions
from spacetime_tps.engines.openmm.bias import BIAS_GROUP, CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, Walk
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.problems.problem import Problem
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.state import State, check_endpoints, state_of
from spacetime_tps.states.torsion_range import TorsionRange


def test_torsion_angles_agree_with_mdtraj(alanine: Problem) -> None:
    rng = np.random.default_rng(0)
    xyz = alanine.start.positions + rng.normal(scale=0.02, size=(20, 22, 3))
    frames = md.Trajectory(xyz, md.Topology.from_openmm(alanine.start.topology))
    np.testing.assert_allclose(alanine.coordinates.values(xyz), md.compute_dihedrals(frames, alanine.coordinates.atoms), atol=1e-5)


def test_restraint_energy_and_force_are_those_of_the_posterior(alanine: Problem) -> None:
    system = openmm.XmlSerializer.deserialize(alanine.model.system_xml)
    restraint = CurveBias(alanine.coordinates).attach(system, alanine.model.kT, alanine.model.timestep)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    eta = np.array([3.0, -4.0, 10.0, 2.0])
    restraint.set(context, eta)
    x = alanine.start.positions

    def bias(positions: np.ndarray) -> float:
        context.setPositions(positions)
        state = context.getState(energy=True, groups={BIAS_GROUP})
        return float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))

    expected = -alanine.model.kT * float(eta @ alanine.coordinates.features(x))
    assert bias(x) == pytest.approx(expected, abs=1e-9)
    context.setPositions(x)
    force = context.getState(forces=True, groups={BIAS_GROUP}).getForces(asNumpy=True)._value
    step = 1e-5
    for atom, axis in [(4, 0), (6, 1), (8, 2), (14, 0), (16, 1)]:
        shift = np.zeros_like(x)
        shift[atom, axis] = step
        assert force[atom, axis] == pytest.approx(-(bias(x + shift) - bias(x - shift)) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("kappa", [2.0, 15.0])
def test_restrained_dynamics_samples_the_von_mises_posterior(rotor: tuple[Model, Torsions, np.ndarray], kappa: float) -> None:
    # Mean of cos(theta - center) is I1/I0. Tolerance: 4 standard errors over independent walks, false alarms below 1 in 10,000.
    model, torsions, x = rotor
    bias = CurveBias(torsions)
    center = 2.5
    eta = kappa * np.array([[math.cos(center), math.sin(center)]])
    dynamics = Dynamics(model, bias)
    means = []
    for index in range(24):
        frames = dynamics.walk(Walk(bias, eta, 6000, 20, seed_of(5, "rotor", index), x, discard=1000))
        angle = torsions.values(frames.positions)[:, 0]
        means.append([np.cos(angle - center).mean(), np.sin(angle - center).mean()])
    mean, error = np.mean(means, axis=0), np.std(means, axis=0, ddof=1) / math.sqrt(len(means))
    assert abs(mean[0] - ive(1, kappa) / ive(0, kappa)) < 4 * error[0]
    assert abs(mean[1]) < 4 * error[1]


def test_guided_samples_in_a_harmonic_well_have_the_gaussian_posteriors_mean_and_variance(
    rotor: tuple[Model, Torsions, np.ndarray],
) -> None:
    # U = k/2 (theta - t)^2 with k = 30 kT and a curve at kappa = 60: precision 90 but for the cosine, which quadrature takes exactly.
    model, torsions, x = rotor
    bias = CurveBias(torsions)
    stiffness, rest = 30.0 * model.kT, 1.0
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    well = openmm.CustomTorsionForce("0.5*k*d^2; d=min(a, 6.283185307179586-a); a=abs(theta-t)")
    well.addPerTorsionParameter("k")
    well.addPerTorsionParameter("t")
    well.addTorsion(0, 1, 2, 3, [stiffness, rest])
    system.addForce(well)
    held = dataclasses.replace(model, system_xml=openmm.XmlSerializer.serialize(system))
    centers = np.array([0.8, 1.0, 1.3])
    eta = 60.0 * np.stack([np.cos(centers), np.sin(centers)], axis=-1)
    dynamics, moments = Dynamics(held, bias), []
    for index in range(24):
        friction = None if index % 2 else 3.0 * held.friction
        frames = dynamics.walk(Walk(bias, eta, 5000, 20, seed_of(6, "well", index), x, discard=1000, friction=friction))
        angle = torsions.values(frames.positions)[:, 0]
        moments.append([[angle[frames.point == k].mean(), angle[frames.point == k].var()] for k in range(3)])
    mean, error = np.mean(moments, axis=0), np.std(moments, axis=0, ddof=1) / math.sqrt(len(moments))
    grid = np.linspace(-0.5, 2.5, 3001)
    for k, center in enumerate(centers):
        weight = np.exp(-15.0 * (grid - rest) ** 2 + 60.0 * (np.cos(grid - center) - 1.0))
        weight /= weight.sum()
        exact = weight @ grid
        spread = weight @ (grid - exact) ** 2
        assert spread == pytest.approx(1.0 / 90.0, rel=0.02)
        # Six figures at 3.5 standard errors of 24 walks (t distribution): false alarms about 1 %, and the seed is fixed.
        assert abs(mean[k, 0] - exact) < 3.5 * error[k, 0]
        assert abs(mean[k, 1] - spread) < 3.5 * error[k, 1]


def test_a_walk_depends_on_its_seed_and_on_nothing_else(alanine: Problem) -> None:
    bias = CurveBias(alanine.coordinates)
    dynamics = Dynamics(alanine.model, bias)
    eta = np.array([[20.0, 0.0, 0.0, 20.0], [0.0, 20.0, 0.0, 20.0]])
    task = Walk(bias, eta, 100, 25, 7, alanine.start.positions)
    first = dynamics.walk(task)
    other = dynamics.walk(dataclasses.replace(task, seed=8, schedule=-eta, friction=20.0))
    again = dynamics.walk(task)
    fresh = Dynamics(alanine.model, bias).walk(task)
    for name in ("positions", "velocities", "potential_energy"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(first, name), getattr(fresh, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    viscous = dynamics.walk(dataclasses.replace(task, friction=20.0))
    assert not np.array_equal(first.positions, viscous.positions)


def test_frames_are_at_every_stride_and_evaluations_are_steps(alanine: Problem) -> None:
    bias = CurveBias(alanine.coordinates)
    task = Walk(bias, np.zeros((3, 4)), 100, 25, 1, alanine.start.positions)
    frames = Dynamics(alanine.model, bias).walk(task)
    assert frames.evaluations == 300
    np.testing.assert_allclose(frames.time, np.arange(13) * 0.025)
    np.testing.assert_array_equal(frames.point, [0] * 5 + [1] * 4 + [2] * 4)
    energy, _ = Potential(alanine.model)(frames.positions[-1].astype(float))
    assert frames.potential_energy[-1] == pytest.approx(energy, abs=0.5)  # float32 positions
    burned = Dynamics(alanine.model, bias).walk(dataclasses.replace(task, discard=50))
    assert burned.evaluations == 300
    np.testing.assert_allclose(burned.time, [0.075, 0.1, 0.175, 0.2, 0.275, 0.3])


def test_an_exploding_walk_is_reported_and_paid_for(alanine: Problem) -> None:
    wild = dataclasses.replace(alanine.model, timestep=0.05)
    bias = CurveBias(alanine.coordinates)
    frames = Dynamics(wild, bias).walk(Walk(bias, np.zeros((1, 4)), 1000, 25, 1, alanine.start.positions))
    assert not frames.stable
    assert 0 < frames.evaluations <= 1000


def test_minimisation_counts_every_call(alanine: Problem) -> None:
    potential = Potential(alanine.model)
    rng = np.random.default_rng(2)
    minimum = minimise(potential, alanine.start.positions + rng.normal(scale=0.003, size=(22, 3)), tolerance=1.0)
    assert minimum.evaluations == potential.evaluations > 10
    _, gradient = potential(minimum.positions)
    assert np.abs(gradient).max() < 5.0
    start, _ = potential(alanine.start.positions)
    assert minimum.energy == pytest.approx(start, abs=0.1)


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-720, 720))
def test_interval_is_periodic(low: float, high: float, angle: float) -> None:
    interval = TorsionRange((0, 1, 2, 3), low, high)
    assert bool(interval.includes(low))
    assert bool(interval.includes(low + (high - low) % 360.0 * 0.5))
    inside = 1e-6 < (angle - low) % 360.0 < (high - low) % 360.0 - 1e-6
    if inside:
        assert bool(interval.includes(angle))
        assert bool(interval.includes(angle + 360.0))


def test_states_of_the_bundled_system(alanine: Problem) -> None:
    assert alanine.a.contains(alanine.start.positions)
    assert not alanine.a.contains(alanine.end.positions)
    assert alanine.b.contains(alanine.end.positions)
    assert state_of(alanine.a.to_json(), cell=None, read=lambda file: alanine.start.positions) == alanine.a


def test_states_that_overlap_or_hold_both_ends_are_refused(alanine: Problem) -> None:
    everything = State((tuple(TorsionRange(t, -180.0, 180.0) for t in alanine.coordinates.atoms),))
    with pytest.raises(SpacetimeError, match="both structures are in state A"):
        check_endpoints(everything, alanine.b, alanine.start.positions, alanine.end.positions)
    phi = alanine.coordinates.atoms[0]
    a, b = State(((TorsionRange(phi, -180, 10),),)), State(((TorsionRange(phi, 0, 100),),))
    with pytest.raises(SpacetimeError, match="overlap"):
        check_endpoints(a, b, alanine.start.positions, alanine.end.positions)


def test_rotatable_torsions_of_alanine_dipeptide(alanine: Problem) -> None:
    molecule = molecule_of(alanine.start, alanine.end, None)
    assert set(alanine.coordinates.atoms) <= set(rotatable_torsions(molecule).atoms)
    assert Torsions.of_molecule(None, molecule).atoms == alanine.coordinates.atoms
    with pytest.raises(SpacetimeError, match="no torsion differs"):
        Torsions.of_molecule(None, molecule_of(alanine.start, alanine.start, None))
