"""Windows and names of ways: figures worked out by hand, and slopes against finite differences."""

import math

import numpy as np
import pytest

from spacetime_tps.coordinates.circle import difference, meet, winding
from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.naming import listed, place, read, unread
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import STEEPEST, Window, log_factors

LINEAR = Linear("s", (2.0, 0.0, -1.0))
ANGLE = Angle("t", 4, 3, 1)
"""Cosine and sine not side by side, and not from the first entry on"""


def turned(*degrees: float) -> np.ndarray:
    """T (F, 4) of `ANGLE`, other entries any number."""
    t = np.radians(degrees)
    return np.stack([np.full(len(t), 7.0), np.sin(t), np.full(len(t), -3.0), np.cos(t)], axis=1)


def test_factors_of_windows_by_hand() -> None:
    t = np.array([[1.0, 9.0, 0.5], [0.0, 9.0, 2.0]])
    np.testing.assert_allclose(LINEAR.value(t), [1.5, -2.0])
    np.testing.assert_allclose(Window(LINEAR, 0.5, 6.0).log_factor(t), [-3.0, -18.75])
    np.testing.assert_allclose(Window(LINEAR, 0.5, 6.0).slope(t), [[-12.0, 0.0, 6.0], [30.0, 0.0, -15.0]])
    held = Window(ANGLE, math.radians(30.0), 5.0)
    np.testing.assert_allclose(ANGLE.value(turned(75.0, -170.0)), np.radians([75.0, -170.0]))
    np.testing.assert_allclose(held.log_factor(turned(30.0, 90.0, -60.0)), [5.0, 2.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(held.slope(turned(1.0, 2.0)), np.tile([0.0, 2.5, 0.0, 2.5 * math.sqrt(3.0)], (2, 1)))
    np.testing.assert_allclose(log_factors([held, Window(ANGLE, 0.0, 2.0)], turned(60.0)), [[2.5 * math.sqrt(3.0), 1.0]])


@pytest.mark.parametrize("variable", [LINEAR, ANGLE, LINEAR.embedded(2, 7), ANGLE.embedded(3, 9)], ids=str)
def test_slopes_are_finite_differences_of_factors(variable: Variable) -> None:
    # The factors are at most quadratic in T: central differences are exact to rounding.
    window = Window(variable, 0.7, 3.0)
    t = np.random.default_rng(1).normal(size=(5, np.array(variable.functionals).shape[1]))
    step = 1e-4 * np.eye(t.shape[1])
    found = [(window.log_factor(t + s) - window.log_factor(t - s)) / 2e-4 for s in step]
    np.testing.assert_allclose(window.slope(t), np.stack(found, axis=-1), atol=1e-8)


@pytest.mark.parametrize("variable", [LINEAR, ANGLE], ids=str)
def test_a_variable_of_a_longer_t_is_the_same(variable: Variable) -> None:
    own = np.random.default_rng(2).normal(size=(6, np.array(variable.functionals).shape[1]))
    longer = np.random.default_rng(3).normal(size=(6, 11))
    longer[:, 5 : 5 + own.shape[1]] = own
    embedded = variable.embedded(5, 11)
    assert np.array(embedded.functionals).shape[1] == 11
    np.testing.assert_allclose(embedded.value(longer), variable.value(own))
    np.testing.assert_allclose(embedded.log_factor(longer, 0.3, 2.0), variable.log_factor(own, 0.3, 2.0))
    assert variable_of(embedded.to_json()) == embedded
    assert embedded.name == variable.name


def test_means_and_what_stays_by_hand() -> None:
    t = np.array([[1.0, 0.0, 1.0], [2.0, 0.0, 1.0], [3.0, 0.0, 1.0]])  # s = 1, 3, 5
    assert LINEAR.mean(t) == pytest.approx((3.0, 8.0 / 3.0))
    assert Window(LINEAR, 3.5, 0.25).deviation == 2.0
    assert Window(LINEAR, 3.5, 0.25).shift(t) == pytest.approx(-0.5)
    assert Window(LINEAR, 3.5, 0.25).stays(t)
    assert not Window(LINEAR, 5.1, 0.25).stays(t), "more than a deviation off"
    assert not Window(LINEAR, 3.0, 1.01 * STEEPEST * 3.0 / 8.0).stays(t), "too wide for its stiffness"
    assert Window(LINEAR, 3.0, 0.99 * STEEPEST * 3.0 / 8.0).stays(t)
    two = turned(170.0, -150.0)
    assert ANGLE.mean(two) == pytest.approx((math.radians(-170.0), 1.0 - math.cos(math.radians(20.0)) ** 2))
    assert Window(ANGLE, math.radians(175.0), 5.0).shift(two) == pytest.approx(math.radians(15.0))
    assert Window(ANGLE, math.radians(-175.0), 5.0).shift(two) == pytest.approx(math.radians(5.0))
    assert Window(ANGLE, math.radians(185.0 - 360.0 - 2.0), 5.0).shift(two) == pytest.approx(math.radians(7.0))


def test_places_are_read_in_degrees_within_half_a_turn_and_in_nm() -> None:
    for degrees, told in ((200.0, -160.0), (-200.0, 160.0), (30.0, 30.0), (-170.0, -170.0), (350.0, -10.0)):
        assert Window(ANGLE, math.radians(degrees), 5.0).place == pytest.approx(told)
    assert Window.at(ANGLE, 90.0, 5.0).center == pytest.approx(math.pi / 2.0)
    distance = Linear("d", (1.0, 0.0), 0.1)
    assert Window.at(distance, 0.35, 5.0).center == pytest.approx(3.5)
    assert Window(distance, 3.5, 5.0).read(4.25) == pytest.approx(0.425)


NAMES = ("t", "u", "v", "w", "x")
FOURS = tuple((k, k + 1, k + 2, k + 3) for k in range(5))


def degrees(*values: float) -> np.ndarray:
    return np.radians(values)


def test_ways_are_named_by_what_turns_most_in_the_order_of_the_torsions() -> None:
    torsions = Torsions(NAMES, FOURS)
    a, b = degrees(0.0, 10.0, 0.0, 0.0, 0.0), degrees(100.0, -50.0, 20.0, 170.0, 0.0)
    ways = torsions.ways(a, b, 6)  # eight combinations of three that turn are too many: one at a time
    assert [w.name for w in ways] == ["t+100_u-60_w+170", "t-260_u-60_w+170", "t+100_u+300_w+170", "t+100_u-60_w-190"]
    np.testing.assert_allclose(np.degrees(ways[1].change), [-260.0, -60.0, 20.0, 170.0, 0.0])
    assert [w.name for w in torsions.ways(a, b, 8)][4:] == [
        "t-260_u+300_w+170", "t-260_u-60_w-190", "t+100_u+300_w-190", "t-260_u+300_w-190",
    ]  # fmt: skip
    assert [w.name for w in torsions.ways(a, b, 2)] == ["t+100_u-60_w+170", "t-260_u-60_w+170"]
    most = torsions.ways(degrees(0, 0, 0, 0, 0), degrees(100.0, -60.0, 40.0, 170.0, -90.0), 1)
    assert most[0].name == "t+100_u-60_w+170_x-90"
    ring = Torsions(NAMES, FOURS, (False, True, False, True, False))
    assert [w.name for w in ring.ways(a, b, 8)] == ["t+100_u-60_w+170", "t-260_u-60_w+170"]
    assert torsions.ways(a, a + 0.1, 6)[0].name == "direct"
    assert not torsions.changed(a, a + np.radians(29.9))
    assert torsions.changed(a, a - np.radians([0.0, 0.0, 30.1, 0.0, 0.0]))


@pytest.mark.parametrize("turn", [-260.0, 100.0, 460.0])
def test_the_way_of_a_path_is_that_of_its_states_whichever_points_it_joins(turn: float) -> None:
    torsions = Torsions(NAMES[:2], FOURS[:2])
    a, b = degrees(20.0, 170.0), degrees(120.0, -150.0)
    first, last = degrees(20.0 - 33.0, 170.0 + 25.0), degrees(20.0 + turn + 41.0, -150.0 - 18.0)
    line = np.stack([np.linspace(first[0], last[0], 60), np.linspace(first[1], last[1] + 2.0 * np.pi, 60)], axis=1)
    wrapped = (line + np.pi) % (2.0 * np.pi) - np.pi
    assert torsions.way_of(wrapped, a, b) == f"t{turn:+.0f}_u+40"


def test_ways_of_a_product_join_what_the_blocks_tell() -> None:
    one, two, far = Torsions(("t",), FOURS[:1]), Torsions(("u",), FOURS[1:2]), Distances(("d",), ((0, 3),))
    product = Product((one, far, two))
    a, b = np.array([0.0, 1.0, 0.0]), np.array([math.radians(90.0), 3.0, math.radians(-120.0)])
    ways = product.ways(a, b, 3)
    assert [w.name for w in ways] == ["t+90_u-120", "t+90_u+240", "t-270_u-120"]
    np.testing.assert_allclose(ways[1].change, [math.radians(90.0), 2.0, math.radians(240.0)])
    assert product.way_of(a + np.linspace(0.0, 1.0, 30)[:, None] * ways[2].change, a, b) == "t-270_u-120"
    assert Product((far, Distances(("e",), ((0, 2),)))).ways(a[:2], b[:2], 5)[0].name == "direct"
    assert product.names == ("t", "d", "u")
    assert product.unit == ("degrees", "nm", "degrees")


def test_places_are_told_in_whole_degrees_and_hundredths_of_a_nanometre() -> None:
    two, far = Torsions(NAMES[:2], FOURS[:2]), Distances(("d", "e"), ((0, 3), (0, 2)))
    both, values = Product((two, far)), np.array([math.radians(190.0), math.radians(-170.4), 3.14, 12.0])
    assert place(both, values) == "t -170, u -170, d 0.31, e 1.20"
    np.testing.assert_allclose(read(both, values), [-170.0, -170.4, 0.314, 1.2])
    np.testing.assert_allclose(read(both, unread(both, np.array([170.0, -35.0, 0.5, 0.1]))), [170.0, -35.0, 0.5, 0.1])
    assert place(Torsions(NAMES, FOURS), np.zeros(5)) == "", "too many to be read"
    assert listed(NAMES) == "t, u, v, w and 1 more"
    assert listed(NAMES[:4]) == "t, u, v and w"


def test_differences_and_windings_by_hand() -> None:
    angular = np.array([True, False, True])
    a, b = np.array([3.0, 1.0, 0.5]), np.array([-3.0, -5.0, 0.2])
    np.testing.assert_allclose(difference(a, b, angular), [2.0 * np.pi - 6.0, -6.0, -0.3])
    line = np.stack([np.linspace(0.0, -4.0 * np.pi - 0.4, 50), np.linspace(0.0, 20.0, 50), np.linspace(0.0, 2.0 * np.pi + 1.0, 50)], axis=1)
    assert winding((line + np.pi) % (2.0 * np.pi) - np.pi, np.array([True, False, True])) == (-2, 0, 1)


def test_what_changes_enough_is_told_by_the_stated_limits() -> None:
    # 30 degrees, 0.05 nm of one distance, 0.03 nm of positions, root mean square over atoms.
    far = Distances(("d", "e"), ((0, 1), (0, 2)))
    assert not far.changed(np.zeros(2), np.array([0.49, -0.49]))
    assert far.changed(np.zeros(2), np.array([0.0, -0.51]))
    square = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.1, 0.1, 0.0), (0.0, 0.1, 0.0))
    held = Positions(("a", "b", "c", "d"), (0, 1, 2, 3), square)
    assert not held.changed(np.zeros(12), np.r_[0.59, np.zeros(11)])
    assert held.changed(np.zeros(12), np.r_[np.zeros(11), -0.61])
    # Stretched by a fifth about its centre: each of four corners moves by 0.2 of half a diagonal.
    grown = 1.2 * (np.array(square) - 0.05) + 0.05
    assert held.box_around(np.array(square), grown, "f") == {}, "0.0141 nm is less than 0.03 nm"
    apart = 0.5 * 0.1 * math.sqrt(0.5)
    box = held.box_around(np.array(square), 1.5 * np.array(square), "f")["rmsd"]
    assert box == {"file": "f", "atoms": [0, 1, 2, 3], "max_nm": pytest.approx(0.4 * apart, abs=5e-5)}
    near, wide = np.zeros((3, 3)), np.zeros((3, 3))
    near[1:, 0], wide[1:, 0] = (0.2, 0.5), (0.4, 0.3)
    assert far.box_around(near, wide, "f") == {"distances": [[0, 1, 0.0, 0.28], [0, 2, 0.42, 1000.0]]}


