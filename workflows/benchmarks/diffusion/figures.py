"""Figures of the diffusion benchmark, each from what was measured to a matplotlib figure."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.diffusion.deviation import Deviations
from benchmarks.diffusion.distance import Distances
from benchmarks.diffusion.interpolation import Interpolated
from benchmarks.diffusion.mean_shift import Shifted
from benchmarks.diffusion.memory import Memory
from benchmarks.diffusion.solvers import COUNTS, Solved
from benchmarks.diffusion.target import SCHEDULE, TORSIONS, Target
from benchmarks.diffusion.trajectories import Trajectories
from spacetime_tps.denoisers.quadrature import periodic_grid
from spacetime_tps.report.figures import INK, MUTED

FLOW, POINT, THIRD, FOURTH = "#d55e00", "#0072b2", "#009e73", "#7c3aed"
DASHED, DOTTED = (0, (4, 1.5)), (0, (1, 1.2))
SHADES = LinearSegmentedColormap.from_list("shades", ["#9aa5b1", "#ffffff"])
NOISE = LinearSegmentedColormap.from_list("noise", ["#d55e00", "#f0c987", "#0072b2"])
DRAWN, CELLS = 14, 60
LABEL = "log SNR"


def sampling(
    target: Target, sampled: Trajectories, shift: Shifted, deviations: Deviations, remembered: Memory, solved: list[Solved]
) -> Figure:
    """Six panels: trajectories, their straightness, jumps, score deviation, memory, solvers."""
    figure = Figure(figsize=(12.6, 7.4), layout="constrained")
    (plane, cosine, jumps), (score, memory, solvers) = figure.subplots(2, 3)
    _denoising(plane, target, sampled)
    _cosines(cosine, sampled)
    _jumps(jumps, sampled)
    _score(score, deviations)
    _memory(memory, remembered, shift)
    _solvers(solvers, solved)
    return figure


def distance(target: Target, interpolated: Interpolated, distances: Distances) -> Figure:
    """Five panels: latent interpolation, the matrix, distance and noise against torsion distance, the distilled distance."""
    figure = Figure(figsize=(12.6, 7.4), layout="constrained")
    (plane, matrix, far), (noise, distilled, curves) = figure.subplots(2, 3)
    _interpolation(plane, target, interpolated)
    _matrix(matrix, distances)
    _against_torsions(far, noise, distances)
    _distilled(distilled, distances)
    _geodesics(curves, target, distances)
    return figure


def _map(axes: Axes, target: Target) -> None:
    """Height over the torus, every 3 kT to 18."""
    grid = periodic_grid(CELLS, 2)
    height = np.pad(target.height(grid).reshape(CELLS, CELLS).numpy(), (0, 1), mode="wrap")
    axis = np.linspace(-180.0, 180.0, CELLS + 1)
    axes.contourf(axis, axis, (height - height.min()).T, levels=np.arange(0.0, 19.0, 3.0), cmap=SHADES)
    axes.set(xlim=(-180, 180), ylim=(-180, 180), xlabel="φ, degrees", ylabel="ψ, degrees")
    axes.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))


def _line(axes: Axes, angles: Tensor, colour: str, *, width: float, label: str | None) -> None:
    """A curve on the torus, broken where it leaves the picture."""
    degrees = np.degrees(angles.numpy())
    seam = np.abs(np.diff(degrees, axis=0)).max(axis=1) > 180.0
    axes.plot(*np.insert(degrees, np.flatnonzero(seam) + 1, np.nan, axis=0).T, color=colour, lw=width, label=label)


def _denoising(axes: Axes, target: Target, sampled: Trajectories) -> None:
    _map(axes, target)
    for k in range(DRAWN):
        first = k == 0
        _line(axes, TORSIONS.center(sampled.denoised[:, k]), POINT, width=1.1, label="E[x$_0$ | x$_t$]" if first else None)
        ends = np.degrees(TORSIONS.center(sampled.centers[-1, k]).numpy())
        axes.plot(*ends, "o", color=INK, ms=4, label="sample" if first else None)
    begin = np.degrees(TORSIONS.center(sampled.denoised[0, :DRAWN]).numpy())
    axes.plot(*begin.T, "o", mfc="white", mec=INK, ms=4, label="E[x$_0$ | x$_t$] of pure noise")
    axes.set(title="denoising trajectories")
    axes.legend(loc="lower right", fontsize=8)


def _band(axes: Axes, x: np.ndarray, values: Tensor, colour: str, dashes: object, label: str) -> None:
    low, middle, high = np.quantile(values.numpy(), [0.1, 0.5, 0.9], axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    axes.plot(x, middle, color=colour, ls=dashes, lw=1.8, label=label)


def _cosines(axes: Axes, sampled: Trajectories) -> None:
    at = SCHEDULE.numpy()
    between = 0.5 * (at[1:] + at[:-1])
    _band(axes, between, sampled.step_cosine, FLOW, "-", "steps of x$_t$/α")
    _band(axes, at[:-1], sampled.score_cosine, POINT, DASHED, "score")
    _band(axes, between, sampled.preserving_cosine, MUTED, DOTTED, "steps of x$_t$, variance preserving")
    axes.set(title="quasi-linearity (median, 10–90 %)", ylabel="cosine with the way to the sample", xlabel=LABEL, ylim=(0.0, 1.03))
    axes.legend(loc="lower right")


def _jumps(axes: Axes, sampled: Trajectories) -> None:
    axes.plot(sampled.jump_log_snr, [test.distance for test in sampled.jumps], "o-", color=POINT, ms=4, lw=1.5, label="samples jumped to")
    axes.axhline(float(sampled.flow.null.quantile(0.99)), color=MUTED, lw=1.2, ls="--", label="99 % of relabellings are below")
    to_sample = sampled.gap.median(-1).values
    axes.plot(SCHEDULE[:-1], to_sample[1, :-1], color=POINT, ls=DASHED, lw=1.5, label="E[x$_0$ | x$_t$] to the sample, median")
    axes.plot(SCHEDULE[:-1], to_sample[0, :-1], color=FLOW, lw=1.5, label="x$_t$/α to the sample, median")
    axes.set(title="how early one can jump", ylabel="energy distance, distance", xlabel=LABEL, yscale="log")
    axes.legend(loc="upper right", fontsize=8)


def _score(axes: Axes, deviations: Deviations) -> None:
    names = {"optimal": "optimal for the frames", "mixture": "von Mises mixture", "network": "potential network"}
    for (name, label), colour, dashes in zip(names.items(), (MUTED, THIRD, FLOW), (DOTTED, DASHED, "-"), strict=True):
        axes.plot(SCHEDULE, deviations.of[name].score, color=colour, ls=dashes, lw=1.8, label=label)
    for name, colour in (("mixture", THIRD), ("network", FLOW)):
        rest = "these from the optimal" if name == "mixture" else None
        axes.plot(SCHEDULE, deviations.of[name].from_optimal, color=colour, ls=DOTTED, lw=1.0, label=rest)
    axes.set(title="score deviation along trajectories", ylabel="root mean square, σ × score", xlabel=LABEL, yscale="log")
    axes.legend(loc="lower right")


def _memory(axes: Axes, remembered: Memory, shift: Shifted) -> None:
    axes.plot(SCHEDULE, remembered.information, color=INK, lw=1.8, label="I(x$_0$; x$_t$), nats")
    axes.plot(SCHEDULE, remembered.by_error, color=THIRD, lw=2.0, ls=DOTTED, label="the same from squared errors")
    kept = (remembered.returned - remembered.chance) / (1.0 - remembered.chance)
    axes.plot(remembered.turn_log_snr, kept.mean(-1), "o-", color=POINT, ms=4, lw=1.4, label="returns to its conformer (1: all, 0: chance)")
    axes.plot(shift.from_log_snr, shift.decided, "s--", color=FLOW, ms=4, lw=1.4, label="mean shift finds the flow's conformer")
    axes.set(title="memory", ylabel="nats; share", xlabel=LABEL, xlim=(SCHEDULE[0], 4.0), ylim=(-0.1, 3.2))
    axes.legend(loc="upper left", fontsize=8)


def _solvers(axes: Axes, solved: list[Solved]) -> None:
    colours = {"VE, sigma": POINT, "VE, log SNR": FOURTH, "VP, log SNR": FLOW}
    for s in solved:
        if s.grid == "uniform in log SNR":
            dashes, marker = ("-", "o") if s.step == "Heun" else (DASHED, "s")
            axes.plot(COUNTS, s.error, marker=marker, ls=dashes, color=colours[s.variables], ms=4, lw=1.5, label=f"{s.step}, {s.variables}")
    axes.set(title="solvers, uniform in log SNR", ylabel="distance from the exact end, median", xlabel="denoiser evaluations")
    axes.set(xscale="log", yscale="log", xticks=COUNTS, xticklabels=[str(n) for n in COUNTS], ylim=(3e-4, 3.0))
    axes.minorticks_off()
    axes.legend(loc="lower left", fontsize=8)


def _interpolation(axes: Axes, target: Target, interpolated: Interpolated) -> None:
    _map(axes, target)
    styles = {
        "straight": (MUTED, ".", "straight in φ, ψ"), "linear": (FLOW, "o", "linear in noise, decoded"),
        "spherical": (THIRD, "s", "spherical in noise, decoded"), "geodesic": (POINT, "-", "spacetime geodesic, E[T]"),
    }  # fmt: skip
    for name, (colour, marker, label) in styles.items():
        angles = interpolated.curves[-1][name].angles
        if marker == "-":
            _line(axes, angles, colour, width=2.0, label=label)
        else:
            axes.plot(
                *np.degrees(TORSIONS.center(TORSIONS.features(angles)).numpy()).T, marker, color=colour, ms=3.5, alpha=0.8, label=label
            )
    axes.set(title="interpolation between two conformers, 64 points")
    axes.legend(loc="upper right", fontsize=8)


def _matrix(axes: Axes, distances: Distances) -> None:
    axes.imshow(distances.matrix, cmap="Blues", vmin=0.0)
    names = ["{:.0f}, {:.0f}".format(*row).replace("-", "−") for row in np.degrees(distances.shown.numpy())]
    for i, row in enumerate(distances.matrix):
        for j, value in enumerate(row):
            if i != j:
                axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color="white" if value > 6.5 else INK)
    axes.set(title="Diffusion Edit Distance, κ = 50", xticks=range(len(names)), yticks=range(len(names)), yticklabels=names)
    axes.set_xticklabels(names, rotation=45, ha="right")
    axes.tick_params(labelsize=8, length=0)
    axes.spines[:].set_visible(False)


def _against_torsions(far: Axes, noise: Axes, distances: Distances) -> None:
    pairs = distances.learned
    torsion = np.degrees(pairs.torsion_distance.numpy())
    points = far.scatter(torsion, pairs.length, c=np.log10(pairs.widest), cmap=NOISE, s=14)
    bar = far.figure.colorbar(points, ax=far, pad=0.02, aspect=30, ticks=[0.0, 0.5, 1.0, 1.5])
    bar.set_ticklabels(["1", "3", "10", "30"])
    bar.set_label("lowest κ on the way")
    bar.outline.set_visible(False)
    far.set(title="Diffusion Edit Distance", xlabel="distance of φ, ψ, degrees", ylabel="length of the geodesic", ylim=(0, None))
    noise.plot(torsion, pairs.widest, "o", color=POINT, ms=3.5, alpha=0.7, mew=0)
    noise.set(title="distant ends pass through more noise", xlabel="distance of φ, ψ, degrees", ylabel="lowest κ on the way", yscale="log")


def _distilled(axes: Axes, distances: Distances) -> None:
    top = 1.05 * float(distances.held_out.length.max())
    axes.plot([0, top], [0, top], color=MUTED, lw=1.0)
    axes.plot(distances.held_out.length, distances.cubic, "s", color=MUTED, ms=3.5, alpha=0.7, mew=0, label="cubic in the torsion distance")
    axes.plot(distances.held_out.length, distances.predicted, "o", color=FLOW, ms=4, alpha=0.8, mew=0, label="distilled network")
    axes.set(title="held-out conformations", xlabel="length of the geodesic", ylabel="predicted", xlim=(0, top), ylim=(0, top))
    axes.legend(loc="upper left")


def _geodesics(axes: Axes, target: Target, distances: Distances) -> None:
    """Mean angles along the geodesics from the lowest conformer, coloured by their noise."""
    _map(axes, target)
    for geodesic in distances.geodesics[: len(distances.shown) - 1]:
        angles = np.degrees(TORSIONS.center(target.coarse.moments(geodesic.eta).mean).numpy())
        level = TORSIONS.level(geodesic.eta).square().mean(-1).sqrt()
        points = axes.scatter(angles[:, 0], angles[:, 1], c=torch.log10(level), cmap=NOISE, s=7, vmin=0.0, vmax=1.7)
    bar = axes.figure.colorbar(points, ax=axes, pad=0.02, aspect=30, ticks=[0.0, 0.5, 1.0, 1.5])
    bar.set_ticklabels(["1", "3", "10", "30"])
    bar.set_label("κ")
    bar.outline.set_visible(False)
    axes.plot(*np.degrees(distances.shown.numpy()).T, "o", color=INK, ms=4)
    axes.set(title="E[T] along geodesics from the lowest conformer")
