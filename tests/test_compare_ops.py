"""Chains of a comparison: their paths, their counts and what they sample, on a free rotor whose transitions can be waited for."""

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
import openmm
import pytest
from turning import STRIDE, A, B

from benchmarks.two_way import series
from spacetime_tps.files import read_csv, write_json
from spacetime_tps.paths.transition import Transition, keep_path, read_transitions, write_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.progress import Silent
from spacetime_tps.rivals.protocol import Contest
from spacetime_tps.rivals.registry import RIVALS
from spacetime_tps.rivals.starts import made_hot
from spacetime_tps.storage.folder import Folder

BUDGET = 30_000
PREPARED = {"preparation": 5, "training_md": 20, "windows": 100, "geodesic": 0, "guided": 10**6}


@pytest.fixture
def contest(turning, through_180, tmp_path) -> Contest:
    """A run whose guided path is a transition of its own."""
    folder, path = Folder(tmp_path / "run"), through_180[0]
    preparation.save(turning, tmp_path / "run")
    file, highest = keep_path(folder, turning, "guided_0", path)
    write_transitions(folder, [Transition("guided_0", "guided", "ok", 1, highest, None, len(path), 777, 1, None, "t", file)])
    write_json(tmp_path / "run/summary.json", {"system": "rotor", "evaluations": PREPARED})
    return Contest(turning, folder, "as it was", BUDGET, 3, STRIDE, 20_000, STRIDE, len(path), Silent())


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """Steps that OpenMM is told to take, whoever tells it."""
    steps: list[int] = []
    for kind in (openmm.Integrator, openmm.LangevinMiddleIntegrator):
        if "step" in vars(kind):
            taken = kind.step

            def step(self, count, taken=taken):
                steps.append(count)
                return taken(self, count)

            monkeypatch.setattr(kind, "step", step)
    return steps


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_paths_are_of_the_ensemble_and_every_step_is_counted(rival, contest, counted, tmp_path: Path):
    pytest.importorskip("openpathsampling")
    out = tmp_path / rival.name
    rival.run(contest, out)
    stage, summary = rival.name.replace("-", "_"), json.loads((out / "summary.json").read_text())
    spent, moves = summary["baseline_evaluations"][stage], read_csv(out / "moves.csv")
    before = summary["evaluations"].get("hot_md", 0)
    assert sum(counted) == pytest.approx(spent + before, rel=0.01)
    assert summary["integrator_steps"] == pytest.approx(spent, rel=0.01)
    assert spent == sum(int(move["evaluations"]) for move in moves) >= BUDGET
    assert spent - int(moves[-1]["evaluations"]) < BUDGET
    rows = read_transitions(Folder(out))
    assert len(rows) == 1 + (len(moves) - summary["moves_with_memory_of_the_initial_path"]) // summary["moves_per_sample"]
    assert {row.stage for row in rows} == {stage}
    for row in rows:
        positions, _ = Folder(out).frames(row.file)
        in_a, in_b = A.contains(positions), B.contains(positions)
        assert in_a[0]
        assert in_b[-1]
        assert len(positions) == row.n_frames
        assert {r["velocity_offset_steps"] for r in read_csv(out / row.file.replace(".trr", ".csv"))} == {"0.0000"}
        if "fixed" in rival.name:
            assert len(positions) == contest.length
        else:
            assert not (in_a[1:] | in_b[:-1]).any()
    if not rival.name.endswith("-hot"):
        assert summary["evaluations"] == {"preparation": 5, "training_md": 20, "windows": 100, "geodesic": 0, "guided": 777, "total": 902}


def volumes(problem):
    from spacetime_tps.engines.openmm import open_path_sampling

    return open_path_sampling.volumes(problem.boxes, problem.model.cell, problem.start.positions, problem.end.positions)


@pytest.mark.parametrize("way", ["one_way", "two_way"])
def test_chains_sample_the_paths_of_a_long_trajectory(way: str, turning, through_180):
    """Of those through 180 degrees: a fast rotor can leap over a state between two looks, and then the chain is on the other side for long.
    Lengths, and where between the states frames are. Standard errors come from the series; beyond 4.5 of them is once in 100,000."""
    pytest.importorskip("openpathsampling")
    from spacetime_tps.engines.openmm import open_path_sampling

    start = through_180[0]
    chain = open_path_sampling.chain(
        turning.model, turning.start.topology, volumes(turning), start.positions, start.velocities, getattr(open_path_sampling, way),
        length=None, stride=STRIDE, longest=2000, seed=2,
    )  # fmt: skip
    every = [move.positions for move in islice(chain, 1000)]
    sampled = [x for x in every if (np.cos(turning.coordinates.values(x[1:-1])) < 0.5).all()]
    assert len(sampled) > 100
    for measure in (len, lambda x: -np.cos(turning.coordinates.values(x[1:-1])).mean()):
        ours, theirs = series([float(measure(x)) for x in sampled]), series([float(measure(p.positions)) for p in through_180])
        assert abs(ours["mean"] - theirs["mean"]) < 4.5 * math.hypot(ours["standard_error"], theirs["standard_error"])


def test_a_path_that_is_not_of_the_ensemble_is_refused(turning, through_180):
    pytest.importorskip("openpathsampling")
    from spacetime_tps.engines.openmm import open_path_sampling

    inside = through_180[0].positions[1:]
    with pytest.raises(ValueError, match="not of the ensemble"):
        next(open_path_sampling.chain(
            turning.model, turning.start.topology, volumes(turning), inside, inside, open_path_sampling.one_way,
            length=None, stride=STRIDE, longest=2000, seed=2,
        ))  # fmt: skip


def test_a_hot_path_goes_from_A_to_B_and_its_steps_are_paid_for(contest, counted):
    for length in (None, 40):
        counted.clear()
        path = made_hot(contest, length)
        assert A.contains(path.positions[0])
        assert B.contains(path.positions[-1])
        assert length in (None, len(path.positions))
        assert path.told["temperature_K"] == pytest.approx(450.0)
        assert path.evaluations["hot_md"] == sum(counted)