def posed(angle: float) -> np.ndarray:
    """Four atoms with a torsion of so many degrees."""
    t = math.radians(angle)
    return np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.1 * math.cos(t), 0.1 * math.sin(t)]])


@pytest.mark.parametrize(
    ("here", "there", "low", "high"), [(160.0, -60.0, 115.0, -155.0), (-170.0, 110.0, 158.0, -138.0), (20.0, 52.0, 7.2, 32.8)]
)
def test_default_ranges_of_torsions_end_well_before_the_other_structure(here: float, there: float, low: float, high: float) -> None:
    # 45 degrees either side, or 0.4 of the short way there: 56 -> 45, 32 and 12.8.
    one = Torsions(("t",), ((0, 1, 2, 3),))
    assert one.values(posed(here))[0] == pytest.approx(math.radians(here))
    (found,) = one.box_around(posed(here), posed(there), "f")["torsions"]
    assert found[:4] == [0, 1, 2, 3]
    assert found[4:] == pytest.approx([low, high], abs=1e-3)
    assert one.box_around(posed(here), posed(here + 29.0), "f") == {}


def test_ranges_meet_where_they_share_more_than_an_end() -> None:
    for first, second, shared in (
        ((0.0, 60.0), (60.0, 90.0), False), ((0.0, 60.5), (60.0, 90.0), True), ((170.0, -170.0), (-170.0, 0.0), False),
        ((170.0, -170.0), (-170.5, 0.0), True), ((0.0, 90.0), (20.0, 30.0), True), ((-10.0, 10.0), (20.0, -20.0), False),
    ):  # fmt: skip
        assert meet(first, second) == meet(second, first) == shared
    t, u = Torsions(NAMES[:3], FOURS[:3]), [*FOURS[2]]
    assert t.separating([{"torsions": [[*u, 0.0, 50.0]]}], [{"torsions": [[*u, 60.0, 90.0]]}]) == (Angle("v", 6, 4, 5),)
