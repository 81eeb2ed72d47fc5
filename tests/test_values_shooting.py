"""The shooting estimator on batches made by hand: trials, costs, free energies and weights of paths in closed form.

Equilibrium of the one feature s is N(0, 1). A window at c of stiffness k has psi = -log(1 + k) / 2 - k c^2 / (2 (1 + k)), and its frames
have the mean k c / (1 + k) and the variance 1 / (1 + k). A lies below s = -1.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm, truncnorm

from spacetime_tps.engines.surface.dynamics import Overdamped
from spacetime_tps.engines.surface.frames import route_frames
from spacetime_tps.engines.surface.shooting import SurfaceShooting
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.potentials.analytic import TwoChannels
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.shooting import budget
from spacetime_tps.shooting.allocation import LEAST, behind, neediest
from spacetime_tps.shooting.batches import Batch, WindowTrial, window_trials
from spacetime_tps.shooting.channels import _centred, _silhouette, centre_of, channels, crossing_places
from spacetime_tps.shooting.crossing import DISTINCT, FRUITLESS, MOVE, Crossing, chord, crossings_of, distinct, next_window, tangent
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.free_energies import FreeEnergies
from spacetime_tps.shooting.ladder import EnsembleFrames, _roughly, ladder_error, log_partitions, relative, rungs
from spacetime_tps.shooting.mixing import r_hat
from spacetime_tps.shooting.route import RouteFrames, basin_between
from spacetime_tps.shooting.sampler import ShotSampler, place_name
from spacetime_tps.shooting.selection import FITS, sites_of
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.sites import Site
from spacetime_tps.shooting.weights import ShotDensity, path_weights
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.storage.folder import Folder
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.window import Window

S = Linear("s", (1.0,))
EDGE = -1.0
SETTINGS = ShootingSettings(
    paths=10, budget=10**6, stiffness=9.0, walkers=4, points=5, gap=30, shots=2, equilibration=200, rung_steps=70,
    pilot_shots=6, states=3, state_shots=10,
)  # fmt: skip


def psi(window: Window) -> float:
    k, c = window.stiffness, window.center
    return -0.5 * math.log(1.0 + k) - 0.5 * k * c**2 / (1.0 + k)


def drawn(window: Window, count: int, seed: int) -> np.ndarray:
    """T (count, 1) of a window's frames."""
    k, c = window.stiffness, window.center
    return (k * c / (1.0 + k) + (1.0 + k) ** -0.5 * np.random.default_rng(seed).normal(size=count))[:, None]


def batch(
    window: Window, features: np.ndarray, *, ends: Sequence[tuple[int, int]] = (), paths: Sequence[Sequence[float]] = (),
    pilot: bool = False, taken: int = 10, walked: int = 100, ahead: bool = True, walks: int = 4,
) -> Batch:  # fmt: skip
    """Shots with these ends and costs, and paths with points at these s; walks of equal lengths."""
    none, shots, count = np.zeros(0, dtype=int), len(ends), len(paths)
    return Batch(
        crossing=0, pilot=pilot, variable=json.dumps(window.variable.to_json()), center=window.center, stiffness=window.stiffness,
        features=features, in_a=features[:, 0] < EDGE, walk=np.arange(len(features)) * walks // len(features), ahead=ahead,
        walk_evaluations=walked, broken=0, point_walk=none, point_frame=none, point_features=np.zeros((0, 1)),
        shot_point=np.zeros(shots, dtype=int), shot_seed=np.zeros(shots, dtype=int), shot_first=np.zeros(shots, dtype=int),
        shot_forward=np.array([e[0] for e in ends], dtype=int), shot_backward=np.array([e[1] for e in ends], dtype=int),
        shot_evaluations=np.full(shots, taken), shot_stable=np.ones(shots, dtype=bool), path_shot=np.zeros(count, dtype=int),
        path_name=np.full(count, "x"), path_way=np.full(count, ""), path_max_energy=np.zeros(count),
        path_frames=np.array([len(p) + 2 for p in paths], dtype=int), path_points=np.array([len(p) for p in paths], dtype=int),
        points=np.concatenate([np.zeros(0), *(np.array(p) for p in paths)])[:, None],
    )  # fmt: skip


def route(*, plain: int = 40, windows: Sequence[EnsembleFrames] = ()) -> RouteFrames[float]:
    """Draws of equilibrium, equally likely; those of A are some of them."""
    s = np.random.default_rng(0).normal(size=2000)
    inside = np.flatnonzero(s < EDGE)
    curve = np.linspace(-2.0, 2.0, 41)[:, None]
    return RouteFrames(
        "r", curve, curve, -(curve[:, 0] ** 2), s[:, None], np.full(2000, -math.log(2000.0)), s < EDGE, np.ones(2000, dtype=bool),
        inside[:plain], lambda k: float(s[k]), windows,
    )  # fmt: skip


def site(*batches: Batch, frames: RouteFrames[float] | None = None, top: Window | None = None, name: str = "r") -> Site[float]:
    window = top or (batches[0].window if batches else Window(S, 0.0, 9.0))
    return Site(Crossing(name, window, 1.0, psi(window)), frames or route(), math.log(norm.cdf(EDGE)), list(batches))


def sampler(*, rates: bool = False) -> ShotSampler[np.ndarray]:
    """Of a surface that no test here walks on."""
    a, b = Discs(((-1.0, 0.0),), 0.5, False), Discs(((1.0, 0.0),), 0.5, False)
    engine = SurfaceShooting(Overdamped(TwoChannels(), 1.0, 1e-3), Cartesian(2), a, b, SETTINGS, seed=1, longest=10)
    return ShotSampler(engine, SETTINGS, seed=1, rates=rates)


