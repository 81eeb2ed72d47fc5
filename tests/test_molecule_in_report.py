"""The path that the report shows in three dimensions is the trajectory of the run, and nothing in a file becomes markup or is fetched."""

import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spacetime_tps.report import molecule_section
from spacetime_tps.report.data import RunData
from spacetime_tps.report.molecule_data import MOST_FRAMES, MOST_PLACES, MOST_STATES, evenly, onto, shown
from spacetime_tps.report.page import write_report
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr

HUNDREDTH = 0.0051
"""Half of 0.01 Å, in Å, and what single precision adds"""


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="molecule-data">(.*?)</script>', page)[1])


def rows_of(run: Path) -> list[dict[str, str]]:
    with open(run / "transitions.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def middle(run: Path) -> dict[str, str]:
    """The weighted median by repeating: of a long list in which each path stands as often as it weighs, the one in the middle."""
    rows = sorted((row for row in rows_of(run) if row["stage"] == "unbiased"), key=lambda row: float(row["max_energy_kj_mol"]))
    order = np.repeat(np.arange(len(rows)), [round(1000 * float(row["weight"])) for row in rows])
    return rows[order[len(order) // 2]]


def turned(positions: np.ndarray, reference: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Superposed by scipy, frame by frame."""
    found = []
    for x in positions:
        center, to = x[by].mean(axis=0), reference[by].mean(axis=0)
        rotation, _ = Rotation.align_vectors(reference[by] - to, x[by] - center)
        found.append(rotation.apply(x - center) + to)
    return np.array(found)


def test_elements_bonds_and_places_are_those_of_the_files(small_run: Path) -> None:
    data, row = data_of((small_run / "report.html").read_text()), middle(small_run)
    topology = mdtraj.load_topology(str(small_run / "topology.pdb"))
    assert data["elements"] == [atom.element.symbol for atom in topology.atoms]
    assert {(i, j) for i, bonded in enumerate(data["bonds"]) for j in bonded if i < j} == {
        tuple(sorted((a.index, b.index))) for a, b in topology.bonds
    }
    positions = 10.0 * read_trr(small_run / row["file"])[0].astype(float)
    frames = np.array(data["frames"], dtype=float).reshape(len(data["frames"]), -1, 3) / 100.0
    assert frames.shape[0] == min(len(positions), MOST_FRAMES)
    heavy = topology.select("not element H")
    kept = np.linspace(0, len(positions) - 1, len(frames)).round().astype(int)
    np.testing.assert_allclose(frames[0], positions[0], atol=HUNDREDTH)
    np.testing.assert_allclose(frames, turned(positions[kept], positions[0], heavy), atol=2 * HUNDREDTH)
    with open(small_run / row["file"].replace(".trr", ".csv"), newline="") as handle:
        table = list(csv.DictReader(handle))
    assert data["energies_kj_mol"] == pytest.approx([float(table[k]["potential_energy_kj_mol"]) for k in kept], abs=0.006)
    assert data["times_ps"] == pytest.approx([float(table[k]["time_ps"]) for k in kept], abs=1e-4)
    assert data["highest"] == int(np.argmax([float(table[k]["potential_energy_kj_mol"]) for k in kept]))


def test_transition_states_are_laid_over_the_path(small_run: Path) -> None:
    page = (small_run / "report.html").read_text()
    data, row = data_of(page), middle(small_run)
    states = 10.0 * read_trr(small_run / "transition_states.trr")[0].astype(float)
    first = 10.0 * read_trr(small_run / row["file"])[0][0].astype(float)
    heavy = mdtraj.load_topology(str(small_run / "topology.pdb")).select("not element H")
    found = np.array(data["transition_states"], dtype=float).reshape(-1, len(first), 3) / 100.0
    assert len(found) == min(len(states), MOST_STATES) > 0
    np.testing.assert_allclose(found, turned(states[evenly(len(states), MOST_STATES)], first, heavy), atol=2 * HUNDREDTH)
    assert f"{len(found)} of {len(states)} transition states" in page


def test_the_caption_is_of_this_path(small_run: Path) -> None:
    found, row = shown(RunData.of(small_run)), middle(small_run)
    assert found is not None
    told = molecule_section.caption(found)
    assert told.startswith(
        f"{row['path']}: the unbiased path whose highest energy is the weighted median. {len(found.frames)} of its {row['n_frames']}"
    )
    assert f"{float(row['max_energy_kj_mol']):.1f} kJ/mol" in told
    assert "pulled" not in told
    assert "It was pulled by a restraint." in molecule_section.caption(replace(found, row=replace(found.row, work_kT=3.1)))
    assert "Solvent" not in told


def test_nothing_is_fetched_and_the_viewer_is_in_the_page(small_run: Path) -> None:
    page = (small_run / "report.html").read_text()
    own = page.replace((molecule_section.VIEWER / "3Dmol-min.js").read_text(), "")
    assert len(page) - len(own) > 500_000
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", own)
    assert all(source.startswith("data:") for source in re.findall(r"(?:src|href)=[\"']?([^\"'\s>]*)", own))
    assert "default-src 'none'" in own
    assert len(page) < 2_500_000
    assert own.index("no WebGL") < own.index('<figure id="molecule-view" hidden>')


def test_names_from_files_never_become_markup(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    row, hostile = middle(run), "<img src=x onerror=alert(1)><!--<script>"
    for suffix in (".trr", ".csv"):
        shutil.copy((run / row["file"]).with_suffix(suffix), run / f"transitions/{hostile}{suffix}")
    text = (run / "transitions.csv").read_text()
    (run / "transitions.csv").write_text(
        text.replace(row["file"], f"transitions/{hostile}.trr").replace(f"\n{row['path']},", f"\n{hostile},")
    )
    write_report(run)
    page = (run / "report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert data_of(page)["elements"]
    assert "<" not in molecule_section.embedded({"a": "</script><!--"})
    assert json.loads(molecule_section.embedded({"a": "</script><!--"})) == {"a": "</script><!--"}


def prepared_with(run: Path, topology: str) -> None:
    """A run as if its topology.pdb had been this one."""
    (run / "topology.pdb").write_text(topology)
    notes = json.loads((run / "preparation.json").read_text())
    notes["sha256"]["topology.pdb"] = hashlib.sha256((run / "topology.pdb").read_bytes()).hexdigest()
    (run / "preparation.json").write_text(json.dumps(notes))


def with_water(run: Path, row: dict[str, str], *, keep: bool) -> None:
    """Two waters behind the molecule of a run, or in place of it."""
    lines = [line for line in (run / "topology.pdb").read_text().splitlines() if line.startswith(("ATOM", "HETATM"))] if keep else []
    at = len(lines)
    one = np.array([[3.0, 0.0, 0.0], [3.1, 0.0, 0.0], [2.97, 0.09, 0.0]])
    water = np.concatenate([one, one + np.array([0.0, 1.0, 0.0])])
    for k, (x, name) in enumerate(zip(10.0 * water, ("O", "H1", "H2") * 2, strict=True), 1):
        place = f"HOH W{900 + (k - 1) // 3:4d}    {x[0]:8.3f}{x[1]:8.3f}{x[2]:8.3f}"
        lines.append(f"HETATM{at + k:5d}  {name:<3s} {place}  1.00  0.00          {name[0]:>2s}")
    prepared_with(run, "\n".join([*lines, "END", ""]))
    for name in (row["file"], "transition_states.trr"):
        positions, velocities, times = read_trr(run / name)
        more = np.repeat(water[None], len(positions), axis=0)
        parts = [[positions, more], [velocities, 0.0 * more]] if keep else [[more], [0.0 * more]]
        x, v = (np.concatenate(part, axis=1).astype(np.float32) for part in parts)
        nothing = np.zeros(len(x))
        Folder(run).put_frames(name, Frames(x, v, times, nothing, nothing.astype(int), 0, stable=True), timestep=0.001, cell=None)


def test_water_is_left_out_unless_there_is_nothing_else(small_run: Path, tmp_path: Path) -> None:
    row = middle(small_run)
    for keep, size in ((True, 22), (False, 6)):
        run = Path(shutil.copytree(small_run, tmp_path / str(keep)))
        with_water(run, row, keep=keep)
        found = shown(RunData.of(run))
        assert found.positions.shape[1] == found.states.shape[1] == len(found.elements) == len(found.bonds) == size
        assert ("Solvent is left out" in molecule_section.caption(found)) == keep


def test_deuterium_turns_with_the_molecule_as_hydrogen_does(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    plain = shown(RunData.of(run))
    lines = (run / "topology.pdb").read_text().splitlines()
    heavier = ["D  ".join(line.rsplit("H  ", 1)) if line.endswith("H  ") else line for line in lines]
    assert sum(line.endswith("D  ") for line in heavier) == 12
    prepared_with(run, "\n".join([*heavier, ""]))
    found = shown(RunData.of(run))
    assert found.elements == plain.elements
    np.testing.assert_array_equal(found.positions, plain.positions)


def test_pages_stay_small_and_superposition_keeps_shapes() -> None:
    assert evenly(257, MOST_FRAMES).tolist()[::39] == [0, 256]
    assert evenly(3, 40).tolist() == [0, 1, 2]
    assert evenly(0, 4).tolist() == []
    assert MOST_PLACES * 3 * 6 < 1_000_000
    rng = np.random.default_rng(3)
    frames = rng.normal(size=(4, 6, 3))
    found = onto(frames, frames[0], ["C", "C", "O", "N", "H", "H"])
    pairs = [np.linalg.norm(x[:, :, None] - x[:, None], axis=-1) for x in (frames, found)]
    np.testing.assert_allclose(pairs[1], pairs[0], atol=1e-12)
    np.testing.assert_allclose(onto(frames[:, :2], frames[0, :2], ["O", "H"]).mean(axis=1), frames[:1, :2].mean(axis=1).repeat(4, axis=0))
