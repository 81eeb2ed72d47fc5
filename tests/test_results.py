"""Results in Python: what `spacetime_tps.open` reads is what the files hold, and its averages are the published ones."""

import csv
import inspect
import json
import pydoc
import shutil
from dataclasses import replace
from pathlib import Path

import MDAnalysis
import mdtraj as md
import numpy as np
import openmm
import pytest

import spacetime_tps
from spacetime_tps import Results, Simulation, SpacetimeError
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import FREE, Model, Walk
from spacetime_tps.paths.transition import Transition
from spacetime_tps.problems import problem as preparation
from spacetime_tps.report.data import RunData
from spacetime_tps.report.table import runs_table
from spacetime_tps.results import curve, paths
from spacetime_tps.results.average import Average
from spacetime_tps.results.universe import universe
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.trr import read_trr


@pytest.fixture(scope="module")
def results(small_run: Path) -> Results:
    return spacetime_tps.open(str(small_run))


def test_a_folder_without_a_finished_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpacetimeError, match="holds no finished run"):
        spacetime_tps.open(tmp_path)


def test_a_path_holds_what_its_files_hold(results: Results, small_run: Path) -> None:
    problem = preparation.load(small_run)
    for path in (results.paths[0], results.paths.select(stage="unbiased")[0]):
        positions, velocities, times = read_trr(small_run / f"transitions/{path.name}.trr")
        np.testing.assert_array_equal(path.positions, positions)
        np.testing.assert_array_equal(path.velocities, velocities)
        np.testing.assert_allclose(path.times, times, atol=1e-4)
        np.testing.assert_allclose(path.values, np.degrees(problem.coordinates.values(positions)), atol=1e-9)
        assert path.states.tolist() == ["A" if problem.a.contains(x) else "B" if problem.b.contains(x) else "" for x in positions]
        assert path.energies.max() == pytest.approx(path.row.max_energy_kj_mol, abs=1e-4)


def test_other_tools_get_the_same_frames_with_their_weights(results: Results, small_run: Path, tmp_path: Path) -> None:
    chosen = results.paths.select(stage="unbiased")[:3]
    universe, trajectory = chosen.universe(), chosen.mdtraj()
    assert len(universe.trajectory) == len(trajectory) == len(chosen.frame_weights) == sum(len(p.times) for p in chosen)
    at = 0
    for path in chosen:
        file = shutil.copy(small_run / path.row.file, tmp_path)  # MDAnalysis writes a file of offsets beside it
        files = MDAnalysis.Universe(str(small_run / "topology.pdb"), str(file))
        files.trajectory[1]
        universe.trajectory[at + 1]
        np.testing.assert_allclose(universe.atoms.positions, files.atoms.positions, atol=1e-4)
        np.testing.assert_allclose(universe.atoms.velocities, files.atoms.velocities, rtol=1e-5, atol=1e-4)
        assert universe.trajectory.ts.data["weight"] == path.weight
        assert universe.copy().trajectory[at + 1].data["weight"] == path.weight
        times = [universe.trajectory[at + k].time for k in range(len(path.times))]
        np.testing.assert_allclose(times, path.times, atol=1e-9)
        np.testing.assert_array_equal(trajectory.xyz[at + 1], md.load(str(small_run / path.row.file), top=trajectory.topology).xyz[1])
        assert chosen.frame_weights[at + 1] == path.weight
        at += len(path.times)


def test_an_unstable_path_has_no_frames_and_stands_in_no_ones_way(results: Results) -> None:
    chosen = results.paths.select(stage="guided")[:2]
    lost = replace(chosen[0].row, path="lost", file="", n_frames=0, status="unstable")
    both = paths.Paths([lost, chosen[1].row], chosen._run, chosen._molecule)
    assert len(both.universe().trajectory) == len(both.mdtraj()) == len(both.frame_weights) == chosen[1].row.n_frames
    with pytest.raises(SpacetimeError, match="none of these paths has frames"):
        both[:1].mdtraj()


