"""Where the window of a crossing ends up, the ladder from there to A, its free energy by quadrature, and committors of points."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from spacetime_tps.shooting.batches import WindowTrial
from spacetime_tps.shooting.committor import Committors
from spacetime_tps.shooting.crossing import FRUITLESS, MOST_WINDOWS, Crossing, crossings_of, distinct, hopeless, next_window
from spacetime_tps.shooting.ladder import MET, RUNG, EnsembleFrames, ladder_error, log_partitions, rungs
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

PLANE = (Angle("phi", 4, 0, 1), Angle("psi", 4, 2, 3))
ONE = Angle("t", 2, 0, 1)
TRAJECTORIES = 10**6
"""Of a trial without noise"""


def crossing(center: float, *, torsion: int = 0, onward: float = 1.0, stiffness: float = 100.0, route: str = "r") -> Crossing:
    return Crossing(route, Window(PLANE[torsion], center, stiffness), onward, -5.0)


def tried(window: Window, share: float, *, on_top: bool = True) -> WindowTrial:
    return WindowTrial(window, on_top, round(share * TRAJECTORIES), TRAJECTORIES, 2.0 * share * (1.0 - share))


def search(begin: Crossing, committor: object, on_top: object = lambda w: True) -> tuple[Window, int]:
    """The window to stay with and how many were tried."""
    trials: list[WindowTrial] = []
    while True:
        window, settled = next_window(begin, trials)
        if settled:
            return window, len(trials)
        trials.append(tried(window, committor(window.center), on_top=on_top(window)))


@given(st.floats(-0.5, 0.5), st.floats(4.0, 15.0), st.sampled_from([-1.0, 1.0]), st.floats(-3.0, 3.0))
def test_windows_lead_to_where_half_of_the_trajectories_reach_b(off: float, slope: float, onward: float, half: float) -> None:
    # A committor logistic in the torsion, no noise: the line through the logits is exact but for the draw to one half, 1 in 10^6.
    # Windows move 0.15 rad at a time, so from 0.5 rad away it takes at most four steps to pass the half-way, and five trials.
    window, count = search(crossing(half + off, onward=onward), lambda x: expit(slope * onward * (x - half)))
    assert window.center == pytest.approx(half, abs=0.01)
    assert window.stiffness == 100.0
    assert 2 <= count <= 5
    assert count <= MOST_WINDOWS


def test_a_window_at_half_is_stayed_with_though_the_line_through_all_is_zero_beyond_it() -> None:
    # Shares that are not logistic: the line through all logits is zero 0.01 rad beyond the last. To step on would lead back and forth.
    share = {0: 0.03, 1: 0.05, 2: 0.505}
    window, count = search(crossing(0.0), lambda x: share[round(x / 0.15)])
    assert (window.center, count) == (pytest.approx(0.3), 3)


def test_a_window_whose_trajectories_met_no_state_says_nothing_of_where_half_is() -> None:
    # Two of twelve and ten of twelve, drawn to one half, are as far from it; the window between, off the middle, has no outcome.
    trials = [WindowTrial(Window(ONE, c, 100.0), True, n, total, 0.1) for c, n, total in ((0.0, 1, 10), (0.05, 0, 0), (0.3, 9, 10))]
    window, settled = next_window(replace(crossing(0.0), window=trials[0].window), trials)
    assert settled
    assert window.center == pytest.approx(0.15, abs=1e-6)


def test_searches_with_noise_end() -> None:
    # As in the run, batches of one window are one trial. The binomial noise of 96 trajectories a batch led one search in fifty back and
    # forth without end. The share at the place is one half within 0.05, root mean square, the standard error of one trial.
    rng = np.random.default_rng(5)
    off = []
    for begin in rng.uniform(-0.5, 0.5, 300):
        counts: dict[Window, int] = {}
        batches: dict[Window, int] = {}
        settled = False
        while not settled:
            trials = [WindowTrial(w, True, n, 96 * batches[w], 0.3) for w, n in counts.items()]
            window, settled = next_window(crossing(begin), trials)
            counts[window] = counts.get(window, 0) + int(rng.binomial(96, expit(8.0 * window.center)))
            batches[window] = batches.get(window, 0) + 1
            assert sum(batches.values()) <= MOST_WINDOWS + 1
        off.append(expit(8.0 * window.center) - 0.5)
    assert np.sqrt(np.mean(np.square(off))) < 0.05


def test_a_window_that_slides_is_stiffened_and_moved_back() -> None:
    def on_top(window: Window) -> bool:
        return window.stiffness > 250.0

    # A slide counts as all trajectories in the state it went to; windows of another stiffness do not enter the line.
    window, count = search(crossing(0.2), lambda x: expit(8.0 * x), on_top)
    assert window.stiffness == 400.0
    assert window.center == pytest.approx(0.0, abs=0.01)
    assert count <= 6


def test_where_no_window_leads_to_half_the_most_reactive_is_kept() -> None:
    def cliff(x: float) -> float:
        return 0.05 + 0.1 * (x > 0.3)

    window, count = search(crossing(0.0), cliff)
    assert count == MOST_WINDOWS
    assert cliff(window.center) == pytest.approx(0.15)


def test_hopeless_is_said_after_a_few_fruitless_windows_only() -> None:
    barren = [tried(Window(ONE, 0.1 * k, 100.0), 0.0) for k in range(FRUITLESS)]
    assert not hopeless(barren[:-1])
    assert hopeless(barren)
    assert not hopeless([*barren, tried(Window(ONE, 1.0, 100.0), 0.3)])


def test_crossings_of_one_torsion_near_each_other_are_one() -> None:
    turn = 2.0 * math.pi
    found = [
        crossing(3.1, route="first"),
        crossing(-3.1, route="across the seam"),
        crossing(3.1 + turn, route="a turn on"),
        crossing(3.1, torsion=1, route="another torsion"),
        crossing(3.1 - math.radians(31), route="31 degrees away"),
    ]
    assert [c.route for c in distinct(found)] == ["first", "another torsion", "31 degrees away"]


def test_a_window_stays_where_its_frames_are_one_peak_at_its_center() -> None:
    rng = np.random.default_rng(1)
    window = Window(PLANE[1], 3.0, 100.0)

    def frames(angle: np.ndarray) -> np.ndarray:
        return np.stack([np.ones_like(angle), 0.0 * angle, np.cos(angle), np.sin(angle)], axis=-1)

    angle = 3.0 + window.deviation * rng.normal(size=4000)
    assert window.stays(frames(angle))
    assert not window.stays(frames(angle + 1.5 * window.deviation))
    assert not window.stays(frames(angle + np.where(np.arange(4000) % 2, 2.0, -2.0) * window.deviation))


def test_the_top_of_a_curve_is_where_the_window_costs_most() -> None:
    # Torsion 0 has a barrier of 6 kT at 0.4, torsion 1 one of 3 kT at -0.3. psi by quadrature, which the weighted grid itself is.
    grid = np.linspace(-math.pi, math.pi, 120, endpoint=False)
    angles = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    energy = 6.0 * np.cos(angles[:, 0] - 0.4) + 3.0 * np.cos(angles[:, 1] + 0.3)
    log_weight = -energy - np.log(np.exp(-energy).sum())
    features = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1, 4)
    # Torsion 0 goes from its one well at 0.4 + 180 degrees round to the other end of the same, torsion 1 half of the way over its top.
    line = np.linspace([0.4 + math.pi, -1.5], [0.4 - math.pi, 1.3], 81)
    curve = np.stack([np.cos(line), np.sin(line)], axis=-1).reshape(-1, 4)
    none = np.zeros(0, dtype=int)
    for sign in (1.0, -1.0):
        along = curve[:: int(sign)]
        frames = RouteFrames("r", along, along, np.zeros(81), features, log_weight, energy < 0.0, energy < 0.0, none, float)
        found = crossings_of(frames, [PLANE[1], PLANE[0]], stiffness=50.0)
        assert [c.window.variable for c in found] == list(PLANE), "highest barrier first"
        for crossing, top, onward, k in zip(found, (0.4, -0.3), (-sign, sign), (0, 1), strict=True):
            assert math.remainder(crossing.window.center - top, 2.0 * math.pi) == pytest.approx(0.0, abs=0.05)
            assert (crossing.onward, crossing.route) == (onward, "r")
            weight = np.exp(log_weight + 50.0 * np.cos(angles[:, k] - crossing.window.center))
            assert crossing.log_partition == pytest.approx(math.log(weight.sum()), abs=1e-9)


def test_places_on_an_angle_go_the_way_round_that_centers_go() -> None:
    # Wells at 60 and -60 degrees, tops of equal height at 0 and at 180. Frames are in the wells at either end of both routes.
    features = pairs(GRID)
    log_weight = -6.0 * np.cos(3.0 * GRID) / 3.0 - 20.0 * (np.abs(GRID) > 2.9)
    log_weight -= math.log(np.exp(log_weight).sum())
    ends = pairs(np.array([math.pi / 3, -math.pi / 3]))
    for middle, onward in ((0.0, -1.0), (math.pi, 1.0)):
        turn = np.linspace(math.pi / 3, -math.pi / 3 + (2.0 * math.pi if middle else 0.0), 9)
        frames = RouteFrames("r", pairs(turn), ends, np.zeros(9), features, log_weight, GRID < 0, GRID < 0, np.arange(1), float)
        (found,) = crossings_of(frames, [ONE], stiffness=100.0)
        assert found.onward == onward
        assert found.window.center == pytest.approx(middle, abs=0.1), "and no turn further"


GRID = np.linspace(-math.pi, math.pi, 20_000, endpoint=False)
BOLTZMANN = np.exp(-4.0 * np.cos(2.0 * GRID) - 0.8 * np.sin(GRID))
"""Barriers of 8 kT at 0 and 180 degrees, A in the well at 90 degrees"""
IN_A = (GRID > 0.9) & (GRID < 2.3)


def pairs(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def drawn(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(GRID, count, p=weight / weight.sum()) + rng.uniform(0.0, GRID[1] - GRID[0], count)


def tilted(window: Window) -> np.ndarray:
    return BOLTZMANN * np.exp(window.stiffness * np.cos(GRID - window.center))


def test_free_energies_of_a_ladder_are_those_of_quadrature() -> None:
    # Independent draws from each window, eight "walks". Tolerance of two ladders: 3 link errors; false alarms 0.6 %, seeds fixed. Over
    # twelve the root mean square is the link error within a factor of 1.6; chance alone (chi-square) leaves 0.66 to 1.32, 90 of 100 times.
    top = Window(ONE, 0.1, 60.0)
    missed, errors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        in_a = pairs(drawn(BOLTZMANN * IN_A, 2000, rng))
        ladder = rungs(top, -1.0, in_a)
        assert 3 < len(ladder) < 10
        ensembles = []
        for window in [*ladder[::-1], top]:
            angle = drawn(tilted(window), 320, rng)
            ensembles.append(EnsembleFrames(window.log_factor, pairs(angle), (angle > 0.9) & (angle < 2.3), np.arange(320) // 40))
        psi = log_partitions(in_a, ensembles)
        exact = np.array([math.log(tilted(w).sum() / (BOLTZMANN * IN_A).sum()) for w in (*ladder[::-1], top)])
        missed.append(float(psi[-1] - exact[-1]))
        if len(errors) < 2:
            errors.append(ladder_error(in_a, ensembles, draws=30, rng=rng))
            assert errors[-1] < 0.25
            assert (np.abs(psi - exact) < 3 * errors[-1]).all()
    assert 1 / 1.6 < np.sqrt(np.mean(np.square(missed))) / np.mean(errors) < 1.6


@pytest.mark.parametrize("onward", [1.0, -1.0])
@pytest.mark.parametrize("spread", [0.2, 0.02])
def test_rungs_go_down_to_a_and_stop_where_they_meet_it(onward: float, spread: float) -> None:
    # The narrow well is narrower than the windows, under which its frames are then worth much wherever the window is.
    rng = np.random.default_rng(3)
    angle = -onward * (1.2 + spread * rng.normal(size=1000))
    top = Window(ONE, 0.0, 100.0)
    ladder = rungs(top, onward, pairs(angle))
    assert [w.center for w in ladder] == pytest.approx([-onward * RUNG * top.deviation * (k + 1) for k in range(len(ladder))])
    assert {w.stiffness for w in ladder} == {100.0}
    met = []
    for window in ladder:
        weight = np.exp(window.stiffness * np.cos(angle - window.center))
        near = (np.abs(angle - window.center) < 2.0 * RUNG * window.deviation).sum()
        met.append(min(near, weight.sum() ** 2 / (weight**2).sum()) >= MET)
    assert met == [False] * (len(ladder) - 1) + [True]


@pytest.mark.parametrize("spread", [0.3, 0.02])
def test_there_are_no_rungs_where_a_is_not_met_within_half_a_circle(spread: float) -> None:
    top = Window(ONE, 0.0, 100.0)
    assert rungs(top, 1.0, pairs(np.linspace(-0.8 - spread, -0.8 + spread, 30))) == []  # too few frames under any window
    in_a = pairs(np.linspace(-1.3 - spread, -1.3 + spread, 1000))
    assert rungs(top, 1.0, in_a)
    assert rungs(top, -1.0, in_a) == []  # the other way round, A is 5 radians on


def test_intervals_of_committors_are_jeffreys() -> None:
    committors = Committors(np.array([0, 3, 10, 5, 6, 0]), np.array([10, 10, 10, 10, 10, 0]))
    low, high = committors.interval()
    for k, (n, total) in enumerate(zip(committors.reached_b.tolist(), committors.trials.tolist(), strict=True)):
        beta = stats.beta(n + 0.5, total - n + 0.5)
        assert low[k] == pytest.approx(0.0 if n == 0 else beta.ppf(0.025))
        assert high[k] == pytest.approx(1.0 if n == total else beta.ppf(0.975))
    assert committors.value[:5].tolist() == [0.0, 0.3, 1.0, 0.5, 0.6]
    assert np.isnan(committors.value[5])
    assert committors.near_half().tolist() == [3, 4, 1]
