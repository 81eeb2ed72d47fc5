"""A run handed over to viewers and to PLUMED: the same frames, the same states."""

import csv
import json
import re
import shutil
from pathlib import Path

import MDAnalysis
import mdtraj as md
import numpy as np
import pytest

import spacetime_tps
from spacetime_tps import SpacetimeError
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.handover import plumed
from spacetime_tps.handover.export import export
from spacetime_tps.handover.plumed import Input
from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule


def test_all_paths_in_one_file_with_their_weights(small_run: Path, tmp_path: Path) -> None:
    file, table = export(str(small_run), "xtc", tmp_path, one_file=True)
    paths = spacetime_tps.open(small_run).paths
    trajectory = md.load(str(file), top=str(tmp_path / "topology.pdb"))
    with open(table) as handle:
        rows = list(csv.DictReader(handle))
    assert [int(r["frame"]) for r in rows] == list(range(len(trajectory)))
    for path in (paths[0], paths[-1]):
        mine = [k for k, r in enumerate(rows) if r["path"] == path.name]
        np.testing.assert_allclose(trajectory.xyz[mine], path.positions, atol=6e-4)
        np.testing.assert_equal([float(rows[k]["weight"]) for k in mine], [path.weight] * len(mine))
        np.testing.assert_allclose([float(rows[k]["time_ps"]) for k in mine], path.times)
    view = (tmp_path / "view.md").read_text()
    code = (
        re.findall(r"nglview\.show_mdtraj\((.*)\)", view)[0]
        .replace('"paths.xtc"', f'"{file}"')
        .replace('"topology', f'"{tmp_path}/topology')
    )
    assert len(eval(code, {"mdtraj": md})) == len(trajectory)
    with pytest.raises(SpacetimeError, match="plumed is one file anyway"):
        export(small_run, "plumed", tmp_path, one_file=True)


def test_lines_for_viewers_lie_beside_trajectories_of_each_path(small_run: Path, tmp_path: Path) -> None:
    files = export(small_run, "xtc", tmp_path)
    view = (tmp_path / "view.md").read_text()
    assert files[0].name in view
    assert (tmp_path / "topology.pdb").is_file()


@pytest.mark.parametrize("one_file", [True, False])
def test_a_folder_to_export_to_is_made(one_file: bool, small_run: Path, tmp_path: Path) -> None:
    files = export(small_run, "dcd", tmp_path / "a/b", one_file=one_file)
    assert len(files) == (2 if one_file else len(spacetime_tps.open(small_run).paths))
    assert {file.parent for file in files} == {tmp_path / "a/b"}
    assert all(file.stat().st_size > 0 for file in files)


def test_a_periodic_path_keeps_its_cell(small_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_run, tmp_path / "run"))
    cell = [[3.0, 0.0, 0.0], [0.0, 3.5, 0.0], [0.5, 0.0, 4.0]]
    notes = json.loads((folder / "preparation.json").read_text())
    (folder / "preparation.json").write_text(json.dumps({**notes, "cell_nm": cell}))
    files = export(folder, "xtc", tmp_path / "out")
    found = md.load(str(files[0]), top=str(folder / "topology.pdb"))
    np.testing.assert_allclose(found.unitcell_vectors[1], cell, atol=1e-5)
    universe = spacetime_tps.open(folder).paths[0].universe()
    np.testing.assert_allclose(MDAnalysis.lib.mdamath.triclinic_vectors(universe.dimensions), 10.0 * np.array(cell), atol=1e-3)


