"""What a run amounts to and is going to cost: counts, references, sentences, from rows and runs made by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hinge import ZERO, frames, hinge, letters

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import ForbiddenBox
from spacetime_tps.exploration.sampled import Sampled, set_up
from spacetime_tps.methods.guided import Guided
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.avoidance_summary import LAG, avoidance_summary
from spacetime_tps.pipeline.run import estimate
from spacetime_tps.pipeline.summary import failure, paths_summary, references_of, summarise
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.embedded import EmbeddedReference
from spacetime_tps.sampling.thermal import ThermalReference
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.registry import STAGES
from spacetime_tps.storage.memory import Memory
from spacetime_tps.unbiased.ensemble import Unbiased

PROBLEM = hinge()


def thermal_energies(sampled: Sampled, problem: Problem, given: Settings) -> np.ndarray:
    return references_of(Guided(), sampled, None, problem, given)[0].maxima


def reference(*energies: float) -> ThermalReference:
    return ThermalReference(np.array(energies), 4, 1.0)


def embedded_reference(sampled: Sampled, unbiased: Unbiased | None, problem: Problem, given: Settings) -> EmbeddedReference | None:
    return references_of(Guided(), sampled, unbiased, problem, given)[1]


def settings(*more: str) -> Settings:
    """Guided paths of 2 + 1 points of 50 steps with a frame every 50: 4 frames. MD in A has one every 25."""
    return parse_settings(["guided.points=2", "guided.stride=50", "unbiased.stride=50", *more])


def row(path: str, stage: str = "guided", **more: Any) -> Transition:
    """A hit of 40 kJ/mol, 4 frames and 150 evaluations along r, but for what is said."""
    return replace(Transition(path, stage, "ok", 1, 40.0, None, 4, 150, 1, None, "r", ""), **more)


ROUTE = {"name": "r", "barrier_kT": 4.0, "forward_backward_kT": 1.0, "nearness": []}
OTHER = {**ROUTE, "name": "q", "forward_backward_kT": 9.0}
# Every second frame counts: energies 1 5 2 3 | 9 0 of the first run, 4 8 6 7 of the second; stretches of four: 5 and 8
RUNS = [letters("a" * 12, [1, 90, 5, 90, 2, 90, 3, 90, 9, 90, 0, 90]), letters("a" * 8, [4, 90, 8, 90, 6, 90, 7, 90])]
RECORD = {
    "routes": [ROUTE, OTHER],
    "evaluations": {"training_md": 1000, "windows": 2000, "geodesic": 0},
    "length": [9.0, 8.5],
    "kappa_floor": 28.0,
}
SAMPLED = Sampled([], [], [], {}, {}, b"", RECORD, RUNS, [])
GUIDED = [
    row("g0", max_energy_kj_mol=41.0),
    row("g1", max_energy_kj_mol=44.0, route="q"),
    row("g2", hit=0, max_energy_kj_mol=99.0),
    row("g3", status="unstable", hit=0),
]
STEERED = [row("s0", "steered", max_energy_kj_mol=60.0, evaluations=7), row("s1", "steered", hit=0, evaluations=5)]


def shots(*walks: str) -> Unbiased:
    """A path each from these walks, of 2, 3, ... frames and energies 3, 13, ..., with weights 1, 2, ..."""
    rows = [row(f"u{k}", "unbiased", max_energy_kj_mol=3.0 + 10.0 * k, n_frames=2 + k, weight=1.0 + k) for k in range(len(walks))]
    table = [{"path": "", "walk": "9_0000_9"}, *({"path": f"u{k}", "walk": walk} for k, walk in enumerate(walks))]
    return Unbiased(rows, table, [], None, {}, {"evaluations": {"region": 300, "unbiased": 500}, "effective_paths": 2.0})


def summary(**values: Any) -> dict[str, Any]:
    return summarise("hinge", PROBLEM, Memory(), settings(), {"exploration": SAMPLED, **values})


# Counts -------------------------------------------------------------------------------------------------------------------------------


def test_evaluations_add_up_and_baselines_stand_apart() -> None:
    got = summary(guided=GUIDED, steered=STEERED, unbiased=shots("0_0000_0", "0_0001_1"))
    assert got["evaluations"] == {
        "preparation": 77,
        "training_md": 1000,
        "windows": 2000,
        "geodesic": 0,
        "guided": 600,
        "region": 300,
        "unbiased": 500,
        "total": 4477,
    }
    assert got["baseline_evaluations"] == {"steered": 12}
    assert got["unbiased"]["effective_paths"] == 2.0
    alone = summary(guided=GUIDED[:1])
    assert alone["evaluations"] == {
        "preparation": 77, "training_md": 1000, "windows": 2000, "geodesic": 0, "guided": 150, "region": 0, "unbiased": 0, "total": 3227,
    }  # fmt: skip
    assert alone["baseline_evaluations"] == {}
    assert alone["unbiased"] is None
    assert summary(unbiased=shots("0_0000_0"))["evaluations"]["guided"] == 0


def test_what_was_spent_before_any_path_is_all_there_or_an_error() -> None:
    counted = {"preparation": 77, "training_md": 1000, "windows": 2000, "geodesic": 0, "guided": 600, "total": 3677}
    assert sum(set_up(counted).values()) == 3077
    assert set_up(counted, ("preparation", "guided")) == {"preparation": 77, "guided": 600}
    with pytest.raises(SpacetimeError, match="does not say how many evaluations windows took"):
        set_up({"preparation": 77, "training_md": 1000})


class Twice(Exploration):
    """Counts where another stage does."""

    def spent(self, value: Any) -> dict[str, int]:
        return {"guided": 1}


def test_no_stage_counts_under_anothers_name() -> None:
    with pytest.raises(AssertionError, match="counts under a name that another stage has"):
        summarise("hinge", PROBLEM, Memory(), settings(), {"exploration": SAMPLED}, stages=(*STAGES, Twice()))


def test_a_summary_tells_of_the_best_route_and_of_each() -> None:
    got = summary(guided=GUIDED, steered=STEERED)
    assert (got["system"], got["temperature_K"], got["platform"]) == ("hinge", 300.0, "Reference")
    assert got["route"] == ROUTE
    assert got["routes"] == [ROUTE, OTHER]
    assert got["curve_length_by_round"] == [9.0, 8.5]
    assert got["kappa_floor"] == 28.0
    assert got["failed"] is None
    assert got["avoid"] is None
    assert got["embedded_reference"] is None
    assert set(got["stages"]) == {"guided", "steered"}
    assert {m: {name: s["paths"] for name, s in of.items()} for m, of in got["by_route"].items()} == {
        "guided": {"r": 3, "q": 1},
        "steered": {"r": 2},
    }
    assert got["by_route"]["guided"]["q"]["max_energy_kj_mol"]["value"] == 44.0
    assert got["stages"]["guided"]["max_energy_above_thermal_kj_mol"]["value"] == pytest.approx(42.5 - 6.5)
    assert got["thermal_reference"] == {
        "value": 6.5,
        "standard_error": pytest.approx(1.5),
        "std": 1.5,
        "count": 2,
        "frames": 4,
        "max_energy_kj_mol": [5.0, 8.0],
    }
    assert {"spacetime_tps", "openmm", "python"} <= set(got["versions"])


def test_paths_are_counted_whatever_became_of_them() -> None:
    got = paths_summary(GUIDED)
    assert {k: got[k] for k in ("paths", "hits", "hit_rate", "unstable", "evaluations_per_path")} == {
        "paths": 4, "hits": 2, "hit_rate": 0.5, "unstable": 1, "evaluations_per_path": 150.0,
    }  # fmt: skip
    assert got["max_energy_kj_mol"] == {"value": 42.5, "standard_error": pytest.approx(1.5), "std": 1.5, "count": 2}
    assert set(got) == {"paths", "hits", "hit_rate", "unstable", "evaluations_per_path", "max_energy_kj_mol"}
    missed = paths_summary(GUIDED[2:], reference(1.0, 2.0), EmbeddedReference(1.0, 0.1, 0.0))
    assert missed["max_energy_kj_mol"] == {"value": None, "standard_error": None, "std": None, "count": 0}
    assert not any("above" in key for key in missed)
    one = paths_summary(GUIDED[:1], reference(1.0, 2.0), EmbeddedReference(1.0, 0.1, 0.0))
    assert not any("above" in key for key in one), "one path has no error"
    assert not any("thermal" in key for key in paths_summary(GUIDED[:2]))


def test_weighted_paths_have_weighted_energies_and_kishs_number() -> None:
    """Of 41 with weight 3 and 44 with weight 1: 41.75, 1.299 apart, 1.6 independent paths."""
    rows = [replace(row, weight=weight) for row, weight in zip(GUIDED[:2], (3.0, 1.0), strict=True)]
    got = paths_summary(rows)
    deviation = math.sqrt(3.0 * 1.0) / 4.0 * 3.0
    assert [r.max_energy_kj_mol for r in rows] == [41.0, 44.0]
    assert got["max_energy_kj_mol"] == {
        "value": pytest.approx(41.75), "std": pytest.approx(deviation), "count": 2,
        "standard_error": pytest.approx(deviation / math.sqrt(0.6)),
    }  # fmt: skip
    assert got["hit_rate"] == 1.0
    alone = paths_summary([replace(row, weight=float(k)) for k, row in enumerate(GUIDED[:2])], reference(1.0, 2.0))
    assert alone["max_energy_kj_mol"]["standard_error"] is None, "one of them alone has weight"
    assert not any("thermal" in key for key in alone)


def test_energies_are_above_each_reference_with_the_errors_of_both() -> None:
    """Two paths at 41 and 44: their mean has an error of 1.5; the thermal mean of 5, 8 and 11 one of sqrt(3)."""
    got = paths_summary(GUIDED, reference(5.0, 8.0, 11.0), EmbeddedReference(20.0, 2.0, 0.0))
    assert got["max_energy_above_thermal_kj_mol"] == {"value": 34.5, "standard_error": pytest.approx(math.hypot(1.5, math.sqrt(3.0)))}
    assert got["max_energy_above_embedded_kj_mol"] == {"value": 22.5, "standard_error": pytest.approx(2.5)}


# References ---------------------------------------------------------------------------------------------------------------------------


def test_the_thermal_reference_is_looked_at_as_guided_paths_are() -> None:
    assert settings().guided.frames == 4
    np.testing.assert_allclose(thermal_energies(SAMPLED, PROBLEM, settings()), [5.0, 8.0])
    np.testing.assert_allclose(thermal_energies(SAMPLED, PROBLEM, settings("guided.points=4")), [5.0, 8.0])  # of six there is one alone
    every = settings("guided.stride=25", "guided.steps_per_point=100", "guided.points=2")  # nine frames: one stretch
    np.testing.assert_allclose(thermal_energies(SAMPLED, PROBLEM, every), [90.0, 90.0])
    leaves = replace(SAMPLED, in_a=[letters("a.a.b.a.a.a.a", np.arange(13))])
    np.testing.assert_allclose(thermal_energies(leaves, PROBLEM, settings()), [2.0, 8.0, 12.0])


def test_the_embedded_reference_is_the_mean_over_stretches_in_A() -> None:
    """Two paths of two and three frames lack two and one of four. Stretches of two of every second frame are hottest at 5 5 3 9 9 and at
    8 8 7, single frames 1 5 2 3 9 0 4 8 6 7; the paths' own highest are 3 and 13."""
    got = embedded_reference(SAMPLED, shots("0_0000_0", "0_0001_1"), PROBLEM, settings())
    assert got is not None
    first, second = np.array([5, 5, 3, 9, 9, 8, 8, 7]).mean(), 13.0
    assert got.value == pytest.approx((first + 2.0 * second) / 3.0)
    above = summary(guided=GUIDED, unbiased=shots("0_0000_0", "0_0001_1"))
    assert above["embedded_reference"]["value"] == pytest.approx(got.value)
    assert above["stages"]["guided"]["max_energy_above_embedded_kj_mol"]["value"] == pytest.approx(42.5 - got.value)


