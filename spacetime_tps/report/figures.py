"""The report's pictures, each from a RunData to a matplotlib figure."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.ndimage import gaussian_filter

from spacetime_tps.coordinates.circle import width
from spacetime_tps.exploration.sampled import FREE_ENERGY
from spacetime_tps.report.data import Row, RunData
from spacetime_tps.units import thermal_energy

INK, MUTED = "#1b2733", "#6b7885"
GUIDED, THERMAL, CURVE = "#c2410c", "#0f766e", "#0b3d91"
RIVALS = ("#7c3aed", "#b45fa8")
FORBIDDEN = "#6b1d5c"
STATE_COLOURS = {"A": "#0f766e", "B": "#b91c1c"}
PATHS_DRAWN = 12
STYLE = {
    "text.parse_math": False,  # names of residues and atoms are no formulas
    "font.size": 10, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "xtick.color": MUTED, "ytick.color": MUTED, "axes.titlesize": 10.5,
    "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "legend.fontsize": 8.5, "figure.dpi": 150, "savefig.dpi": 150, "lines.solid_capstyle": "round",
}  # fmt: skip


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def map_of_coordinates(run: RunData) -> Figure:
    """Free energy in the plane of the two coordinates that change most, with states, windows, routes and paths."""
    i, j = run.shown
    if i == j:
        return _profile(run, i)
    figure, axes = _axes(6.4, 5.4)
    values, log_weight = run.frames
    bins = [_bins(values[:, k], bool(run.coordinates.angular[k])) for k in (i, j)]
    weight, _, _ = np.histogram2d(values[:, i], values[:, j], bins=bins, weights=np.exp(log_weight))
    kT = thermal_energy(run.summary["temperature_K"])
    mode = ["wrap" if run.coordinates.angular[k] else "nearest" for k in (i, j)]
    smooth = gaussian_filter(weight, 0.8, mode=mode)
    free = free_energy(smooth, kT)
    free[gaussian_filter((weight > 0).astype(float), 0.8, mode=mode) < 0.15] = np.nan
    middle = [0.5 * (b[1:] + b[:-1]) for b in bins]
    levels = np.arange(0, min(np.nanmax(free), 60) + 4, 4)
    shades = axes.contourf(*middle, free.T, levels=levels, cmap="Blues_r", extend="max", alpha=0.9)
    bar = figure.colorbar(shades, ax=axes, pad=0.02, aspect=30)
    bar.set_label("free energy, kJ/mol (sampled regions)")
    bar.outline.set_visible(False)
    limits = [(float(b[0]), float(b[-1])) for b in bins]
    draw_states(axes, run, i, j, limits)
    for region in run.forbidden:
        _draw_forbidden(axes, run, region, i, j, limits)
    if run.forbidden:
        axes.fill([], [], fc="none", ec=FORBIDDEN, hatch="////", lw=1.0, label="forbidden")
    for row in [r for r in run.of_stage("guided") if r["hit"] == "1"][:PATHS_DRAWN]:
        path = run.path_values(row)
        line(axes, run, path, i, j, color=GUIDED, lw=0.5, alpha=0.45, zorder=3)
    axes.plot([], [], color=GUIDED, lw=1, label="guided paths")
    for rank, route in enumerate(run.routes):
        best = rank == 0
        style = {"color": CURVE, "lw": 2.4 if best else 1.0, "ls": "-" if best else "--", "zorder": 5 if best else 4}
        line(axes, run, run.scaled(route["center"]), i, j, **style)
    axes.plot([], [], color=CURVE, lw=2.4, label="best geodesic")
    if len(run.routes) > 1:
        axes.plot([], [], color=CURVE, lw=1, ls="--", label="other routes")
    plane(axes, run, i, j, limits)
    return figure


def free_energy(weight: np.ndarray, kT: float) -> np.ndarray:
    """kJ/mol above the most populated bin, of the weights of bins (...); infinite where there is none."""
    with np.errstate(divide="ignore"):
        return np.asarray(-kT * np.log(weight / weight.max()))


def _bins(values: np.ndarray, angular: bool) -> np.ndarray:
    if angular:
        return np.linspace(-180, 180, 73)
    low, high = np.percentile(values, [0.05, 99.95])
    edge = 0.05 * (high - low)
    return np.linspace(low - edge, high + edge, 61)


def _profile(run: RunData, k: int) -> Figure:
    """Where there is one coordinate: its free energy, and the states."""
    figure, axes = _axes(6.4, 4.0)
    values, log_weight = run.frames
    bins = _bins(values[:, k], bool(run.coordinates.angular[k]))
    weight, _ = np.histogram(values[:, k], bins=bins, weights=np.exp(log_weight))
    free = free_energy(weight, thermal_energy(run.summary["temperature_K"]))
    axes.plot(0.5 * (bins[1:] + bins[:-1]), np.where(np.isfinite(free), free, np.nan), color=CURVE, lw=1.8)
    limits = (float(bins[0]), float(bins[-1]))
    for name in ("A", "B"):
        for low, high in (span for found in run.ranges(name, k) if found for span in spans_of(found, limits)):
            axes.axvspan(low, high, color=STATE_COLOURS[name], alpha=0.12, lw=0)
            style: dict[str, Any] = {"color": STATE_COLOURS[name], "transform": axes.get_xaxis_transform(), "va": "top", "ha": "center"}
            axes.text(0.5 * (low + high), 0.97, name, **style)
    for region in run.forbidden:
        found = region["ranges"].get(run.coordinates.names[k])
        for low, high in spans_of(found, limits) if found else []:
            axes.axvspan(low, high, fc="none", ec=FORBIDDEN, hatch="////", lw=0)
    axes.set(xlim=limits, xlabel=label(run, k), ylabel="free energy, kJ/mol (sampled regions)")
    return figure


def logarithmic(axis: Axis) -> None:
    """A logarithmic scale with plain numbers at 1, 2 and 5: STYLE takes dollar signs as they are, and matplotlib's own labels are TeX."""
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda x, _: f"{x:,.10g}")
    axis.set_minor_formatter(NullFormatter())


