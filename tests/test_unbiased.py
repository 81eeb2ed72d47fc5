"""Unbiased transitions of a real molecule, end to end: files that agree, counts that add up, the same result by the same seed."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mdtraj as md
import numpy as np
import pytest
from small import SMALL
from typer.testing import CliRunner

from spacetime_tps import SpacetimeError, load_system, run
from spacetime_tps.cli import app
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.pipeline.run import shoot
from spacetime_tps.problems import problem as preparation
from spacetime_tps.progress import Silent
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.shooting.allocation import LEAST, behind
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.crossing import Crossing
from spacetime_tps.shooting.sites import Site
from spacetime_tps.storage.folder import Folder


def settings(*more: str) -> Settings:
    return parse_settings([*SMALL, *more])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbiased") / "first"
    run(load_system("alanine_dipeptide"), folder, settings("unbiased.paths=30"))
    return folder


@pytest.fixture
def finished(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "finished"))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / name, newline="") as handle:
        return list(csv.DictReader(handle))


def summary(folder: Path) -> dict:  # type: ignore[type-arg]
    return dict(json.loads((folder / "summary.json").read_text()))


def shot_files(folder: Path) -> dict[str, bytes]:
    names = [*folder.glob("transitions/unbiased_*"), folder / "shots.csv", folder / "committor.csv", folder / "transitions.csv"]
    return {p.name: p.read_bytes() for p in names}


def test_every_path_is_a_transition_with_even_times_and_its_own_energy(first: Path) -> None:
    problem = preparation.load(first)
    potential = Potential(problem.model)
    mine = [r for r in read_transitions(Folder(first)) if r.stage == "unbiased"]
    assert effective_number(np.array([r.weight for r in mine])) >= 30
    assert sum(r.weight for r in mine) == pytest.approx(len(mine))
    for row in mine:
        path = md.load(str(first / row.file), top=str(first / "topology.pdb"))
        in_a, in_b = problem.a.contains(path.xyz), problem.b.contains(path.xyz)
        assert in_a.tolist() == [True] + [False] * (len(path) - 1)
        assert in_b.tolist() == [False] * (len(path) - 1) + [True]
        np.testing.assert_allclose(np.diff(path.time), 0.025, atol=1e-6)
        highest = max(potential(x.astype(float))[0] for x in path.xyz) - problem.zero
        assert highest == pytest.approx(row.max_energy_kj_mol, abs=0.05)


def test_shots_and_paths_tell_the_same_story(first: Path) -> None:
    shots, paths = rows(first, "shots.csv"), [r for r in read_transitions(Folder(first)) if r.stage == "unbiased"]
    reactive = {s["path"]: s for s in shots if s["path"]}
    assert set(reactive) == {p.path for p in paths}
    for path in paths:
        shot = reactive[path.path]
        assert {shot["forward"], shot["backward"]} == {"A", "B"}
        assert (int(shot["seed"]), int(shot["evaluations"])) == (path.seed, path.evaluations)
        assert float(shot["weight"]) == path.weight
    unmatched = [s for s in shots if not s["path"] and s["purpose"] != "committor"]
    assert not [s for s in unmatched if {s["forward"], s["backward"]} == {"A", "B"}]


def test_every_evaluation_is_counted(first: Path) -> None:
    counted = summary(first)["evaluations"]
    assert counted["unbiased"] == sum(int(s["evaluations"]) for s in rows(first, "shots.csv"))
    walks = json.loads((first / "samples/region/walks.json").read_text())
    assert counted["region"] == sum(w["evaluations"] for w in walks.values())
    assert counted["total"] == sum(v for k, v in counted.items() if k != "total")


def test_committors_are_those_of_the_shots(first: Path) -> None:
    ends: dict[tuple[str, str, bool], list[str]] = {}
    for s in rows(first, "shots.csv"):
        if int(s["evaluations"]):
            ends.setdefault((s["walk"], s["frame"], s["purpose"] == "committor"), []).extend((s["forward"], s["backward"]))
    points = rows(first, "committor.csv")
    for p in points:
        for again, prefix in ((False, ""), (True, "again_")):
            mine = ends.get((p["walk"], p["frame"], again), [])
            assert int(p[f"{prefix}reached_b"]) == mine.count("B")
            assert int(p[f"{prefix}trials"]) == len(mine) - mine.count("none")
    states = sorted((p for p in points if int(p["transition_state_frame"]) >= 0), key=lambda p: int(p["transition_state_frame"]))
    assert len(states) == summary(first)["unbiased"]["transition_states"]
    if states:
        found = md.load(str(first / "transition_states.trr"), top=str(first / "topology.pdb"))
        phi = np.degrees(md.compute_phi(found)[1][:, 0])
        np.testing.assert_allclose(phi, [float(p["phi_degrees"]) for p in states], atol=0.01)


def test_one_seed_gives_the_same_shots_whatever_the_number_of_workers(first: Path, tmp_path: Path) -> None:
    run(load_system("alanine_dipeptide"), tmp_path / "same", settings("unbiased.paths=30", "workers=1"))
    assert shot_files(tmp_path / "same") == shot_files(first)
    run(load_system("alanine_dipeptide"), tmp_path / "other", settings("unbiased.paths=10", "seed=2"))
    assert not {s["seed"] for s in rows(tmp_path / "other", "shots.csv")} & {s["seed"] for s in rows(first, "shots.csv")}


class StopsAfter(Silent):
    """Interrupts, as Ctrl-C does, at the n-th line that a run says of its windows and shots."""

    def __init__(self, lines: int):
        self.left = lines

    def say(self, text: str) -> None:
        if ("stiffness" in text and "window at" in text) or "unbiased" in text:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("lines", [1, 4])
def test_an_interrupted_stage_goes_on_to_the_same_end(finished: Path, tmp_path: Path, lines: int) -> None:
    expected = shot_files(finished)
    for path in (finished / "samples/region", finished / "samples/shots"):
        shutil.rmtree(path)
    storage = Folder(finished)
    stages = storage.record("stages.json")
    storage.put_record("stages.json", {**stages, "unbiased": {**stages["unbiased"], "finished": False}})
    with pytest.raises(KeyboardInterrupt):
        shoot(finished, ["unbiased.paths=30"], StopsAfter(lines))
    assert list((finished / "samples/shots").glob("*.npz"))
    shoot(finished, ["unbiased.paths=30"])
    assert shot_files(finished) == expected


def test_more_can_be_asked_for_and_earlier_shots_stay(finished: Path) -> None:
    before = {s["shot"]: s for s in rows(finished, "shots.csv") if s["purpose"] != "committor"}
    result = CliRunner().invoke(app, ["shoot", str(finished), "--unbiased", "45"])
    assert result.exit_code == 0, result.output
    assert "effective paths" in result.output
    after = {s["shot"]: s for s in rows(finished, "shots.csv")}
    assert all(after[name]["seed"] == shot["seed"] and after[name]["path"] == shot["path"] for name, shot in before.items())
    assert len(after) > len(before)
    u = summary(finished)["unbiased"]
    assert u["effective_paths"] >= 45
    assert u["stopped_because"] == "the effective number is reached"
    assert {r.stage for r in read_transitions(Folder(finished))} == {"guided", "unbiased"}
    assert "Unbiased transitions" in (finished / "report.html").read_text()


def test_a_budget_ends_it_and_is_named(finished: Path) -> None:
    spent = sum(summary(finished)["unbiased"]["evaluations"].values())
    shoot(finished, ["unbiased.paths=100000", f"unbiased.budget={spent + 60_000}"])
    u = summary(finished)["unbiased"]
    assert u["stopped_because"] == "the budget is spent"
    assert spent <= sum(u["evaluations"].values()) <= spent + 60_000
    assert "instead of 100000" in (finished / "report.html").read_text()


@pytest.mark.parametrize("budget", [100_000, 160_000])
def test_a_budget_holds_pilots_and_ladder_too(finished: Path, budget: int) -> None:
    shoot(finished, ["unbiased.paths=100000", f"unbiased.budget={budget}", "unbiased.gap=200"])
    assert 0.2 * budget < sum(summary(finished)["unbiased"]["evaluations"].values()) <= budget


def test_more_transition_states_cost_no_path(finished: Path) -> None:
    before = rows(finished, "shots.csv")
    shoot(finished, ["unbiased.states=6", "unbiased.state_shots=7"])
    after = rows(finished, "shots.csv")
    assert {s["shot"] for s in before} < {s["shot"] for s in after}
    assert [s for s in after if s["purpose"] != "committor"] == [s for s in before if s["purpose"] != "committor"]
    again = [int(r["again_trials"]) for r in rows(finished, "committor.csv")]
    assert max(again) == 14
    assert 4 < sum(n > 0 for n in again) <= 6


class Says(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_other_settings_of_the_stage_start_it_anew(finished: Path) -> None:
    before = {s["seed"] for s in rows(finished, "shots.csv")}
    says = Says()
    shoot(finished, ["unbiased.paths=5", "unbiased.stiffness=150"], says)
    assert any("unbiased have changed" in line for line in says.lines)
    shots = rows(finished, "shots.csv")
    assert {float(s["window_stiffness"]) for s in shots if s["purpose"] != "committor"} >= {150.0}
    assert len(list(finished.glob("transitions/unbiased_*.trr"))) == sum(bool(s["path"]) for s in shots)
    assert len(shots) < len(before)


def test_what_cannot_be_shot_is_a_sentence(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(SpacetimeError, match="holds no run"):
        shoot(tmp_path, ["unbiased.paths=5"])
    with pytest.raises(SpacetimeError, match=r"windows\.count is not a setting of unbiased"):
        shoot(finished, ["windows.count=5"])
    with pytest.raises(SpacetimeError, match=r"none of 0 shots was reactive"):
        shoot(finished, ["unbiased.paths=5", "unbiased.budget=1", "unbiased.stiffness=120"])
    with pytest.raises(SpacetimeError, match=r"spacing must divide stride, got 7 and 25"):
        parse_settings(["unbiased.spacing=7"])


def test_crossings_whose_pilots_met_on_one_top_need_no_batches_of_their_own(first: Path) -> None:
    pilot = replace(Batch.of_arrays(Folder(first).arrays(Folder(first).names("samples/shots/0_*.npz")[-1])), pilot=True)

    def site(route: str, *batches: Batch) -> Site:
        guess = Crossing(route, replace(pilot.window, center=pilot.center + len(route)), 1.0, -5.0)
        return Site(guess, None, 0.0, list(batches))  # type: ignore[arg-type]

    beside, beyond = replace(pilot, center=pilot.center + 0.1), replace(pilot, center=pilot.center + 2.0)
    enough = [replace(pilot, pilot=False)] * LEAST

    def late(*sites: Site) -> int | None:
        return behind(sites, np.ones(sum(s.paths for s in sites)))

    assert late(site("a", pilot)) is None
    assert late(site("a", pilot), site("bb", beside)) is None
    assert late(site("a", pilot), site("bb", beyond)) == 0
    assert late(site("a", *enough), site("bb", beyond)) == 1
    assert late(site("a", *enough), site("bb", beside), site("ccc", beyond)) == 2
