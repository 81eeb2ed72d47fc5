"""One suite for every storage: what is put comes back, names are listed and removed, what is missing is a sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.memory import Memory
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames

MADE: dict[str, Callable[[Path], Storage]] = {"folder": Folder, "memory": lambda path: Memory()}


@pytest.fixture(params=list(MADE))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MADE[request.param](tmp_path)


def frames(count: int = 3) -> Frames:
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(2, count, 4, 3)).astype(np.float32)
    return Frames(x, v, 0.5 * np.arange(count), np.zeros(count), np.zeros(count, dtype=int), 7, True)


def test_each_kind_comes_back(storage: Storage) -> None:
    made = frames()
    storage.put_frames("samples/a.trr", made, timestep=0.5, cell=((2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 2.0)))
    x, v = storage.frames("samples/a.trr")
    np.testing.assert_array_equal(x, made.positions)
    np.testing.assert_array_equal(v, made.velocities)
    storage.put_arrays("samples/a.npz", {"k": np.arange(3), "name": np.array("phi+")})
    arrays = storage.arrays("samples/a.npz")
    assert arrays["k"].tolist() == [0, 1, 2]
    assert str(arrays["name"]) == "phi+"
    storage.put_table("t.csv", ("a", "b", "c"), [(1, None, 0.5), ("x", "", -2.0)])
    assert storage.table("t.csv") == [{"a": "1", "b": "", "c": "0.5"}, {"a": "x", "b": "", "c": "-2.0"}]
    storage.put_record("r.json", {"list": [1, 2.5, None], "text": "A"})
    assert storage.record("r.json") == {"list": [1, 2.5, None], "text": "A"}
    storage.put_bytes("denoiser.pt", b"\x00\x01")
    assert storage.has("denoiser.pt")
    assert storage.content("denoiser.pt") == b"\x00\x01"


def test_what_is_kept_does_not_follow_what_it_was_made_from(storage: Storage) -> None:
    array, record = np.zeros(2), {"a": [1]}
    storage.put_arrays("a.npz", {"x": array})
    storage.put_record("r.json", record)
    array[0], record["a"] = 5.0, [2]
    assert storage.arrays("a.npz")["x"].tolist() == [0.0, 0.0]
    storage.record("r.json")["a"].append(3)
    assert storage.record("r.json") == {"a": [1]}


def test_names_and_removal_stay_within_a_level(storage: Storage) -> None:
    for name in ("samples/b_1.npz", "samples/b_2.npz", "samples/region/b_3.npz", "b_4.npz"):
        storage.put_arrays(name, {"x": np.zeros(1)})
    assert storage.names("samples/b_*.npz") == ["samples/b_1.npz", "samples/b_2.npz"]
    storage.remove("samples/b_*")
    assert storage.names("samples/*") == []
    assert storage.has("samples/region/b_3.npz")
    assert storage.has("b_4.npz")
    storage.remove("samples/none_*")


def test_what_is_missing_is_a_sentence(storage: Storage) -> None:
    assert not storage.has("x.npz")
    for read, name in (
        (storage.arrays, "x.npz"),
        (storage.record, "x.json"),
        (storage.table, "x.csv"),
        (storage.frames, "x.trr"),
        (storage.content, "x.pt"),
    ):
        with pytest.raises(SpacetimeError, match=f"{name} is missing"):
            read(name)


def test_what_is_damaged_is_a_sentence(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put_record("r.json", {"a": [1, 2, 3]})
    folder.put_arrays("a.npz", {"x": np.arange(100.0), "y": np.ones((3, 4))})
    folder.put_frames("f.trr", frames(6), timestep=0.001, cell=None)
    readers = {"r.json": folder.record, "a.npz": folder.arrays, "f.trr": folder.frames}
    for name, read in readers.items():
        read(name)
        whole = (tmp_path / name).read_bytes()
        for content in (b"", whole[: len(whole) // 2 - 7], b"null", b"\xff" * 40):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(SpacetimeError, match=rf"{name} is damaged"):
                read(name)


def test_a_table_that_lacks_cells_is_a_sentence(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put_table("t.csv", ("a", "b"), [(1, 2), (3, 4)])
    for text in ("a,b\n1,2\n3\n", "a,b\n1,2,9\n3,4\n"):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(SpacetimeError, match=r"t\.csv is damaged: line [23] has not as many cells"):
            folder.table("t.csv")
