"""Worker processes: they end with the process that they work for, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import time
import numpy as np
from hinge import hinge, placed
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.engines.openmm.workers import Workers, _walk

if __name__ == "__main__":
    x = placed(-90.0, 20.0)[0]
    endless = Walk(None, np.zeros((1, 0)), 10**9, 10**6, 1, x, 0.0 * x)
    with Workers(hinge().model, 2) as workers:
        tasks = [workers._pool.submit(_walk, endless) for _ in range(4)]
        while not all(task.running() for task in tasks[:2]):
            time.sleep(0.1)
        print(*workers._pool._processes, flush=True)
        time.sleep(600.0)
"""


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_parent_that_was_killed(how: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(5.0)  # they import, and begin to walk
        assert all(lives(pid) for pid in pids)
        parent.send_signal(how)
        parent.wait()
    end = time.monotonic() + 30.0
    while any(lives(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.1)
    left = [pid for pid in pids if lives(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
