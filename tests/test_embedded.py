"""Unbiased paths embedded in equilibrium: by hand, and against the exact highest of independent energies."""

import math

import numpy as np
import pytest

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.embedded import EmbeddedReference, embedded_highest


def found(
    highest: list[float], frames: list[int], weight: list[float], runs: list[tuple[list[float], str]], total: int, **options: object
) -> EmbeddedReference:
    """Runs: energies, and where the frames are, a in A."""
    energies = [np.array(e, dtype=float) for e, _ in runs]
    inside = [np.array([letter == "a" for letter in where]) for _, where in runs]
    return embedded_highest(
        np.array(highest), np.array(frames), np.array(weight), energies, inside, total=total, rng=np.random.default_rng(1), **options
    )


def test_every_stretch_in_A_counts_alike() -> None:
    # Stretches of two: (1, 5) and (9, 2) in the first run, none across the third frame, (4, 3) in the second. The first path lacks two and
    # makes 5, 9, 4.5 of them; the second lacks one and makes 2.5, 5, 9, 2.5, 4, 3 of the six frames in A; the third stands alone.
    runs = [([1, 5, 99, 9, 2], "aa-aa"), ([4, 3], "aa")]
    one, two, three = (5 + 9 + 4.5) / 3, (2.5 + 5 + 9 + 2.5 + 4 + 3) / 6, 7.0
    for weight in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 2.0, 5.0]):
        expected = np.average([one, two, three], weights=weight)
        assert found([4.5, 2.5, 7.0], [3, 4, 5], weight, runs, 5).value == pytest.approx(expected)
    assert found([4.5, 2.5, 7.0], [3, 4, 8], [1.0, 2.0, 5.0], runs, 5).too_long == pytest.approx(5 / 8)


def test_the_highest_of_uniform_energies() -> None:
    """Frames independent and uniform: P(stretch of m < x) = x^m, so E max(e, stretch) = e^(m+1) + m/(m+1) (1 - e^(m+1)). The stated error
    must cover that in 4 standard deviations (once in 10,000), and be small."""
    rng = np.random.default_rng(2)
    runs = [(rng.random(500).tolist(), "a" * 500) for _ in range(60)]
    highest, frames, weight = rng.random(300), rng.integers(1, 12, 300), rng.random(300)
    m = np.maximum(9 - frames, 0)
    exact = highest ** (m + 1) + m / (m + 1) * (1 - highest ** (m + 1))
    one = found(highest.tolist(), frames.tolist(), weight.tolist(), runs, 9)
    # the paths are what they are: against their own exact mean only the runs' error counts, about 1e-3
    assert one.value == pytest.approx(np.average(exact, weights=weight), abs=4e-3)
    mean = np.average(exact, weights=weight)
    share = weight / weight.sum()
    assert one.standard_error == pytest.approx(math.sqrt((share**2 * (exact - mean) ** 2).sum()), rel=0.15)
    assert one.value > np.average(highest, weights=weight) + 0.1


def test_draws_of_runs_without_a_stretch_take_the_mean_of_all() -> None:
    """The second run never stays in A for two frames; where it alone is drawn, all stretches stand in. Paths are higher than any stretch,
    so that every draw gives 10."""
    runs = [([1.0, 5.0, 2.0], "aaa"), ([3.0, 3.0, 3.0], "a-a")]
    got = found([10.0, 10.0], [3, 3], [1.0, 1.0], runs, 5)
    assert (got.value, got.standard_error) == (10.0, 0.0)


def test_errors_are_those_of_independent_runs_and_clusters() -> None:
    """1,000 bootstrap draws give an error to 2 percent, 400 values its exact value to 3.5."""
    rng = np.random.default_rng(3)
    runs = [([x, x - 1.0], "aa") for x in rng.normal(size=400)]
    thermal = found([-100.0] * 3, [1] * 3, [1.0] * 3, runs, 3)
    assert thermal.standard_error == pytest.approx(1 / math.sqrt(400), rel=0.15)
    paths = rng.normal(size=400).tolist()
    alone = found(paths, [3] * 400, [1.0] * 400, runs, 3)
    assert alone.standard_error == pytest.approx(1 / math.sqrt(400), rel=0.15)
    fourfold = found(paths * 4, [3] * 1600, [1.0] * 1600, runs, 3, cluster=np.tile(np.arange(400), 4))
    assert fourfold.standard_error == pytest.approx(1 / math.sqrt(400), rel=0.15)


def test_one_seed_gives_one_error() -> None:
    runs = [([1.0, 2.0], "aa"), ([3.0, 4.0], "aa")]
    assert found([0.0, 5.0], [1, 1], [1.0, 1.0], runs, 2) == found([0.0, 5.0], [1, 1], [1.0, 1.0], runs, 2)


def test_what_cannot_be_embedded_is_said() -> None:
    runs = [([1.0, 2.0, 3.0], "aa-")]
    with pytest.raises(SpacetimeError, match="no run in A stays there for the 3 frames"):
        found([1.0], [2], [1.0], runs, 5)
    with pytest.raises(SpacetimeError, match="no run in A stays there for the 1 frames"):
        found([1.0], [2], [1.0], [], 3)
    with pytest.raises(SpacetimeError, match="no unbiased paths"):
        found([], [], [], runs, 5)
    with pytest.raises(ValueError, match=r"one shape \(paths,\), got \(2,\)"):
        found([1.0, 2.0], [2], [1.0], runs, 5)
    with pytest.raises(ValueError, match="run by run"):
        found([1.0], [2], [1.0], [([1.0, 2.0], "a")], 3)
