"""What the rounds of the exploration decide, part by part: the noise floor, which routes are followed, how far a curve is trusted, which
windows count, where walks begin and how long they are.

Expectations are written out case by case, or follow from a circle in closed form.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hinge import PLANE, A, B, Here, frames, hinge, letters, placed
from scipy.special import ive

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.denoisers.protocol import Fitted
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Trained, Unseen
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines, polish
from spacetime_tps.exploration import rounds as module
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.choice import best, close, explored, followed, in_doubt
from spacetime_tps.exploration.classes import Classes, ClassSamples
from spacetime_tps.exploration.ends import Ends, walk_ends
from spacetime_tps.exploration.floor import NoiseFloor, first_floor
from spacetime_tps.exploration.forbidden import Box
from spacetime_tps.exploration.optimisation import CurveOptimiser
from spacetime_tps.exploration.regions import ForbiddenBox
from spacetime_tps.exploration.rounds import Explored, Rounds, _stood_still, _told
from spacetime_tps.exploration.route import Nearness, Route, Winding
from spacetime_tps.exploration.sampled import _ranks
from spacetime_tps.exploration.settings import (
    AvoidanceSettings,
    ExplorationSettings,
    GeodesicSettings,
    RoundSettings,
    TrainingSettings,
    WindowSettings,
)
from spacetime_tps.geometry.curve import energy as curve_energy
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import Geodesic, evaluate
from spacetime_tps.geometry.penalties import Convex, Penalty
from spacetime_tps.geometry.relax import relax
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.windows import CurveWindows
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.storage.memory import Memory
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames

CIRCLE = VonMises(1)
ROOT = math.sqrt(2.0)


def geodesic(barrier: float, *, segment: float = 0.5, effective: float = 100.0, eta: torch.Tensor | None = None) -> Geodesic:
    """What is known of a curve."""
    eta = torch.zeros((3, 4), dtype=torch.double) if eta is None else eta
    cost = torch.tensor([0.0, barrier, 0.0], dtype=torch.double)
    return Geodesic(eta, torch.tensor([0.1, segment]), torch.tensor([300.0, effective, 300.0]), cost, 1.0, 2.0, ())


def route(
    name: str = "r", barrier: float | None = 5.0, *, winding: int = 0, rounds: int = 2, apart: float = 1.0, overlap: float = 0.5,
    divergence: float | None = None, crosses: bool = False,
) -> Route:  # fmt: skip
    """A route that was optimised unless its barrier is None; divergence and crosses: of a region with a floor of 10 nats."""
    near = (Nearness("x", divergence, 10.0, 0.0, None, crosses),) if divergence is not None or crosses else ()
    known = None if barrier is None else geodesic(barrier)
    return Route(name, (winding, 0), np.zeros((3, 4)), known, rounds, apart, overlap, near)


# The noise floor ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "windows", "apart", "overlap", "after"),
    [
        (20.0, 24, 1.0, 0.5, (20.0, 24)),  # nothing to ask for
        (20.0, 24, float("nan"), 0.5, (20.0, 24)),
        (20.0, 24, 5.0, 0.5, (20.0, 24)),  # 5 kT is no disagreement yet
        (20.0, 24, 5.1, 0.5, (40.0, 24)),  # two basins in a window
        (20.0, 24, 20.0, 0.5, (40.0, 24)),
        (20.0, 24, 20.1, 0.5, (80.0, 24)),  # hopeless
        (20.0, 24, 6.0, 0.4, (40.0, 24)),  # plenty of overlap
        (20.0, 24, 6.0, 0.39, (40.0, 34)),  # sqrt(2) windows more
        (20.0, 24, 30.0, 0.3, (80.0, 48)),
        (300.0, 24, 6.0, 0.5, (400.0, 24)),  # up to the highest
        (300.0, 24, 30.0, 0.3, (400.0, 28)),  # sqrt(4 / 3) more
        (400.0, 24, 6.0, 0.5, (400.0, 24)),  # as high as it may be
        (400.0, 24, 6.0, 0.05, (400.0, 34)),
        (20.0, 24, 1.0, 0.1, (20.0, 24)),  # enough overlap
        (20.0, 24, 1.0, 0.09, (20.0, 34)),  # hardly any: windows between
        (10.0, 24, 1.0, 0.09, (10.0, 34)),
        (20.1, 24, 1.0, 0.09, (20.1, 34)),
        (20.0, 24, 30.0, 0.09, (20.0, 34)),  # and what the two directions say is nothing
        (20.0, 24, 1.0, 0.99, (20.0, 24)),  # more than is needed is no reason to move
    ],
)
def test_the_floor_moves_where_windows_ask_for_it(
    precision: float, windows: int, apart: float, overlap: float, after: tuple[float, int]
) -> None:
    found = NoiseFloor(precision, windows, 400.0).after(route(apart=apart, overlap=overlap), WindowSettings())
    assert (found.precision, found.windows) == (pytest.approx(after[0]), after[1])


def test_the_floor_keeps_to_the_settings() -> None:
    narrow = 30.0 * ROOT
    wide = WindowSettings(min_overlap=0.3)
    assert NoiseFloor(30.0, 8, narrow).after(route(overlap=0.45, apart=6.0), wide).precision == pytest.approx(30.0 * ROOT)
    assert NoiseFloor(31.0, 8, narrow).after(route(overlap=0.35), wide) == NoiseFloor(31.0, 8, narrow)
    assert NoiseFloor(30.0, 8, narrow).after(route(overlap=0.25), wide) == NoiseFloor(30.0, 11, narrow)


# Which routes are followed ------------------------------------------------------------------------------------------------------------

ONE = RoundSettings()
KNOWN = {(0, 0), (1, 0)}


def names(routes: list[Route]) -> list[str]:
    return [r.name for r in routes]


def test_a_route_of_the_best_ones_class_is_in_doubt_while_its_windows_disagree() -> None:
    leader = route("a")
    assert in_doubt(route("b", rounds=1, apart=5.1), leader)
    assert in_doubt(route("b", rounds=2, apart=50.0), leader)
    assert not in_doubt(route("b", rounds=3, apart=5.1), leader), "three rounds are enough"
    assert not in_doubt(route("b", rounds=1, apart=5.0), leader)
    assert not in_doubt(route("b", winding=1, rounds=1, apart=9.0), leader), "other classes move no floor"
    doubtful = route("b", 80.0, rounds=1, apart=9.0)
    assert names(followed([leader, doubtful, route("c", 80.0)], KNOWN, ONE)) == ["a", "b"]


def test_all_are_followed_while_no_barrier_is_known() -> None:
    routes = [route(name, None, winding=k) for k, name in enumerate("abc")]
    assert names(followed(routes, KNOWN, ONE)) == ["a", "b", "c"]


def test_then_those_close_to_the_best_new_ones_and_those_of_unknown_classes() -> None:
    routes = [route("a", 5.0), route("b", 7.0), route("c", 7.1), route("d", 30.0, winding=2), route("e", None, winding=1)]
    assert names(followed(routes, KNOWN, ONE)) == ["a", "b", "d", "e"], "every new curve"
    assert names(followed(routes, {*KNOWN, (2, 0)}, ONE)) == ["a", "b", "e"]
    assert names(followed(routes, KNOWN, RoundSettings(routes=3))) == ["a", "b", "c", "d", "e"]
    assert names(followed(routes, KNOWN, RoundSettings(route_margin_kT=2.2))) == ["a", "b", "c", "d", "e"]


def test_the_best_is_the_one_of_lowest_rank_wherever_it_stands() -> None:
    routes = [route("far", 9.0), route("near", 8.9), route("best", 5.0)]
    assert names(followed(routes, KNOWN, ONE)) == ["far", "best"], "the first as one is to be sampled at least"
    assert best([route("a", 4.0, rounds=0), route("b", 6.0, rounds=1), route("c", 5.0, rounds=2)]).name == "c"
    assert best([route("a", 4.0, apart=6.0), route("b", 6.0)]).name == "b", "a barrier that is not known ranks behind"
    assert best([route("a", 4.0, divergence=5.0), route("b", 6.0), route("c", 3.0, crosses=True)]).name == "b"


@pytest.mark.parametrize(
    ("through", "leads_through", "near"), [(False, False, True), (True, False, False), (True, True, True), (False, True, True)]
)
def test_a_route_through_a_region_is_close_to_none_that_keeps_out(through: bool, leads_through: bool, near: bool) -> None:
    assert close(route("r", 6.9, crosses=through), route("best", 5.0, crosses=leads_through), ONE) is near
    assert not close(route("r", 7.1, crosses=through), route("best", 5.0, crosses=leads_through), ONE)


def test_regions_are_explored_once_the_best_keeps_out_or_cannot_and_its_rivals_are_known() -> None:
    clear, near, through = route("clear"), route("near", divergence=5.0), route("through", crosses=True)
    rivals = [route("a", rounds=2), route("b", 6.0, rounds=2), route("far", 30.0, rounds=1)]
    assert explored(rivals, clear, KNOWN, ONE)
    assert not explored(rivals, near, KNOWN, ONE), "more rounds may take it out"
    assert explored(rivals, through, KNOWN, ONE), "there is no way past"
    assert not explored([*rivals, route("c", 6.0, rounds=1)], clear, KNOWN, ONE)
    assert not explored([*rivals, route("new", None, rounds=0)], clear, KNOWN, ONE)


# The optimiser ------------------------------------------------------------------------------------------------------------------------

NOTHING = {"low_variance_weight": 0.0, "barrier_weight": 0.0, "followable_weight": 0.0, "effective_samples_weight": 0.0}
EVERYWHERE = torch.linspace(-math.pi, math.pi, 401, dtype=torch.double)[:-1, None]
FLAT = WeightedSamples(CIRCLE.features(EVERYWHERE), torch.zeros(400, dtype=torch.double))


def optimiser(avoidance: Avoidance | None = None, **settings: float) -> CurveOptimiser:
    avoidance = avoidance or Avoidance((), CIRCLE, margin=0.0, floor=10.0)
    return CurveOptimiser(CIRCLE, GeodesicSettings(**{"points": 32, **settings}), AvoidanceSettings(), avoidance)


def total(penalties: list[Penalty], eta: torch.Tensor, samples: WeightedSamples) -> float:
    return sum(float(p(eta, samples.moments(eta))) for p in penalties)


def at(kappa: float, center: float = 0.0, turn: float = 0.0, points: int = 32) -> torch.Tensor:
    """A curve of one precision whose center turns by so much."""
    along = center + turn * torch.linspace(0.0, 1.0, points, dtype=torch.double)[:, None]
    return CIRCLE.natural(along, torch.full_like(along, kappa))


def test_each_penalty_acts_with_its_weight() -> None:
    """In units of 3, on curves that stay where they are, so that means and soft maxima over the curve are the values themselves."""
    low = optimiser(**{**NOTHING, "low_variance_weight": 7.0}).penalties(3.0, floor=40.0)
    assert total(low, at(10.0), FLAT) == pytest.approx(3.0 * 7.0 * 0.75**2)
    assert total(low, at(50.0), FLAT) == 0.0
    barrier = optimiser(**{**NOTHING, "barrier_weight": 0.2}).penalties(3.0, floor=40.0)
    confined = 8.0 * ive(1, 8.0) / ive(0, 8.0) - 8.0 - math.log(ive(0, 8.0))
    assert total(barrier, at(8.0), FLAT) == pytest.approx(3.0 * 0.2 * confined, rel=1e-6)
    mixed = torch.cat([at(8.0, points=1), at(0.0, points=1)])
    soft = math.log((math.exp(4.0 * confined) + 1.0) / 2.0) / 4.0
    sharp = optimiser(**{**NOTHING, "barrier_weight": 0.2, "barrier_sharpness": 4.0}).penalties(3.0, floor=40.0)
    assert total(sharp, mixed, FLAT) == pytest.approx(3.0 * 0.2 * soft, rel=1e-6)
    few = WeightedSamples(CIRCLE.features(EVERYWHERE[::40]), torch.zeros(10, dtype=torch.double))
    support = optimiser(**{**NOTHING, "effective_samples_weight": 5.0, "min_effective_samples": 20.0}).penalties(3.0, floor=40.0)
    assert total(support, at(0.0), few) == pytest.approx(3.0 * 5.0 * math.log(2.0 * 20.0 / 10.0) ** 2)
    assert total(support, at(0.0), FLAT) == 0.0
    # Wells a radian either side of the middle: its variance is sin(1)^2 / 1, times the precision of 10 over the limit of 2
    wells = WeightedSamples(CIRCLE.features(torch.tensor([[-1.0], [1.0]], dtype=torch.double)), torch.zeros(2, dtype=torch.double))
    leap = torch.cat([at(10.0, -1.0, points=1), at(10.0, 0.0, points=1), at(10.0, 1.0, points=1)])
    steep = optimiser(**{**NOTHING, "followable_weight": 4.0, "steepest": 2.0}).penalties(3.0, floor=40.0)
    assert total(steep, leap, wells) == pytest.approx(3.0 * 4.0 * (10.0 * math.sin(1.0) ** 2 / 2.0 - 1.0) ** 2 / 3.0, rel=1e-3)


BOX = Box("box", State(((TorsionRange((0, 1, 2, 3), -30.2, 30.2),),)), Torsions(("phi",), ((0, 1, 2, 3),)))


def marked(samples: WeightedSamples, avoidance: Avoidance) -> WeightedSamples:
    """Samples of the circle with the sets that frames of the molecule would be in."""
    degrees = torch.rad2deg(CIRCLE.center(samples.features))[:, 0].numpy()
    return WeightedSamples(samples.features, samples.log_weights, marks=torch.from_numpy(avoidance.marks(placed(degrees))))


def test_regions_push_in_units_of_the_straight_curve() -> None:
    start = at(20.0, -1.5, 3.0)
    avoidance = Avoidance([BOX], CIRCLE, margin=math.radians(5.0), floor=6.0)
    found = optimiser(avoidance).regions(start, marked(FLAT, avoidance), 0.5)
    share = torch.softmax(FLAT.features @ start.T, dim=0)[(EVERYWHERE[:, 0].abs() <= math.radians(35.2))].sum(0)
    lack = torch.relu(1.0 + share.log() / 6.0)
    unit = lines.straight_energy(start, FLAT, CIRCLE)
    assert unit == pytest.approx(0.5 * 20.0 * 9.0, rel=0.05), "half precision times the way squared"
    assert total(found, start, FLAT) == pytest.approx(0.5 * unit * float(lack.square().mean()))
    away = WeightedSamples(FLAT.features[EVERYWHERE[:, 0].abs() > 1.0], torch.zeros(int((EVERYWHERE.abs() > 1.0).sum())))
    assert optimiser(avoidance).regions(start, marked(away, avoidance), 0.5) == [], "there is nothing to avoid where no sample is"


class Seen(Avoidance):
    """Keeps the weights that it is asked for."""

    def penalties(self, denoiser: WeightedSamples, ends: torch.Tensor, *, weight: float) -> list[Penalty]:
        self.__dict__.setdefault("weights", []).append(weight)
        return super().penalties(denoiser, ends, weight=weight)


@pytest.mark.parametrize(("start", "turn", "first", "passes"), [(-1.5, 3.0, True, 5), (-1.5, 3.0, False, 1), (1.0, 1.0, True, 1)])
def test_a_curve_is_pushed_harder_from_pass_to_pass_when_it_first_enters_a_region(
    start: float, turn: float, first: bool, passes: int
) -> None:
    seen = Seen([BOX], CIRCLE, margin=math.radians(5.0), floor=6.0)
    curve = at(20.0, start, turn)
    found = replace(optimiser(seen, evaluations=3, nodes=6)).geodesic(curve, marked(FLAT, seen), floor=20.0, first=first)
    unit = lines.straight_energy(curve, FLAT, CIRCLE)
    weights = np.array(seen.weights) / unit  # type: ignore[attr-defined]
    assert len(weights) == passes
    np.testing.assert_allclose(weights, [0.3, 1.0, 3.0, 10.0, 30.0][-passes:], rtol=0.3)  # the unit follows the curve
    assert len(found.eta) == 32
    assert 1 <= len(found.trace) <= 4


def test_a_curve_without_regions_is_optimised_once_under_all_penalties() -> None:
    curve = at(10.0, -1.5, 3.0)
    weights = {**NOTHING, "evaluations": 60, "nodes": 6}
    free = optimiser(**weights).geodesic(curve, FLAT, floor=20.0, first=True)
    held = optimiser(**{**weights, "low_variance_weight": 500.0}).geodesic(curve, FLAT, floor=20.0, first=True)
    assert float(CIRCLE.level(free.eta).min()) < 5.0, "on a flat circle, wide noise is the short way"
    assert float(CIRCLE.level(held.eta)[8:24].min()) > 18.0
    np.testing.assert_allclose(held.eta[[0, -1]], curve[[0, -1]], atol=1e-9)


def support(kappa: float) -> float:
    """Effective number of the 400 samples around the circle: 400 I0(kappa)^2 / I0(2 kappa)."""
    return float(400.0 * ive(0, kappa) ** 2 / ive(0, 2.0 * kappa))


@pytest.mark.parametrize(
    ("supported", "kept"), [(300.0, 220.0), (150.0, 120.0), (90.0, 70.0), (60.0, 45.0), (40.0, 32.5), (30.0, 20.0), (5.0, 20.0)]
)
def test_of_a_curve_beyond_support_half_the_way_is_tried_four_times(supported: float, kept: float) -> None:
    """From precision 20 to 220 along the same centers, the way halved is 120, 70, 45 and 32.5. A fifth of the wanted samples must be there:
    as many as there are at the precision `supported`."""
    least = support(supported)
    work = optimiser(min_effective_samples=least / 0.2)
    start, found = at(20.0, 0.0, 1.0), evaluate(at(220.0, 0.0, 1.0), FLAT, family=CIRCLE, points=32, trace=(1.0, 0.5))
    got = work.trusted(start, found, FLAT)
    np.testing.assert_allclose(CIRCLE.level(got.eta), kept, rtol=2e-3)
    assert got.trace == (1.0, 0.5)


def test_a_curve_is_followed_where_it_is_supported_and_neither_leaps_nor_is_steep() -> None:
    work = optimiser(min_effective_samples=20.0)
    eta = at(20.0, 0.0, 1.0, points=3)
    assert work.followed(geodesic(0.0, segment=2.0, effective=4.0, eta=eta), FLAT)
    assert not work.followed(geodesic(0.0, segment=2.01, effective=4.0, eta=eta), FLAT)
    assert not work.followed(geodesic(0.0, segment=2.0, effective=3.99, eta=eta), FLAT)
    wells = WeightedSamples(CIRCLE.features(torch.tensor([[-1.0], [1.0]], dtype=torch.double)), torch.zeros(2, dtype=torch.double))
    steepness = 20.0 * math.sin(1.0) ** 2  # of the middle; none is left over at the ends
    leap = geodesic(0.0, eta=torch.cat([at(20.0, c, points=1) for c in (-1.0, 0.0, 1.0)]))
    assert optimiser(steepest=steepness / 2.0 * 1.01).followed(leap, wells)
    assert not optimiser(steepest=steepness / 2.0 * 0.99).followed(leap, wells)


# What is known of each class ----------------------------------------------------------------------------------------------------------

PROBLEM = hinge()


def windows(apart: float, *, shift: float = 0.0, each: int = 4) -> CurveWindows:
    """Two windows whose directions differ by so much, kT."""
    eta = np.array([[5.0, 0.0, 5.0, 0.0], [4.0, 3.0, 5.0, 0.0]])
    forward, backward = (
        frames(np.tile(np.linspace(-80.0, 80.0, each), 2) + d, 5.0, point=np.repeat([0, 1], each)) for d in (shift, shift + 5.0)
    )
    other = np.array([0.0, apart])
    return CurveWindows(eta, forward, backward, np.array([0.5]), other, np.zeros(2), other, np.array([[1, 2], [3, 4]]))


def ends(every: int = 1) -> Pool:
    spread = np.linspace(-25.0, 25.0, 8)
    return Pool.of_ends(PLANE, A, B, [frames(-90.0 + spread, 5.0)], [frames(90.0 + spread, 5.0)], every=every)


def test_unsound_windows_stay_alone_and_leave_when_sound_ones_come() -> None:
    start = ends()
    samples = ClassSamples(start.copy())
    for count, (apart, sets, sound) in enumerate([
        (5.1, [(0, "r0")], False),  # no equilibrium, but all there is
        (9.0, [(1, "r1")], False),  # the latest alone
        (5.0, [(2, "r2")], True),
        (5.1, [(2, "r2")], True),  # left out
        (0.0, [(2, "r2"), (4, "r4")], True),
    ]):  # fmt: skip
        samples.take(windows(apart), count, f"r{count}", start)
        assert (samples.sets, samples.sound) == (sets, sound)
        assert len(samples.pool.windows) == len(sets)
        assert samples.pool.counts.tolist() == [8, 8, *[8, 8] * len(sets)]
    assert start.counts.tolist() == [8, 8], "the ends are shared, and stay as they are"


def test_routes_of_one_class_share_their_samples() -> None:
    classes = Classes(ends())
    first, second, other = route("a"), route("b"), route("c", winding=1)
    early, late = windows(0.0), windows(1.0, shift=3.0)
    classes.take(first, 1, early)
    classes.take(second, 1, late)
    classes.take(other, 2, windows(9.0))
    assert (0, 0) in classes
    assert (1, 0) in classes
    assert (2, 0) not in classes
    assert classes.of[0, 0].sets == [(1, "a"), (1, "b")]
    assert classes.latest["a"] is early
    assert classes.latest["b"] is late
    assert classes.frames().shape == (16 + 2 * 16 + 16 + 16, 5, 3)
    classes.weigh({(0, 0)})
    weights = np.exp(classes.of[0, 0].log_weight)
    assert weights.sum() == pytest.approx(1.0)
    assert classes.of[1, 0].weights is None
    denoiser = classes.denoiser((0, 0))
    np.testing.assert_allclose(denoiser.log_weights, classes.of[0, 0].log_weight)
    np.testing.assert_allclose(denoiser.features, classes.of[0, 0].pool.features)
    np.testing.assert_array_equal(denoiser.inefficiency[16:32], np.repeat([1, 3, 2, 4], 4))


# MD in the two ends -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("equilibration", "discard"), [(60, 60), (5, 20)])
def test_walks_in_the_ends_are_as_long_as_asked_for_each_with_a_seed_of_its_own(equilibration: int, discard: int) -> None:
    settings = TrainingSettings(walks=2, equilibration_steps=equilibration, steps_a=80, steps_b=40, stride=20)
    with Here(PROBLEM) as simulation:
        found = walk_ends(PROBLEM, simulation, settings, seed=3)
        walks = simulation.asked
        assert simulation.storage.names("samples/*.trr") == [f"samples/md_{end}_{k}.trr" for end in "AB" for k in (0, 1)]
    assert [w.seed for w in walks] == [seed_of(3, f"md_{end}", k) for end in "AB" for k in (0, 1)]
    assert [(w.steps, w.discard, w.stride) for w in walks] == [(discard + n, discard, 20) for n in (80, 80, 40, 40)]
    assert all(w.bias is None and w.velocities is None for w in walks)
    for walk, structure in zip(walks, [PROBLEM.start] * 2 + [PROBLEM.end] * 2, strict=True):
        np.testing.assert_array_equal(walk.positions, structure.positions)
    assert [len(f) for f in (*found.in_a, *found.in_b)] == [4, 4, 2, 2]
    assert found.evaluations == 4 * discard + 240
    assert [title for title, *_ in simulation.told.tasks] == ["MD in both ends"]
    assert simulation.told.tasks[0][1] == sum(simulation.told.tasks[0][2]) == found.evaluations


def test_windows_start_where_the_last_walk_was_inside_last() -> None:
    found = Ends(PROBLEM, [frames([-90.0, -80.0, 0.0], 1.0), letters("...")], [frames(90.0, 2.0), frames([80.0, 70.0], 3.0)])
    in_a, in_b = (np.degrees(PLANE.values(x)) for x in found.last)
    np.testing.assert_allclose(in_a, [-80.0, 1.0], atol=1e-3)
    np.testing.assert_allclose(in_b, [70.0, 3.0], atol=1e-3)
    with pytest.raises(SpacetimeError, match="plain MD left its state at once"):
        _ = Ends(PROBLEM, [letters("..b")], [letters("b")]).last


def test_ends_are_held_as_firmly_as_their_state_needs() -> None:
    """On frames all around phi, 99 % of the precision at an end must be within 30 degrees of it: kappa = 20 has 98 %, 24 has 99 %."""
    around = frames(np.linspace(-180.0, 180.0, 721)[:-1], 20.0)
    middle, found = 20.0, Ends(PROBLEM, [around], [around]).precisions(20.0, 21)
    angle = np.radians(np.linspace(-180.0, 180.0, 721)[:-1])
    inside = {
        k: np.exp(k * np.cos(angle))[np.abs(angle) <= math.radians(30.0)].sum() / np.exp(k * np.cos(angle)).sum()
        for k in (20.0, 24.0, 28.8)
    }
    expected = min(k for k, share in inside.items() if share >= 0.99)
    assert inside[20.0] < 0.99
    assert found.shape == (21, 2)
    np.testing.assert_allclose(found[[0, -1]], expected)
    np.testing.assert_allclose(found[2:-2], middle)
    assert Ends(PROBLEM, [letters("aa.")], [letters("bb")]).pool(every=1).counts.tolist() == [2, 2]
    assert ends(every=3).counts.tolist() == [3, 3]


def breathing(phi: float, share: float, count: int = 200) -> Frames:
    """Frames with this phi, half of them larger by a share and half smaller: the distances over phi and psi, both of
    0.15 sqrt(3) nm, have the variance 6.75 share^2 of 0.01 nm^2."""
    still = frames([phi] * count, 90.0)
    sign = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None, None]
    return replace(still, positions=((1.0 + share * sign) * still.positions).astype(np.float32))


LENGTHS = replace(hinge(), coordinates=Distances(("d", "e"), ((0, 3), (1, 4))))


def test_heat_is_the_variance_of_lengths_within_the_states() -> None:
    one, other, gone = breathing(-90.0, 0.1), breathing(90.0, 0.2), frames([0.0, 30.0], 0.0)
    found = Ends(LENGTHS, [one, gone], [other])
    assert found.heat == pytest.approx(6.75 * (0.1**2 + 0.2**2) / 2.0, rel=1e-4), "the mean of both ends, of frames in their states alone"
    assert first_floor(GeodesicSettings(), found.heat, 24).precision == pytest.approx(1.0 / found.heat)
    few = Ends(LENGTHS, [one], [breathing(90.0, 0.2, 98)])
    assert few.heat == pytest.approx(6.75 * 0.1**2, rel=1e-4), "98 frames say nothing"
    assert Ends(LENGTHS, [one], [breathing(90.0, 0.2, 100)]).heat == pytest.approx(found.heat)
    cold = Ends(LENGTHS, [breathing(-90.0, 0.05)], [breathing(90.0, 0.05)])
    assert cold.heat == pytest.approx(1.0 / 59.26, rel=1e-3)
    assert first_floor(GeodesicSettings(), cold.heat, 24).precision == 40.0, "no narrower than that"
    assert Ends(LENGTHS, [frames([-90.0] * 50)], [letters("b")]).heat == 0.0
    angles = Ends(PROBLEM, [one], [other])
    assert angles.heat == 0.0, "angles have a scale of their own"


def test_a_floor_that_heat_sets_does_not_rise() -> None:
    warm = Ends(LENGTHS, [breathing(-90.0, 0.1)], [breathing(90.0, 0.1)])
    with Here(LENGTHS) as simulation:
        work = Rounds(LENGTHS, simulation, ExplorationSettings(), warm, seed=1)
        assert work.floor == NoiseFloor(1.0 / warm.heat, 24, 1.0 / warm.heat)
        asked = ExplorationSettings(geodesic=GeodesicSettings(floor=10.0))
        assert Rounds(LENGTHS, simulation, asked, warm, seed=1).floor == NoiseFloor(10.0, 24, 400.0)


def test_precisions_rise_to_the_ends_over_a_tenth() -> None:
    found = lines.precisions(10.0, np.array([30.0, 10.0]), np.array([50.0, 20.0]), 21)
    np.testing.assert_allclose(found[[0, 1, 2, 10, 18, 19, 20], 0], [30.0, 20.0, 10.0, 10.0, 10.0, 30.0, 50.0])
    np.testing.assert_allclose(found[[0, 1, 2, 10, 18, 19, 20], 1], [10.0, 10.0, 10.0, 10.0, 10.0, 15.0, 20.0])


def test_an_end_that_nothing_holds_is_made_no_narrower_than_twelve_steps() -> None:
    far = CIRCLE.features(torch.full((5, 1), 2.0, dtype=torch.double)).numpy()
    found = lines.end_precision(CIRCLE, np.zeros(1), far, np.zeros(5, dtype=bool), 10.0)
    assert found == pytest.approx([10.0 * 1.2**12])


# Between the parts --------------------------------------------------------------------------------------------------------------------


def rounds(simulation: Here, **settings: object) -> Rounds:
    around = frames(np.linspace(-180.0, 180.0, 721)[:-1], 20.0)
    return Rounds(PROBLEM, simulation, ExplorationSettings(**settings), Ends(PROBLEM, [around], [around]), seed=1)


def test_the_floor_of_a_round_follows_the_best_route_and_says_why() -> None:
    with Here(PROBLEM) as simulation:
        work = rounds(simulation)
        assert work.floor == NoiseFloor(40.0, 24, 400.0)
        assert work.move_floor(route(), [route()])
        assert simulation.told.lines == []
        assert not work.move_floor(route("far", apart=30.0), [])
        assert work.floor == NoiseFloor(160.0, 24, 400.0)
        assert simulation.told.lines == [
            "  windows walked from A and from B differ by 30.0 kT on far: the noise floor rises to 160, which tells basins apart that one "
            "window held"
        ]
        assert work.move_floor(route(overlap=0.9), [])
        assert len(simulation.told.lines) == 1
        assert work.precisions()[10] == pytest.approx([160.0] * 2)
        before = lines.line(PLANE.family(), np.radians([-90.0, 20.0]), np.radians([180.0, 0.0]), np.full((64, 2), [40.0, 300.0]))
        raised = PLANE.family().precisions(torch.from_numpy(work._raised(before))).numpy()
        np.testing.assert_allclose(raised[8:-8], [[160.0, 300.0]] * 48, err_msg="windows are walked at the floor, wherever the curve was")
        np.testing.assert_allclose(lines.centers(work._raised(before), PLANE.family()), lines.centers(before, PLANE.family()))
        work.floor = NoiseFloor(400.0, 24, 400.0)
        assert not work.move_floor(route(apart=25.0, overlap=0.05), [])
        assert work.floor == NoiseFloor(400.0, 34, 400.0)
        assert len(simulation.told.lines) == 1, "nothing rose"


def test_a_curve_is_held_back_while_it_rests_on_less_than_twice_the_wanted_samples() -> None:
    with Here(PROBLEM) as simulation:
        work = rounds(simulation)
        assert work.held_back(replace(route(), geodesic=geodesic(5.0, effective=29.9)))
        assert not work.held_back(replace(route(), geodesic=geodesic(5.0, effective=30.0)))
        assert work.explored([route("new", None)], route()), "nothing is forbidden"


class Concave:
    """psi = -|eta|^2 / 2: every segment is negative."""

    def moments(self, eta: torch.Tensor) -> Moments:
        return Moments(-0.5 * eta.square().sum(-1), -eta, torch.full(eta.shape[:-1], 99.0, dtype=torch.double))


def test_negative_segments_never_pay() -> None:
    eta, away = at(0.0, points=5), Concave()
    eta = eta + torch.linspace(0.0, 1.0, 5, dtype=torch.double)[:, None]
    found = Convex(weight=3.0)(eta, away.moments(eta))
    assert float(found) == pytest.approx(3.0 * 4 * eta.shape[1] / 16.0)
    assert float(Convex(weight=3.0)(eta, FLAT.moments(eta))) == 0.0
    assert polish.is_convex(eta, FLAT)
    assert not polish.is_convex(eta, away)


class Doubled:
    """mu twice that of uniform angles: energies are twice theirs; psi is of no concern to an energy."""

    def moments(self, eta: torch.Tensor) -> Moments:
        there = FLAT.moments(eta)
        return there._replace(mean=2.0 * there.mean, log_partition=torch.full_like(there.log_partition, 1e9))


def test_a_polished_curve_has_the_models_energy_and_the_samples_penalties() -> None:
    asked: list[Moments] = []

    def penalty(eta: torch.Tensor, moments: Moments) -> torch.Tensor:
        asked.append(moments)
        return 3.0 + 0.0 * eta.sum()

    start = torch.cat([at(10.0, 0.0, 0.5, 4), at(20.0, 0.7, 0.5, 4)])
    settings = GeodesicSettings(points=8, nodes=4, evaluations=5)
    found = polish.polished(start, Doubled(), FLAT, [penalty], CIRCLE, settings)
    first = start_energy(start, settings)
    assert found.trace[0] == pytest.approx(2.0 * first + 3.0)
    assert found.trace[-1] < found.trace[0]
    torch.testing.assert_close(found.curve[[0, -1]], start[[0, -1]])
    torch.testing.assert_close(asked[-1].log_partition, FLAT.moments(found.curve).log_partition, rtol=0.2, atol=0.5)
    assert float(asked[0].log_partition.detach().max()) < 100.0, "the samples', not the model's"


def start_energy(start: torch.Tensor, settings: GeodesicSettings) -> float:
    """Of the spline through a curve, at its points."""
    found = relax(CIRCLE.chart(start), lambda z: (z * 0.0).sum(), nodes=settings.nodes, points=settings.points, evaluations=1)
    eta = CIRCLE.from_chart(found.curve)
    return float(curve_energy(eta, FLAT.moments(eta).mean))


def test_as_much_of_the_way_is_gone_as_is_sound() -> None:
    """From one curve to another by halves; what is left is told by the samples."""
    here, there = (evaluate(at(10.0, x, 1.0), FLAT, family=CIRCLE, points=32) for x in (0.0, 0.8))
    toward = optimiser().toward
    assert toward(here, there, FLAT) is there
    away = float((there.eta - here.eta).norm())
    near = toward(here, there, FLAT, sound=lambda g: float((g.eta - here.eta).norm()) < 0.3 * away)
    assert near is not None
    assert 0.2 * away < float((near.eta - here.eta).norm()) < 0.3 * away
    assert toward(here, there, FLAT, sound=lambda g: False) is None


def test_intermediate_minima_become_routes_the_lowest_first() -> None:
    """Between phi = -90 and an end at phi = -20 lies the minimum at 90, 20, into which half of the frames fall."""
    problem = replace(PROBLEM, end=Structure(PROBLEM.end.topology, placed(-20.0, 20.0)[0]))
    with Here(problem) as simulation:
        settings = ExplorationSettings(rounds=RoundSettings(quenches=5))
        work = Rounds(problem, simulation, settings, Ends(problem, [letters("aaaa")], [letters("bbbb")]), seed=1)
        work.classes.take(route(), 1, windows(0.0))
        straight = lines.straight_routes(PLANE, *problem.ends, work.precisions(), 1)[0]
        assert work.through_minima(0, [straight]) == []
        assert work.evaluations == 0
        (found,) = work.through_minima(3, [straight])
        assert work.evaluations > 5
        assert found.name.endswith("_via_90_20")
        centers = np.degrees(lines.centers(found.eta, PLANE.family()))
        np.testing.assert_allclose(centers[0], [-90.0, 20.0], atol=1e-3)
        assert np.abs((centers[:, 0] - 90.0 + 180.0) % 360.0 - 180.0).min() < 10.0
        assert len(work.through_minima(1, [straight])) == 1
        assert work.through_minima(3, [found]) == [], "a route leads there already"


def test_of_routes_that_run_together_the_one_followed_longest_stays() -> None:
    precision = np.full((9, 2), 40.0)
    routes = lines.straight_routes(PLANE, *PROBLEM.ends, precision, 2)
    new, known, other = replace(routes[0], name="new"), replace(routes[0], name="known", rounds=2), replace(routes[1], rounds=1)
    assert {r.name for r in lines.distinct([new, known, other], PLANE)} == {"known", other.name}
    assert {r.name for r in lines.distinct([known, new, other], PLANE)} == {"known", other.name}


def test_a_route_is_optimised_where_it_has_windows_that_are_sound() -> None:
    with Here(PROBLEM) as simulation:
        work = rounds(simulation, geodesic=GeodesicSettings(points=12, nodes=6, evaluations=3))
        straight = lines.straight_routes(PLANE, *PROBLEM.ends, work.precisions(), 1)[0]
        assert work.optimise(straight) == [straight]
        work.classes.take(straight, 1, windows(0.0))
        work.classes.weigh({straight.winding})
        assert work.optimise(straight) == [straight], "its class has samples, but none along it"
        (stays,) = work.optimise(replace(straight, rounds=1, disagreement=6.0))
        assert stays.geodesic is not None
        assert stays.geodesic.trace == ()
        np.testing.assert_allclose(stays.eta, straight.eta, atol=1e-6)  # points stay where they were walked
        np.testing.assert_array_equal(stays.geodesic.eta, stays.eta)  # and that is what is kept, and paths are walked along
        (found,) = [r for r in work.optimise(replace(straight, rounds=1, disagreement=1.0)) if r.geodesic]
        assert found.geodesic is not None
        assert 1 <= len(found.geodesic.trace) <= 4
        assert found.name == straight.name


def test_a_curve_that_cannot_be_followed_leaves_the_one_that_windows_were_walked_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own precisions are 90 in the middle, those of the floor 40: to begin anew from the floor is the optimiser's business alone."""
    monkeypatch.setattr(CurveOptimiser, "followed", lambda *args, **named: False)
    with Here(PROBLEM) as simulation:
        work = rounds(simulation, geodesic=GeodesicSettings(points=13, nodes=6, evaluations=3))
        straight = lines.straight_routes(PLANE, *PROBLEM.ends, work.precisions(), 1)[0]
        precision = work.precisions() + 50.0 * np.sin(np.linspace(0.0, np.pi, 13))[:, None] ** 2
        centers = lines.centers(straight.eta, PLANE.family())
        walked = replace(straight, eta=lines.at_precision(PLANE.family(), centers, precision), rounds=1, disagreement=1.0)
        work.classes.take(walked, 1, windows(0.0))
        work.classes.weigh({walked.winding})
        kept, *_ = work.optimise(walked)
    assert float(PLANE.family().precisions(torch.from_numpy(kept.eta)).min(-1).values[3:10].max()) > 85.0


