"""Molecules with constraints and virtual sites: what is stored, drawn, shot, turned round in time and minimised keeps to them."""

from dataclasses import replace

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmmtools import testsystems

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Engine, Model, Walk
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.engines.openmm.shooting import Shot, shoot
from spacetime_tps.engines.openmm.whole_steps import WholeSteps, whole_step_velocities
from spacetime_tps.molecules.forcefield import serialised
from spacetime_tps.states.state import state_of
from spacetime_tps.trajectories.frames import offsets, time_reversed

R = 8.314462618e-3
PSI = Torsions(("psi",), ((6, 8, 14, 16),))


@pytest.fixture(scope="module")
def held() -> tuple[Model, np.ndarray]:
    """Alanine dipeptide in vacuum with bonds to hydrogen constrained, 2 fs; positions."""
    source = testsystems.AlanineDipeptideVacuum()
    field = app.ForceField("amber96.xml")
    system = field.createSystem(source.topology, nonbondedMethod=app.NoCutoff, constraints=app.HBonds, removeCMMotion=False)
    return Model(serialised(system), 300.0, 1.0, 0.002, "Reference"), source.positions.value_in_unit(unit.nanometer)


@pytest.fixture(scope="module")
def four_sites() -> tuple[Model, np.ndarray]:
    """Two rigid waters with a virtual site each, 2 fs."""
    field = app.ForceField("tip4pew.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(field, model="tip4pew", boxSize=openmm.Vec3(1.2, 1.2, 1.2))
    keep = list(modeller.topology.residues())[:2]
    modeller.delete([r for r in modeller.topology.residues() if r not in keep])
    modeller.topology.setPeriodicBoxVectors(None)
    system = field.createSystem(modeller.topology, nonbondedMethod=app.NoCutoff, removeCMMotion=False)
    x = np.array(modeller.positions.value_in_unit(unit.nanometer))
    return Model(serialised(system), 300.0, 1.0, 0.002, "Reference"), x


def lengths_off(model: Model, positions: np.ndarray) -> float:
    """The largest relative error of a constrained distance of frames (F, atoms, 3)."""
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    worst = 0.0
    for k in range(system.getNumConstraints()):
        i, j, length = system.getConstraintParameters(k)
        wanted = length.value_in_unit(unit.nanometer)
        found = np.linalg.norm(positions[..., i, :].astype(float) - positions[..., j, :], axis=-1)
        worst = max(worst, float(np.abs(found / wanted - 1.0).max()))
    return worst


def stretching(model: Model, positions: np.ndarray, velocities: np.ndarray) -> float:
    """The largest rate, nm/ps, at which a constrained distance would grow."""
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    worst = 0.0
    for k in range(system.getNumConstraints()):
        i, j, _ = system.getConstraintParameters(k)
        apart = positions[..., i, :].astype(float) - positions[..., j, :]
        along = apart / np.linalg.norm(apart, axis=-1, keepdims=True)
        worst = max(worst, float(np.abs(((velocities[..., i, :] - velocities[..., j, :]) * along).sum(-1)).max()))
    return worst


def unstretched(model: Model, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Velocities (atoms, 3) without what stretches constraints, by Lagrange multipliers and numpy's solver."""
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    masses = np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())])
    rows = np.zeros((system.getNumConstraints(), *x.shape))
    for k in range(len(rows)):
        i, j, _ = system.getConstraintParameters(k)
        rows[k, i], rows[k, j] = x[i] - x[j], x[j] - x[i]
    gradient = rows.reshape(len(rows), -1)
    weighted = (rows / masses[:, None]).reshape(len(rows), -1)
    return v - (np.linalg.solve(gradient @ weighted.T, gradient @ v.ravel()) @ weighted).reshape(x.shape)


def temperatures(model: Model, velocities: np.ndarray) -> np.ndarray:
    """Of frames (F,), K, with three degrees of freedom a massive particle less one a constraint."""
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    masses = np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())])
    freedom = 3 * (masses > 0).sum() - system.getNumConstraints()
    return np.asarray((masses[:, None] * velocities.astype(float) ** 2).sum((1, 2)) / (freedom * R))