def label(run: RunData, k: int) -> str:
    """A coordinate with its unit."""
    return f"{run.coordinates.names[k]}, {run.coordinates.unit[k]}"


def plane(axes: Axes, run: RunData, i: int, j: int, limits: list[tuple[float, float]]) -> None:
    """Axes of two coordinates, angles a whole circle each, with a legend."""
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=label(run, i), ylabel=label(run, j))
    for k, ticks in ((i, axes.set_xticks), (j, axes.set_yticks)):
        if run.coordinates.angular[k]:
            ticks(range(-180, 181, 60))
    if run.coordinates.angular[i] and run.coordinates.angular[j]:
        axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize=7.5, frameon=True, framealpha=0.85, edgecolor="none")


def draw_states(axes: Axes, run: RunData, i: int, j: int, limits: list[tuple[float, float]]) -> None:
    """The boxes of A and B in the plane of coordinates i and j; those that bound neither are left out."""
    for name in ("A", "B"):
        for ranges in zip(run.ranges(name, i), run.ranges(name, j), strict=True):
            if any(ranges):
                _draw_box(axes, [spans_of(r, limit) for r, limit in zip(ranges, limits, strict=True)], STATE_COLOURS[name], name)


def _draw_box(axes: Axes, spans: list[list[tuple[float, float]]], colour: str, name: str) -> None:
    for left, right in spans[0]:
        for low, high in spans[1]:
            axes.fill([left, right, right, left], [low, low, high, high], fill=False, ec=colour, lw=1.2, ls=(0, (4, 2)), zorder=6)
    if not all(spans):
        return
    left, high = spans[0][0][0], spans[1][0][1]
    text = axes.annotate(
        name, (left, high), (4, -3), textcoords="offset points", color=colour, fontsize=14, fontweight="bold", va="top", zorder=7
    )
    text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _draw_forbidden(axes: Axes, run: RunData, region: dict[str, Any], i: int, j: int, limits: list[tuple[float, float]]) -> None:
    """Hatch a region in the plane of coordinates i and j: a box, or the ellipse of a point. One that bounds neither is left out."""
    style = {"fc": "none", "ec": FORBIDDEN, "hatch": "////", "lw": 1.0, "zorder": 3.5}
    found = [region["ranges"].get(run.coordinates.names[k]) for k in (i, j)]
    if region["round"] and all(found):
        turn = np.linspace(0.0, 2.0 * np.pi, 90)
        at = [0.5 * (low + high) + 0.5 * (high - low) * wave for (low, high), wave in zip(found, (np.cos(turn), np.sin(turn)), strict=True)]
        shifts = [_turns(v) if run.coordinates.angular[k] else [0.0] for v, k in zip(at, (i, j), strict=True)]
        for dx, dy in itertools.product(*shifts):
            axes.fill(at[0] + dx, at[1] + dy, **style)
        return
    spans = [spans_of(r, limit) for r, limit in zip(found, limits, strict=True)] if any(found) else [[], []]
    for (left, right), (low, high) in itertools.product(*spans):
        axes.fill([left, right, right, left], [low, low, high, high], **style)


