"""The workflow of many jobs: which jobs there are, and that the profiles are read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("snakemake")
WORKFLOWS = Path(__file__).parent.parent / "workflows"


def planned(tmp_path: Path, *config: str, profile: str = "local") -> dict[str, list[str]]:
    """The shell commands of a dry run by rule."""
    words = [
        "--profile",
        str(WORKFLOWS / "profiles" / profile),
        "--executor",
        "local",
        "--cores",
        "2",
        "--dry-run",
        "--quiet",
        "host",
        "--config",
        *config,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(WORKFLOWS / "cluster.smk"), *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for rule, command in re.findall(r"rule (\w+):\n.*?\nShell command: ([^\n]*)\n", done.stdout + done.stderr, flags=re.DOTALL):
        found.setdefault(rule, []).append(command)
    return found


def test_shards_are_explored_for_made_and_gathered(tmp_path: Path) -> None:
    jobs = planned(tmp_path, "run=butane --guided 7 --seed 2", "out=o", "shards=3", "explore_threads=1")
    assert jobs["explore"] == ["spacetime-tps run butane --guided 7 --seed 2 --out o/run --set workers=1 --explore"]
    assert sorted(jobs["shard"]) == [f"spacetime-tps run o/run --shard {k}/3 --set workers=1" for k in (1, 2, 3)]
    assert (jobs["gather"], jobs["report"]) == (["spacetime-tps gather o/run"], ["spacetime-tps report o/run"])
    assert "shoot" not in jobs
    assert planned(tmp_path, "out=o", "unbiased=50", profile="slurm")["shoot"] == ["spacetime-tps shoot o/run --unbiased 50"]
