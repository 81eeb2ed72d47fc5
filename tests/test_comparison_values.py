"""What a comparison says, number by number: where one verdict turns into another, and what the figures of a method are."""

from typing import Any

import numpy as np
import pytest
from hinge import frames, hinge
from matplotlib.figure import Figure

from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.contenders import Source
from spacetime_tps.pipeline.measures import Yardstick, _averages, _dissipated, _mean, _quantiles
from spacetime_tps.report.comparison import channels_of, numbers_of, rows_of, sentences
from spacetime_tps.report.comparison_figure import _costs, _lengths
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames


def entry(**more: Any) -> dict[str, Any]:
    """A method that is worth so many paths that nothing is to be said of it."""
    value = {"value": 30.0, "standard_error": 0.0}
    return {
        "unbiased": True, "fixed_length": False, "paths": 100, "valid": 90, "effective": 1e6,
        "effective_by": {"paths": 1e6, "length": 1e6, "highest energy": 1e6}, "max_energy_kj_mol": value,
        "max_energy_above_thermal_kj_mol": value, "length_ps": value, "dissipated_work_kT": None, "channels": {"left": 1.0},
        "wall_seconds": 1.0, "evaluations": {"set_up": 0, "sampling": 1_000_000, "back": 0, "total": 1_000_000},
        "evaluations_per_effective_path": 100.0, "evaluations_per_effective_path_with_set_up": 200.0, **more,
    }  # fmt: skip


def said(left_out: dict[str, str] | None = None, **methods: dict[str, Any]) -> list[str]:
    return sentences({"methods": methods, "left_out": left_out or {}})


@pytest.mark.parametrize(
    ("cost", "effective", "ours", "verdict"),
    [
        (149.0, 1e6, 1e6, "as good as unbiased, within what is known"),
        (151.0, 1e6, 1e6, "dearer"),
        (67.0, 1e6, 1e6, "as good as unbiased, within what is known"),
        (66.0, 1e6, 1e6, "cheaper"),
        (229.0, 8.0, 32.0, "as good as unbiased, within what is known"),  # exp(1.5 sqrt(1/4 + 1/16)) is 2.31
        (233.0, 8.0, 32.0, "dearer"),
        (229.0, 32.0, 8.0, "as good as unbiased, within what is known"),
        (233.0, 32.0, 8.0, "dearer"),
    ],
)
def test_costs_are_told_apart_beyond_a_ratio_that_few_paths_widen(cost: float, effective: float, ours: float, verdict: str) -> None:
    numbers = {"paths": 1.0, "length": 50_000.0, "highest energy": 20_000.0}  # 50 evaluations each, where unbiased takes one
    chain = entry(
        effective=effective, effective_by=numbers, evaluations_per_effective_path=cost, evaluations_per_effective_path_with_set_up=600.0
    )
    found = [s for s in said(unbiased=entry(effective=ours), chain=chain) if s.startswith("chain takes")]
    ratio = f"{cost / 100.0:.2g}"
    assert found == [
        f"chain takes {ratio} times the evaluations of unbiased for an effective path (3 with set-up; 50 by length and highest energy "
        f"alone): {verdict}."
    ]


def test_costs_are_compared_where_both_are_known() -> None:
    assert said(chain=entry(), other=entry()) == []
    assert said(unbiased=entry(evaluations_per_effective_path=None), chain=entry()) == []
    assert said(unbiased=entry(), chain=entry(evaluations_per_effective_path=None)) == []
    assert said(unbiased=entry(), guided=entry(unbiased=False, max_energy_above_thermal_kj_mol=None)) == []


@pytest.mark.parametrize(("key", "what"), [("max_energy_kj_mol", "highest energy"), ("length_ps", "length")])
def test_unbiased_methods_disagree_from_three_standard_errors_on(key: str, what: str) -> None:
    def about(apart: float, **more: Any) -> list[str]:
        one, other = ({"value": x, "standard_error": error} for x, error in ((20.0, 3.0), (20.0 + apart, 4.0)))
        return [s for s in said(unbiased=entry(**{key: one}), chain=entry(**{key: other}, **more)) if "differ" in s]

    assert about(14.9) == []
    for apart in (-20.5, 20.5):
        assert about(apart) == [
            f"chain and unbiased differ by 4.1 standard errors in mean {what}: one has not sampled enough, or visits other channels."
        ]
    assert len(about(15.1)) == 1
    assert about(99.0, fixed_length=True) == about(99.0, valid=0) == about(99.0, unbiased=False) == []
    assert not [s for s in said(unbiased=entry(), chain=entry(**{key: {"value": 99.0, "standard_error": 0.0}})) if "differ" in s]


