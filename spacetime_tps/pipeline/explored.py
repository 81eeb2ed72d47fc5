"""What a run was prepared and explored as, without its paths, in a folder of its own."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from spacetime_tps.paths.transition import FOLDER, SUMMARY, TABLE
from spacetime_tps.pipeline.shards import SHARDS
from spacetime_tps.report.comparison_file import SECTION
from spacetime_tps.report.page import PAGE, PICTURES
from spacetime_tps.stages import exploration
from spacetime_tps.stages.records import FILE, Records
from spacetime_tps.stages.registry import after
from spacetime_tps.storage.folder import Folder

EXPORTED = "export"
"""Where paths are exported to where nothing else is asked for"""
RESULTS = (TABLE, FOLDER, SHARDS, SUMMARY, PAGE, PICTURES, SECTION, EXPORTED)
"""What paths amount to, whichever stage they are of"""


def copy_explored(run: Path, out: Path) -> None:
    """Preparation and exploration of a run, as a run that holds no paths yet. `out` may lie within it; hidden files stay behind."""
    later = after(exploration.NAME)
    patterns = (*RESULTS, *(pattern for stage in later for pattern in stage.files))

    def left(folder: str, names: list[str]) -> set[str]:
        here = Path(folder).relative_to(run)
        inside = {name for name in names if out.resolve().is_relative_to((run / here / name).resolve())}
        return inside | {name for name in names if name.startswith(".") or any(fnmatch((here / name).as_posix(), p) for p in patterns)}

    shutil.copytree(run, out, ignore=left, dirs_exist_ok=True)
    if (out / FILE).is_file():
        records = Records(Folder(out))
        for stage in later:
            records.forget(stage.name)
