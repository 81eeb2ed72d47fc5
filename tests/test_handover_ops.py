"""To OpenPathSampling and back: what goes out comes in again, its own checks pass, and a chain runs."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spacetime_tps
from spacetime_tps import SpacetimeError
from spacetime_tps.engines.openmm.whole_steps import whole_step_velocities
from spacetime_tps.problems import problem as preparation
from spacetime_tps.report.table import runs_table

pytest.importorskip("openpathsampling")

import openpathsampling as ops

from spacetime_tps.engines.openmm.open_path_sampling import WholeStepEngine, engine_of, volumes
from spacetime_tps.handover.openpathsampling import STAGE, between, from_openpathsampling, to_openpathsampling, write_storage


def test_paths_come_back_as_they_went(small_run: Path, tmp_path: Path) -> None:
    file, table = write_storage(small_run, tmp_path / "out")
    back = spacetime_tps.open(from_openpathsampling(file, small_run, tmp_path / "back"))
    mine = spacetime_tps.open(small_run).paths.select(hit=True)
    model = preparation.load(small_run).model
    storage = ops.Storage(str(file), "r")
    assert len(back.paths) == len(mine) == len(storage.trajectories)
    for path, again in zip(mine, back.paths, strict=True):
        piece = between(path.places, path.name)
        np.testing.assert_allclose(again.positions, path.positions[piece], rtol=0, atol=1e-5)
        np.testing.assert_allclose(again.times, path.times[piece] - path.times[piece][0], atol=1e-4)
        assert again.states.tolist() == path.states[piece].tolist()
        whole, _ = whole_step_velocities(model, path.positions[piece], path.velocities[piece], path.velocity_offsets[piece])
        np.testing.assert_allclose(again.velocities, whole, rtol=0, atol=1e-5)
        assert (again.velocity_offsets == 0.0).all()
        np.testing.assert_allclose(again.energies, path.energies[piece], atol=2e-3)  # of float32 positions
        stored = storage.tags[path.name]
        np.testing.assert_allclose([s.xyz for s in stored], path.positions[piece], atol=1e-5)
        assert again.route == path.route
    storage.close()
    with open(table) as handle:
        weights = {row["path"]: float(row["weight"]) for row in csv.DictReader(handle)}
    np.testing.assert_equal(list(weights.values()), mine.weights.tolist())
    assert f"{STAGE}, " in runs_table([tmp_path / "back"])
    assert (tmp_path / "back/report.html").stat().st_size > 0
    assert set(back.summary["wall_seconds"]) == {"preparation", "exploration"}, "of paths that it does not hold nothing is told"
    with pytest.raises(SpacetimeError, match="not empty"):
        from_openpathsampling([], small_run, tmp_path / "back")
    with pytest.raises(SpacetimeError, match="none of the trajectories connects"):
        from_openpathsampling([], small_run, tmp_path / "none")


def test_its_own_checks_pass_and_a_chain_runs_and_comes_back(small_run: Path, tmp_path: Path) -> None:
    start = to_openpathsampling(str(small_run))
    ensemble = start.network.sampling_ensembles[0]
    assert ensemble(start.trajectory)
    assert start.a(start.trajectory[0])
    assert start.b(start.trajectory[-1])
    scheme = ops.OneWayShootingMoveScheme(start.network, selector=ops.UniformSelector(), engine=start.engine)
    initial = scheme.initial_conditions_from_trajectories(start.trajectory)
    scheme.assert_initial_conditions(initial)
    storage = ops.Storage(str(tmp_path / "chain.nc"), "w", template=start.trajectory[0])
    sampling = ops.PathSampling(storage, scheme, initial)
    spent = start.engine.dynamics.evaluations
    with open(os.devnull, "w") as sampling.output_stream:
        sampling.run(4)
    lengths = [len(step.active[0].trajectory) for step in storage.steps]
    uuids = [step.active[0].trajectory.__uuid__ for step in storage.steps]
    storage.close()
    assert start.engine.dynamics.evaluations > spent
    back = spacetime_tps.open(from_openpathsampling(tmp_path / "chain.nc", small_run, tmp_path / "back"))
    assert back.paths.weights.sum() == len(lengths) == 5
    assert len(back.paths) == len(set(uuids)), "a path that stayed is one path with its weight"
    assert back.summary["by_route"][STAGE][back.paths[0].route]["hits"] >= 1
    assert sum(p.row.n_frames * p.weight for p in back.paths) == sum(lengths)


def test_a_path_of_a_broken_molecule_does_not_come_back(small_run: Path, tmp_path: Path) -> None:
    problem, chosen = preparation.load(small_run), to_openpathsampling(small_run)
    whole = chosen.trajectory
    names = [(atom.residue.index, atom.name) for atom in problem.start.topology.atoms()]
    turned = np.array([s.coordinates._value for s in whole])
    around = [names.index((1, name)) for name in ("HA", "CB")]
    middle = len(turned) // 2
    turned[middle, around] = turned[middle, around[::-1]]
    assert not problem.connects(turned)
    broken = chosen.engine.trajectory(turned, np.array([s.velocities._value for s in whole]))
    found = spacetime_tps.open(from_openpathsampling([whole, broken], small_run, tmp_path / "back"))
    assert len(found.paths) == 1


def test_a_guided_path_is_cut_between_its_states(small_run: Path) -> None:
    guided = spacetime_tps.open(small_run).paths.select(stage="guided", hit=True)[0]
    start = to_openpathsampling(small_run, guided.name)
    assert start.name == guided.name
    assert len(start.trajectory) < len(guided.times)
    assert [start.a(s) for s in start.trajectory] == [True] + [False] * (len(start.trajectory) - 1)
    assert [start.b(s) for s in start.trajectory] == [False] * (len(start.trajectory) - 1) + [True]


def test_where_a_path_lies_between() -> None:
    assert between(np.array([0, 0, -1, 0, -1, -1, 1, 1]), "x") == slice(3, 7)
    assert between(np.array([1, -1, 0]), "x") == slice(0, 3)
    with pytest.raises(SpacetimeError, match="the path x has no frames between A and B"):
        between(np.array([0, 1, -1]), "x")


def test_a_motion_turned_at_whole_steps_runs_back(small_run: Path) -> None:
    """Without friction: from whole-step velocities turned round the engine returns to where it was."""
    problem = preparation.load(small_run)
    engine = engine_of(replace(problem.model, friction=0.0), problem.start.topology, stride=25, longest=10, seed=1)
    first = engine.snapshot(problem.start.positions, np.random.default_rng(1).normal(scale=0.3, size=problem.start.positions.shape))
    engine.current_snapshot = first
    there = engine.generate_next_frame()
    assert engine.dynamics.evaluations == 25
    engine.current_snapshot = there.reversed
    back = engine.generate_next_frame()
    np.testing.assert_allclose(back.xyz, first.xyz, atol=1e-8)
    np.testing.assert_allclose(back.velocities._value, -first.velocities._value, atol=1e-5)


def test_engine_and_states_are_stored(small_run: Path, tmp_path: Path) -> None:
    start, problem = to_openpathsampling(small_run), preparation.load(small_run)
    storage = ops.Storage(str(tmp_path / "x.nc"), "w")
    storage.save([start.trajectory, start.network])
    storage.close()
    storage = ops.Storage(str(tmp_path / "x.nc"), "r")
    engine = storage.trajectories[0][0].engine
    assert isinstance(engine, WholeStepEngine)
    assert engine.options == start.engine.options
    (network,) = storage.networks
    (a,), (b,) = network.initial_states, network.final_states
    assert [(a(s), b(s)) for s in start.trajectory] == [(start.a(s), start.b(s)) for s in start.trajectory]
    assert (str(a), str(b)) == tuple(str(v) for v in volumes(problem.boxes, None, problem.start.positions, problem.end.positions))
    storage.close()
