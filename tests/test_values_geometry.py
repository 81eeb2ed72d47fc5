"""Penalties, families and lattices: figures worked out by hand or in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ive

from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Moments, confinement_free_energy, hessian_vector_product, kl_divergence
from spacetime_tps.geometry.distance import diffusion_edit
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.product import ProductFamily
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises, VonMisesAbove
from spacetime_tps.geometry.geodesic import evaluate, minimise
from spacetime_tps.geometry.graph import lattice_paths
from spacetime_tps.geometry.penalties import Avoid, Barrier, EffectiveSamples, Followable, LowVariance, Penalty, from_point
from spacetime_tps.geometry.pullback import decoded_energy, decoded_length
from spacetime_tps.geometry.schedule import VarianceExploding, VariancePreserving
from spacetime_tps.geometry.spline import resample, uniform_spline


def numbers(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


def known(psi: torch.Tensor, mean: torch.Tensor, effective: torch.Tensor | None = None) -> Moments:
    return Moments(psi, mean, torch.full_like(psi, torch.inf) if effective is None else effective)


def test_penalties_by_hand() -> None:
    family = VonMises(2)
    eta = family.natural(torch.zeros(2, 2, dtype=torch.double), numbers([5.0, 30.0], [10.0, 8.0]))
    nothing = known(torch.zeros(2, dtype=torch.double), torch.zeros(2, 4, dtype=torch.double))
    # Precisions over floors 10 and 16: 1/2, more, 1, 1/2.
    assert float(LowVariance(family, numbers(10.0, 16.0), weight=3.0)(eta, nothing)) == pytest.approx(3.0 * 0.5 / 4.0)
    assert float(LowVariance(family, 4.0, weight=3.0)(eta, nothing)) == 0.0
    # With mu = 0 the cost is -psi: 1 and 3 kT.
    cost = known(numbers(-1.0, -3.0), torch.zeros(2, 4, dtype=torch.double))
    soft = math.log(0.5 * (math.exp(2.0) + math.exp(6.0))) / 2.0
    assert float(Barrier(weight=5.0, sharpness=2.0)(eta, cost)) == pytest.approx(5.0 * soft)
    # Lacks of log(100 / n): 1, 2 and none.
    few = known(torch.zeros(3, dtype=torch.double), torch.zeros(3, 4, dtype=torch.double), numbers(100.0 / math.e, 100.0 / math.e**2, 1e3))
    assert float(EffectiveSamples(floor=100.0, weight=2.0)(eta, few)) == pytest.approx(2.0 * 5.0 / 3.0)
    # Two regions at 1 and 6, 3 and 2 nats with a floor of 4: lacks 3/4 and 0, 1/4 and 1/2.
    avoid = Avoid([lambda eta, moments: numbers(1.0, 6.0), lambda eta, moments: numbers(3.0, 2.0)], floor=4.0, weight=2.0)
    assert float(avoid(eta, nothing)) == pytest.approx(2.0 * (0.5625 / 2.0 + 0.3125 / 2.0))
    with pytest.raises(ValueError, match="floor must be positive"):
        Avoid([], floor=0.0, weight=1.0)


def test_followable_counts_what_is_beyond_the_ends() -> None:
    # One coordinate at SNR 4: steepnesses 4 variance = 1, 18, 3, of which the ends have 2 beyond one; limit 4.
    family = Cartesian(1)
    eta = numbers([0.0, -2.0], [0.0, -2.0], [0.0, -2.0])
    mean = numbers([2.0, 4.25], [-1.0, 5.5], [0.5, 1.0])
    moments = known(torch.zeros(3, dtype=torch.double), mean)
    penalty = Followable(family, limit=4.0, weight=7.0)
    torch.testing.assert_close(penalty.steepness(eta, moments), numbers([-1.0], [16.0], [1.0]))
    assert float(penalty(eta, moments)) == pytest.approx(7.0 * 9.0 / 3.0)


def test_the_objective_is_the_energy_and_all_penalties() -> None:
    # A straight start is its own spline: the first value of the objective is that of the start.
    family = VonMises(1)
    denoiser = quadrature(family, periodic_grid(200, 1), lambda x: 2.0 * torch.cos(x[:, 0]), kT=1.0)
    s = torch.linspace(0.0, 1.0, 30, dtype=torch.double)[:, None]
    start = (1.0 - s) * numbers(8.0, 1.0) + s * numbers(-6.0, 3.0)
    moments = denoiser.moments(start)
    penalties: list[Penalty] = [LowVariance(family, 12.0, weight=3.0), Barrier(weight=2.0, sharpness=1.5)]
    values = [float(p(start, moments)) for p in penalties]
    assert min(values) > 0.1

    def first(chosen: list[Penalty]) -> float:
        return minimise(start, denoiser, chosen, family=family, nodes=6, points=30, evaluations=1).trace[0]

    energy = 0.5 * 29 * float((start.diff(dim=0) * moments.mean.diff(dim=0)).sum())
    assert first([]) == pytest.approx(energy)
    assert first(penalties[:1]) == pytest.approx(energy + values[0])
    assert first(penalties) == pytest.approx(energy + sum(values))


def gaussian(mean: list[float], variance: float) -> GaussianMixture:
    return GaussianMixture(numbers(mean), torch.full((1, len(mean)), variance, dtype=torch.double), numbers(1.0))


def test_divergences_of_gaussians_are_the_known_ones() -> None:
    # Data N(m, v): p_eta has precision 1/v + snr and mean (m/v + snr c) / precision.
    data, family, m, v = gaussian([0.5, -1.0], 2.0), Cartesian(2), np.array([0.5, -1.0]), 2.0

    def member(center: list[float], snr: float) -> tuple[torch.Tensor, np.ndarray, float]:
        q = 1.0 / v + snr
        return family.natural(numbers(*center), numbers(math.log(snr))), (m / v + snr * np.array(center)) / q, 1.0 / q

    def expected(p: tuple[np.ndarray, float], q: tuple[np.ndarray, float]) -> float:
        return 0.5 * (((q[0] - p[0]) ** 2).sum() / q[1] + 2.0 * (p[1] / q[1] - 1.0 - math.log(p[1] / q[1])))

    (eta_p, *p), (eta_q, *q) = member([1.0, 2.0], 3.0), member([-0.5, 0.3], 7.0)
    at_p, at_q = data.moments(eta_p), data.moments(eta_q)
    assert float(kl_divergence(eta_p, at_p, eta_q, at_q)) == pytest.approx(expected(tuple(p), tuple(q)))
    assert float(from_point(eta_p, data)(eta_q, at_q)) == pytest.approx(expected(tuple(p), tuple(q)))
    assert float(confinement_free_energy(eta_p, at_p)) == pytest.approx(expected(tuple(p), (m, v)))
    # The metric is the covariance of (x, |x|^2): v, 2 m v and 4 m^2 v + 2 D v^2.
    column = hessian_vector_product(data, eta_p, numbers(0.0, 0.0, 1.0))
    s = p[1]
    np.testing.assert_allclose(column, [*(2.0 * p[0] * s), 4.0 * (p[0] ** 2).sum() * s + 4.0 * s**2])


def test_the_edit_distance_of_gaussian_data_is_that_of_the_hyperbolic_plane() -> None:
    # One Gaussian coordinate of mean M and deviation S: ds^2 = (dM^2 + 2 dS^2) / S^2, sqrt(2) times the half-plane of (M/sqrt 2, S).
    data, family, snr = gaussian([0.0], 1.0), Cartesian(1), 20.0
    found = diffusion_edit(
        numbers(-1.5), numbers(1.5), data, family=family, level=numbers(math.log(snr)), through=numbers(1.0), points=64, nodes=10
    )
    center, variance = 1.5 * snr / (1.0 + snr), 1.0 / (1.0 + snr)
    exact = math.sqrt(2.0) * math.acosh(1.0 + (2.0 * center) ** 2 / 2.0 / (2.0 * variance))
    assert found.length == pytest.approx(exact, rel=2e-3)
    assert found.energy == pytest.approx(0.5 * exact**2, rel=5e-3)
    torch.testing.assert_close(family.center(found.eta[[0, -1]]), numbers([-1.5], [1.5]))
    assert float((found.segment.max() / found.segment.min()).sqrt()) < 1.02, "constant speed"
    assert found.barrier == pytest.approx(float(found.cost.max()))
    assert len(found.eta) == 64


FAMILIES: dict[str, Family] = {
    "torsions": VonMises(2),
    "above": VonMisesAbove(2, floor=3.0),
    "lengths": Cartesian(3),
    "exploding": Cartesian(2, VarianceExploding()),
    "product": ProductFamily([VonMises(2), Cartesian(3), VonMises(1)]),
}


@pytest.fixture(params=FAMILIES, ids=str)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def test_families_are_what_their_formulas_say(family: Family) -> None:
    generator = torch.Generator().manual_seed(4)
    width = len(family.angular)
    x = torch.rand(7, width, generator=generator, dtype=torch.double) * 4.0 - 2.0
    levels = family.levels
    precision = 4.0 + 6.0 * torch.rand(7, levels, generator=generator, dtype=torch.double)
    eta = family.natural(x, family.level_of(precision))
    torch.testing.assert_close(family.level_of(family.precisions(eta)), family.level(eta))
    torch.testing.assert_close(family.precisions(eta).amax(-1), precision.amax(-1))
    value, slope = family.bias(eta, x + 0.3)
    torch.testing.assert_close(value, (eta * family.features(x + 0.3)).sum(-1))
    for k in range(width):
        step = torch.zeros(width, dtype=torch.double)
        step[k] = 1e-5
        rise = (family.bias(eta, x + 0.3 + step)[0] - family.bias(eta, x + 0.3 - step)[0]) / 2e-5
        torch.testing.assert_close(slope[:, k], rise, atol=1e-7, rtol=1e-6)
        # At the center exp(eta . T) is highest, and as narrow as one of the precisions says.
        bend = (family.bias(eta, x + step)[1] - family.bias(eta, x - step)[1])[:, k] / 2e-5
        assert float((-bend[:, None] / precision - 1.0).abs().amin(-1).max()) < 1e-6
    torch.testing.assert_close(family.bias(eta, x)[1], torch.zeros_like(x), atol=1e-9, rtol=0)
    torch.testing.assert_close(family.from_chart(family.chart(eta)), eta)
    squares = sorted(set(range(family.dimension)) - set(family.locations))
    moved = (family.features(-x) + family.features(x)).abs().amax(0) > 1e-9
    assert all(bool(moved[k]) for k in squares)
    # The variance of two points at -h and h about zero, along all coordinates: of a level's D coordinates D h^2, of torsions sin^2 h.
    h = 0.4 * torch.ones(1, width, dtype=torch.double)
    spread = family.spread(0.5 * (family.features(h) + family.features(-h)))[0]
    expected = {"lengths": [0.48], "exploding": [0.32], "product": [math.sin(0.4) ** 2] * 2 + [0.48] + [math.sin(0.4) ** 2]}
    name = next(n for n, f in FAMILIES.items() if f is family)
    np.testing.assert_allclose(spread, expected.get(name, [math.sin(0.4) ** 2] * 2))


def test_spacetime_points_of_both_schedules() -> None:
    # SNR 4: alpha^2 = 4/5 and sigma^2 = 1/5, or alpha = 1 and sigma = 1/2.
    level, x_t = numbers([math.log(4.0)]), numbers([0.6, -1.2])
    for schedule, alpha, sigma in ((VariancePreserving(), math.sqrt(0.8), math.sqrt(0.2)), (VarianceExploding(), 1.0, 0.5)):
        assert float(schedule.alpha(level)) == pytest.approx(alpha)
        assert float(schedule.sigma(level)) == pytest.approx(sigma)
        family = Cartesian(2, schedule)
        eta = family.at(x_t, level)
        np.testing.assert_allclose(eta[0], [0.6 * alpha / sigma**2, -1.2 * alpha / sigma**2, -2.0])
        back, again = family.spacetime(eta)
        torch.testing.assert_close(back, x_t)
        torch.testing.assert_close(again, level)
    # The chart of posteriors of standard normal data: mean and log precision.
    np.testing.assert_allclose(Cartesian(1).chart(numbers([3.0, -2.0])), [[0.6, math.log(5.0)]])


def test_polar_charts_keep_to_their_floor_and_their_turn() -> None:
    family = VonMisesAbove(1, floor=2.0)
    center = torch.linspace(3.0, 3.0 + 2.5 * math.pi, 40, dtype=torch.double)[:, None]
    chart = family.chart(family.natural(center, torch.full_like(center, 10.0)))
    torch.testing.assert_close(chart, torch.cat([center, torch.full_like(center, 2.0)], dim=-1))  # 2 (1 + 2^2) = 10
    low = family.from_chart(family.chart(family.natural(numbers([0.5]), numbers([0.1]))))
    torch.testing.assert_close(family.level(low), numbers([2.0]))
    for make in (lambda: VonMisesAbove(1, floor=0.0), lambda: VonMises(0), lambda: Cartesian(0), lambda: ProductFamily([])):
        with pytest.raises(ValueError):
            make()


def test_a_negative_segment_is_an_error_of_the_denoiser_and_rounding_is_none() -> None:
    """Rounding: 1e-12 of |d_eta| |mu|, of 6.7 here."""
    eta = numbers([0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0])

    def length(below: float) -> float:
        return float(curve.length(eta, numbers([3.0, 4.0], [4.0, 5.0], [3.0, 5.0], [3.0 - below, 6.0])))

    assert length(0.0) == length(5e-12) == 1.0
    for below in (1e-10, 1e-3, 0.5, 5.0):
        with pytest.raises(curve.NotConvex, match="negative segment"):
            length(below)


def test_points_along_a_straight_curve_are_spaced_evenly_however_short_it_is() -> None:
    eta, even = numbers([5.0, 0.0], [5.0, 1.0], [5.0, 1.2], [5.0, 3.0]), torch.linspace(0.0, 3.0, 7, dtype=torch.double)
    for size in (1.0, 1e-6):
        found = curve.at_constant_speed(size * eta, size * eta, 7, VonMises(1)) / size  # mu = eta: lengths are those of the plane
        torch.testing.assert_close(found, torch.stack([torch.full_like(even, 5.0), even], dim=-1))


def test_points_that_coincide_stop_no_curve() -> None:
    twice = numbers([5.0, 0.0], [5.0, 1.0], [5.0, 1.0], [5.0, 3.0])
    found = curve.at_constant_speed(twice, twice, 7, VonMises(1))
    torch.testing.assert_close(found[[0, -1]], twice[[0, -1]])
    torch.testing.assert_close(found[2], twice[1])
    assert bool(found.isfinite().all())
    still = twice[:1].expand(4, 2)
    torch.testing.assert_close(curve.at_constant_speed(still, still, 7, VonMises(1)), twice[:1].expand(7, 2))


def test_curves_of_hand_made_points() -> None:
    eta, mean = numbers([0.0, 0.0], [1.0, 0.0], [1.0, 2.0]), numbers([0.0, 0.0], [4.0, 5.0], [7.0, 5.5])
    torch.testing.assert_close(curve.segments(eta, mean), numbers(4.0, 1.0))
    assert float(curve.energy(eta, mean)) == 5.0
    assert float(curve.length(eta, mean)) == 3.0
    line = numbers([0.0, 0.0], [3.0, 4.0], [3.0, 16.0])
    assert float(decoded_energy(line)) == 169.0
    assert float(decoded_length(line)) == 17.0
    batch = torch.stack([line, 2.0 * line])
    torch.testing.assert_close(decoded_energy(batch), numbers(169.0, 676.0))
    torch.testing.assert_close(decoded_length(batch), numbers(17.0, 34.0))
    with pytest.raises(ValueError, match="at least 4 nodes, got 3"):
        uniform_spline(3, 5)
    position = numbers(0.0, 0.1, 0.5, 0.7, 2.0)
    torch.testing.assert_close(resample(position[:, None] ** 3, position, 5), numbers([0.0], [0.125], [1.0], [3.375], [8.0]))
    assert len(evaluate(numbers([5.0, 0.0], [5.0, 1.0], [4.0, 2.0], [3.0, 3.0]), free(1), family=VonMises(1), points=9).eta) == 9


def free(torsions: int) -> WeightedSamples:
    return quadrature(VonMises(torsions), periodic_grid(60, torsions), lambda x: 0.0 * x[:, 0], kT=1.0)


def test_lattice_paths_of_free_torsions_are_the_known_ones() -> None:
    # A hop by h costs 2 sin(h/2) sqrt(kappa A), sqrt(2) times as much where both torsions turn.
    kappa, size = 6.0, 12
    found = lattice_paths(
        free(2), np.radians([170.0, 10.0]), np.radians([-100.0, 10.0 - 60.0]), level=kappa, size=size, barrier_weight=1.0,
        allowed=lambda eta, moments: torch.ones(len(eta), dtype=torch.bool),
    )  # fmt: skip
    a, log_i0 = ive(1, kappa) / ive(0, kappa), math.log(ive(0, kappa)) + kappa
    hop = 2.0 * math.sin(math.pi / size) * math.sqrt(kappa * a)
    # From nodes (180, 0) to (-90, -60): three or nine hops of the first, two or ten of the other.
    turns = {(90.0, -60.0): (3, 2), (90.0, 300.0): (3, 10), (-270.0, -60.0): (9, 2), (-270.0, 300.0): (9, 10)}
    lengths = {way: hop * (max(n) + (math.sqrt(2.0) - 1.0) * min(n)) for way, n in turns.items()}
    assert [p.length for p in found] == pytest.approx(sorted(lengths.values()))
    for path in found:
        np.testing.assert_array_equal(path.center[0], np.radians([170.0, 10.0]))
        way = tuple(np.round(np.degrees(path.center[-1] - path.center[0])).tolist())
        assert path.length == pytest.approx(lengths[way])
        assert float(np.abs(np.diff(path.center, axis=0)).max()) < math.radians(45.0), "continuous"
        assert path.barrier == pytest.approx(2.0 * (kappa * a - log_i0))
        assert path.steepness == pytest.approx(kappa * (1.0 - a**2))


def test_lattice_paths_go_round_a_wall_where_its_height_counts() -> None:
    # A wall along phi = 0 with a gate at psi = 90, and nodes at phi = 180 left out: no way leads behind.
    def energy(x: torch.Tensor) -> torch.Tensor:
        return 6.0 * (1.0 - torch.sin(x[:, 1])) * torch.exp(torch.cos(x[:, 0]) - 1.0)

    denoiser = quadrature(VonMises(2), periodic_grid(60, 2), energy, kT=1.0)
    start, end, level, size = np.radians([-90.0, 0.0]), np.radians([90.0, 0.0]), 10.0, 12

    def allowed(eta: torch.Tensor, moments: Moments) -> torch.Tensor:
        return VonMises(2).center(eta)[:, 0].abs() < 3.0

    def found(weight: float) -> dict[tuple[int, int], tuple[float, float]]:
        paths = lattice_paths(denoiser, start, end, level=level, size=size, barrier_weight=weight, allowed=allowed)
        values = [p.length**2 * (1.0 + weight * p.barrier) for p in paths]
        assert values == sorted(values), "the easiest first"
        for p in paths:
            centers = torch.from_numpy(p.center)
            eta = VonMises(2).natural(centers, torch.full_like(centers, level))
            assert p.barrier == pytest.approx(float(confinement_free_energy(eta, denoiser.moments(eta)).max())), "of its own nodes"
        return {tuple(np.round((p.center[-1] - p.center[0]) / np.pi).astype(int).tolist()): (p.length, p.barrier) for p in paths}

    psi = torch.linspace(-math.pi, math.pi, size + 1, dtype=torch.double)[:-1]
    family = VonMises(2)
    top = family.natural(torch.stack([0.0 * psi, psi], dim=-1), torch.full((size, 2), level, dtype=torch.double))
    cost = confinement_free_energy(top, denoiser.moments(top))
    short, easy = found(0.0), found(100.0)
    assert len(short) == len(easy) == 2, "none behind"
    assert short[1, 0][1] == pytest.approx(float(cost[size // 2])), "straight over the wall"
    assert float(cost.min()) < easy[1, 0][1] < short[1, 0][1] - 1.0, "towards the gate"
    assert easy[1, 0][0] > short[1, 0][0]
    assert lattice_paths(denoiser, start, end, level=level, size=size, barrier_weight=1.0, allowed=lambda e, m: e[:, 0] > 0.5) == []
