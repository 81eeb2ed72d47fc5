"""The geometry against closed forms: a free torsion is a von Mises distribution, psi = log I0(kappa)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ive

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Moments, confinement_free_energy, kl_divergence
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import evaluate, minimise
from spacetime_tps.geometry.penalties import Avoid, Barrier, EffectiveSamples, LowVariance, from_point, from_samples
from spacetime_tps.geometry.spline import uniform_spline

FAMILY = VonMises(1)


def log_bessel(order: int, x: np.ndarray) -> np.ndarray:
    return np.log(ive(order, x)) + x


@pytest.fixture(scope="module")
def free_torsion() -> WeightedSamples:
    """Equally spaced angles with equal weights are quadrature for the uniform distribution, exact to rounding at these kappas."""
    angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.double)[:-1, None]
    return WeightedSamples(FAMILY.features(angles), torch.zeros(720, dtype=torch.double))


@given(st.floats(0.01, 60.0), st.floats(-math.pi, math.pi))
def test_von_mises_moments(kappa: float, center: float) -> None:
    angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.double)[:-1, None]
    denoiser = WeightedSamples(FAMILY.features(angles), torch.zeros(720, dtype=torch.double))
    eta = FAMILY.natural(torch.tensor([center], dtype=torch.double), torch.tensor([kappa], dtype=torch.double))
    moments = denoiser.moments(eta)
    psi = float(log_bessel(0, kappa))
    ratio = float(ive(1, kappa) / ive(0, kappa))
    assert float(moments.log_partition) == pytest.approx(psi, abs=1e-9)
    expected = ratio * np.array([math.cos(center), math.sin(center)])
    np.testing.assert_allclose(moments.mean.numpy(), expected, atol=1e-9)
    assert float(confinement_free_energy(eta, moments)) == pytest.approx(kappa * ratio - psi, abs=1e-8)


def test_length_at_fixed_concentration_is_the_angle_times_the_known_speed(free_torsion: WeightedSamples) -> None:
    # Turning the center at fixed kappa costs kappa A(kappa) per squared radian: the Fisher information of a von Mises location.
    kappa, turn = 12.0, 2.0
    center = torch.linspace(0.0, turn, 400, dtype=torch.double)[:, None]
    eta = FAMILY.natural(center, torch.full_like(center, kappa))
    speed = math.sqrt(kappa * ive(1, kappa) / ive(0, kappa))
    mean = free_torsion.moments(eta).mean
    assert float(curve.length(eta, mean)) == pytest.approx(turn * speed, rel=1e-5)
    assert float(curve.energy(eta, mean)) == pytest.approx(0.5 * (turn * speed) ** 2, rel=1e-5)


samples = st.integers(5, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-math.pi, math.pi), min_size=n, max_size=n), st.lists(st.floats(-8.0, 0.0), min_size=n, max_size=n)
    )
)


@given(samples, st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=2, max_size=8))
def test_weighted_samples_never_give_negative_segments_or_divergences(
    data: tuple[list[float], list[float]], points: list[tuple[float, float]]
) -> None:
    angles, log_weight = (torch.tensor(x, dtype=torch.double) for x in data)
    denoiser = WeightedSamples(FAMILY.features(angles[:, None]), log_weight)
    eta = torch.tensor(points, dtype=torch.double)
    moments = denoiser.moments(eta)
    tiny = -1e-9
    assert (curve.segments(eta, moments.mean) >= tiny).all()
    assert (confinement_free_energy(eta, moments) >= tiny).all()
    swapped = Moments(*(m.flip(0) for m in moments))
    assert (kl_divergence(eta, moments, eta.flip(0), swapped) >= tiny).all()
    assert kl_divergence(eta, moments, eta, moments).abs().max() < 1e-9
    assert (moments.effective_samples <= len(angles) + 1e-6).all()


def test_mean_is_the_gradient_of_the_log_partition() -> None:
    generator = torch.Generator().manual_seed(3)
    family = VonMises(2)
    angles = torch.rand(50, 2, generator=generator, dtype=torch.double) * 6
    denoiser = WeightedSamples(family.features(angles), torch.randn(50, generator=generator, dtype=torch.double))
    eta = torch.randn(4, generator=generator, dtype=torch.double) * 5
    step = 1e-5
    for k in range(4):
        shift = torch.zeros(4, dtype=torch.double)
        shift[k] = step
        slope = (denoiser.moments(eta + shift).log_partition - denoiser.moments(eta - shift).log_partition) / (2 * step)
        assert float(slope) == pytest.approx(float(denoiser.moments(eta).mean[k]), abs=1e-8)


def test_gradients_of_all_moments_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(4)
    family = VonMises(2)
    angles = torch.rand(30, 2, generator=generator, dtype=torch.double) * 6
    denoiser = WeightedSamples(family.features(angles), torch.randn(30, generator=generator, dtype=torch.double))
    eta = (torch.randn(3, 4, generator=generator, dtype=torch.double) * 4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: tuple(denoiser.moments(x)), eta, eps=1e-6, atol=1e-7)


def test_spline_passes_through_its_nodes_and_is_exact_for_cubics() -> None:
    matrix = uniform_spline(9, 33)
    s = torch.linspace(0, 1, 9, dtype=torch.double)
    fine = torch.linspace(0, 1, 33, dtype=torch.double)
    np.testing.assert_allclose(matrix[::4].numpy(), np.eye(9), atol=1e-12)
    np.testing.assert_allclose((matrix @ (s**3 - 2 * s)).numpy(), (fine**3 - 2 * fine).numpy(), atol=1e-12)


def test_geodesic_of_a_free_torsion_keeps_its_ends_and_shortens(free_torsion: WeightedSamples) -> None:
    center = torch.linspace(0.0, 2.0, 40, dtype=torch.double)[:, None]
    start = FAMILY.natural(center, 10.0 + 5.0 * torch.sin(math.pi * center / 2.0))
    before = evaluate(start, free_torsion, family=FAMILY, points=40)
    bare = minimise(start, free_torsion, [], family=FAMILY, nodes=10, points=40, evaluations=200)
    np.testing.assert_allclose(bare.eta[[0, -1]].numpy(), start[[0, -1]].numpy(), atol=1e-9)
    assert bare.energy < before.energy
    # A geodesic has constant speed: energy = length^2 / 2.
    assert bare.energy == pytest.approx(0.5 * bare.length**2, rel=1e-2)
    assert float(bare.segment.max() / bare.segment.min()) < 1.1
    # Without a floor the shortest way is through low concentrations, with one it stays at the floor.
    assert float(FAMILY.level(bare.eta).min()) < 7.0
    held = minimise(
        start,
        free_torsion,
        [LowVariance(FAMILY, torch.tensor([10.0], dtype=torch.double), weight=1e5)],
        family=FAMILY,
        nodes=10,
        points=40,
        evaluations=200,
    )
    assert float(FAMILY.level(held.eta).min()) > 9.5


def test_penalties_do_not_depend_on_the_number_of_points(free_torsion: WeightedSamples) -> None:
    penalties = [
        LowVariance(FAMILY, torch.tensor([12.0], dtype=torch.double), weight=3.0),
        Barrier(weight=2.0, sharpness=2.0),
        EffectiveSamples(floor=300.0, weight=1.0),
    ]
    values = []
    for points in (400, 1600):
        center = torch.linspace(0.0, 2.0, points, dtype=torch.double)[:, None]
        eta = FAMILY.natural(center, 8.0 + 8.0 * torch.sin(math.pi * center / 2.0))
        values.append([float(p(eta, free_torsion.moments(eta))) for p in penalties])
    np.testing.assert_allclose(values[0], values[1], rtol=0.02)
    assert all(v > 0 for v in values[0])


def test_barrier_penalty_is_between_mean_and_maximum(free_torsion: WeightedSamples) -> None:
    center = torch.linspace(0.0, 2.0, 50, dtype=torch.double)[:, None]
    eta = FAMILY.natural(center, 5.0 + 20.0 * center)
    moments = free_torsion.moments(eta)
    cost = confinement_free_energy(eta, moments)
    value = float(Barrier(weight=1.0, sharpness=2.0)(eta, moments))
    assert float(cost.mean()) < value < float(cost.max())


def test_every_penalty_has_the_gradient_of_its_value() -> None:
    generator = torch.Generator().manual_seed(6)
    family = VonMises(2)
    angles = torch.rand(300, 2, generator=generator, dtype=torch.double) * 6
    denoiser = WeightedSamples(family.features(angles), torch.randn(300, generator=generator, dtype=torch.double))
    inside = denoiser.restricted(angles[:, 0] > 4.0)
    eta = (torch.randn(5, 4, generator=generator, dtype=torch.double) * 3).requires_grad_(True)
    penalties = [
        LowVariance(family, torch.tensor([6.0, 5.0], dtype=torch.double), weight=2.0),
        Barrier(weight=2.0, sharpness=1.5),
        EffectiveSamples(floor=200.0, weight=1.0),
        Avoid([from_samples(inside), from_point(eta.detach()[2] + 0.5, denoiser)], floor=4.0, weight=3.0),
    ]
    for penalty in penalties:
        assert float(penalty(eta, denoiser.moments(eta)).detach()) > 0
        assert torch.autograd.gradcheck(lambda x, p=penalty: p(x, denoiser.moments(x)), eta, eps=1e-6, atol=1e-5)


def test_avoidance_does_not_depend_on_the_number_of_points(free_torsion: WeightedSamples) -> None:
    angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.double)[:-1]
    avoid = Avoid([from_samples(free_torsion.restricted((angles > 0.8) & (angles < 1.2)))], floor=5.0, weight=1.0)
    values = []
    for points in (200, 800):
        center = torch.linspace(0.0, 2.0, points, dtype=torch.double)[:, None]
        eta = FAMILY.natural(center, torch.full_like(center, 20.0))
        values.append(float(avoid(eta, free_torsion.moments(eta))))
    assert values[0] == pytest.approx(values[1], rel=0.02)


def test_divergence_of_a_set_is_minus_the_log_of_its_probability(free_torsion: WeightedSamples) -> None:
    angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.double)[:-1]
    inside = angles.abs() < 0.5
    eta = FAMILY.natural(torch.tensor([[0.3], [2.0]], dtype=torch.double), torch.tensor([[4.0], [9.0]], dtype=torch.double))
    weight = torch.softmax(FAMILY.features(angles[:, None]) @ eta.T, dim=0)
    expected = -weight[inside].sum(0).log()
    divergence = from_samples(free_torsion.restricted(inside))(eta, free_torsion.moments(eta))
    torch.testing.assert_close(divergence, expected)
    assert float(from_point(eta[0], free_torsion)(eta[:1], free_torsion.moments(eta[:1]))) == pytest.approx(0.0, abs=1e-12)


def test_many_curves_at_once_are_the_same_as_one_by_one(free_torsion: WeightedSamples) -> None:
    center = torch.linspace(0.0, 2.0, 30, dtype=torch.double)[None, :, None] * torch.tensor([0.5, 1.0, 1.5])[:, None, None]
    eta = FAMILY.natural(center, torch.full_like(center, 12.0))
    mean = free_torsion.moments(eta).mean
    for function in (curve.energy, curve.length):
        torch.testing.assert_close(function(eta, mean), torch.stack([function(e, m) for e, m in zip(eta, mean, strict=True)]))
