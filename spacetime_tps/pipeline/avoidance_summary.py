"""Whether a run kept out of its forbidden regions: its best curve, and every stored frame of the paths along it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spacetime_tps.coordinates.naming import place
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.exploration.forbidden import bind
from spacetime_tps.exploration.regions import Forbidden
from spacetime_tps.paths.transition import Transition
from spacetime_tps.problems.problem import Problem
from spacetime_tps.storage.protocol import Storage

LAG = (
    "The best curve keeps out of the forbidden regions, yet some paths enter: the molecule lags behind the restraint. Slower paths "
    "(guided.points), stronger restraints (geodesic.floor, with more windows.count) or a wider avoidance.margin hold it closer."
)


def avoidance_summary(
    storage: Storage, forbidden: Sequence[Forbidden], problem: Problem, route: dict[str, Any], rows: Sequence[Transition]
) -> dict[str, Any] | None:
    """The part of summary.json on forbidden regions; None where there are none.

    route: the best one's entry in samples/rounds.json; rows: the paths of all methods but baselines, both ways. Every stored frame of every
    path is looked at, whether the path is a hit or not; an unstable path has stored none. "met" is about the curve; "sentence" says what is
    wrong with it or the paths.
    """
    if not forbidden:
        return None
    regions = bind(forbidden, problem, storage.content)
    names, paths = problem.coordinates.names, [storage.frames(row.file)[0] for row in rows if row.file]
    found = []
    for region, near in zip(regions, route["nearness"], strict=True):
        inside = [int(region.contains(path).sum()) for path in paths]
        entering, frames = sum(n > 0 for n in inside), sum(len(path) for path in paths)
        found.append({
            **near, "ranges": {names[k]: (low, high) for k, low, high in region.ranges}, "round": region.round,
            "paths": len(paths), "paths_entering": entering, "fraction_of_paths": entering / len(paths) if paths else None,
            "frames": frames, "frames_inside": sum(inside), "fraction_of_frames": sum(inside) / frames if frames else None,
        })  # fmt: skip
    sentence = cannot_be_met(route, problem.coordinates)
    lag = LAG if sentence is None and any(r["paths_entering"] for r in found) else None
    return {"met": sentence is None, "sentence": sentence or lag, "regions": found}


def cannot_be_met(route: dict[str, Any], coordinates: Coordinates) -> str | None:
    """What is to be said where the best curve does not keep out of a region, for the region that it lacks most to; None where it does."""
    worst = max(route["nearness"], key=lambda near: near["lack_nats"], default=None)
    if worst is None or not worst["lack_nats"]:
        return None
    how = "runs through" if worst["crosses"] else "comes too near"
    nearest = ""
    if worst["center"] is not None:
        center = np.array(worst["center"])
        at = place(coordinates, center / coordinates.scale)
        where = f", nearest at {at}:" if at else ", at its nearest"
        nearest = f"{where} {worst['divergence_nats']:.1f} nats from it and its margin, {worst['floor_nats']:g} are wanted"
    return (
        f"The constraint cannot be met: the best curve found, {route['name']}, {how} the region {worst['region']!r} "
        f"(P_eta of the region up to {worst['p_eta']:.1g}{nearest})."
    )
