"""Surfaces, their dynamics and their shots: closed forms, and bookkeeping worked out by hand."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.engines.surface.dynamics import Overdamped, shoot
from spacetime_tps.engines.surface.frames import route_frames, separating_angles, stiffness_that_stays
from spacetime_tps.engines.surface.shooting import STORED, SurfaceShooting
from spacetime_tps.engines.surface.two_way import two_way_chains
from spacetime_tps.engines.surface.walking import walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.potentials.analytic import MuellerBrown, TwoChannels
from spacetime_tps.potentials.tabulated import Tabulated, load_surface
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.surfaces.annealed import Plan, adaptive_plan, anneal, largest_variance
from spacetime_tps.surfaces.langevin import metropolis_step, placed
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.window import Window


def numbers(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Slope:
    """U = slope . x, everywhere."""

    slope: tuple[float, ...]

    @property
    def dimension(self) -> int:
        return len(self.slope)

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        return (x * numbers(*self.slope)).sum(-1)

    def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.energy(x), numbers(*self.slope).expand_as(x)


def test_analytic_surfaces_have_their_values() -> None:
    # h (x^2 - 1)^2 + G [g (y^2 - 1)^2 + t y] + (1 - G) k y^2 with G = exp(-x^2 / (2 w^2)).
    surface = TwoChannels(barrier=3.0, wall=2.0, tilt=0.5, stiffness=7.0, width=0.5)
    gate = math.exp(-0.5)
    expected = [3.0 + 2.0, 3.0 - 0.5, 3.0 * 0.5625 + gate * (2.0 * 9.0 + 1.0) + (1.0 - gate) * 28.0]
    np.testing.assert_allclose(surface.energy(numbers([0.0, 0.0], [0.0, -1.0], [0.5, 2.0])), expected)
    saddle, _ = TwoChannels().energy_and_gradient(numbers([0.0, 1.0], [0.0, -1.0], [1.0, 0.0]))
    np.testing.assert_allclose(saddle, [8.5, 7.5, math.exp(-3.125) * 6.0])
    valley = TwoChannels().energy(numbers([4.0, 1.0], [4.0, 2.0]))
    np.testing.assert_allclose(valley, [8.0 * 225.0 + 5.0, 8.0 * 225.0 + 20.0])
    four = (
        -200.0
        + -100.0 * math.exp(-1.0 - 10.0 * 0.25)
        + -170.0 * math.exp(-6.5 * (1.5**2 + 1.5**2) - 11.0 * 1.5**2)
        + 15.0 * math.exp(0.7 * (4.0 + 1.0) - 0.6 * 2.0)
    )
    np.testing.assert_allclose(MuellerBrown(scale=0.5).energy(numbers([1.0, 0.0])), [0.5 * four])


@pytest.mark.parametrize("points", [(24, 36), (30, 18)])
def test_a_table_is_a_spline_of_its_own_axes(points: tuple[int, int]) -> None:
    # Cubic error: 5/384 h^4 U'''' for each axis, at most 1.3e-2 of the wave's amplitudes here, and exact at nodes.
    phi, psi = (np.linspace(-np.pi, np.pi, n, endpoint=False) for n in points)

    def wave(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 2.0 * np.sin(a) + 0.5 * np.cos(b + 1.0) + np.sin(a - b)

    surface = Tabulated(phi, psi, wave(phi[:, None], psi[None]))
    x = torch.rand(500, 2, generator=generator(1), dtype=torch.double) * 20.0 - 10.0
    energy, gradient = surface.energy_and_gradient(x)
    a, b = x.numpy().T
    np.testing.assert_allclose(energy, wave(a, b), atol=2e-3)
    np.testing.assert_allclose(gradient[:, 0], 2.0 * np.cos(a) + np.cos(a - b), atol=1e-2)
    np.testing.assert_allclose(gradient[:, 1], -0.5 * np.sin(b + 1.0) - np.cos(a - b), atol=1e-2)
    nodes = np.stack(np.meshgrid(phi, psi, indexing="ij"), -1)
    np.testing.assert_allclose(surface.energy(torch.from_numpy(nodes)), wave(nodes[..., 0], nodes[..., 1]), atol=1e-9)


@pytest.mark.parametrize("rows", [["0 0", "1 2"], ["0 0 1 1", "1 2 1 1"], ["0", "1", "2"]])
def test_a_table_of_other_than_three_columns_is_refused(rows: list[str], tmp_path: Path) -> None:
    (tmp_path / "table.dat").write_text("\n".join(rows))
    with pytest.raises(SpacetimeError, match="must have three columns"):
        load_surface(tmp_path / "table.dat")


def test_discs_by_hand() -> None:
    flat, round_ = Discs(((3.0, 0.0), (0.0, 1.0)), 0.5, False), Discs(((3.0, 0.0), (0.0, 1.0)), 0.5, True)
    x = numbers([3.3, 0.39], [3.3, 0.41], [0.0, 0.55], [-3.0, 0.0], [3.0, 2.0 * math.pi - 0.3])
    assert flat.contains(x).tolist() == [True, False, True, False, False]
    assert round_.contains(x).tolist() == [True, False, True, True, True]


def test_a_step_drifts_and_spreads_as_stated() -> None:
    # Mean -ds/2 slope / kT, variance ds: 4 standard errors of 40,000 steps.
    dynamics = Overdamped(Slope((6.0, -2.0)), kT=0.5, ds=0.04)
    x = dynamics.step(torch.zeros(40_000, 2, dtype=torch.double), generator(2))
    np.testing.assert_allclose(x.mean(0), [-0.24, 0.08], atol=4.0 * 0.2 / 200.0)
    np.testing.assert_allclose(x.var(0), [0.04, 0.04], rtol=4.0 * math.sqrt(2.0 / 40_000))


def test_metropolis_steps_keep_the_tilted_density() -> None:
    # U/kT = 2 slope x and a quadratic tilt: N(mean, 1/8) at ds of four fifths of the variance, where unadjusted steps would be far off.
    def tilt(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -4.0 * (x - 1.0).square().sum(-1), -8.0 * (x - 1.0)

    surface, variance, mean = Slope((1.0,)), 0.125, 1.0 - 2.0 / 8.0
    start = mean + variance**0.5 * torch.randn(40_000, 1, generator=generator(3), dtype=torch.double)
    walkers, moved = placed(surface, start), 0.0
    for _ in range(12):
        walkers, kept = metropolis_step(surface, 0.5, tilt, walkers, ds=0.1, generator=generator(4 + _))
        moved += float(kept.double().mean()) / 12.0
    assert 0.5 < moved < 0.999
    assert float(walkers.x.mean()) == pytest.approx(mean, abs=4.0 * math.sqrt(variance / 40_000))
    assert float(walkers.x.var()) == pytest.approx(variance, rel=4.0 * math.sqrt(2.0 / 40_000))
    torch.testing.assert_close(walkers.energy, walkers.x[:, 0])
    # A step of flat ground is taken whatever its length, up to the longest, wherever it begins.
    flat = placed(Slope((0.0,)), torch.full((20_000, 1), 40.0, dtype=torch.double))
    new, kept = metropolis_step(Slope((0.0,)), 1.0, lambda x: (0.0 * x[:, 0], 0.0 * x), flat, ds=1.0, generator=generator(9), longest=1.0)
    assert float(kept.double().mean()) == pytest.approx(0.6827, abs=0.014)
    assert float((new.x - 40.0).abs().max()) <= 1.0
    assert float((new.x[~kept] - 40.0).abs().max()) == 0.0


def test_plans_spend_their_steps_where_relaxation_and_jumps_ask() -> None:
    # Standard normal data: at SNR r the variance of x is 1 / (1 + r), and relaxation takes 2 r / (1 + r) / mobility steps.
    data, family = GaussianMixture(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1)), Cartesian(1)
    eta = family.natural(numbers([0.0], [1.0], [3.0], [3.02]), numbers([4.0], [9.0], [9.0], [9.0]).log())
    np.testing.assert_allclose(largest_variance(eta, data, family), [0.2, 0.1, 0.1, 0.1])
    plan = adaptive_plan(eta, data, family, steps=120, mobility=0.5)
    np.testing.assert_allclose(plan.step_size, [0.125, 0.5 / 9.0, 0.5 / 9.0, 0.5 / 9.0])
    relaxation = np.array([0.4, 0.2, 0.2, 0.2]) / plan.step_size.numpy()
    jump = curve.segments(eta, data.moments(eta).mean).sqrt().numpy()
    # steps = relaxation (log jump - log lag), the same lag everywhere: within rounding, one number.
    lag = np.log(jump[[0, 0, 1, 2]]) - plan.steps.numpy() / relaxation
    assert np.ptp(lag) < 0.5 / relaxation.min() * 2.0
    assert 116 <= int(plan.steps.sum()) <= 120


def test_annealed_walks_count_what_they_do() -> None:
    family, surface = Cartesian(1), Slope((2.0,))
    eta = family.natural(numbers([0.0], [1.0]), numbers([2.0], [2.0]))
    plan = Plan(eta, torch.tensor([3, 2]), numbers(0.05, 0.05))
    walked = anneal(surface, 2.0, family, plan, numbers([0.1], [0.2], [0.3]), generator(1), longest=9.0)
    assert walked.paths.shape == (3, 6, 1)
    torch.testing.assert_close(walked.paths[:, 0], numbers([0.1], [0.2], [0.3]))
    at = walked.paths[:, [3, 5], 0]
    torch.testing.assert_close(walked.energy, 2.0 * at)
    torch.testing.assert_close(walked.bias, -(eta[:, 0] * at + eta[:, 1] * at**2))
    assert walked.evaluations == 3 * 6
    assert walked.acceptance == pytest.approx(float((walked.paths.diff(dim=1) != 0.0).double().mean()))


def test_walks_through_windows_have_their_densities() -> None:
    # U/kT = x under a window at 0.5 of stiffness 8: N(0.5 - 1/8, 1/8). 40 steps are twenty relaxation times.
    variable = Linear("x", (1.0, 0.0))
    windows = [Window(variable, 0.5, 8.0), Window(variable, -1.0, 20.0)]
    frames = walk(Slope((2.0,)), 2.0, Cartesian(1), windows, np.full((4000, 1), 0.4), steps=40, generator=generator(5))
    assert frames.shape == (2, 40, 4000, 1)
    for k, (mean, variance) in enumerate(((0.375, 0.125), (-1.05, 0.05))):
        assert frames[k, -1].mean() == pytest.approx(mean, abs=4.5 * math.sqrt(variance / 4000))
        assert frames[k, -1].var() == pytest.approx(variance, rel=4.5 * math.sqrt(2.0 / 4000))
    assert walk(Slope((2.0,)), 1.0, Cartesian(1), [], np.zeros((2, 1)), steps=3, generator=generator(1)).shape == (0, 3, 2, 1)


LEFT, RIGHT = Discs(((-10.0,),), 9.0, False), Discs(((10.0,),), 9.0, False)  # type: ignore[arg-type]
"""Below -1 and above 1"""


def test_shots_are_turned_from_a_to_b_and_counted() -> None:
    # Without force the two ends are independent and each is B with chance (1 + x) / 2, up to the overshoot of 0.58 sqrt(ds).
    ds = 0.01
    dynamics, x = Overdamped(Slope((0.0,)), kT=1.0, ds=ds), 0.3
    shots = shoot(dynamics, torch.full((4000, 1), x, dtype=torch.double), LEFT, RIGHT, longest=10_000, generator=generator(6))
    wide = 1.0 + 0.5826 * math.sqrt(ds)
    up = (wide + x) / (2.0 * wide)
    assert (shots.outcome == IN_B).mean() == pytest.approx(up, abs=4.0 * math.sqrt(up * (1.0 - up) / 8000))
    assert (shots.outcome >= 0).all()
    assert len(shots.paths) / 4000 == pytest.approx(2.0 * up * (1.0 - up), abs=0.03)
    # Mean time to leave is (wide^2 - x^2) / ds steps.
    assert shots.steps.mean() == pytest.approx((wide**2 - x**2) / ds, rel=0.03)
    assert shots.evaluations == shots.steps.sum()
    for source, path in zip(shots.source.tolist(), shots.paths, strict=True):
        first = 0 if shots.outcome[source, 0] == IN_A else 1
        assert len(path) == 1 + shots.steps[source].sum()
        assert path[shots.steps[source, first], 0] == x
        assert path[0, 0] < -1.0
        assert path[-1, 0] > 1.0
        assert (np.abs(path[1:-1]) < 1.0).all()
    brief = shoot(dynamics, torch.zeros(3, 1, dtype=torch.double), LEFT, RIGHT, longest=2, generator=generator(7))
    assert (brief.outcome == NOWHERE).all()
    assert brief.steps.tolist() == [[2, 2]] * 3
    assert shoot(dynamics, torch.zeros(0, 1), LEFT, RIGHT, longest=2, generator=generator(7)).evaluations == 0


def test_two_way_chains_keep_the_ensemble_of_free_paths() -> None:
    # The mean number of steps of free paths from -w to w is (2 w)^2 / 3 / ds (Brownian motion in a slab that is crossed).
    ds = 0.02
    dynamics = Overdamped(Slope((0.0,)), kT=1.0, ds=ds)
    first = shoot(dynamics, torch.zeros(900, 1, dtype=torch.double), LEFT, RIGHT, longest=10_000, generator=generator(8)).paths[:400]
    paths, evaluations, accepted = two_way_chains(
        dynamics, first, LEFT, RIGHT, eligible=lambda x: x[:, 0].abs() < 0.5, moves=8, longest=10_000, generator=generator(9)
    )
    length = np.array([len(p) - 2 for p in paths])
    wide = 1.0 + 0.5826 * math.sqrt(ds)
    assert length.mean() == pytest.approx((2.0 * wide) ** 2 / 3.0 / ds, abs=4.0 * length.std() / math.sqrt(200))
    assert 0.2 < accepted < 0.5
    assert evaluations > 8 * 400
    # A new path goes on from an eligible point of the old one, each of them as likely.
    moved, _, _ = two_way_chains(
        dynamics,
        first,
        LEFT,
        RIGHT,
        eligible=lambda x: (x[:, 0] > -0.9) & (x[:, 0] < -0.2),
        moves=1,
        longest=10_000,
        generator=generator(10),
    )
    rank = []
    for old, new in zip(first, moved, strict=True):
        if new is not old:
            (common,) = set(old[:, 0].tolist()) & set(new[:, 0].tolist())
            assert -0.9 < common < -0.2
            among = [x for x in old[1:-1, 0].tolist() if -0.9 < x < -0.2]
            rank.append((among.index(common) + 0.5) / len(among))
    assert len(rank) > 60
    assert np.mean(rank) == pytest.approx(0.5, abs=4.0 * math.sqrt(1.0 / 12.0 / len(rank)))
    assert np.var(rank) == pytest.approx(1.0 / 12.0, rel=0.4)
    stuck, none, share = two_way_chains(
        dynamics, first[:3], LEFT, RIGHT, eligible=lambda x: x[:, 0].abs() < 0.5, moves=1, longest=1, generator=generator(9)
    )
    assert share == 0.0
    assert none == 6
    assert all(s is f for s, f in zip(stuck, first, strict=False))


SETTINGS = ShootingSettings(paths=10, budget=10**6, stiffness=10.0, walkers=4, points=3, gap=10, shots=2, equilibration=7, rung_steps=30)


def test_batches_of_a_surface_hold_what_was_walked_and_shot() -> None:
    family, variable = Cartesian(1), Linear("x", (1.0, 0.0))
    engine = SurfaceShooting(Overdamped(Slope((0.0,)), 1.0, 0.01), family, LEFT, RIGHT, SETTINGS, seed=3, longest=10_000)
    window = Window(variable, 0.4, 4.0)
    batch = engine.batch(0, 0, window, [np.array([0.4])] * 4, points=3, pilot=True, discard=7, onward=1.0)
    assert batch.window == window
    assert (batch.pilot, batch.crossing, batch.broken) == (True, 0, 0)
    assert batch.walk_evaluations == 4 * (1 + 7 + 30)
    # Frames 11, 16, ... of 37 steps, each of four walks; points are the last steps of stretches of ten.
    assert len(batch.features) == 4 * (30 // STORED)
    assert batch.walk.tolist() == [0, 1, 2, 3] * 6
    np.testing.assert_array_equal(batch.in_a, batch.features[:, 0] < -1.0)
    assert batch.ahead == (batch.features[:, 0].mean() > 0.4)
    assert engine.batch(0, 1, window, [np.array([0.4])] * 4, points=3, pilot=True, discard=7, onward=-1.0).ahead == (
        engine.done(0)[1].features[:, 0].mean() < 0.4
    )
    assert batch.point_walk.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert batch.point_frame.tolist() == [16, 26, 36] * 4
    np.testing.assert_array_equal(batch.features[1 * 4 + np.arange(4)], batch.point_features[[0, 3, 6, 9]])
    np.testing.assert_array_equal(np.concatenate(engine.ends(0, 0)), batch.point_features[[2, 5, 8, 11], 0])
    assert batch.shot_point.tolist() == np.repeat(np.arange(12), 2).tolist()
    at = batch.point_features[batch.shot_point, 0]
    inside = np.where(at < -1.0, IN_A, np.where(at > 1.0, IN_B, NOWHERE))
    assert (inside != NOWHERE).any(), "some begin in a state"
    np.testing.assert_array_equal(batch.shot_forward[inside >= 0], inside[inside >= 0])
    np.testing.assert_array_equal(batch.shot_backward[inside >= 0], inside[inside >= 0])
    assert (batch.shot_evaluations[inside >= 0] == 0).all()
    assert (batch.shot_evaluations[inside < 0] > 1).all()
    reactive = np.flatnonzero((batch.shot_forward >= 0) & (batch.shot_backward >= 0) & (batch.shot_forward != batch.shot_backward))
    assert len(reactive) > 2
    assert batch.path_shot.tolist() == reactive.tolist()
    for name, shot, features, frames in zip(batch.path_name, batch.path_shot, batch.path_features, batch.path_frames, strict=True):
        path = engine.paths[str(name)]
        assert frames == len(path) == len(features) + 2 == batch.shot_evaluations[shot] + 1
        np.testing.assert_array_equal(features, np.stack([path[1:-1, 0], path[1:-1, 0] ** 2], axis=1))
        assert at[shot] in path[:, 0]
    assert engine.done(1) == []


def test_ladders_of_a_surface_are_ordered_from_a_up() -> None:
    family, variable = Cartesian(1), Linear("x", (1.0, 0.0))
    engine = SurfaceShooting(Overdamped(Slope((3.0,)), 3.0, 0.01), family, LEFT, RIGHT, SETTINGS, seed=3, longest=10)
    windows = [Window(variable, c, 50.0) for c in (0.5, 0.0, -0.5)]
    rungs, evaluations = engine.ladder(0, windows, [np.array([0.5])] * 3, [np.array([-0.5])] * 2)
    assert evaluations == 5 * (1 + 3 * 30)
    assert len(rungs) == 3
    for rung, window in zip(rungs, windows[::-1], strict=True):
        # Frames 10, 15, 20 and 25 of each walk; the mean lies 1/50 below the center.
        assert len(rung.features) == 5 * 4
        assert rung.walk.tolist() == [0, 1, 2, 3, 4] * 4
        np.testing.assert_allclose(rung.log_factor(rung.features), window.log_factor(rung.features))
        assert rung.features[:, 0].mean() == pytest.approx(window.center - 0.02, abs=0.15)
        np.testing.assert_array_equal(rung.in_a, rung.features[:, 0] < -1.0)


def test_what_a_sampler_shoots_from_on_a_surface() -> None:
    family = Cartesian(1)
    x = torch.linspace(-2.0, 2.0, 401, dtype=torch.double)[:, None]
    eta = family.natural(numbers([-1.5], [0.0], [1.5]), numbers([2.0], [2.0], [2.0]))
    found = route_frames("r", eta, numbers(1.0, 4.0, 2.0), x, -3.0 * x[:, 0] + 5.0, family, LEFT, seed=1)
    np.testing.assert_allclose(found.centers, [[-1.5, 0.0], [0.0, 0.0], [1.5, 0.0]], atol=1e-12)
    # Of exp(-3 x) under the restraint, by the sum over the grid itself.
    tilted = np.exp(x[:, 0].numpy()[:, None] * (eta[:, 0].numpy() - 3.0) + (x[:, 0].numpy() ** 2)[:, None] * eta[:, 1].numpy())
    means = (tilted * x[:, 0].numpy()[:, None]).sum(axis=0) / tilted.sum(axis=0)
    np.testing.assert_allclose(found.curve, np.stack([means, np.zeros(3)], axis=1), atol=1e-12)
    weight = np.exp(-3.0 * x[:, 0].numpy())
    np.testing.assert_allclose(np.exp(found.log_weight), weight / weight.sum())
    np.testing.assert_array_equal(found.in_a, x[:, 0].numpy() < -1.0 - 1e-12)
    assert found.in_a[found.plain].all()
    inside = x[:, 0].numpy()[found.in_a]
    exact = (inside * np.exp(-3.0 * inside)).sum() / np.exp(-3.0 * inside).sum()
    assert x[:, 0].numpy()[found.plain].mean() == pytest.approx(exact, abs=4.0 * 0.3 / math.sqrt(2000))
    assert found.start(3)[0] == x[3, 0]
    a, b = Discs(((3.0, 0.0), (2.5, 0.3)), 0.4, True), Discs(((-2.5, 1.0), (-2.6, 1.3)), 0.32, True)
    # Apart by 0.683 and 0.7 at least: radii of 0.72, 0.69 and 0.65 together leave neither, one and both between.
    assert separating_angles(a, b, VonMises(2), ("t", "u")) == ()
    closer = Discs(b.centers, 0.29, True)
    assert separating_angles(a, closer, VonMises(2), ("t", "u")) == (Angle("u", 4, 2, 3),)
    assert separating_angles(a, Discs(b.centers, 0.25, True), VonMises(2), ("t", "u")) == (Angle("t", 4, 0, 1), Angle("u", 4, 2, 3))


@pytest.mark.parametrize(("bend", "expected"), [(8.0, 25.0), (100.0, 200.0), (1e4, 3200.0)])
def test_windows_are_made_stiff_until_they_stay(bend: float, expected: float) -> None:
    # At a top of curvature -bend a window of stiffness k has the variance 1 / (k - bend): k times it is below 2.5 from k = bend / 0.6 on.
    family = VonMises(1)
    x = torch.linspace(-math.pi, math.pi, 20_001, dtype=torch.double)[:-1, None]
    center = torch.linspace(-2.5, 2.5, 61, dtype=torch.double)[:, None]
    eta = family.natural(center, torch.full_like(center, 20.0))
    state = Discs(((-2.5,),), 0.5, True)  # type: ignore[arg-type]
    frames = route_frames("r", eta, bend * torch.cos(center[:, 0]), x, -bend * torch.cos(x[:, 0]), family, state, seed=1)
    assert stiffness_that_stays(frames, [Angle("t", 2, 0, 1)], seed=2) == expected