def test_averages_and_their_errors_are_those_of_the_summary(results: Results, small_run: Path) -> None:
    told = json.loads((small_run / "summary.json").read_text())["unbiased"]
    measures = {"max_energy_kj_mol": lambda path: path.energies.max(), "duration_ps": lambda path: path.times[-1]}
    for name, of in measures.items():
        found = results.average(of)
        assert float(found.value) == pytest.approx(told[name]["value"], rel=1e-6)
        assert float(found.error) == pytest.approx(told[name]["standard_error"], rel=1e-4)
    both = results.average(lambda path: [of(path) for of in measures.values()])
    assert both.value.shape == both.error.shape == (2,)
    assert both.value[1] == pytest.approx(told["duration_ps"]["value"], rel=1e-6)


def test_paths_without_weights_count_alike(results: Results) -> None:
    guided = results.paths.select(stage="guided", hit=True)
    assert np.isnan(guided.weights).all()
    highest = np.array([path.energies.max() for path in guided])
    found = results.average(lambda path: path.energies.max(), stage="guided")
    assert float(found.value) == pytest.approx(highest.mean())
    # 1000 draws know a standard error to 2.2 percent: 12 percent is beyond chance
    assert float(found.error) == pytest.approx(highest.std(ddof=1) / np.sqrt(len(highest)), rel=0.12)
    with pytest.raises(SpacetimeError, match="no such path"):
        results.average(len, stage="steered")


def test_weighted_frames_curves_and_free_energies_are_arrays(results: Results, small_run: Path) -> None:
    samples, problem = results.samples, preparation.load(small_run)
    assert samples.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(samples.values[:5], np.degrees(problem.coordinates.values(samples.positions[:5])))
    assert samples.mdtraj()[:5].n_frames == 5
    geodesic = np.load(small_run / "geodesic.npz")
    np.testing.assert_allclose(results.curve.center, np.degrees(geodesic["center"]))
    assert [c.name for c in results.routes] == [str(np.load(f)["name"]) for f in sorted((small_run / "routes").glob("*.npz"))]
    free = results.free_energies
    assert free.value[0] == 0.0
    angle = np.degrees(np.arctan2(free.eta[:, 1], free.eta[:, 0]))
    np.testing.assert_allclose(free.center[:, 0], angle, atol=1e-9)
    grid = np.radians(np.arange(-180.0, 180.0, 0.5))
    lowest = [max(a * np.cos(grid) + b * np.sin(grid)) + max(c * np.cos(grid) + d * np.sin(grid)) for a, b, c, d in free.eta]
    np.testing.assert_allclose(free.profile, free.value + lowest - lowest[0], atol=0.01)


def test_tables_have_numbers_and_text_for_what_they_are(results: Results, small_run: Path) -> None:
    with open(small_run / "committor.csv") as handle:
        rows = list(csv.DictReader(handle))
    found = results.committor
    assert found["walk"].tolist() == [row["walk"] for row in rows]
    for name, column in found.items():
        assert column.dtype.kind == {"walk": "U", "frame": "i", "crossing": "i", "reached_b": "i", "trials": "i", "again_reached_b": "i",
                                     "again_trials": "i", "transition_state_frame": "i"}.get(name, "f")  # fmt: skip
    assert (np.isnan(found["again_committor"]) == (found["again_trials"] == 0)).all()
    states = results.transition_states
    frames = found["transition_state_frame"]
    assert sorted(frames[frames >= 0].tolist()) == list(range(len(states)))
    assert results.shots["crossing"].dtype.kind == "i"
    assert not [c for c in results.shots["window_variable"].tolist() if not c]
    columns = results.paths.columns
    assert list(columns) == list(Transition.__dataclass_fields__)
    assert columns["weight"].dtype.kind == columns["work_kT"].dtype.kind == "f"


