"""Transitions by brute force, and the comparison of weighted paths with them: real dynamics of a hot molecule, and distances by hand."""

import csv
import json
from pathlib import Path

import mdtraj as md
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest
from typer.testing import CliRunner

from benchmarks import brute_force
from benchmarks.cli import app
from benchmarks.truth import Paths, judge, load
from spacetime_tps.problems import problem as preparation
from spacetime_tps.sampling.comparison import density_agreement, difference_interval, jensen_shannon, share_interval


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brute") / "force"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brute_force, "SEGMENT", 50_000)
        patch.setattr(brute_force, "WALKERS", 4)
        words = ["brute-force", "alanine_dipeptide", "--temperature", "900", "--transitions", "4", "--out", str(folder)]
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return folder


def test_brute_force_stores_whole_transitions(reference: Path) -> None:
    problem = preparation.load(reference)
    with open(reference / "transitions.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) >= 4
    for row in rows:
        path = md.load(str(reference / row["file"]), top=str(reference / "topology.pdb"))
        assert problem.a.contains(path.xyz).tolist() == [True] + [False] * (len(path) - 1)
        assert problem.b.contains(path.xyz).tolist() == [False] * (len(path) - 1) + [True]
        np.testing.assert_allclose(path.time, 0.025 * np.arange(len(path)), atol=1e-5)
        assert int(row["n_frames"]) == len(path)
    summary = json.loads((reference / "summary.json").read_text())
    assert summary["transitions"] == len(rows)
    steps = summary["baseline_evaluations"]["brute_force"]
    assert summary["time_from_A_ps"] + summary["time_from_B_ps"] == pytest.approx(steps * 1e-3, rel=0.01)


def test_a_reference_agrees_with_itself(reference: Path) -> None:
    paths = load([reference], "brute_force")
    verdict = judge(paths, paths, seed=1)
    assert [verdict.length.distance, verdict.highest.distance, verdict.density.distance] == [0.0, 0.0, 0.0]
    result = CliRunner().invoke(app, ["truth", str(reference), str(reference), "--stage", "guided"])
    assert result.exit_code == 2
    assert "holds no path of the stage guided" in " ".join(result.output.split())


def synthetic(rng: np.random.Generator, n: int, weight: np.ndarray | None = None) -> Paths:
    """Paths whose length, energy and place depend on one hidden number, which weights may favour."""
    hidden = rng.normal(size=n)
    place = np.clip(np.round(3 * hidden + 10).astype(int), 0, 19)
    return Paths(
        np.exp(-0.8 * hidden) if weight is None else weight, np.round(20 + 4 * hidden), 100 + 10 * hidden + rng.normal(size=n),
        np.full(n, "x"), np.eye(20)[place] * 5, np.ones(1),
    )  # fmt: skip


def test_weights_that_belong_agree_and_paths_without_them_do_not() -> None:
    """exp(-0.8 h) turns a standard normal into one about -0.8. Each distance passes in 99 of 100 seeds; this one is fixed."""
    rng = np.random.default_rng(5)
    there = rng.normal(-0.8, 1.0, 1500)
    place = np.clip(np.round(3 * there + 10).astype(int), 0, 19)
    energies = 100 + 10 * there + rng.normal(size=1500)
    target = Paths(np.ones(1500), np.round(20 + 4 * there), energies, np.full(1500, "x"), np.eye(20)[place] * 5, np.ones(1))
    paths = synthetic(rng, 1500)
    good, bad = judge(paths, target, seed=2), judge(paths.unweighted(), target, seed=2)
    assert good.length.holds
    assert good.highest.holds
    assert good.density.holds
    assert [bad.length.holds, bad.highest.holds, bad.density.holds] == [False, False, False]


def test_jensen_shannon_is_scipys() -> None:
    rng = np.random.default_rng(1)
    p, q = rng.random((4, 30)), rng.random((4, 30))
    p[:, :5] = 0.0
    np.testing.assert_allclose(jensen_shannon(p, q), [jensenshannon(a, b, base=2) for a, b in zip(p, q, strict=True)], atol=1e-12)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(1.0)


def test_the_null_of_densities_covers_draws_from_the_reference() -> None:
    """Fifty draws of 300 from 1,000 at a 99 % limit: more than three beyond it happen once in 600 such tests."""
    rng = np.random.default_rng(3)
    reference = rng.multinomial(12, np.full(25, 0.04), size=1000).astype(float)
    beyond = 0
    for _ in range(50):
        drawn = reference[rng.integers(1000, size=300)]
        beyond += not density_agreement(drawn, np.ones(300), reference, rng=rng, draws=300).holds
    assert beyond <= 3


@pytest.mark.parametrize(("count", "total"), [(0, 50), (23, 2005), (7, 7)])
def test_share_interval_is_the_exact_one(count: int, total: int) -> None:
    exact = binomtest(count, total).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(share_interval(count, total), (exact.low, exact.high), atol=1e-12)


def test_the_interval_of_a_difference_of_shares_covers_nothing_95_times_in_a_hundred() -> None:
    """Of 400 pairs with the same share 20 are expected outside, fewer as exact intervals are wide; over 35 come once in 1,000 times."""
    rng = np.random.default_rng(4)
    outside = 0
    for count in rng.binomial(2000, 0.01, size=400):
        low, high = difference_interval(rng.normal(0.01, 0.001), 0.001, int(count), 2000)
        outside += not low < 0.0 < high
    assert 3 <= outside <= 35


def test_populations_give_the_free_energy_difference_with_its_error() -> None:
    rng, found = np.random.default_rng(6), []
    for _ in range(300):
        in_b = rng.binomial(400, rng.beta(2.0, 6.0, size=8))
        found.append(brute_force.populations(np.stack([400 - in_b, in_b], axis=1)) or {})
    assert brute_force.populations(np.array([[5, 0], [5, 3]])) is None
    score = [(f["value"] - np.log(3.0)) / f["standard_error"] for f in found]
    assert abs(np.mean(score)) < 0.3
    assert 0.8 < np.std(score) < 1.5, "of eight walkers: Student's t of seven has 1.18"
