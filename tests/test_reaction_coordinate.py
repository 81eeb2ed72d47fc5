"""The variable that the committor depends on, from outcomes of shots: on points whose committor is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from spacetime_tps.engines.surface.dynamics import Overdamped
from spacetime_tps.engines.surface.frames import route_frames
from spacetime_tps.engines.surface.shooting import SurfaceShooting
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.sampling.bootstrap import resampled
from spacetime_tps.shooting import reaction_coordinate
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.reaction_coordinate import FEWEST, NAME, SPAN, SURE, Outcomes, committor_variable, spanning
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.shooting.selection import FITS
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.weights import weighted_mean
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.unbiased.verdict import REACTIVE
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear

TRUE = np.array([3.0, -4.0, 0.0])
"""logit p_B = 0.5 + TRUE . T"""
CURVE = np.array([[-1.0, 1.0, 0.3], [0.0, 0.0, 0.3], [1.0, -1.0, 0.3]])
FIRST = Linear("first", (1.0, 0.0, 0.0))


def outcomes(points: int, *, seed: int, ended: int = 4, spread: tuple[float, float, float] = (0.3, 0.3, 2.0)) -> Outcomes:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(points, 3)) * np.array(spread)
    reached = rng.binomial(ended, expit(0.5 + features @ TRUE))
    return Outcomes(features, reached, np.full(points, ended), np.arange(points) % 16)


def test_the_direction_and_the_place_of_one_half_are_those_of_the_committor() -> None:
    # 32,000 trajectories: slopes are good to 2 per cent of their length. Where p_B = 1/2, TRUE . T = -0.5; the unit is half of the curve's
    # 14 in the logit.
    found = committor_variable(outcomes(8000, seed=1), FIRST, CURVE)
    assert found is not None
    assert found.variable.name == NAME
    direction = np.array(found.variable.direction)
    np.testing.assert_allclose(direction, TRUE / 7.0, atol=0.02)
    assert np.ptp(CURVE @ direction) == pytest.approx(SPAN)
    assert found.half == pytest.approx(-0.5 / 7.0, abs=0.02)


def test_what_it_gains_is_the_likelihood_that_the_other_variable_lacks() -> None:
    # The exact expectations, by the points themselves: of log p under the truth and under the best p of the first feature alone.
    many = outcomes(20_000, seed=2)
    p = expit(0.5 + many.features @ TRUE)
    best = -4.0 * (p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    s = np.round(many.features[:, 0], 1)
    average = np.array([p[s == value].mean() for value in s])
    other = -4.0 * (p * np.log(average) + (1 - p) * np.log(1 - average)).sum()
    found = committor_variable(many, FIRST, CURVE)
    assert found is not None
    assert found.gain == pytest.approx(other - best, rel=0.05)
    # Over 40 draws of 160 points gains scatter as their errors say.
    few = [committor_variable(outcomes(160, seed=seed), FIRST, CURVE) for seed in range(40)]
    gains = np.array([f.gain for f in few if f])
    assert len(gains) >= 36
    assert 0.6 < np.mean([f.gain_error for f in few if f]) / gains.std() < 1.6


def test_a_gain_that_is_not_sure_by_two_standard_errors_is_none() -> None:
    """Over a variable that is near the true one, about half of the fits tell enough more."""
    aside = np.array([0.5 * np.linalg.norm(TRUE), 0.0, 0.0])
    near = Linear("near", tuple((TRUE + aside).tolist()))
    found = [committor_variable(outcomes(160, seed=seed), near, CURVE) for seed in range(40)]
    sure = [f.gain / f.gain_error for f in found if f]
    assert 8 <= len(sure) <= 32
    assert SURE <= min(sure) < 1.2 * SURE


def test_a_variable_that_tells_as_much_is_kept() -> None:
    true = Linear("true", tuple(TRUE.tolist()))
    kept = sum(committor_variable(outcomes(160, seed=seed), true, CURVE) is None for seed in range(30))
    assert kept >= 28, "two standard errors"


def test_too_few_outcomes_or_the_wrong_way_round_give_none() -> None:
    assert committor_variable(outcomes(4000, seed=3), FIRST, CURVE[::-1]) is None, "B where the curve begins"
    many = outcomes(400, seed=4)
    nearly = np.zeros_like(many.ended)
    nearly[: FEWEST - 1] = 1
    assert committor_variable(Outcomes(many.features, nearly, many.ended, many.walk), FIRST, CURVE) is None
    assert committor_variable(Outcomes(many.features, many.ended - nearly, many.ended, many.walk), FIRST, CURVE) is None
    assert committor_variable(Outcomes(many.features, many.reached_b, many.ended, many.walk % 3), FIRST, CURVE) is None, "three walks"


def test_points_without_an_end_and_features_that_stand_still_do_not_count() -> None:
    many = outcomes(4000, seed=5)
    whole = committor_variable(many, FIRST, CURVE)
    still = np.concatenate([many.features, np.full((4000, 1), 0.7)], axis=1)
    beside = np.concatenate([still, np.random.default_rng(6).normal(size=(500, 4)) + 50.0])
    none = np.zeros(500, dtype=int)
    more = Outcomes(beside, *(np.concatenate([row, none]) for row in (many.reached_b, many.ended, many.walk)))
    first, curve = Linear("first", (1.0, 0.0, 0.0, 0.0)), np.concatenate([CURVE, np.ones((3, 1))], axis=1)
    found = committor_variable(more, first, curve)
    assert whole is not None
    assert found is not None
    np.testing.assert_allclose(found.variable.direction, (*whole.variable.direction, 0.0), rtol=1e-4, atol=1e-7)
    assert found.half == pytest.approx(whole.half, abs=1e-6)


def test_an_angle_is_compared_about_its_mean_whatever_the_seam() -> None:
    # The committor depends on an angle about 180 degrees alone: its logistic and that of cosine and sine tell the same.
    rng = np.random.default_rng(7)
    turn = 0.3 * rng.normal(size=4000)
    features = np.stack([np.cos(np.pi + turn), np.sin(np.pi + turn)], axis=1)
    many = Outcomes(features, rng.binomial(2, expit(4.0 * turn)), np.full(4000, 2), np.arange(4000) % 16)
    curve = np.stack([np.cos([2.5, 3.8]), np.sin([2.5, 3.8])], axis=1)
    assert committor_variable(many, Angle("t", 2, 0, 1), curve) is None
    other = committor_variable(many, Linear("cosine", (1.0, 0.0)), curve)
    assert other is not None
    assert abs(other.variable.direction[1]) > 5.0 * abs(other.variable.direction[0])


def test_the_ridge_shrinks_all_but_the_offset() -> None:
    # With everything reaching B but one trajectory, b0 is the logit of the share whatever the ridge; b goes to nothing.
    reached, ended = np.full(50, 2), np.full(50, 2)
    reached[0] = 1
    z = np.random.default_rng(8).normal(size=(50, 2))
    offset, slope = reaction_coordinate._fit(z, reached, ended, 1e6)
    assert offset == pytest.approx(np.log(99.0), rel=1e-3)
    np.testing.assert_allclose(slope, 0.0, atol=1e-4)
    free, steep = reaction_coordinate._fit(z, reached, ended, 0.0)
    residual = ended * expit(free + z @ steep) - reached
    np.testing.assert_allclose([residual.sum(), *(z.T @ residual)], 0.0, atol=2e-3)


def test_a_direction_is_given_in_a_unit_of_half_the_curve() -> None:
    assert spanning("x", np.array([0.0, 5.0]), np.array([[0.0, 1.0], [3.0, 1.4], [9.0, 0.9]])) == Linear("x", (0.0, 4.0))


@dataclass(frozen=True)
class Slanted:
    """U = 5 (s^2 - 1)^2 + 2 r^2, with s along (1, 1) and r across: two wells, and a barrier that x alone hardly sees."""

    dimension = 2

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        s, r = (x[..., 0] + x[..., 1]) / np.sqrt(2.0), (x[..., 0] - x[..., 1]) / np.sqrt(2.0)
        return 5.0 * (s**2 - 1.0) ** 2 + 2.0 * r**2

    def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        s, r = (x[..., 0] + x[..., 1]) / np.sqrt(2.0), (x[..., 0] - x[..., 1]) / np.sqrt(2.0)
        by_s, by_r = 20.0 * s * (s**2 - 1.0), 4.0 * r
        return self.energy(x), torch.stack([by_s + by_r, by_s - by_r], dim=-1) / np.sqrt(2.0)


X = Linear("x", (1.0, 0.0, 0.0))
AT = 1.0 / np.sqrt(2.0)
A, B = Discs(((-AT, -AT),), 0.4, False), Discs(((AT, AT),), 0.4, False)


def shot(variables: tuple[Linear, ...], *, copies: int = 1, chosen: Linear | None = None, paths: int = 400) -> Ensemble:
    settings = ShootingSettings(
        paths=paths, budget=3_000_000, stiffness=30.0, walkers=24, points=10, gap=60, shots=1, equilibration=300, rung_steps=240,
        pilot_shots=10, states=0,
    )  # fmt: skip
    family, surface = Cartesian(2), Slanted()
    axis = torch.linspace(-1.6, 1.6, 81, dtype=torch.double)
    grid = torch.cartesian_prod(axis, axis)
    center = torch.linspace(-AT, AT, 41, dtype=torch.double)[:, None].expand(-1, 2)
    eta = family.natural(center, torch.full_like(center[:, :1], 20.0))
    frames = route_frames("r", eta, surface.energy(center), grid, -surface.energy(grid), family, A, seed=2)
    engine = SurfaceShooting(Overdamped(surface, 1.0, 1e-3), family, A, B, settings, seed=3, longest=50_000)
    copied = [replace(frames, route=f"r{k}") for k in range(copies)]
    return ShotSampler(engine, settings, seed=3, rates=False).sample(copied, variables, chosen=chosen)


def duration(found: Ensemble) -> tuple[float, float]:
    steps = np.concatenate([b.path_points for b in found.batches]).astype(float)
    walker = np.concatenate([b.point_walk[b.shot_point[b.path_shot]] for b in found.batches])
    mean = weighted_mean(steps, found.weight, resampled(walker, draws=200, rng=np.random.default_rng(1)))
    return mean.value, mean.error


def test_shots_from_a_poor_variable_lead_to_a_better_one_and_to_the_same_paths() -> None:
    found, straight = shot((X,)), shot(())
    (site,), (other,) = found.sites, straight.sites
    names = [v.name for v in site.tried]
    assert names == ["x", *[NAME] * (len(names) - 1)]
    assert 2 <= len(names) <= 1 + FITS
    assert isinstance(site.latest.variable, Linear)
    x, y, square = site.latest.variable.direction
    assert y / x == pytest.approx(1.0, abs=0.4)
    assert abs(square) < 0.2 * x
    # So many are fitted as a site may have, whatever else was tried.
    before = replace(site, batches=[b for b in site.batches if b.window.variable == X])
    assert [replace(before, fits=most).committor() is None for most in (0, 1)] == [True, False]
    assert replace(site, fits=len(names) - 1).committor() is None
    first, *_, second = (max(t.reactive for t in trials) for trials in site.tried.values())
    assert second > first + 0.03
    assert not found.separating
    assert found.enough
    assert straight.enough
    assert other.latest.variable.name == "a_to_b"
    (one, its), (two, error) = duration(found), duration(straight)
    assert abs(one - two) < 3.0 * np.hypot(its, error)
    assert max(its, error) < 0.06 * two


def test_a_variable_that_was_chosen_is_held_right_or_wrong() -> None:
    right, wrong = (shot((X,), chosen=Linear(name, way), paths=40) for name, way in (("s", (AT, AT, 0.0)), ("r", (AT, -AT, 0.0))))
    for found, name in ((right, "s"), (wrong, "r")):
        assert [v.name for site in found.sites for v in site.tried] == [name], "nothing else is tried, and none is fitted"
        assert not found.separating
    shots = [np.concatenate([(b.shot_forward != b.shot_backward) for b in found.batches]).mean() for found in (right, wrong)]
    assert shots[0] > 0.25
    assert shots[1] < REACTIVE, "the verdict's bound"


def test_no_variable_is_fitted_where_there_are_several_routes() -> None:
    found = shot((X,), copies=2)
    assert [list(s.tried) for s in found.sites] == [[X]], "routes that cross together are one site"
    assert found.separating
