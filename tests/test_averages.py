"""Averages over weighted paths: a few batches by hand, whose rate, energies, shares, errors and counts follow on paper."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hinge import PLANE, A, B, frames, hinge, letters

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.crossing import Crossing
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.sites import Site
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.unbiased import averages as module
from spacetime_tps.unbiased.averages import Draws, averages, channel_shares, counts, path_density, time_in_a
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.window import Window

PROBLEM = hinge()
PHI = Window(Angle("phi", 4, 0, 1), 0.1, 50.0)
TIGHT = replace(PHI, center=math.radians(190.0), stiffness=100.0)
SETTINGS = UnbiasedSettings(paths=9, walkers=2, stride=50, spacing=10, gap=100, longest=700)


def batch(
    window: Window, walkers: list[int], paths: list[int], *, pilot: bool = False, ends: tuple[Any, Any] | None = None, way: str = "phi+180",
    highest: float = 0.0, length: int = 5, broken: int = 0, seen: int = 2,
) -> Batch:  # fmt: skip
    """A batch with a point on each of these walkers and a shot from each point; `paths` says which shots are reactive.

    Every walk took 300 evaluations, every shot 70.
    """
    shots, number = len(walkers), len(paths)
    forward, backward = ends or (np.full(shots, IN_B), np.full(shots, IN_A))
    return Batch(
        crossing=0, pilot=pilot, variable=json.dumps(window.variable.to_json()), center=window.center, stiffness=window.stiffness,
        features=np.zeros((1, 4)), in_a=np.zeros(1, dtype=bool), walk=np.zeros(1, dtype=int), ahead=True, walk_evaluations=300 * shots,
        broken=broken, point_walk=np.array(walkers), point_frame=np.arange(shots), point_features=np.zeros((shots, 4)),
        shot_point=np.arange(shots), shot_seed=np.arange(shots), shot_first=np.full(shots, 10), shot_forward=np.array(forward),
        shot_backward=np.array(backward), shot_evaluations=np.full(shots, 70), shot_stable=np.array([k != 1 for k in range(shots)]),
        path_shot=np.array(paths, dtype=int), path_name=np.array([f"p{k}" for k in paths], dtype=str),
        path_way=np.array([way] * number, dtype=str), path_max_energy=highest + np.arange(number), path_frames=np.full(number, length),
        path_points=np.full(number, seen), points=np.zeros((seen * number, 4)),
    )  # fmt: skip


def ensemble(*sites: list[Batch], weight: list[float], errors: list[float] | None = None) -> Ensemble:
    made = [Site(Crossing(f"route{k}", batches[0].window, 1.0, 0.0), None, 0.0, batches) for k, batches in enumerate(sites)]  # type: ignore[arg-type]
    errors = errors or [float("nan")] * len(sites)
    return Ensemble(made, [(Crossing("low", TIGHT, 1.0, 0.0), "hopeless")], np.array(weight), True, False, errors, 1000, 9999, True)


# Two sites; three paths of energies 20, 21 and 30, of 5, 5 and 9 frames, with weights 1, 2 and 5.
SMALL = ensemble(
    [batch(PHI, [0, 1, 1], [0, 2], highest=20.0, pilot=True)], [batch(TIGHT, [1, 0], [1], highest=30.0, length=9, way="direct")],
    weight=[1.0, 2.0, 5.0],
)  # fmt: skip

RUNS = [letters("aaaaaaaaa", [1, 2, 3, 4, 5, 6, 7, 8, 9]), letters("aaaaaaaaa", [9, 9, 9, 9, 9, 9, 9, 9, 9])]


def found(of: Ensemble = SMALL, seed: int = 1) -> dict[str, Any]:
    paths = [np.radians([[-90.0, 0.0], [5.0 * k, 30.0], [90.0, 0.0]]) for k in range(len(of.weight))]
    return averages(of, paths, PROBLEM, RUNS, SETTINGS, seed=seed)


def test_the_averages_are_the_weighted_ones() -> None:
    got = found()
    mean = (20 + 2 * 21 + 5 * 30) / 8
    assert got["max_energy_kj_mol"]["value"] == pytest.approx(mean)
    assert got["max_energy_std"] == pytest.approx(math.sqrt((20**2 + 2 * 21**2 + 5 * 30**2) / 8 - mean**2))
    assert got["duration_ps"]["value"] == pytest.approx(0.1 * (1 * 4 + 2 * 4 + 5 * 8) / 8)  # frames are 50 steps of 2 fs apart
    assert got["duration_std"] == pytest.approx(0.1 * math.sqrt((3 * 16 + 5 * 64) / 8 - 6.5**2))
    assert got["effective_paths"] == pytest.approx(64 / 30)
    assert got["largest_weight_over_mean"] == pytest.approx(5 / (8 / 3))
    assert got["share_of_heaviest_percent"] == pytest.approx(5 / 8)
    assert got["share_of_heaviest_path"] == pytest.approx(5 / 8)
    assert got["routes"]["direct"]["share"]["value"] == pytest.approx(5 / 8)
    assert [(name, route["paths"]) for name, route in got["routes"].items()] == [("direct", 1), ("phi+180", 2)], "the heaviest first"
    # Stretches of 5 frames are hottest at 5 and 9, of 9 frames at 9 and 9, energies above zero: means 7 and 9, weights 3 and 5
    assert got["thermal_reference_kj_mol"]["value"] == pytest.approx((3 * 7 + 5 * 9) / 8)
    assert got["thermal_reference_kj_mol"]["standard_error"] == pytest.approx(3 / 8 * 2.0)
    above = got["max_energy_above_thermal_kj_mol"]
    assert above["value"] == pytest.approx(mean - 66 / 8)
    assert above["standard_error"] == pytest.approx(math.hypot(got["max_energy_kj_mol"]["standard_error"], 0.75))


def test_the_rate_is_the_weights_per_time_and_the_share_in_A() -> None:
    """The weights' sum is reactive paths both ways per spacing: half of 8 per 10 steps of 2 fs is 200 per ps."""
    got = found()
    assert got["in_A_of_time_from_A"] == {"value": 1.0, "standard_error": 0.0}
    assert got["rate_per_ns"]["value"] == pytest.approx(1000 * 8 / 2 / (10 * 0.002))
    outside = averages(SMALL, [np.zeros((3, 2))] * 3, PROBLEM, [*RUNS, letters("a........")], SETTINGS, seed=1)
    assert outside["in_A_of_time_from_A"]["value"] == pytest.approx(16 / 24)
    assert outside["rate_per_ns"]["value"] == pytest.approx(2e5 * 16 / 24)


