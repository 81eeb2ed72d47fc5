"""The report's pictures, each from a RunData to a matplotlib figure."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.ndimage import gaussian_filter

from spacetime_tps.molecules.states import Interval
from spacetime_tps.report.data import RunData
from spacetime_tps.units import thermal_energy

INK, MUTED = "#1b2733", "#6b7885"
GUIDED, STEERED, THERMAL, CURVE = "#c2410c", "#7c3aed", "#0f766e", "#0b3d91"
FORBIDDEN = "#6b1d5c"
STATE_COLOURS = {"A": "#0f766e", "B": "#b91c1c"}
PATHS_DRAWN = 12
STYLE = {
    "font.size": 10, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "xtick.color": MUTED, "ytick.color": MUTED, "axes.titlesize": 10.5,
    "axes.titlecolor": INK, "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "legend.fontsize": 8.5, "figure.dpi": 150, "savefig.dpi": 150, "lines.solid_capstyle": "round",
}  # fmt: skip


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def map_of_torsions(run: RunData) -> Figure:
    """Free energy in the plane of the two torsions that turn most, with states, windows, routes and paths."""
    i, j = run.shown
    if i == j:
        return _profile_of_torsion(run, i)
    figure, axes = _axes(6.4, 5.4)
    angles, log_weight = run.frames
    bins = np.linspace(-180, 180, 73)
    weight, _, _ = np.histogram2d(angles[:, i], angles[:, j], bins=[bins, bins], weights=np.exp(log_weight))
    kT = thermal_energy(run.summary["temperature_K"])
    smooth = gaussian_filter(weight, 0.8, mode="wrap")
    with np.errstate(divide="ignore"):
        free = -kT * np.log(smooth / smooth.max())
    free[gaussian_filter((weight > 0).astype(float), 0.8, mode="wrap") < 0.15] = np.nan
    middle = 0.5 * (bins[1:] + bins[:-1])
    levels = np.arange(0, min(np.nanmax(free), 60) + 4, 4)
    shades = axes.contourf(middle, middle, free.T, levels=levels, cmap="Blues_r", extend="max", alpha=0.9)
    bar = figure.colorbar(shades, ax=axes, pad=0.02, aspect=30)
    bar.set_label("free energy, kJ/mol (sampled regions)")
    bar.outline.set_visible(False)
    draw_states(axes, run, i, j)
    for region in run.forbidden:
        _draw_forbidden(axes, region, run.torsions.names[i], run.torsions.names[j])
    if run.forbidden:
        axes.fill([], [], fc="none", ec=FORBIDDEN, hatch="////", lw=1.0, label="forbidden")
    pairs = run.windows["eta"].reshape(len(run.windows["eta"]), -1, 2)
    centers = np.degrees(np.arctan2(pairs[..., 1], pairs[..., 0]))
    axes.plot(centers[:, i], centers[:, j], ".", color=MUTED, ms=2.5, label="window centers", zorder=2)
    for row in [r for r in run.of_stage("guided") if r["hit"] == "1"][:PATHS_DRAWN]:
        path = run.path_angles(row)
        periodic_line(axes, path[:, i], path[:, j], color=GUIDED, lw=0.5, alpha=0.45, zorder=3)
    axes.plot([], [], color=GUIDED, lw=1, label="guided paths")
    for rank, route in enumerate(run.routes):
        center = np.degrees(np.unwrap(route["center"], axis=0))
        best = rank == 0
        periodic_line(
            axes, center[:, i], center[:, j], color=CURVE, lw=2.4 if best else 1.0, ls="-" if best else "--", zorder=5 if best else 4
        )
    axes.plot([], [], color=CURVE, lw=2.4, label="best geodesic")
    if len(run.routes) > 1:
        axes.plot([], [], color=CURVE, lw=1, ls="--", label="other routes")
    names = run.torsions.names
    plane_of_torsions(axes, names[i], names[j])
    return figure


def _profile_of_torsion(run: RunData, k: int) -> Figure:
    """Where there is one torsion: its free energy, and the states."""
    figure, axes = _axes(6.4, 4.0)
    angles, log_weight = run.frames
    bins = np.linspace(-180, 180, 73)
    weight, _ = np.histogram(angles[:, k], bins=bins, weights=np.exp(log_weight))
    with np.errstate(divide="ignore"):
        free = -thermal_energy(run.summary["temperature_K"]) * np.log(weight / weight.max())
    axes.plot(0.5 * (bins[1:] + bins[:-1]), np.where(np.isfinite(free), free, np.nan), color=CURVE, lw=1.8)
    for name in ("A", "B"):
        for box in run.states[name].boxes:
            for low, high in (span for interval in box for span in _spans(interval)):
                axes.axvspan(low, high, color=STATE_COLOURS[name], alpha=0.12, lw=0)
                axes.text(
                    0.5 * (low + high), 0.97, name, color=STATE_COLOURS[name], transform=axes.get_xaxis_transform(), va="top", ha="center"
                )
    for region in run.forbidden:
        for low, high in _spans(Interval((0, 0, 0, 0), *region["box"][run.torsions.names[k]])) if "box" in region else []:
            axes.axvspan(low, high, fc="none", ec=FORBIDDEN, hatch="////", lw=0)
    axes.set(xlim=(-180, 180), xlabel=f"{run.torsions.names[k]}, degrees", ylabel="free energy, kJ/mol (sampled regions)")
    return figure


def plane_of_torsions(axes: Axes, x: str, y: str) -> None:
    """Axes of two torsions by name, a whole circle each, with a legend."""
    axes.set(xlim=(-180, 180), ylim=(-180, 180), xlabel=f"{x}, degrees", ylabel=f"{y}, degrees")
    axes.set_xticks(range(-180, 181, 60))
    axes.set_yticks(range(-180, 181, 60))
    axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize=7.5, frameon=True, framealpha=0.85, edgecolor="none")


def draw_states(axes: Axes, run: RunData, i: int, j: int) -> None:
    """The boxes of A and B in the plane of torsions i and j."""
    for name in ("A", "B"):
        for box in run.states[name].boxes:
            _draw_box(axes, {t.atoms: t for t in box}, run.torsions.atoms[i], run.torsions.atoms[j], STATE_COLOURS[name], name)


def _draw_box(axes: Axes, box: dict[tuple[int, int, int, int], Interval], x: object, y: object, colour: str, name: str) -> None:
    spans = [_spans(box.get(atoms)) for atoms in (x, y)]  # type: ignore[call-overload]
    for left, right in spans[0]:
        for low, high in spans[1]:
            axes.fill([left, right, right, left], [low, low, high, high], fill=False, ec=colour, lw=1.2, ls=(0, (4, 2)), zorder=6)
    left, high = spans[0][0][0], spans[1][0][1]
    text = axes.text(left + 5, high - 4, name, color=colour, fontsize=14, fontweight="bold", va="top", zorder=7)
    text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _draw_forbidden(axes: Axes, region: dict[str, Any], x: str, y: str) -> None:
    """Hatch a region in the plane of two torsions: a box, or two standard deviations around a point. One that bounds neither is left out."""
    style = {"fc": "none", "ec": FORBIDDEN, "hatch": "////", "lw": 1.0, "zorder": 3.5}
    if "point" in region:
        turn, radius = np.linspace(0.0, 2.0 * np.pi, 90), np.degrees(2.0 / np.sqrt(region["kappa"]))
        across, up = region["point"][x] + radius * np.cos(turn), region["point"][y] + radius * np.sin(turn)
        for dx in _turns(across):
            for dy in _turns(up):
                axes.fill(across + dx, up + dy, **style)
        return
    if not {x, y} & set(region["box"]):
        return
    spans = [_spans(Interval((0, 0, 0, 0), *region["box"][name]) if name in region["box"] else None) for name in (x, y)]
    for left, right in spans[0]:
        for low, high in spans[1]:
            axes.fill([left, right, right, left], [low, low, high, high], **style)


def _spans(interval: Interval | None) -> list[tuple[float, float]]:
    """An interval as ranges inside -180..180."""
    if interval is None:
        return [(-180.0, 180.0)]
    if interval.low <= interval.high:
        return [(interval.low, interval.high)]
    return [(interval.low, 180.0), (-180.0, interval.high)]


def periodic_line(axes: Axes, x: np.ndarray, y: np.ndarray, **style: object) -> None:
    """A line in degrees on a torus: drawn again, shifted by whole turns, wherever a copy enters the square."""
    x, y = (np.degrees(np.unwrap(np.radians(v))) for v in (x, y))
    for dx in _turns(x):
        for dy in _turns(y):
            axes.plot(x + dx, y + dy, **style)  # type: ignore[arg-type]


def _turns(v: np.ndarray) -> list[float]:
    first, last = np.ceil((-180.0 - v.max()) / 360.0), np.floor((180.0 - v.min()) / 360.0)
    return [360.0 * k for k in range(int(first), int(last) + 1)]


def energy_along_paths(run: RunData) -> Figure:
    """Potential energy along guided (and steered) paths, against the thermal reference's highest energies."""
    figure, axes = _axes(6.4, 3.4)
    mean, std = run.thermal.mean(), run.thermal.std()
    axes.axhspan(mean - std, mean + std, color=THERMAL, alpha=0.15, lw=0)
    axes.axhline(mean, color=THERMAL, lw=1.2, label="highest energy of equally long runs in A (mean ± std)")
    for stage, colour in (("guided", GUIDED), ("steered", STEERED)):
        rows = [r for r in run.of_stage(stage) if r["file"]]
        if not rows:
            continue
        tables = [run.path_table(r) for r in rows]
        time = tables[0]["time_ps"]
        energy = np.array([t["potential_energy_kj_mol"] for t in tables])
        low, middle, high = np.percentile(energy, [10, 50, 90], axis=0)
        axes.fill_between(time, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(time, gaussian_filter(middle, 2), color=colour, lw=1.6, label=f"{stage}: median, 10–90 % of {len(rows)} paths")
        if stage == "guided":
            axes.plot(time, energy[0], color=colour, lw=0.5, alpha=0.8, label="one guided path")
    axes.set(xlabel="time, ps", ylabel="potential energy above start.pdb, kJ/mol")
    axes.margins(x=0)
    axes.legend(loc="upper left", ncols=1)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
    return figure


def highest_energies(run: RunData) -> Figure:
    """Histogram of each path's highest energy, beside the thermal reference."""
    figure, axes = _axes(6.4, 3.2)
    series = [("runs in A as long as a guided path", THERMAL, run.thermal)]
    for stage, colour in (("guided", GUIDED), ("steered", STEERED)):
        highest = np.array([float(r["max_energy_kj_mol"]) for r in run.of_stage(stage) if r["hit"] == "1"])
        if len(highest):
            series.append((f"{stage} paths", colour, highest))
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
    for k, name in enumerate(run.torsions.names):
        grid[0, 0].plot(s, run.geodesic["level"][:, k], lw=1.5, label=name)
    grid[0, 0].axhline(run.rounds["kappa_floor"], color=MUTED, ls=":", lw=1, label="floor")
    grid[0, 0].set(title="concentration κ (noise level)", ylim=(0, 1.3 * run.geodesic["level"].max()))
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
    grid[1, 1].semilogy(s, run.geodesic["n_eff"], color=CURVE, lw=1.5)
    floor = run.config["settings"]["geodesic"]["min_effective_samples"]
    grid[1, 1].axhline(floor, color=MUTED, ls=":", lw=1)
    grid[1, 1].set(title="effective samples", xlabel="position on the curve")
    return figure


def windows_of_best(run: RunData) -> Figure:
    """Free energy along the best route's last windows with its error, from both directions too, and the overlap of all windows."""
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    w = run.arrays("free_energy.npz")
    s = np.linspace(0, 1, len(w["eta"]))
    free, error = w["free_energy_kT"], w["error_kT"]
    left.plot(s, w["forward_kT"], color=GUIDED, lw=1.2, label="A to B alone")
    left.plot(s, w["backward_kT"], color=STEERED, lw=1.2, label="B to A alone")
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
    for record, style in zip(run.rounds["training"], ("-", "--", ":", "-.") * len(run.rounds["training"]), strict=False):
        step, fitted, held_out = np.array(record["curve"]).T
        axes.semilogy(step, fitted, style, color=GUIDED, lw=1.2, label=f"{record['route']}: fitted")
        axes.semilogy(step, held_out, style, color=CURVE, lw=1.6, label=f"held out, {record['held_out_loss']:.3f} in the end")
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    return figure


FIGURES = {
    "map": map_of_torsions,
    "energy": energy_along_paths,
    "highest": highest_energies,
    "curve": along_the_curve,
    "windows": windows_of_best,
}
