"""Weighted unbiased paths against transitions that owe nothing to weights: how long, how high, where, which way, how often."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json, write_text
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.report.table import markdown
from spacetime_tps.sampling.comparison import Agreement, agreement, density_agreement, difference_interval, effective_number, share_interval
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.trr import read_trr

BIN = 20.0
"""Degrees"""
LENGTHS = np.arange(-5.0, 15.01, 0.5)
"""Edges of bins of coordinates that are no angles, 0.1 nm"""


@dataclass(frozen=True)
class Paths:
    """Paths of one or more run folders, with their weights."""

    weight: np.ndarray
    """(paths,), of each folder in proportion to its effective number"""
    length: np.ndarray
    """(paths,) stored frames"""
    highest: np.ndarray
    """(paths,) kJ/mol"""
    way: np.ndarray
    """(paths,) names"""
    visits: np.ndarray
    """(paths, bins): frames between the states in each bin of the first two coordinates"""
    part: np.ndarray
    """(folders,) share of all weight that each folder has"""

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2."""
        return effective_number(self.weight)

    def unweighted(self) -> "Paths":
        """The same, as if every path counted alike."""
        return replace(self, weight=np.ones(len(self.weight)))


def load(folders: Sequence[Path], stage: str) -> Paths:
    """The paths of a stage that run folders hold. Raises SpacetimeError where one holds none, or they differ in temperature."""
    weight, length, highest, way, visits, temperatures = [], [], [], [], [], set()
    for folder in folders:
        problem = preparation.load(folder)
        temperatures.add(problem.model.temperature)
        rows = [r for r in read_transitions(Folder(folder)) if r.stage == stage and r.hit]
        if not rows:
            raise SpacetimeError(f"{folder} holds no path of the stage {stage}")
        w = np.array([1.0 if r.weight is None else r.weight for r in rows])
        weight.append(w * effective_number(w) / w.sum())
        length += [r.n_frames for r in rows]
        highest += [r.max_energy_kj_mol for r in rows]
        way += [r.route for r in rows]
        visits += [_visits(problem.coordinates.values(read_trr(folder / r.file)[0][1:-1]), problem.coordinates.angular) for r in rows]
    if len(temperatures) > 1:
        raise SpacetimeError(f"these runs are at different temperatures: {', '.join(f'{t:g} K' for t in sorted(temperatures))}")
    part = np.array([w.sum() for w in weight])
    return Paths(np.concatenate(weight), np.array(length), np.array(highest), np.array(way), np.array(visits), part / part.sum())