def test_the_share_of_time_in_A_counts_what_comes_from_A() -> None:
    runs = [letters("aa..a"), letters("a.bb.aa")]  # 4 frames come from A, 2 of them in A; 1 + 2 of six come from A, 2 in A
    got = time_in_a(runs, PROBLEM)
    assert got.value == pytest.approx(4 / 7)
    assert got.error == pytest.approx(math.sqrt((2 - 4 * 4 / 7) ** 2 + (2 - 3 * 4 / 7) ** 2) / 7)


def test_whole_walkers_are_drawn_over_all_batches() -> None:
    """Walker 1 of the first site has paths in both batches; those of walker 0 and of the other site are others' luck."""
    of = ensemble([batch(PHI, [0, 1], [0, 1]), batch(PHI, [1, 0], [0])], [batch(TIGHT, [1, 0], [0])], weight=[1.0, 1.0, 1.0, 1.0])
    draws = Draws.of(of, 2, rng=np.random.default_rng(1))
    zero, one, again, other = draws.walkers.T
    assert draws.walkers.shape == draws.alone.shape == (module.DRAWS, 4)
    np.testing.assert_array_equal(one, again)
    assert (zero != one).mean() > 0.3
    assert (other != one).mean() > 0.3
    # Four walkers, all counted though three have paths alone: three are drawn, each four thirds times
    np.testing.assert_allclose(np.unique(draws.walkers), np.array([0, 1, 2, 3]) * 4 / 3)
    assert (draws.walkers[:, [0, 1, 3]].sum(axis=1) <= 4.0 + 1e-9).all()
    assert (draws.walkers[:, [0, 1, 3]].sum(axis=1) < 3.9).any()
    np.testing.assert_allclose(draws.alone.sum(axis=1), 4.0)
    assert (draws.alone[:, 1] != draws.alone[:, 2]).mean() > 0.3


def test_errors_of_the_ladder_move_all_weights_of_a_site_together() -> None:
    """log(multiplicity) of the second site is spread by 0.3: 3 standard errors of 1,000 draws' deviation are 7 per cent."""
    of = ensemble([batch(PHI, [0], [0])], [batch(PHI, [0, 0], [0, 1])], weight=[1.0, 1.0, 1.0], errors=[float("nan"), 0.3])
    draws = Draws.of(of, 1, rng=np.random.default_rng(2))
    assert set(draws.walkers[:, 0]) == {0.0, 2.0}, "one of two walkers, counted twice; no error where there is no ladder"
    np.testing.assert_array_equal(draws.walkers[:, 1], draws.walkers[:, 2])
    log = np.log(draws.walkers[:, 1][draws.walkers[:, 1] > 0] / 2.0)
    assert len(log) > 400
    assert log.std() == pytest.approx(0.3, rel=0.1)
    assert log.mean() == pytest.approx(0.0, abs=0.05)


