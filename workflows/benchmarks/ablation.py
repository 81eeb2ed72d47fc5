"""What the geometry is worth: the geodesic of a finished run against rival curves of its own class, walked both ways at equal cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.penalties import PENALTIES, PenaltyInputs
from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.files import write_json, write_text
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.geodesic import Geodesic, evaluate, minimise
from spacetime_tps.geometry.penalties import Penalty
from spacetime_tps.geometry.relax import relax
from spacetime_tps.methods.pulled import Pulled
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.summary import paths_summary, references_of
from spacetime_tps.pipeline.work import work_of_route
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.problem import Problem
from spacetime_tps.progress import Progress
from spacetime_tps.report.table import markdown
from spacetime_tps.sampling.thermal import ThermalReference
from spacetime_tps.settings import settings_of
from spacetime_tps.stages.paths import Paths
from spacetime_tps.stages.protocol import Given
from spacetime_tps.storage.folder import Folder

GEODESIC, UNIFORM, STRAIGHT = "geodesic", "straight_uniform", "straight_constant_speed"
SAMPLES, NO_BARRIER, BARRIER_ALONE = "geodesic_of_samples", "no_barrier_penalty", "barrier_penalty_alone"


@dataclass(frozen=True)
class Rivals(Pulled):
    """The curves to compare, as a method of paths."""

    curves: tuple[Curve, ...]

    name = "rival"
    baseline = False

    def asked(self, settings: MethodSettings) -> int:
        return settings.guided.paths

    def most_curves(self, routes: int) -> int:
        return len(self.curves)

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return list(self.curves)


def rivals(best: Curve, samples: WeightedSamples, family: Family, settings: GeodesicSettings, floor: float) -> dict[str, Geodesic]:
    """The best curve of a run and its rivals, all with its ends and described by its samples.

    The straight lines are of its class and have its noise levels; they go in equal steps of the center, or at constant Fisher-Rao speed.
    The others are relaxed from it under the weighted samples: by what a run minimises, by that without the barrier penalty, and by the
    penalties without the curve's energy. Up to which steepness samples can follow is the setting's, where a run also allows the straight
    line's own. One that leaves the class is left out.
    """
    start = torch.from_numpy(best.eta)
    straight = lines.straightened(start, family)
    unit = lines.straight_energy(start, samples, family)

    def described(eta: Tensor) -> Geodesic:
        return evaluate(eta, samples, family=family, points=len(eta))

    def penalties(barrier: float) -> list[Penalty]:
        inputs = PenaltyInputs(family, settings.model_copy(update={"barrier_weight": barrier}), unit, floor, settings.steepest)
        return [make(inputs) for make in PENALTIES]

    def under(barrier: float) -> Geodesic:
        return minimise(
            start, samples, penalties(barrier), family=family, nodes=settings.nodes, points=len(start), evaluations=settings.evaluations
        )

    def without_energy(z: Tensor) -> Tensor:
        eta = family.from_chart(z)
        moments = samples.moments(eta)
        return torch.stack([penalty(eta, moments) for penalty in penalties(settings.barrier_weight)]).sum()

    alone = relax(family.chart(start), without_energy, nodes=settings.nodes, points=len(start), evaluations=settings.evaluations)
    even = described(straight)
    found = {
        GEODESIC: described(start), SAMPLES: under(settings.barrier_weight), NO_BARRIER: under(0.0),
        BARRIER_ALONE: described(family.from_chart(alone.curve)), STRAIGHT: even, UNIFORM: replace(even, eta=straight),
    }  # fmt: skip
    kind = lines.class_of(best.eta, family)
    return {name: curve for name, curve in found.items() if lines.class_of(curve.eta.numpy(), family) == kind}


def run_ablation(run: Path, out: Path, *, paths: int, points: int, progress: Progress) -> str:
    """Paths along every rival, both ways, in the folder `out`; table.md's content. Raises SpacetimeError where there is no run."""
    config = run / "config.yaml"
    if not config.exists() or not (run / "geodesic.npz").exists():
        raise SpacetimeError(f"{run} holds no finished run")
    given = settings_of(run)
    settings = given.model_copy(update={"guided": given.guided.model_copy(update={"paths": paths, "points": points}), "reverse": paths})
    problem = preparation.load(run)
    family = problem.coordinates.family()
    with Simulation(problem.model, storage=Folder(run)) as simulation:
        sampled = Sampled.load(simulation)
    best = sampled.curves[0]
    samples = WeightedSamples(torch.from_numpy(best.features), torch.from_numpy(best.log_weight))
    found = rivals(best, samples, family, settings.geodesic, sampled.record["kappa_floor"])
    curves = tuple(replace(best, route=name, eta=curve.eta.numpy()) for name, curve in found.items())
    method = Rivals(curves)
    out.mkdir(parents=True, exist_ok=True)
    with Simulation(problem.model, processes=settings.workers or None, storage=Folder(out), progress=progress) as simulation:
        stage = Given(problem, simulation, settings, {"exploration": sampled})
        forth, back = (Paths(m).run(stage) for m in (method, Reverse(method)))
        thermal, _ = references_of(method, sampled, None, problem, settings)
        rows = []
        for curve in curves:
            ways = ([r for r in way if r.route == curve.route] for way in (forth, back))
            rows.append(row_of(simulation, problem, sampled, curve, found[curve.route], thermal, *ways))
    content = {
        "system": str(run), "seed": settings.seed, "paths": paths, "points": points, "rows": rows,
        "windows_free_energy_kT": windows_difference(best, problem),
        "evaluations_on_curves": {key: sampled.record["evaluations"][key] for key in ("training_md", "windows")},
    }  # fmt: skip
    write_json(out / "ablation.json", content)
    table = told(content)
    write_text(out / "table.md", table)
    return table


