"""Several jobs make the paths of one run: what is gathered is what one job makes, whatever was killed, and nothing else is taken."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hinge import Here, Told, hinge
from typer.testing import CliRunner

from spacetime_tps.cli import app
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import write_pdb
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.pipeline.gather import gather
from spacetime_tps.pipeline.run import explore, run, shoot
from spacetime_tps.pipeline.shards import make_shard
from spacetime_tps.problems.system import SystemSpec, load_system
from spacetime_tps.progress import Progress, Silent
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.share import Share
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import in_use

SMALL = [
    "dynamics.platform=Reference", "training.walks=1", "training.steps_a=2000", "training.steps_b=1500", "training.equilibration_steps=100",
    "training.pool_stride=2", "windows.count=12", "windows.steps=400", "windows.discard=200", "windows.stride=10", "rounds.min_rounds=1",
    "rounds.max_rounds=1", "rounds.quenches=1", "geodesic.points=16", "geodesic.nodes=6", "geodesic.evaluations=5", "guided.paths=5",
    "guided.points=10", "steered.paths=2", "reverse=3", "denoiser.components=0", "workers=1",
]  # fmt: skip
CLOCKS = {"summary.json", "stages.json", "report.html", "preparation.json"}
COMMAND = [sys.executable, "-m", "spacetime_tps"]


def settings(*more: str) -> Settings:
    return parse_settings([*SMALL, *more])


def contents(folder: Path) -> dict[str, Any]:
    """Every file; of those that tell wall times all but these."""
    found: dict[str, Any] = {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in CLOCKS
    }
    summary, stages = (json.loads((folder / name).read_text()) for name in ("summary.json", "stages.json"))
    assert set(summary["wall_seconds"]) == set(stages)
    summary.pop("wall_seconds")
    found["summary.json"], found["stages.json"] = summary, {k: {**v, "wall_seconds": 0.0} for k, v in stages.items()}
    return found


class InProcess(Here):
    """A simulation whose walks run in this process: starting others takes most of the time here."""

    def __init__(self, model: Model, *, processes: int | None = None, storage: Folder, progress: Progress):
        super().__init__(SimpleNamespace(model=model), storage=storage)  # type: ignore[arg-type]
        self.progress = progress


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("run", "shards", "gather"):
            patch.setattr(f"spacetime_tps.pipeline.{module}.Simulation", InProcess)
        patch.setattr("spacetime_tps.pipeline.run.write_report", lambda out: (out / "report.html").write_text("drawn"))
        yield


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The molecule of five atoms as a system folder."""
    folder, problem = tmp_path_factory.mktemp("systems") / "hinge", hinge()
    folder.mkdir()
    (folder / "system.xml").write_text(problem.model.system_xml)
    for name, structure in (("start", problem.start), ("end", problem.end)):
        write_pdb(folder / f"{name}.pdb", structure)
    atoms = [f"1:C{k}" for k in range(5)]
    content = {
        "name": "hinge", "start": "start.pdb", "end": "end.pdb", "system": "system.xml", "timestep_fs": 2.0, "friction_per_ps": 10.0,
        "torsions": {"phi": atoms[:4], "psi": atoms[1:]}, "states": {"A": [{"phi": [-120, -60]}], "B": [{"phi": [60, 120]}]},
    }  # fmt: skip
    (folder / "system.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def spec(system: Path) -> SystemSpec:
    return load_system(str(system))


@pytest.fixture(scope="module")
def whole(spec: SystemSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    run(spec, out, settings(), Silent())
    return out


@pytest.fixture(scope="module")
def first(spec: SystemSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "explored"
    explore(spec, out, settings(), Silent())
    return out


@pytest.fixture
def explored(first: Path, tmp_path: Path) -> Path:
    """A copy of an explored run, for each test its own."""
    return Path(shutil.copytree(first, tmp_path / "run"))


def shards(folder: Path, of: int, which: Sequence[int], *words: str) -> None:
    for index in which:
        make_shard(folder, Share(index, of), words, Silent())


def killed(words: Sequence[str], folder: Path, after: str, count: int) -> None:
    """Begin a command, and kill it with its workers once so many files of a pattern are in a folder."""
    process = subprocess.Popen([*COMMAND, *words], start_new_session=True, stdout=subprocess.DEVNULL)
    while len(list(folder.glob(after))) < count:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_what_is_gathered_is_what_one_job_makes_though_a_shard_was_killed(explored: Path, whole: Path, spec: SystemSpec) -> None:
    assert not list(explored.glob("transitions*"))
    shards(explored, 3, [3, 1])
    words = ["run", str(explored), "--shard", "2/3"]
    killed(words, explored, "shards/2_of_3/transitions/guided_*.trr", 1)
    with pytest.raises(SpacetimeError, match=r"shard 2/3 is not finished: make it with run .*run --shard 2/3"):
        gather(explored, Silent())
    assert CliRunner().invoke(app, words).exit_code == 0
    summary = gather(explored, Silent())
    assert contents(explored) == contents(whole)
    assert summary["wall_seconds"]["guided"] > 0.0
    assert not list(explored.rglob(".*"))
    again = contents(explored)
    gather(explored, Silent())
    run(spec, explored, settings(), Silent())
    assert contents(explored) == again, "nothing is left to do"


def test_exploring_asks_for_no_paths(explored: Path, spec: SystemSpec) -> None:
    before = (explored / "geodesic.npz").read_bytes()
    routes = explore(spec, explored, settings("guided.paths=0", "steered.paths=0", "reverse=0"), Silent())
    assert routes == json.loads((explored / "samples/rounds.json").read_text())["routes"]
    assert (explored / "geodesic.npz").read_bytes() == before, "what paths are asked for changes nothing of it"
    with pytest.raises(SpacetimeError, match="ask for at least one path"):
        run(spec, explored, settings("guided.paths=0", "steered.paths=0", "reverse=0"), Silent())


def test_exploring_a_finished_run_for_other_paths_takes_its_results_away(whole: Path, spec: SystemSpec, tmp_path: Path) -> None:
    """config.yaml then holds settings that nothing there was made with; more of the same is no reason."""
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    explore(spec, out, settings("guided.paths=9"), Silent())
    assert (out / "summary.json").exists()
    explore(spec, out, settings("guided.points=12"), Silent())
    assert not (out / "summary.json").exists()
    assert read_transitions(Folder(out)) == read_transitions(Folder(whole)), "paths stay until others are made"


@pytest.mark.parametrize("place", ["copies", "rows", "report", "removal"])
def test_a_gather_that_is_interrupted_is_repeated(explored: Path, whole: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shards(explored, 2, [1, 2])
    stop = {"copies": 7, "rows": 2, "report": 0, "removal": 0}[place]
    count = itertools.count()

    def stops(call: Callable[..., Any]) -> Callable[..., Any]:
        def stopping(*words: Any, **more: Any) -> Any:
            if next(count) == stop:
                raise KeyboardInterrupt
            return call(*words, **more)

        return stopping

    def half_removed(folder: Path, ignore_errors: bool) -> None:
        (folder / "1_of_2/stages.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if place == "report":
            patch.setattr("spacetime_tps.pipeline.run.write_report", stops(lambda out: None))
        elif place == "removal":
            patch.setattr("spacetime_tps.pipeline.gather.shutil.rmtree", half_removed)
        else:
            name = {"copies": "put_bytes", "rows": "put_table"}[place]
            patch.setattr(Folder, name, stops(getattr(Folder, name)))
        with pytest.raises(KeyboardInterrupt):
            gather(explored, Silent())
    assert (explored / "shards").exists()
    finished = json.loads((explored / "stages.json").read_text())
    summary = gather(explored, Silent())
    if place in ("report", "removal"):
        assert summary["wall_seconds"]["guided"] == finished["guided"]["wall_seconds"], "what was taken is not counted again"
    assert contents(explored) == contents(whole)
    assert not (explored / "shards").exists()


def test_a_shard_makes_its_paths_and_those_alone(explored: Path) -> None:
    shard = make_shard(explored, Share(2, 3), [], Silent())
    numbers = {stage: [int(r.path[-4:]) for r in shard.rows() if r.stage == stage] for stage in {r.stage for r in shard.rows()}}
    assert numbers == {"guided": [1, 4], "guided_reverse": [1], "steered": [1], "steered_reverse": [1]}
    before = {p: p.stat().st_mtime_ns for p in shard.folder.rglob("*.trr")}
    assert len(before) == 5
    make_shard(explored, Share(2, 3), [], Silent())
    assert {p: p.stat().st_mtime_ns for p in shard.folder.rglob("*.trr")} == before
    assert not (explored / "transitions.csv").exists()


def test_what_cannot_be_had_is_said_before_a_shard_is_made(explored: Path) -> None:
    config = (explored / "config.yaml").read_bytes()
    with pytest.raises(SpacetimeError, match="there is no coordinate 'fi'"):
        make_shard(explored, Share(1, 2), ["unbiased.variable=fi"], Silent())
    shard = make_shard(explored, Share(1, 2), [], Silent())
    record = json.loads((shard.folder / "shard.json").read_text())
    record["settings"]["unbiased"]["variable"] = "fi"
    (shard.folder / "shard.json").write_text(json.dumps(record))
    with pytest.raises(SpacetimeError, match="there is no coordinate 'fi'"):
        gather(explored, Silent())
    assert (explored / "config.yaml").read_bytes() == config


def test_missing_shards_are_named_and_nothing_is_changed(explored: Path) -> None:
    with pytest.raises(SpacetimeError, match="holds no shards, and not all paths"):
        gather(explored, Silent())
    shards(explored, 4, [2])
    before = {p: p.read_bytes() for p in explored.rglob("*") if p.is_file()}
    with pytest.raises(SpacetimeError, match=r"shard 1/4 is missing, 3/4 is missing, 4/4 is missing: make it with run .* --shard 1/4"):
        gather(explored, Silent())
    assert {p: p.read_bytes() for p in explored.rglob("*") if p.is_file()} == before
    shards(explored, 2, [1])
    with pytest.raises(SpacetimeError, match="holds shards of 2 and of 4: remove those"):
        gather(explored, Silent())


def test_shards_that_contradict_are_refused(explored: Path, spec: SystemSpec) -> None:
    invoke = partial(CliRunner().invoke, app)
    shards(explored, 2, [1])
    other = invoke(["run", str(explored), "--shard", "2/2", "--seed", "5"])
    assert (other.exit_code, "was explored with seed = 1, not 5" in " ".join(other.stderr.split())) == (2, True)
    shards(explored, 2, [2], "guided.points=12", "workers=2")
    refused = invoke(["gather", str(explored)])
    assert refused.exit_code == 2
    assert "shards 1/2 and 2/2 of" in refused.stderr
    assert "contradict: guided.points is 10 in one and 12 in the other" in " ".join(refused.stderr.split())
    shards(explored, 2, [2])
    explore(spec, explored, settings("seed=2"), Silent())
    with pytest.raises(SpacetimeError, match="was explored with seed = 2, not 1"):
        gather(explored, Silent())
    shards(explored, 2, [1])
    with pytest.raises(SpacetimeError, match="contradict: seed is 2 in one and 1 in the other"):
        gather(explored, Silent())
    shards(explored, 2, [2])
    explore(spec.model_copy(update={"temperature_K": 310.0}), explored, settings("seed=2"), Silent())
    with pytest.raises(SpacetimeError, match="shard 1/2 is of another system"):
        gather(explored, Silent())
    shards(explored, 2, [1])
    with pytest.raises(SpacetimeError, match="contradict: system is"):
        gather(explored, Silent())


def test_an_exploration_that_is_not_there_or_unfinished_is_a_sentence(whole: Path, tmp_path: Path, spec: SystemSpec) -> None:
    with pytest.raises(SpacetimeError, match="holds no run"):
        make_shard(tmp_path, Share(1, 2), [], Silent())

    class Stops(Silent):
        def say(self, text: str) -> None:
            if text.startswith("round 1: best"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(spec, tmp_path / "run", settings(), Stops())
    with pytest.raises(SpacetimeError, match="is not explored to the end: call run with --explore"):
        make_shard(tmp_path / "run", Share(1, 2), [], Silent())
    for words in (["run", "hinge", "--shard", "1/2", "--out", "x"], ["run", "--shard", "1/2"], ["run", str(whole), "--shard", "3/2"]):
        assert CliRunner().invoke(app, words).exit_code == 2


def test_more_paths_are_shared_among_shards_too(explored: Path) -> None:
    shards(explored, 2, [1, 2])
    gather(explored, Silent())
    first = {p.name: p.read_bytes() for p in (explored / "transitions").iterdir()}
    words = ["guided.paths=8"]
    assert [len(make_shard(explored, Share(k, 2), words, Silent()).rows()) for k in (1, 2)] == [1, 2], "numbers 5, 6 and 7 are missing"
    summary = gather(explored, Silent())
    assert summary["stages"]["guided"]["paths"] == 8
    assert [r.path[-4:] for r in read_transitions(Folder(explored)) if r.stage == "guided"] == [f"{k:04d}" for k in range(8)]
    assert {name: (explored / "transitions" / name).read_bytes() for name in first} == first
    assert yaml.safe_load((explored / "config.yaml").read_text())["settings"]["guided"]["paths"] == 8


def test_unbiased_paths_are_left_to_shoot(spec: SystemSpec, tmp_path: Path) -> None:
    few = [
        "unbiased.paths=2",
        "unbiased.walkers=2",
        "unbiased.equilibration=300",
        "unbiased.points=2",
        "unbiased.states=0",
        "unbiased.rung_steps=300",
    ]
    explore(spec, tmp_path / "run", settings(*few), Silent())
    told, sentence = Told(), f"shoot {tmp_path / 'run'} --unbiased 2 makes them"
    make_shard(tmp_path / "run", Share(1, 1), [], told)
    assert told.lines[-1].endswith(sentence)
    told.lines.clear()
    assert gather(tmp_path / "run", told)["unbiased"] is None
    assert told.lines[-1].endswith(sentence)
    shoot(tmp_path / "run", ["unbiased.paths=2"], Silent())
    run(spec, tmp_path / "one", settings(*few), Silent())
    assert contents(tmp_path / "run") == contents(tmp_path / "one")
    told.lines.clear()
    assert gather(tmp_path / "run", told)["unbiased"] is not None
    assert told.lines == []


def test_a_second_call_on_a_folder_is_told(explored: Path, spec: SystemSpec, tmp_path: Path) -> None:
    for call in (
        lambda: run(spec, explored, settings(), Silent()),
        lambda: shoot(explored, ["unbiased.paths=1"], Silent()),
        lambda: gather(explored, Silent()),
    ):
        with in_use(explored), pytest.raises(SpacetimeError, match=f"is in use by another call \\(process {os.getpid()} on "):
            call()
    shards(explored, 2, [1])
    with in_use(explored):
        shards(explored, 2, [2])  # reads the run alone
    with in_use(explored / "shards/2_of_2"):
        for other in (lambda: gather(explored, Silent()), lambda: shards(explored, 2, [2])):
            with pytest.raises(SpacetimeError, match="2_of_2 is in use by another call"):
                other()
    gather(explored, Silent())
    with in_use(tmp_path / "new" / "run"):
        assert (tmp_path / "new/run").is_dir()
    assert not (tmp_path / "new/run").exists(), "nothing was written"


def test_a_killed_holder_leaves_a_folder_free(tmp_path: Path, spec: SystemSpec) -> None:
    held = """import sys, time; from spacetime_tps.storage.lock import in_use
with in_use(sys.argv[1]):
    print(flush=True)
    time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", held, str(tmp_path / "run")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(SpacetimeError, match=f"process {process.pid} on "):
            explore(spec, tmp_path / "run", settings(), Silent())
        process.kill()
    assert (tmp_path / "run/.lock").exists()
    explore(spec, tmp_path / "run", settings(), Silent())
    assert not (tmp_path / "run/.lock").exists()


def test_shares_cover_every_path_once() -> None:
    assert [str(Share.holding(k, 3)) for k in range(5)] == ["1/3", "2/3", "3/3", "1/3", "2/3"]
    assert Share.parse(" 2/4 ") == Share(2, 4)
    for text in ("0/4", "5/4", "2", "2/4/6", "a/b", "1/0", "-1/4", "2.0/4"):
        with pytest.raises(SpacetimeError, match="--shard wants I/N"):
            Share.parse(text)