def test_paths_of_one_walker_are_one_draw() -> None:
    """Walkers are told by crossing and number, whatever the batch: one alone is always drawn, and only runs make an error."""
    assert shots("0_0000_1", "0_0003_1", "1_0000_1", "0_0000_0").walker.tolist() == ["0_1", "0_1", "1_1", "0_0"]
    one = replace(SAMPLED, in_a=RUNS[:1])
    same = embedded_reference(one, shots("0_0000_1", "0_0003_1"), PROBLEM, settings())
    other = embedded_reference(one, shots("0_0000_1", "0_0003_0"), PROBLEM, settings())
    assert same is not None
    assert other is not None
    assert same.standard_error == pytest.approx(0.0, abs=1e-9)
    assert other.standard_error > 1.0


def test_there_is_no_embedded_reference_without_paths_at_the_same_interval_and_stretches_long_enough() -> None:
    unbiased = shots("0_0000_0")
    assert embedded_reference(SAMPLED, None, PROBLEM, settings()) is None
    assert embedded_reference(SAMPLED, unbiased, PROBLEM, settings("unbiased.stride=25")) is None
    assert embedded_reference(replace(SAMPLED, in_a=[letters("a.b")] * 2), unbiased, PROBLEM, settings()) is None
    assert embedded_reference(SAMPLED, unbiased, PROBLEM, settings("guided.points=20")) is None