def row_of(
    simulation: Simulation, problem: Problem, sampled: Sampled, curve: Curve, described: Geodesic, thermal: ThermalReference,
    forth: Sequence[Transition], back: Sequence[Transition],
) -> dict[str, Any]:  # fmt: skip
    """A curve's row: what it is under the samples, and what paths along it did."""
    summary = paths_summary(forth, thermal)
    work = work_of_route(problem, sampled, curve, forth, back)
    return {
        "curve": curve.route, "length": described.length, "energy": described.energy, "barrier_kT": described.barrier,
        "hits": [sum(r.hit for r in way) for way in (forth, back)], "paths": [len(forth), len(back)],
        "evaluations_per_path": summary["evaluations_per_path"],
        "above_thermal_kj_mol": summary.get("max_energy_above_thermal_kj_mol"),
        **{key: work[key] for key in ("dissipated_kT", "free_energy_difference_kT", "overlap", "note")},
    }  # fmt: skip


def windows_difference(curve: Curve, problem: Problem) -> float:
    """F_B - F_A, kT, of the frames' own weights: what the windows say by MBAR."""
    weight = np.exp(curve.log_weight)
    in_a, in_b = (weight[state.contains(curve.positions)].sum() for state in (problem.a, problem.b))
    return float(np.log(in_a / in_b))


def told(content: dict[str, Any]) -> str:
    """A Markdown table; ± are standard errors over paths."""
    head = ["run", "seed", "curve", "length", "energy", "barrier, kT", "hits", "highest energy above thermal, kJ/mol", "W_F + W_R, kT",
            "F(B) - F(A) by BAR, kT", "of the windows"]  # fmt: skip
    rows = [
        (
            content["system"], str(content["seed"]), row["curve"],
            f"{row['length']:.1f}", f"{row['energy']:.0f}", f"{row['barrier_kT']:.1f}",
            f"{sum(row['hits'])}/{sum(row['paths'])}", _pm(row["above_thermal_kj_mol"]),
            _pm(row["dissipated_kT"]), _pm(row["free_energy_difference_kT"]), f"{content['windows_free_energy_kT']:.1f}",
        )
        for row in content["rows"]
    ]  # fmt: skip
    return markdown(head, rows)


def _pm(entry: dict[str, float] | None) -> str:
    return "–" if entry is None else f"{entry['value']:.1f} ± {entry['standard_error']:.1f}"
