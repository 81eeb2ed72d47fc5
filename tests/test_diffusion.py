"""Samplers of the diffusion model, their diagnostics and the pullback geometry, against closed forms and exact distributions."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from spacetime_tps.denoisers.diagnostics import departure, energy_test, quasi_linearity
from spacetime_tps.denoisers.diffusion import denoise, denoising_trajectory, jump, noise, probability_flow, reverse_sde
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.pullback import decoded_energy, decoded_length, pullback_geodesic
from spacetime_tps.geometry.schedule import Schedule, VarianceExploding, VariancePreserving

SCHEDULES = pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


TOY = GaussianMixture(tensor(-2.5, 0.5, 2.5)[:, None], torch.full((3, 1), 0.75**2), tensor(0.275, 0.45, 0.275))
MEAN, DEVIATION = tensor(0.7, -0.3), tensor(0.5, 1.5)
GAUSSIAN = GaussianMixture(MEAN[None], DEVIATION[None].square(), tensor(1.0))


def grid(start: float, end: float, steps: int) -> torch.Tensor:
    return torch.linspace(start, end, steps + 1, dtype=torch.double)


def exact_flow(x_t: torch.Tensor, start: float, end: float, schedule: Schedule) -> torch.Tensor:
    """The flow keeps quantiles: for Gaussian data it scales the deviation from alpha m by the marginal's standard deviation."""
    (first, last), (spread, final) = (
        [schedule.alpha(tensor(x)) for x in (start, end)],
        [(schedule.alpha(tensor(x)).square() * DEVIATION.square() + schedule.sigma(tensor(x)).square()).sqrt() for x in (start, end)],
    )
    return last * MEAN + final / spread * (x_t - first * MEAN)


@SCHEDULES
@pytest.mark.parametrize(("start", "end"), [(-3.0, 4.0), (4.0, -3.0)])
def test_heun_has_order_two_both_ways(schedule: Schedule, start: float, end: float) -> None:
    family = Cartesian(2, schedule)
    x_t = schedule.sigma(tensor(start)) * torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    exact = exact_flow(x_t, start, end, schedule)
    errors = []
    for steps in (16, 32, 64, 128):
        path = probability_flow(x_t, grid(start, end, steps), GAUSSIAN, family=family)
        assert path.shape == (steps + 1, 5, 3, 2)
        errors.append(float((path[-1] - exact).abs().max()))
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[-1] < 2e-3
    assert orders[-1] == pytest.approx(2.0, abs=0.1)


def test_schedules_give_one_flow() -> None:
    preserving, exploding = Cartesian(1), Cartesian(1, VarianceExploding())
    x_t, log_snr = tensor(-1.0, 0.2, 1.0)[:, None], grid(-6.0, 5.0, 40)
    first = probability_flow(x_t, log_snr, TOY, family=preserving)
    second = probability_flow(x_t / preserving.schedule.alpha(log_snr[0]), log_snr, TOY, family=exploding)
    torch.testing.assert_close(first / preserving.schedule.alpha(log_snr)[:, None, None], second)


def test_the_flow_is_differentiable() -> None:
    family, log_snr = Cartesian(2), grid(-3.0, 2.0, 5)
    x_t = torch.randn(3, 2, generator=torch.Generator().manual_seed(3), dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: jump(x, log_snr, GAUSSIAN, family=family), x_t, atol=1e-7)


@SCHEDULES
def test_jump_follows_the_tangent_of_the_flow(schedule: Schedule) -> None:
    family = Cartesian(1, schedule)
    x_t = family.schedule.sigma(tensor(-2.0)) * tensor(-1.0, 0.3, 1.2)[:, None]
    log_snr = grid(-2.0, 1.0, 30)
    path = probability_flow(x_t, torch.cat([log_snr, tensor(1.0 + 1e-5)]), TOY, family=family)
    at = torch.cat([log_snr, tensor(1.0 + 1e-5)])[:, None, None]
    z, tau = path / schedule.alpha(at), torch.exp(-0.5 * at)
    tangent = (z[-1] - z[-2]) / (tau[-1] - tau[-2])
    jumped = jump(x_t, log_snr, TOY, family=family)
    torch.testing.assert_close(jumped, z[-2] - tau[-2] * tangent, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(jumped, denoising_trajectory(path[:-1], log_snr, TOY, family=family)[-1])
    torch.testing.assert_close(jumped, denoise(path[-2], log_snr[-1], TOY, family=family))


def test_grids_are_checked() -> None:
    family, generator = Cartesian(1), torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=r"shape \(N,\) with N at least 2"):
        probability_flow(tensor(0.0), tensor(1.0), TOY, family=family)
    with pytest.raises(ValueError, match=r"shape \(N,\) with N at least 2"):
        reverse_sde(tensor(0.0), tensor(1.0), TOY, family=family, generator=generator)
    with pytest.raises(ValueError, match="must rise from noise to data"):
        reverse_sde(tensor(0.0), grid(1.0, 0.0, 3), TOY, family=family, generator=generator)