def test_a_path_in_a_periodic_box_is_told_by_the_atoms_of_its_coordinates(small_run: Path, tmp_path: Path) -> None:
    results, molecule = spacetime_tps.open(small_run), Molecule(RunData.of(small_run))
    assert plumed.milestones(results, molecule)[0] == [a.index for a in molecule.topology.atoms if a.element.symbol != "H"]
    folder = Path(shutil.copytree(small_run, tmp_path / "run"))
    notes = json.loads((folder / "preparation.json").read_text())
    cell = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]
    (folder / "preparation.json").write_text(json.dumps({**notes, "cell_nm": cell}))
    results = spacetime_tps.open(folder)
    atoms, _ = plumed.milestones(results, Molecule(RunData.of(folder)))
    assert atoms == sorted({a for block in results.coordinates.to_json() for four in block["atoms"] for a in four})


def committed(text: str, values: dict[str, np.ndarray]) -> np.ndarray:
    """Which basin of PLUMED's COMMITTOR frames are in, from one; 0 for none."""
    names = re.findall(r"^  ARG=(.*)$", text, re.MULTILINE)[0].split(",")
    found = np.zeros(len(next(iter(values.values()))), dtype=int)
    limits = zip(*(re.findall(rf"BASIN_{side}\d+=(.*)", text) for side in ("LL", "UL")), strict=True)
    for number, (lower, upper) in enumerate(limits, 1):
        inside = np.ones(len(found), dtype=bool)
        for name, low, high in zip(names, lower.split(","), upper.split(","), strict=True):
            assert float(low) < float(high)
            inside &= (values[name] > float(low)) & (values[name] < float(high))
        found[inside & (found == 0)] = number
    return found


def test_plumed_has_the_same_torsions_states_and_path(small_run: Path, tmp_path: Path) -> None:
    """plumed.dat read as PLUMED's manual says, torsions by MDTraj."""
    files = export(small_run, "plumed", tmp_path)
    text = files[0].read_text()
    paths = spacetime_tps.open(small_run).paths
    trajectory = paths.mdtraj()
    atoms = {
        name: [int(a) - 1 for a in numbers.split(",")] for name, numbers in re.findall(r"^(\w+): TORSION ATOMS=(.*)$", text, re.MULTILINE)
    }
    values = {name: md.compute_dihedrals(trajectory, [of])[:, 0] for name, of in atoms.items()}
    np.testing.assert_allclose(np.degrees(values["phi"]), np.concatenate([p.values[:, 0] for p in paths]), atol=0.01)
    which = dict(re.findall(r"(\d) is ([AB])", text))
    labels = np.array([which.get(str(b), "") for b in committed(text, values)])
    states = np.concatenate([p.states for p in paths])
    assert {"A", "B", ""} == set(states)
    assert (labels == states).all()
    frames = md.load(str(tmp_path / "path.pdb"), standard_names=False)
    serial = [int(line[6:11]) - 1 for line in (tmp_path / "path.pdb").read_text().split("END")[0].splitlines()]
    assert [trajectory.topology.atom(k).name for k in serial] == [a.name for a in frames.topology.atoms]
    rate = float(re.findall(r"LAMBDA=(\S+)", text)[0])
    apart = np.array([[rmsd(x, y) ** 2 for y in frames.xyz] for x in paths[0].positions[:, serial]])
    weight = np.exp(-rate * (apart - apart.min(axis=1, keepdims=True)))
    progress = weight @ np.arange(1, len(frames) + 1) / weight.sum(axis=1)
    assert progress[0] < 3.0
    assert progress[-1] > len(frames) - 2.0


def test_ranges_across_180_degrees_are_two() -> None:
    assert plumed._arc(-30.0, 30.0) == [pytest.approx((-0.5235988, 0.5235988))]
    assert plumed._arc(150.0, -150.0) == [pytest.approx((2.6179939, plumed.TURN)), pytest.approx((-plumed.TURN, -2.6179939))]
    assert plumed._arc(-180.0, -30.0) == [pytest.approx((-plumed.TURN, -0.5235988))]
    assert plumed._arc(30.0, 180.0) == [pytest.approx((0.5235988, plumed.TURN))]
    assert plumed._arc(-180.0, 180.0) == [(-plumed.TURN, plumed.TURN)]


