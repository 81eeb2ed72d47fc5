"""Surfaces, annealed sampling along a curve, and unbiased shooting, against quadrature and Boltzmann averages."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.engines.surface.dynamics import Overdamped, shoot
from spacetime_tps.engines.surface.two_way import two_way_chains
from spacetime_tps.engines.surface.walking import tilt_of, walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises, VonMisesAbove
from spacetime_tps.geometry.geodesic import evaluate
from spacetime_tps.potentials.analytic import MuellerBrown, TwoChannels
from spacetime_tps.potentials.surface import Surface
from spacetime_tps.potentials.tabulated import Tabulated, load_surface
from spacetime_tps.sampling.comparison import agreement, kolmogorov_smirnov
from spacetime_tps.shooting.weights import ShotDensity, path_weights
from spacetime_tps.surfaces.annealed import Plan, adaptive_plan, anneal
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.window import Window

FAMILY = VonMises(2)


def wave(x: torch.Tensor) -> torch.Tensor:
    return 3.0 * torch.cos(x[..., 0]) + 2.0 * torch.sin(2 * x[..., 1]) + torch.cos(x[..., 0] - x[..., 1])


def table(points: int, *, ends: bool) -> Tabulated:
    axis = np.linspace(-np.pi, np.pi, points, endpoint=ends)
    grid = torch.from_numpy(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1))
    return Tabulated(axis, axis, wave(grid).numpy())


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("ends", [True, False])
def test_tabulated_surface_follows_its_function_across_the_seam(ends: bool) -> None:
    surface = table(90, ends=ends)
    assert surface.periodic
    x = torch.rand(2000, 2, generator=generator(1), dtype=torch.double) * 4 * math.pi - 2 * math.pi
    x[:2] = torch.tensor([[math.pi, -math.pi], [math.pi - 1e-9, 3 * math.pi]])
    torch.testing.assert_close(surface.energy(x), wave(x), atol=1e-4, rtol=0)


def test_a_table_with_unequal_ends_jumps_at_the_seam_and_nowhere_else() -> None:
    axis = np.linspace(-np.pi, np.pi, 61)
    surface = Tabulated(axis, axis, np.add.outer(axis, 0.0 * axis))
    assert not surface.periodic
    x = torch.tensor([[3.1, 0.0], [-3.1, 0.0]], dtype=torch.double)
    torch.testing.assert_close(surface.energy(x), x[:, 0])


@pytest.mark.parametrize("surface", [table(60, ends=True), MuellerBrown(), TwoChannels()])
def test_gradients_agree_with_finite_differences(surface: Surface) -> None:
    x = torch.rand(50, 2, generator=generator(2), dtype=torch.double) * 2 - 1
    energy, gradient = surface.energy_and_gradient(x)
    torch.testing.assert_close(energy, surface.energy(x))
    assert gradient.shape == (50, surface.dimension)
    for k in range(2):
        shift = torch.zeros(2, dtype=torch.double)
        shift[k] = 1e-6
        slope = (surface.energy(x + shift) - surface.energy(x - shift)) / 2e-6
        torch.testing.assert_close(slope, gradient[:, k], atol=1e-5, rtol=1e-5)


def test_a_table_with_unequal_ends_has_its_values_up_to_its_last_line() -> None:
    axis = np.linspace(-np.pi, np.pi, 8)
    values = np.random.default_rng(3).normal(size=(8, 8))
    surface = Tabulated(axis, axis, values)
    assert not surface.periodic
    nodes = torch.from_numpy(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1))
    nodes[-1, :, 0] -= 1e-9  # the last line itself is the first
    nodes[:, -1, 1] -= 1e-9
    np.testing.assert_allclose(surface.energy(nodes), values, atol=1e-6)


def test_mueller_brown_minima() -> None:
    x = torch.tensor([[-0.5582, 1.4417], [-0.0500, 0.4667], [0.6235, 0.0280]], dtype=torch.double)
    energy, gradient = MuellerBrown().energy_and_gradient(x)
    np.testing.assert_allclose(energy.numpy(), [-146.70, -80.77, -108.17], atol=0.01)
    assert float(gradient.abs().max()) < 0.2


def test_surface_files(tmp_path: Path) -> None:
    axis = np.linspace(-np.pi, np.pi, 40, endpoint=False)
    psi, phi = np.meshgrid(axis, axis, indexing="ij")
    energy = wave(torch.from_numpy(np.stack([phi, psi], -1))).numpy()
    np.savetxt(tmp_path / "s.dat", np.stack([phi.ravel(), psi.ravel(), energy.ravel()], 1))
    x = torch.tensor([[0.3, 1.1], [2.0, -3.0]], dtype=torch.double)
    torch.testing.assert_close(load_surface(tmp_path / "s.dat").energy(x), wave(x), atol=1e-2, rtol=0)
    with pytest.raises(SpacetimeError, match="no surface file"):
        load_surface(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", phi=axis)
    with pytest.raises(SpacetimeError, match="must hold phi, psi and energy; it holds phi"):
        load_surface(tmp_path / "bad.npz")
    np.savetxt(tmp_path / "half.dat", np.stack([psi.ravel(), phi.ravel(), energy.ravel()], 1))
    with pytest.raises(SpacetimeError, match="phi running fastest"):
        load_surface(tmp_path / "half.dat")
    for lacks in (1.0, 0.05, -0.05):  # 30 lines of a step each
        short = np.arange(30) * (2.0 * np.pi - lacks) / 30
        with pytest.raises(SpacetimeError, match="whole turn"):
            Tabulated(short, short, np.zeros((30, 30)))
    with pytest.raises(SpacetimeError, match=r"30 x 40 angles cannot have energies of shape \(40, 30\)"):
        Tabulated(short, axis, np.zeros((40, 30)))


@pytest.fixture(scope="module")
def wavy() -> WeightedSamples:
    return quadrature(FAMILY, periodic_grid(72, 2), wave, kT=1.0)


def line(family: VonMises, kappa: float, points: int = 24) -> torch.Tensor:
    center = torch.linspace(-1.0, 1.5, points, dtype=torch.double)[:, None] * torch.ones(2, dtype=torch.double)
    return family.natural(center, torch.full_like(center, kappa))


def test_annealed_samples_have_the_posteriors_moments_at_every_point(wavy: WeightedSamples) -> None:
    plan = adaptive_plan(line(FAMILY, 40.0), wavy, FAMILY, steps=600, mobility=1.0)
    assert int(plan.steps.sum()) <= 600
    start = FAMILY.center(plan.eta[:1]).expand(2000, 2)
    held = Plan(torch.cat([plan.eta[:1], plan.eta]), torch.cat([torch.tensor([40]), plan.steps]), plan.step_size[[0, *range(24)]])
    walked = anneal(table(72, ends=False), 1.0, FAMILY, held, start, generator(3), longest=0.6)
    exact = wavy.moments(plan.eta).mean
    bias = -(plan.eta * exact).sum(-1)
    deviation = walked.bias[:, 1:].std(0) / math.sqrt(2000)
    # 24 figures at 4.5 standard errors: false alarms below 2e-4.
    assert ((walked.bias[:, 1:].mean(0) - bias).abs() < 4.5 * deviation).all()
    assert walked.evaluations == 2000 * (1 + int(held.steps.sum()))
    assert walked.paths.shape == (2000, int(held.steps.sum()) + 1, 2)
    assert float(walked.paths.diff(dim=1).norm(dim=-1).max()) <= 0.6


def test_harmonic_surface_in_cartesian_coordinates_gives_the_gaussian_posterior() -> None:
    class Harmonic:
        dimension = 2

        def energy(self, x: torch.Tensor) -> torch.Tensor:
            return 1.5 * x.square().sum(-1)

        def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.energy(x), 3.0 * x

    family = Cartesian(2)
    eta = family.natural(torch.tensor([[1.0, -0.5]], dtype=torch.double), torch.tensor([[math.log(4.0)]], dtype=torch.double))
    plan = Plan(eta, torch.tensor([150]), torch.tensor([0.15], dtype=torch.double))
    x = anneal(Harmonic(), 0.5, family, plan, torch.zeros(4000, 2), generator(4), longest=5.0).paths[:, -1]
    variance = 1.0 / (3.0 / 0.5 + 4.0)
    mean = variance * 4.0 * torch.tensor([1.0, -0.5], dtype=torch.double)
    # Four figures at 4 standard errors: false alarms below 3e-4.
    assert ((x.mean(0) - mean).abs() < 4 * math.sqrt(variance / 4000)).all()
    assert ((x.var(0) / variance - 1).abs() < 4 * math.sqrt(2 / 4000)).all()


def test_steps_go_where_the_posterior_relaxes_slowly(wavy: WeightedSamples) -> None:
    family = VonMisesAbove(2, floor=6.0)
    eta = evaluate(line(FAMILY, 8.0), wavy, family=family, points=24).eta
    plan = adaptive_plan(eta, wavy, FAMILY, steps=400, mobility=1.0)
    assert int(plan.steps.max()) > 1.3 * int(plan.steps.min())
    with pytest.raises(SpacetimeError, match="too few for 24 points"):
        adaptive_plan(eta, wavy, FAMILY, steps=40, mobility=1.0)


CHANNELS = Overdamped(TwoChannels(barrier=5.0, wall=4.0), kT=1.0, ds=5e-3)
A, B = Discs(((-1.0, 0.0),), 0.35, False), Discs(((1.0, 0.0),), 0.35, False)
PLANE = Cartesian(2)
ALONG_X = Linear("x", (1.0, 0.0, 0.0))


def test_the_gradient_of_a_window_is_that_of_its_factor() -> None:
    x = torch.rand(20, 2, generator=generator(12), dtype=torch.double) * 4 - 2
    cases = [
        (PLANE, Window(Linear("s", (0.6, -0.4, 0.2)), 0.3, 7.0)),
        (FAMILY, Window(Angle("psi", 4, 2, 3), 2.9, 30.0)),
    ]
    for family, window in cases:
        tilt = tilt_of(window, family)
        factor, gradient = tilt(x)
        np.testing.assert_allclose(factor, window.log_factor(family.features(x).numpy()))
        for k in range(2):
            shift = torch.zeros(2, dtype=torch.double)
            shift[k] = 1e-6
            torch.testing.assert_close((tilt(x + shift)[0] - tilt(x - shift)[0]) / 2e-6, gradient[:, k], atol=1e-6, rtol=1e-6)


def at_the_top(count: int, seed: int, center: float = 0.0) -> tuple[Window, torch.Tensor]:
    """Points held near x = center, free in y, after a long equilibration from both gates."""
    window = Window(ALONG_X, center, 60.0)
    y = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    start = np.stack([np.full(count, center), y], -1)
    frames = walk(CHANNELS.surface, CHANNELS.kT, PLANE, [window], start, steps=600, generator=generator(seed))
    assert frames.shape == (1, 600, count, 2)
    return window, torch.from_numpy(frames[0, -1])


def test_walks_follow_the_known_density() -> None:
    _, points = at_the_top(2000, 5)
    grid = torch.linspace(-3, 3, 1201, dtype=torch.double)
    plane = torch.cartesian_prod(torch.linspace(-1, 1, 401, dtype=torch.double), grid)
    weight = torch.softmax(-CHANNELS.surface.energy(plane) - 30.0 * plane[:, 0] ** 2, 0)
    for power in (1, 2):
        exact = (weight[:, None] * plane**power).sum(0)
        spread = (weight[:, None] * plane ** (2 * power)).sum(0) - exact**2
        # y mixes slowly between the gates, but half of the walkers started in each, where half belong within 0.25.
        error = (points**power).mean(0) - exact
        assert abs(float(error[0])) < 4 * float(spread[0] / 2000) ** 0.5
        assert abs(float(error[1])) < (0.6 if power == 1 else 0.1)


def weights(paths: list[np.ndarray], window: Window) -> np.ndarray:
    """Of paths that were shot from one window."""
    points = [PLANE.features(torch.from_numpy(p[1:-1])).numpy() for p in paths]
    return path_weights(points, ShotDensity([window], np.zeros(1), np.ones(1)))


def test_reactive_paths_run_from_a_to_b_and_end_there() -> None:
    _, points = at_the_top(300, 6)
    shots = shoot(CHANNELS, points, A, B, longest=5000, generator=generator(7))
    assert 0.2 < len(shots.paths) / 300 < 0.7
    for source, path in zip(shots.source, shots.paths, strict=True):
        x = torch.from_numpy(path)
        assert len(path) == shots.steps[source].sum() + 1
        assert bool(A.contains(x[0]))
        assert bool(B.contains(x[-1]))
        assert not bool((A.contains(x[1:-1]) | B.contains(x[1:-1])).any())
        assert float(x.diff(dim=0).norm(dim=-1).max()) < 0.6
    assert set(shots.outcome.ravel()) <= {-1, 0, 1}
    assert shots.evaluations == shots.steps.sum()


def test_weighted_shots_from_a_skewed_window_agree_with_long_shooting_and_without_weights_they_do_not() -> None:
    # The window sits off the top, so shots favour paths that linger where f is large; path length tells.
    window, points = at_the_top(3000, 8, center=-0.25)
    points = points[~(A.contains(points) | B.contains(points))]
    shots = shoot(CHANNELS, points, A, B, longest=20_000, generator=generator(9))
    weight = weights(shots.paths, window)
    first = [shots.paths[i] for i in np.linspace(0, len(shots.paths) - 1, 400).astype(int)]
    chains, _, accepted = two_way_chains(
        CHANNELS, first, A, B, eligible=lambda x: x[:, 0].abs() < 0.3, moves=15, longest=20_000, generator=generator(10)
    )
    assert 0.05 < accepted < 0.9
    length, truth = (np.array([float(len(p)) for p in paths]) for paths in (shots.paths, chains))
    rng = np.random.default_rng(11)
    assert agreement(length, weight, truth, rng=rng, draws=500).holds  # false alarm: one in a hundred, and the seed is fixed
    assert not agreement(length, np.ones(len(length)), truth, rng=rng, draws=500).holds


def test_kolmogorov_smirnov_of_weights_is_that_of_repeated_values() -> None:
    x, w = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0])
    y = np.array([1.5, 2.5])
    expected = kolmogorov_smirnov(np.array([1.0, 2.0, 2.0, 3.0]), np.ones(4), y, np.ones(2))
    assert kolmogorov_smirnov(x, w, y, np.ones(2)) == pytest.approx(expected) == pytest.approx(0.25)
