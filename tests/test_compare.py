"""A run against other methods: the same figures for each, counts that agree with OpenMM's, and a second call that adds what is missing."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import openmm
import pytest
from hinge import hinge, placed
from small import SMALL
from typer.testing import CliRunner

from spacetime_tps import SpacetimeError, load_system, run
from spacetime_tps.cli import app
from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.engines.openmm.dynamics import Engine
from spacetime_tps.engines.openmm.shooting import shoot
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.pipeline import contenders
from spacetime_tps.pipeline.channel_labels import ChannelLabels
from spacetime_tps.pipeline.compare import compare
from spacetime_tps.pipeline.contenders import CONTENDERS, Source
from spacetime_tps.pipeline.measures import decorrelated, weighted_number
from spacetime_tps.report.comparison import page, sentences
from spacetime_tps.report.page import write_report
from spacetime_tps.rivals.chains import COLUMNS, EVERY, MOVES
from spacetime_tps.settings import parse_settings, settings_of
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import in_use
from spacetime_tps.windows.linear import Linear

ASKED = [*SMALL, "training.steps_a=9700", "guided.paths=3"]
BUDGET = 60_000


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "run"
    run(load_system("alanine_dipeptide"), folder, parse_settings(ASKED))
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps that OpenMM is told to take: walks and shots run in this process, by the engine that workers have."""
    steps: list[int] = []
    engines: dict[str, Engine] = {}
    taken = openmm.LangevinMiddleIntegrator.step

    def step(self: openmm.LangevinMiddleIntegrator, count: int) -> None:
        steps.append(count)
        taken(self, count)

    def engine(workers: Workers) -> Engine:
        return engines.setdefault(workers.model.platform, Engine(workers.model))

    monkeypatch.setattr(openmm.LangevinMiddleIntegrator, "step", step)
    monkeypatch.setattr(Workers, "walks", lambda self, tasks: map(engine(self).walk, tasks))
    monkeypatch.setattr(Workers, "shots", lambda self, tasks: map(partial(shoot, engine(self)), tasks))
    return steps


def test_what_is_missing_is_run_and_its_evaluations_are_openmms_steps(finished: Path, counted: list[int], tmp_path: Path) -> None:
    out, before = tmp_path / "out", (finished / "transitions.csv").read_bytes()
    first = compare(finished, ["guided", "steered"], out, budget=BUDGET)
    assert list(first["methods"]) == [
        "guided", "steered", "steered-short", "steered-fast", "steered-fast-short", "steered-slow", "steered-slow-short"
    ] or list(first["methods"]) == ["guided", "steered", "steered-fast", "steered-slow"]  # fmt: skip
    spent = [m["evaluations"] for m in first["methods"].values()]
    assert sum(e["sampling"] + e["back"] for e in spent[1:]) == pytest.approx(sum(counted), rel=0.01)
    for m in first["methods"].values():
        storage = Folder(Path(m["folder"]))
        rows = [r for r in read_transitions(storage) if r.stage == m["stage"] and m["route"] in (None, r.route)]
        simulated = sum(float(storage.table(r.file.replace(".trr", ".csv"))[-1]["time_ps"]) for r in rows)
        assert m["evaluations"]["sampling"] == pytest.approx(1000.0 * simulated)  # a step is 1 fs
        both = [r for r in read_transitions(storage) if r.stage == f"{m['stage']}_reverse" and r.route == m["route"]]
        lost = m["dissipated_work_kT"]
        assert (lost is None) == (not both), "guided paths of this run were not walked back"
        if lost is not None:
            assert lost["value"] == pytest.approx(sum(np.mean([r.work_kT for r in way]) for way in (rows, both)))
    counted.clear()
    again = compare(finished, ["unbiased"], out, budget=BUDGET)
    ours = again["methods"]["unbiased"]
    assert ours["evaluations"]["sampling"] == pytest.approx(sum(counted), rel=0.01)
    assert ours["evaluations"]["sampling"] <= BUDGET
    assert list(again["methods"])[:2] == ["guided", "unbiased"]
    assert {k: v for k, v in again["methods"].items() if k != "unbiased"} == first["methods"]
    counted.clear()
    assert compare(finished, ["unbiased", "steered"], out, budget=BUDGET)["methods"] == again["methods"]
    assert not counted
    assert json.loads((out / "compare.json").read_text())["methods"] == again["methods"]
    assert (finished / "transitions.csv").read_bytes() == before
    assert (out / "compare.png").stat().st_size > 0
    assert "| unbiased | yes |" in (out / "compare.md").read_text()


