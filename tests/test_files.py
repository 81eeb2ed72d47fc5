"""docs/files.md names every column of every CSV file, and every array of every NPZ file, that a run writes; and nothing else."""

import csv
import re
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parent.parent / "docs/files.md"
ELSEWHERE = {"paths.csv"}
"""What `export` writes"""


def documented() -> dict[str, set[str]]:
    """Names that the tables have, by pattern of the files."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        names = {name for line in body.splitlines() if line.startswith("| `") for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
        found.update(dict.fromkeys(re.findall(r"`([^`]+)`", heading), names))
    return found


def as_pattern(name: str) -> str:
    """NAME, I and J stand for what differs from run to run."""
    return re.sub(r"^NAME|(?<=_)[IJ](?=_|$)", "*", name)


def columns(file: Path) -> set[str]:
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return set(arrays)
    with open(file, newline="") as handle:
        return set(next(csv.reader(handle)))


def test_every_column_is_documented_and_none_that_is_not_there(small_run: Path) -> None:
    page, seen = documented(), {}
    for file in [*small_run.rglob("*.csv"), *small_run.rglob("*.npz")]:
        name = str(file.relative_to(small_run))
        pattern = next((p for p in page if fnmatchcase(name, p) and p.count("/") == name.count("/")), None)
        assert pattern is not None, name
        seen.setdefault(pattern, set()).update(columns(file))
    assert set(page) == set(seen) | ELSEWHERE
    for pattern, there in seen.items():
        for name in there:
            assert any(fnmatchcase(name, as_pattern(known)) for known in page[pattern]), f"{pattern}: {name}"
        for known in page[pattern] - {"NAME_nm"}:
            assert any(fnmatchcase(name, as_pattern(known)) for name in there), f"{pattern} has no {known}"


def test_a_cell_is_never_an_empty_number(small_run: Path) -> None:
    """Every column of every CSV file is text or parses as numbers throughout; what a path has none of is empty in transitions.csv."""
    for file in small_run.rglob("*.csv"):
        with open(file, newline="") as handle:
            rows = list(csv.DictReader(handle))
        for name in rows[0]:
            kinds = {_kind(row[name]) for row in rows}
            known = [{"number"}, {"text"}, {"empty"}, {"text", "empty"}]
            assert kinds in [*known, {"number", "empty"}] if name in NONE else kinds in known, f"{file.name}: {name} {kinds}"


NONE = ("work_kT", "weight")


def _kind(cell: str) -> str:
    if not cell:
        return "empty"
    return "number" if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|inf", cell) else "text"