TOP, FLANK = Window(S, 0.3, 9.0), Window(S, -0.4, 16.0)
ENDS = ((IN_A, IN_B), (IN_B, IN_B), (NOWHERE, IN_A), (NOWHERE, NOWHERE))


def test_trials_count_what_ended_where() -> None:
    on = drawn(TOP, 400, 1)
    flat = np.full((10, 1), 3.0)  # not at the flank's center
    found = window_trials([
        batch(TOP, on, ends=ENDS, paths=[[0.0]]), batch(FLANK, flat, ends=ENDS[:3], ahead=False),
        batch(TOP, on, ends=ENDS[:2], paths=[[0.0], [0.1]]), batch(replace(FLANK, center=0.0), flat, ends=ENDS[:3], ahead=True),
    ])  # fmt: skip
    assert found == [
        WindowTrial(TOP, True, 6, 9, 0.5),
        WindowTrial(FLANK, False, 0, 6, 0.0),
        WindowTrial(replace(FLANK, center=0.0), False, 6, 6, 0.0),
    ]
    assert found[0].share == pytest.approx(7.0 / 11.0)


def test_a_site_tells_what_was_shot_from_it() -> None:
    first, second = batch(TOP, drawn(TOP, 8, 1), ends=ENDS, pilot=True), batch(FLANK, drawn(FLANK, 8, 2), ends=ENDS, pilot=True)
    third = batch(FLANK, drawn(FLANK, 8, 3), ends=ENDS[:1], paths=[[0.0]])
    late = batch(TOP, drawn(TOP, 8, 4), ends=ENDS, paths=[[0.0], [0.0]], pilot=True)
    found = site(first, second, third, late)
    assert found.windows == {TOP: [first, late], FLANK: [second, third]}
    assert found.latest == TOP
    assert site(top=FLANK).latest == FLANK
    assert found.pilots == [first, second]
    assert (found.shots, found.paths) == (13, 3)
    assert found.batches[0].evaluations == 40
    assert not found.hopeless
    np.testing.assert_array_equal(found.in_a, found.frames.features[found.frames.plain])
    ensemble = Ensemble([found], [], np.array([1.0, 2.0, 1.0]), False, False, [0.1], 7, 900, True)
    assert ensemble.batches == [first, second, third, late]
    assert ensemble.effective == pytest.approx(16.0 / 6.0)
    assert ensemble.reason == "the budget is spent"
    assert replace(ensemble, enough=True).reason == "the effective number is reached"
    assert replace(ensemble, lost=True).reason == "no window stays on the top"
    assert effective_number(np.zeros(0)) == 0.0


def test_batches_come_back_from_their_files(tmp_path: Path) -> None:
    made = batch(TOP, drawn(TOP, 8, 1), ends=ENDS, paths=[[0.1, 0.2], [0.3], [0.4, 0.5, 0.6]])
    storage = Folder(tmp_path)
    storage.put_arrays("b.npz", made.to_arrays())
    back = Batch.of_arrays(storage.arrays("b.npz"))
    for f in fields(Batch):
        np.testing.assert_array_equal(getattr(back, f.name), getattr(made, f.name))
    assert back.window == TOP
    assert [p[:, 0].tolist() for p in back.path_features] == [[0.1, 0.2], [0.3], [0.4, 0.5, 0.6]]
    assert batch(TOP, drawn(TOP, 8, 1)).path_features == []


def test_costs_by_hand() -> None:
    # Shots of 10 and 30: mean 20, deviation 10; of four, 80 and four times 20.
    assert budget.shots_cost(4, np.array([10.0, 30.0])) == pytest.approx(80.0 + 4.0 * 2.0 * 10.0)
    assert budget.shots_cost(4, np.zeros(0)) == 0.0
    of = [site(batch(TOP, drawn(TOP, 8, 1), ends=ENDS, taken=12, walked=1000)), site(batch(TOP, drawn(TOP, 8, 2), ends=ENDS[:3], taken=16))]
    assert budget.shot(of) == 4 * 12 + 1000 + 3 * 16 + 100
    # Four walks of 1 + 7 + 5 x 30 steps, 4 x 5 x 2 shots and 3 x 10 again, of what is known: a zero, four of 12 and three of 16.
    known = np.array([0, 12, 12, 12, 12, 16, 16, 16])
    expected = 4 * 158 + 70 * 12.0 + 4.0 * math.sqrt(70.0) * known.std()
    assert budget.batch_cost(of, SETTINGS, points=5, discard=7, states=3) == pytest.approx(expected)
    assert budget.batch_cost(of, SETTINGS, points=5) == pytest.approx(4 * 151 + 40 * 12.0 + 4.0 * math.sqrt(40.0) * known.std())
    assert budget.batch_cost([], SETTINGS, points=1) == 4 * 31
    assert SETTINGS.pilot_points == 3
    assert SETTINGS.model_copy(update={"pilot_shots": 1}).pilot_points == 1
    # Of equal shots of 12 evaluations 100 hold eight.
    assert budget.affordable(100.0, np.full(5, 12.0), 20) == 8
    assert budget.affordable(96.0, np.full(5, 12.0), 20) == 8
    assert budget.affordable(100.0, np.full(5, 12.0), 6) == 6
    assert budget.affordable(11.0, np.full(5, 12.0), 6) == 0
    assert replace_spent() == 4 * 12 + 1000 + 500