def test_a_comparison_that_was_broken_off_goes_on(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[Source]:
        (tmp_path / "out/half").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setitem(CONTENDERS, "steered", broken)
    with pytest.raises(KeyboardInterrupt):
        compare(finished, ["steered"], tmp_path / "out", budget=BUDGET)
    assert list(compare(finished, ["guided"], tmp_path / "out", budget=BUDGET)["methods"]) == ["guided"]


def test_steered_md_runs_at_three_paces_within_the_budget(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, list[str]] = {}

    def kept(contest: object, out: Path, name: str, stage: str, words: list[str], *, own: bool) -> Path:
        asked[name] = words
        return finished

    monkeypatch.setattr(contenders, "_run_or_copy", kept)
    compare(finished, ["steered"], tmp_path / "out", budget=BUDGET)
    settings = settings_of(finished)
    for name, times in (("steered", 1.0), ("steered-fast", 0.5), ("steered-slow", 2.0)):
        found = dict(word.split("=") for word in asked[name])
        pace = settings.guided.model_copy(update={"points": round(times * settings.guided.points)})
        assert int(found["guided.points"]) == pace.points
        assert int(found["steered.paths"]) == int(found["reverse"]) == max(min(3, BUDGET // (4 * pace.steps)), 2)


def test_without_open_path_sampling_one_sentence_says_how(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacetime_tps.rivals.chains.find_spec", lambda name: None)
    words = ["compare", str(finished), "--methods", "guided,mcmc-one-way,mcmc-fixed,string", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert result.output.count('pip install "spacetime_tps[ops]"') == 1
    assert "- left out: mcmc-one-way, mcmc-fixed: OpenPathSampling is not here" in result.output
    assert "- left out: string: " in result.output
    assert not (tmp_path / "out/mcmc-one-way").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_the_report_shows_a_comparison_that_lies_in_the_run(finished: Path) -> None:
    write_report(finished)
    assert "Against other methods" not in (finished / "report.html").read_text()
    compare(finished, ["guided"], finished / "compare", budget=BUDGET)
    assert "Against other methods" in (finished / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--methods", "guidde"], "unknown method 'guidde'; there are guided, unbiased, steered, mcmc-one-way"),
        (["--budget", "5000"], "--budget and --seed are of --methods"),
        (["--methods", "guided", "--seed", "-1"], "setting seed: Input should be greater than or equal to 0, got -1"),
        (["--methods", "guided", "--out", "OCCUPIED"], "holds no comparison; choose another --out"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(finished: Path, tmp_path: Path, more: list[str], said: str) -> None:
    (tmp_path / "thesis.tex").write_text("text")
    result = CliRunner().invoke(app, ["compare", str(finished), *(word.replace("OCCUPIED", str(tmp_path)) for word in more)])
    assert result.exit_code == 2
    assert said in result.output
    assert (tmp_path / "thesis.tex").read_text() == "text"


def test_a_comparison_of_another_run_is_left_alone(finished: Path, tmp_path: Path) -> None:
    compare(finished, ["guided"], tmp_path, budget=BUDGET)
    content = json.loads((tmp_path / "compare.json").read_text())
    (tmp_path / "compare.json").write_text(json.dumps({**content, "problem": "another"}))
    with pytest.raises(SpacetimeError, match="comparison of another run"):
        compare(finished, ["guided"], tmp_path, budget=BUDGET)


def test_rows_of_a_run_that_has_changed_are_left_out_until_they_are_made_again(finished: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(finished, tmp_path / "run"))
    before = compare(changed, ["guided"], changed / "compare", budget=BUDGET)
    run(load_system("alanine_dipeptide"), changed, parse_settings([*ASKED, "guided.paths=4"]))
    shown = (changed / "report.html").read_text()
    assert "guided: the run has changed since it was measured" in shown
    assert "alt='comparison'" not in shown
    assert compare(changed, ["string"], changed / "compare", budget=BUDGET)["methods"] == {}
    after = compare(changed, ["guided"], changed / "compare", budget=BUDGET)
    assert [content["methods"]["guided"]["paths"] for content in (before, after)] == [3, 4]
    assert list(after["left_out"]) == ["string"]
    assert "alt='comparison'" in (changed / "report.html").read_text()


def test_two_calls_do_not_write_into_one_comparison(finished: Path, tmp_path: Path) -> None:
    with in_use(tmp_path / "out"), pytest.raises(SpacetimeError, match="in use by another call"):
        compare(finished, ["guided"], tmp_path / "out", budget=BUDGET)
    (tmp_path / "file").write_text("text")
    with pytest.raises(SpacetimeError, match="is a file; choose another --out"):
        compare(finished, ["guided"], tmp_path / "file", budget=BUDGET)


def _moves(storage: Folder, energies: np.ndarray, renewed: np.ndarray) -> None:
    rows = [(k + 1, 1, int(r), 10 + k % 2, float(e), 100) for k, (e, r) in enumerate(zip(energies, renewed, strict=True))]
    storage.put_table(MOVES, COLUMNS, rows)


def test_a_chain_is_worth_its_moves_over_what_it_takes_to_forget(tmp_path: Path) -> None:
    """AR(1) with coefficient 0.8: one independent value takes (1 + 0.8) / (1 - 0.8) = 9 moves. A channel that stays for 500 moves
    at a time, and nothing before the first renewal counts."""
    rng, x = np.random.default_rng(1), np.zeros(20_000)
    for k in range(1, len(x)):
        x[k] = 0.8 * x[k - 1] + rng.normal()
    storage, renewed = Folder(tmp_path), np.arange(len(x)) % 2 == 1
    _moves(storage, x, renewed)
    found = decorrelated(storage, ["one"] * 2000, every=10)
    assert found["paths"] == 10_000
    assert found["highest energy"] == pytest.approx(20_000 / 9, rel=0.2)
    assert "channel" not in found
    stays = rng.random(2000) < 0.02  # a change in 50 kept paths: 1 + 2 sum (1 - 2 * 0.02)^k = 49 of them
    labels = np.cumsum(stays) % 2
    found = decorrelated(storage, [str(k) for k in labels], every=10)
    assert found["channel"] == pytest.approx(20_000 / (EVERY * 49), rel=0.5)
    _moves(storage, np.concatenate([np.full(20_000, 50.0), x]), np.concatenate([np.zeros(20_000, dtype=bool), renewed]))
    assert decorrelated(storage, ["one"], every=10)["highest energy"] == pytest.approx(20_000 / 9, rel=0.2)


def test_a_chain_that_never_lets_go_of_its_path_is_worth_none(tmp_path: Path) -> None:
    _moves(Folder(tmp_path), np.random.default_rng(1).normal(size=500), np.zeros(500, dtype=bool))
    assert min(decorrelated(Folder(tmp_path), [], every=10).values()) == 0.0


@pytest.mark.parametrize(("near", "far"), [(0.0, 90.0), (0.0, 8.0)])
def test_channels_of_lengths_are_told_by_the_nearest_group(near: float, far: float) -> None:
    """Paths that turn phi at one psi; a window on d, the distance over phi, and groups told by e, that over psi, both in nm as summary.json
    has them. Where two groups read alike they are numbered."""
    coordinates = Distances(("d", "e"), ((0, 3), (1, 4)))
    problem = replace(hinge(), coordinates=coordinates)
    paths = [placed(np.linspace(-90.0, 90.0, 41), psi) for psi in (near, far)]
    d, e = (0.1 * coordinates.values(paths[0])[20, 0], [0.1 * coordinates.values(x)[20, 1] for x in paths])
    crossing = {"of": Linear("d", (1.0, 0.0, 0.0), 0.1).to_json(), "center": float(d), "stiffness": 100.0}
    channels = [{"crossing": 0, "center": {"e": float(value)}} for value in e]
    label = ChannelLabels.of(problem, {"crossings": [crossing], "channels": channels})
    assert label.crossings[0][0].center == pytest.approx(10.0 * d)
    alike = f"{e[0]:.2f}" == f"{e[1]:.2f}"
    assert alike == (far < 10.0)
    told = [f"direct, e {value:.2f}" + (f" ({k + 1})" if alike else "") for k, value in enumerate(e)]
    assert [label(x) for x in paths] == told


def test_weighted_paths_are_worth_what_their_errors_tell() -> None:
    """400 equal weights; a share of one half with error 0.1 is told as well by 25 paths."""
    shares = [{"share": {"value": 0.5, "standard_error": 0.1}}, {"share": {"value": 0.5, "standard_error": 0.05}}]
    told = {"design_effect": {"max_energy": 4.0, "duration": 0.5}, "channels": shares, "routes": {"one": {"share": {"value": 1.0 + 1e-15}}}}
    assert weighted_number(np.full(400, 2.0), told) == pytest.approx({"paths": 400, "length": 400, "highest energy": 100, "channel": 25})


def _entry(*, unbiased: bool, effective: float, spent: int, energy: float, channels: dict[str, float]) -> dict[str, object]:
    numbers = dict.fromkeys(("paths", "length", "highest energy", "channel"), effective)
    value = {"value": energy, "standard_error": 1.0, "std": 5.0}
    return {
        "unbiased": unbiased, "paths": 100, "valid": 100, "effective": effective, "effective_by": numbers, "max_energy_kj_mol": value,
        "max_energy_above_thermal_kj_mol": value, "length_ps": value, "dissipated_work_kT": None, "channels": channels, "wall_seconds": 1.0,
        "evaluations": {"set_up": 0, "sampling": spent, "back": 0, "total": spent}, "evaluations_per_effective_path": spent / effective,
        "evaluations_per_effective_path_with_set_up": spent / effective, "fixed_length": False,
    }  # fmt: skip


def test_sentences_say_who_is_as_good_and_which_channel_was_never_visited() -> None:
    both, one = {"left": 0.9, "right": 0.1}, {"left": 1.0}
    methods = {
        "guided": _entry(unbiased=False, effective=100, spent=100_000, energy=10.0, channels=one),
        "unbiased": _entry(unbiased=True, effective=1000, spent=1_000_000, energy=30.0, channels=both),
        "steered": _entry(unbiased=False, effective=100, spent=100_000, energy=11.0, channels=one),
        "steered-fast": _entry(unbiased=False, effective=100, spent=50_000, energy=20.0, channels=one),
        "mcmc-one-way": _entry(unbiased=True, effective=900, spent=1_000_000, energy=31.0, channels=one),
        "mcmc-two-way": _entry(unbiased=True, effective=1000, spent=100_000, energy=38.0, channels=both),
        "mcmc-fixed": _entry(unbiased=True, effective=5, spent=1_000_000, energy=90.0, channels=both) | {"fixed_length": True},
    }
    content = {"methods": methods, "left_out": {}, "system": "x", "temperature_K": 300.0}
    found = sentences(content)
    about = {(s.split()[0], s.rsplit(": ", 1)[-1]) for s in found}
    assert ("mcmc-one-way", "as good as unbiased, within what is known.") in about
    assert ("mcmc-two-way", "cheaper.") in about
    assert ("mcmc-fixed", "dearer.") in about
    assert ("steered", "as good as guided.") in about
    assert ("steered-fast", "worse than guided.") in about
    assert "mcmc-one-way never visited right (10.0 % of unbiased, 10.0 % of mcmc-two-way, 10.0 % of mcmc-fixed)." in found
    assert any(
        s.startswith(f"mcmc-two-way and unbiased differ by {8 / math.sqrt(2):.1f} standard errors in mean highest energy") for s in found
    )
    assert any(s.startswith("mcmc-fixed is worth 5.0 effective paths") for s in found)
    assert not any(one == other for one, other in pairwise(sorted(found)))
    assert "| left | 100.0 | 90.0 |" in page(content)
