"""The ablation: rival curves on a landscape that is known, and a small run of it through every step."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hinge import PLANE, hinge, placed

from benchmarks.ablation import (
    BARRIER_ALONE,
    GEODESIC,
    NO_BARRIER,
    SAMPLES,
    STRAIGHT,
    UNIFORM,
    rivals,
    run_ablation,
    told,
    windows_difference,
)  # fmt: skip
from spacetime_tps import SpacetimeError, load_system, run
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.geometry import curve as geometry
from spacetime_tps.geometry.geodesic import Geodesic
from spacetime_tps.progress import Silent
from spacetime_tps.settings import parse_settings

FAMILY = PLANE.family()
GRID = periodic_grid(48, 2)
HILL = quadrature(FAMILY, GRID, lambda x: 4.0 * torch.cos(x[:, 0]) + 6.0 * torch.exp(-4.0 * (x[:, 0].square() + x[:, 1].square())), kT=1.0)
"""Minima at phi = 180 degrees; between -80 and 80 a barrier at 0, with a hill on it where psi is 0"""


def some_curve(eta: np.ndarray) -> Curve:
    x = placed(np.degrees(GRID[:, 0].numpy()), np.degrees(GRID[:, 1].numpy()))
    return Curve("r", eta, np.zeros(len(eta)), x, x, HILL.features.numpy(), HILL.log_weights.numpy(), np.zeros((1, 4)), np.array([len(x)]))


@pytest.fixture(scope="module")
def found() -> dict[str, Geodesic]:
    """From a curve that bends round the hill."""
    s = np.linspace(0.0, 1.0, 40)
    center = np.stack([np.radians(-80.0 + 160.0 * s), 0.6 * np.sin(math.pi * s)], axis=-1)
    eta = lines.at_precision(FAMILY, center, np.full((40, 2), 20.0))
    return rivals(some_curve(eta), HILL, FAMILY, GeodesicSettings(points=40, nodes=10, evaluations=150), 20.0)


def test_rivals_share_the_ends_and_the_class(found: dict[str, Geodesic]) -> None:
    assert list(found) == [GEODESIC, SAMPLES, NO_BARRIER, BARRIER_ALONE, STRAIGHT, UNIFORM]
    for rival in found.values():
        assert len(rival.eta) == 40
        np.testing.assert_allclose(rival.eta[[0, -1]], found[GEODESIC].eta[[0, -1]], atol=1e-6)
        assert lines.class_of(rival.eta.numpy(), FAMILY) == (0, 0)


def test_straight_lines_differ_in_their_speed_alone(found: dict[str, Geodesic]) -> None:
    even, plain = (FAMILY.center(found[name].eta).numpy() for name in (STRAIGHT, UNIFORM))
    np.testing.assert_allclose(even[:, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(plain[:, 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(plain[:, 0]), math.radians(160.0) / 39)
    speed = found[STRAIGHT].segment.sqrt()
    assert float(speed.max() / speed.min()) < 1.1
    moments = HILL.moments(found[UNIFORM].eta)
    uneven = geometry.segments(found[UNIFORM].eta, moments.mean)
    assert float(uneven.max() / uneven.min()) > 1.5


def test_each_is_best_at_what_it_was_relaxed_for(found: dict[str, Geodesic]) -> None:
    energy = {name: rival.energy for name, rival in found.items()}
    barrier = {name: rival.barrier for name, rival in found.items()}
    assert energy[SAMPLES] < energy[GEODESIC], "bent more than it takes"
    assert energy[NO_BARRIER] < energy[GEODESIC]
    assert barrier[SAMPLES] < barrier[NO_BARRIER]
    assert barrier[BARRIER_ALONE] == min(barrier.values())
    assert barrier[BARRIER_ALONE] < barrier[STRAIGHT], "round the hill"
    assert energy[BARRIER_ALONE] > energy[SAMPLES]


def test_a_rival_that_leaves_the_class_is_left_out() -> None:
    whole = lines.line(FAMILY, np.radians([-80.0, 0.0]), np.radians([-200.0, 0.0]), np.full((40, 2), 20.0))
    short = rivals(some_curve(whole), HILL, FAMILY, GeodesicSettings(points=40, nodes=10, evaluations=5), 20.0)
    kinds = {lines.class_of(rival.eta.numpy(), FAMILY) for rival in short.values()}
    assert kinds == {lines.class_of(whole, FAMILY)}


def test_the_windows_difference_is_that_of_the_weights_in_both_states() -> None:
    phi = np.array([-90.0, -80.0, 0.0, 90.0, 180.0])
    weight = np.array([0.3, 0.1, 0.25, 0.2, 0.15])
    x = placed(phi)
    curve = Curve("r", np.zeros((2, 4)), np.zeros(2), x, x, PLANE.features(x), np.log(weight), np.zeros((1, 4)), np.array([5]))
    assert windows_difference(curve, hinge()) == pytest.approx(math.log(0.4 / 0.2))


def test_a_run_is_taken_apart(tmp_path: Path) -> None:
    settings = parse_settings([
        "dynamics.platform=Reference", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "windows.count=10",
        "windows.steps=600", "windows.discard=200", "rounds.min_rounds=1", "rounds.max_rounds=1", "rounds.quenches=0",
        "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=1", "guided.points=20", "denoiser.components=0",
        "geodesic.min_effective_samples=2", "geodesic.steepest=10",
    ])  # fmt: skip
    run(load_system("alanine_dipeptide"), tmp_path / "run", settings)
    table = run_ablation(tmp_path / "run", tmp_path / "out", paths=2, points=20, progress=Silent())
    assert (tmp_path / "out/table.md").read_text() == table
    content = json.loads((tmp_path / "out/ablation.json").read_text())
    assert told(content) == table
    assert len(table.splitlines()) == 2 + len(content["rows"])
    for row in content["rows"]:
        assert row["paths"] == [2, 2]
        assert row["evaluations_per_path"] == 21 * 50
        assert row["dissipated_kT"]["value"] > -3.0 * row["dissipated_kT"]["standard_error"]
    assert {GEODESIC, UNIFORM} <= {row["curve"] for row in content["rows"]}
    assert len(list((tmp_path / "out/transitions").glob("rival*.trr"))) == 4 * len(content["rows"])
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(SpacetimeError, match="holds no finished run"):
        run_ablation(tmp_path / "none", tmp_path / "out", paths=2, points=20, progress=Silent())
    assert {p: p.stat().st_mtime_ns for p in before} == before