def test_windows_that_disagree_though_the_last_ones_did_not_are_walked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = iter([9.0, 9.0, 2.0])
    monkeypatch.setattr(module, "gather", lambda *args: windows(next(apart)))
    with Here(PROBLEM) as simulation:
        work = rounds(simulation, geodesic=GeodesicSettings(points=12, nodes=6, evaluations=3), windows=WindowSettings(count=4))
        one, other = lines.straight_routes(PLANE, *PROBLEM.ends, work.precisions(), 2)
        agreed, new = replace(one, rounds=1, disagreement=1.0), other
        first, second = work.sample(2, [agreed, new])
        lines_said = simulation.told.lines
    assert (first.name, first.disagreement, first.rounds) == (one.name, 2.0, 2)
    assert (second.name, second.disagreement, second.rounds) == (other.name, 9.0, 1)
    assert lines_said[0].endswith("both directions differ by 2.0 kT, walked once more after 9.0 kT")
    assert lines_said[1].endswith("both directions differ by 9.0 kT")
    assert [(s.route, s.disagreement) for s in work.sets] == [(one.name, 9.0), (one.name, 2.0), (other.name, 9.0)]
    assert work.evaluations == 3 * 2 * 4 * WindowSettings().steps


def test_regions_that_routes_enter_are_passed_best_barrier_first() -> None:
    box = ForbiddenBox(box={"phi": (-30.0, 30.0), "psi": (-20.0, 60.0)})
    with Here(PROBLEM) as simulation:
        work = rounds(simulation, avoid=(box,), rounds=RoundSettings(max_routes=6))
        precision = np.full((64, 2), 20.0)
        up = lines.line(PLANE.family(), np.radians([-90.0, 20.0]), np.radians([180.0, 0.0]), precision)
        entering = [replace(route(name, barrier, crosses=True), eta=up) for name, barrier in (("high", 9.0), ("low", 4.0))]
        clear = replace(route("clear", 1.0), eta=up)
        found = work.past_regions([*entering, clear])
        assert [r.name.split("_")[0] for r in found] == ["low", "low", "high"], "half as many as there may be initial curves"
        assert len({r.name for r in found}) == 3
        assert work.past_regions([clear]) == []