# Sentences ----------------------------------------------------------------------------------------------------------------------------


def test_what_went_wrong_is_said() -> None:
    assert failure(ROUTE, {"guided": GUIDED}) is None
    assert failure(ROUTE, {}) is None
    lost = str(failure(ROUTE, {"guided": GUIDED[2:]}))
    assert lost.startswith("None of 2 guided paths connects A and B along r: the molecule does not follow")
    assert failure({**ROUTE, "forward_backward_kT": 5.0}, {"guided": GUIDED}) is None
    assert failure({**ROUTE, "forward_backward_kT": None}, {"guided": GUIDED}) is None
    apart = {**ROUTE, "forward_backward_kT": 5.1}
    assert str(failure(apart, {"guided": GUIDED})).startswith("Windows walked from A and from B still differ by 5.1 kT on the best route")
    assert str(failure(apart, {})).startswith("Windows walked")
    assert str(failure(apart, {"guided": GUIDED[2:]})).startswith("None of 2 guided paths")
    assert str(summary(guided=GUIDED[2:])["failed"]).startswith("None of 2")
    assert str(failure(ROUTE, {"slow": GUIDED[2:], "guided": GUIDED})).startswith("None of 2 slow paths")
    assert failure(ROUTE, {"guided": GUIDED, "slow": []}) is None


