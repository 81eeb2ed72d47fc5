"""The trained denoiser: periodic, convex, its own gradient, and a training that can be taken up again."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0, i0e, i1, i1e

from benchmarks.torus import sobol
from spacetime_tps.denoisers.network import TrainedDenoiser, load, save
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import apart, draw_eta, from_samples, learn, regression, teach, train
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.bessel import log_i0
from spacetime_tps.geometry.denoiser import hessian_vector_product
from spacetime_tps.geometry.families.von_mises import VonMises

FAMILY = VonMises(2)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_mixture(seed: int, components: int = 12, torsions: int = 2) -> TrainedDenoiser:
    g = generator(seed)
    natural = 15.0 * torch.randn(components, 2 * torsions, generator=g, dtype=torch.double)
    mixture = TrainedDenoiser(natural, 5.0 * torch.randn(components, generator=g, dtype=torch.double))
    mixture.requires_grad_(False)
    return mixture


def some_eta(count: int, seed: int, low: float = 0.5, high: float = 400.0, torsions: int = 2) -> torch.Tensor:
    angles = (torch.rand(64, torsions, generator=generator(seed), dtype=torch.double) * 2 - 1) * math.pi
    return draw_eta(angles, count, low=low, high=high, generator=generator(seed + 1))


def energy(angles: torch.Tensor) -> torch.Tensor:
    """Two basins, one of them across the seam, in kT."""
    phi, psi = angles.unbind(-1)
    return 3.0 * torch.cos(2 * phi) - 2.0 * torch.cos(phi - 3.0) + 2.0 * torch.sin(psi + 0.5) - torch.cos(phi) * torch.cos(psi)


def small_problem() -> tuple[WeightedSamples, WeightedSamples, torch.Tensor]:
    x = sobol(2048, 2, 1)
    part = torch.arange(len(x)) % 5 != 0  # not a power of two: those single out a corner of Sobol points
    training, held = (WeightedSamples(FAMILY.features(x[rows]), -energy(x[rows])) for rows in (part, ~part))
    return training, held, x[part]


def test_log_i0_and_its_slopes_against_scipy() -> None:
    x = torch.tensor([1e-6, 0.3, 2.0, 17.0, 99.0, 101.0, 500.0], dtype=torch.double, requires_grad=True)
    value, slope = log_i0(x)
    at = x.detach().numpy()
    assert value.detach().numpy() == pytest.approx(np.log(i0(at)), rel=1e-12, abs=1e-12)
    assert slope.detach().numpy() == pytest.approx(i1(at) / i0(at), rel=1e-12)
    (of_value,) = torch.autograd.grad(value.sum(), x, retain_graph=True)
    (of_slope,) = torch.autograd.grad(slope.sum(), x)
    assert torch.equal(of_value, slope.detach())
    step = 1e-4 * np.maximum(at, 1e-2)
    central = (i1(at + step) / i0(at + step) - i1(at - step) / i0(at - step)) / (2 * step)
    assert of_slope.numpy() == pytest.approx(central, rel=2e-5)


def test_the_slope_of_the_ratio_keeps_its_digits_where_its_terms_cancel() -> None:
    """1 - A^2 - A/x is 1/(2 x^2) at large x: in double the difference has 11 digits left, in the single precision of training 3."""
    at = np.array([101.0, 130.0, 170.0, 200.0])
    ratio = i1e(at) / i0e(at)
    exact = 1.0 - ratio**2 - ratio / at
    for dtype, digits in ((torch.double, 1e-7), (torch.float, 1e-6)):
        x = torch.tensor(at, dtype=dtype, requires_grad=True)
        (slope,) = torch.autograd.grad(log_i0(x)[1].sum(), x)
        np.testing.assert_allclose(slope, exact, rtol=digits)


def test_one_component_is_a_von_mises_distribution() -> None:
    own, eta = torch.tensor([[3.0, -1.0]]), torch.tensor([2.0, 4.0], dtype=torch.double)
    moments = TrainedDenoiser(own, torch.zeros(1)).moments(eta)
    total = np.array([5.0, 3.0])
    size = np.linalg.norm(total)
    assert float(moments.log_partition.detach()) == pytest.approx(math.log(i0(size) / i0(math.hypot(3.0, 1.0))), abs=1e-10)
    assert moments.mean.detach().numpy() == pytest.approx(i1(size) / i0(size) * total / size, abs=1e-10)
    wide = TrainedDenoiser(torch.tensor([[0.03, 0.04], [0.0, 0.0]]), torch.zeros(2)).log_concentration.exp()
    assert wide.detach().flatten().tolist() == pytest.approx([0.05, 1e-3]), "nothing narrower than a thousandth is lost"


def test_against_quadrature_of_its_density() -> None:
    mixture = random_mixture(3)
    grid = periodic_grid(192, 2)
    pairs = torch.polar(mixture.log_concentration.exp(), mixture.angle)
    exponent = (FAMILY.features(grid)[:, None] * torch.view_as_real(pairs).flatten(-2)).sum(-1)
    log_density = torch.logsumexp(mixture.logit + exponent - log_i0(mixture.log_concentration.exp())[0].sum(-1), dim=-1)
    exact = quadrature(FAMILY, grid, lambda _: -log_density, kT=1.0)
    eta = some_eta(40, 5)
    own, true = mixture.moments(eta), exact.moments(eta)
    assert (own.log_partition - true.log_partition).abs().max() < 1e-8
    assert (own.mean - true.mean).abs().max() < 1e-8
    assert bool(own.effective_samples.isinf().all())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), torsions=st.integers(1, 3))
def test_mean_is_the_gradient_and_psi_of_zero_is_zero(seed: int, torsions: int) -> None:
    mixture = random_mixture(seed, torsions=torsions)
    eta = some_eta(6, seed, torsions=torsions)
    step = 1e-4
    for k in range(2 * torsions):
        shift = torch.zeros(2 * torsions, dtype=torch.double)
        shift[k] = step
        central = (mixture.moments(eta + shift).log_partition - mixture.moments(eta - shift).log_partition) / (2 * step)
        assert (central - mixture.moments(eta).mean[:, k]).abs().max() < 1e-6
    assert abs(float(mixture.moments(torch.zeros(2 * torsions, dtype=torch.double)).log_partition)) < 1e-9


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_curve_has_a_negative_segment_and_the_metric_is_positive(seed: int) -> None:
    mixture = random_mixture(seed)
    ends = some_eta(40, seed)
    s = torch.linspace(0, 1, 48, dtype=torch.double)[None, :, None]
    lines = (1 - s) * ends[:20, None] + s * ends[20:, None]
    assert curve.segments(lines, mixture.moments(lines).mean).min() >= -1e-12
    basis = torch.eye(4, dtype=torch.double)
    metric = torch.stack([hessian_vector_product(mixture, ends, v.expand_as(ends)) for v in basis], dim=-1)
    assert (metric - metric.mT).abs().max() < 1e-10
    assert torch.linalg.eigvalsh(metric).min() > -1e-12


def test_nothing_happens_at_the_seam() -> None:
    mixture = random_mixture(8)
    level = torch.full((2, 2), 30.0, dtype=torch.double)
    near = torch.tensor([[math.pi - 1e-9, 0.4], [-math.pi + 1e-9, 0.4]], dtype=torch.double)
    above, below = mixture.moments(FAMILY.natural(near, level)).mean
    assert (above - below).abs().max() < 1e-7
    turned = mixture.moments(FAMILY.natural(near + 2 * math.pi, level)).mean[0]
    assert (above - turned).abs().max() < 1e-10


def test_training_learns_the_posterior_to_the_samples_accuracy() -> None:
    training, held, angles = small_problem()
    lessons = teach(training, draw_eta(angles, 1500, low=3, high=60, generator=generator(1)), family=FAMILY)
    held_out = teach(held, draw_eta(angles, 300, low=3, high=60, generator=generator(2)), family=FAMILY)
    mixture = from_samples(training, 64)
    before = float(regression(mixture, held_out).detach())
    trained = train(mixture, lessons, held_out, steps=250, seed=1)
    assert [step for step, _, _ in trained.curve] == [50, 100, 150, 200, 250]
    assert trained.held_out_loss == trained.curve[-1][2]
    samples = float(regression(training, held_out))  # most of it is the noise of the 410 samples held out
    assert before > 1.5 * samples  # 1.02, 0.63 and, trained, 0.59 measured
    assert trained.held_out_loss < samples
    exact = quadrature(FAMILY, periodic_grid(96, 2), energy, kT=1.0)
    judged = draw_eta(sobol(512, 2, 5), 400, low=3, high=60, generator=generator(3))
    seam = (FAMILY.center(judged).abs() > math.radians(165)).any(-1)
    of_mixture, of_samples = (
        (d.moments(judged).mean.detach() - exact.moments(judged).mean).norm(dim=-1) for d in (mixture, training)
    )  # fmt: skip
    assert float(of_mixture.mean()) < min(0.03, float(of_samples.mean()))  # 0.027 and 0.032 measured
    assert float(of_mixture[seam].mean()) < 0.035


def test_learn_does_it_all() -> None:
    samples, _, _ = small_problem()
    denoiser, trained = learn(samples, low=3, high=60, seed=1, components=64, count=1000, steps=150)
    exact = quadrature(FAMILY, periodic_grid(96, 2), energy, kT=1.0)
    judged = draw_eta(sobol(512, 2, 5), 400, low=3, high=60, generator=generator(3))
    assert float((denoiser.moments(judged).mean - exact.moments(judged).mean).norm(dim=-1).mean()) < 0.045  # 0.030 measured
    assert not denoiser.logit.requires_grad
    assert trained.curve[-1][0] == 150


def test_an_interrupted_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    training, held, angles = small_problem()
    lessons, held_out = (teach(s, draw_eta(angles, 200, low=3, high=60, generator=generator(1)), family=FAMILY) for s in (training, held))
    whole = from_samples(training, 16)
    unbroken = train(whole, lessons, held_out, steps=40, seed=3, every=10)

    class Interrupted(Exception):
        pass

    def stop_late(denoiser: TrainedDenoiser, batch: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 25:
            raise Interrupted
        return regression(denoiser, batch)  # type: ignore[arg-type]

    calls, path = 0, tmp_path / "training.pt"
    with pytest.raises(Interrupted):
        train(from_samples(training, 16), lessons, held_out, steps=40, seed=3, every=10, loss=stop_late, checkpoint=path)
    assert path.exists()
    resumed = from_samples(training, 16)
    again = train(resumed, lessons, held_out, steps=40, seed=3, every=10, checkpoint=path)
    assert again == unbroken
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    with pytest.raises(SpacetimeError, match="another training"):
        train(from_samples(training, 16), lessons, held_out, steps=60, seed=3, checkpoint=path)


def test_same_seed_agrees_another_differs() -> None:
    training, _, angles = small_problem()
    lessons = teach(training, draw_eta(angles, 200, low=3, high=60, generator=generator(1)), family=FAMILY)
    losses = [train(from_samples(training, 8), lessons, lessons, steps=5, seed=seed).held_out_loss for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_a_saved_denoiser_comes_back(tmp_path: Path) -> None:
    mixture = random_mixture(2, torsions=3)
    save(tmp_path / "denoiser.pt", mixture)
    assert torch.load(tmp_path / "denoiser.pt", weights_only=True)["kind"] == "von_mises_mixture"
    again = load(tmp_path / "denoiser.pt")
    eta = some_eta(5, 1, torsions=3)
    assert torch.equal(again.moments(eta).mean.detach(), mixture.moments(eta).mean)
    torch.save({"kind": "weighted_samples"}, tmp_path / "other.pt")
    with pytest.raises(SpacetimeError, match=r"other\.pt holds no"):
        load(tmp_path / "other.pt")


def test_two_denoisers_are_apart_by_so_much_of_the_spread() -> None:
    """Of one torsion, kappa against kappa + 1 of a flat energy: by hand from Bessel functions."""
    family, grid = VonMises(1), periodic_grid(200, 1)
    flat, tilted = (
        quadrature(family, grid, lambda x: 0.0 * x[:, 0], kT=1.0),
        quadrature(family, grid, lambda x: -torch.cos(x[:, 0]), kT=1.0),
    )
    eta = family.natural(torch.zeros(3, 1), torch.tensor([[1.0], [4.0], [9.0]])).double()
    a, b = (np.array([i1(k) / i0(k) for k in kappa]) for kappa in ([1.0, 4.0, 9.0], [2.0, 5.0, 10.0]))
    np.testing.assert_allclose(apart(tilted, flat, eta, family), (b - a) / np.sqrt(1.0 - a**2), rtol=1e-9)


def test_words_for_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"natural must have shape \(K, 2n\)"):
        TrainedDenoiser(torch.ones(3, 3), torch.zeros(3))
    training, _, angles = small_problem()
    narrow = draw_eta(angles, 20, low=1e5, high=1e6, generator=generator(1))
    with pytest.raises(SpacetimeError, match="no point has 8 effective samples"):
        teach(training, narrow, family=FAMILY)