def replace_spent() -> int:
    """With 500 that were taken before."""
    s = sampler()
    s.again = 500
    return s.spent([site(batch(TOP, drawn(TOP, 8, 1), ends=ENDS, taken=12, walked=1000))])


def test_batches_go_to_sites_that_lack_them_and_then_where_they_lower_the_error_most() -> None:
    far = Window(S, 30.0, 9.0)
    pilot, other = (
        batch(TOP, drawn(TOP, 8, 1), ends=ENDS, paths=[[0.0]], pilot=True),
        batch(far, drawn(far, 8, 2), ends=ENDS, paths=[[0.0]]),
    )
    full = [replace(pilot, pilot=False)] * LEAST
    few = [site(pilot, *full), site(*[other] * (LEAST - 1))]  # 10 paths, of which 4 took 0.4 of the evaluations
    assert behind(few, np.repeat([1.0, 2.0], [6, 4])) == behind(few, np.repeat([1e-9, 2e-9], [6, 4])) == 1, "worth 8/14"
    assert behind(few, np.ones(10)) is None, "worth 0.4"
    assert behind(few, np.repeat([1.0, 0.1], [6, 4])) is None, "a minor way takes no more than it is worth"
    many = [site(pilot, *full * 10), site(*[other] * (LEAST - 1))]
    assert behind(many, np.repeat([1.0, 1e-9], [51, 4])) == 1, "but a tenth, 4/55 so far"
    assert behind([site(pilot, *full), site(replace(other, pilot=True))], np.repeat([1.0, 1e-9], [6, 1])) == 1, "and one batch"
    assert behind([site(pilot, *full), site(*[other] * LEAST)], np.repeat([1.0, 9.0], [6, 5])) is None
    assert behind([site(pilot, *full[1:]), site(*[other] * LEAST)], np.repeat([9.0, 1.0], [5, 5])) == 0
    assert behind([site(pilot)], np.ones(1)) is None
    assert behind([site(pilot), site(pilot, name="the same top")], np.ones(2)) is None
    # Sums of squares 4 + 1 over 280 evaluations, 9 over 560, 4 over 140.
    sites = [site(pilot, pilot), site(*[replace(other, path_shot=other.path_shot[:0])] * 3, other), site(other)]
    assert neediest(sites, np.array([2.0, 1.0, 3.0, 2.0])) == 2
    assert neediest(sites, np.array([2.0, 3.0, 3.0, 2.0])) == 0
    assert neediest(sites, np.array([2.0, 1.0, 9.0, 2.0])) == 1
    dear = [site(pilot, replace(pilot, walk_evaluations=1000)), *sites[1:]]
    assert neediest(dear, np.array([9.0, 9.0, 3.0, 9.1])) == 2, "162 over 1180, 83 over 140"


def test_weights_of_paths_are_one_over_the_sum_of_f() -> None:
    region = ShotDensity([TOP, FLANK], np.array([-1.0, 0.5]), np.array([3.0, 0.0]))
    # Only the first window fired: f(s) = 3 exp(1 - 4.5 (s - 0.3)^2).
    points = [np.array([[0.3], [1.3]]), np.array([[-0.7]])]
    f = [3.0 * math.e * (1.0 + math.exp(-4.5)), 3.0 * math.exp(1.0 - 4.5)]
    np.testing.assert_allclose(path_weights(points, region), [1.0 / x for x in f])
    both = replace(region, shots=np.array([3.0, 5.0]))
    second = 5.0 * math.exp(-0.5 - 8.0 * 0.3**2)
    np.testing.assert_allclose(path_weights(points[1:], both), [1.0 / (f[1] + second)])
    assert path_weights([], both).shape == (0,)


