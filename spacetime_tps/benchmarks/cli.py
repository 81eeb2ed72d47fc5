"""The `benchmark` commands: each computes, writes its tables, curves and figures into a folder, and prints the table."""

from pathlib import Path
from typing import Annotated

import typer

from spacetime_tps.terminal import console, errors_as_sentences

benchmark = typer.Typer(no_args_is_help=True, help="Compute the published figures, with their reference values beside them.")

Out = Annotated[Path, typer.Option(help="Folder for table.md, table.json, curves.npz and the figures.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Every random number follows from it.")]


@benchmark.command()
def toy(out: Out, seed: Seed = 1) -> None:
    """Gaussian mixtures with exact denoisers: probability flow against geodesics, pullback metric, samplers. Ten seconds."""
    with errors_as_sentences():
        from spacetime_tps.benchmarks.toy_report import run_toy

        console.print(run_toy(out, seed=seed), markup=False)


@benchmark.command()
def surface(
    out: Out,
    file: Annotated[str, typer.Option("--surface", help="A file of phi, psi, energy, or a bundled one.")] = "alanine_dipeptide_surface",
    kT: Annotated[float, typer.Option("--kt", help="In the surface's unit; 2.494 is 300 K in kJ/mol.", min=1e-6)] = 2.494,
    paths: Annotated[int, typer.Option(help="Paths of each experiment; of the unbiased, the effective number.", min=2)] = 1000,
    chains: Annotated[int, typer.Option(help="Chains of two-way shooting to compare the unbiased paths with.", min=0)] = 0,
    seed: Seed = 1,
) -> None:
    """The paper's experiments on a (phi, psi) surface, and unbiased paths beside them. One to three minutes."""
    with errors_as_sentences():
        from spacetime_tps.benchmarks.surface import bundled_surface
        from spacetime_tps.benchmarks.surface_report import run_surface

        table = run_surface(bundled_surface(file), out, kT=kT, paths=paths, chains=chains, seed=seed, say=console.print)
        console.print(table, markup=False)
