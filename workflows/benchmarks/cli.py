"""The commands of workflows/benchmark.py: each computes, writes its tables, curves and figures into a folder, and prints the table."""

from pathlib import Path
from typing import Annotated

import typer

from spacetime_tps.terminal import ConsoleProgress, console, errors_as_sentences

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Compute the published figures, with their reference values beside them.",
)  # fmt: skip

Out = Annotated[Path, typer.Option(help="Folder for table.md, table.json, curves.npz and the figures.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Every random number follows from it.")]


@app.command()
def toy(out: Out, seed: Seed = 1) -> None:
    """Gaussian mixtures with exact denoisers: probability flow against geodesics, pullback metric, samplers. Ten seconds."""
    with errors_as_sentences():
        from benchmarks.toy_report import run_toy

        console.print(run_toy(out, seed=seed), markup=False)


@app.command()
def diffusion(
    out: Annotated[Path, typer.Option(help="Folder for table.md, table.json and the figures.", show_default=False)],
    run: Annotated[
        Path | None, typer.Option(help="A finished run in two torsions, whose weighted frames are the data instead.", show_default=False)
    ] = None,
    kT: Annotated[float, typer.Option("--kt", help="Of the bundled surface, kJ/mol; 2.494 is 300 K.", min=1e-6)] = 2.494,
    seed: Seed = 1,
) -> None:
    """What the diffusion model of alanine dipeptide's torsions does: docs/diffusion.md. Two minutes."""
    with errors_as_sentences():
        from benchmarks.diffusion.report import run_diffusion
        from benchmarks.diffusion.target import run_target, surface_target

        target = surface_target(kT) if run is None else run_target(run)
        console.print(run_diffusion(target, out, seed=seed, say=console.print), markup=False)


@app.command()
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
        from benchmarks.surface import bundled_surface
        from benchmarks.surface_report import run_surface

        table = run_surface(bundled_surface(file), out, kT=kT, paths=paths, chains=chains, seed=seed, say=console.print)
        console.print(table, markup=False)


@app.command("brute-force")
def brute_force(
    system: Annotated[str, typer.Argument(help="A system folder or the name of a bundled system.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A new run folder.", show_default=False)],
    temperature: Annotated[float, typer.Option(help="In kelvin; hot enough to cross by itself.")] = 800.0,
    transitions: Annotated[int, typer.Option(help="How many to wait for, both directions counted.", min=1)] = 1000,
    seed: Seed = 1,
) -> None:
    """Unbiased transitions cut from long trajectories: the reference for shooting. 1000 of alanine dipeptide at 800 K take ten minutes."""
    with errors_as_sentences():
        from benchmarks.brute_force import run_brute_force
        from spacetime_tps.problems.system import load_system

        spec = load_system(system, temperature=temperature)
        summary = run_brute_force(spec, out, count=transitions, seed=seed, progress=ConsoleProgress())
        console.print(f"{summary['transitions']} transitions, {summary['by_route']}", markup=False)


@app.command("two-way")
def two_way(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A finished run with unbiased paths.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A new run folder.", show_default=False)],
    moves: Annotated[int, typer.Option(help="Trial moves of the chain.", min=1)] = 60_000,
    every: Annotated[int, typer.Option(help="Moves from one sample to the next.", min=1)] = 30,
    seed: Seed = 1,
) -> None:
    """OpenPathSampling's two-way shooting of a run's molecule: a reference for `truth --against mcmc_two_way`. Needs the `ops` extra.

    60,000 moves of alanine dipeptide take half an hour of one core.
    """
    with errors_as_sentences():
        from benchmarks.two_way import run_two_way

        summary = run_two_way(folder, out, moves=moves, every=every, seed=seed, progress=ConsoleProgress())
        console.print(f"{summary['transitions']} samples, {summary['acceptance']:.2f} of the moves accepted", markup=False)


@app.command()
def denoisers(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Finished runs.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for table.md and table.json.", show_default=False)],
    seed: Seed = 1,
) -> None:
    """Network, mixture and weighted samples at windows that none of them has seen. One to five minutes a run."""
    with errors_as_sentences():
        from benchmarks.denoisers import run_denoisers

        console.print(run_denoisers(folders, out, seed=seed), markup=False)


@app.command()
def ablation(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A finished run.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the paths, table.md and ablation.json.", show_default=False)],
    paths: Annotated[int, typer.Option(help="Each way along each curve.", min=2)] = 50,
    points: Annotated[int, typer.Option(help="Of a curve, as guided.points.", min=2)] = 127,
) -> None:
    """A run's geodesic against rival curves of its class: straight lines, and curves relaxed without one part of what a run minimises."""
    with errors_as_sentences():
        from benchmarks.ablation import run_ablation

        console.print(run_ablation(folder, out, paths=paths, points=points, progress=ConsoleProgress()), markup=False)


@app.command()
def scatter(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN_DIR...", help="Finished runs that differ in their seed.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for scatter.json and table.md.", show_default=False)] = None,
) -> None:
    """The scatter of each published average over seeds, over the error that is stated."""
    with errors_as_sentences():
        from benchmarks.scatter import run_scatter

        console.print(run_scatter(folders, out), markup=False)


@app.command()
def truth(
    reference: Annotated[Path, typer.Argument(help="A run folder of independent transitions, as of brute-force.", show_default=False)],
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders; their paths are pooled.", show_default=False)],
    stage: Annotated[str, typer.Option(help="Of the paths to judge.")] = "unbiased",
    against: Annotated[str, typer.Option(help="Of the reference's.")] = "brute_force",
    out: Annotated[Path | None, typer.Option(help="Folder for truth.json and table.md.", show_default=False)] = None,
    seed: Seed = 1,
) -> None:
    """Weighted paths against a reference: distances and their bootstrap nulls, with and without weights, shares of routes, rates."""
    with errors_as_sentences():
        from benchmarks.truth import run_truth

        console.print(run_truth(reference, folders, stage=stage, against=against, out=out, seed=seed), markup=False)
