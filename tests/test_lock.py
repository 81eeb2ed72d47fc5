"""The lock on a folder: it says who holds it, leaves nothing open, and lets everyone in where a file system has none."""

import errno
import fcntl
import json
import os
import socket
from pathlib import Path

import pytest

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.lock import LOCK, in_use


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_lock_says_who_holds_it_and_lets_the_next_user_take_it(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("x" * 999)  # of a holder with a longer name, who was killed
    with in_use(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text()) == {"process": os.getpid(), "machine": socket.gethostname()}
    umask = os.umask(0)
    os.umask(umask)
    with in_use(tmp_path / "new"):
        assert (tmp_path / "new" / LOCK).stat().st_mode & 0o7777 == 0o666 & ~umask


def test_nothing_stays_open_whoever_is_turned_away(tmp_path: Path) -> None:
    before = open_files()
    with in_use(tmp_path):
        assert open_files() == before + 1
        for _ in range(3):
            with pytest.raises(SpacetimeError, match=f"in use by another call \\(process {os.getpid()} on "), in_use(tmp_path):
                pass
        assert open_files() == before + 1
    assert open_files() == before


def test_a_lock_that_its_last_holder_removed_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the file and locking it: a lock on a file that nobody sees would keep nobody out."""
    lock, before, late = fcntl.flock, open_files(), [tmp_path / LOCK] * 2

    def flock(handle: int, how: int) -> None:
        if late:
            late.pop().unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with in_use(tmp_path):
        assert late == []
        assert open_files() == before + 1
        with pytest.raises(SpacetimeError, match="in use by another call"), in_use(tmp_path):
            pass


def test_file_systems_without_locks_let_everyone_in_and_broken_ones_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = errno.ENOLCK

    def flock(handle: int, how: int) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, "flock", flock)
    with in_use(tmp_path), in_use(tmp_path):
        pass
    assert not tmp_path.exists()
    before, answer = open_files(), errno.EIO
    with pytest.raises(OSError, match="Input/output error"), in_use(tmp_path):
        pass
    assert open_files() == before
