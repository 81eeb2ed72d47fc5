"""One call at a time on a folder: the second is told, and a process that was killed leaves nothing to clean up."""

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from spacetime_tps.errors import SpacetimeError

LOCK = ".lock"
UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""What file systems without locks answer"""


@contextmanager
def in_use(folder: str | Path) -> Iterator[None]:
    """Hold a folder, which is made if need be, and goes again where nothing was written into it.

    Raises SpacetimeError where another process, here or on a machine that shares the file system, holds it. File systems without locks,
    and Windows, let everyone in.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle = None if sys.platform == "win32" else _locked(folder)
    try:
        yield
    finally:
        if handle is not None:
            with closing(os.fdopen(handle)):
                (folder / LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # something is in it
            folder.rmdir()


if sys.platform != "win32":
    import fcntl

    def _locked(folder: Path) -> int:
        """A handle of the folder's lock file, which the kernel lets go of when this process ends, however it does."""
        file = folder / LOCK
        while True:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as problem:
                if problem.errno in UNSUPPORTED:
                    return handle
                holder = _holder(file)
                os.close(handle)
                if problem.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise SpacetimeError(f"{folder} is in use by another call{holder}: wait for it, or end it") from problem
            if _is(file, handle):
                os.ftruncate(handle, 0)
                os.write(handle, json.dumps({"process": os.getpid(), "machine": socket.gethostname()}).encode())
                return handle
            os.close(handle)  # whoever held it before has removed the file

    def _is(file: Path, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), file.stat())
        except FileNotFoundError:
            return False

    def _holder(file: Path) -> str:
        try:
            found = json.loads(file.read_text())
            return f" (process {found['process']} on {found['machine']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""