def test_weights_and_free_energies_of_sites_made_by_hand() -> None:
    # psi of both windows by MBAR from 1,500 draws each, to 0.03; 4 and 3 + 2 shots were fired from them.
    top, flank = drawn(TOP, 1500, 5), drawn(FLANK, 1500, 6)
    paths = [[0.0, 0.4, -0.2], [-0.6], [0.9, 0.1]]
    one = site(
        batch(TOP, top, ends=ENDS, paths=paths[:1]), batch(FLANK, flank[:750], ends=ENDS[:3], paths=paths[1:2]),
        batch(FLANK, flank[750:], ends=ENDS[:2], paths=paths[2:]),
    )  # fmt: skip
    s = sampler()
    apart = psi(FLANK) - psi(TOP)
    np.testing.assert_allclose(s.free_energies.psi(0, one, linked=False), [0.0, apart], atol=0.1)
    x = np.array([[0.0], [0.4], [-0.2], [-0.6], [0.9], [0.1]])
    f = 4.0 * np.exp(TOP.log_factor(x)) + 5.0 * np.exp(FLANK.log_factor(x) - apart)
    exact = 1.0 / np.array([f[:3].sum(), f[3], f[4:].sum()])
    np.testing.assert_allclose(s.weights([one]), exact, rtol=0.12)
    assert math.isnan(s.free_energies.error(0, one, linked=False, rng=np.random.default_rng(1)))
    assert s.weights([site()]).shape == (0,)

    # Relative to A, by the windows of the route: those at -1.2 and -0.8, since 40 frames are too few for a ladder.
    low = [Window(S, -1.2, 9.0), Window(S, -0.8, 9.0)]
    ensembles = [EnsembleFrames(w.log_factor, d, d[:, 0] < EDGE, np.arange(800) // 200) for w in low for d in [drawn(w, 800, 7)]]
    linked = site(*one.batches, frames=route(windows=ensembles))
    rates = sampler(rates=True)
    assert rates.free_energies.linked([linked])
    assert not s.free_energies.linked([linked])
    assert s.free_energies.linked([linked, linked])
    exact_psi = np.array([psi(TOP), psi(FLANK)]) - math.log(norm.cdf(EDGE))
    np.testing.assert_allclose(rates.free_energies.psi(0, linked, linked=True), exact_psi, atol=0.3)
    np.testing.assert_allclose(rates.weights([linked]), exact * math.exp(psi(TOP)) / norm.cdf(EDGE), rtol=0.35)
    assert 0.002 < rates.free_energies.error(0, linked, linked=True, rng=np.random.default_rng(2)) < 0.3
    assert rates.free_energies.evaluations == 0

    # quick: from pilots and the first batch after them.
    part = site(batch(TOP, top, ends=ENDS, pilot=True), batch(FLANK, flank[:50], ends=ENDS), batch(FLANK, flank[50:], ends=ENDS))
    free = FreeEnergies(s.engine, SETTINGS, seed=1, rates=False)
    quick = free.psi(0, part, linked=False, quick=True)
    few = flank[:50]
    own = [EnsembleFrames(w.log_factor, t, t[:, 0] < 0, t[:, 0]) for w, t in ((TOP, top), (FLANK, few))]
    np.testing.assert_array_equal(quick, relative(own))
    assert free.psi(0, part, linked=False, quick=True) is quick
    assert not np.array_equal(free.psi(0, part, linked=False), quick)


def flat(features: np.ndarray) -> np.ndarray:
    return np.zeros(len(features))


def test_errors_of_a_ladder_are_those_of_whole_walks() -> None:
    # One ensemble of equilibrium itself: psi = -log of the share of its frames in A, whose error is that of the mean over walks.
    shares = np.random.default_rng(8).permutation(np.repeat([0.2, 0.5, 0.35, 0.6, 0.25, 0.45], 4))
    in_a = np.concatenate([np.arange(20) < round(20 * share) for share in shares])
    features = np.where(in_a, -2.0, 1.0)[:, None]
    whole = EnsembleFrames(flat, features, in_a, np.repeat(np.arange(24), 20))
    reference = np.full((80, 1), -2.0)
    assert log_partitions(reference, [whole])[0] == pytest.approx(-math.log(in_a.mean()), abs=1e-5)
    # 100 draws: 7 %, three times. Within walks alone it would be 0.05.
    found = ladder_error(reference, [whole], draws=100, rng=np.random.default_rng(9))
    assert found == pytest.approx(shares.std() / math.sqrt(24) / shares.mean(), rel=0.21)
    assert math.isnan(ladder_error(reference, [whole], draws=1, rng=np.random.default_rng(9)))
    sure = EnsembleFrames(flat, np.tile(features[:20], (8, 1)), np.tile(in_a[:20], 8), np.repeat(np.arange(8), 20))
    assert ladder_error(reference, [sure], draws=10, rng=np.random.default_rng(1)) == pytest.approx(0.0, abs=1e-6)


def test_ensembles_that_differ_by_a_factor_have_its_logarithm_between_them_at_first_guess() -> None:
    low, high = (
        EnsembleFrames(lambda t, c=c: np.full(len(t), c), np.zeros((n, 1)), np.zeros(n, bool), np.zeros(n)) for c, n in ((2.0, 3), (5.0, 7))
    )
    assert _roughly(low, high) == pytest.approx(-3.0)
    # A window that goes k up a flat density of s in which both are at home costs nothing.
    there = [Window(S, c, 100.0) for c in (0.0, 0.1)]
    ensembles = [EnsembleFrames(w.log_factor, w.center + 0.1 * norm.ppf((np.arange(999) + 0.5) / 999)[:, None], flat, flat) for w in there]
    assert _roughly(*ensembles) == pytest.approx(0.0, abs=0.02)


def test_a_gap_in_a_ladder_is_named_by_its_rungs() -> None:
    rng = np.random.default_rng(1)
    rung, far = (Window(S, c, 400.0) for c in (-2.0, 2.0))
    found = [EnsembleFrames(w.log_factor, drawn(w, 50, 1), np.full(50, w is rung), np.zeros(50)) for w in (rung, far)]
    with pytest.raises(SpacetimeError, match=r"the MD in A and rung 2 of 2 up from A do not overlap .* softer windows"):
        log_partitions(-2.0 + 0.05 * rng.normal(size=(50, 1)), found)


def test_rungs_on_a_length_go_down_to_a() -> None:
    in_a = truncnorm.rvs(-9.0, EDGE, size=2000, random_state=np.random.default_rng(1))[:, None]
    top = Window(S, 1.0, 16.0)
    found = rungs(top, 1.0, in_a)
    assert [w.center for w in found] == pytest.approx([1.0 - 0.375 * (k + 1) for k in range(len(found))])
    assert 4 <= len(found) <= 6
    assert rungs(Window(S, 20.0, 16.0), 1.0, in_a) == [], "more than forty"
    assert rungs(top, -1.0, in_a) == []
    free, at = FreeEnergies(sampler().engine, SETTINGS, seed=1, rates=True), site(frames=route(plain=300), top=top)
    steps = len(rungs(top, 1.0, at.in_a))
    assert steps > 2
    assert free.ahead([at, at]) == 2 * steps * 4 * 70
    # On a variable that falls from A to B, -s, the ladder goes up to A.
    falling = replace(S, name="falling", direction=(-1.0,))
    pilot = batch(Window(falling, -1.0, 16.0), drawn(TOP, 40, 1), pilot=True)
    other = replace(site(pilot, frames=route(plain=300), top=top), instead=[Crossing("r", pilot.window, -1.0, 0.0)])
    assert free.ahead([other]) == len(rungs(pilot.window, -1.0, at.in_a)) * 4 * 70 > 0
    assert FreeEnergies(sampler().engine, SETTINGS, seed=1, rates=False).ahead([at]) == 0


def test_the_way_along_a_curve_at_its_top() -> None:
    # Twenty points: from two before the top to two behind. At an end it is one-sided.
    curve = np.zeros((20, 3))
    curve[:, 0], curve[:, 1] = np.arange(20.0), 0.05 * np.arange(20.0) ** 2
    for top, (low, high) in ((10, (8, 12)), (0, (0, 2)), (19, (17, 19))):
        way = np.array([high - low, 0.05 * (high**2 - low**2), 0.0])
        found = tangent(curve, -np.abs(np.arange(20.0) - top))
        np.testing.assert_allclose(found.direction, 2.0 * way / np.ptp(curve @ way))
    assert found.name == "along_the_curve"
    straight = chord(curve)
    np.testing.assert_allclose(straight.value(curve)[[0, -1]], [0.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(np.cross(straight.direction, curve[-1]), np.zeros(3), atol=1e-12)


def test_a_third_basin_lies_between_two_tops_and_outside_both_states() -> None:
    cost = np.array([1.0, 5.0, 7.0, 3.0, 2.0, 4.0, 9.0, 0.0])
    outside = np.array([0.0, 0.2, 1.0, 1.0, 0.95, 1.0, 1.0, 0.0])
    assert basin_between(cost, outside) == 4, "5 kT below the lower top"
    assert basin_between(np.where(cost == 7.0, 3.9, cost), outside) == 4, "3 kT below 5 kT, which lies in A"
    assert basin_between(np.where(cost == 7.0, 3.9, np.where(cost == 5.0, 3.9, cost)), outside) is None
    assert basin_between(cost, np.where(outside == 0.95, 0.5, outside)) is None, "a slope into a state is no basin"
    assert basin_between(cost, 0.5 * outside) is None, "both states together"
    assert basin_between(np.array([0.0, 4.0, 8.0, 3.0, 0.0]), np.ones(5)) is None, "one top"


def test_where_windows_are_hopeless_the_next_variable_is_tried() -> None:
    other, last = replace(S, name="other"), replace(S, name="last")
    instead = [Crossing("r", Window(v, 0.1, 9.0), -1.0, 0.0) for v in (other, last)]

    def search(*made: Batch) -> tuple[Window, bool]:
        return replace(site(*made, top=TOP), instead=instead).next_window()

    def barren(variable: Linear, count: int = FRUITLESS) -> list[Batch]:
        windows = [Window(variable, 0.2 * k, 9.0) for k in range(count)]
        return [batch(w, drawn(w, 400, 1), ends=[(IN_A, IN_A)], pilot=True) for w in windows]

    def good(variable: Linear) -> Batch:
        top = Window(variable, 0.1, 9.0)
        return batch(top, drawn(top, 400, 1), ends=[(IN_A, IN_B)] * 4, paths=[[0.0]] * 2, pilot=True)

    first = barren(S)
    assert search() == (TOP, False)
    assert search(*first[:-1])[0].variable == S
    assert search(*first) == (instead[0].window, False)
    assert search(*first, *barren(other)) == (instead[1].window, False)
    everything = [*first, *barren(other), *barren(last)]
    assert search(*everything) == (everything[-1].window, True)
    sites = [replace(site(*made, top=TOP), instead=instead) for made in ([*first, *barren(other)], everything)]
    assert [s.hopeless for s in sites] == [False, True]
    # Half of what ended did so in B on the other variable, and its second window is sought on the side where B lies, here below.
    window, settled = search(*first, batch(instead[0].window, drawn(TOP, 400, 1), ends=[(IN_A, IN_B)], paths=[[0.0]], pilot=True))
    assert (window.variable, settled) == (other, False)
    assert window.center == pytest.approx(0.1 + MOVE / 3.0)
    # B's side is that of each variable: ladders and slides follow it.
    at = replace(site(*first, top=TOP), instead=instead)
    assert (at.onward(S), at.onward(other), at.onward(replace(S, name="committor"))) == (1.0, -1.0, 1.0)
    assert (at.stuck, site(good(S)).stuck, site().stuck) == (True, False, False)
    # What had been good before a fitted variable failed is gone back to.
    assert search(good(S), *barren(other)) == (Window(S, 0.1, 9.0), True)


def test_a_window_that_stayed_when_it_was_softer_does_not_place_a_stiffer_one() -> None:
    # 0.9 of B in a soft window and 0.1 in one twice as stiff: half-way between is for windows of one stiffness to say.
    soft, stiff = Window(S, 0.6, 9.0), Window(S, 0.0, 18.0)
    high, low = (WindowTrial(w, True, n, 1000, 0.1) for w, n in ((soft, 900), (stiff, 100)))
    slid = WindowTrial(replace(soft, center=0.3), False, 0, 1000, 0.0)
    window, settled = next_window(Crossing("r", soft, 1.0, 0.0), [high, slid, low])
    assert (window.stiffness, settled) == (18.0, False)
    assert window.center == pytest.approx(MOVE * stiff.deviation)
    window, settled = next_window(Crossing("r", soft, 1.0, 0.0), [replace(high, window=replace(soft, stiffness=18.0)), slid, low])
    assert settled
    assert window.center == pytest.approx(0.3)


def test_a_search_among_known_places_ends_after_two_batches_a_window_that_it_may_try() -> None:
    # Two windows, both short of one half, tried again and again: beyond sixteen batches the more reactive one serves.
    def made(center: float, reactive: int) -> Batch:
        window = Window(S, center, 9.0)
        ends = [(IN_A, IN_B)] * reactive + [(IN_A, IN_A)] * (10 - reactive)
        return batch(window, drawn(window, 400, 1), ends=ends, paths=[[0.0]] * reactive, pilot=True)

    pair = [made(0.0, 2), made(0.2, 3)]
    assert site(*pair[::-1] * 8).next_window()[1] is False
    assert site(*pair[::-1] * 8, pair[0]).next_window() == (pair[1].window, True)


def test_what_is_shot_is_told_window_by_window_and_tenth_by_tenth() -> None:
    said: list[str] = []
    s = sampler()
    s.say = said.append
    told = [s._tell(0.95, 1000, -1)]
    for found in (0.99, 5.0, 3.0):
        told.append(s._tell(found, 12_345, told[-1]))
    assert told == [0, 0, 5, 5]
    assert said == ["  unbiased: 1 of 10 effective paths, 1,000 evaluations", "  unbiased: 5 of 10 effective paths, 12,345 evaluations"]
    said.clear()
    on, slid = batch(TOP, drawn(TOP, 400, 1), ends=ENDS, paths=[[0.0]]), batch(FLANK, np.full((10, 1), 3.0), ends=ENDS[:3], ahead=False)
    s._tell_of(site(slid, on))
    s._tell_of(site(on, slid))
    assert said == [
        "  window at s 0.30, stiffness 9: 0.25 of shots reactive, 0.57 of trajectories end in B",
        "  window at s -0.40, stiffness 16: 0.00 of shots reactive, 0.12 of trajectories end in B; slides off the top",
    ]
    said.clear()
    other = Window(replace(S, name="other"), 0.1, 9.0)
    at = replace(site(on), instead=[Crossing("r", other, 1.0, 0.0)])
    s._tell_of_change(at, FLANK)
    s._tell_of_change(replace(at, batches=[]), other)
    assert said == []
    s._tell_of_change(at, other)
    assert said == ["  other is tried: no shot was reactive so far"]


def test_sites_are_the_cheap_crossings() -> None:
    # A density of s, cells of 0.01, of two maxima; the curve runs from one to the other, and psi of a window is a sum over cells.
    s = np.arange(-300, 301) / 100.0
    weight = np.exp(-4.0 * (s**2 - 1.0) ** 2)
    weight /= weight.sum()
    along = np.linspace(-1.0, 1.0, 41)[:, None]
    frames = RouteFrames(
        "r", along, along, -(along[:, 0] ** 2), s[:, None], np.log(weight), s < -0.8, np.ones(601, bool), np.arange(9), float
    )
    top = Window(S, 0.0, 40.0)
    cost = math.log(weight @ np.exp(-20.0 * s**2))
    for sign in (1.0, -1.0):
        (found,) = crossings_of(replace(frames, centers=sign * along, curve=sign * along), [S], stiffness=40.0)
        assert found.window.center == pytest.approx(0.0, abs=1e-12)
        assert (found.window.stiffness, found.onward) == (40.0, sign)
        assert found.log_partition == pytest.approx(cost)
    # The same with all but A made 20 times as heavy, on a curve that is moved far enough along another feature.
    dear = replace(
        frames,
        route="dear",
        features=frames.features + 9.0,
        curve=along + 9.0,
        centers=along + 9.0,
        log_weight=np.log(np.where(s < -0.8, 20.0, 1.0) * weight),
    )
    (one,), left = sites_of([frames, dear], [S], stiffness=40.0, margin_kT=2.9)
    assert one.crossing.window == top
    assert one.log_population == pytest.approx(math.log(weight[s < -0.8].sum()))
    assert [c.route for c, _ in left] == ["dear"]
    assert "about 3 kT more" in left[0][1]
    assert "share of 5e-02" in left[0][1]
    both, none = sites_of([frames, dear], [S], stiffness=40.0, margin_kT=3.1)
    assert ([b.crossing.route for b in both], none) == (["r", "dear"], [])
    ((alone,), _) = sites_of([frames, replace(frames, route="again")], [], stiffness=40.0, margin_kT=3.0)
    # Where nothing separates the states the way from A to B serves, then that along the curve, both in a unit of half the curve: here s.
    assert alone.crossing.window.variable == Linear("a_to_b", (1.0,))
    assert [c.window.variable.name for c in alone.instead] == ["along_the_curve"]
    assert [c.window.variable.name for c in one.instead] == ["a_to_b", "along_the_curve"]
    assert (alone.fits, one.fits) == (0, 0), "several routes"
    assert sites_of([frames], [S], stiffness=40.0, margin_kT=3.0)[0][0].fits == FITS
    # A way that rests in a third basin is left out where the best one does not, and shot from where that does as well.
    round_about = replace(frames, route="round", third_basin="d 0.4")
    sites, left = sites_of([frames, round_about], [S], stiffness=40.0, margin_kT=8.0)
    assert ([b.crossing.route for b in sites], [c.route for c, _ in left]) == (["r"], ["round"])
    assert "rests in a basin that is neither A nor B, d 0.4" in left[0][1]
    assert sites[0].fits == 0, "a linear window could hold the top of the way that is left out"
    sites, left = sites_of(
        [round_about, replace(frames, features=frames.features + 9.0, curve=along + 9.0)], [S], stiffness=40.0, margin_kT=8.0
    )
    assert ([b.crossing.route for b in sites], left) == (["round", "r"], [])
    # One whose frames cannot be trusted is left out, unless it is the best.
    doubtful = replace(frames, route="doubtful", untrusted="its windows differ by 9 kT")
    for best in (frames, round_about):
        sites, left = sites_of([best, doubtful], [S], stiffness=40.0, margin_kT=8.0)
        assert [(c.route, why) for c, why in left] == [("doubtful", "its windows differ by 9 kT")]
    sites, left = sites_of([doubtful, frames], [S], stiffness=40.0, margin_kT=8.0)
    assert (sites[0].crossing.route, left) == ("doubtful", [])
    # Draws of starts pass the cumulative share of a window's weight.
    share = np.cumsum(weight * np.exp(-20.0 * s**2))
    at = [int(np.searchsorted(share, np.random.default_rng(seed).random() * share[-1], side="right")) for seed in range(20)]
    assert one.starts(top, range(20)) == [float(k) for k in at]
    low = np.cumsum(np.exp(-20.0 * (s[:9] + 2.95) ** 2))
    at = [int(np.searchsorted(low, np.random.default_rng(seed).random() * low[-1], side="right")) for seed in range(20)]
    assert one.starts_in_a(Window(S, -2.95, 40.0), range(20)) == [float(k) for k in at]


def test_channels_are_groups_by_weight_and_places() -> None:
    rng = np.random.default_rng(3)
    center = np.array([[3.1, 0.0], [-1.0, 0.0], [1.0, 4.0]])[np.repeat([0, 1, 2], [50, 100, 30])]
    places = center + 0.05 * rng.normal(size=(180, 2))
    weight = np.repeat([5.0, 1.0, 1.0], [50, 100, 30])
    found = channels((places + np.pi) % (2 * np.pi) - np.pi, np.array([True, True]), weight, rng=rng)
    np.testing.assert_array_equal(found, np.repeat([0, 1, 2], [50, 100, 30]))
    assert not channels(rng.uniform(size=(200, 2)), np.array([False, False]), np.ones(200), rng=rng).any(), "one cloud"
    assert not channels(places[:9], np.array([True, False]), weight[:9], rng=rng).any(), "too few"
    turned = np.radians([170.0, -170.0, -150.0])
    z = (2.0 * np.exp(1j * turned[0]) + np.exp(1j * turned[1]) + np.exp(1j * turned[2])) / 4.0
    mean, spread = centre_of(turned, np.array([2.0, 1.0, 1.0]), True)
    assert mean == pytest.approx(math.atan2(z.imag, z.real))
    assert spread == pytest.approx(math.sqrt(-2.0 * math.log(abs(z))))
    assert centre_of(np.array([1.0, 2.0, 5.0]), np.array([2.0, 1.0, 1.0]), False) == pytest.approx((2.25, math.sqrt(10.75 / 4.0)))
    line = [np.array([[0.0], [0.2], [0.5], [1.0]]), np.array([[-1.0], [0.4]])]
    np.testing.assert_array_equal(crossing_places(line, TOP, lambda x: x), [[0.2], [0.4]])
    assert place_name(TOP) == "s 0.30"
    assert place_name(Window(Angle("phi", 2, 0, 1), math.pi / 2, 1.0)) == "phi 90.0"


def test_two_groups_of_five_paths_are_two_channels_and_what_never_varies_tells_nothing() -> None:
    places = np.repeat([[0.0, 7.0], [5.0, 7.0]], 5, axis=0) + np.linspace(-0.1, 0.1, 10)[:, None] * [1.0, 0.0]
    found = channels(places, np.array([False, False]), np.repeat([1.0, 2.0], 5), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(found, np.repeat([1, 0], 5))


def test_silhouettes_by_hand_have_no_unit() -> None:
    # 0 and 1 are 1 apart and 10.5 and 9.5 from 10 and 11; one alone at 40 counts for nothing.
    place = np.array([0.0, 1.0, 10.0, 11.0])
    near = np.abs(place[:, None] - place)
    for unit in (1.0, 1e-3):
        assert _silhouette(unit * near, np.array([1, 1, 2, 2])) == pytest.approx((9.5 / 10.5 + 8.5 / 9.5) / 2)
        assert _silhouette(unit * near[:3, :3], np.array([1, 1, 2])) == pytest.approx((9.0 / 10.0 + 8.0 / 9.0) / 3)
    assert _silhouette(near, np.ones(4, dtype=int)) == -1.0
    assert _silhouette(np.zeros((4, 4)), np.array([1, 1, 2, 2])) == 0.0


def test_angles_differ_from_their_mean_the_short_way_round() -> None:
    turned = np.stack([np.radians([170.0, -170.0, 160.0, -160.0]), [1.0, 2.0, 3.0, 6.0]], axis=1)
    found = _centred(turned, np.array([True, False]))
    np.testing.assert_allclose(np.degrees(found[:, 0]), [-10.0, 10.0, -20.0, 20.0], atol=1e-9)
    np.testing.assert_allclose(found[:, 1], [-2.0, -1.0, 0.0, 3.0])


def test_crossings_four_deviations_apart_are_two() -> None:
    near, far = (Crossing("r", replace(TOP, center=0.3 + by * TOP.deviation), 1.0, 0.0) for by in (-3.99, 4.01))
    first = Crossing("r", TOP, 1.0, 0.0)
    assert DISTINCT == 4.0
    assert distinct([first, near, far]) == [first, far]
    assert distinct([near, first, far]) == [near, far]


@dataclass(frozen=True)
class Flat:
    """No force at all."""

    dimension = 1

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        return 0.0 * x[..., 0]

    def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.energy(x), 0.0 * x


DS = 0.02
LEFT, RIGHT = Discs(((-1.5,),), 0.5, False), Discs(((1.5,),), 0.5, False)  # type: ignore[arg-type]


def test_free_diffusion_between_two_states_has_its_rate_and_duration() -> None:
    # Between A = (-2, -1) and B = (1, 2) without force: ds / (2 w) paths, both directions, per step and population of A, of a mean length
    # of (2 w)^2 / 3 / ds steps; w = 1 + 0.58 sqrt(ds), where a path is seen. psi of a window is log(2 pi / k) / 2. Tolerances are three
    # standard errors: of some 500 shots, 5 % of lengths, and of the ladder 9 %.
    family, variable, center = Cartesian(1), Linear("x", (1.0, 0.0)), 0.35
    settings = ShootingSettings(
        paths=120, budget=10**7, stiffness=8.0, walkers=24, points=5, gap=15, shots=1, equilibration=30, rung_steps=60,
        pilot_shots=2, states=0,
    )  # fmt: skip
    x = torch.linspace(-2.0, 2.0, 801, dtype=torch.double)[:, None]
    along = torch.linspace(-1.0, 1.0, 21, dtype=torch.double)[:, None] + center
    eta = family.natural(along, torch.full_like(along, 2.0))
    frames = route_frames("r", eta, -(along[:, 0] ** 2), x, -1e-4 * (x[:, 0] - center) ** 2, family, LEFT, seed=5)
    frames = replace(frames, plain=frames.plain[:400])
    engine = SurfaceShooting(Overdamped(Flat(), 1.0, DS), family, LEFT, RIGHT, settings, seed=4, longest=50_000)
    found = ShotSampler(engine, settings, seed=4).sample([frames], [variable])
    assert found.enough
    assert found.effective >= 120.0
    wide = 1.0 + 0.5826 * math.sqrt(DS)
    assert found.weight.sum() == pytest.approx(DS / (2.0 * wide), rel=0.3)
    length = np.concatenate([b.path_points for b in found.batches]) + 1
    assert found.weight @ length / found.weight.sum() == pytest.approx((2.0 * wide) ** 2 / 3.0 / DS, rel=0.15)
    assert 0.02 < found.ladder_error[0] < 0.25
    site_ = found.sites[0]
    free = FreeEnergies(engine, settings, seed=4, rates=True)
    psi_ = free.psi(0, site_, linked=True)
    np.testing.assert_allclose(psi_, [0.5 * math.log(2.0 * math.pi / w.stiffness) for w in site_.windows], atol=0.25)
    assert found.evaluations == budget.shot(found.sites) + found.ladder_evaluations
    assert found.ladder_evaluations == free.evaluations == 24 * (1 + 60 * len(free._rungs(site_)))
    whole = ShotSampler(engine, settings, seed=4).weights(found.sites)
    np.testing.assert_allclose(found.weight, whole, rtol=1e-6, err_msg="of all batches, however quickly their number was told before")
    # What was shot stays: without rates, which cost a ladder, it is enough again and takes not one new batch.
    again = ShotSampler(engine, settings, seed=4, rates=False).sample([frames], [variable])
    assert len(again.batches) == len(found.batches) == len(engine.done(0))
    np.testing.assert_allclose(again.weight / again.weight.sum(), found.weight / found.weight.sum(), rtol=0.2)
    assert again.ladder_evaluations == 0
    assert math.isnan(again.ladder_error[0])
    hasty = SurfaceShooting(engine.dynamics, family, LEFT, RIGHT, settings, seed=4, longest=1)
    with pytest.raises(SpacetimeError, match=r"windows on [a-z_ ]+ at the top of the routes"):
        ShotSampler(hasty, settings, seed=4, rates=False).sample([frames], [variable])


def test_r_hat_tells_walks_that_keep_to_parts_of_their_own() -> None:
    rng, walk = np.random.default_rng(8), np.repeat(np.arange(16), 200)
    mixed, still = rng.normal(size=(3200, 1)), np.full((3200, 1), 7.0)
    apart = 0.1 * mixed + rng.normal(size=16)[walk, None]
    assert r_hat(np.hstack([mixed, still]), walk) == pytest.approx(1.0, abs=0.01)
    assert r_hat(np.hstack([mixed, apart, still]), walk) == pytest.approx(10.0, rel=0.5)  # sqrt(1 + 1 / 0.01); 16 draws know 1 to 0.35
    two = np.repeat(rng.normal(size=(2000, 2, 1)), 5, axis=1).reshape(-1, 1)
    assert r_hat(two, np.repeat(np.arange(2000), 10)) == pytest.approx(math.sqrt(2.0), rel=0.03), "two independent values each"
    assert r_hat(mixed, np.zeros(3200)) is None
    assert r_hat(still, walk) is None