def test_paths_are_walked_along_the_first_routes_and_the_best_of_each_other_class() -> None:
    routes = [route("a"), route("b", rounds=0), route("c"), route("d", winding=1), route("e", winding=1), route("f", winding=2, rounds=0)]
    assert list(_ranks(routes, 1)) == [1, 4]
    assert list(_ranks(routes, 2)) == [1, 3, 4]
    assert list(_ranks(routes, 4)) == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("lengths", "rounds"),
    [
        ([], 0),
        ([20.0], 0),
        ([20.0, 20.9], 1),
        ([20.0, 21.1], 0),
        ([20.0, 21.1, 21.0], 1),
        ([20.0, 20.5, 21.0, 20.9], 3),
        ([9.0, 9.1, 5.0], 0),
    ],
)
def test_a_length_stands_still_from_round_to_round(lengths: list[float], rounds: int) -> None:
    assert _stood_still(lengths, 0.05) == rounds


# The loop -----------------------------------------------------------------------------------------------------------------------------


class Scripted(Rounds):
    """Rounds whose windows and curves are given, one list of routes a round; what decides on the next round is as it is."""

    script: ClassVar[list[list[Route]]] = []

    def sample(self, count: int, routes: list[Route]) -> list[Route]:
        self.__dict__.setdefault("floors", []).append(self.floor.precision)
        return list(self.script[count - 1])

    def optimise(self, route: Route) -> list[Route]:
        return [route]

    def through_minima(self, most: int, routes: Sequence[Route]) -> list[Route]:
        self.__dict__.setdefault("room", []).append((most, [r.name for r in routes]))
        return []

    def past_regions(self, routes: Sequence[Route]) -> list[Route]:
        self.__dict__.setdefault("past", []).append([r.name for r in routes])
        return []

    def train(self, routes: Sequence[Route]) -> dict[Winding, Fitted]:
        self.__dict__["trained"] = [r.name for r in routes]
        return {}

    def polish(self, route: Route, trained: dict[Winding, Fitted], floor: float) -> Route:
        return replace(route, name=f"{route.name}, polished at {floor:g}")