@pytest.mark.parametrize("molecule", ["held", "four_sites"])
def test_constraints_hold_in_every_stored_frame_and_the_kinetic_temperature_is_right(molecule: str, request) -> None:
    """At 10/ps the temperature forgets in 0.05 ps; 0.1 ps apart, 400 frames are independent, and the mean of 300 K is known to
    300 sqrt(2 / (f 400)): 2.7 K of 57 degrees of freedom, 6 K of 12. Four standard errors: one false alarm in 16,000."""
    model, x = request.getfixturevalue(molecule)
    frames = Dynamics(model).walk(Walk(None, FREE, 20_500, 50, 3, x, discard=500, friction=10.0))
    assert frames.stable
    assert lengths_off(model, frames.positions) < 1e-5
    assert stretching(model, frames.positions, frames.velocities) < 1e-3, "of speeds of 2 nm/ps"
    found = temperatures(model, frames.velocities)
    assert abs(found.mean() - 300.0) < 4.0 * {"held": 2.7, "four_sites": 6.0}[molecule]


def test_drawn_velocities_stretch_nothing(held) -> None:
    model, x = held
    dynamics = Dynamics(model)
    dynamics.begin(1, x)
    v = dynamics.context.getState(velocities=True).getVelocities(asNumpy=True)._value
    force = dynamics.context.getState(forces=True).getForces(asNumpy=True)._value
    assert np.abs(force).max() > 1.0
    whole, _ = whole_step_velocities(model, x[None], v[None], np.array([-0.5]))
    assert stretching(model, x[None], whole) < 1e-4


@pytest.mark.parametrize("turned", [False, True])
def test_whole_step_velocities_are_the_central_differences_along_the_constraints(held, turned: bool) -> None:
    """Without friction LangevinMiddle is RATTLE, where (x(t + dt) - x(t - dt)) / 2 dt is the velocity at t but for what stretches
    constraints, whichever way time runs. Positions are float32, 6e-8 nm at 0.8 nm, over 4 fs."""
    model, x = held
    still = replace(model, friction=0.0)
    warm = Dynamics(model).walk(Walk(None, FREE, 500, 500, 3, x))
    at, v = warm.positions[-1].astype(float), warm.velocities[-1].astype(float)
    frames = Dynamics(still).walk(Walk(None, FREE, 40, 1, 3, at, v))
    frames = time_reversed(frames) if turned else frames
    found, evaluations = whole_step_velocities(still, frames.positions, frames.velocities, offsets(frames))
    central = (frames.positions[2:].astype(float) - frames.positions[:-2]) / (2.0 * still.timestep)
    expected = np.array([unstretched(still, p, c) for p, c in zip(frames.positions[1:-1].astype(float), central, strict=True)])
    np.testing.assert_allclose(found[1:-1], expected, atol=2e-4)
    assert np.abs(frames.velocities[1:-1] - expected).max() > 0.05, "as they are kept they differ"
    assert np.abs(central - expected).max() > 0.01, "chords stretch constraints"
    assert evaluations == len(frames)


