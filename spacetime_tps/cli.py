"""The command line: parses, calls the pipeline, and turns its errors into one sentence."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import spacetime_tps
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.terminal import ConsoleProgress, console, errors_as_sentences

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"spacetime-tps {spacetime_tps.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """All-atom transition paths between two structures of a molecule, along geodesics in the spacetime of a diffusion model."""


@app.command()
def run(
    system: Annotated[
        str | None, typer.Argument(help="A system folder or the name of a bundled system.", metavar="FOLDER|NAME", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; a second call on it does only what is missing.", show_default=False)
    ] = None,
    guided: Annotated[int | None, typer.Option(help="Guided paths.  [default: 100]", show_default=False)] = None,
    unbiased: Annotated[
        int | None, typer.Option(help="Unbiased transitions, shot from the top: the effective number.  [default: 0]", show_default=False)
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Evaluations for them, at most.  [default: 10 million]", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Random numbers of sampling follow from it.  [default: 1]", show_default=False)] = None,
    routes: Annotated[int | None, typer.Option(help="Sample the best K routes.  [default: 1]", metavar="K", show_default=False)] = None,
    steered: Annotated[int | None, typer.Option(help="Also steered MD, on straight lines: so many on each.", show_default=False)] = None,
    reverse: Annotated[
        int | None,
        typer.Option(help="Also paths back from B to A, along each curve: work, free-energy difference.", show_default=False),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep out of a region: ranges 'phi=-20:20 d=0.4:0.5', degrees and nm; 'rmsd(boat.pdb)<0.05', nm; or a point with a "
            "precision, 'phi=0 psi=0 kappa=50' or 'near(boat.pdb) kappa=50'; may be repeated.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="State A: PDB or mmCIF, or positions of a prepared system (rst7, gro, crd).", show_default=False),
    ] = None,
    end: Annotated[Path | None, typer.Option(help="State B of the same molecule.", show_default=False)] = None,
    forcefield: Annotated[list[str] | None, typer.Option(help="OpenMM force-field file; may be repeated.", show_default=False)] = None,
    solvent: Annotated[
        str | None, typer.Option(help="Explicit water about the two files: tip3p or tip4pew.  [default: none]", show_default=False)
    ] = None,
    prepared: Annotated[
        Path | None,
        typer.Option(
            "--system",
            help="A prepared system instead of a force field: Amber prmtop, GROMACS top, CHARMM psf, OpenMM System XML.",
            show_default=False,
        ),
    ] = None,
    parameters: Annotated[
        list[Path] | None,
        typer.Option(help="CHARMM parameter file (may be repeated), or the folder of a GROMACS force field.", show_default=False),
    ] = None,
    coordinates: Annotated[
        list[str] | None,
        typer.Option(
            help="What the transition is described by: auto, or torsions, positions, distances, each with a selection of atoms or "
            "without, as 'positions: name CA'; may be repeated.  [default: the system's, or auto]",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="In kelvin.  [default: the system's, or 300]", show_default=False)] = None,
    explore: Annotated[bool, typer.Option("--explore", help="Stop before any path is made: shards make them.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Make only the I-th of N shares of the guided, reverse and steered paths of an explored run: run DIR --shard I/N, each in "
            "a job of its own; `gather` takes them.",
            metavar="I/N",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, as key=value; may be repeated.", show_default=False)] = None,
) -> None:
    """Find transition paths: prepare, sample windows, optimise geodesics, walk them, report.

    Example: spacetime-tps run alanine_dipeptide --out runs/ala --guided 100 --seed 1
    """
    with errors_as_sentences():
        from spacetime_tps.exploration.regions import parse_regions
        from spacetime_tps.pipeline import run as pipeline
        from spacetime_tps.pipeline.shards import make_shard
        from spacetime_tps.problems.system import load_system, two_structures
        from spacetime_tps.settings import parse_settings
        from spacetime_tps.stages.share import Share

        given = {
            "guided.paths": guided,
            "steered.paths": steered,
            "reverse": reverse,
            "seed": seed,
            "rounds.routes": routes,
            "unbiased.paths": unbiased,
            "unbiased.budget": budget,
        }
        words = [*(f"{key}={value}" for key, value in given.items() if value is not None), *(set_ or [])]
        if shard is not None:
            share = Share.parse(shard)
            if out or start or end or forcefield or solvent or prepared or parameters or coordinates or temperature or avoid or explore:
                raise SpacetimeError(
                    f"a shard is of a run that is explored, and takes what it is about from there: run DIR --shard {share}"
                )
            if system is None:
                raise SpacetimeError(f"say which run the shard is of: run DIR --shard {share}")
            made = make_shard(Path(system), share, words, ConsoleProgress())
            console.print(f"shard {share}: {len(made.rows())} paths in {made.folder}; when all are there: spacetime-tps gather {system}")
            return
        if out is None:
            raise SpacetimeError("say where the run goes: --out DIR")
        if system is not None and (start or end or forcefield or solvent or prepared or parameters):
            raise SpacetimeError("give either a system, or --start and --end with --forcefield (and --solvent) or --system, not both")
        if system is not None:
            spec = load_system(system, temperature=temperature, coordinates=coordinates or ())
        elif start and end and (forcefield or prepared):
            spec = two_structures(
                start,
                end,
                forcefield=forcefield or (),
                solvent=solvent,
                system=prepared,
                parameters=parameters or (),
                temperature=temperature,
                coordinates=coordinates or (),
            )
        else:
            raise SpacetimeError("give a system, or --start a.pdb --end b.pdb --forcefield amber99sbildn.xml, or --system molecule.prmtop")
        settings = parse_settings(words, avoid=parse_regions(avoid or []))
        if explore:
            found = pipeline.explore(spec, out, settings, ConsoleProgress())
            console.print(f"explored, best route {found[0]['name']}; paths: spacetime-tps run {out} --shard 1/N, up to N/N", markup=False)
            return
        summary = pipeline.run(spec, out, settings, ConsoleProgress())
        _print_summary(summary)
        console.print(f"report: {out / 'report.html'}")
        if summary["failed"]:
            raise typer.Exit(1)


@app.command()
def gather(folder: RunFolder) -> None:
    """Put the shards of a run together, and write its summary and report: the folder is the same as that of a run without shards.

    Example: spacetime-tps gather runs/ala
    """
    with errors_as_sentences():
        from spacetime_tps.pipeline.gather import gather as pipeline_gather

        summary = pipeline_gather(folder, ConsoleProgress())
        _print_summary(summary)
        console.print(f"report: {folder / 'report.html'}")
        if summary["failed"]:
            raise typer.Exit(1)


@app.command()
def shoot(
    folder: RunFolder,
    unbiased: Annotated[int, typer.Option(help="How many transitions, effectively.", min=1, show_default=False)],
    budget: Annotated[
        int | None,
        typer.Option(help="Evaluations of all shots, at most.  [default: the run's]", min=1, show_default=False),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting of `unbiased`, as key=value.", show_default=False)] = None,
) -> None:
    """Unbiased transitions of a finished run, shot from the top of its routes, with their statistical weights.

    A second call goes on where the first stopped. Example: spacetime-tps shoot runs/ala --unbiased 1000
    """
    with errors_as_sentences():
        from spacetime_tps.pipeline.run import shoot as pipeline_shoot

        words = [f"unbiased.paths={unbiased}", *([f"unbiased.budget={budget}"] if budget else []), *(set_ or [])]
        _print_summary(pipeline_shoot(folder, words, ConsoleProgress()))
        console.print(f"report: {folder / 'report.html'}")


@app.command()
def report(folder: RunFolder) -> None:
    """Write report.html and its pictures anew from the files of a run."""
    with errors_as_sentences():
        from spacetime_tps.report.page import write_report

        write_report(folder)
        console.print(f"report: {folder / 'report.html'}")


@app.command()
def export(
    folder: RunFolder,
    format_: Annotated[str, typer.Option("--format", help="xtc, dcd, pdb, plumed or ops.")] = "xtc",
    out: Annotated[Path | None, typer.Option(help="Folder for the files.  [default: DIR/export]", show_default=False)] = None,
    one_file: Annotated[bool, typer.Option("--one-file", help="All paths in one trajectory, their weights in paths.csv.")] = False,
) -> None:
    """Hand a run over: paths as XTC, DCD or PDB (TRR, with velocities, is in DIR/transitions), plumed.dat, OpenPathSampling's storage."""
    with errors_as_sentences():
        from spacetime_tps.handover.export import export as export_paths

        files = export_paths(folder, format_, out, one_file=one_file)
        console.print(f"{len(files)} files in {files[0].parent}")


