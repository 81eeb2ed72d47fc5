"""What speaks against taking weighted paths for the ensemble."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spacetime_tps.sampling.bootstrap import resampled
from spacetime_tps.unbiased.verdict import FEW, HALVES_APART, HEAVY, REACTIVE, UNDECIDED, UNMIXED, against, cautions, earlier, halves_apart


def crossing(variable: str, shots: int, reactive: float, r_hat: float | None = 1.1) -> dict[str, Any]:
    return {"variable": variable, "shots": shots, "reactive_fraction": reactive, "r_hat": r_hat}


GOOD: dict[str, Any] = {
    "effective_paths": 300.0, "share_of_heaviest_path": 0.01, "halves_apart": {"highest energies": 1.2, "durations": None},
    "undecided_fraction": 0.0, "crossings": [crossing("psi", 10, 0.0, 9.0), crossing("phi", 90, 0.35)],
}  # fmt: skip
CASES = [
    ({"effective_paths": FEW - 1}, "29 effective paths are too few"),
    ({"share_of_heaviest_path": HEAVY + 0.1}, "one path carries 30% of all weight"),
    ({"halves_apart": {"durations": HALVES_APART + 1.0}}, "durations of the earlier and of the later paths differ by 4.0 standard errors"),
    ({"undecided_fraction": UNDECIDED + 0.05}, "15% of trajectories met neither state"),
    (
        {"crossings": [crossing("phi", 90, REACTIVE - 0.04), crossing("psi", 10, 0.5)]},
        "1.0% of shots were reactive: phi alone does not decide where they go",
    ),
    ({"crossings": [crossing("phi", 90, 0.3, UNMIXED + 0.1)]}, "walks in the window on phi have not mixed (R-hat 1.6)"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), CASES)
def test_each_thing_that_speaks_against_it_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    assert against(GOOD) == []
    (found,) = against({**GOOD, **change})
    assert sentence in found
    assert found[-1] != "."


def test_the_bounds_themselves_are_good_enough() -> None:
    bounds = {
        "effective_paths": FEW,
        "share_of_heaviest_path": HEAVY,
        "undecided_fraction": UNDECIDED,
        "crossings": [crossing("phi", 9, REACTIVE, UNMIXED)],
    }
    assert against({**GOOD, **bounds, "halves_apart": {"durations": HALVES_APART}}) == []
    assert against({**GOOD, "crossings": [crossing("phi", 9, 0.3, None)]}) == [], "of one walk alone nothing is known"


KNOWN: dict[str, Any] = {
    "largest_weight_over_mean": 20.0, "undecided_fraction": 0.01, "longest_steps": 900,
    "crossings": [{"free_energy_error_kT": None}, {"free_energy_error_kT": 1.0}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"largest_weight_over_mean": 20.6}, "One path weighs 21 times the mean"),
        ({"undecided_fraction": 0.02}, "2.0% of trajectories met neither state within 900 steps"),
        ({"crossings": [{"free_energy_error_kT": 1.1}]}, "uncertain by more than 1 kT"),
    ],
)
def test_a_caution_is_what_a_reader_has_to_know_of_an_ensemble(change: dict[str, Any], sentence: str) -> None:
    assert cautions(KNOWN) == []
    (found,) = cautions({**KNOWN, **change})
    assert sentence in found
    assert cautions({**KNOWN, "undecided_fraction": UNDECIDED + 0.01}) == [], "that speaks against it, and `against` says so"


def test_halves_are_of_the_batches_of_each_site() -> None:
    def site(*counts: int) -> Any:
        return SimpleNamespace(batches=[SimpleNamespace(path_shot=np.zeros(n, dtype=int)) for n in counts])

    found = earlier([site(2, 1, 3), site(4), site(0, 0), site(1, 1)])
    assert found.tolist() == [True] * 3 + [False] * 3 + [True] * 4 + [True, False]


def test_halves_differ_by_standard_errors() -> None:
    # Two halves of 400 normal values each, weights one: means apart by 0.5, each known to 1/20.
    rng = np.random.default_rng(1)
    early = np.arange(800) < 400
    values = rng.normal(size=800)
    values[early] -= values[early].mean()
    values[~early] += 0.5 - values[~early].mean()
    times = resampled(np.arange(800), draws=2000, rng=rng)
    assert halves_apart(values, np.ones(800), early, times) == pytest.approx(0.5 / np.sqrt(2.0 / 400), rel=0.1)
    heavy = np.where(values > 0.0, 1.0, 0.0)
    assert halves_apart(np.zeros(800), heavy, early, times) is None, "no error"
    assert halves_apart(values, np.where(early, 1.0, 0.0), early, times) is None, "no weight in the later half"
