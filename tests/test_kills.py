"""The workflow that kills runs, on commands of a few lines: it sees what does not go on as it should."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import kills

PLAIN = """
import json, os, sys, time
from pathlib import Path

out, stages = Path(sys.argv[1]), {}
out.mkdir(exist_ok=True)

def put(name, content):
    (out / f".{name}").write_text(content)
    os.replace(out / f".{name}", out / name)

for name in ("preparation", "exploration", "guided"):
    if not (out / f"{name}.txt").exists():
        stages[name] = {"finished": False, "wall_seconds": 0.0}
        put("stages.json", json.dumps(stages))
        time.sleep(float(os.environ.get("STAGE", "0.3")))
        put(f"{name}.txt", name)
    stages[name] = {"finished": True, "wall_seconds": time.time()}
    put("stages.json", json.dumps(stages))
put("preparation.json", json.dumps({"steps_per_second": time.time()}))
put("summary.json", json.dumps({"wall_seconds": time.time(), "paths": 3}))
put("report.html", str(time.time()))
"""
TERMINATED = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))"
FORGETS = 'open(sys.argv[1] + "/begun", "w").write(str(time.time_ns()))'
CHILD = """import subprocess
if len(sys.argv) == 2: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])"""


def command(*more: str) -> Callable[[Path], Sequence[str]]:
    first, rest = PLAIN.split("\ndef put", 1)
    script = "\n".join([TERMINATED, first, *more, "def put" + rest])
    return lambda folder: [sys.executable, "-c", script, str(folder)]


def test_a_run_that_goes_on_is_the_same(tmp_path: Path) -> None:
    tally = kills.kills(command(), tmp_path / "kills", count=6, seed=3, seconds=60.0)
    assert tally.faults == [f for f in tally.faults if "exit code -15" in f], "one that is ended before it listens"
    assert tally.identical == tally.compared > 0
    assert sum(tally.ended.values()) >= 6
    text = kills.table(tally)
    assert f"{tally.identical} of {tally.compared} folders the same" in text
    total = [int(cell) for cell in next(line for line in text.splitlines() if line.startswith("| all")).split("|")[2:-1]]
    assert sum(total) == sum(tally.ended.values())
    assert total[2] == sum(count for (_, end), count in tally.ended.items() if end == "SIGTERM") > 0


def test_a_run_that_differs_is_told_and_kept(tmp_path: Path) -> None:
    tally = kills.kills(command(FORGETS), tmp_path / "kills", count=2, seed=1, seconds=60.0)
    assert tally.identical == 0 < tally.compared
    assert any(fault.endswith("differs: begun") for fault in tally.faults)
    assert len((tmp_path / "kills/differs_1/begun").read_text()) > 1


@pytest.mark.parametrize(("end", "kept"), [(kills.GROUP, False), (kills.FIRST, True)])
def test_a_process_that_lives_on_is_told_and_ended(end: kills.End, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "LINGER", 0.3)
    monkeypatch.setenv("STAGE", "60")
    tally, out = kills.Tally(), tmp_path / "run"
    assert kills.ended_after(command(CHILD)(out), 3.0, end, out, tally)
    assert [("lives on" in fault) for fault in tally.faults] == [True] * kept
    assert sum(tally.ended.values()) == 1


def test_an_exit_code_that_is_not_the_signals_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "60")
    tally, out = kills.Tally(), tmp_path / "run"
    deaf = command("signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))")
    assert kills.ended_after(deaf(out), 3.0, kills.TERM, out, tally)
    (fault,) = tally.faults
    assert fault.endswith("exit code 2, not 143")


def test_what_is_being_made_is_read_from_the_folder(tmp_path: Path) -> None:
    assert kills.making(tmp_path) == "before the first stage"
    done, begun = {"finished": True}, {"finished": False}
    (tmp_path / "stages.json").write_text(json.dumps({"preparation": done, "exploration": begun}))
    assert kills.making(tmp_path) == "exploration"
    (tmp_path / "stages.json").write_text(json.dumps({"preparation": done, "exploration": done}))
    assert kills.making(tmp_path) == "after exploration"
