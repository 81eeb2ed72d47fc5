"""Figures of the surface benchmark, each from what was computed to a matplotlib figure."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure

from benchmarks.surface import END, FAMILY, START, Guided, Learned, Unbiased, forbidden_energy
from spacetime_tps.report.figures import INK, MUTED, STYLE

__all__ = ["STYLE", "energies", "faithfulness", "paths_on_surface"]

COLOURS = {"guided": "#d55e00", "low_variance": "#0072b2", "region_avoiding": "#009e73", "unbiased": "#56606b"}
TITLES = {
    "guided": "along the geodesic",
    "low_variance": "low variance",
    "region_avoiding": "region avoiding",
    "unbiased": "unbiased, by weight",
}
DRAWN = 40
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#56606b"])


def paths_on_surface(learned: Learned, walked: dict[str, Guided], unbiased: Unbiased, limit: float) -> Figure:
    """Forty paths of each experiment over the energy, with the geodesic's centers and the forbidden region."""
    figure = Figure(figsize=(9.2, 8.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    axis = torch.linspace(-np.pi, np.pi, 181, dtype=torch.double)
    x = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    energy = learned.surface.energy(x)
    region = forbidden_energy(energy, x, learned.kT)
    levels = np.arange(0, 81, 5)
    for axes, name in zip(grid.ravel(), TITLES, strict=True):
        axes.contourf(np.degrees(axis), np.degrees(axis), energy.T.clamp(max=80.0), levels=levels, cmap=SHADES)
        axes.contour(np.degrees(axis), np.degrees(axis), region.T, levels=[limit], colors="#cc79a7", linewidths=1.8)
        if name == "unbiased":
            chance = unbiased.weight / unbiased.weight.sum()
            chosen = np.random.default_rng(0).choice(len(unbiased.paths), DRAWN, p=chance)
            for k in chosen:
                _trace(axes, unbiased.paths[k], COLOURS[name], 0.35)
        else:
            for path in walked[name].walked.paths[:DRAWN].numpy():
                _trace(axes, path, COLOURS[name], 0.3)
            _trace(axes, np.unwrap(FAMILY.center(walked[name].found.geodesic.eta).numpy(), axis=0), INK, 1.6)
        for point, letter in ((START, "A"), (END, "B")):
            axes.plot(*np.degrees(point), "o", color="white", mec=INK, ms=11, zorder=6)
            axes.annotate(letter, np.degrees(point), ha="center", va="center", fontsize=8, color=INK, zorder=7)
        axes.set_title(TITLES[name], color=COLOURS[name], loc="left")
        axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=range(-180, 181, 90), yticks=range(-180, 181, 90), aspect="equal")
    for axes in grid[-1]:
        axes.set_xlabel("phi, degrees")
    for axes in grid[:, 0]:
        axes.set_ylabel("psi, degrees")
    bar = figure.colorbar(ScalarMappable(BoundaryNorm(levels, SHADES.N), SHADES), ax=grid, shrink=0.5, aspect=30, pad=0.02)
    bar.set_label("energy, kJ/mol (black: geodesic; pink: forbidden region)")
    return figure


def _trace(axes: Axes, path: np.ndarray, colour: str, width: float) -> None:
    """A path on the torus, its lines broken where it wraps."""
    wrapped = np.degrees(np.remainder(path + np.pi, 2 * np.pi) - np.pi)
    jumps = 1 + np.flatnonzero((np.abs(np.diff(wrapped, axis=0)) > 180).any(1))
    axes.plot(*np.insert(wrapped, jumps, np.nan, axis=0).T, color=colour, lw=width)


def energies(learned: Learned, walked: dict[str, Guided], unbiased: Unbiased) -> Figure:
    """Mean energy along the curves with its spread, and the distribution of each path's highest energy."""
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    along, tops = figure.subplots(1, 2)
    for name, result in walked.items():
        energy = result.walked.energy.numpy()
        s = np.linspace(0, 1, energy.shape[1])
        low, high = np.percentile(energy, [5, 95], axis=0)
        along.fill_between(s, low, high, color=COLOURS[name], alpha=0.2, lw=0)
        along.plot(s, energy.mean(0), color=COLOURS[name], label=TITLES[name])
        highest = learned.surface.energy(result.walked.paths).amax(1).numpy()
        tops.hist(highest, bins=40, density=True, histtype="step", lw=1.5, color=COLOURS[name], label=TITLES[name])
    highest = np.array([float(learned.surface.energy(torch.from_numpy(p)).max()) for p in unbiased.paths])
    tops.hist(highest, bins=40, weights=unbiased.weight, density=True, color=COLOURS["unbiased"], alpha=0.35, label=TITLES["unbiased"])
    along.set(xlabel="share of the curve's length", ylabel="energy, kJ/mol (mean, 5 to 95 %)", xlim=(0, 1))
    tops.set(xlabel="highest energy of a path, kJ/mol", ylabel="density")
    tops.legend(fontsize=8)
    return figure


def faithfulness(walked: dict[str, Guided]) -> Figure:
    """Lag of U and of the bias behind their quadrature values, point by point, and the steps spent."""
    figure = Figure(figsize=(9.2, 3.0), layout="constrained")
    for axes, (name, result) in zip(figure.subplots(1, len(walked), sharey=True), walked.items(), strict=True):
        s = np.linspace(0, 1, len(result.lag))
        axes.axhspan(-3, 3, color=MUTED, alpha=0.15, lw=0)
        for k, (label, mark) in enumerate((("energy", "o"), ("bias", "s"))):
            axes.plot(s, result.lag[:, k], mark, ms=3, color=COLOURS[name], mfc="white" if k else COLOURS[name], label=label)
        axes.set_yscale("symlog", linthresh=5)
        axes.set(xlabel="share of the curve's length", xlim=(-0.02, 1.02))
        axes.set_title(TITLES[name], color=COLOURS[name], loc="left")
    figure.axes[0].set_ylabel("lag, standard errors")
    figure.axes[0].legend(fontsize=8)
    return figure