def end_points(schedule: Schedule, denoiser: GaussianMixture, *, seed: int, count: int, dimension: int) -> torch.Tensor:
    """Centers x_t/alpha at log_snr 7 of the reverse SDE from pure noise at -10, 90 steps."""
    family, generator = Cartesian(dimension, schedule), torch.Generator().manual_seed(seed)
    log_snr = grid(-10.0, 7.0, 90)
    start = noise((count, dimension), log_snr[0], family=family, generator=generator)
    return reverse_sde(start, log_snr, denoiser, family=family, generator=generator)[-1] / schedule.alpha(log_snr[-1])


@SCHEDULES
def test_reverse_sde_reproduces_gaussian_moments(schedule: Schedule) -> None:
    count = 10_000
    x = end_points(schedule, GAUSSIAN, seed=11, count=count, dimension=2)
    variance = DEVIATION.square() + math.exp(-7.0)
    # Four standard errors of eight figures (two schedules, mean and variance of two coordinates): false alarms 5e-4.
    assert ((x.mean(0) - MEAN).abs() < 4 * (variance / count).sqrt()).all()
    assert ((x.var(0) - variance).abs() < 4 * variance * math.sqrt(2 / count)).all()


def toy_cdf(x: torch.Tensor) -> torch.Tensor:
    weight, deviation = TOY.log_weights.exp().numpy(), math.sqrt(0.75**2 + math.exp(-7.0))
    return sum(w * norm.cdf(x, m, deviation) for w, m in zip(weight, (-2.5, 0.5, 2.5), strict=True))


@SCHEDULES
def test_reverse_sde_reproduces_the_mixture(schedule: Schedule) -> None:
    x = end_points(schedule, TOY, seed=12, count=10_000, dimension=1)[:, 0].numpy()
    # Kolmogorov-Smirnov at p = 1e-3 each: false alarms 2e-3. It has the power to see a shift of a tenth.
    assert kstest(x, toy_cdf).pvalue > 1e-3
    assert kstest(x + 0.1, toy_cdf).pvalue < 1e-3