BOX = ForbiddenBox(box={"phi": (-20.0, 20.0)})
ASIDE = ForbiddenBox(box={"psi": (100.0, 150.0)})


def entries(*lacks: float, paths: int = 3) -> dict[str, Any] | None:
    storage = Memory()
    made = [frames([-90.0, 0.0, 10.0, 90.0], 20.0), frames([-90.0, -150.0, 150.0, 90.0], 20.0), frames([-90.0, 15.0], 20.0)][:paths]
    for k, path in enumerate(made):
        storage.put_frames(f"g{k}.trr", path, timestep=0.002, cell=None)
    rows = [row(f"g{k}", file=f"g{k}.trr", hit=k % 2) for k in range(len(made))] + [row("lost", status="unstable", file="")]
    near = [
        {"region": r.label, "lack_nats": lack, "divergence_nats": 3.0, "floor_nats": 10.0, "p_eta": 0.01, "center": None, "crosses": False}
        for r, lack in zip((BOX, ASIDE), lacks, strict=True)
    ]
    return avoidance_summary(storage, (BOX, ASIDE), PROBLEM, {**ROUTE, "nearness": near}, rows)


def test_entries_into_forbidden_regions_are_counted_frame_by_frame() -> None:
    got = entries(0.0, 0.0)
    assert got is not None
    box, aside = got["regions"]
    assert (box["paths"], box["paths_entering"], box["frames"], box["frames_inside"]) == (3, 2, 10, 3)
    assert box["fraction_of_paths"] == pytest.approx(2 / 3)
    assert box["fraction_of_frames"] == pytest.approx(0.3)
    assert (aside["paths_entering"], aside["frames_inside"], aside["fraction_of_paths"], aside["fraction_of_frames"]) == (0, 0, 0.0, 0.0)
    assert box["region"] == BOX.label
    assert (got["met"], got["sentence"]) == (True, LAG)