@app.command()
def throughput(
    folder: RunFolder,
    pairs: Annotated[int, typer.Option(help="Guided paths to time.", min=1)] = 20,
) -> None:
    """Time guided paths against bare OpenMM steps of the same system, side by side."""
    with errors_as_sentences():
        from spacetime_tps.pipeline.throughput import measure

        with tempfile.TemporaryDirectory() as scratch:
            timed = measure(folder, Path(scratch), pairs=pairs)
        console.print(
            f"guided {timed.guided.mean():.0f} steps/s, bare {timed.raw.mean():.0f} steps/s, "
            f"ratio {timed.ratio:.2f} (median of {pairs} pairs)"
        )


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders, as of several seeds.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the table as Markdown; with --methods a folder.  [default: DIR/compare]", show_default=False),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Compare one run with other methods, by commas: guided, unbiased, steered, mcmc-one-way, mcmc-two-way, mcmc-fixed, "
            "mcmc-fixed-two-way; chains that begin from a hot path end in -hot.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Evaluations of each of them.  [default: 1 million]", min=1000, show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of chains.  [default: the run's]", show_default=False)] = None,
) -> None:
    """Tabulate runs, stage by stage; or, with --methods, a run against other ways to sample the same transitions.

    Methods that are missing are run; a second call with the same --out makes only what is missing. Chains need the `ops` extra.
    Example: spacetime-tps compare runs/ala --methods guided,unbiased,steered,mcmc-one-way --budget 1000000 --out runs/rivals
    """
    with errors_as_sentences():
        if methods is not None:
            _compare_methods(folders, methods, out, budget, seed)
            return
        if budget is not None or seed is not None:
            raise SpacetimeError("--budget and --seed are of --methods: say which methods to compare the run with")
        from spacetime_tps.report.table import runs_table

        table = runs_table(folders)
        if out is not None:
            out.write_text(table)
        console.print(table, markup=False)


