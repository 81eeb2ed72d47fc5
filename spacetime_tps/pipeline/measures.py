"""What a comparison says of one method: the same figures for each, from the files of its folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spacetime_tps.exploration.sampled import set_up
from spacetime_tps.paths.transition import SUMMARY, Transition, durations, read_transitions
from spacetime_tps.pipeline.contenders import Source
from spacetime_tps.problems.problem import Problem
from spacetime_tps.rivals.chains import MOVES
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.sampling.crooks import dissipated_work
from spacetime_tps.sampling.free_energy import statistical_inefficiency
from spacetime_tps.sampling.thermal import matched_reference
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, thinned
from spacetime_tps.unbiased.names import STAGE as UNBIASED

SOME = 1e-6
"""A share from which a channel counts as visited, and not the only one"""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Yardstick:
    """What paths of every method are held to."""

    problem: Problem
    in_a: Sequence[Frames]
    """Plain MD that began in A"""
    stride: int
    """Steps between its frames"""
    label: Callable[[np.ndarray], str]
    """The channel of a path (F, atoms, 3)"""


def measured(source: Source, yardstick: Yardstick) -> dict[str, Any]:
    """The entry of compare.json, as plain data; energies in kJ/mol, means with standard errors.

    "effective": the least of "effective_by": of pulled paths the valid ones; of weighted ones see `weighted_number`, of chains
    `decorrelated`.
    """
    storage = Folder(source.folder)
    rows = [r for r in read_transitions(storage) if r.stage == source.stage and source.route in (None, r.route)]
    summary = storage.record(SUMMARY)
    paths = [(row, storage.frames(row.file)[0]) for row in rows if row.file]
    good = [(row, x) for row, x in paths if _valid(row, x, yardstick.problem)]
    labels = [yardstick.label(x) for _, x in good]
    valid = [row for row, _ in good]
    weight = np.array([1.0 if r.weight is None else r.weight for r in valid])
    numbers, told = _effective(source, summary, storage, weight, labels)
    effective = min(numbers.values())
    own = sum(r.evaluations for r in rows)
    if source.stage == UNBIASED:
        own = sum(summary["unbiased"]["evaluations"].values())
    elif source.set_up is None:
        own = int(summary["baseline_evaluations"][source.stage])
    parts = [key for key in summary["evaluations"] if key != "total"] if source.set_up is None else source.set_up
    before = sum(set_up(summary["evaluations"], parts).values())
    back = [r for r in read_transitions(storage) if r.stage == source.back and source.route in (None, r.route)]
    spent = {"set_up": before, "sampling": own, "back": sum(r.evaluations for r in back)}
    each = own / effective if effective else None
    return {
        "unbiased": source.unbiased, "fixed_length": source.fixed,
        "folder": str(source.folder), "stage": source.stage, "route": source.route,
        "paths": len(rows), "valid": len(valid), "effective": effective, "effective_by": numbers,
        **_averages(valid, weight, effective, source, yardstick),
        "dissipated_work_kT": _dissipated(rows, back),
        "evaluations": {**spent, "total": sum(spent.values())},
        "evaluations_per_effective_path": each,
        "evaluations_per_effective_path_with_set_up": (before + own) / effective if effective else None,
        "channels": {name: float(weight[[x == name for x in labels]].sum() / weight.sum()) for name in sorted(set(labels))},
        "wall_seconds": summary["wall_seconds"].get(source.stage),
        **told,
    }  # fmt: skip


def _valid(row: Transition, positions: np.ndarray, problem: Problem) -> bool:
    """A hit, by its frames as stored too."""
    return bool(row.hit) and problem.connects(positions)


def _averages(
    rows: Sequence[Transition], weight: np.ndarray, effective: float, source: Source, yardstick: Yardstick
) -> dict[str, dict[str, float] | None]:
    """Highest energy, the same above thermal, and length."""
    keys = ("max_energy_kj_mol", "max_energy_above_thermal_kj_mol", "length_ps", "length_quantiles_ps")
    if not rows:
        return dict.fromkeys(keys)
    problem = yardstick.problem
    frames = np.array([r.n_frames for r in rows])
    runs = [thinned(run, source.stride // yardstick.stride) for run in yardstick.in_a]
    thermal, error = matched_reference(runs, frames, weight, problem.a, zero=problem.zero)
    highest = _mean(np.array([r.max_energy_kj_mol for r in rows]), weight, effective)
    above = {
        **highest,
        "value": highest["value"] - thermal,
        "standard_error": float(np.hypot(highest["standard_error"], error)),
    }
    length = durations(frames, stride=source.stride, timestep=problem.model.timestep)
    return dict(zip(keys, (highest, above, _mean(length, weight, effective), _quantiles(length, weight)), strict=True))


def _quantiles(x: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    order = np.argsort(x)
    share = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(share, QUANTILES), len(x) - 1)
    return {f"{q:g}": float(value) for q, value in zip(QUANTILES, x[order][at], strict=True)}


def _mean(x: np.ndarray, weight: np.ndarray, effective: float) -> dict[str, float]:
    """Of values (n,) that are worth `effective` independent ones."""
    middle = float(weight @ x / weight.sum())
    spread = float(np.sqrt(weight @ (x - middle) ** 2 / weight.sum()))
    return {"value": middle, "standard_error": spread / max(effective - 1.0, 1.0) ** 0.5, "std": spread}


def _dissipated(rows: Sequence[Transition], back: Sequence[Transition]) -> dict[str, float] | None:
    works = [np.array([r.work_kT for r in way if r.work_kT is not None]) for way in (rows, back)]
    if min(len(way) for way in works) < 2:
        return None
    return dict(zip(("value", "standard_error"), dissipated_work(*works), strict=True))


def _effective(
    source: Source, summary: dict[str, Any], storage: Folder, weight: np.ndarray, labels: Sequence[str]
) -> tuple[dict[str, float], dict[str, Any]]:
    """How many independent paths they are worth by each measure, and what else is to be said about it."""
    if not len(weight):
        return {"paths": 0.0}, {}
    if source.stage == UNBIASED:
        told = {"not_an_ensemble_because": summary["unbiased"].get("not_an_ensemble_because", [])}
        return weighted_number(weight, summary["unbiased"]), told
    if not storage.has(MOVES):
        return {"paths": float(len(weight))}, {}
    keys = ("moves", "acceptance", "renewals", "moves_with_memory_of_the_initial_path", "initial_path", "integrator_steps")
    changes = sum(one != other for one, other in pairwise(labels))
    return decorrelated(storage, labels, every=summary["moves_per_sample"]), {
        **{key: summary[key] for key in keys},
        "channel_changes": changes,
    }


def weighted_number(weight: np.ndarray, unbiased: Mapping[str, Any]) -> dict[str, float]:
    """Of weighted paths (n,): Kish's number; that over the design effects of length and highest energy, which know of walkers; and of a
    share p of a channel or way with error s the p (1 - p) / s^2 paths that would tell it as well, the fewest of all.

    unbiased: that part of summary.json.
    """
    kish = effective_number(weight)
    effect = unbiased["design_effect"]
    found = {"paths": kish, "length": kish / max(effect["duration"], 1.0), "highest energy": kish / max(effect["max_energy"], 1.0)}
    shares = [c["share"] for c in (*unbiased["channels"], *unbiased["routes"].values())]
    told = [s["value"] * (1.0 - s["value"]) / s["standard_error"] ** 2 for s in shares if SOME < s["value"] < 1.0 - SOME]
    return found | ({"channel": min(kish, *told)} if told else {})


def decorrelated(storage: Folder, labels: Sequence[str], *, every: int) -> dict[str, float]:
    """Of a chain: its renewals, paths none of whose frames is one of the renewal's before; and moves over their statistical inefficiency
    (Chodera 2007) by length, highest energy and channel (of the paths kept, each `every` moves), from the first renewal on and no more than
    those.
    """
    table = storage.table(MOVES)
    first = next((k for k, row in enumerate(table) if row["renewed"] == "1"), len(table))
    rest = table[first:]
    renewals = float(sum(row["renewed"] == "1" for row in rest))
    found = {"paths": renewals}
    for key, name in (("n_frames", "length"), ("max_energy_kj_mol", "highest energy")):
        found[name] = min(renewals, len(rest) / statistical_inefficiency(np.array([float(row[key]) for row in rest])))
    slowest = max((statistical_inefficiency(np.array([x == name for x in labels], dtype=float)) for name in set(labels)), default=1.0)
    return found | ({"channel": min(renewals, max(len(rest) / (every * slowest), 1.0))} if len(set(labels)) > 1 else {})