def test_design_effects_compare_walkers_with_paths_alone() -> None:
    """Four paths a walker, with one energy and one duration each walker: the variance is four times that of independent paths. 1,000 draws
    give a ratio of variances to 6 per cent, 40 walkers one to 22."""
    rows = [batch(PHI, [k] * 4, [0, 1, 2, 3]) for k in range(40)]
    rows = [replace(row, path_max_energy=np.full(4, e), path_frames=np.full(4, 3) + k % 2) for k, (row, e) in
            enumerate(zip(rows, np.random.default_rng(3).normal(size=40), strict=True))]  # fmt: skip
    got = averages(
        ensemble(rows, weight=[1.0] * 160), [np.zeros((3, 2))] * 160, PROBLEM, RUNS, SETTINGS.model_copy(update={"walkers": 40}), seed=4
    )
    assert got["design_effect"]["max_energy"] == pytest.approx(4.0, rel=0.25)
    assert got["design_effect"]["duration"] == pytest.approx(4.0, rel=0.25)


def test_counts_hold_every_evaluation() -> None:
    none = np.array([IN_B, NOWHERE, NOWHERE]), np.array([IN_A, IN_B, NOWHERE])
    of = ensemble(
        [
            batch(PHI, [0, 1, 1], [0], pilot=True, ends=none, broken=2),
            batch(TIGHT, [0, 1, 0, 1], [1, 3], broken=1, seen=1),
            batch(TIGHT, [1, 0], []),
        ],
        [batch(PHI, [0], [], pilot=True)],
        weight=[1.0, 1.0, 2.0],
        errors=[0.25, float("nan")],
    )
    got = counts(of, SETTINGS, committor_evaluations=123)
    assert (got["wanted"], got["shots"], got["paths"]) == (9, 10, 3)
    assert got["reactive_fraction"] == pytest.approx(0.3)
    assert got["evaluations"] == {"region": 300 * 10 + 1000, "unbiased": 70 * 10 + 123}
    assert got["evaluations_per_effective_path"] == pytest.approx((4000 + 823) / (16 / 6))
    assert got["undecided_fraction"] == pytest.approx(3 / 20)
    assert got["unstable_shots"] == 3
    assert got["left_out_because_broken"] == 3
    assert got["longest_steps"] == 700
    assert got["seen_once"] == pytest.approx(2 / 3)
    assert got["separating"] is True
    assert got["stopped_because"] == "the effective number is reached"
    assert counts(replace(of, enough=False), SETTINGS, committor_evaluations=0)["stopped_because"] == "the budget is spent"
    first, second = got["crossings"]
    assert (first["route"], first["variable"], first["stiffness"], first["windows_tried"]) == ("route0", "phi", 100.0, 2)
    assert first["center"] == pytest.approx(-170.0)
    assert (first["shots"], first["reactive_fraction"], first["free_energy_error_kT"]) == (6, pytest.approx(2 / 6), 0.25)
    assert first["of"] == PHI.variable.to_json()
    assert first["r_hat"] is second["r_hat"] is None, "one walk"
    rng, walks = np.random.default_rng(5), np.repeat([0, 1], 300)
    frames = np.stack([rng.normal(size=600) + 3.0 * walks, rng.normal(size=600), np.ones(600), np.zeros(600)], axis=1)
    tight, other = (replace(batch(w, [0, 1], [0]), features=frames, walk=walks) for w in (TIGHT, PHI))
    apart = counts(ensemble([replace(other, features=frames[:, ::-1]), tight], weight=[1.0, 1.0]), SETTINGS, committor_evaluations=0)
    # means 3 apart: their variance is 4.5
    assert apart["crossings"][0]["r_hat"] == pytest.approx(np.sqrt(5.5), rel=0.1)
    assert (second["shots"], second["reactive_fraction"], second["stiffness"]) == (1, 0.0, 50.0), "pilots alone: the last that was tried"
    assert got["not_shot_from"] == [{"route": "low", "variable": "phi", "center": pytest.approx(-170.0), "because": "hopeless"}]


@pytest.mark.parametrize(("center", "degrees"), [(0.0, 0.0), (190.0, -170.0), (-190.0, 170.0), (180.0, -180.0), (90.0, 90.0)])
def test_centers_are_read_in_degrees_or_the_unit_of_the_variable(center: float, degrees: float) -> None:
    assert replace(PHI, center=math.radians(center)).place == pytest.approx(degrees)
    assert Window(Linear("x", (1.0, 0.0)), 3.5, 2.0).place == 3.5


