"""Comparisons, windows and pools against closed forms. Where figures come from draws, tolerances are five standard errors or more."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm, truncnorm

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.methods.driving import schedule, walks_along
from spacetime_tps.methods.settings import hold_points
from spacetime_tps.sampling.comparison import (
    Agreement,
    agreement,
    density_agreement,
    difference_interval,
    effective_number,
    jensen_shannon,
    kolmogorov_smirnov,
    share_interval,
)
from spacetime_tps.sampling.free_energy import neighbours, profile
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.sampling.windows import WindowPlan, gather, pick, window_walks
from spacetime_tps.states.distance_range import DistanceRange
from spacetime_tps.states.state import State
from spacetime_tps.states.transitions import connects
from spacetime_tps.trajectories.frames import Frames

DISTANCE = Distances(("d",), ((0, 1),))
A, B = State(((DistanceRange((0, 1), 0.0, 0.95),),)), State(((DistanceRange((0, 1), 1.15, 9.0),),))
"""At equilibrium d, in 0.1 nm, is N(10, 1): A below 9.5 and B above 11.5. A window eta = (k, 0) shifts it by k, psi = 10 k + k^2 / 2"""


def frames(d: np.ndarray, point: np.ndarray | int = 0, *, stable: bool = True) -> Frames:
    """Two atoms d x 0.1 nm apart."""
    d = np.atleast_1d(d)
    x = np.zeros((len(d), 2, 3))
    x[:, 1, 0] = 0.1 * d
    v = np.broadcast_to(d[:, None, None], x.shape)
    return Frames(x, v, np.arange(len(d)) * 0.1, d.copy(), np.broadcast_to(point, d.shape).astype(int), 10 * len(d), stable)


def test_distances_between_distributions_by_hand() -> None:
    assert effective_number(np.array([1.0, 1.0, 2.0])) == pytest.approx(16.0 / 6.0)
    # Cumulative 1/4, 3/4, 1 at 1, 2, 3 against 1/2, 1 at 1.5, 2.5.
    x, w, y = np.array([3.0, 1.0, 2.0]), np.array([2.0, 2.0, 4.0]), np.array([2.5, 1.5])
    assert kolmogorov_smirnov(x, w, y, np.ones(2)) == pytest.approx(0.25)
    assert kolmogorov_smirnov(x, w, y + 9.0, np.ones(2)) == 1.0
    p, q = np.array([[2.0, 0.0], [3.0, 3.0], [1.0, 0.0]]), np.array([[3.0, 3.0], [1.0, 1.0], [0.0, 5.0]])
    bits = 0.5 * math.log2(4.0 / 3.0) + 0.25 * math.log2(2.0 / 3.0) + 0.25 * math.log2(2.0)
    np.testing.assert_allclose(jensen_shannon(p, q), [math.sqrt(bits), 0.0, 1.0], atol=1e-7)
    assert Agreement(0.2, 0.2).holds
    assert not Agreement(0.201, 0.2).holds


def test_agreements_are_judged_by_what_chance_gives() -> None:
    # Of a constant all draws are alike. Of heads and tails the null is a difference of two shares, n' = 50 by weights and m = 200:
    # its 99th percentile is that of |N(0, 1/4 (1/50 + 1/200))|, 0.204, in steps of 0.01.
    rng = np.random.default_rng(1)
    assert agreement(np.ones(5), np.ones(5), np.ones(20), rng=rng, draws=50) == Agreement(0.0, 0.0)
    weight = np.r_[np.ones(25), np.zeros(100), np.ones(25)]
    heads = np.repeat([0.0, 1.0], 100)
    found = agreement(np.arange(150.0) // 100, weight, heads, rng=rng, draws=4000)
    assert found.distance == 0.0
    assert found.limit == pytest.approx(2.576 * 0.5 * math.sqrt(1 / 50 + 1 / 200), abs=0.02)
    visits = np.eye(2)[heads.astype(int)]
    assert density_agreement(np.ones((5, 3)), np.ones(5), np.ones((9, 3)), rng=rng, draws=50).limit == pytest.approx(0.0, abs=1e-6)
    found = density_agreement(np.eye(2)[(np.arange(150) // 100)], weight, visits, rng=rng, draws=4000)
    assert found.distance == pytest.approx(0.0, abs=1e-7)
    # Near equal shares s and r of two bins the divergence is (s - r)^2 / 2 nats.
    assert found.limit == pytest.approx(math.sqrt(0.5 / math.log(2.0)) * 0.204, abs=0.02)
    skewed = density_agreement(visits, np.r_[np.full(100, 3.0), np.ones(100)], visits, rng=rng, draws=50)
    assert skewed.distance == pytest.approx(float(jensen_shannon(np.array([3.0, 1.0]), np.ones(2))))


def test_intervals_of_shares_have_the_tails_of_the_binomial() -> None:
    low, high = share_interval(3, 17, confidence=0.9)
    assert binom.sf(2, 17, low) == pytest.approx(0.05)
    assert binom.cdf(3, 17, high) == pytest.approx(0.05)
    assert share_interval(0, 12) == (0.0, pytest.approx(1.0 - 0.025 ** (1.0 / 12.0)))
    assert share_interval(12, 12) == (pytest.approx(0.025 ** (1.0 / 12.0)), 1.0)
    low, high = share_interval(3, 17)
    found = difference_interval(0.4, 0.05, 3, 17)
    apart, reach = 0.4 - 3 / 17, 1.96 * 0.05
    assert found == pytest.approx((apart - math.hypot(reach, high - 3 / 17), apart + math.hypot(reach, 3 / 17 - low)))
    assert difference_interval(3 / 17, 0.0, 3, 17) == pytest.approx((3 / 17 - high, 3 / 17 - low))


def test_schedules_hold_the_last_point_for_a_hundred_steps() -> None:
    assert [hold_points(n) for n in (1, 25, 30, 99, 100, 101, 500)] == [99, 3, 3, 1, 0, 0, 0]
    s = np.linspace(0.0, 1.0, 7)
    eta = np.stack([s**3 - s, 2.0 * s**2], axis=1)  # cubics are their own splines
    found = schedule(VonMises(1), eta, 11, 40)
    t = np.r_[np.linspace(0.0, 1.0, 11), 1.0, 1.0]
    np.testing.assert_allclose(found, np.stack([t**3 - t, 2.0 * t**2], axis=1), atol=1e-12)
    family = Cartesian(1)  # its chart is (mean, log precision) beside unit data, where these are straight
    ends = family.natural(torch.tensor([[0.0], [1.0]]).double(), family.level_of(torch.tensor([[3.0], [3.0]]).double()))
    found = schedule(family, ends.numpy(), 5, 100)
    np.testing.assert_allclose(family.center(torch.from_numpy(found))[:, 0], [0.0, 0.25, 0.5, 0.75, 1.0], atol=1e-12)
    np.testing.assert_allclose(family.precisions(torch.from_numpy(found))[:, 0], 3.0, atol=1e-12)
    x = np.arange(12.0).reshape(2, 2, 3)
    walks = walks_along(DISTANCE, eta, steps_per_point=40, stride=5, seeds=[7, 8], positions=x, velocities=-x)
    for k, walk in enumerate(walks):
        assert (walk.bias, walk.steps, walk.stride, walk.seed, walk.discard) == (CurveBias(DISTANCE), 40, 5, 7 + k, 0)
        np.testing.assert_array_equal(walk.positions, x[k])
        np.testing.assert_array_equal(walk.velocities, -x[k])
        np.testing.assert_array_equal(walk.schedule, eta)


def test_hits_begin_in_a_and_end_in_b() -> None:
    assert connects(frames(np.array([9.0, 10.0, 12.0])).positions, A, B)
    assert not connects(frames(np.array([9.0, 12.0, 10.0])).positions, A, B)
    assert not connects(frames(np.array([10.0, 9.0, 12.0])).positions, A, B)


def test_starts_are_where_the_cumulative_weight_passes_the_draw() -> None:
    # Allowed weights 1, 3, 4 of 8: the draw of each seed falls below 1/8, 1/2 or 1.
    log_weight, allowed = np.log([1.0, 5.0, 3.0, 4.0]) + 700.0, np.array([True, False, True, True])
    seeds = range(60)
    drawn = [np.random.default_rng(seed).random() for seed in seeds]
    expected = [0 if u < 0.125 else 2 if u < 0.5 else 3 for u in drawn]
    assert draw_starts(log_weight, allowed, seeds, none="").tolist() == expected
    assert set(expected) == {0, 2, 3}
    with pytest.raises(SpacetimeError, match="nothing is allowed"):
        draw_starts(log_weight, ~np.ones(4, dtype=bool), seeds, none="nothing is allowed")


SHIFTS = np.array([-1.0, -0.4, 0.5, 1.2, 2.0])
ETA = np.stack([SHIFTS, np.zeros(5)], axis=1)
PSI = 10.0 * SHIFTS + 0.5 * SHIFTS**2


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """(5, count) of each window."""
    return 10.0 + SHIFTS[:, None] + rng.normal(size=(5, count))


def test_profiles_of_gaussian_windows_have_their_values_errors_and_overlaps() -> None:
    rng = np.random.default_rng(2)
    d = drawn(rng, 2000)
    walks = [[np.stack([x, x**2], axis=1) for x in (row[:900], row[900:])] for row in d]
    found = profile(walks, ETA)
    truth = -(PSI - PSI[0])
    assert found.free_energy[0] == found.error[0] == 0.0
    assert (np.abs(found.free_energy - truth)[1:] < 4.0 * found.error[1:]).all()
    # The mean of 2,000 draws of a window has an error of 0.022, and psi over 3 that of about three times it.
    assert 0.02 < found.error[-1] < 0.15
    assert (np.diff(found.error) > 0).all()
    np.testing.assert_allclose(found.overlap.sum(axis=1), 1.0, atol=1e-6)
    x = np.linspace(0.0, 20.0, 4001)
    density = norm.pdf(x, 10.0 + SHIFTS[:, None], 1.0)
    among = found.independent[:, None] * density
    share = among / among.sum(axis=0)
    np.testing.assert_allclose(found.overlap, density @ share.T * (x[1] - x[0]), atol=0.02)
    assert ((found.independent >= 1000) & (found.independent <= 2000)).all(), "each walk thinned by one or, by chance, by two"
    again = profile([[np.repeat(w, 5, axis=0) for w in walk] for walk in walks], ETA)
    assert (np.abs(again.independent - 1800) < 250).all(), "five copies of a frame are one, or a little less"
    differences, overlap = neighbours([np.concatenate(w) for w in walks], ETA)
    np.testing.assert_allclose(np.cumsum(differences), truth[1:], atol=0.2)
    exact = [(2.0 * p * q / (p + q)).sum() * (x[1] - x[0]) for p, q in itertools.pairwise(density)]
    np.testing.assert_allclose(overlap, exact, atol=0.02)


def test_two_walks_make_windows_and_tell_how_they_disagree() -> None:
    rng = np.random.default_rng(3)
    there, back = drawn(rng, 800), drawn(rng, 800)
    back[3] += 0.3  # a lag
    point = np.repeat(np.arange(5), 800)
    windows = gather(DISTANCE, ETA, frames(there.ravel(), point), frames(back[::-1].ravel(), point))
    np.testing.assert_array_equal(windows.backward.point, point[::-1])
    np.testing.assert_allclose(windows.forward_profile, -(PSI - PSI[0]), atol=0.25)
    # Half of the shift counts in each step into the lagging window and out of it: work 0.7 and 0.8 times 0.3, halved, more or less.
    assert windows.disagreement == pytest.approx(np.abs(windows.forward_profile - windows.backward_profile).max())
    assert windows.backward_profile[-1] - windows.forward_profile[-1] == pytest.approx(-0.3 * 0.75, abs=0.2)
    assert windows.disagreement > 0.1
    pooled = np.minimum(windows.forward_profile, windows.backward_profile), np.maximum(windows.forward_profile, windows.backward_profile)
    assert ((pooled[0] - 1e-9 <= windows.profile) & (windows.profile <= pooled[1] + 1e-9)).all()
    assert windows.overlap.shape == (4,)


def test_walks_through_windows_go_both_ways() -> None:
    plan = WindowPlan(steps=60, discard=20, stride=5)
    x = np.zeros((2, 3))
    for walk, eta, seed, at in zip(
        window_walks(DISTANCE, ETA, plan, start=x, end=x + 1.0, seeds=(3, 4)), (ETA, ETA[::-1]), (3, 4), (x, x + 1.0), strict=True
    ):
        np.testing.assert_array_equal(walk.schedule, eta)
        np.testing.assert_array_equal(walk.positions, at)
        assert (walk.steps, walk.stride, walk.discard, walk.seed, walk.velocities) == (60, 5, 20, seed, None)
    np.testing.assert_array_equal(pick(np.arange(9.0)[:, None], 3)[:, 0], [0.0, 4.0, 8.0])
    np.testing.assert_array_equal(pick(np.arange(8.0)[:, None], 4)[:, 0], [0.0, 2.0, 5.0, 7.0])


def test_a_pool_of_ends_and_windows_has_the_boltzmann_averages() -> None:
    rng = np.random.default_rng(4)
    in_a = 10.0 + truncnorm.rvs(-9.0, -0.5, size=3000, random_state=rng)
    in_b = 10.0 + truncnorm.rvs(1.5, 9.0, size=3000, random_state=rng)
    ends = [frames(np.r_[in_a[:1500], 10.0, 11.0]), frames(in_a[1500:])], [frames(np.r_[9.0, in_b])]
    pool = Pool.of_ends(DISTANCE, A, B, *ends, every=1)
    np.testing.assert_array_equal(pool.counts, [3000, 3000])
    thin = Pool.of_ends(DISTANCE, A, B, *ends, every=2)
    assert abs(thin.counts - 1500).max() <= 1
    point = np.repeat(np.arange(5), 600)
    windows = gather(DISTANCE, ETA, frames(drawn(rng, 600).ravel(), point), frames(drawn(rng, 600)[::-1].ravel(), point))
    grown = pool.copy()
    grown.add(windows)
    np.testing.assert_array_equal(grown.counts, [3000, 3000, *[1200] * 5])
    np.testing.assert_array_equal(pool.counts, [3000, 3000])
    np.testing.assert_array_equal(grown.eta, np.concatenate([np.zeros((2, 2)), ETA]))
    np.testing.assert_allclose(grown.velocities[3][:, 0, 0], 10.0 * grown.positions[3][:, 1, 0], rtol=1e-6)
    found = grown.weights()
    # Errors of an ensemble of 1,200 to 3,000 frames: 0.03; of links over four windows, 0.06.
    exact = [-math.log(norm.cdf(-0.5)), -math.log(norm.sf(1.5)), *-PSI]
    np.testing.assert_allclose(found.free_energy, exact, atol=0.25)
    weight, d = np.exp(found.log_weight), grown.features[:, 0]
    assert weight.sum() == pytest.approx(1.0)
    assert weight @ d == pytest.approx(10.0, abs=0.15)
    assert weight @ (d - 10.0) ** 2 == pytest.approx(1.0, abs=0.15)
    assert weight @ A.contains(np.concatenate(grown.positions)) == pytest.approx(norm.cdf(-0.5), abs=0.05)
    # The first guess, by exponential averages and BAR, is near it: MBAR starts where it ends.
    guess = grown._guess() - grown._guess()[0]
    np.testing.assert_allclose(guess, np.array(exact) - exact[0], atol=0.4)
    for name, none in (("A", ([frames(np.array([12.0]))], ends[1])), ("B", (ends[0], [frames(np.array([9.0]))]))):
        empty = Pool.of_ends(DISTANCE, A, B, *none, every=1)
        empty.add(windows)
        with pytest.raises(SpacetimeError, match=f"no frame of the plain MD from {name}|{name} has no frames"):
            empty.weights()
