"""The thermal reference on runs made by hand: which stretches count, and their highest energies."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.summary import paths_summary
from spacetime_tps.sampling.thermal import ThermalReference, inside, longest_stretch, matched_reference, maxima_by_piece, thermal_reference
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.trajectories.frames import Frames

A = State(((TorsionRange((0, 1, 2, 3), -20.0, 20.0),),))


def run(where: str, energy: list[float]) -> Frames:
    """Frames in A (a), in another basin (-) or in B (b), with these energies."""
    angles = np.array([{"a": 0.0, "-": math.pi / 4, "b": math.pi / 2}[letter] for letter in where])
    still = np.broadcast_to([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0]], (len(angles), 3, 3))
    last = np.stack([np.full(len(angles), 0.1), 0.1 * np.cos(angles), 0.1 * np.sin(angles)], axis=-1)
    x = np.concatenate([still, last[:, None]], axis=1)
    return Frames(x, x, np.arange(len(x)) * 0.025, np.array(energy, dtype=float), np.zeros(len(x), dtype=int), len(x), True)


def maxima(runs: list[Frames], frames: int) -> np.ndarray:
    return np.concatenate([np.zeros(0), *maxima_by_piece(runs, frames, A)])


RUNS = [
    run("aaaaaaa", [1, 5, 2, 0, 3, 1, 99]),  # two stretches; the seventh frame is left over
    run("aaa", [4, 8, 6]),
    run("aa-aaaa", [7, 7, 70, 20, 21, 22, 90]),  # cut where it leaves A: three frames from the fourth on, no stretch across
    run("bbb", [50, 50, 50]),
    run("a-a-aab", [60, 0, 60, 0, 60, 60, 60]),
]


def test_stretches_never_leave_A() -> None:
    np.testing.assert_array_equal(maxima(RUNS, 3), [5.0, 3.0, 8.0, 22.0])
    np.testing.assert_array_equal(maxima(RUNS, 4), [5.0, 90.0])
    np.testing.assert_array_equal(maxima(RUNS, 1)[:7], RUNS[0].potential_energy)


def test_stretches_that_are_longer_are_hotter() -> None:
    """A Gaussian energy: the mean highest of 1 is 0, of 3 is 3 / (2 sqrt(pi)); 5 standard errors of 10,000 stretches at least."""
    drawn = np.random.default_rng(1).normal(size=30_000)
    long = [run("a" * len(drawn), drawn.tolist())]
    assert thermal_reference(long, 1, A, zero=0.0).value == pytest.approx(0.0, abs=0.03)
    assert thermal_reference(long, 3, A, zero=7.0).value + 7.0 == pytest.approx(1.5 / math.sqrt(math.pi), abs=0.04)


def test_none_is_long_enough() -> None:
    """Then the longest of which there are two; where no run has two frames in A there is nothing to compare with."""
    assert maxima(RUNS, 8).shape == (0,)
    found = thermal_reference(RUNS, 8, A, zero=4.0)
    assert found.frames == 4
    np.testing.assert_array_equal(found.maxima, [1.0, 86.0])
    assert thermal_reference(RUNS, 3, A, zero=0.0).frames == 3
    for runs in (RUNS[3:4], []):
        with pytest.raises(SpacetimeError, match="no run from A stays in A"):
            thermal_reference(runs, 1, A, zero=0.0)


def test_paths_of_several_lengths_are_compared_length_by_length() -> None:
    pairs, four = np.array([5, 2, 3, 8, 7, 21, 90, 60]), np.array([5, 90])
    value, error = matched_reference(RUNS, np.array([2, 9, 2]), np.array([1.0, 1.0, 2.0]), A, zero=1.0)
    assert value == pytest.approx(0.75 * pairs.mean() + 0.25 * four.mean() - 1.0)
    alone = [thermal_reference(RUNS, n, A, zero=0.0).standard_error for n in (2, 4)]
    assert error == pytest.approx(0.75 * alone[0] + 0.25 * alone[1])


def test_pieces_are_maximal() -> None:
    assert [p.tolist() for p in inside(RUNS[2:], A)] == [[7, 7], [20, 21, 22, 90], [60], [60], [60, 60]]


@pytest.mark.parametrize(("count", "longest"), [(1, 7), (2, 4), (3, 3), (4, 3), (5, 2), (100, 0)])
def test_the_longest_length_of_which_there_are_some(count: int, longest: int) -> None:
    assert longest_stretch(RUNS, A, count=count) == longest
    if longest:
        assert len(maxima(RUNS, longest)) >= count > len(maxima(RUNS, longest + 1))


def test_without_a_reference_the_summary_says_nothing_above_it() -> None:
    rows = [Transition(f"guided_{k}", "guided", "ok", 1, 40.0 + k, None, 257, 6400, 1, 1.0, "r", "") for k in range(2)]
    assert "max_energy_above_thermal_kj_mol" not in paths_summary(rows)
    assert paths_summary(rows, ThermalReference(np.array([10.0, 12.0]), 257, 1.0))["max_energy_above_thermal_kj_mol"][
        "value"
    ] == pytest.approx(29.5)


def test_the_error_above_the_reference_is_that_of_its_independent_stretches() -> None:
    rows = [Transition(f"p{k}", "guided", "ok", 1, e, None, 3, 1, k, None, "r", "x") for k, e in enumerate((40.0, 42.0))]
    thermal = np.array([8.0, 10.0, 12.0, 14.0])
    found = [paths_summary(rows, ThermalReference(thermal, 3, g))["max_energy_above_thermal_kj_mol"]["standard_error"] for g in (1.0, 4.0)]
    own, reference = 1.0, thermal.std(ddof=1) / 2.0
    assert found == pytest.approx([math.hypot(own, reference), math.hypot(own, 2.0 * reference)])


def test_the_error_of_the_reference_allows_for_the_memory_of_the_energy() -> None:
    """An Ornstein-Uhlenbeck energy that forgets within 20 frames, in runs of 2000: means of stretches of two scatter by what is stated,
    over 60 sets of four runs to within 20 % or so; as independent stretches they would claim a quarter of it."""
    rng, kept = np.random.default_rng(5), math.exp(-1.0 / 20.0)
    means, errors, naive = [], [], []
    for _ in range(60):
        runs = []
        for _ in range(4):
            noise = rng.normal(size=2000) * math.sqrt(1.0 - kept**2)
            noise[0] = rng.normal()
            energy = lfilter([1.0], [1.0, -kept], noise)
            runs.append(run("a" * 2000, energy.tolist()))
        found, every = thermal_reference(runs, 2, A, zero=0.0), maxima(runs, 2)
        means.append(found.value)
        errors.append(found.standard_error)
        naive.append(every.std(ddof=1) / math.sqrt(len(every)))
        assert found.value == pytest.approx(every.mean())
    assert 0.75 < np.std(means) / np.mean(errors) < 1.35
    assert np.std(means) > 2.5 * np.mean(naive)
