"""The targets that denoisers are measured on in many dimensions: their closed forms against samples."""

import numpy as np
import pytest
import torch

from designs.exact_targets import Target, coupled, ring, wells
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.geometry.families.cartesian import Cartesian

SMALL = [wells(3), coupled(2), ring(3)]


@pytest.mark.parametrize("target", SMALL, ids=lambda t: t.name)
def test_moments_are_those_of_many_samples(target: Target) -> None:
    rng = np.random.default_rng(2)
    family, precision = Cartesian(target.dimension), 4.0
    x = torch.from_numpy(target.draw(np.zeros(target.dimension), 1e-9, 200_000, rng))
    center = 0.3 * rng.standard_normal((4, target.dimension))
    eta = family.natural(torch.from_numpy(center), torch.full((4, 1), precision, dtype=torch.double).log())
    found = WeightedSamples(family.features(x), torch.zeros(len(x))).moments(eta)
    psi, mean, variance = target.moments(center, np.full(4, precision))
    np.testing.assert_allclose(found.log_partition.numpy(), psi, atol=0.03)
    np.testing.assert_allclose(found.mean[:, :-1].numpy(), mean, atol=0.02)
    second = found.mean[:, -1].numpy() - (found.mean[:, :-1].numpy() ** 2).sum(axis=1)
    np.testing.assert_allclose(second, variance, rtol=0.03)


@pytest.mark.parametrize("target", SMALL, ids=lambda t: t.name)
def test_draws_under_noise_have_their_moments(target: Target) -> None:
    rng = np.random.default_rng(3)
    center = 0.5 * rng.standard_normal(target.dimension)
    x = target.draw(center, 15.0, 100_000, rng)
    _, mean, variance = target.moments(center[None], np.array([15.0]))
    np.testing.assert_allclose(x.mean(axis=0), mean[0], atol=0.01)
    assert x.var(axis=0).sum() == pytest.approx(variance[0], rel=0.02)


def test_targets_have_the_dimension_asked_for_and_ends_that_differ() -> None:
    for make in (wells, coupled, ring):
        for dimension in (2, 10, 40):
            target = make(dimension)
            a, b = target.ends
            assert target.dimension == dimension == len(a) == len(b)
            assert np.linalg.norm(b - a) > 1.0