def test_a_chain_that_changed_its_channel_nine_times_hardly_knows_their_shares() -> None:
    def about(changes: int, channels: dict[str, float]) -> list[str]:
        chain = entry(channels=channels, channel_changes=changes)
        return [s for s in said(unbiased=entry(channels=channels), chain=chain) if "changed" in s]

    two = {"left": 0.5, "right": 0.5}
    assert about(9, two) == ["chain changed its channel 9 times: its shares of channels, and its cost, are hardly known."]
    assert about(10, two) == []
    assert about(0, {"left": 1.0}) == []


@pytest.mark.parametrize(
    ("more", "verdict"),
    [(9.9, "as good as guided"), (-9.9, "as good as guided"), (10.1, "worse than guided"), (-10.1, "better than guided")],
)
def test_steered_paths_are_told_from_guided_ones_by_two_standard_errors(more: float, verdict: str) -> None:
    key = "max_energy_above_thermal_kj_mol"
    ours = entry(unbiased=False, **{key: {"value": 20.0, "standard_error": 3.0}})
    theirs = entry(
        unbiased=False, **{key: {"value": 20.0 + more, "standard_error": 4.0}}, evaluations_per_effective_path=250.0, paths=7,
        dissipated_work_kT={"value": 3.0, "standard_error": 1.0},
    )  # fmt: skip
    walked = {**ours, "dissipated_work_kT": theirs["dissipated_work_kT"]}
    sentence = f"steered-slow lies {more:+.1f} ± 5.0 kJ/mol from guided in highest energy, at 2.5 times its cost: {verdict}."
    assert said(guided=walked, **{"steered-slow": theirs}) == [sentence]
    assert said(guided=ours, **{"steered-slow": theirs}) == [
        "guided paths were not walked back, so that their dissipated work is not known: call run with --reverse 100.", sentence,
    ]  # fmt: skip
    assert said(guided=ours, **{"steered-slow": {**theirs, key: None}})[1:] == []
    assert said(guided={**ours, key: None}, **{"steered-slow": theirs}) == []


def test_less_than_ten_paths_say_little() -> None:
    assert said(chain=entry(effective=10.0)) == []
    assert said(chain=entry(effective=9.9)) == ["chain is worth 9.9 effective paths: its figures say little; a larger --budget helps."]
    memory = "moves_with_memory_of_the_initial_path"
    assert "its figures say little" in said(chain=entry(effective=2.0, **{memory: 40}))[0]
    assert "it still holds frames of its initial path" in said(chain=entry(effective=0.0, **{memory: None}))[0]


def test_what_is_left_out_is_said_once_a_reason() -> None:
    assert said({"a": "no time", "b": "no way", "c": "no time"}) == ["left out: a, c: no time", "left out: b: no way"]


def test_cells_of_the_tables() -> None:
    moments = {"value": 12.345, "standard_error": 0.678}
    full = entry(
        effective=12.0, max_energy_kj_mol=moments, length_ps=moments, channels={"left": 0.75, "right": 0.25}, wall_seconds=None,
        effective_by={"paths": 16.0, "length": 2000.0}, evaluations={"set_up": 400, "sampling": 32_000, "back": 0, "total": 1_234_567},
        evaluations_per_effective_path=2666.7,
    )  # fmt: skip
    pulled = entry(unbiased=False, effective=0.0, evaluations_per_effective_path=None, wall_seconds=61.7)
    first, second = rows_of({"chain": full, "steered": pulled})
    assert first == [
        "chain", "yes", "100", "90", "12", "12.3 ± 0.7", "30.0 ± 0.0", "12.35 ± 0.68", "–", "1,234,567", "400", "2,667", "200", "2", "–",
    ]  # fmt: skip
    assert (second[1], second[11], second[14]) == ("no", "–", "62")
    assert numbers_of({"chain": full, "steered": pulled, "none": entry(effective=0.0)}) == [
        ["chain", "16", "2,000", "–", "–", "12", "2,000", "2,667"]
    ]
    assert channels_of({"chain": full, "steered": pulled}) == (
        ["channel, % of paths", "chain", "steered"], [["left", "75.0", "100.0"], ["right", "25.0", "–"]],
    )  # fmt: skip


