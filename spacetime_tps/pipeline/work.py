"""The part of summary.json on work: of every method whose curves were walked both ways, route by route."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.methods.driving import begun_under
from spacetime_tps.methods.protocol import Method
from spacetime_tps.paths.transition import Transition
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.crooks import FEWEST_FRAMES, LEAST, Drive, dissipated_work, free_energy_difference, mean
from spacetime_tps.settings import Settings
from spacetime_tps.stages.paths import Paths
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

MORE = "more paths, or more points for each (guided.points), help"


def work_summary(
    problem: Problem, sampled: Sampled, settings: Settings, methods: Sequence[Method], paths: Mapping[str, Sequence[Transition]]
) -> dict[str, dict[str, Any]]:
    """For each method and route that was walked both ways, what `work_of_route` says. paths: rows by method."""
    by_name = {method.name: method for method in methods}
    found: dict[str, dict[str, Any]] = {}
    for back in methods:
        if back.mirror_of is None or not (back.name in paths and back.mirror_of in paths):
            continue
        for curve in Paths(by_name[back.mirror_of]).curves(problem, sampled, settings):
            rows = [[r for r in paths[name] if r.route == curve.route] for name in (back.mirror_of, back.name)]
            if all(rows):
                found.setdefault(back.mirror_of, {})[curve.route] = work_of_route(problem, sampled, curve, *rows)
    return found


def work_of_route(
    problem: Problem, sampled: Sampled, curve: Curve, forward: Sequence[Transition], reverse: Sequence[Transition]
) -> dict[str, Any]:
    """Works, dissipated work and F_B - F_A (sampling.crooks) of one curve, kT, as plain data; None, and a sentence in "note", where there
    is no telling. Unstable paths are left out.

    "crossing_kT": where the densities of W_F and -W_R cross; "overlap": of the two, 2 * integral of p q / (p + q), one for equal ones.
    """
    rows = [[r for r in way if r.work_kT is not None] for way in (forward, reverse)]
    content: dict[str, Any] = dict.fromkeys(
        ("forward_kT", "reverse_kT", "dissipated_kT", "crossing_kT", "free_energy_difference_kT", "overlap", "note")
    )
    if min(len(way) for way in rows) < 2:
        return {**content, "note": "Fewer than two paths one way have their work."}
    works = [np.array([r.work_kT for r in way]) for way in rows]
    for key, x in zip(("forward_kT", "reverse_kT"), works, strict=True):
        content[key] = dict(zip(("value", "standard_error"), mean(x), strict=True))
    content["dissipated_kT"] = _estimate(*dissipated_work(*works))
    for way, where in zip(rows, ("from A to B", "back from B to A"), strict=True):
        if not any(r.hit for r in way):
            return {**content, "note": f"None of {len(way)} paths {where} connects: there is no free-energy difference."}
    ends = zip(rows, works, begun_under(curve), (problem.a, problem.b), (sampled.in_a, sampled.in_b), strict=True)
    drives = [_drive(problem, way, x, eta, state, runs) for way, x, eta, state, runs in ends]
    for drive, name in zip(drives, "AB", strict=True):
        if not sum(map(len, drive.plain)):
            return {**content, "note": f"Plain MD has no frame in {name}: there is no free-energy difference."}
    found = free_energy_difference(*drives)
    content["overlap"] = found.paths.overlap
    if found.paths.shared < LEAST:
        note = f"Works of {len(rows[0])} paths from A to B and {len(rows[1])} back hardly overlap: BAR cannot be trusted with them; {MORE}."
        return {**content, "note": note}
    content["crossing_kT"] = found.paths.value
    for end, name in ((found.in_a, "A"), (found.in_b, "B")):
        if end.frames < FEWEST_FRAMES:
            return {**content, "note": f"Plain MD in {name} hardly meets where the paths start: there is no free-energy difference."}
    return {**content, "free_energy_difference_kT": _estimate(found.value, found.error)}


def _drive(problem: Problem, rows: Sequence[Transition], work: np.ndarray, eta: np.ndarray, state: State, runs: Sequence[Frames]) -> Drive:
    inside = [run.positions[state.contains(run.positions)] for run in runs]
    return Drive(work, np.array([bool(r.hit) for r in rows]), [problem.coordinates.features(x) @ eta for x in inside])


def _estimate(value: float, error: float) -> dict[str, float]:
    return {"value": value, "standard_error": error}
