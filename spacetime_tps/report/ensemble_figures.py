"""Pictures of the unbiased ensemble: where its paths go, committors, lengths and energies, and how even the weights are."""

import numpy as np
from matplotlib.figure import Figure

from spacetime_tps.paths.transition import durations
from spacetime_tps.report.data import RunData
from spacetime_tps.report.figures import CURVE, GUIDED, INK, MUTED, STATE_COLOURS, THERMAL, draw_states, label, line, logarithmic, plane
from spacetime_tps.shooting.committor import Committors
from spacetime_tps.unbiased.averages import between_states, density
from spacetime_tps.unbiased.committors import STATE_FRAME, column_of
from spacetime_tps.unbiased.ensemble import DENSITY
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window

UNBIASED = "#0369a1"
DRAWN = 20
BINS = 12


def paths_map(run: RunData) -> Figure:
    """Density of transition paths in the plane of the two coordinates that change most, some of them, and the transition states."""
    i, j = run.shown
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    data, points = run.arrays(DENSITY), run.committors
    marked = points[STATE_FRAME] >= 0
    edges = [data[f"edges_{k}"] for k in (i, j)]
    if i == j:
        axes.step(0.5 * (edges[0][1:] + edges[0][:-1]), data[f"density_{i}"], where="mid", color=UNBIASED, lw=1.6)
        axes.set(xlim=(edges[0][0], edges[0][-1]), xlabel=label(run, i), ylabel="density of transition paths")
        return figure
    found = data[f"density_{i}_{j}"] if f"density_{i}_{j}" in data else _density(run, i, j, edges)
    shown = np.where(found > 0.0, found, np.nan)
    limits = [(float(e[0]), float(e[-1])) for e in edges]
    image = axes.pcolormesh(*edges, 100.0 * shown.T, cmap="Blues", vmin=0.0)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_label("frames between the states, % of the ensemble")
    bar.outline.set_visible(False)
    heavy = sorted(run.of_stage("unbiased"), key=lambda r: -float(r["weight"]))
    for row in heavy[:: max(len(heavy) // DRAWN, 1)][:DRAWN]:
        line(axes, run, run.path_values(row), i, j, color=UNBIASED, lw=0.5, alpha=0.5, zorder=3)
    axes.plot([], [], color=UNBIASED, lw=1, label="unbiased paths")
    line(axes, run, run.scaled(run.geodesic["center"]), i, j, color=CURVE, lw=1.6, zorder=4)
    axes.plot([], [], color=CURVE, lw=1.6, label="geodesic")
    names, unit = run.coordinates.names, run.coordinates.unit
    x, y = (points[column_of(names[k], unit[k])] for k in (i, j))
    axes.plot(x[marked], y[marked], "o", color=STATE_COLOURS["B"], ms=4, mec="white", mew=0.5, label="transition states", zorder=6)
    draw_states(axes, run, i, j, limits)
    plane(axes, run, i, j, limits)
    return figure


def _density(run: RunData, i: int, j: int, edges: list[np.ndarray]) -> np.ndarray:
    """Of paths in the plane of two coordinates: the file holds no pairs where there are many coordinates."""
    rows = run.of_stage("unbiased")
    at, mass = between_states([run.path_values(row)[:, [i, j]] for row in rows], np.array([float(row["weight"]) for row in rows]))
    return density(at, edges, mass)


def committors(run: RunData) -> Figure:
    """Committor of the shooting points along the variable they were held on, and of the points that were shot from again."""
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    points = run.committors
    first = run.unbiased["crossings"][0]
    mine = points["crossing"] == 0
    at = points["variable"][mine]
    held = Window.at(variable_of(first["of"]), first["center"], first["stiffness"])
    at = held.place + held.variable.scale * held.apart(at / held.variable.scale)
    reached, trials = (points[c][mine] for c in ("reached_b", "trials"))
    lowest, highest = np.percentile(at, [0.5, 99.5])
    edges = np.linspace(lowest, highest, BINS + 1)
    where = np.digitize(at, edges) - 1
    pooled = Committors(
        np.array([reached[where == k].sum() for k in range(BINS)]), np.array([trials[where == k].sum() for k in range(BINS)])
    )
    low, high = pooled.interval()
    middle = 0.5 * (edges[1:] + edges[:-1])
    seen = pooled.trials > 0
    left.plot(at, np.where(trials > 0, reached / np.maximum(trials, 1), np.nan), ".", color=MUTED, ms=2, alpha=0.25)
    left.errorbar(
        middle[seen],
        pooled.value[seen],
        yerr=[(pooled.value - low)[seen], (high - pooled.value)[seen]],
        fmt="o",
        color=UNBIASED,
        ms=4,
        lw=1.2,
    )
    left.axhline(0.5, color=MUTED, lw=0.8, ls=":")
    left.set(xlabel=first["variable"], ylabel="committor", ylim=(-0.03, 1.03), title="shooting points, and pooled")
    again = points["again_trials"] > 0
    if again.any():
        value, low, high = (points[f"again_{c}"][again] for c in ("committor", "low_95", "high_95"))
        kept = (points[STATE_FRAME] >= 0)[again]
        order = np.argsort(value)
        rank = np.arange(len(order))
        for colour, which in ((MUTED, ~kept[order]), (STATE_COLOURS["B"], kept[order])):
            v, a, b = value[order][which], low[order][which], high[order][which]
            right.errorbar(rank[which], v, yerr=[v - a, b - v], fmt="o", color=colour, ms=3.5, lw=1.0)
        right.axhline(0.5, color=MUTED, lw=0.8, ls=":")
        right.set(xlabel="point", title="shot from again")
        right.set_xticks([])
    return figure


def distributions(run: RunData) -> Figure:
    """Weighted lengths and highest energies of the paths, beside those of guided paths and of equilibrium in A."""
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = run.of_stage("unbiased")
    weight = np.array([float(r["weight"]) for r in rows])
    highest = np.array([float(r["max_energy_kj_mol"]) for r in rows])
    stride, timestep = run.settings.unbiased.stride, run.preparation["timestep_ps"]
    duration = durations(np.array([int(r["n_frames"]) for r in rows]), stride=stride, timestep=timestep)
    u = run.unbiased
    for axes, values, step, value, name in (
        (left, duration, stride * timestep, u["duration_ps"], "length of the path, ps"),
        (right, highest, 0.0, u["max_energy_kj_mol"], "highest energy, kJ/mol above start.pdb"),
    ):
        bins = _bins(values, step)
        axes.hist(values, bins=bins, weights=weight, density=True, color=UNBIASED, alpha=0.35, lw=0)
        axes.hist(
            values, bins=bins, weights=weight, density=True, histtype="step", color=UNBIASED, lw=1.4,
            label=f"{value['value']:.3g} ± {value['standard_error']:.1g}",
        )  # fmt: skip
        axes.set(xlabel=name)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    thermal = u["thermal_reference_kj_mol"]
    right.axvline(thermal["value"], color=THERMAL, lw=1.2, ls="--", label=f"equally long in A: {thermal['value']:.1f}")
    guided = np.array([float(r["max_energy_kj_mol"]) for r in run.of_stage("guided") if r["hit"] == "1"])
    if len(guided):
        right.hist(guided, bins=30, density=True, histtype="step", color=GUIDED, lw=1.0, label="guided (longer, biased)")
    for axes in (left, right):
        axes.set_ylim(top=1.35 * axes.get_ylim()[1])
        axes.legend(loc="upper right", fontsize=7.5)
    return figure


def _bins(values: np.ndarray, step: float) -> list[float]:
    """Edges of about thirty bins; for values that are multiples of a step, whole numbers of steps wide."""
    low, high = float(values.min()), float(np.percentile(values, 99.8))
    if not step:
        return list(np.linspace(low, high, 31))
    width = step * max(round((high - low) / 30.0 / step), 1)
    return list(np.arange(low - 0.5 * step, high + width, width))


def weights(run: RunData) -> Figure:
    """Weights in order, over their mean, and what part of all weight the heaviest paths carry."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    weight = np.sort([float(r["weight"]) for r in run.of_stage("unbiased")])[::-1]
    share = (np.arange(len(weight)) + 1) / len(weight)
    left.plot(share, weight / weight.mean(), color=UNBIASED, lw=1.6)
    logarithmic(left.yaxis)
    left.axhline(1.0, color=MUTED, lw=0.8, ls=":")
    left.set(xlabel="share of paths, heaviest first", title="weight over the mean")
    right.plot(share, np.cumsum(weight) / weight.sum(), color=UNBIASED, lw=1.6)
    right.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":")
    right.set(xlabel="share of paths, heaviest first", title="share of all weight")
    right.text(
        0.97, 0.06, f"effective: {run.unbiased['effective_paths']:.0f} of {len(weight)}", transform=right.transAxes, ha="right", color=INK
    )
    return figure


ENSEMBLE_FIGURES = {"unbiased_map": paths_map, "committor": committors, "distributions": distributions, "weights": weights}
