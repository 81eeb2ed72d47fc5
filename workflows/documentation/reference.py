"""The command line, as typer documents it, and the public names of the package, for mkdocstrings to fill in."""

import subprocess
import sys

import spacetime_tps

COMMAND_LINE, PYTHON = "reference/command_line.md", "reference/python.md"
REACHED = {
    "Paths": "spacetime_tps.results.paths.Paths", "TransitionPath": "spacetime_tps.results.paths.TransitionPath",
    "Curve": "spacetime_tps.results.curve.Curve", "FreeEnergies": "spacetime_tps.results.curve.FreeEnergies",
    "Samples": "spacetime_tps.results.curve.Samples", "Average": "spacetime_tps.results.average.Average",
}  # fmt: skip
"""What `Results` hands out, by name"""
OPENPATHSAMPLING = "spacetime_tps.handover.openpathsampling"
HANDED_OVER = ("to_openpathsampling", "from_openpathsampling", "PathSampling")


def command_line_page() -> str:
    """Every command with its arguments and options."""
    words = [sys.executable, "-m", "typer", "spacetime_tps.cli", "utils", "docs", "--name", "spacetime-tps", "--title", "The command line"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def python_page() -> str:
    """Every public name with its signature and docstring."""
    public = [getattr(spacetime_tps, name) for name in sorted(spacetime_tps.__all__, key=str.lower)]
    return "\n".join([
        "# Python", "",
        "`import spacetime_tps` has these names; each is imported when it is first used. A script that starts a run does so under",
        '`if __name__ == "__main__":`, since worker processes import it.', "",
        *(_entry(x.__name__, f"{x.__module__}.{x.__qualname__}", f"spacetime_tps.{x.__name__}") for x in public),
        "## What `Results` hands out", "",
        *(_entry(name, place, name, level=3) for name, place in REACHED.items()),
        "## OpenPathSampling", "", f"`{OPENPATHSAMPLING}`, with the `ops` extra; [how](../how_to/first_path.md).", "",
        *(_entry(name, f"{OPENPATHSAMPLING}.{name}", name, level=3) for name in HANDED_OVER),
    ])  # fmt: skip


def _entry(name: str, place: str, heading: str, level: int = 2) -> str:
    return f"::: {place}\n    options:\n      heading: {heading}\n      toc_label: {name}\n      heading_level: {level}\n"
