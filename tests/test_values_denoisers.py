"""What a denoiser is taught, how it starts and how far it steps, quadrature rules and diagnostics: by hand and in closed form."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special
from scipy.stats import kstest, vonmises

from spacetime_tps.denoisers.diagnostics import departure, energy_test, quasi_linearity
from spacetime_tps.denoisers.diffusion import noise, probability_flow
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature, simpson
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Lessons, draw_eta, from_samples, learn, regression, teach, train
from spacetime_tps.denoisers.tweedie import Tweedie, rademacher
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises

FAMILY = VonMises(2)


def numbers(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


def test_lessons_are_log_uniform_about_the_samples() -> None:
    # Kolmogorov-Smirnov at 1e-4, fixed seeds.
    angles = numbers([0.5, -1.0])
    eta = draw_eta(angles, 4000, low=4.0, high=100.0, generator=torch.Generator().manual_seed(1))
    kappa = FAMILY.level(eta)
    for column in kappa.T:
        assert kstest((column / 4.0).log() / math.log(25.0), "uniform").pvalue > 1e-4
    together = (kappa[:, 0] / kappa[:, 1] - 1.0).abs() < 1e-9
    assert float(together.double().mean()) == pytest.approx(0.5, abs=4.0 * 0.5 / math.sqrt(4000))
    # Deviations times sqrt(kappa) are a uniform number times a normal one, the same number for both torsions: variance 1/3.
    off = (FAMILY.center(eta) - angles) * kappa.sqrt()
    assert float(off.square().mean()) == pytest.approx(1.0 / 3.0, rel=0.08)
    assert float((off[:, 0].square() * off[:, 1].square()).mean()) == pytest.approx(0.2, rel=0.2)
    assert float((off[:, 0] * off[:, 1]).mean()) == pytest.approx(0.0, abs=0.03)


def test_lessons_and_their_loss_by_hand() -> None:
    samples = WeightedSamples(
        FAMILY.features(2.0 * torch.pi * torch.rand(300, 2, generator=torch.Generator().manual_seed(3), dtype=torch.double)),
        torch.zeros(300),
    )
    eta = torch.cat([torch.zeros(1, 4), torch.tensor([[3.0, 4.0, 0.0, 1.0]]), torch.full((1, 4), 1e4)]).double()
    lessons = teach(samples, eta, family=FAMILY)
    torch.testing.assert_close(lessons.eta, eta[:2], msg="one sample alone supports the last")
    torch.testing.assert_close(lessons.scale, numbers(0.0, 5.0))
    torch.testing.assert_close(lessons.mean, samples.moments(eta[:2]).mean)
    torch.testing.assert_close(lessons.log_partition, samples.moments(eta[:2]).log_partition)
    off = Lessons(lessons.eta, lessons.log_partition + numbers(1.0, 3.0), lessons.mean + 0.1, lessons.scale)
    # Scale 5 times 4 x 0.01 for the second, and 0.02 times 1 and 9.
    assert float(regression(samples, off)) == pytest.approx((5.0 * 0.04 + 0.02 * 10.0) / 2.0)


def test_mixtures_begin_on_the_samples_that_lie_farthest_apart() -> None:
    # Samples at 0 (twice), 10, 100 and 180 degrees with weights 1, 2, 3, 5 and 4: components on the first, the opposite one, and on 100.
    angles = torch.deg2rad(numbers([0.0], [0.0], [10.0], [100.0], [180.0]))
    samples = WeightedSamples(VonMises(1).features(angles), numbers(1.0, 2.0, 3.0, 5.0, 4.0).log())
    start = from_samples(samples, 3)
    np.testing.assert_allclose(np.degrees(start.angle.detach().numpy()).ravel(), [0.0, 180.0, 100.0], atol=1e-9)
    np.testing.assert_allclose(start.logit.detach().exp(), numbers(6.0, 4.0, 5.0) / 15.0)
    # As narrow as the farthest sample is from its component: 2 / (2 sin 5 degrees)^2.
    np.testing.assert_allclose(start.log_concentration.detach().exp(), 2.0 / (2.0 * math.sin(math.radians(5.0))) ** 2)
    assert len(from_samples(samples, 9).logit) == 5


class Slope(torch.nn.Module):
    """One number, whose loss is itself."""

    def __init__(self) -> None:
        super().__init__()
        self.angle = torch.nn.Parameter(torch.zeros(1, dtype=torch.double))


def test_steps_of_training_rise_and_fall_as_stated() -> None:
    # Under an even slope each of Adam's steps is the rate: up over a tenth of the steps, then down a cosine.
    model, lessons = Slope(), Lessons(torch.zeros(5, 4), torch.zeros(5), torch.zeros(5, 4), torch.zeros(5))
    found = train(model, lessons, lessons, steps=40, seed=1, every=15, loss=lambda m, batch: m.angle.sum(), rates={"angle": 0.03})  # type: ignore[arg-type]
    share = np.arange(1, 41) / 40.0
    rate = 0.03 * np.where(share < 0.1, share / 0.1, 0.5 * (1.0 + np.cos(np.pi * (share - 0.1) / 0.9)))
    at = -np.r_[0.0, np.cumsum(rate)]
    assert float(model.angle.detach()) == pytest.approx(at[-1], rel=1e-4)
    assert [step for step, _, _ in found.curve] == [15, 30, 40]
    for (step, fit, held), before in zip(found.curve, (0, 15, 30), strict=True):
        assert held == pytest.approx(at[step], rel=1e-4)
        assert fit == pytest.approx(at[before:step].mean(), rel=1e-3)
    assert found.held_out_loss == found.curve[-1][2]


def test_training_is_in_single_precision_between_doubles() -> None:
    model, lessons = Slope(), Lessons(*(torch.zeros(5, *shape, dtype=torch.double) for shape in ((4,), (), (4,), ())))
    seen = set()

    def loss(model: Slope, batch: Lessons) -> torch.Tensor:
        seen.update({model.angle.dtype, *(column.dtype for column in (batch.eta, batch.log_partition, batch.mean, batch.scale))})
        return model.angle.sum()

    train(model, lessons, lessons, steps=3, seed=1, loss=loss, rates={"angle": 0.03})  # type: ignore[arg-type]
    assert seen == {torch.float}
    assert model.angle.dtype == torch.double


def test_one_of_five_blocks_of_ten_neighbours_is_held_out(tmp_path: Path) -> None:
    """In one step, whose rate is nothing, components stay where they began: on all samples that are trained on."""
    angles = torch.linspace(-3.0, 3.0, 100, dtype=torch.double)[:, None]
    samples = WeightedSamples(VonMises(1).features(angles), torch.zeros(100))
    model, record = learn(samples, low=1.0, high=2.0, seed=1, components=1000, count=60, steps=1, checkpoint=tmp_path / "training.pt")
    trained = torch.cat([angles[10:50], angles[60:]])
    torch.testing.assert_close(model.angle.sort(dim=0).values, trained, atol=1e-6, rtol=0.0)
    assert [step for step, _, _ in record.curve] == [1]
    recipe = torch.load(tmp_path / "training.pt", weights_only=True)["recipe"]
    assert (recipe["lessons"], recipe["steps"], recipe["seed"]) == (60, 1, 1), "all lessons are at wide noise"


def test_mixtures_of_one_component_have_its_moments_and_weights() -> None:
    two = TrainedDenoiser(numbers([3.0, 0.0], [-3.0, 0.0]), numbers(3.0, 1.0).log())
    at_zero = two.moments(torch.zeros(2, dtype=torch.double))
    a = float(torch.special.i1(numbers(3.0)) / torch.special.i0(numbers(3.0)))
    np.testing.assert_allclose(at_zero.mean.detach(), [0.5 * a, 0.0], atol=1e-9)
    assert float(at_zero.log_partition.detach()) == pytest.approx(0.0, abs=1e-9)


def test_shapes_and_signs_that_are_no_denoiser_are_refused() -> None:
    mean, variance, weight = numbers([0.0], [1.0]), numbers([1.0], [2.0]), numbers(1.0, 3.0)
    for means, weights in ((mean[:, 0], weight), (mean, weight[:1])):
        with pytest.raises(ValueError, match=r"means must have shape \(K, D\) and weights \(K,\)"):
            GaussianMixture(means, variance, weights)
    for variances, weights in ((variance - 1.0, weight), (variance, weight - 1.0)):
        with pytest.raises(ValueError, match="variances and weights must be positive"):
            GaussianMixture(mean, variances, weights)
    for features, log_weights in ((mean[:, 0], weight), (mean, weight[:1])):
        with pytest.raises(ValueError, match=r"features must have shape \(S, E\) and log_weights \(S,\)"):
            WeightedSamples(features, log_weights)
    for samples in (mean[:, 0], mean.expand(2, 2)):
        with pytest.raises(ValueError, match=r"samples must have shapes \(n, E\) and \(m, E\)"):
            energy_test(mean, samples, permutations=1, generator=torch.Generator())


def test_rules_of_quadrature_are_exact_where_they_should_be() -> None:
    # Simpson's rule for cubics, and the trapezoid rule on a circle for waves.
    grid, log_weight = simpson([(0.0, 2.0), (-1.0, 3.0)], 7)
    weight = log_weight.exp() / log_weight.exp().sum()
    assert float(weight @ grid[:, 0] ** 3) == pytest.approx(2.0)
    assert float(weight @ grid[:, 1] ** 3) == pytest.approx(5.0)
    assert float(weight @ (grid[:, 0] ** 2 * grid[:, 1])) == pytest.approx(4.0 / 3.0)
    for points in (3, 5):
        line, log_rule = simpson([(1.0, 3.0)], points)
        assert float(log_rule.softmax(0) @ line[:, 0] ** 3) == pytest.approx(10.0)
    for points in (1, 6):
        with pytest.raises(ValueError, match="odd number of points"):
            simpson([(0.0, 1.0)], points)
    circle = periodic_grid(12, 2)
    assert circle.shape == (144, 2)
    assert float(circle.min()) == pytest.approx(-math.pi)
    assert float(circle.max()) == pytest.approx(math.pi - math.pi / 6.0)
    denoiser = quadrature(VonMises(1), periodic_grid(64, 1), lambda x: -6.0 * torch.cos(x[:, 0] - 1.0), kT=2.0)
    moments = denoiser.moments(torch.zeros(2, dtype=torch.double))
    a = float(torch.special.i1(numbers(3.0)) / torch.special.i0(numbers(3.0)))
    np.testing.assert_allclose(moments.mean, [a * math.cos(1.0), a * math.sin(1.0)])


def test_effective_samples_and_those_that_matter_by_hand() -> None:
    # Weights 1/2, 1/4, 1/4: 1 / (1/4 + 1/8) effective ones. At a quarter of eta = 40 the second has exp(-30)
    # beside the first.
    samples = WeightedSamples(numbers([1.0], [-2.0], [0.9]), numbers(2.0, 1.0, 1.0).log())
    assert float(samples.moments(numbers(0.0)).effective_samples) == pytest.approx(8.0 / 3.0)
    assert float(samples.moments(numbers(0.0)).mean) == pytest.approx(0.5 - 0.5 + 0.225)
    near = samples.supporting(numbers([40.0]))
    torch.testing.assert_close(near.features, numbers([1.0], [0.9]))
    torch.testing.assert_close(near.log_weights, numbers(0.5, 0.25).log())
    assert len(samples.supporting(numbers([10.0])).features) == 3
    assert len(samples.supporting(numbers([40.0]), negligible=1e-15).features) == 3


def test_diagnostics_of_paths_by_hand() -> None:
    path = numbers([0.0, 0.0], [3.0, 4.0], [10.0, 0.0])
    np.testing.assert_allclose(departure(path), [0.0, 4.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(quasi_linearity(path), [0.6, 1.0])
    # One sample against one, two apart: 2 x 2 - 0 - 0; every relabelling is as far.
    found = energy_test(numbers([0.0]), numbers([2.0]), permutations=20, generator=torch.Generator().manual_seed(1))
    assert found.distance == pytest.approx(4.0)
    assert found.p_value == 1.0
    # {0, 1} against {4}: 2 x 3.5 - 1/2.
    assert energy_test(
        numbers([0.0], [1.0]), numbers([4.0]), permutations=5, generator=torch.Generator().manual_seed(1)
    ).distance == pytest.approx(6.5)
    far = energy_test(numbers(*[[k / 10.0] for k in range(8)]), numbers(*[[9.0 + k / 10.0] for k in range(8)]), permutations=399,
                      generator=torch.Generator().manual_seed(2))  # fmt: skip
    assert far.p_value <= 3.0 / 400.0
    assert len(far.null) == 399


def test_tweedies_moments_of_gaussian_data() -> None:
    # E[x0 | x] and the trace of its slope are known: for N(m, v) at SNR r the second moment is |mean|^2 + D v / (1 + r v).
    data, family = GaussianMixture(numbers([0.5, -1.0, 2.0]), numbers([0.5, 0.5, 0.5]), numbers(1.0)), Cartesian(3)

    def mean(x_t: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return data.moments(family.at(x_t, log_snr)).mean[..., :-1]

    eta = family.natural(numbers([1.0, 0.0, -0.3], [0.2, 0.1, 5.0]), numbers([0.7], [2.0]))
    found = Tweedie(mean, family, probes=rademacher(4, 3, seed=1), chunk=1)
    np.testing.assert_allclose(found.moments(eta).mean, data.moments(eta).mean)
    # All axes alike: each probe of signs gives the trace itself.
    np.testing.assert_allclose(found.trace_error(eta), 0.0, atol=1e-12)
    axes = Tweedie(mean, family, probes=math.sqrt(3.0) * torch.cat([torch.eye(3), torch.eye(3)[:1] * 0.0]))
    trace = 3.0 * 0.5 / (1.0 + 0.5 * math.exp(0.7))
    # Three probes of the trace each and one of nothing: deviation trace / 2 (n - 1), over sqrt(4).
    assert float(axes.trace_error(eta)[0]) == pytest.approx(trace / 2.0 / 2.0)
    assert set(rademacher(50, 3, seed=2).unique().tolist()) == {-1.0, 1.0}


def test_embedded_torsions_are_points_of_cartesian_space() -> None:
    generator = torch.Generator().manual_seed(3)
    features = VonMises(2).features(torch.randn(50, 2, generator=generator).double() * 2.0)
    log_weights = torch.randn(50, generator=generator).double()
    family, eta = Cartesian(4), torch.randn(7, 3, 5, generator=generator).double() * 4.0  # no |a| equals the SNR
    found = Embedded(WeightedSamples(features, log_weights)).moments(eta)
    expected = WeightedSamples(family.features(features), log_weights).moments(eta)
    for ours, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, exact, atol=1e-11, rtol=1e-11)
    point = eta[0].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(Embedded(WeightedSamples(features, log_weights)).moments(point).log_partition.sum(), point)
    torch.testing.assert_close(slope, found.mean[0], atol=1e-9, rtol=1e-9)
    with pytest.raises(ValueError, match=r"\(\.\.\., 2n\+1\).*\(3, 4\)"):
        Embedded(WeightedSamples(features, log_weights)).moments(torch.zeros(3, 4))


def test_one_free_torsion_embedded_has_bessel_functions() -> None:
    free = Embedded(TrainedDenoiser(torch.tensor([[1.2, -0.5]]), torch.zeros(1)).requires_grad_(False))
    eta = numbers(0.7, 2.0, -0.4)
    found, size = free.moments(eta), math.hypot(1.9, 1.5)
    assert float(found.log_partition) == pytest.approx(math.log(special.iv(0, size) / special.iv(0, 1.3)) - 0.4)
    ratio = special.iv(1, size) / special.iv(0, size) / size
    np.testing.assert_allclose(found.mean, [1.9 * ratio, 1.5 * ratio, 1.0])


def test_a_torsion_is_sampled_as_a_diffusion_model() -> None:
    # Kolmogorov-Smirnov at 1e-3, fixed seed; noise of 0.03 rad is left in samples that spread by 0.5.
    model = Embedded(TrainedDenoiser(numbers([4.0, 0.0]), numbers(0.0)).requires_grad_(False))
    family, log_snr = Cartesian(2), torch.linspace(-8.0, 7.0, 61, dtype=torch.double)
    start = noise((2000, 2), log_snr[0], family=family, generator=torch.Generator().manual_seed(2))
    angles = VonMises(1).center(probability_flow(start, log_snr, model, family=family)[-1])[:, 0]
    assert kstest(angles, vonmises(4.0).cdf).pvalue > 1e-3
    assert kstest(angles, vonmises(6.0).cdf).pvalue < 1e-3