def test_costs_are_drawn_for_methods_that_are_worth_a_path_and_lengths_where_they_are_known() -> None:
    lengths = {"0.05": 1.0, "0.25": 2.0, "0.5": 3.0, "0.75": 5.0, "0.95": 9.0}
    methods = {
        "none": entry(effective=0.0, evaluations_per_effective_path=None, length_quantiles_ps=None),
        "chain": entry(length_quantiles_ps=lengths),
    }
    costs, spans = Figure().subplots(1, 2)
    _costs(costs, methods)
    _lengths(spans, methods)
    at = [
        [(np.atleast_1d(line.get_ydata()), sorted(np.atleast_1d(line.get_xdata()).tolist())) for line in axes.lines]
        for axes in (costs, spans)
    ]
    drawn = [[x for y, x in lines if x and (y == 1).all()] for lines in at]
    assert drawn == [[[100.0, 200.0], [100.0], [200.0]], [[1.0, 9.0], [2.0, 5.0], [3.0]]]
    assert not [x for lines in at for y, x in lines if 0 in y], "nothing of the other"


# The figures of one method ------------------------------------------------------------------------------------------------------------


def transition(highest: float, length: int, work: float | None = None) -> Transition:
    return Transition("x", "guided", "ok", 1, highest, work, length, 0, 0, None, "r", "")


def test_means_of_weighted_paths_have_the_error_of_as_many_as_are_independent() -> None:
    found = _mean(np.array([10.0, 14.0]), np.array([1.0, 3.0]), 4.0)
    assert found == pytest.approx({"value": 13.0, "std": 3.0**0.5, "standard_error": 1.0})
    assert _mean(np.array([10.0, 14.0]), np.array([1.0, 3.0]), 10.0)["standard_error"] == pytest.approx(3.0**0.5 / 3.0)
    assert _mean(np.array([10.0, 14.0]), np.array([1.0, 3.0]), 1.5)["standard_error"] == pytest.approx(3.0**0.5), "no more than the spread"


def test_quantiles_are_of_the_weight() -> None:
    rising = np.arange(10.0)
    expected = {"0.05": 0.0, "0.25": 2.0, "0.5": 4.0, "0.75": 7.0, "0.95": 9.0}
    assert _quantiles(rising[::-1], np.full(10, 2.0)) == expected
    heavy = np.array([1.0, 1.0, 8.0])
    assert _quantiles(np.array([5.0, 7.0, 6.0]), heavy) == {"0.05": 5.0, "0.25": 6.0, "0.5": 6.0, "0.75": 6.0, "0.95": 7.0}


def test_energies_are_above_plain_md_and_lengths_in_ps() -> None:
    """Plain MD at 4 kJ/mol all along; frames are 10 steps of 2 fs apart, of plain MD 5."""
    problem = hinge()
    in_a: Frames = frames([-90.0] * 1200, 20.0, energy=4.0)
    source = Source("guided", Folder("nowhere").path, "guided", False, None, 10)
    rows, weight = [transition(10.0, 51), transition(14.0, 101)], np.array([1.0, 3.0])
    found = _averages(rows, weight, 4.0, source, Yardstick(problem, [in_a], 5, lambda x: "one"))
    highest, above, length, shares = found.values()
    assert highest == pytest.approx({"value": 13.0, "std": 3.0**0.5, "standard_error": 1.0})
    assert above == pytest.approx({"value": 9.0, "std": 3.0**0.5, "standard_error": 1.0})
    assert length == pytest.approx({"value": 1.75, "std": 0.1875**0.5, "standard_error": 0.25})
    assert shares == pytest.approx({"0.05": 1.0, "0.25": 1.0, "0.5": 2.0, "0.75": 2.0, "0.95": 2.0})
    assert set(_averages([], weight[:0], 0.0, source, Yardstick(problem, [in_a], 5, str)).values()) == {None}


def test_work_is_dissipated_where_two_paths_each_way_have_theirs() -> None:
    forth, back = [transition(0.0, 2, w) for w in (9.0, 11.0)], [transition(0.0, 2, w) for w in (1.0, 3.0, None)]
    found = _dissipated(forth, back)
    assert found is not None
    assert found["value"] == pytest.approx(12.0), "what a cycle there and back takes"
    assert _dissipated(forth[:1], back) is None
    assert _dissipated(forth, back[1:]) is None