def test_motion_runs_back_where_whole_step_velocities_are_turned_round(held) -> None:
    """RATTLE is its own reverse: 200 steps there and back end where they began, but for rounding and the tolerance of constraints."""
    model, x = held
    frictionless = replace(model, friction=0.0)
    system, integrator = frictionless.system(), frictionless.integrator(1)
    dynamics = WholeSteps(openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference")))
    begin = Dynamics(model).walk(Walk(None, FREE, 500, 500, 3, x))
    dynamics.put(begin.positions[-1].astype(float), begin.velocities[-1].astype(float))
    start, v = dynamics.get()
    dynamics.step(200)
    there, u = dynamics.get()
    assert np.abs(there - start).max() > 0.02
    dynamics.put(there, -u)
    dynamics.step(200)
    back, w = dynamics.get()
    np.testing.assert_allclose(back, start, atol=1e-5)
    np.testing.assert_allclose(w, -v, atol=1e-2)


def test_a_shot_with_constraints_is_one_motion_whichever_way_time_runs(held) -> None:
    """Without friction a reactive path is one trajectory: begun at its first frame, plain dynamics runs through all the others. The shot's
    half steps and OpenMM's whole ones differ by the third power of the angle that a bond turns through in one, 1e-6 nm."""
    model, x = held
    still = replace(model, friction=0.0)
    engine = Engine(still)
    warm = Dynamics(model).walk(Walk(None, FREE, 2500, 2500, 3, x, friction=10.0))
    at, v = warm.positions[-1].astype(float), warm.velocities[-1].astype(float)
    here = float(np.degrees(PSI.values(at))[0])
    a, b = ([{"torsions": [[*PSI.atoms[0], *limits]]}] for limits in ((here - 120.0, here - 3.0), (here + 3.0, here + 120.0)))
    ends = [state_of(boxes, cell=None, read=lambda file: at) for boxes in (a, b)]
    paths = []
    for seed in range(1, 20, 2):
        shot = Shot(at, v, CurveBias(PSI), np.zeros(2), seed, 1, 2, 1, 400, *ends, PSI)
        outcome = shoot(engine, shot)
        assert outcome.stable
        if outcome.path is not None:
            paths.append(outcome.path)
    assert len(paths) > 2
    for path in paths:
        assert lengths_off(model, path.positions) < 1e-5
        assert stretching(model, path.positions, path.velocities) < 1e-3
        whole, _ = whole_step_velocities(still, path.positions, path.velocities, offsets(path))
        system, integrator = still.system(), still.integrator(1)
        again = WholeSteps(openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference")))
        again.put(path.positions[0].astype(float), whole[0])
        for frame in path.positions[1:]:
            again.step(2)
            np.testing.assert_allclose(again.get()[0], frame, atol=2e-4)
        assert np.abs(path.positions[-1] - path.positions[0]).max() > 0.02


def test_shots_leave_no_heat(held) -> None:
    """Kinetic temperature 4 steps into 100 shots, whose velocities are drawn along the constraints: 54 degrees of freedom, so that the mean
    is known to 300 sqrt(2 / 5400) = 5.8 K; four standard errors."""
    model, x = held
    engine = Engine(model)
    warm = Dynamics(model).walk(Walk(None, FREE, 20_500, 200, 5, x, discard=500, friction=10.0))
    nowhere = [state_of([{"distances": [[0, 1, d, d + 0.1]]}], cell=None, read=lambda file: x) for d in (50.0, 60.0)]
    found = []
    for k in range(100):
        at, v = warm.positions[k].astype(float), warm.velocities[k].astype(float)
        assert shoot(engine, Shot(at, v, CurveBias(PSI), np.zeros(2), 2 * k + 1, 1, 2, 1, 4, *nowhere, PSI)).stable
        found.append(engine.under(None).context.getState(velocities=True).getVelocities(asNumpy=True)._value)
    assert abs(temperatures(model, np.array(found)).mean() - 300.0) < 4.0 * 5.8


@pytest.mark.parametrize("molecule", ["held", "four_sites"])
def test_a_minimum_keeps_to_constraints_and_no_free_force_is_left(molecule: str, request) -> None:
    model, x = request.getfixturevalue(molecule)
    potential = Potential(model)
    found = minimise(potential, x, tolerance=1.0)
    assert lengths_off(model, found.positions[None]) < 1e-5
    assert found.energy < potential(potential.allowed(x))[0]
    system = openmm.XmlSerializer.deserialize(model.system_xml)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(found.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 0.1)
    assert found.energy - context.getState(energy=True).getPotentialEnergy()._value < 0.1, "kJ/mol above what OpenMM's minimiser finds"


def test_of_some_atoms_alone_the_others_stay(held) -> None:
    model, x = held
    potential = Potential(model)
    x = potential.allowed(x)
    found = minimise(potential, x, tolerance=1.0, moving=np.arange(22) < 6)
    np.testing.assert_allclose(found.positions[6:], x[6:], atol=1e-7)
    assert np.abs(found.positions[:6] - x[:6]).max() > 1e-4
