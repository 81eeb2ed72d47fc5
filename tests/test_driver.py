"""The one loop over stages: what is run again, completed, loaded or left out when settings change; and what stages.json remembers of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hinge import Here, hinge
from threadpoolctl import threadpool_info

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import ReadBytes
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.driver import run_stages
from spacetime_tps.stages.protocol import Given, Stage
from spacetime_tps.stages.records import FILE, Records, fingerprint
from spacetime_tps.stages.registry import STAGES
from spacetime_tps.storage.memory import Memory

PROBLEM = hinge()
ASKED = ["guided.paths=2", "steered.paths=1", "unbiased.paths=3"]


@dataclass
class Dry:
    """A stage with all that decides when it is run, whose work is to count."""

    stage: Stage
    log: list[str] = field(default_factory=list)
    fails: bool = False

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def needs(self) -> tuple[str, ...]:
        return self.stage.needs

    @property
    def files(self) -> tuple[str, ...]:
        return self.stage.files

    def made_from(self, settings: Settings) -> Any:
        return self.stage.made_from(settings)

    def asked(self, settings: Settings) -> Any:
        return self.stage.asked(settings)

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        self.stage.check(problem, settings, read)

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        return self.stage.cost(problem, settings)

    def spent(self, value: Any) -> dict[str, int]:
        return self.stage.spent(value)

    def run(self, given: Given) -> Any:
        self.log.append(f"run {self.name}")
        assert set(self.needs) <= set(given.values)
        assert torch.get_num_threads() == 1
        assert all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")
        if self.fails:
            raise KeyboardInterrupt
        storage = given.simulation.storage
        return (storage.record(self.name)["times"] if storage.has(self.name) else 0) + 1

    def save(self, value: Any, given: Given) -> None:
        given.simulation.storage.put_record(self.name, {"times": value})

    def load(self, given: Given) -> Any:
        self.log.append(f"load {self.name}")
        return given.simulation.storage.record(self.name)["times"]

    def clear(self, given: Given) -> bool:
        there = given.simulation.storage.has(self.name)
        if there:
            self.log.append(f"clear {self.name}")
        given.simulation.storage.remove(self.name)
        return there


class Run:
    """A storage in memory and all stages on it, from call to call."""

    def __init__(self) -> None:
        self.simulation, self.values = Here(PROBLEM), {}

    def __call__(self, *more: str, asked: Iterable[str] = ASKED, problem: Problem = PROBLEM, fails: str = "") -> list[str]:
        """What was done under these settings, in its order; loads are left out."""
        log: list[str] = []
        self.stages = [Dry(stage, log, stage.name == fails) for stage in STAGES]
        settings = parse_settings([*asked, *more])
        self.values = run_stages(problem, self.simulation, settings, stages=self.stages)
        self.log = log
        return [line for line in log if not line.startswith("load")]


@pytest.fixture
def run() -> Run:
    made = Run()
    assert made() == ["run exploration", "run guided", "run steered", "run unbiased"]
    assert made.values == {"exploration": 1, "guided": 1, "steered": 1, "unbiased": 1}
    assert made.simulation.told.lines == []
    return made


def anew(*names: str) -> list[str]:
    return [f"{verb} {name}" for name in names for verb in ("clear", "run")]


def test_what_is_there_is_loaded(run: Run) -> None:
    assert run() == []
    assert run.log == ["load exploration", "load guided", "load steered", "load unbiased"]
    assert set(run.values.values()) == {1}
    assert run("workers=3") == []


@pytest.mark.parametrize("setting", ["guided.points=100", "guided.stride=50", "guided.steps_per_point=100"])
def test_the_length_of_guided_paths_is_of_no_concern_to_others(run: Run, setting: str) -> None:
    assert run(setting) == anew("guided", "steered")
    assert run.values == {"exploration": 1, "guided": 1, "steered": 1, "unbiased": 1}
    assert [line.split(" have")[0] for line in run.simulation.told.lines] == [f"the settings behind {m}" for m in ("guided", "steered")]
    assert run(setting) == []


@pytest.mark.parametrize(
    ("setting", "stage"),
    [
        ("guided.paths=5", "guided"),
        ("guided.paths=1", "guided"),
        ("steered.paths=4", "steered"),
        ("unbiased.paths=30", "unbiased"),
        ("unbiased.budget=9999999", "unbiased"),
        ("unbiased.states=3", "unbiased"),
        ("unbiased.state_shots=3", "unbiased"),
    ],
)
def test_where_more_or_less_is_asked_for_a_stage_goes_on_from_what_is_there(run: Run, setting: str, stage: str) -> None:
    before = run.values.get(stage, 0)
    assert run(setting) == [f"run {stage}"]
    assert run.values[stage] == before + 1, "what was there is there"
    assert run.simulation.told.lines == []
    assert run(setting) == []


@pytest.mark.parametrize("setting", ["unbiased.stiffness=120", "unbiased.gap=100", "unbiased.longest=9000", "unbiased.walkers=3"])
def test_settings_of_shots_make_the_unbiased_stage_anew(run: Run, setting: str) -> None:
    assert run(setting) == anew("unbiased")
    assert run.values["unbiased"] == 1


@pytest.mark.parametrize(
    "setting", ["seed=2", "windows.count=30", "training.walks=3", "geodesic.points=40", "rounds.routes=2", "denoiser.components=0",
                "avoidance.floor_nats=9", "avoid=[{box: {phi: [-20, 20]}}]"],
)  # fmt: skip
def test_what_the_exploration_is_made_from_is_behind_all(run: Run, setting: str) -> None:
    assert run(setting) == anew(*run.values)


def test_another_problem_makes_all_anew(run: Run) -> None:
    warmer = replace(PROBLEM, model=replace(PROBLEM.model, temperature=PROBLEM.model.temperature + 1.0))
    assert run(problem=warmer) == anew(*run.values)
    assert run(problem=warmer) == []
    assert run() == anew(*run.values)


def test_a_stage_that_is_not_asked_for_is_loaded_where_it_is_there_and_left_out_where_not(run: Run) -> None:
    none = ["guided.paths=0", "steered.paths=0", "unbiased.paths=0"]
    assert run(asked=none) == []
    assert set(run.values.values()) == {1}
    assert len(run.values) == 4
    assert run() == []
    fresh = Run()
    assert fresh(asked=none) == ["run exploration"]
    assert fresh.values == {"exploration": 1}
    assert fresh("unbiased.paths=3", asked=none) == ["run unbiased"]
    assert set(fresh.values) == {"exploration", "unbiased"}


def test_what_is_out_of_date_goes_even_where_it_is_not_asked_for(run: Run) -> None:
    assert run("windows.count=30", "guided.paths=0", "unbiased.paths=0") == ["clear exploration", "run exploration", "clear guided",
        *anew("steered"), "clear unbiased"]  # fmt: skip
    assert set(run.values) == {"exploration", "steered"}
    assert run("windows.count=30", "guided.paths=0", "unbiased.paths=0") == []
    assert run("windows.count=30", "unbiased.paths=0") == ["run guided"]


def test_paths_back_are_of_the_length_of_paths_forth(run: Run) -> None:
    back = ["reverse=1"]
    assert run(*back) == ["run guided_reverse", "run steered_reverse"]
    assert run(*back, "guided.points=100") == anew("guided", "guided_reverse", "steered", "steered_reverse")
    assert list(run.values) == ["exploration", "guided", "guided_reverse", "steered", "steered_reverse", "unbiased"]


def test_what_was_removed_is_not_remembered(run: Run) -> None:
    assert run("guided.points=100", "guided.paths=0") == ["clear guided", *anew("steered")]
    assert run() == ["run guided", *anew("steered")]


def test_an_interrupted_stage_goes_on_and_is_no_value(run: Run) -> None:
    fresh = Run()
    with pytest.raises(KeyboardInterrupt):
        fresh(fails="guided")
    assert fresh() == ["run guided", "run steered", "run unbiased"]
    with pytest.raises(KeyboardInterrupt):
        run("guided.paths=9", fails="guided")
    assert run("guided.paths=0") == []
    assert set(run.values) == {"exploration", "steered", "unbiased"}, "what was not finished is not loaded"
    assert run("guided.paths=9") == ["run guided"]
    assert run.values["guided"] == 2


def test_threads_come_back(run: Run) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run("seed=3")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# stages.json --------------------------------------------------------------------------------------------------------------------------


GOOD = {"made_from": "m", "asked": "a", "wall_seconds": 1.0, "finished": True}


def test_a_fingerprint_is_of_the_content() -> None:
    assert fingerprint({"a": 1, "b": (2,)}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint("a", "b") != fingerprint("b", "a")
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint("a")) == 16


def test_a_record_says_what_was_made_from_what() -> None:
    storage = Memory()
    records = Records(storage)
    assert not records.begun("s", "m")
    assert not records.finished("s", "m")
    assert not records.current("s", "m", "a")
    with pytest.raises(SpacetimeError, match="the stage s of this run is not finished"):
        records.check_finished("s")
    with records.making("s", "m", "a"):
        now = Records(storage)
        assert now.begun("s", "m")
        assert not now.finished("s", "m")
        with pytest.raises(SpacetimeError, match="not finished"):
            now.check_finished("s")
    for found in (records, Records(storage)):
        assert found.begun("s", "m")
        assert found.finished("s", "m")
        assert found.current("s", "m", "a")
        assert not found.current("s", "m", "b")
        assert not any((found.begun("s", "n"), found.finished("s", "n"), found.current("s", "n", "a"), found.begun("t", "m")))
        found.check_finished("s")
        assert found.finished("s", "m")
    Records(storage).forget("s")
    assert not Records(storage).begun("s", "m")
    before = storage.record(FILE)
    Records(storage).forget("never")
    assert storage.record(FILE) == before == {}


@pytest.mark.parametrize(
    "content", [[], {"s": None}, {"s": {"made_from": "m", "asked": "a", "finished": True}}, {"s": {**GOOD, "more": 1}}]
)
def test_a_record_that_is_none_of_ours_is_a_sentence(content: object) -> None:
    storage = Memory()
    storage.put_record(FILE, {"s": GOOD})
    assert Records(storage).finished("s", "m")
    storage.put_record(FILE, content)
    with pytest.raises(SpacetimeError, match=r"stages\.json is damaged"):
        Records(storage)


def test_seconds_add_up_over_interruptions_and_start_anew_with_what_a_stage_is_made_from() -> None:
    storage = Memory()
    with pytest.raises(KeyboardInterrupt), Records(storage).making("s", "m", "a", seconds=100.0):
        raise KeyboardInterrupt
    assert not Records(storage).finished("s", "m")
    assert Records(storage).wall_seconds()["s"] == pytest.approx(100.0, abs=1.0)
    records = Records(storage)
    with records.making("s", "m", "b", seconds=20.0):
        assert Records(storage).wall_seconds()["s"] == pytest.approx(120.0, abs=1.0)
    assert records.wall_seconds()["s"] == pytest.approx(120.0, abs=1.0)
    with records.making("s", "other", "b", seconds=3.0):
        pass
    with records.making("t", "m"):
        pass
    assert records.wall_seconds() == {"s": pytest.approx(3.0, abs=1.0), "t": pytest.approx(0.0, abs=1.0)}


def test_seconds_are_those_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1000.0, 1007.0, 2000.0, 2030.0])
    monkeypatch.setattr("spacetime_tps.stages.records.time.perf_counter", lambda: next(clock))
    records = Records(Memory())
    with pytest.raises(KeyboardInterrupt), records.making("s", "m"):
        raise KeyboardInterrupt
    assert records.wall_seconds() == {"s": 7.0}
    with records.making("s", "m"):
        pass
    assert records.wall_seconds() == {"s": 37.0}


@pytest.mark.parametrize(("word", "has"), [("timestep_fs=7", "2"), ("friction_per_ps=99", "10"), ("platform=CPU", "Reference")])
def test_dynamics_that_the_problem_was_not_prepared_with_are_refused(run: Run, word: str, has: str) -> None:
    name, wanted = word.split("=")
    with pytest.raises(SpacetimeError, match=rf"dynamics\.{name} is {wanted}.*, and the problem was prepared with {has}"):
        run(f"dynamics.{word}")
    model = PROBLEM.model
    same = [
        f"dynamics.timestep_fs={1e3 * model.timestep}",
        f"dynamics.friction_per_ps={model.friction}",
        f"dynamics.platform={model.platform}",
    ]
    run(*same)
    assert "load exploration" in run.log


def test_a_variable_that_there_is_not_is_said_before_any_shot_is_replaced(run: Run) -> None:
    with pytest.raises(SpacetimeError, match="there is no coordinate 'fi'; there are phi, psi"):
        run("unbiased.variable=fi")
    assert run() == [], "all is as it was"
    assert "run unbiased" in run("unbiased.variable=psi")


def test_a_region_that_cannot_be_kept_out_of_is_said_before_anything_is_replaced(run: Run) -> None:
    region = "avoid=[{box: {phy: [-20, 20]}}]"
    with pytest.raises(SpacetimeError, match="'phy', which is none of the coordinates phi, psi"):
        run(region)
    assert run() == []
