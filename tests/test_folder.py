"""A run in a folder, in seconds, on the molecule of five atoms: what is written when, what is refused, and what reads it afterwards."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mdtraj as md
import numpy as np
import openmm
import pytest
import yaml
from hinge import Here, Told, hinge, placed

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import parse_regions
from spacetime_tps.handover.export import export
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.pipeline import run as module
from spacetime_tps.pipeline import throughput
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.system import SystemSpec
from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule
from spacetime_tps.settings import Settings, parse_settings, settings_of
from spacetime_tps.storage.folder import Folder

SMALL = [
    "dynamics.platform=Reference", "training.walks=1", "training.steps_a=2000", "training.steps_b=1500", "training.equilibration_steps=100",
    "training.pool_stride=2", "windows.count=12", "windows.steps=400", "windows.discard=200", "windows.stride=10", "rounds.min_rounds=1",
    "rounds.max_rounds=1", "rounds.quenches=1", "geodesic.points=16", "geodesic.nodes=6", "geodesic.evaluations=5", "guided.paths=2",
    "guided.points=10", "denoiser.components=0", "workers=3",
]  # fmt: skip


def settings(*more: str) -> Settings:
    return parse_settings([*SMALL, *more])


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SystemSpec:
    folder, problem = tmp_path_factory.mktemp("hinge"), hinge()
    (folder / "system.xml").write_text(problem.model.system_xml)
    for name, structure in (("start", problem.start), ("end", problem.end)):
        write_pdb(folder / f"{name}.pdb", structure)
    atoms = [f"1:C{k}" for k in range(5)]
    return SystemSpec(
        name="hinge",
        start=folder / "start.pdb",
        end=folder / "end.pdb",
        system=folder / "system.xml",
        timestep_fs=2.0,
        friction_per_ps=10.0,
        torsions={"phi": tuple(atoms[:4]), "psi": tuple(atoms[1:])},
        states={"A": ({"phi": (-120.0, -60.0)},), "B": ({"phi": (60.0, 120.0)},)},
    )


class Made:
    """Simulations in this process, and how they were asked for."""

    def __init__(self) -> None:
        self.all: list[tuple[Here, int | None]] = []

    def __call__(self, model: Any, *, processes: int | None, storage: Folder, progress: Any) -> Here:
        here = Here(SimpleNamespace(model=model), storage=storage)  # type: ignore[arg-type]
        here.progress = progress
        self.all.append((here, processes))
        return here


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    found = Made()
    monkeypatch.setattr(module, "Simulation", found)
    monkeypatch.setattr(module, "write_report", lambda out: (out / "report.html").write_text("drawn"))  # pictures take most of the time
    return found


@pytest.fixture(scope="module")
def first(spec: SystemSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Simulation", Made())
        patch.setattr(module, "write_report", lambda folder: (folder / "report.html").write_text("drawn"))
        module.run(spec, out, settings())
    return out


def test_a_folder_holds_what_a_run_was_made_from_and_gave(first: Path, spec: SystemSpec) -> None:
    config = yaml.safe_load((first / "config.yaml").read_text())
    assert config["system"]["name"] == "hinge"
    assert config["inputs"] == spec.inputs()
    assert config["settings"] == settings().model_dump(mode="json")
    summary = json.loads((first / "summary.json").read_text())
    assert set(summary["wall_seconds"]) == {"preparation", "exploration", "guided"}
    assert summary["stages"]["guided"]["paths"] == 2
    assert summary["evaluations"]["guided"] == 2 * 11 * 50
    energies = summary["thermal_reference"]["max_energy_kj_mol"]
    assert energies == [round(e, 4) for e in energies]
    assert openmm.XmlSerializer.deserialize((first / "system.xml").read_text()).getNumParticles() == 5
    assert (first / "report.html").exists()


def test_a_second_call_does_what_is_missing_alone(first: Path, spec: SystemSpec, made: Made) -> None:
    before = (first / "preparation.json").stat().st_mtime_ns
    told = Told()
    summary = module.run(spec, first, settings("guided.paths=3"), told)
    ((simulation, processes),) = made.all
    assert processes == 3
    assert len(simulation.asked) == 1
    assert summary["stages"]["guided"]["paths"] == 3
    assert (first / "preparation.json").stat().st_mtime_ns == before
    assert told.lines[0].startswith("Reference platform; about ")
    assert yaml.safe_load((first / "config.yaml").read_text())["settings"]["guided"]["paths"] == 3
    module.run(spec, first, settings("guided.paths=3", "workers=0"))
    assert made.all[1][1] is None
    (first / "preparation.json").unlink()
    module.run(spec, first, settings("guided.paths=3"))
    assert (first / "preparation.json").exists()
    assert made.all[2][0].asked == []


def test_what_cannot_be_run_is_said_before_anything_is_written(first: Path, spec: SystemSpec, tmp_path: Path, made: Made) -> None:
    out = tmp_path / "run"
    with pytest.raises(SpacetimeError, match="ask for at least one path"):
        module.run(spec, out, settings("guided.paths=0"))
    with pytest.raises(SpacetimeError, match="the end structure lies in the forbidden region"):
        module.run(spec, out, parse_settings(SMALL, avoid=parse_regions(["phi=80:100"])))
    assert not out.exists()
    (tmp_path / "file").write_text("")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/a.tex").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_text("a: 1")
    run = partial(module.run, settings=settings())
    for place, sentence in (("file", "is a file"), ("thesis", "not empty and holds no run"), ("other", "not of a run")):
        with pytest.raises(SpacetimeError, match=sentence):
            run(spec, tmp_path / place)
    with pytest.raises(SpacetimeError, match="holds a run of 'hinge', not of 'door'"):
        run(spec.model_copy(update={"name": "door"}), first)
    with pytest.raises(SpacetimeError, match="holds a run of other structures"):
        run(spec.model_copy(update={"end": spec.start}), first)
    with pytest.raises(SpacetimeError, match="the end structure lies in the forbidden region"):
        module.run(spec, first, parse_settings(SMALL, avoid=parse_regions(["phi=80:100"])))
    assert made.all == []
    assert (first / "summary.json").exists()


def test_a_run_keeps_the_structures_of_its_regions(spec: SystemSpec, tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpacetimeError, match=r"--avoid flat\.pdb: there is no such file"):
        module.run(spec, tmp_path / "run", parse_settings(SMALL, avoid=parse_regions(["rmsd(flat.pdb)<0.03"])))
    assert not (tmp_path / "run").exists()
    flat, asked = tmp_path / "flat.pdb", parse_settings(SMALL, avoid=parse_regions(["rmsd(flat.pdb)<0.03", "near(flat.pdb) kappa=30"]))
    write_pdb(flat, Structure(hinge().start.topology, placed(0.0, 0.0)[0]))
    first = module.run(spec, tmp_path / "run", asked)
    (kept,) = (tmp_path / "run/regions").iterdir()
    assert kept.read_bytes() == flat.read_bytes()
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["settings"]["avoid"]
    sha256 = hashlib.sha256(flat.read_bytes()).hexdigest()
    assert config[0] == {"box": {}, "rmsd": {"file": "flat.pdb", "sha256": sha256, "max_nm": 0.03}}
    assert config[1] == {"near": {"file": "flat.pdb", "sha256": sha256}, "kappa": 30.0}
    assert [r["region"] for r in first["avoid"]["regions"]] == ["rmsd(flat.pdb)<0.03", "near(flat.pdb) kappa=30"]
    flat.unlink()
    for same in (asked, settings_of(tmp_path / "run")):
        again = module.run(spec, tmp_path / "run", same)
        assert made.all[-1][0].asked == []
        assert again["avoid"] == first["avoid"]
    write_pdb(flat, Structure(hinge().start.topology, placed(0.0, 10.0)[0]))
    module.run(spec, tmp_path / "run", asked)
    assert len(made.all[-1][0].asked) > 0, "another structure is another region"
    assert kept.read_bytes() == flat.read_bytes()


def test_shooting_from_a_run_changes_its_own_settings_alone(first: Path, tmp_path: Path, made: Made) -> None:
    with pytest.raises(SpacetimeError, match="holds no run"):
        module.shoot(tmp_path, ["unbiased.paths=5"])
    with pytest.raises(SpacetimeError, match=r"windows\.count is not a setting of unbiased"):
        module.shoot(first, ["unbiased.paths=5", "windows.count=5"])
    assert made.all == []
    summary = module.shoot(first, ["unbiased.budget=12345"])
    assert yaml.safe_load((first / "config.yaml").read_text())["settings"]["unbiased"]["budget"] == 12345
    assert summary["system"] == "hinge"
    assert made.all[0][0].asked == [], "nothing else is out of date"


def test_paths_are_exported(first: Path, tmp_path: Path) -> None:
    files = export(first, "xtc", tmp_path / "new" / "out")
    rows = read_transitions(Folder(first))
    assert [f.name for f in files] == [f"{r.path}.xtc" for r in rows]
    x = md.load(str(files[0]), top=str(first / "topology.pdb")).xyz
    np.testing.assert_allclose(x, Folder(first).frames(rows[0].file)[0], atol=1e-3)
    assert export(first, "dcd")[0].parent == first / "export"
    with pytest.raises(SpacetimeError, match="unknown format 'gro'"):
        export(first, "gro")
    with pytest.raises(SpacetimeError, match="holds no paths to export"):
        export(tmp_path, "xtc")


def test_throughput_is_steps_per_second_of_whole_paths_over_bare_steps(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([10.0, 15.0, 19.0, 20.0, 30.0, 32.0, 40.0, 50.0, 60.0])
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    found = throughput.measure(first, tmp_path, pairs=3)
    np.testing.assert_allclose(found.guided, [550 / 5, 550 / 10, 550 / 10])
    np.testing.assert_allclose(found.raw, [550 / 4, 550 / 2, 550 / 10])
    assert found.ratio == pytest.approx(0.8)
    assert sorted(p.name for p in (tmp_path / "transitions").glob("*.trr")) == [f"guided_{k:04d}.trr" for k in range(3)]
    with pytest.raises(SpacetimeError, match=r"preparation\.json is missing"):
        throughput.measure(tmp_path, tmp_path, pairs=1)


@pytest.mark.parametrize("name", ["start.pdb", "end.pdb", "topology.pdb", "system.xml", "states.json", "coordinates.json"])
def test_what_a_run_was_prepared_with_cannot_change_unnoticed(name: str, first: Path, tmp_path: Path) -> None:
    run = shutil.copytree(first, tmp_path / "run")
    assert preparation.load(run).fingerprint == preparation.load(first).fingerprint
    (run / name).write_text((run / name).read_text() + "\n")
    with pytest.raises(SpacetimeError, match=f"{name} is not what the run was prepared with"):
        preparation.load(run)
    (run / name).unlink()
    with pytest.raises(SpacetimeError, match=f"is not a complete run folder: {name} is missing"):
        preparation.load(run)


@pytest.mark.parametrize("content", ["{}", "[]", "null"])
def test_a_preparation_that_says_nothing_is_damaged(content: str, first: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(first, tmp_path / "run"))
    (run / "preparation.json").write_text(content)
    with pytest.raises(SpacetimeError, match=r"run/preparation\.json is damaged"):
        preparation.load(run)


def test_what_reads_a_run_asks_whether_it_is_as_prepared(first: Path, tmp_path: Path) -> None:
    """Hits and weights are of the states that the run had: another range beside them would contradict."""
    folder = Path(shutil.copytree(first, tmp_path / "run"))
    assert RunData(folder).states == RunData(first).states
    for name, reads in (
        ("states.json", lambda run: run.states), ("coordinates.json", lambda run: run.coordinates),
        ("start.pdb", lambda run: Molecule(run).states), ("end.pdb", lambda run: run.structure("end.pdb")),
    ):  # fmt: skip
        content = (folder / name).read_text()
        (folder / name).write_text(content + "\n")
        with pytest.raises(SpacetimeError, match=f"{name} is not what the run was prepared with"):
            reads(RunData(folder))
        (folder / name).write_text(content)


def test_settings_that_a_run_does_not_name_are_the_defaults(first: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "run"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["settings"]["geodesic"]["min_effective_samples"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert RunData(folder).settings == settings_of(first)


def test_results_stay_where_a_later_call_cannot_read_what_is_there(first: Path, tmp_path: Path) -> None:
    run = shutil.copytree(first, tmp_path / "run")
    (run / "samples" / "rounds.json").write_text("null")
    with pytest.raises(SpacetimeError, match=r"rounds\.json is damaged"):
        module.shoot(run, ["unbiased.paths=3"])
    for kept in ("summary.json", "report.html", "geodesic.npz", "transitions.csv"):
        assert (run / kept).read_bytes() == (first / kept).read_bytes()


def test_plain_md_that_was_removed_is_said_and_made_again(first: Path, spec: SystemSpec, tmp_path: Path, made: Made) -> None:
    """Without it there is no thermal reference, which all highest energies are compared with."""
    folder = Path(shutil.copytree(first, tmp_path / "run"))
    content = {file: file.read_bytes() for file in (folder / "samples").glob("md_A_*.trr")}
    for file in content:
        file.unlink()
    with pytest.raises(
        SpacetimeError,
        match=r"plain MD in A, samples/md_A_\*\.trr, are missing: remove stages\.json",
    ):
        module.extend(folder, [])
    (folder / "stages.json").unlink()
    module.run(spec, folder, settings())
    assert content
    assert {file: file.read_bytes() for file in content} == content
    assert json.loads((folder / "summary.json").read_text())["thermal_reference"]["count"] > 1
