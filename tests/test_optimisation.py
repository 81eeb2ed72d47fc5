"""How far a curve may move: weighted samples of two wells, and curves that samples can and cannot follow."""

import numpy as np
import pytest
import torch

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration import lines as routing
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.optimisation import CurveOptimiser
from spacetime_tps.exploration.settings import AvoidanceSettings, GeodesicSettings
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import Geodesic, evaluate

FAMILY = VonMises(1)
SETTINGS = GeodesicSettings(points=32)
OPTIMISER = CurveOptimiser(FAMILY, SETTINGS, AvoidanceSettings(), Avoidance((), FAMILY, margin=0.0, floor=10.0))
PRECISION = np.full((32, 1), 20.0)


def denoiser(spread: float) -> WeightedSamples:
    """Wells at -1 and 1 radian, with samples of equal weight in and, where they are wide, between them."""
    rng = np.random.default_rng(2)
    angles = torch.from_numpy(np.concatenate([rng.normal(c, spread, 4000) for c in (-1.0, 1.0)])[:, None])
    return WeightedSamples(FAMILY.features(angles), torch.zeros(len(angles), dtype=torch.double))


def curve(start: float, end: float, samples: WeightedSamples) -> Geodesic:
    eta = routing.line(FAMILY, np.array([start]), np.array([end - start]), PRECISION)
    return evaluate(torch.from_numpy(eta), samples, family=FAMILY, points=32)


def test_a_curve_over_wide_wells_is_followed_and_kept() -> None:
    samples = denoiser(0.6)
    found = curve(-1.0, 1.0, samples)
    assert OPTIMISER.followed(found, samples)
    assert OPTIMISER.trusted(found.eta, found, samples) is found


def test_a_curve_that_holds_two_basins_at_once_is_not() -> None:
    samples = denoiser(0.05)
    assert not OPTIMISER.followed(curve(-1.0, 1.0, samples), samples)


def test_of_a_leap_only_the_part_that_samples_follow_is_taken() -> None:
    samples = denoiser(0.05)
    short, leap = curve(-1.05, -0.95, samples), curve(-1.05, 1.0, samples)
    assert OPTIMISER.followed(short, samples)
    kept = OPTIMISER.trusted(short.eta, leap, samples)
    assert OPTIMISER.followed(kept, samples)
    assert float(FAMILY.center(kept.eta[-1:])) < 0.5


def test_penalties_are_in_units_of_the_straight_curve() -> None:
    samples = denoiser(0.6)
    eta = torch.from_numpy(routing.line(FAMILY, np.array([-1.0]), np.array([2.0]), 0.5 * PRECISION))
    once, twice = (sum(float(p(eta, samples.moments(eta))) for p in OPTIMISER.penalties(unit, floor=20.0)) for unit in (1.0, 2.0))
    assert twice == 2.0 * once
    assert once > 500.0 * 0.25 * 0.99, "half the floor lacks a half everywhere"
    at_floor = torch.from_numpy(routing.line(FAMILY, np.array([-1.0]), np.array([2.0]), PRECISION))
    assert sum(float(p(at_floor, samples.moments(at_floor))) for p in OPTIMISER.penalties(1.0, floor=20.0)) < 10.0


def test_a_curve_over_a_sharp_barrier_moves_as_far_as_windows_have_followed() -> None:
    # On top the barrier is as curved as the noise is narrow, so that the posterior reaches into both wells, and steepness is far above the
    # setting whatever the curve does. The channel bends with phi, the straight line does not. Once windows along it have agreed, the curve
    # may leave it.
    family = VonMises(2)
    x = 2.0 * torch.pi * torch.rand((40_000, 2), dtype=torch.double, generator=torch.Generator().manual_seed(4))
    phi, psi = x.T
    energy = 5.0 * (1.0 + torch.cos(2.0 * phi)) + 8.0 * (1.0 - torch.cos(psi - 1.2 * torch.cos(phi)))
    samples = WeightedSamples(family.features(x), -energy)
    nowhere = Avoidance((), family, margin=0.0, floor=10.0)
    optimiser = CurveOptimiser(family, GeodesicSettings(points=32, nodes=8), AvoidanceSettings(), nowhere)

    def straight(precision: float) -> Geodesic:
        half = 0.5 * np.pi
        eta = routing.line(family, np.array([-half, 0.0]), np.array([2.0 * half, 0.0]), np.full((32, 2), precision))
        return evaluate(torch.from_numpy(eta), samples, family=family, points=32)

    before = straight(20.0)
    assert optimiser.steepness(before.eta, samples) > 2.0 * optimiser.settings.steepest
    assert not optimiser.followed(before, samples)
    found = optimiser.geodesic(before.eta, samples, floor=20.0, first=True)
    assert optimiser.trusted(before.eta, found, samples) is found
    assert found.energy < 0.95 * before.energy
    assert abs(float(family.center(found.eta)[16, 1])) > 0.2
    again = optimiser.trusted(found.eta, optimiser.geodesic(found.eta, samples, floor=20.0, first=False), samples)
    assert again.energy == pytest.approx(found.energy, rel=0.01), "it does not creep on from round to round"
    assert not optimiser.followed(before, samples, before=straight(40.0)), "the same line is steeper than that of narrower noise"