CIRCLE = (-180.0, 180.0)


def spans_of(found: Sequence[float] | None, limits: tuple[float, float]) -> list[tuple[float, float]]:
    """A range as ranges inside the axis; an angle's goes across 180 where it ends lower than it begins."""
    if found is None:
        return [limits]
    low, high = found
    whole = [(low, high)]
    if limits == CIRCLE:
        last = low + max(width(low, high), high - low)  # an ellipse about a point may reach all round
        whole = [(low + turn, last + turn) for turn in (-360.0, 0.0, 360.0)]
    inside = [(max(one, limits[0]), min(other, limits[1])) for one, other in whole]
    return [(one, other) for one, other in inside if one < other]


def line(axes: Axes, run: RunData, values: np.ndarray, i: int, j: int, **style: object) -> None:
    """A line through values (F, D) in the plane of coordinates i and j: angles are drawn again, shifted by whole turns, wherever a copy
    enters the square."""
    at = [np.degrees(np.unwrap(np.radians(values[:, k]))) if run.coordinates.angular[k] else values[:, k] for k in (i, j)]
    shifts = [_turns(v) if run.coordinates.angular[k] else [0.0] for v, k in zip(at, (i, j), strict=True)]
    for dx in shifts[0]:
        for dy in shifts[1]:
            axes.plot(at[0] + dx, at[1] + dy, **style)  # type: ignore[arg-type]


def _turns(v: np.ndarray) -> list[float]:
    first, last = np.ceil((-180.0 - v.max()) / 360.0), np.floor((180.0 - v.min()) / 360.0)
    return [360.0 * k for k in range(int(first), int(last) + 1)]


def _pulled(run: RunData) -> list[tuple[str, str, list[Row]]]:
    """(name, colour, rows) of each method's paths from A to B, a baseline's line by line; colours in that order."""
    found: list[tuple[str, list[Row]]] = []
    for method in (name for name in run.summary["stages"] if name not in run.summary.get("reverse", {})):
        rows = run.of_stage(method)
        if method not in run.summary["baseline_evaluations"]:
            found.append((method, rows))
        else:
            found += [
                (f"{method}, {name.replace('_', ' ')}", [r for r in rows if r["route"] == name]) for name in {r["route"]: 0 for r in rows}
            ]
    return [(name, colour, rows) for (name, rows), colour in zip(found, itertools.cycle((GUIDED, *RIVALS)))]


