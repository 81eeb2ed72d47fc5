"""Runs that are killed: python workflows/kills.py butane --kills 100 --out runs/kills --seed 1.

A small run over all stages is made once unbroken. Then the same command is begun again and again in another folder and ended at a moment
drawn over the wall time of the last one that was left alone, until a call gets through; its folder has to be the same but for wall times,
and no process may live on. Then the next folder. Of five ends three are SIGKILL to all processes, one is SIGKILL to the first alone, as for
want of memory, and one is SIGTERM to all, as of a scheduler, which has to be answered by exit code 143. Exit code 1 where anything is not
so. Linux alone.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SMALL = (
    "dynamics.platform=Reference", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=12", "windows.steps=600", "windows.discard=200", "rounds.max_rounds=2", "rounds.quenches=2", "geodesic.points=24",
    "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=8", "guided.points=47", "reverse=6", "steered.paths=4",
    "denoiser.components=0", "unbiased.paths=10", "unbiased.walkers=4", "unbiased.equilibration=600", "unbiased.points=4",
    "unbiased.rung_steps=600", "unbiased.states=4", "unbiased.state_shots=4", "workers=2",
)  # fmt: skip
"""A platform is chosen by timing it, and another one gives other numbers: it is set"""
TERMINATED = 128 + signal.SIGTERM
FOREVER = 1e6
PATIENCE = 1.2
"""By which the time grows that calls on one folder have, from one that was ended to the next"""
LINGER = 20.0
"""Seconds in which the processes of a call that was killed have to end"""


@dataclass(frozen=True)
class End:
    """How a call is ended."""

    name: str
    number: signal.Signals
    send: Callable[[int, int], None]
    """Of the process, or of its group, and the number"""
    codes: tuple[int, ...]
    """Of which one has to come back"""


GROUP, FIRST, TERM = (
    End("SIGKILL", signal.SIGKILL, os.killpg, (-signal.SIGKILL,)),
    End("SIGKILL, first process", signal.SIGKILL, os.kill, (-signal.SIGKILL,)),
    End("SIGTERM", signal.SIGTERM, os.killpg, (TERMINATED,)),
)
ENDS = (GROUP, GROUP, FIRST, GROUP, TERM)


@dataclass
class Tally:
    """What came of all calls."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what was being made, and by how it was ended"""
    compared: int = 0
    identical: int = 0
    faults: list[str] = field(default_factory=list)


def making(folder: Path) -> str:
    """The stage that is begun and not finished; else which was the last to be."""
    try:
        stages = json.loads((folder / "stages.json").read_text())
    except FileNotFoundError:
        return "before the first stage"
    begun = [name for name, entry in stages.items() if not entry["finished"]]
    return begun[0] if begun else f"after {list(stages)[-1]}"


def contents(folder: Path) -> dict[str, Any]:
    """Every file by its name, without what tells time."""
    found: dict[str, Any] = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    found["report.html"] = "report.html" in found  # the pictures in it are in report/, too
    for name, clock in (("summary.json", "wall_seconds"), ("preparation.json", "steps_per_second")):
        found[name] = {k: v for k, v in json.loads(found[name]).items() if k != clock}
    found["stages.json"] = {k: {**v, "wall_seconds": 0} for k, v in json.loads(found["stages.json"]).items()}
    return found


def living(session: int) -> list[int]:
    """Processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def ended_after(command: Sequence[str], seconds: float, end: End, folder: Path, tally: Tally) -> bool:
    """Begin a command and end it, unless it is done before; whether it had to be ended."""
    with open(folder.with_suffix(".log"), "a") as log:
        process = subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stage = making(folder)
            end.send(process.pid, end.number)
            code = process.wait()
            if code == 0:  # it was through
                return False
            tally.ended[stage, end.name] += 1
            if code not in end.codes:
                tally.faults.append(f"{end.name} in {stage}: exit code {code}, not {end.codes[0]}")
        else:
            if process.returncode:
                raise SystemExit(f"exit code {process.returncode} without a signal: see {log.name}") from None
            return False
    until = time.monotonic() + LINGER
    while (left := living(process.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        tally.faults.append(f"{end.name} in {stage}: process {pid} lives on")
        os.kill(pid, signal.SIGKILL)
    return True


def kills(command: Callable[[Path], Sequence[str]], out: Path, *, count: int, seed: int, seconds: float) -> Tally:
    """End calls until so many were, or so many seconds are over; command: of a folder."""
    rng, tally, whole, broken = random.Random(seed), Tally(), out / "unbroken", out / "broken"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    begin = time.monotonic()
    ended_after(command(whole), FOREVER, GROUP, whole, tally)
    wall, expected = time.monotonic() - begin, contents(whole)
    print(f"unbroken: {wall:.1f} s", flush=True)
    sent = 0
    while sent < count and time.monotonic() - begin < seconds:
        ended, start = 0, time.monotonic()
        while sent < count and time.monotonic() - begin < seconds:
            moment = rng.uniform(0.0, wall * PATIENCE**ended)  # else one that is too slow for it would never be through
            if not ended_after(command(broken), moment, ENDS[sent % len(ENDS)], broken, tally):
                break
            ended, sent = ended + 1, sent + 1
        else:
            ended_after(command(broken), FOREVER, GROUP, broken, tally)
        if not ended:
            wall = time.monotonic() - start  # a machine that others use is not always as fast
        got = contents(broken)
        differ = sorted(name for name in {*expected, *got} if expected.get(name) != got.get(name))
        tally.compared += 1
        tally.identical += not differ
        if differ:
            tally.faults.append(f"folder {tally.compared} differs: {', '.join(differ)}")
            broken.rename(out / f"differs_{tally.compared}")
        shutil.rmtree(broken, ignore_errors=True)
        print(f"{sent} ended, {tally.identical} of {tally.compared} folders the same", flush=True)
    return tally


def table(tally: Tally) -> str:
    """Ends by what was being made, as Markdown."""
    ends = (GROUP, FIRST, TERM)
    lines = [f"| while making | {' | '.join(end.name for end in ends)} |", f"|---|{'---|' * len(ends)}"]
    stages = dict.fromkeys(stage for stage, _ in tally.ended)
    lines += [f"| {stage} | {' | '.join(str(tally.ended[stage, end.name]) for end in ends)} |" for stage in sorted(stages)]
    lines += [f"| all | {' | '.join(str(sum(tally.ended[stage, end.name] for stage in stages)) for end in ends)} |", ""]
    lines += [f"{sum(tally.ended.values())} calls ended, {tally.identical} of {tally.compared} folders the same as the unbroken one"]
    return "\n".join([*lines, *tally.faults])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1, help="of the run and of the moments")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no more after so many")
    args = parser.parse_args()
    words = [word for key in SMALL for word in ("--set", key)]

    def command(folder: Path) -> list[str]:
        run = [sys.executable, "-m", "spacetime_tps", "run", args.system, "--out", str(folder), "--seed", str(args.seed)]
        return [*run, *words]

    tally = kills(command, args.out, count=args.kills, seed=args.seed, seconds=60.0 * args.minutes)
    text = table(tally)
    (args.out / "table.md").write_text(text + "\n")
    print(text)
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
