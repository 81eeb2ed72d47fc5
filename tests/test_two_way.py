"""The reference by OpenPathSampling: its command, its samples, and the dynamics that it is given."""

import json
import math
from dataclasses import replace
from itertools import islice

import numpy as np
import openmm
import pytest
from turning import STRIDE, A, B
from typer.testing import CliRunner

from benchmarks.cli import app as command
from benchmarks.truth import load
from benchmarks.two_way import FROM, STAGE, run_two_way, series
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.whole_steps import WholeSteps
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json
from spacetime_tps.paths.transition import Transition, keep_path, write_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.progress import Silent
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.trr import read_trr
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

ANGLE = Angle("t", 2, 0, 1)


@pytest.fixture
def finished(turning, through_180, tmp_path):
    """A run folder with one unbiased path and a crossing between the states."""
    folder, path = tmp_path / "run", through_180[0]
    preparation.save(turning, folder)
    file, highest = keep_path(Folder(folder), turning, "unbiased_0", path)
    write_transitions(Folder(folder), [Transition("unbiased_0", FROM, "ok", 1, highest, None, len(path), 1, 1, 1.0, "t", file)])
    place = {"variable": ANGLE.name, "center": 180.0, "stiffness": 3.0, "of": ANGLE.to_json()}
    crossing = {**place, "shots": 1, "reactive_fraction": 1.0}
    (folder / "config.yaml").write_text('{"system": {"name": "rotor"}, "inputs": {}, "settings": {}}')
    write_json(folder / "summary.json", {"system": "rotor", "unbiased": {"crossings": [crossing]}})
    return folder


def test_without_open_path_sampling_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.two_way.find_spec", lambda name: None)
    result = CliRunner().invoke(command, ["two-way", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert 'pip install "spacetime_tps[ops]"' in result.output
    assert result.output.count("\n") == 1


def test_moves_give_paths_from_A_to_B(finished, turning, tmp_path):
    pytest.importorskip("openpathsampling")
    summary = run_two_way(finished, tmp_path / "out", moves=10, every=2, seed=1, progress=Silent())
    paths = load([tmp_path / "out"], STAGE)
    assert len(paths.weight) == summary["transitions"] == 5
    assert summary["baseline_evaluations"][STAGE] > 10 * STRIDE
    assert json.loads((tmp_path / "out/summary.json").read_text())["seed"] == 1
    for k in range(5):
        positions = read_trr(tmp_path / f"out/transitions/{STAGE}_{k:05d}.trr")[0]
        assert A.contains(positions).tolist() == [True] + [False] * (len(positions) - 1)
        assert B.contains(positions).tolist() == [False] * (len(positions) - 1) + [True]
    with pytest.raises(SpacetimeError, match="not empty"):
        run_two_way(finished, tmp_path / "out", moves=1, every=1, seed=1, progress=Silent())
    again = run_two_way(finished, tmp_path / "again", moves=10, every=2, seed=1, progress=Silent())
    assert again["n_frames"] == summary["n_frames"]


def test_forgetting_velocities_leaves_stiff_bonds_at_their_temperature():
    """Three bonds with omega dt = 0.71: <E> = kT/2 each. Velocities drawn at whole steps make it 1.9 of that. 9,000 energies, of which
    three in a row are worth one, have a relative standard error of 3 percent: 15 fail once in a million."""
    timestep, stiffness, mass = 0.005, 1e5, 10.0  # reduced mass 5 at the ends of a pair: omega = sqrt(1e5 / 5) = 141 per ps
    system, bonds = openmm.System(), openmm.HarmonicBondForce()
    for _ in range(6):
        system.addParticle(mass)
    for index in range(0, 6, 2):
        bonds.addBond(index, index + 1, 0.15, stiffness)
    system.addForce(bonds)
    positions = np.array([[0.15 * (k % 2), 1.0 * (k // 2), 0.0] for k in range(6)])
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, timestep, "Reference")
    integrator = openmm.LangevinMiddleIntegrator(model.temperature, model.friction, timestep)
    integrator.setRandomNumberSeed(1)
    dynamics = WholeSteps(openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference")))
    dynamics.put(positions, np.zeros((6, 3)))
    energies, rng = [], np.random.default_rng(1)
    for _ in range(3000):
        dynamics.forget(rng)
        dynamics.step(7)
        x = dynamics.get()[0].reshape(3, 2, 3)
        energies.append(0.5 * stiffness * (np.linalg.norm(x[:, 1] - x[:, 0], axis=-1) - 0.15) ** 2)
    assert np.mean(energies) == pytest.approx(0.5 * model.kT, rel=0.15)


def test_the_chain_samples_the_paths_of_a_long_trajectory(turning, through_180):
    """Path lengths of the rotor, and where between the states its frames are, against transitions that were waited for. Standard errors
    come from the series themselves; beyond 4.5 of them is once in 100,000."""
    pytest.importorskip("openpathsampling")
    from benchmarks.open_path_sampling import Selector, two_way_chain

    start = through_180[0]
    chain = two_way_chain(
        turning, start.positions, start.velocities, Selector(Window(ANGLE, math.pi, 3.0), 40), stride=STRIDE, longest=2000, seed=2
    )
    sampled = [move.positions for move in islice(chain, 400)]
    for measure in (len, lambda x: -np.cos(turning.coordinates.values(x[1:-1])).mean()):
        ours, theirs = series([float(measure(x)) for x in sampled]), series([float(measure(p.positions)) for p in through_180])
        error = math.hypot(ours["standard_error"], theirs["standard_error"])
        assert abs(ours["mean"] - theirs["mean"]) < 4.5 * error


def test_a_motion_turned_at_whole_steps_runs_back(turning):
    """Without friction LangevinMiddle is leapfrog: from whole-step velocities turned round it returns to where it was, to rounding."""
    pytest.importorskip("openpathsampling")
    from spacetime_tps.engines.openmm.open_path_sampling import engine_of

    frictionless = replace(turning, model=replace(turning.model, friction=0.0))
    engine = engine_of(frictionless.model, turning.start.topology, stride=STRIDE, longest=10, seed=1)
    first = engine.snapshot(turning.start.positions, np.random.default_rng(1).normal(scale=0.4, size=(4, 3)))
    engine.current_snapshot = first
    there = engine.generate_next_frame()
    engine.current_snapshot = there.reversed
    back = engine.generate_next_frame()
    np.testing.assert_allclose(back.xyz, first.xyz, atol=1e-9)
    np.testing.assert_allclose(back.velocities._value, -first.velocities._value, atol=1e-7)


def test_the_error_of_a_correlated_mean_allows_for_it():
    """AR(1) with coefficient 0.8: one independent value is worth (1 + 0.8) / (1 - 0.8) = 9."""
    rng = np.random.default_rng(1)
    x = np.zeros(40_000)
    for k in range(1, len(x)):
        x[k] = 0.8 * x[k - 1] + rng.normal()
    found = series(x.tolist())
    assert found["autocorrelation"] == pytest.approx(0.8, abs=0.02)
    assert found["inefficiency"] == pytest.approx(9.0, rel=0.15)
    assert found["standard_error"] == pytest.approx(math.sqrt(9.0 / (1.0 - 0.64) / len(x)), rel=0.1)
    assert series([1.0, 1.0, 1.0])["standard_error"] is None