def _compare_methods(folders: list[Path], methods: str, out: Path | None, budget: int | None, seed: int | None) -> None:
    from spacetime_tps.pipeline.compare import BUDGET
    from spacetime_tps.pipeline.compare import compare as compare_methods
    from spacetime_tps.report.comparison import page
    from spacetime_tps.report.comparison_file import SECTION

    if len(folders) != 1:
        raise SpacetimeError("--methods compares one run with other methods: give one DIR")
    out = folders[0] / SECTION if out is None else out
    names = [name.strip() for name in methods.split(",") if name.strip()]
    content = compare_methods(folders[0], names, out, budget=budget or BUDGET, seed=seed, progress=ConsoleProgress())
    console.print(page(content), markup=False)
    console.print(f"comparison: {out / 'compare.md'}, {out / 'compare.png'}")


def _print_summary(summary: dict) -> None:  # type: ignore[type-arg]
    if summary["failed"]:
        console.print(summary["failed"], markup=False)
    for stage, route, s in ((stage, route, s) for stage, routes in summary["by_route"].items() for route, s in routes.items()):
        line = f"{stage}, {route}: {s['hits']} of {s['paths']} paths connect, {s['evaluations_per_path']:.0f} evaluations each"
        references = {"thermal": "an equally long run in A", "embedded": "unbiased paths embedded in one"}
        above = {text: s[f"max_energy_above_{key}_kj_mol"] for key, text in references.items() if f"max_energy_above_{key}_kj_mol" in s}
        if above:
            told = " and ".join(f"{x['value']:.1f} ± {x['standard_error']:.1f} kJ/mol above {text}" for text, x in above.items())
            line += f", highest energy {told}"
        console.print(line, markup=False)
    for method, route, work in ((method, route, work) for method, routes in summary["work"].items() for route, work in routes.items()):
        console.print(_work_line(f"{method} both ways, {route}", work), markup=False)
    if summary["unbiased"]:
        u = summary["unbiased"]
        energy = u["max_energy_above_thermal_kj_mol"]
        console.print(
            f"unbiased: {u['effective_paths']:.0f} effective paths of {u['paths']}, {u['reactive_fraction']:.2f} of {u['shots']} shots "
            f"reactive, {u['evaluations_per_effective_path']:.0f} evaluations per effective path, highest energy {energy['value']:.1f} ± "
            f"{energy['standard_error']:.1f} kJ/mol above equally long runs in A; stopped because {u['stopped_because']}",
            markup=False,
        )
        for reason in u.get("not_an_ensemble_because", ()):
            console.print(f"these paths are not an ensemble yet: {reason}", markup=False)
    avoid = summary["avoid"]
    for r in avoid["regions"] if avoid else []:
        paths, frames = f"{r['paths_entering']} of {r['paths']} paths", f"{r['frames_inside']} of {r['frames']} frames"
        console.print(f"region {r['region']!r}: {paths} enter it, {frames} lie in it", markup=False)
    if avoid and avoid["sentence"]:
        console.print(avoid["sentence"], markup=False)
    console.print(f"evaluations in all: {summary['evaluations']['total']}")


def _work_line(what: str, work: dict) -> str:  # type: ignore[type-arg]
    line, spent, free = what, work["dissipated_kT"], work["free_energy_difference_kT"]
    if spent:
        line += f": dissipated work {spent['value']:.1f} ± {spent['standard_error']:.1f} kT"
    if free:
        line += f", F(B) - F(A) = {free['value']:.1f} ± {free['standard_error']:.1f} kT by BAR (overlap {work['overlap']:.2g})"
    return line if work["note"] is None else f"{line}. {work['note']}"


if __name__ == "__main__":
    app()
