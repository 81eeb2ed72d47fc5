"""The whole run, small but real: OpenMM, MBAR, the optimiser and the report at work on alanine dipeptide."""

import csv
import html
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import MDAnalysis
import mdtraj as md
import numpy as np
import pytest
import torch
import yaml

from spacetime_tps import SpacetimeError, load_system, run, two_structures
from spacetime_tps.denoisers.network import load as load_denoiser
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.exploration.regions import parse_regions
from spacetime_tps.geometry.curve import segments
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.handover.export import export
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.pipeline.throughput import measure
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.system import bundled_systems
from spacetime_tps.progress import Silent
from spacetime_tps.report.table import runs_table
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.storage.folder import Folder

SMALL = [
    "dynamics.platform=Reference", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=16", "windows.steps=600", "windows.discard=200", "windows.stride=20", "rounds.max_rounds=2", "rounds.quenches=4",
    "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=6", "guided.points=47",
    "denoiser.components=16", "denoiser.lessons=300", "denoiser.steps=60", "geodesic.min_effective_samples=2", "geodesic.steepest=10",
]  # fmt: skip
CLOCKS = {"summary.json", "stages.json", "report.html", "preparation.json"}  # these hold wall-clock seconds


def settings(*more: str) -> Settings:
    return parse_settings([*SMALL, *more])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    run(load_system("alanine_dipeptide"), folder, settings("steered.paths=2", "reverse=3"))
    return folder


