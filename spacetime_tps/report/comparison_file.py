"""compare.json: where it is, whose it is, and which of its rows are still of the run as it is now."""

import hashlib
import json
from typing import Any

from spacetime_tps.report.data import RunData
from spacetime_tps.settings import decisive

SECTION, FILE = "compare", "compare.json"
"""Where in a run folder a comparison is, if it is there"""
FORMAT = 2
"""Of the entries of compare.json, which a later call keeps"""
KEYS = {"format", "problem", "methods", "left_out"}
STALE = "the run has changed since it was measured: call compare with it again"


def state_of(run: RunData) -> str:
    """A digest of what a run is: problem, settings and what its paths came to; not when, how fast and with which versions."""
    summary = {key: value for key, value in run.summary.items() if key not in ("wall_seconds", "versions")}
    return hashlib.sha256(json.dumps([summary, decisive(run.settings)], sort_keys=True).encode()).hexdigest()[:16]


def refusal(content: Any, run: RunData) -> str | None:
    """Why this is no comparison of the run, as a clause; None where it is one."""
    if not isinstance(content, dict) or not set(content) >= KEYS:
        return "a damaged comparison"
    if content["format"] != FORMAT:
        return "a comparison of another version"
    return None if content["problem"] == run.summary.get("problem") else "a comparison of another run"


def current(content: dict[str, Any], run: RunData) -> dict[str, Any]:
    """The comparison without the rows of a run that has changed since, which are named among what is left out."""
    state = state_of(run)
    methods = {name: row for name, row in content["methods"].items() if row["run_state"] == state}
    stale = {name: STALE for name in content["methods"] if name not in methods}
    return {**content, "methods": methods, "left_out": {**content["left_out"], **stale}}
