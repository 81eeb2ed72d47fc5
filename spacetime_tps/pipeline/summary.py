"""summary.json: counts, rates, energies and costs of a run, from its files alone."""

import platform as python_platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.files import write_json
from spacetime_tps.pipeline.artifacts import read_rounds, read_unbiased
from spacetime_tps.pipeline.entries import avoidance_summary
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.regions import Forbidden
from spacetime_tps.pipeline.routes import DISAGREEMENT
from spacetime_tps.pipeline.stages import Stages
from spacetime_tps.pipeline.transitions import Transition, read_transitions

PACKAGES = ("spacetime_tps", "openmm", "torch", "numpy", "pymbar", "mdtraj", "MDAnalysis")


def summarise(folder: Path, name: str, prepared: Prepared, stages: Stages, *, avoid: Sequence[Forbidden] = ()) -> dict[str, Any]:
    """Compute and write summary.json; returns it."""
    rounds = read_rounds(folder)
    rows = read_transitions(folder)
    thermal = np.array(rounds["thermal_max_energy_kj_mol"])
    guided = [r for r in rows if r.stage == "guided"]
    unbiased = read_unbiased(folder)
    evaluations = {
        "preparation": prepared.evaluations,
        "training_md": rounds["evaluations"]["training_md"],
        "windows": rounds["evaluations"]["windows"],
        "geodesic": rounds["evaluations"]["geodesic"],
        "guided": sum(r.evaluations for r in guided),
        "region": 0,
        "unbiased": 0,
        **(unbiased["evaluations"] if unbiased else {}),
    }
    steered = [r for r in rows if r.stage == "steered"]
    summary = {
        "system": name,
        "temperature_K": prepared.model.temperature,
        "platform": prepared.model.platform,
        "route": rounds["routes"][0],
        "routes": rounds["routes"],
        "curve_length_by_round": rounds["length"],
        "kappa_floor": rounds["kappa_floor"],
        "thermal_reference": _moments(thermal),
        "failed": failure(rounds["routes"][0], guided),
        "avoid": avoidance_summary(folder, avoid, prepared, rounds["routes"][0], guided),
        "unbiased": unbiased,
        "stages": {label: paths_summary(paths, thermal) for label, paths in (("guided", guided), ("steered", steered)) if paths},
        "guided_by_route": {
            route: paths_summary([r for r in guided if r.route == route], thermal) for route in {r.route: 0 for r in guided}
        },
        "evaluations": {**evaluations, "total": sum(evaluations.values())},
        "baseline_evaluations": {"steered": sum(r.evaluations for r in steered)},
        "wall_seconds": stages.wall_seconds(),
        "versions": {**{p: version(p) for p in PACKAGES}, "python": python_platform.python_version()},
    }
    write_json(folder / "summary.json", summary)
    return summary


def failure(route: dict[str, Any], guided: Sequence[Transition]) -> str | None:
    """What went wrong with a run and what helps, in one sentence; None where paths connect along a route whose barrier is known."""
    if guided and not any(r.hit for r in guided):
        return (
            f"None of {len(guided)} guided paths connects A and B along {route['name']}: the molecule does not follow the restraint. "
            "A higher noise floor holds it closer (geodesic.floor, with geodesic.highest_floor); the files are kept."
        )
    apart = route["forward_backward_kT"]
    if apart is not None and apart > DISAGREEMENT:
        return (
            f"Windows walked from A and from B still differ by {apart:.1f} kT on the best route, so that its barrier is not known: "
            "a higher noise floor (geodesic.floor) tells basins apart, and more rounds (rounds.max_rounds) let it rise."
        )
    return None


def paths_summary(rows: Sequence[Transition], thermal: np.ndarray) -> dict[str, Any]:
    """Hits and highest energies of a stage's paths; every path counts, an unstable one as a miss. Energies are over hits, kJ/mol."""
    highest = np.array([r.max_energy_kj_mol for r in rows if r.hit])
    summary: dict[str, Any] = {
        "paths": len(rows),
        "hits": len(highest),
        "hit_rate": len(highest) / len(rows),
        "unstable": sum(r.status == "unstable" for r in rows),
        "evaluations_per_path": sum(r.evaluations for r in rows) / len(rows),
        "max_energy_kj_mol": _moments(highest),
    }
    if len(highest) > 1 and len(thermal) > 1:
        error = np.sqrt(highest.var(ddof=1) / len(highest) + thermal.var(ddof=1) / len(thermal))
        summary["max_energy_above_thermal_kj_mol"] = {"mean": float(highest.mean() - thermal.mean()), "standard_error": float(error)}
    return summary


def _moments(x: np.ndarray) -> dict[str, Any]:
    return {"mean": float(x.mean()) if len(x) else None, "std": float(x.std()) if len(x) else None, "count": len(x)}