def energy_along_paths(run: RunData) -> Figure:
    """Potential energy along every method's paths, against the thermal reference's highest energies."""
    figure, axes = _axes(6.4, 3.4)
    if len(run.thermal):
        mean, std = run.thermal.mean(), run.thermal.std()
        axes.axhspan(mean - std, mean + std, color=THERMAL, alpha=0.15, lw=0)
        axes.axhline(mean, color=THERMAL, lw=1.2, label=f"highest energy of {run.thermal_stretches} (mean ± std)")
    for number, (name, colour, every) in enumerate(_pulled(run)):
        rows = [r for r in every if r["file"]]
        if not rows:
            continue
        tables = [run.path_table(r) for r in rows]
        time = max((t["time_ps"] for t in tables), key=len)
        energy = np.full((len(tables), len(time)), np.nan)
        for k, t in enumerate(tables):
            energy[k, : len(t["time_ps"])] = t["potential_energy_kj_mol"]
        low, middle, high = np.nanpercentile(energy, [10, 50, 90], axis=0)
        axes.fill_between(time, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(time, gaussian_filter(middle, 2), color=colour, lw=1.6, label=f"{name}: median, 10–90 % of {len(rows)} paths")
        if number == 0:
            axes.plot(time, energy[0], color=colour, lw=0.5, alpha=0.8, label=f"one {name} path")
    axes.set(xlabel="time, ps", ylabel="potential energy above start.pdb, kJ/mol")
    axes.margins(x=0)
    axes.legend(loc="upper left", ncols=1)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
    return figure


def highest_energies(run: RunData) -> Figure:
    """Histogram of each path's highest energy, beside the thermal reference."""
    figure, axes = _axes(6.4, 3.2)
    series = [(run.thermal_stretches, THERMAL, run.thermal)] if len(run.thermal) else []
    for name, colour, rows in _pulled(run):
        highest = np.array([float(r["max_energy_kj_mol"]) for r in rows if r["hit"] == "1"])
        if len(highest):
            series.append((f"{name} paths", colour, highest))
    if not series:
        return figure
    values = np.concatenate([s[2] for s in series])
    bins = np.linspace(values.min() - 2, values.max() + 2, 32).tolist()
    for label, colour, highest in series:
        axes.hist(highest, bins=bins, density=True, color=colour, alpha=0.35, lw=0)
        axes.hist(
            highest,
            bins=bins,
            density=True,
            histtype="step",
            color=colour,
            lw=1.4,
            label=f"{label}: {highest.mean():.1f} ± {highest.std():.1f}",
        )
        axes.axvline(highest.mean(), color=colour, lw=1, ls=":")
    axes.set(xlabel="highest potential energy of a path, kJ/mol above start.pdb", ylabel="density")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper right")
    return figure


def along_the_curve(run: RunData) -> Figure:
    """Noise level, free-energy cost, segments and effective samples along the best geodesic."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    s = np.linspace(0, 1, len(run.geodesic["eta"]))
    precision = run.geodesic["precision"]
    for k in range(min(precision.shape[1], 8)):
        name = run.coordinates.names[k] if precision.shape[1] == len(run.coordinates.names) else "restraint"
        grid[0, 0].plot(s, precision[:, k], lw=1.5, label=name)
    grid[0, 0].axhline(run.rounds["kappa_floor"], color=MUTED, ls=":", lw=1, label="floor")
    grid[0, 0].set(title="precision", ylim=(0, 1.3 * precision.max()))
    grid[0, 0].legend()
    for rank, route in enumerate(run.routes):
        label = str(route["name"])
        grid[0, 1].plot(
            np.linspace(0, 1, len(route["kl_kT"])), route["kl_kT"], lw=1.8 if rank == 0 else 0.9, ls="-" if rank == 0 else "--", label=label
        )
    grid[0, 1].set(title="cost of confinement KL(p_η || p₀), kT")
    grid[0, 1].legend(fontsize=6.5)
    grid[1, 0].plot(s[1:], run.geodesic["segment"], color=CURVE, lw=1.5)
    grid[1, 0].set(title="segment dη·dμ", xlabel="position on the curve", ylim=(0, 1.3 * run.geodesic["segment"].max()))
    grid[1, 1].plot(s, run.geodesic["n_eff"], color=CURVE, lw=1.5)
    logarithmic(grid[1, 1].yaxis)
    floor = run.settings.geodesic.min_effective_samples
    grid[1, 1].axhline(floor, color=MUTED, ls=":", lw=1)
    grid[1, 1].set(title="effective samples", xlabel="position on the curve")
    return figure


def windows_of_best(run: RunData) -> Figure:
    """Free energy along the best route's last windows with its error, from both directions too, and the overlap of all windows."""
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    w = run.arrays(FREE_ENERGY)
    s = np.linspace(0, 1, len(w["eta"]))
    free, error = w["free_energy_kT"], w["error_kT"]
    left.plot(s, w["forward_kT"], color=GUIDED, lw=1.2, label="A to B alone")
    left.plot(s, w["backward_kT"], color=RIVALS[0], lw=1.2, label="B to A alone")
    left.fill_between(s, free - 2 * error, free + 2 * error, color=INK, alpha=0.2, lw=0)
    left.plot(s, free, color=INK, lw=1.8, label="MBAR, ± 2 errors")
    left.set(xlabel="position on the curve", title="free energy of the windows, kT")
    left.legend()
    image = right.imshow(w["overlap"], cmap="Blues", vmin=0, vmax=max(0.5, float(w["overlap"].max())), origin="lower")
    bar = figure.colorbar(image, ax=right, pad=0.02, aspect=25)
    bar.outline.set_visible(False)
    right.set(xlabel="window", ylabel="window", title="overlap matrix")
    return figure


def training(run: RunData) -> Figure:
    """Learning curves of the trained denoisers: loss of the batches, and on samples that were held out."""
    figure, axes = _axes(6.4, 2.6)
    for record, style in zip(run.rounds["denoisers"], ("-", "--", ":", "-.") * len(run.rounds["denoisers"]), strict=False):
        step, fitted, held_out = np.array(record["curve"]).T
        axes.plot(step, fitted, style, color=GUIDED, lw=1.2, label=f"{record['route']}: fitted")
        axes.plot(step, held_out, style, color=CURVE, lw=1.6, label=f"held out, {record['held_out_loss']:.3f} in the end")
    logarithmic(axes.yaxis)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    return figure


FIGURES = {
    "map": map_of_coordinates,
    "energy": energy_along_paths,
    "highest": highest_energies,
    "curve": along_the_curve,
    "windows": windows_of_best,
}
