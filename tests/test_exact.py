"""Exact denoisers against closed forms, quadrature and finite differences."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature, simpson
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.tweedie import Tweedie, rademacher
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import confinement_free_energy, hessian_vector_product, kl_divergence
from spacetime_tps.geometry.distance import diffusion_edit
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import evaluate, minimise
from spacetime_tps.geometry.schedule import Schedule, VarianceExploding, VariancePreserving


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


TOY = GaussianMixture(tensor(-2.5, 0.5, 2.5)[:, None], torch.full((3, 1), 0.75**2), tensor(0.275, 0.45, 0.275))
LINE = Cartesian(1)


@pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])
@given(st.floats(-9.0, 9.0))
def test_schedules_split_the_signal_to_noise_ratio(schedule: Schedule, log_snr: float) -> None:
    value = tensor(log_snr)
    assert float(2 * (schedule.alpha(value) / schedule.sigma(value)).log()) == pytest.approx(log_snr, abs=1e-9)
    if isinstance(schedule, VariancePreserving):
        assert float(schedule.alpha(value) ** 2 + schedule.sigma(value) ** 2) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])
def test_spacetime_points_and_natural_parameters(schedule: Schedule) -> None:
    family = Cartesian(3, schedule)
    x_t, log_snr = torch.randn(5, 3, dtype=torch.double), torch.linspace(-6, 6, 5, dtype=torch.double)[:, None]
    eta = family.at(x_t, log_snr)
    alpha, sigma = schedule.alpha(log_snr), schedule.sigma(log_snr)
    torch.testing.assert_close(eta, torch.cat([alpha / sigma**2 * x_t, -0.5 * alpha**2 / sigma**2], dim=-1))
    torch.testing.assert_close(family.spacetime(eta), (x_t, log_snr))
    torch.testing.assert_close(family.from_chart(family.chart(eta)), eta)
    torch.testing.assert_close(family.natural(family.center(eta), family.level(eta)), eta)


@given(st.floats(-2, 2), st.floats(0.2, 3.0), st.floats(-3, 3), st.floats(-5, 5))
def test_gaussian_data_in_closed_form(mean: float, deviation: float, x_t: float, log_snr: float) -> None:
    s2 = deviation**2
    denoiser = GaussianMixture(tensor(mean)[:, None], tensor(s2)[:, None], tensor(1.0))
    at = tensor(log_snr)[None]
    eta = LINE.at(tensor(x_t)[None], at)
    alpha, sigma = float(VariancePreserving().alpha(at)), float(VariancePreserving().sigma(at))
    variance = 1.0 / (1.0 / s2 + alpha**2 / sigma**2)
    center = variance * (mean / s2 + alpha / sigma**2 * x_t)
    moments = denoiser.moments(eta)
    np.testing.assert_allclose(moments.mean[0].numpy(), [center, center**2 + variance], rtol=1e-9, atol=1e-12)
    p = denoiser.posterior(eta)
    np.testing.assert_allclose([float(p.mean), float(p.variance), float(p.weight)], [center, variance, 1.0], rtol=1e-9, atol=1e-12)
    # KL between the posterior and the data, both Gaussian.
    expected = 0.5 * (variance / s2 + (center - mean) ** 2 / s2 - 1.0 + math.log(s2 / variance))
    assert float(confinement_free_energy(eta, moments)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.floats(-4, 4), st.floats(-4, 6))
def test_mixture_agrees_with_quadrature(x_t: float, log_snr: float) -> None:
    grid, rule = simpson([(-9.0, 9.0)], 4001)
    density = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(TOY.log_weights.exp()),
        torch.distributions.Normal(TOY.means[:, 0], TOY.variances[:, 0].sqrt()),
    )
    by_grid = WeightedSamples(LINE.features(grid), rule + density.log_prob(grid[:, 0]))
    eta = LINE.at(tensor(x_t), tensor(log_snr))
    ours, theirs = TOY.moments(eta), by_grid.moments(eta)
    assert float(ours.log_partition) == pytest.approx(float(theirs.log_partition), abs=1e-6)
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean.numpy(), atol=1e-6)
    posterior = TOY.posterior(eta)
    assert float((posterior.weight * posterior.mean[:, 0]).sum()) == pytest.approx(float(theirs.mean[0]), abs=1e-6)
    vector = tensor(0.3, -0.2)
    ours, theirs = (hessian_vector_product(d, eta, vector) for d in (TOY, by_grid))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_gradient_of_psi_is_mu_and_its_hessian_is_the_covariance() -> None:
    generator = torch.Generator().manual_seed(5)
    means, s2 = torch.randn(4, 3, generator=generator, dtype=torch.double), torch.rand(4, 3, generator=generator, dtype=torch.double) + 0.1
    denoiser = GaussianMixture(means, s2, tensor(0.1, 0.2, 0.3, 0.4))
    family = Cartesian(3)
    eta = family.at(torch.randn(6, 3, generator=generator, dtype=torch.double), torch.linspace(-2, 3, 6, dtype=torch.double)[:, None])
    eta.requires_grad_(True)
    (gradient,) = torch.autograd.grad(denoiser.moments(eta).log_partition.sum(), eta)
    torch.testing.assert_close(gradient, denoiser.moments(eta).mean, atol=1e-9, rtol=1e-9)
    assert torch.autograd.gradcheck(lambda x: denoiser.moments(x)[:2], eta, eps=1e-6, atol=1e-6)
    vector, step = torch.randn(6, 4, generator=generator, dtype=torch.double), 1e-5
    ahead, behind = (denoiser.moments(eta.detach() + sign * step * vector).mean for sign in (1, -1))
    torch.testing.assert_close(hessian_vector_product(denoiser, eta, vector), (ahead - behind) / (2 * step), atol=1e-5, rtol=1e-5)


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(-6, 6)), min_size=2, max_size=6))
def test_exact_mixtures_never_give_negative_segments_or_divergences(points: list[tuple[float, float]]) -> None:
    z = torch.tensor(points, dtype=torch.double)
    eta = LINE.at(z[:, :1], z[:, 1:])
    moments = TOY.moments(eta)
    scale = 1.0 + (eta.abs() * moments.mean.abs()).sum(-1).max()
    tiny = float(-1e-12 * scale)
    assert (curve.segments(eta, moments.mean) >= tiny).all()
    assert (confinement_free_energy(eta, moments) >= tiny).all()
    swapped = TOY.moments(eta.flip(0))
    assert (kl_divergence(eta, moments, eta.flip(0), swapped) >= tiny).all()


@given(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), st.tuples(st.floats(0, 4), st.floats(0, 4)))
def test_symmetrised_divergence_is_the_segment(centers: tuple[float, float], levels: tuple[float, float]) -> None:
    eta = LINE.natural(tensor(*centers)[:, None], tensor(*levels)[:, None])
    moments = TOY.moments(eta)
    both = kl_divergence(eta, moments, eta.flip(0), TOY.moments(eta.flip(0))).sum()
    assert float(both) == pytest.approx(float(curve.segments(eta, moments.mean)), abs=1e-6)


def hyperbolic(dimension: int, distance: float, first: float, last: float) -> float:
    """Fisher-Rao distance of isotropic Gaussians with deviations first, last: ds^2 = (|dm|^2 + 2 D dtau^2) / tau^2, a half plane."""
    argument = 1.0 + (distance**2 / (2 * dimension) + (first - last) ** 2) / (2 * first * last)
    return math.sqrt(2 * dimension) * math.acosh(argument)


@pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])
def test_geodesics_of_gaussian_data_are_those_of_the_half_plane(schedule: Schedule) -> None:
    family = Cartesian(2, schedule)
    data = GaussianMixture(torch.zeros(1, 2), torch.ones(1, 2), tensor(1.0))
    a, b, level = tensor(-1.0, 0.5), tensor(1.0, 0.0), 5.0
    found = diffusion_edit(a, b, data, family=family, level=tensor(level), through=tensor(1.0))
    variance = 1.0 / (1.0 + math.exp(level))
    apart = float((a - b).norm()) * math.exp(level) * variance
    assert found.length == pytest.approx(hyperbolic(2, apart, variance**0.5, variance**0.5), rel=2e-3)
    assert found.energy == pytest.approx(0.5 * found.length**2, rel=1e-3)


def test_edit_distance_grows_with_the_level_at_which_it_is_taken() -> None:
    family, data = Cartesian(2), GaussianMixture(torch.zeros(1, 2), torch.ones(1, 2), tensor(1.0))
    ends = tensor(-1.0, 0.5), tensor(1.0, 0.0)
    lengths = [diffusion_edit(*ends, data, family=family, level=tensor(x), through=tensor(1.0), points=256).length for x in (6.0, 8.0)]
    # Both ends go from log_snr 6 to 8; each unit costs sqrt(D/2) = 1 once the noise decides the posterior.
    assert lengths[1] - lengths[0] == pytest.approx(4.0, abs=0.05)


def test_periodic_quadrature_has_no_seam() -> None:
    family = VonMises(2)
    denoiser = quadrature(family, periodic_grid(48, 2), lambda x: torch.cos(x[:, 0]) + torch.sin(2 * x[:, 1]), kT=0.7)
    shifted = quadrature(family, periodic_grid(48, 2) + 0.4, lambda x: torch.cos(x[:, 0]) + torch.sin(2 * x[:, 1]), kT=0.7)
    center = tensor(math.pi - 0.01, -math.pi + 0.02, -math.pi + 0.01, math.pi - 0.02).reshape(2, 2)
    eta = family.natural(center, torch.full_like(center, 20.0))
    torch.testing.assert_close(denoiser.moments(eta)[:2], shifted.moments(eta)[:2], atol=1e-9, rtol=1e-9)


def test_simpson_wants_an_odd_number() -> None:
    with pytest.raises(ValueError, match="odd number of points, at least 3, got 4"):
        simpson([(0.0, 1.0)], 4)


MANY = """
import math, resource, torch
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.distance import diffusion_edit
D, level = 10_000, 2.0
family, data = Cartesian(D), GaussianMixture(torch.zeros(1, D), torch.ones(1, D), torch.ones(1))
a = torch.zeros(D, dtype=torch.double); b = torch.full((D,), 3.0, dtype=torch.double)
level = torch.tensor([level], dtype=torch.double)
found = diffusion_edit(a, b, data, family=family, level=level, through=torch.tensor([0.0]), points=48, nodes=8, evaluations=150)
print(found.length, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def test_ten_thousand_dimensions_in_under_two_gigabytes() -> None:
    result = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    length, gigabytes = map(float, result.stdout.split())
    variance = 1.0 / (1.0 + math.exp(2.0))
    apart = 300.0 * math.exp(2.0) * variance
    assert length == pytest.approx(hyperbolic(10_000, apart, variance**0.5, variance**0.5), rel=5e-3)
    assert gigabytes < 2.0


def test_weighted_samples_of_a_mixture_tend_to_its_closed_form() -> None:
    generator = torch.Generator().manual_seed(1)
    label = torch.multinomial(TOY.log_weights.exp(), 200_000, replacement=True, generator=generator)
    x = TOY.means[label] + 0.75 * torch.randn(200_000, 1, generator=generator, dtype=torch.double)
    samples = WeightedSamples(LINE.features(x), torch.zeros(len(x)))
    eta = LINE.at(torch.linspace(-2, 2, 9, dtype=torch.double)[:, None], torch.linspace(-3, 1, 9, dtype=torch.double)[:, None])
    ours, exact = samples.moments(eta), TOY.moments(eta)
    deviation = torch.stack([hessian_vector_product(TOY, eta, v.expand(9, 2))[:, k] for k, v in enumerate(torch.eye(2).double())], -1)
    # Five standard errors of 18 figures: false alarms below 1e-4.
    assert ((ours.mean - exact.mean).abs() < 5 * (deviation / ours.effective_samples[:, None]).sqrt()).all()


def test_evaluate_describes_a_curve_without_moving_it() -> None:
    s = torch.linspace(-1, 1, 33, dtype=torch.double)[:, None]
    eta = LINE.natural(s, 2.0 + 0.0 * s)
    described = evaluate(eta, TOY, family=LINE, points=65)
    level = LINE.level(described.eta)
    assert float((level - 2.0).abs().max()) < 1e-6
    found = minimise(eta, TOY, [], family=LINE, nodes=12, points=65, evaluations=200)
    assert found.energy < described.energy


def predicted(denoiser: GaussianMixture, family: Cartesian) -> Tweedie:
    def mean(x_t: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return denoiser.moments(family.at(x_t, log_snr)).mean[..., :-1]

    return Tweedie(mean, family, probes=rademacher(64, family.coordinates, seed=2), chunk=4)


@pytest.mark.parametrize("schedule", [VariancePreserving(), VarianceExploding()])
def test_tweedies_second_moment_is_that_of_the_mixture(schedule: Schedule) -> None:
    family = Cartesian(3, schedule)
    means = torch.tensor([[0.0, 1.0, -1.0], [1.5, 0.0, 0.5]], dtype=torch.double)
    data = GaussianMixture(means, torch.full((2, 3), 0.3), tensor(0.4, 0.6))
    generator = torch.Generator().manual_seed(3)
    eta = family.at(torch.randn(9, 3, generator=generator, dtype=torch.double), torch.linspace(-2, 2, 9, dtype=torch.double)[:, None])
    by_trace = predicted(data, family)
    exact, ours = data.moments(eta).mean, by_trace.moments(eta).mean
    torch.testing.assert_close(ours[:, :-1], exact[:, :-1])
    # The off-diagonal part of J is all that probes can miss; five standard errors of nine figures: false alarms below 1e-5.
    assert ((ours[:, -1] - exact[:, -1]).abs() <= 5 * by_trace.trace_error(eta) + 1e-9).all()
    assert float(by_trace.trace_error(eta).max()) < 0.2
    one = Cartesian(1, schedule)
    at = one.at(torch.linspace(-2, 2, 5, dtype=torch.double)[:, None], torch.zeros(5, 1, dtype=torch.double))
    torch.testing.assert_close(predicted(TOY, one).moments(at).mean, TOY.moments(at).mean)  # in one dimension a sign is exact


def test_tweedies_gradient_agrees_with_finite_differences() -> None:
    family = Cartesian(1)
    eta = family.at(tensor(0.3, -0.7)[:, None], tensor(0.5, -0.5)[:, None]).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: predicted(TOY, family).moments(x).mean, eta, eps=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"probes must have shape \(P, 1\), got \(2, 2\)"):
        Tweedie(lambda x, _: x, family, probes=torch.ones(2, 2))


def test_trace_in_many_dimensions_by_few_probes() -> None:
    # Isotropic Gaussian data: J is a multiple of the identity, and random signs have no variance at all.
    D = 10_000
    family, data = Cartesian(D), GaussianMixture(torch.zeros(1, D), torch.ones(1, D), tensor(1.0))
    eta = family.natural(torch.linspace(0, 1, 8, dtype=torch.double)[:, None].expand(8, D), torch.full((8, 1), 1.0, dtype=torch.double))
    by_trace = Tweedie(
        lambda x, log_snr: data.moments(family.at(x, log_snr)).mean[..., :-1], family, probes=rademacher(2, D, seed=1), chunk=2
    )
    torch.testing.assert_close(by_trace.moments(eta).mean, data.moments(eta).mean)
    assert float(by_trace.trace_error(eta).max()) < 1e-6 * D