@pytest.fixture
def finished(first: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, for each test its own."""
    return Path(shutil.copytree(first, tmp_path / "finished"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in CLOCKS}


def test_the_folder_keeps_its_contract(finished: Path) -> None:
    for name in (
        "config.yaml", "system.xml", "topology.pdb", "start.pdb", "end.pdb", "states.json", "coordinates.json", "samples/windows.npz",
        "denoiser.pt", "geodesic.npz", "transitions.csv", "summary.json", "report.html",
    ):  # fmt: skip
        assert (finished / name).stat().st_size > 0, name
    assert not [p for p in finished.rglob(".*")], "a temporary file was left behind"
    geodesic = np.load(finished / "geodesic.npz")
    assert geodesic["eta"].shape == (24, 4)
    assert geodesic["level"].shape == geodesic["center"].shape == (24, 2)
    assert (geodesic["segment"] >= 0).all()
    assert geodesic["segment"].shape == (23,)
    assert geodesic["length"] == pytest.approx(np.sqrt(geodesic["segment"]).sum())
    eta = torch.from_numpy(geodesic["eta"])
    np.testing.assert_allclose(segments(eta, torch.from_numpy(geodesic["mu"])).numpy(), geodesic["segment"], rtol=1e-9)
    moments = load_denoiser(finished / "denoiser.pt").moments(eta)
    np.testing.assert_allclose(moments.mean.detach().numpy(), geodesic["mu_denoiser"], rtol=1e-6, atol=1e-9)
    assert 0.0 < np.abs(geodesic["mu_denoiser"] - geodesic["mu"]).max() < 0.7, "trained on the samples, and not the same"
    (training,) = json.loads((finished / "samples/rounds.json").read_text())["denoisers"]
    assert training["curve"][-1][0] == 60
    assert training["held_out_loss"] == training["curve"][-1][2]
    assert (finished / "report/training.png").exists()
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["settings"]["seed"] == 1
    assert config["settings"]["geodesic"]["barrier_weight"] == Settings().geodesic.barrier_weight


def test_weighted_samples_can_be_kept_as_the_denoiser(tmp_path: Path) -> None:
    run(load_system("alanine_dipeptide"), tmp_path / "run", settings("denoiser.components=0", "guided.paths=1"))
    content = torch.load(tmp_path / "run/denoiser.pt", weights_only=True)
    assert content["kind"] == "weighted_samples"
    assert float(torch.exp(content["log_weights"]).sum()) == pytest.approx(1.0)
    assert not (tmp_path / "run/report/training.png").exists()


def test_rows_agree_with_the_trajectories_they_name(finished: Path) -> None:
    problem = preparation.load(finished)
    potential = Potential(problem.model)
    rows = read_transitions(Folder(finished))
    assert [r.stage for r in rows] == ["guided"] * 6 + ["guided_reverse"] * 3 + ["steered"] * 4 + ["steered_reverse"] * 6
    for row in rows:
        path = md.load(str(finished / row.file), top=str(finished / "topology.pdb"))
        assert len(path) == row.n_frames == 24 * 100 // 25 + 1
        assert row.evaluations == 2400
        assert row.weight is None
        energies = [potential(x.astype(float))[0] - problem.zero for x in path.xyz]
        assert max(energies) == pytest.approx(row.max_energy_kj_mol, abs=0.2)
        begin, end = (problem.b, problem.a) if row.stage.endswith("_reverse") else (problem.a, problem.b)
        assert row.hit == bool(begin.contains(path.xyz[0]) and end.contains(path.xyz[-1]))
        assert row.work_kT is not None
        np.testing.assert_allclose(path.time, np.arange(len(path)) * 0.025, atol=1e-5)
        with open((finished / row.file).with_suffix(".csv")) as handle:
            table = list(csv.DictReader(handle))
        eta = np.load(finished / "geodesic.npz")["eta"]
        if row.stage == "guided":
            bias = -problem.model.kT * float(eta[-1] @ problem.coordinates.features(path.xyz[-1]))
            assert float(table[-1]["bias_energy_kj_mol"]) == pytest.approx(bias, abs=1e-3)


def test_every_evaluation_is_in_the_total(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    counted = summary["evaluations"]
    assert counted["total"] == sum(v for k, v in counted.items() if k != "total")
    assert counted["guided"] == 6 * 2400
    assert summary["baseline_evaluations"]["steered"] == 4 * 2400
    assert counted["training_md"] == 2 * (2 * 500 + (2 + 1) * 97 * 25)
    walks = json.loads((finished / "samples/walks.json").read_text())
    windows = sum(w["evaluations"] for name, w in walks.items() if name.startswith("round"))
    assert windows == 2 * 16 * 600 * len(json.loads((finished / "samples/rounds.json").read_text())["windows"])
    assert windows < counted["windows"] < windows + 4 * 2000  # the quenches


def test_what_both_ways_say_is_told(finished: Path) -> None:
    """By hand from the table; a lonely method has nothing to say."""
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["reverse"] == {"guided_reverse": "guided", "steered_reverse": "steered"}
    assert list(summary["work"]) == ["guided", "steered"]
    told = summary["work"]["guided"][summary["route"]["name"]]
    spent = [[r.work_kT for r in read_transitions(Folder(finished)) if r.stage == s] for s in ("guided", "guided_reverse")]
    assert [told[f"{way}_kT"]["value"] for way in ("forward", "reverse")] == pytest.approx([np.mean(w) for w in spent])
    assert told["dissipated_kT"]["value"] == pytest.approx(np.mean(spent[0]) + np.mean(spent[1]))
    assert (told["note"] is None) == (told["free_energy_difference_kT"] is not None)
    report = (finished / "report.html").read_text()
    assert "Work, both ways" in report
    assert (finished / "report/work.png").exists()


def test_one_seed_gives_identical_files_and_another_gives_others(first: Path, tmp_path: Path) -> None:
    run(load_system("alanine_dipeptide"), tmp_path / "same", settings("steered.paths=2", "reverse=3", "workers=1"))
    same, expected = contents(tmp_path / "same"), contents(first)
    differing = {name for name in expected if expected[name] != same.get(name)}
    assert differing <= {"config.yaml"}, differing  # which says how many workers there were
    run(load_system("alanine_dipeptide"), tmp_path / "other", settings("seed=2"))
    other = contents(tmp_path / "other")
    assert not [name for name in expected if name.endswith(".trr") and expected[name] == other.get(name)]


def test_a_second_call_does_only_what_is_missing(finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*.trr")}
    summary = run(load_system("alanine_dipeptide"), finished, settings("steered.paths=2", "reverse=3", "guided.paths=7"))
    after = {p: p.stat().st_mtime_ns for p in finished.rglob("*.trr")}
    assert summary["stages"]["guided"]["paths"] == 7
    assert {p for p in after if after[p] != before.get(p)} == {p for p in after if p.stem.endswith("_0006")}
    summary = run(load_system("alanine_dipeptide"), finished, settings())
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*.trr")} == after, "finished paths stay, also when fewer are asked for"
    assert {k: s["paths"] for k, s in summary["stages"].items()} == {"guided": 7, "guided_reverse": 3, "steered": 4, "steered_reverse": 6}


class StopsIn(Silent):
    """Interrupts, as Ctrl-C does, after a number of walks of one stage."""

    def __init__(self, title: str, after: int):
        self.title, self.left = title, after

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        def advance(done: int) -> None:
            if title.startswith(self.title):
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("stage", ["guided", "round 2"])
def test_an_interrupted_run_goes_on_to_the_same_end(finished: Path, tmp_path: Path, stage: str) -> None:
    spec = load_system("alanine_dipeptide")
    with pytest.raises(KeyboardInterrupt):
        run(spec, tmp_path / "run", settings("steered.paths=2", "reverse=3"), StopsIn(stage, 2))
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.trr")}
    assert kept
    run(spec, tmp_path / "run", settings("steered.paths=2", "reverse=3"))
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    expected = contents(finished)
    got = contents(tmp_path / "run")
    assert {n for n in expected if n.endswith((".trr", ".npz", ".csv")) and expected[n] != got.get(n)} == set()


@pytest.mark.parametrize("file_format", ["xtc", "dcd", "pdb"])
def test_exports_open_in_mdtraj_and_mdanalysis_with_the_same_coordinates(finished: Path, tmp_path: Path, file_format: str) -> None:
    topology = str(finished / "topology.pdb")
    files = export(finished, file_format, tmp_path)
    row = read_transitions(Folder(finished))[0]
    stored = md.load(str(finished / row.file), top=topology)
    universe = MDAnalysis.Universe(topology, str(finished / row.file))
    assert universe.trajectory[0].has_velocities
    exported = md.load(str(files[0]), top=topology)
    other = MDAnalysis.Universe(topology, str(files[0]))
    assert len(exported) == len(other.trajectory) == len(universe.trajectory) == len(stored)
    tolerance = {"xtc": 6e-4, "dcd": 1e-5, "pdb": 6e-5}[file_format]  # nm; XTC and PDB round
    for index in (0, 40, -1):
        np.testing.assert_allclose(universe.trajectory[index].positions / 10, stored.xyz[index], atol=1e-5)
        np.testing.assert_allclose(exported.xyz[index], stored.xyz[index], atol=tolerance)
        np.testing.assert_allclose(other.trajectory[index].positions / 10, exported.xyz[index], atol=1e-5)


def test_two_pdb_files_alone_whatever_their_atom_order(tmp_path: Path) -> None:
    folder = bundled_systems()["alanine_dipeptide"]
    lines = (folder / "c7ax.pdb").read_text().splitlines()
    atoms = [line for line in lines if line.startswith(("ATOM", "HETATM"))]
    shuffled = [*atoms[:6][::-1], *atoms[6:16][::-1], *atoms[16:][::-1]]
    (tmp_path / "end.pdb").write_text("\n".join([*shuffled, "END"]) + "\n")
    spec = two_structures(folder / "c5.pdb", tmp_path / "end.pdb", forcefield=("amber99sbildn.xml",), temperature=300.0)
    summary = run(spec, tmp_path / "run", settings())
    assert summary["stages"]["guided"]["hits"] > 0
    boxes = json.loads((tmp_path / "run/states.json").read_text())
    assert len(boxes["A"][0]["torsions"]) == 2


def test_two_routes_are_sampled_and_told_apart(tmp_path: Path) -> None:
    summary = run(load_system("alanine_dipeptide"), tmp_path / "run", settings("rounds.routes=2", "guided.paths=2"))
    rows = read_transitions(Folder(tmp_path / "run"))
    names = [r["name"] for r in summary["routes"][:2]]
    assert sorted({r.route for r in rows}) == sorted(names)
    assert [r.route for r in rows] == [names[0]] * 2 + [names[1]] * 2
    assert set(summary["by_route"]["guided"]) == set(names)
    for rank, name in enumerate(names, 1):
        route = np.load(tmp_path / f"run/routes/{rank}.npz")
        assert str(route["name"]) == name
        table = np.loadtxt(tmp_path / f"run/transitions/guided_{name}_0000.csv", delimiter=",", skiprows=1)
        assert table[-1, 4] == pytest.approx(route["level"][-1].mean(), abs=1e-3)


def test_a_region_that_no_path_can_avoid_is_said_and_counted(tmp_path: Path) -> None:
    ring, aside = "phi=-25:25 psi=-180:180", "psi=80:110 phi=-10:10"
    avoid = parse_regions([ring, "phi=100:150", aside])
    summary = run(load_system("alanine_dipeptide"), tmp_path / "run", parse_settings(SMALL, avoid=avoid))
    told = summary["avoid"]
    assert not told["met"]
    assert told["sentence"].startswith(
        f"The constraint cannot be met: the best curve found, {summary['route']['name']}, runs through the region"
    )
    assert told["sentence"] in html.unescape((tmp_path / "run/report.html").read_text())
    rows = read_transitions(Folder(tmp_path / "run"))
    topology, atoms = str(tmp_path / "run/topology.pdb"), preparation.load(tmp_path / "run").coordinates.atoms
    angles = [np.degrees(md.compute_dihedrals(md.load(str(tmp_path / "run" / r.file), top=topology), atoms)).T for r in rows]
    counted = [
        [(np.abs(phi) <= 25).sum() for phi, _ in angles],
        [((phi >= 100) & (phi <= 150)).sum() for phi, _ in angles],
        [((np.abs(phi) <= 10) & (psi >= 80) & (psi <= 110)).sum() for phi, psi in angles],
    ]
    assert sum(counted[0]) + sum(counted[1]) > 0
    for region, inside in zip(told["regions"], counted, strict=True):
        assert (region["paths"], region["paths_entering"]) == (6, np.count_nonzero(inside))
        assert (region["frames"], region["frames_inside"]) == (6 * 97, sum(inside))
        assert region["fraction_of_paths"] == np.count_nonzero(inside) / 6


def test_one_torsion_is_enough(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled_systems()["alanine_dipeptide"], tmp_path / "phi_only"))
    text = yaml.safe_load((folder / "system.yaml").read_text())
    del text["torsions"]["psi"]
    text["states"] = {"A": [{"phi": [-180, -30]}], "B": [{"phi": [30, 100]}]}
    (folder / "system.yaml").write_text(yaml.safe_dump(text))
    summary = run(load_system(str(folder)), tmp_path / "run", settings("guided.paths=2"))
    assert summary["stages"]["guided"]["paths"] == 2
    assert (tmp_path / "run/report/map.png").stat().st_size > 0


def test_throughput_and_compare_read_a_finished_run(finished: Path, tmp_path: Path) -> None:
    timed = measure(finished, tmp_path, pairs=2)
    assert timed.guided.shape == timed.raw.shape == (2,)
    assert timed.ratio > 0
    table = runs_table([finished])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    hits = sum(r.hit for r in read_transitions(Folder(finished)) if r.stage == "guided")
    best = json.loads((finished / "summary.json").read_text())["route"]["name"]
    assert [(r[1], r[2]) for r in rows] == [("1", f"{stage}, {route}") for stage, route in (
        ("guided", best), ("guided_reverse", best), ("steered", "straight"), ("steered", "straight_same_way"),
        ("steered_reverse", "straight"), ("steered_reverse", "straight_same_way"),
    )]  # fmt: skip
    assert rows[0][3] == f"{hits}/6"
    with pytest.raises(SpacetimeError, match="no finished run"):
        runs_table([tmp_path])


def test_an_unstable_simulation_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpacetimeError, match="is unstable: use a smaller"):
        run(load_system("alanine_dipeptide"), tmp_path / "run", settings("dynamics.timestep_fs=15"))


def test_an_output_folder_of_another_system_is_left_alone(finished: Path, tmp_path: Path) -> None:
    folder = bundled_systems()["alanine_dipeptide"]
    spec = two_structures(folder / "c5.pdb", folder / "c7ax.pdb", forcefield=("amber99sbildn.xml",), temperature=300.0)
    before = contents(finished)
    with pytest.raises(SpacetimeError, match="holds a run of 'alanine_dipeptide'"):
        run(spec, finished, settings())
    assert contents(finished) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("text")
    with pytest.raises(SpacetimeError, match="not empty and holds no run"):
        run(spec, tmp_path / "thesis", settings())


def test_a_failed_preparation_writes_nothing(tmp_path: Path) -> None:
    folder = bundled_systems()["alanine_dipeptide"]
    end = load_structure(folder / "c7ax.pdb")
    rng = np.random.default_rng(0)
    write_pdb(tmp_path / "near.pdb", Structure(end.topology, end.positions + rng.normal(scale=1e-3, size=end.positions.shape)))
    spec = two_structures(folder / "c7ax.pdb", tmp_path / "near.pdb", forcefield=("amber99sbildn.xml",), temperature=300.0)
    with pytest.raises(SpacetimeError, match="same state"):
        run(spec, tmp_path / "run", settings())
    assert not (tmp_path / "run").exists()


def test_a_curve_that_leaves_its_class_becomes_a_route_of_its_own(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The optimiser is made to hand back another way round than the best for every curve, which is trusted; the run must notice, go on, and
    # keep the classes apart.
    from spacetime_tps.exploration import lines as routes
    from spacetime_tps.exploration import optimisation, rounds
    from spacetime_tps.geometry.geodesic import Geodesic, evaluate

    problem = preparation.load(first)
    best = tuple(json.loads((first / "summary.json").read_text())["route"]["winding"])
    straight = routes.straight_routes(problem.coordinates, *problem.ends, np.full((24, 2), 20.0), 4)
    other = next(route for route in straight if route.winding != best)

    def turns_everything(start: torch.Tensor, denoiser: rounds.WeightedSamples, *_: object, points: int, **__: object) -> Geodesic:
        return evaluate(torch.from_numpy(other.eta), denoiser, family=VonMises(2), points=points)

    monkeypatch.setattr(optimisation, "minimise", turns_everything)
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda self, text: said.append(text))
    summary = run(load_system("alanine_dipeptide"), tmp_path / "run", settings("guided.paths=2"), Silent())
    assert any("left its class" in line for line in said)
    assert all(
        r["winding"] == list(routes.class_of(np.load(tmp_path / f"run/routes/{k}.npz")["eta"], VonMises(2)))
        for k, r in enumerate(summary["routes"], 1)
        if r["length"]
    )