def test_positions_and_rmsd_for_plumed(small_run: Path) -> None:
    run = RunData(small_run)
    sheet = Input(Molecule(run), run)
    block = {
        "kind": "positions",
        "labels": ["1:C", "2:N", "2:CA"],
        "atoms": [4, 6, 8],
        "reference_nm": [[0.1, 0.2, 0.3], [0.2, 0, 0], [0, 0, 0]],
    }
    printed = plumed._positions(sheet, block)
    assert sheet.lines[:2] == ["FIT_TO_TEMPLATE REFERENCE=reference.pdb TYPE=OPTIMAL", "at_1_C: POSITION ATOM=5"]
    assert sheet.lines[2] == "1_C_x: COMBINE ARG=at_1_C.x PARAMETERS=0.100000 PERIODIC=NO"
    assert printed[:3] == ["1_C_x", "1_C_y", "1_C_z"]
    assert sheet.files["reference.pdb"].splitlines()[0][30:54].split() == ["1.000", "2.000", "3.000"]
    both = [plumed._limits(sheet, {"rmsd": {"file": "start.pdb", "atoms": atoms, "max_nm": 0.05}}) for atoms in ([4, 6, 8], [4, 6, 8, 14])]
    assert both == [{"rmsd_start": [(-plumed.OPEN, 0.05)]}, {"rmsd_start_1": [(-plumed.OPEN, 0.05)]}]
    assert "rmsd_start_1: RMSD REFERENCE=rmsd_start_2.pdb TYPE=OPTIMAL" in sheet.lines


def test_a_distance_has_no_lower_limit_where_its_range_begins_at_zero(small_run: Path) -> None:
    run = RunData(small_run)
    sheet = Input(Molecule(run), run)
    found = plumed._limits(sheet, {"distances": [[4, 8, 0.0, 0.5], [8, 6, 0.2, 0.6]], "torsions": [[4, 6, 8, 14, 170.0, -170.0]]})
    assert [limits for limits in found.values() if len(limits) == 1] == [[(-plumed.OPEN, 0.5)], [(0.2, 0.6)]]
    assert sheet.lines[-1].endswith("DISTANCE ATOMS=7,9"), "lower number first"


def test_names_in_use_are_numbered(small_run: Path) -> None:
    run = RunData(small_run)
    sheet = Input(Molecule(run), run)
    labels = [sheet.define("phi'", f"TORSION ATOMS=1,2,3,{k}") for k in (4, 5, 6, 4)]
    assert labels == ["phi_", "phi__1", "phi__2", "phi_"]
    assert sheet.lines == ["phi_: TORSION ATOMS=1,2,3,4", "phi__1: TORSION ATOMS=1,2,3,5", "phi__2: TORSION ATOMS=1,2,3,6"]
    x = np.zeros((sheet.molecule.topology.n_atoms, 3))
    assert [sheet.structure("a", [x + shift], [0]) for shift in (0.0, 1.0, 2.0, 1.0)] == ["a.pdb", "a_2.pdb", "a_3.pdb", "a_2.pdb"]


def test_atoms_of_a_structure_stand_in_the_columns_of_a_pdb_file() -> None:
    topology = md.Topology()
    residue = topology.add_residue("ALA", topology.add_chain(), resSeq=10_017)
    for name, element in (("CA", "C"), ("HB11", "H")):
        topology.add_atom(name, md.element.Element.getBySymbol(element), residue)
    first, second, end = plumed._pdb(topology, np.array([[0.1, -0.2, 12.3456], [0.0, 0.0, 0.0]]), [0, 1]).splitlines()
    assert (first[6:11], first[12:16], first[17:20], first[22:26]) == ("    1", " CA ", "ALA", "  17")
    assert (first[30:38], first[38:46], first[46:54], first[54:66]) == ("   1.000", "  -2.000", " 123.456", "  1.00  1.00")
    assert (second[6:11], second[12:16], end) == ("    2", "HB11", "END")
