"""What a run amounts to: counts, rates, energies and costs, from the values of its stages."""

import platform as python_platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.route import directions_disagree, disagreement_note
from spacetime_tps.exploration.sampled import PREPARATION, Sampled
from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.protocol import Method
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.avoidance_summary import avoidance_summary
from spacetime_tps.pipeline.work import work_summary
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.sampling.embedded import EmbeddedReference, embedded_highest
from spacetime_tps.sampling.thermal import ThermalReference, thermal_reference
from spacetime_tps.seeds import seed_of
from spacetime_tps.settings import Settings
from spacetime_tps.stages import exploration
from spacetime_tps.stages.protocol import Stage
from spacetime_tps.stages.registry import STAGES
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames, thinned
from spacetime_tps.unbiased.ensemble import Unbiased
from spacetime_tps.unbiased.names import STAGE as UNBIASED

WITHOUT_PATHS = (
    "system", "problem", "temperature_K", "platform", "route", "routes", "curve_length_by_round", "kappa_floor", "thermal_reference",
    "versions",
)  # fmt: skip
"""Entries that rest on no path"""
PACKAGES = ("spacetime_tps", "openmm", "torch", "numpy", "pymbar", "mdtraj", "MDAnalysis")


def summarise(
    name: str, problem: Problem, storage: Storage, settings: Settings, values: Mapping[str, Any], *,
    stages: Sequence[Stage] = STAGES, methods: Sequence[Method] = METHODS,
) -> dict[str, Any]:  # fmt: skip
    """The content of summary.json but for wall seconds, as plain data. values: of the stages (stages.driver.run_stages)."""
    sampled: Sampled = values[exploration.NAME]
    unbiased: Unbiased | None = values.get(UNBIASED)
    paths: dict[str, list[Transition]] = {m.name: values[m.name] for m in methods if values.get(m.name)}
    references = {m.name: references_of(m, sampled, unbiased, problem, settings) for m in methods}
    thermal, embedded = references.get(Guided.name) or next(iter(references.values()))
    routes = sampled.record["routes"]
    own = [m for m in methods if not m.baseline]
    walked = {m.name: paths[m.name] for m in own if m.name in paths}
    forth = {m.name: walked[m.name] for m in own if m.mirror_of is None and m.name in walked}
    evaluations = {PREPARATION: problem.evaluations}
    for stage in stages:
        spent = stage.spent(values.get(stage.name))
        assert not spent.keys() & evaluations.keys(), f"{stage.name} counts under a name that another stage has"
        evaluations |= spent
    return {
        "system": name,
        "problem": problem.fingerprint,
        "temperature_K": problem.model.temperature,
        "platform": problem.model.platform,
        "route": routes[0],
        "routes": routes,
        "curve_length_by_round": sampled.record["length"],
        "kappa_floor": sampled.record["kappa_floor"],
        "thermal_reference": {
            "value": thermal.value,
            "standard_error": thermal.standard_error,
            "std": float(thermal.maxima.std()),
            "count": len(thermal.maxima),
            "frames": thermal.frames,
            "max_energy_kj_mol": [round(float(e), 4) for e in thermal.maxima],
        },
        "embedded_reference": embedded and vars(embedded),
        "failed": failure(routes[0], forth),
        "avoid": avoidance_summary(storage, settings.avoid, problem, routes[0], [row for rows in walked.values() for row in rows]),
        "unbiased": unbiased and unbiased.record,
        "stages": {method: paths_summary(rows, *references[method]) for method, rows in paths.items()},
        "by_route": {
            method: {
                route: paths_summary([r for r in rows if r.route == route], *references[method]) for route in {r.route: 0 for r in rows}
            }
            for method, rows in paths.items()
        },
        "reverse": {m.name: m.mirror_of for m in methods if m.mirror_of is not None and m.name in paths},
        "work": work_summary(problem, sampled, settings, methods, paths),
        "evaluations": {**evaluations, "total": sum(evaluations.values())},
        "baseline_evaluations": {m.name: sum(r.evaluations for r in paths[m.name]) for m in methods if m.baseline and m.name in paths},
        "versions": {**{p: version(p) for p in PACKAGES}, "python": python_platform.python_version()},
    }


