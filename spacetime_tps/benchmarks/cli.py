"""The `benchmark` commands: each computes, writes its tables, curves and figures into a folder, and prints the table."""

from pathlib import Path
from typing import Annotated

import typer

from spacetime_tps.terminal import console, errors_as_sentences

benchmark = typer.Typer(no_args_is_help=True, help="Compute the published figures, with their reference values beside them.")

Out = Annotated[Path, typer.Option(help="Folder for table.md, table.json, curves.npz and the figures.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Every random number follows from it.")]


@benchmark.callback()
def _benchmark() -> None:
    """Keeps `toy` a command of its own while it is the only one."""


@benchmark.command()
def toy(out: Out, seed: Seed = 1) -> None:
    """Gaussian mixtures with exact denoisers: probability flow against geodesics, pullback metric, samplers. Ten seconds."""
    with errors_as_sentences():
        from spacetime_tps.benchmarks.toy_report import run_toy

        console.print(run_toy(out, seed=seed), markup=False)
