"""Rows of transitions.csv: what is written comes back, who has a weight, and whose rows are replaced."""

from dataclasses import replace
from pathlib import Path

import pytest

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_csv
from spacetime_tps.paths.transition import (
    COLUMNS,
    TABLE,
    Transition,
    read_transitions,
    remove_paths,
    replace_transitions,
    write_transitions,
)
from spacetime_tps.storage.folder import Folder

PULLED = Transition("guided_r_0000", "guided", "ok", 1, 40.25, 11.25, 257, 6400, 7, None, "r", "transitions/guided_r_0000.trr")
STEERED = replace(PULLED, path="steered_r_0000", stage="steered", file="transitions/steered_r_0000.trr")
SHOT = Transition("unbiased_0", "unbiased", "ok", 1, 31.5, None, 12, 900, 8, 0.25, "r", "transitions/unbiased_0.trr")


@pytest.fixture
def storage(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_pulled_path_has_an_empty_weight(storage: Folder) -> None:
    assert read_transitions(storage) == []
    write_transitions(storage, [PULLED, SHOT])
    assert [r["weight"] for r in read_csv(storage.path / TABLE)] == ["nan", "0.25"]
    assert read_transitions(storage) == [PULLED, SHOT]


def test_a_table_of_an_older_version_has_no_work(storage: Folder) -> None:
    write_transitions(storage, [PULLED, SHOT])
    table = read_csv(storage.path / TABLE)
    assert [r["work_kT"] for r in table] == ["11.25", "nan"]
    columns = [name for name in COLUMNS if name != "work_kT"]
    storage.put_table(TABLE, columns, [tuple(r[name] for name in columns) for r in table])
    assert read_transitions(storage) == [replace(PULLED, work_kT=None), SHOT]


def test_a_stage_replaces_its_own_rows_where_they_stand(storage: Folder) -> None:
    write_transitions(storage, [PULLED, STEERED, SHOT])
    more = [STEERED, replace(STEERED, path="steered_r_0001")]
    replace_transitions(storage, "steered", more)
    assert read_transitions(storage) == [PULLED, *more, SHOT]
    replace_transitions(storage, "guided", [])
    assert read_transitions(storage) == [*more, SHOT]
    replace_transitions(storage, "guided", [PULLED])
    assert read_transitions(storage) == [*more, SHOT, PULLED]


def test_a_route_replaces_its_own_rows_and_a_new_one_follows_the_stage(storage: Folder) -> None:
    other = replace(PULLED, path="guided_q_0000", route="q")
    write_transitions(storage, [PULLED, SHOT])
    replace_transitions(storage, "guided", [other], route="q")
    assert read_transitions(storage) == [PULLED, other, SHOT]
    more = [PULLED, replace(PULLED, path="guided_r_0001")]
    replace_transitions(storage, "guided", more, route="r")
    assert read_transitions(storage) == [*more, other, SHOT]
    replace_transitions(storage, "steered", [STEERED], route="r")
    assert read_transitions(storage) == [*more, other, SHOT, STEERED]


def test_removing_a_stage_leaves_the_others(storage: Folder) -> None:
    write_transitions(storage, [PULLED, SHOT])
    for row in (PULLED, SHOT):
        storage.put_bytes(row.file, b"")
    remove_paths(storage, "guided")
    assert read_transitions(storage) == [SHOT]
    assert storage.names("transitions/*") == [SHOT.file]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("path", "../../x"),
        ("path", ".."),
        ("path", ""),
        ("path", "a\\b"),
        ("file", "/etc/x.trr"),
        ("file", "transitions/../../x.trr"),
        ("file", "x.trr"),
    ],
)
def test_a_table_that_names_files_elsewhere_is_a_sentence(column: str, value: str, tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    write_transitions(storage, [replace(PULLED, **{column: value})])
    with pytest.raises(SpacetimeError, match=r"transitions\.csv, line 2: .* is no path of this folder"):
        read_transitions(storage)


def test_a_damaged_table_is_a_sentence(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    write_transitions(storage, [PULLED, SHOT])
    table = tmp_path / "transitions.csv"
    whole = table.read_text()
    for text in (whole.replace("40.25", "high"), whole[:-40], whole.replace("weight", "heft")):
        table.write_text(text)
        with pytest.raises(SpacetimeError, match=r"transitions\.csv.* damaged"):
            read_transitions(storage)