def of_exploration(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What summary.json's content says whatever paths were made, with the wall seconds of preparation and exploration alone."""
    seconds = {stage: took for stage, took in summary["wall_seconds"].items() if stage in (PREPARATION, exploration.NAME)}
    return {key: summary[key] for key in WITHOUT_PATHS} | {"wall_seconds": seconds}


def references_of(
    method: Method, sampled: Sampled, unbiased: Unbiased | None, problem: Problem, settings: Settings
) -> tuple[ThermalReference, EmbeddedReference | None]:
    """The thermal and the embedded reference for stretches like the method's paths. Raises as `thermal_reference`."""
    frames, stride = method.frames(settings), method.stride(settings)
    runs = [thinned(run, stride // settings.training.stride) for run in sampled.in_a]
    embedded = (
        embedded_reference(runs, unbiased, problem, frames=frames, seed=settings.seed) if stride == settings.unbiased.stride else None
    )
    return thermal_reference(runs, frames, problem.a, zero=problem.zero), embedded


def embedded_reference(
    runs: Sequence[Frames], unbiased: Unbiased | None, problem: Problem, *, frames: int, seed: int
) -> EmbeddedReference | None:
    """Highest energy, kJ/mol above start.pdb, of unbiased paths embedded in equilibrium of A so that they are `frames` long.

    runs: plain MD that began in A, looked at as often as the paths. None where there are no unbiased paths, or no run stays in A for long
    enough.
    """
    if unbiased is None:
        return None
    rows = unbiased.rows
    try:
        return embedded_highest(
            np.array([r.max_energy_kj_mol for r in rows]), np.array([r.n_frames for r in rows]), np.array([r.weight for r in rows]),
            [run.potential_energy - problem.zero for run in runs], [problem.a.contains(run.positions) for run in runs],
            total=frames, rng=np.random.default_rng(seed_of(seed, "embedded", 0)), cluster=unbiased.walker,
        )  # fmt: skip
    except SpacetimeError:
        return None


def failure(route: Mapping[str, Any], paths: Mapping[str, Sequence[Transition]]) -> str | None:
    """What went wrong with a run and what helps, in one sentence; None where paths connect along a route whose barrier is known.

    paths: from A to B, by method.
    """
    for method, rows in paths.items():
        if rows and not any(r.hit for r in rows):
            return (
                f"None of {len(rows)} {method} paths connects A and B along {route['name']}: the molecule does not follow the "
                "restraint. Slower paths (guided.points) lag less, and a higher noise floor (geodesic.floor, with geodesic.highest_floor) "
                "holds it closer; the files are kept."
            )
    apart = route["forward_backward_kT"]
    return disagreement_note(apart) if apart is not None and directions_disagree(apart) else None


def paths_summary(
    rows: Sequence[Transition], thermal: ThermalReference | None = None, embedded: EmbeddedReference | None = None
) -> dict[str, Any]:
    """Hits and highest energies of paths; every path counts, an unstable one as a miss. Energies are over hits, with their weights where
    they have any, kJ/mol.
    """
    hits = [r for r in rows if r.hit]
    highest = np.array([r.max_energy_kj_mol for r in hits])
    found = _moments(highest, np.array([1.0 if r.weight is None else r.weight for r in hits]))
    summary: dict[str, Any] = {
        "paths": len(rows),
        "hits": len(highest),
        "hit_rate": len(highest) / len(rows),
        "unstable": sum(r.status == "unstable" for r in rows),
        "evaluations_per_path": sum(r.evaluations for r in rows) / len(rows),
        "max_energy_kj_mol": found,
    }
    for name, reference in (("thermal", thermal), ("embedded", embedded)):
        if found["standard_error"] is not None and reference is not None:
            summary[f"max_energy_above_{name}_kj_mol"] = {
                "value": found["value"] - reference.value,
                "standard_error": float(np.hypot(found["standard_error"], reference.standard_error)),
            }
    return summary


def _moments(x: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    """Of values (n,) with weights: as many are independent as Kish's number says."""
    if not len(x):
        return {"value": None, "standard_error": None, "std": None, "count": 0}
    middle, number = np.average(x, weights=weight), effective_number(weight)
    spread = np.average((x - middle) ** 2, weights=weight) ** 0.5
    error = float(spread / np.sqrt(number - 1.0)) if number > 1.0 else None
    return {"value": float(middle), "standard_error": error, "std": float(spread), "count": len(x)}
