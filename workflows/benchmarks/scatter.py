"""Whether stated errors are true: over runs that differ in their seed alone, how averages scatter, over the error that is stated."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import spacetime_tps
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json, write_text

FEWEST = 3
EXACT = 1e-9
"""A stated error below it is of a number that cannot vary, as the share of the one route"""


def run_scatter(folders: Sequence[Path], out: Path | None) -> str:
    """The table over finished runs of one system, and with `out` also table.md and scatter.json there. Raises SpacetimeError where two runs
    are not of the same system and temperature, or are the same."""
    summaries = [spacetime_tps.open(folder).summary for folder in folders]
    runs = [dict(estimates(s)) for s in summaries]
    if len({(s["system"], s["temperature_K"]) for s in summaries}) > 1:
        raise SpacetimeError("the runs are of different systems or temperatures")
    if len(runs) < FEWEST or any(one == other for one, other in combinations(runs, 2)):
        raise SpacetimeError(f"{FEWEST} runs or more are needed, each of its own seed")
    found = scatter(runs)
    low, high = spread_of_ratios(len(runs))
    lines = ["| average | runs | mean | scatter | stated error | scatter over stated |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {f['runs']} | {f['mean']:.4g} | {f['scatter']:.3g} | {f['stated']:.3g} | {f['ratio']:.2f} |"
        for name, f in found.items()
    ]
    lines += ["", f"True errors give ratios between {low:.2f} and {high:.2f} in 95 of 100 such tables' rows."]
    table = "\n".join(lines) + "\n"
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "scatter.json", {"runs": [str(f) for f in folders], "averages": found, "true_95": [low, high]})
        write_text(out / "table.md", table)
    return table


def estimates(content: Any, name: str = "") -> Iterator[tuple[str, tuple[float, float]]]:
    """(name, (value, standard error)) of everything in summary.json that has an error above zero."""
    if isinstance(content, dict) and "standard_error" in content:
        if content["standard_error"] is not None and content["standard_error"] > EXACT:
            yield name, (content["value"], content["standard_error"])
    elif isinstance(content, dict | list):
        for key, part in content.items() if isinstance(content, dict) else enumerate(content):
            yield from estimates(part, f"{name}.{key}".removeprefix("."))


def scatter(runs: Sequence[dict[str, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Of each average that runs enough have: the deviation over runs, the root mean square of stated errors, and their ratio."""
    found = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        value, error = np.array([run[name] for run in runs if name in run]).T
        if len(value) >= FEWEST:
            apart, stated = float(value.std(ddof=1)), float(np.sqrt((error**2).mean()))
            found[name] = {"runs": len(value), "mean": float(value.mean()), "scatter": apart, "stated": stated, "ratio": apart / stated}
    return found


def spread_of_ratios(runs: int) -> tuple[float, float]:
    """Between what 95 % of ratios lie where errors are true: sqrt(chi^2 / (runs - 1))."""
    from scipy.stats import chi2

    low, high = np.sqrt(chi2.ppf((0.025, 0.975), runs - 1) / (runs - 1))
    return float(low), float(high)
