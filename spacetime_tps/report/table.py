"""Markdown tables, and the one of several runs."""

from collections.abc import Sequence
from pathlib import Path

from spacetime_tps.report.data import RunData

HEAD = (
    "run",
    "seed",
    "stage",
    "hits",
    "evaluations a path",
    "highest energy",
    "above thermal",
    "above unbiased in A",
    "evaluations in all",
)


def runs_table(folders: Sequence[Path]) -> str:
    """One row a run, stage and route; energies in kJ/mol, mean ± standard error over paths, weighted ones where they have weights; evaluations per
    effective path there. Raises SpacetimeError for an unfinished run."""
    rows = []
    for folder in folders:
        run = RunData.of(folder)
        for stage, route, s in ((stage, route, s) for stage, routes in run.summary["by_route"].items() for route, s in routes.items()):
            energy, above = s["max_energy_kj_mol"], s.get("max_energy_above_thermal_kj_mol")
            embedded = s.get("max_energy_above_embedded_kj_mol")
            rows.append((
                folder.name,
                str(run.settings.seed),
                f"{stage}, {route}",
                f"{s['hits']}/{s['paths']}",
                f"{s['evaluations_per_path']:.0f}",
                f"{energy['value']:.1f} ± {energy['standard_error'] or 0.0:.1f}" if energy["count"] else "–",
                f"{above['value']:.1f} ± {above['standard_error']:.1f}" if above else "–",
                f"{embedded['value']:.1f} ± {embedded['standard_error']:.1f}" if embedded else "–",
                f"{run.summary['evaluations']['total']}",
            ))  # fmt: skip
        if u := run.unbiased:
            energy, above = u["max_energy_kj_mol"], u["max_energy_above_thermal_kj_mol"]
            rows.append((
                folder.name,
                str(run.settings.seed),
                f"unbiased, {u['reactive_fraction']:.2f} reactive",
                f"{u['effective_paths']:.0f} effective of {u['paths']}",
                f"{u['evaluations_per_effective_path']:.0f}",
                f"{energy['value']:.1f} ± {energy['standard_error']:.1f}",
                f"{above['value']:.1f} ± {above['standard_error']:.1f}",
                "",
                f"{run.summary['evaluations']['total']}",
            ))  # fmt: skip
    return markdown(HEAD, rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