def test_the_curve_is_blamed_before_the_paths_and_nobody_where_nothing_entered() -> None:
    got = entries(0.0, 4.0)
    assert got is not None
    assert not got["met"]
    assert got["sentence"].startswith(f"The constraint cannot be met: the best curve found, r, comes too near the region '{ASIDE.label}'")
    none = entries(0.0, 0.0, paths=0)
    assert none is not None
    assert (none["met"], none["sentence"]) == (True, None)
    assert none["regions"][0]["fraction_of_paths"] is None
    assert none["regions"][0]["fraction_of_frames"] is None
    assert avoidance_summary(Memory(), (), PROBLEM, ROUTE, GUIDED) is None


# What it is going to cost -------------------------------------------------------------------------------------------------------------

COSTS = ["training.walks=3", "training.equilibration_steps=100", "training.steps_a=700", "training.steps_b=400", "windows.count=10",
         "windows.steps=2000", "rounds.min_rounds=2", "rounds.max_rounds=5", "rounds.routes=2", "guided.paths=40", "guided.points=20",
         "reverse=7", "steered.paths=5", "unbiased.paths=100"]  # fmt: skip


def test_costs_follow_from_the_settings() -> None:
    """Two ways round phi, and three rounds more; paths along two routes each."""
    costs = [stage.cost(PROBLEM, parse_settings(COSTS)) for stage in STAGES]
    assert [name for name, _ in costs] == [
        "the two ends and windows", "guided paths", "guided_reverse paths", "steered paths", "steered_reverse paths", "unbiased paths",
    ]  # fmt: skip
    ends, windows, path = 3 * (2 * 100 + 700 + 400), (2 + 3) * 2 * 10 * 2000, 21 * 50
    assert [count for _, count in costs] == [ends + windows, 40 * 2 * path, 7 * 2 * path, 5 * 2 * path, 7 * 2 * path, 250_000]
    assert STAGES[-1].cost(PROBLEM, parse_settings([*COSTS, "unbiased.budget=9000"]))[1] == 9000
    one = parse_settings([*COSTS, "rounds.max_routes=2"])
    assert STAGES[0].cost(PROBLEM, one)[1] == ends + windows - 2 * 10 * 2000, "half of the curves may be straight"


def test_the_estimate_is_the_sum_of_the_stages() -> None:
    chosen = parse_settings([*COSTS, "workers=2"])
    total = sum(stage.cost(PROBLEM, chosen)[1] for stage in STAGES)
    assert total == 203_900 + 84_000 + 14_700 + 10_500 + 14_700 + 250_000
    minutes = total / (1000.0 * 0.8 * 2) / 60.0 + 0.7
    assert estimate(PROBLEM, chosen) == (
        f"Reference platform; about 0.6 million force evaluations, about {minutes:.0f} min: 0.2 M in the two ends and windows, "
        "0.1 M in guided paths, 0.0 M in guided_reverse paths, 0.0 M in steered paths, 0.0 M in steered_reverse paths, "
        "0.2 M in unbiased paths"
    )
    assert "steered" not in estimate(PROBLEM, parse_settings([*COSTS, "steered.paths=0"]))
    assert "min" not in estimate(replace(PROBLEM, steps_per_second=0.0), chosen)


def test_zero_is_the_start_structure() -> None:
    np.testing.assert_allclose(thermal_energies(SAMPLED, replace(PROBLEM, zero=ZERO - 3.0), settings()), [8.0, 11.0])