def test_an_older_folder_is_read_as_well(small_run: Path, tmp_path: Path) -> None:
    """Version 0.1.0 left cells blank, and had a column transition_state."""
    for name in ("summary.json", "config.yaml"):
        (tmp_path / name).write_text((small_run / name).read_text())
    (tmp_path / "committor.csv").write_text("walk,frame,committor,transition_state\n0_0000_1,3,0.5,0\n0_0000_1,4,,\n")
    found = spacetime_tps.open(tmp_path).committor
    assert found["transition_state_frame"].tolist() == [0, -1]
    np.testing.assert_array_equal(found["committor"], [0.5, np.nan])
    assert found["walk"].tolist() == ["0_0000_1"] * 2


def test_the_map_is_of_the_two_coordinates_that_change_most(tmp_path: Path) -> None:
    """Of four torsions, two turn: one through 180 degrees and back over it, which is little."""
    four = Torsions(("a", "b", "c", "d"), tuple((k, k + 1, k + 2, k + 3) for k in range(4)))
    s = np.linspace(0.0, 1.0, 21)
    across = (s - 0.5 + 1.0) % 2.0 - 1.0  # half a turn, and no leap
    center = np.pi * np.stack([0.1 * s, 0.9 + 0.2 * s - 2.0 * (s > 0.5), 0.5 * s, across], axis=-1)
    folder = Folder(tmp_path)
    folder.put_record("coordinates.json", {"blocks": four.to_json()})
    folder.put_record("preparation.json", {"cell_nm": None, "platform": "Reference"})
    folder.put_record("summary.json", {"stages": {}, "evaluations": {}, "temperature_K": 300.0, "unbiased": None})
    folder.put_arrays("geodesic.npz", {"center": center})
    run = RunData.of(tmp_path)
    assert run.shown == (2, 3)
    assert run.cell is None
    assert run.unbiased == {}
    alone = RunData(tmp_path)
    alone.__dict__["geodesic"] = {"center": center[:, :1]}
    alone.__dict__["coordinates"] = Torsions(("a",), ((0, 1, 2, 3),))
    assert alone.shown == (0, 0), "twice the same where there is one"


def test_selections_are_paths_too(results: Results) -> None:
    everything = results.paths
    assert len(everything.select(stage="guided")) + len(everything.select(stage="unbiased")) == len(everything)
    assert everything[everything.names[1]].name == everything[1].name == everything[1:3][0].name
    assert not any(path.hit for path in everything.select(hit=False))
    with pytest.raises(SpacetimeError, match="there is no path 'guided_x'"):
        everything["guided_x"]


def test_what_is_public_is_documented_and_nothing_else_is_seen(results: Results) -> None:
    assert {"open", "run", "Results", "Settings"} <= set(dir(spacetime_tps))
    for kind in (Results, paths.Paths, paths.TransitionPath, curve.Samples):
        for name in [name for name in vars(kind) if not name.startswith("_")]:
            assert inspect.getdoc(inspect.getattr_static(kind, name)), f"{kind.__name__}.{name}"
    assert not [name for name in dir(results) if name.startswith("_")]
    told = pydoc.plain(pydoc.render_doc(spacetime_tps.open))
    assert "The results of a finished run" in told