def measured(name: str, rounds: int, *, length: float = 2.0, barrier: float = 5.0, effective: float = 100.0, apart: float = 1.0) -> Route:
    """A route with a curve of a length; `rounds`, in which windows were sampled along it."""
    known = replace(geodesic(barrier, effective=effective), length=length)
    return replace(route(name, barrier, rounds=rounds, apart=apart), geodesic=known)


def explored_by(
    script: list[list[Route]], monkeypatch: pytest.MonkeyPatch, *, storage: Storage | None = None, **settings: object
) -> tuple[Explored, Scripted, list[str]]:
    """What is left behind of rounds that go as written, the last of them as often as there are more."""
    made: list[Scripted] = []

    class Kept(Scripted):
        def __init__(self, *args: Any, **named: Any):
            super().__init__(*args, **named)
            made.append(self)

    longest = RoundSettings().max_rounds
    Kept.script = [*script, *[script[-1]] * longest]
    monkeypatch.setattr(module, "Rounds", Kept)
    around = frames(np.linspace(-180.0, 180.0, 721)[:-1], 20.0)
    monkeypatch.setattr(module, "walk_ends", lambda *args, **named: Ends(PROBLEM, [around], [around]))
    with Here(PROBLEM, storage=storage) as simulation:
        found = module.explore(PROBLEM, simulation, ExplorationSettings(**settings), seed=1)  # type: ignore[arg-type]
        return found, made[0], simulation.told.lines