def test_channels_are_told_apart_at_each_crossing_and_share_all_transitions() -> None:
    """Twelve paths cross phi = 0.1 at psi = 100 and four, each three times as heavy, at psi = -80; a second site has four paths of its own
    and too few for channels. Weights 12, 12 and 8 of 32."""
    of = ensemble(
        [batch(PHI, [0, 1] * 8, list(range(16)))], [batch(PHI, [0] * 4, [])], [batch(PHI, [0] * 4, [0, 1, 2, 3], pilot=True)],
        weight=[1.0] * 12 + [3.0] * 4 + [2.0] * 4,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    psi = np.concatenate([rng.normal(100.0, 2.0, 12), rng.normal(-80.0, 2.0, 4), [10.0, 12.0, 14.0, 16.0]])
    paths = [np.radians([[-90.0, 0.0], [5.7, p], [90.0, 0.0]]) for p in psi]
    draws = Draws.of(of, 2, rng=rng)
    got = channel_shares(of, PLANE, paths, draws.walkers, rng)
    assert [(c["crossing"], c["paths"]) for c in sorted(got, key=lambda c: (c["crossing"], -c["paths"]))] == [(0, 12), (0, 4), (2, 4)]
    by = {(c["crossing"], c["paths"]): c for c in got}
    assert [by[key]["share"]["value"] for key in ((0, 12), (0, 4), (2, 4))] == pytest.approx([12 / 32, 12 / 32, 8 / 32])
    assert set(got[0]["center"]) == set(got[0]["spread"]) == {"psi"}
    assert by[0, 12]["center"]["psi"] == pytest.approx(100.0, abs=2.0)
    assert by[0, 4]["center"]["psi"] == pytest.approx(-80.0, abs=4.0)
    assert by[2, 4]["center"]["psi"] == pytest.approx(13.0, abs=0.01)
    assert by[0, 12]["spread"]["psi"] == pytest.approx(psi[:12].std(), rel=1e-3)
    assert all(0.0 < c["share"]["standard_error"] < 0.5 for c in got)


def test_places_are_where_the_window_that_was_settled_on_holds_most() -> None:
    """The pilot's window is at 5.7 degrees of phi, where psi is 100; the one that was stayed with is at -170, where psi is -40."""
    of = ensemble([batch(PHI, [0], [0], pilot=True), batch(TIGHT, [0], [0])], weight=[1.0, 1.0])
    path = np.radians([[-90.0, 0.0], [5.7, 100.0], [-172.0, -40.0], [90.0, 0.0]])
    (only,) = channel_shares(of, PLANE, [path, path], np.ones((3, 2)), np.random.default_rng(1))
    assert only["center"]["psi"] == pytest.approx(-40.0)


def test_the_density_is_of_the_frames_between_the_states_by_weight() -> None:
    paths = [np.radians([[-90.0, 0.0], [-5.0, 15.0], [5.0, 15.0], [90.0, 0.0]]), np.radians([[-90.0, 0.0], [5.0, -25.0], [90.0, 0.0]])]
    got = path_density(paths, np.array([1.0, 3.0]), PLANE)
    assert set(got) == {"edges_0", "edges_1", "density_0", "density_1", "density_0_1"}
    np.testing.assert_array_equal(got["edges_0"], np.arange(-180.0, 181.0, 10.0))
    expected = np.zeros(36)
    expected[17], expected[18] = 1 / 5, 4 / 5  # one frame of weight 1 below zero; one of weight 1 and one of 3 above
    np.testing.assert_allclose(got["density_0"], expected)
    pairs = np.zeros((36, 36))
    pairs[17, 19], pairs[18, 19], pairs[18, 15] = 1 / 5, 1 / 5, 3 / 5
    np.testing.assert_allclose(got["density_0_1"], pairs)
    np.testing.assert_allclose(got["density_1"], pairs.sum(axis=0))


def test_the_density_of_distances_spans_what_there_is_and_pairs_end_at_twenty() -> None:
    path = np.array([[9.0], [1.0], [2.0], [5.0], [9.0]])
    got = path_density([path], np.array([2.0]), Distances(("d",), ((0, 1),), None))
    assert got["edges_0"][[0, -1]] == pytest.approx([0.1, 0.5], abs=1e-5)
    assert len(got["density_0"]) == 36
    assert got["density_0"].sum() == pytest.approx(1.0)
    assert np.flatnonzero(got["density_0"]).tolist() == [0, 8, 35]
    for count, pairs in ((20, 190), (21, 0)):
        many = Torsions(tuple(f"t{k}" for k in range(count)), tuple((k, k + 1, k + 2, k + 3) for k in range(count)))
        names = path_density([np.zeros((3, count))], np.ones(1), many)
        assert sum(name.count("_") == 2 for name in names) == pairs


def test_the_states_of_these_tests_are_where_they_say() -> None:
    x = frames([-90.0, 0.0, 90.0], [10.0, 100.0, -170.0]).positions
    np.testing.assert_allclose(np.degrees(PLANE.values(x)), [[-90.0, 10.0], [0.0, 100.0], [90.0, -170.0]], atol=1e-4)
    assert (A.contains(x).tolist(), B.contains(x).tolist()) == ([True, False, False], [False, False, True])
