"""A copy of what a run was explored as holds no path of any stage, and all that paths are made from."""

from pathlib import Path

from spacetime_tps.pipeline.explored import copy_explored
from spacetime_tps.stages.records import FILE, Records
from spacetime_tps.storage.folder import Folder

KEPT = (
    "config.yaml", "system.xml", "coordinates.json", "geodesic.npz", "denoiser.pt", "free_energy.npz", "routes/1.npz",
    "samples/weighted_1.trr", "samples/windows.npz", "samples/training/a.trr", "regions/0123.pdb",
)  # fmt: skip
LEFT = (
    "transitions.csv", "transitions/guided_best_0000.trr", "summary.json", "report.html", "report/map.png", "samples/unbiased.json",
    "samples/path_density.npz", "shots.csv",
    "committor.csv", "transition_states.trr", "samples/region/0_0000_0.trr", "samples/shots/0_0000.npz",
    "samples/shots/committors.npz", "export/guided.xtc", ".lock",
)  # fmt: skip


def of(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_paths_stay_behind_and_their_stages_are_forgotten(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "run" / "rivals" / "slow"
    for name in (*KEPT, *LEFT, "rivals/older/config.yaml"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    records = Records(Folder(run))
    for stage in ("preparation", "exploration", "guided", "guided_reverse", "steered", "unbiased"):
        with records.making(stage, "from this"):
            pass
    copy_explored(run, out)
    assert of(out) == {*KEPT, FILE}
    assert set(Folder(out).record(FILE)) == {"preparation", "exploration"}
    assert set(Folder(run).record(FILE)) > {"guided", "unbiased"}, "the run itself keeps them"
    assert all((run / name).read_text() == name for name in LEFT)


def test_a_folder_without_records_is_copied_too(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    copy_explored(tmp_path / "run", tmp_path / "out")
    assert of(tmp_path / "out") == {"config.yaml"}