def first(**more: float) -> Route:
    return measured("a", 1, **more)


AGAIN = [measured("a", 2)]
REGION = ForbiddenBox(box={"phi": (-30.0, 30.0), "psi": (100.0, 150.0)})


@pytest.mark.parametrize(
    ("script", "floors"),
    [
        ([[first()], AGAIN], [40, 40]),  # two rounds at least
        ([[first()], [measured("a", 2, effective=29.9)]], [40] * 3),  # held back: it is to have stood still for two rounds
        ([[first()], [measured("a", 2, effective=30.0)]], [40] * 2),
        ([[first()], [measured("a", 2, length=2.2)]], [40] * 3),  # longer by a tenth
        ([[first()], [measured("a", 2, length=2.09)]], [40] * 2),
        ([[first(apart=9.0)], AGAIN], [40, 40]),  # windows along a curve that no one has seen yet move no floor
        ([[first()], [measured("a", 2, apart=9.0)], AGAIN], [40, 40, 80]),
        ([[first()], [measured("b", 1)], [measured("b", 2)]], [40] * 3),  # a new leader is to be walked twice
        ([[first()], [measured("b", 1, apart=9.0)], [measured("b", 2)]], [40, 40, 80]),  # and moves the floor like the one before
        ([[first(length=float(n))] for n in range(1, 9)], [40] * 6),  # six rounds at most
    ],
)
def test_rounds_go_on_until_the_best_curve_stays(script: list[list[Route]], floors: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    found, work, told = explored_by(script, monkeypatch)
    assert work.__dict__["floors"] == floors
    assert found.floor == floors[-1]
    assert found.lengths == [script[min(k, len(script) - 1)][0].length for k in range(len(floors))]
    assert [line.split(":")[0] for line in told if line.startswith("round")] == [f"round {k + 1}" for k in range(len(floors))]


def test_where_regions_are_a_new_leader_moves_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a detour, as new as curves of the first round are."""
    script = [[first()], [measured("b", 1, apart=9.0)], [measured("b", 2)]]
    _, work, _ = explored_by(script, monkeypatch, avoid=(REGION,))
    assert work.__dict__["floors"] == [40] * 3
    _, work, _ = explored_by([[first()], [measured("a", 2, apart=9.0)], AGAIN], monkeypatch, avoid=(REGION,))
    assert work.__dict__["floors"] == [40, 40, 80], "one that is known does"


def test_other_curves_come_after_the_first_round_and_the_best_are_polished(monkeypatch: pytest.MonkeyPatch) -> None:
    worse = replace(measured("c", 2, barrier=9.0), winding=(1, 0))
    other = replace(measured("b", 2, barrier=7.0), winding=(2, 0))
    script = [[first(), replace(worse, rounds=1)], [worse, other, *AGAIN]]
    found, work, told = explored_by(script, monkeypatch, rounds=RoundSettings(routes=2, max_routes=8))
    assert work.__dict__["room"] == [(6, ["a", "c"])], "as many as are left of eight"
    assert work.__dict__["past"] == [["a", "c"]]
    assert work.__dict__["trained"] == ["a", "b"]
    assert [r.name for r in found.routes] == ["a, polished at 40", "b, polished at 40", "c"]
    assert told[0] == (
        "round 1: best route a, length 2.00, barrier 5.00 kT, effective samples >= 100, largest segment 0.500, kappa floor 40.0"
    )


def test_walks_that_nothing_asks_for_any_more_are_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Memory()
    with Here(PROBLEM, storage=storage) as before:
        walk_ends(PROBLEM, before, TrainingSettings(walks=1, equilibration_steps=20, steps_a=20, steps_b=20, stride=20), seed=3)
    assert storage.names("samples/*.trr") == ["samples/md_A_0.trr", "samples/md_B_0.trr"]
    explored_by([[first()], AGAIN], monkeypatch, storage=storage)
    assert storage.names("samples/*.trr") == []


def test_training_is_told_in_thermal_spreads_and_standard_errors() -> None:
    assert _told("r", Trained([], 1.2345)) == "denoiser trained on the samples of r: held-out loss 1.234"
    assert _told("r", Trained([], -2.0, Unseen(4, 0.06, 0.05, 0.02))) == (
        "denoiser trained on the samples of r: held-out loss -2.000; off 4 unseen windows by 0.060 of the thermal spread (3.0 of their "
        "standard errors), weighted samples by 0.050"
    )


def test_a_route_through_a_minimum_turns_where_its_legs_meet() -> None:
    """From phi = -90 by -30 to 90 on the short way: a leg of 60 degrees and one of 120, a third and two thirds of the points."""
    here, via, there = (np.radians([phi, 20.0]) for phi in (-90.0, -30.0, 90.0))
    found = lines.through(PLANE, here, via, there, np.full((31, 2), 40.0))
    expected = np.concatenate([np.linspace(-90.0, -30.0, 11), np.linspace(-30.0, 90.0, 21)[1:]])
    np.testing.assert_allclose(np.degrees(lines.centers(found.eta, PLANE.family()))[:, 0], expected, atol=1e-9)
    close = lines.through(PLANE, here, here + 0.001, there, np.full((31, 2), 40.0))
    np.testing.assert_allclose(lines.centers(close.eta, PLANE.family())[1], here + 0.001, atol=1e-9, err_msg="the first point at least")
    late = lines.through(PLANE, here, there - 0.001, there, np.full((31, 2), 40.0))
    np.testing.assert_allclose(lines.centers(late.eta, PLANE.family())[-2], there - 0.001, atol=1e-9, err_msg="the last but one at most")


@pytest.mark.parametrize(("apart", "kept"), [(0.34, 1), (0.36, 2)])
def test_routes_of_a_class_run_together_within_a_third_of_a_radian(apart: float, kept: int) -> None:
    here, there = np.radians([-90.0, 20.0]), np.radians([180.0, 0.0])
    one, other = (lines.line(PLANE.family(), here + np.array([0.0, d]), there, np.full((9, 2), 40.0)) for d in (0.0, apart))
    routes = [Route("one", (0, 0), one, rounds=1), Route("other", (0, 0), other)]
    assert len(lines.distinct(routes, PLANE)) == kept
    assert len(lines.distinct([routes[0], replace(routes[1], winding=(1, 0))], PLANE)) == 2