def test_random_numbers_follow_from_the_generator() -> None:
    first, again, other = (end_points(VariancePreserving(), TOY, seed=s, count=5, dimension=1) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_straight_and_bent_paths() -> None:
    s = torch.linspace(0.0, 1.0, 101, dtype=torch.double)[:, None, None]
    straight = s.square() * tensor(3.0, 4.0) + tensor(1.0, -1.0)
    torch.testing.assert_close(quasi_linearity(straight), torch.ones(100, 1, dtype=torch.double))
    assert float(departure(straight).max()) < 1e-12
    half_circle = torch.cat([torch.cos(math.pi * s), torch.sin(math.pi * s)], dim=-1)
    # a chord of the circle to the end makes half the arc's angle with the step: that from the step's end to the path's
    torch.testing.assert_close(quasi_linearity(half_circle), torch.sin(math.pi * s[1:, :, 0] / 2))
    torch.testing.assert_close(departure(half_circle), torch.sin(math.pi * s)[..., 0])


def test_quasi_linearity_looks_from_the_present_point_to_the_last() -> None:
    right_angle = tensor(0.0, 0.0, 3.0, 0.0, 3.0, 4.0).reshape(3, 2)  # the whole displacement would give (0.6, 0.8)
    torch.testing.assert_close(quasi_linearity(right_angle), tensor(0.6, 1.0))
    beyond = tensor(0.0, 2.0, 1.0)[:, None]  # overshoots and comes back: both steps are towards the last point
    torch.testing.assert_close(quasi_linearity(beyond), tensor(1.0, 1.0))
    torch.testing.assert_close(quasi_linearity(tensor(0.0, -1.0, 1.0, 1.0)[:, None]), tensor(-1.0, 1.0, 0.0))


def test_energy_distance_of_points_by_hand() -> None:
    # 2 E|X-Y| = 2 (1 + 3)/2, E|X-X'| = 0, E|Y-Y'| = 2/2 over all pairs.
    found = energy_test(tensor(0.0)[:, None], tensor(1.0, 3.0)[:, None], permutations=5, generator=torch.Generator().manual_seed(0))
    assert found.distance == pytest.approx(3.0)
    with pytest.raises(ValueError, match=r"shapes \(n, E\) and \(m, E\)"):
        energy_test(tensor(0.0), tensor(1.0), permutations=5, generator=torch.Generator())


def test_energy_test_alarms_as_often_as_it_says_and_sees_a_difference() -> None:
    generator, family = torch.Generator().manual_seed(4), VonMises(2)

    def angles(count: int, kappa: float) -> torch.Tensor:
        """Torsions about +-180 degrees, where angles themselves would look bimodal."""
        return math.pi + torch.randn(count, 2, generator=generator, dtype=torch.double) / kappa**0.5

    def p_value(kappa: float) -> float:
        a, b = (family.features(angles(60, k)) for k in (20.0, kappa))
        return energy_test(a, b, permutations=99, generator=generator).p_value

    # Of 200 tests of equal samples at level 0.1, alarms are binomial: within 20 +- 15 but for a chance of 4e-4.
    assert abs(sum(p_value(20.0) <= 0.1 for _ in range(200)) - 20) <= 15
    assert sum(p_value(5.0) <= 0.05 for _ in range(10)) >= 9


@given(st.floats(-4, 4), st.floats(-9, 9))
def test_posterior_chart_is_the_posterior_of_standard_normal_data(x_t: float, log_snr: float) -> None:
    family = Cartesian(1)
    eta = family.at(tensor(x_t), tensor(log_snr))
    posterior = GaussianMixture(torch.zeros(1, 1), torch.ones(1, 1), tensor(1.0)).posterior(eta)
    mean, log_precision = family.chart(eta)
    assert float(mean) == pytest.approx(float(posterior.mean), abs=1e-9)
    assert float(log_precision) == pytest.approx(-math.log(float(posterior.variance)), abs=1e-9)
    torch.testing.assert_close(family.from_chart(family.chart(eta)), eta, rtol=1e-9, atol=1e-12)


def test_pullback_of_polar_coordinates_is_the_flat_plane() -> None:
    def decode(z: torch.Tensor) -> torch.Tensor:
        return z[:, :1] * torch.cat([torch.cos(z[:, 1:]), torch.sin(z[:, 1:])], dim=-1)

    ends = tensor(1.0, 0.0, 2.0, 2.0).reshape(2, 2)
    share = torch.linspace(0.0, 1.0, 50, dtype=torch.double)[:, None]
    found = pullback_geodesic((1 - share) * ends[0] + share * ends[1], decode, nodes=12, points=50, evaluations=200)
    chord = math.sqrt(1.0 + 4.0 - 4.0 * math.cos(2.0))  # law of cosines
    assert found.length == pytest.approx(chord, rel=1e-5)
    assert found.energy == pytest.approx(0.5 * chord**2, rel=1e-4)
    assert float(departure(found.decoded).max()) < 2e-3 * chord
    assert found.trace[-1] < found.trace[0]
    torch.testing.assert_close(found.latent[[0, -1]], ends)


def test_pullback_length_and_energy_of_a_linear_decoder() -> None:
    matrix = tensor(2.0, 1.0, 0.0, 3.0).reshape(2, 2)
    curve = (torch.linspace(0.0, 1.0, 9, dtype=torch.double)[:, None] * tensor(1.0, -1.0)) @ matrix.T
    metric = matrix.T @ matrix
    squared = float(tensor(1.0, -1.0) @ metric @ tensor(1.0, -1.0))
    assert float(decoded_length(curve)) == pytest.approx(math.sqrt(squared))
    assert float(decoded_energy(curve)) == pytest.approx(0.5 * squared)