def _visits(values: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Frames (F, D) in each bin of the first two coordinates, or of the one there is."""
    at = np.where(angular, np.degrees(values), values)[:, :2]
    edges = [np.arange(-180.0, 180.0 + BIN, BIN) if turns else LENGTHS for turns in angular[:2]]
    return np.histogramdd(np.clip(at, [e[0] for e in edges], [e[-1] for e in edges]), edges)[0].ravel()


@dataclass(frozen=True)
class Verdict:
    """How paths agree with a reference."""

    length: Agreement
    highest: Agreement
    density: Agreement

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            name: {"distance": a.distance, "limit": a.limit, "holds": a.holds}
            for name, a in (("length", self.length), ("max_energy", self.highest), ("density", self.density))
        }


def judge(paths: Paths, reference: Paths, *, seed: int) -> Verdict:
    """Weighted Kolmogorov-Smirnov distances of length and highest energy and the Jensen-Shannon distance of the density, each with the 99th
    percentile of its bootstrap null at the same effective number."""
    rng = np.random.default_rng(seed)
    return Verdict(
        agreement(paths.length, paths.weight, reference.length, rng=rng),
        agreement(paths.highest, paths.weight, reference.highest, rng=rng),
        density_agreement(paths.visits, paths.weight, reference.visits, rng=rng),
    )


def run_truth(reference: Path, folders: Sequence[Path], *, stage: str, against: str, out: Path | None, seed: int) -> str:
    """Compare the pooled paths of `stage` in the folders with those of stage `against` in the reference; the table as Markdown.

    With `out`, also truth.json and table.md there.
    """
    theirs, ours = load([reference], against), load(folders, stage)
    weighted, without = judge(ours, theirs, seed=seed), judge(ours.unweighted(), theirs, seed=seed)
    content = {
        "reference": {"paths": len(theirs.weight), "effective": theirs.effective, "stage": against},
        "paths": {"paths": len(ours.weight), "effective": ours.effective, "stage": stage, "folders": len(folders)},
        "weighted": weighted.to_json(), "without_weights": without.to_json(), "routes": _shares(ours, theirs, folders),
        "rate_per_ns": _rates(reference, folders),
    }  # fmt: skip
    table = _table(content)
    if out is not None:
        write_json(out / "truth.json", content)
        write_text(out / "table.md", table)
    return table


def _shares(ours: Paths, theirs: Paths, folders: Sequence[Path]) -> dict[str, Any]:
    """Of each way round, the most frequent in the reference first."""
    runs = [(json.loads((folder / "summary.json").read_text()).get("unbiased") or {}).get("routes", {}) for folder in folders]
    found = {}
    for name in sorted({*theirs.way.tolist(), *ours.way.tolist()}, key=lambda n: -float((theirs.way == n).sum())):
        share = float(ours.weight[ours.way == name].sum() / ours.weight.sum())
        errors = np.array([run.get(name, {}).get("share", {}).get("standard_error", 0.0) for run in runs])
        error = float(np.sqrt(((ours.part * errors) ** 2).sum()))
        count, total = int((theirs.way == name).sum()), len(theirs.way)
        found[name] = {
            "share": share, "standard_error": error, "reference": count / total, "interval_95": share_interval(count, total),
            "difference_interval_95": difference_interval(share, error, count, total),
        }  # fmt: skip
    return found


def _rates(reference: Path, folders: Sequence[Path]) -> dict[str, Any]:
    """k(A to B) by counting in brute force, per time that comes from A; and of each run."""
    found: dict[str, Any] = {}
    theirs = json.loads((reference / "summary.json").read_text())
    if "time_from_A_ps" in theirs:
        count = theirs["transitions"] / 2.0
        found["reference"] = 1e3 * count / theirs["time_from_A_ps"]
        found["reference_error"] = found["reference"] / np.sqrt(count)
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    found["runs"] = [s["unbiased"]["rate_per_ns"] for s in summaries if s.get("unbiased")]
    return found


def _table(c: dict[str, Any]) -> str:
    rows = [
        [
            {"length": "path length, KS", "max_energy": "highest energy, KS", "density": "density, 20 degrees, JS"}[name],
            f"{w['distance']:.3f}", f"{w['limit']:.3f}", "yes" if w["holds"] else "no",
            f"{n['distance']:.3f}", f"{n['limit']:.3f}", "yes" if n["holds"] else "no",
        ]
        for (name, w), n in zip(c["weighted"].items(), c["without_weights"].values(), strict=True)
    ]  # fmt: skip
    head = ["", "weighted", "99 % of the null", "agrees", "without weights", "99 % of the null", "agrees"]
    routes = [
        [
            name, f"{s['share']:.4f} ± {s['standard_error']:.4f}", f"{s['reference']:.4f}",
            f"{s['interval_95'][0]:.4f} to {s['interval_95'][1]:.4f}",
            f"{s['difference_interval_95'][0]:+.4f} to {s['difference_interval_95'][1]:+.4f}",
        ]
        for name, s in c["routes"].items()
    ]  # fmt: skip
    ways = ["route", "share", "reference", "its 95 % interval", "95 % interval of the difference"]
    text = f"{c['paths']['paths']} {c['paths']['stage']} paths of {c['paths']['folders']} runs, {c['paths']['effective']:.0f} effective, "
    text += f"against {c['reference']['paths']} ({c['reference']['stage']}, {c['reference']['effective']:.0f} effective).\n\n"
    text += markdown(head, rows) + "\n" + markdown(ways, routes)
    rate = c["rate_per_ns"]
    if "reference" in rate and rate["runs"]:
        runs = ", ".join(f"{r['value']:.3g} ± {r['standard_error']:.2g}" for r in rate["runs"])
        text += f"\nRate A to B, per ns: {runs}; reference {rate['reference']:.3g} ± {rate['reference_error']:.2g}.\n"
    return text