def test_outside_a_notebook_show_says_where_pictures_are(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    results.show()
    assert "report.html" in capsys.readouterr().out


def test_a_summary_for_the_notebook(results: Results) -> None:
    told = results._repr_html_()
    assert f"{results.summary['unbiased']['effective_paths']:.0f} effective" in told
    assert "guided" in told
    assert results.paths.names[0] in results.paths._repr_html_()
    for routes in results.summary["by_route"].values():
        for found in routes.values():
            energy = found["max_energy_kj_mol"]
            cell = f"{energy['value']:.1f} ± {energy['standard_error'] or 0.0:.1f}" if energy["count"] else "–"
            assert f"<td>{found['hits']} of {found['paths']}</td><td>{cell}</td>" in told


def test_a_notebook_shows_twelve_paths_and_says_that_there_are_more(results: Results) -> None:
    some, more = results.paths[:12]._repr_html_(), results.paths[:13]._repr_html_()
    assert some.count("<tr>") == more.count("<tr>") == 1 + 12
    assert not some.endswith("…</p>")
    assert more.endswith("…</p>")


def test_a_path_says_what_became_of_it(results: Results) -> None:
    path = next(path for path in results.paths if path.hit)
    assert ", hit, weight " in repr(path)
    for row, told in ((replace(path.row, hit=0), "miss"), (replace(path.row, hit=0, status="unstable"), "unstable")):
        assert f", {told}, weight " in repr(paths.TransitionPath(row, path._run, path._molecule))
    assert repr(Average(np.array(1.23456789), np.array(0.0456))) == "1.23457 ± 0.046"
    assert repr(Average(np.array([1.0]), np.array([0.5]))) == "Average(value=array([1.]), error=array([0.5]))"


def test_velocities_of_a_table_that_does_not_say_are_half_a_step_before_their_frames(small_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_run, tmp_path / "run"))
    path = spacetime_tps.open(folder).paths.select(stage="guided")[0]
    file = folder / f"transitions/{path.name}.csv"
    with open(file, newline="") as handle:
        rows = [{k: v for k, v in row.items() if k != "velocity_offset_steps"} for row in csv.DictReader(handle)]
    with open(file, "w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert spacetime_tps.open(folder).paths[path.name].velocity_offsets.tolist() == [-0.5] * len(path.positions)


def test_without_transition_states_there_are_no_structures(small_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_run, tmp_path / "run"))
    (folder / "transition_states.trr").unlink()
    found = spacetime_tps.open(folder).transition_states
    assert found.xyz.shape == (0, found.topology.n_atoms, 3)


def test_frames_in_memory_are_as_far_apart_as_their_times(results: Results, small_run: Path) -> None:
    path = results.paths[0]
    positions, velocities, weights = path.positions[:3], path.velocities[:3], np.array([0.5, 1.0, 1.5])
    found = universe(small_run / "topology.pdb", positions, velocities, weights, times=np.array([7.0, 7.25, 7.5]), cell=None)
    assert found.trajectory.dt == 0.25
    assert [ts.time for ts in found.trajectory] == [7.0, 7.25, 7.5]
    one = universe(small_run / "topology.pdb", positions[:1], velocities[:1], weights[:1], times=np.array([7.0]), cell=None)
    assert [(ts.time, ts.data["weight"]) for ts in one.trajectory] == [(7.0, 0.5)]


def test_a_row_of_the_table_of_runs_is_what_the_summary_says(results: Results, small_run: Path) -> None:
    head, line, *rows = [[cell.strip() for cell in text.strip("|").split("|")] for text in runs_table([small_run]).splitlines()]
    assert len(head) == len(line) == len(rows[0]) == 9
    ((route, found),) = results.summary["by_route"]["guided"].items()
    energy, above, u = found["max_energy_kj_mol"], found["max_energy_above_thermal_kj_mol"], results.summary["unbiased"]
    total = str(results.summary["evaluations"]["total"])
    assert rows[0][:7] == [
        "run", "1", f"guided, {route}", f"{found['hits']}/{found['paths']}", f"{found['evaluations_per_path']:.0f}",
        f"{energy['value']:.1f} ± {energy['standard_error']:.1f}", f"{above['value']:.1f} ± {above['standard_error']:.1f}",
    ]  # fmt: skip
    assert rows[0][8] == rows[-1][8] == total
    assert rows[-1][2:4] == [f"unbiased, {u['reactive_fraction']:.2f} reactive", f"{u['effective_paths']:.0f} effective of {u['paths']}"]


def test_progress_is_told_without_being_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    system = openmm.System()
    system.addParticle(1.0)
    with Simulation(Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, 0.001, "Reference"), processes=1) as simulation:
        walk = Walk(None, FREE, 10, 5, 1, np.zeros((1, 3)))
        simulation.cached_walks("group", [("w", walk)], title="a walk")
    assert "a walk: 10 evaluations in" in capsys.readouterr().out
