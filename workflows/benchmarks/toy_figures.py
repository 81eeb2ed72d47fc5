"""Figures of the toy benchmark, each from what was computed to a matplotlib figure."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks import toy, toy_plane, toy_sampling
from benchmarks.toy import FlowAndGeodesic
from benchmarks.toy_plane import PullbackAndSpacetime
from benchmarks.toy_sampling import Sampling
from spacetime_tps.geometry.spline import resample
from spacetime_tps.report.figures import INK, MUTED, STYLE

__all__ = ["STYLE", "posteriors", "pullback", "spacetime", "trajectories"]

FLOW, GEODESIC, THIRD = "#d55e00", "#0072b2", "#009e73"
DASHED = (0, (4, 1.5))
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#9aa5b1"])
DRAWN = 16


def spacetime(compared: list[FlowAndGeodesic]) -> Figure:
    """Density p(x_t, t), the paths of the flow and the geodesics between their ends."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    t, x = torch.linspace(0.0, 1.0, 201, dtype=torch.double), torch.linspace(-4.2, 4.2, 281, dtype=torch.double)
    shades = axes.contourf(t, x, toy.density(x[:, None], t[None, :]).numpy(), levels=np.linspace(0.0, 0.4, 17), cmap=SHADES)
    bar = figure.colorbar(shades, ax=axes, pad=0.02, aspect=30, ticks=np.arange(0.0, 0.41, 0.1))
    bar.set_label("density p(x$_t$, t)")
    bar.outline.set_visible(False)
    for c in compared:
        for eta, colour, dashes, label in ((c.flow, FLOW, "-", "probability flow"), (c.geodesic.eta, GEODESIC, DASHED, "geodesic")):
            z = torch.cat(toy.FAMILY.spacetime(_fine(eta)), -1)
            axes.plot(toy.time_at(z[:, 1]), z[:, 0], color=colour, ls=dashes, lw=2.0, label=label if c is compared[0] else None)
        ends = torch.cat(toy.FAMILY.spacetime(c.flow[[0, -1]]), -1)
        axes.plot(toy.time_at(ends[:, 1]), ends[:, 0], "o", color=INK, ms=4.5, zorder=5)
    axes.set(xlim=(0, 1.02), ylim=(-4.2, 4.2), xlabel="time t (0: data, 1: noise; log SNR = 10 − 20 t)", ylabel="noised coordinate x$_t$")
    axes.legend(loc="upper left")
    return figure


def _fine(eta: Tensor) -> Tensor:
    """The curve with 40 points for each: out of pure noise t changes by 0.2 within ten."""
    z = resample(toy.FAMILY.chart(eta), torch.arange(len(eta), dtype=torch.double), 40 * len(eta))
    return toy.FAMILY.from_chart(z)


def posteriors(compared: list[FlowAndGeodesic]) -> Figure:
    """Mean and spread of the denoising distributions along flow and geodesic, against the parameter that their energies refer to."""
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    for axes, c in zip(figure.subplots(1, len(compared), sharey=True), compared, strict=True):
        for eta, colour, dashes, label in (
            (c.flow, FLOW, "-", "probability flow, uniform in t"),
            (c.geodesic.eta, GEODESIC, DASHED, "geodesic"),
        ):
            share = np.linspace(0.0, 1.0, len(eta))
            mean = toy.MIXTURE.moments(eta).mean
            deviation = (mean[:, 1] - mean[:, 0].square()).clamp_min(0.0).sqrt()
            axes.fill_between(share, mean[:, 0] - deviation, mean[:, 0] + deviation, color=colour, alpha=0.2, lw=0)
            axes.plot(share, mean[:, 0], color=colour, ls=dashes, lw=2.0, label=label)
        axes.set(title=f"start x = {c.start:g}".replace("-", "−"), xlim=(0, 1), xlabel="curve parameter, noise to data")
    figure.axes[0].set_ylabel("E[x$_0$ | x$_t$] ± standard deviation")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def pullback(planar: PullbackAndSpacetime) -> Figure:
    """Noise and data planes: the pullback geodesic decodes to a straight line, the spacetime geodesic's mean goes its own way."""
    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    noise, data = figure.subplots(1, 2)
    axis = np.linspace(-2.6, 2.6, 121)
    noise.contourf(axis, axis, np.exp(-0.5 * (axis[:, None] ** 2 + axis**2)) / (2 * np.pi), levels=10, cmap=SHADES)
    noise.plot(*planar.straight_noise.T, color=THIRD, ls=(0, (1, 1.2)), lw=2.2)
    noise.plot(*planar.pullback.latent.T, color=FLOW, lw=2.0)
    noise.plot(*planar.pullback.latent[[0, -1]].T, "o", color=INK, ms=5)
    noise.set(title="noise, log SNR −10", xlabel="x$_t$, first coordinate", ylabel="x$_t$, second coordinate")
    _plane_density(data)
    data.plot(*planar.straight_noise_decoded.T, color=THIRD, ls=(0, (1, 1.2)), lw=2.2, label="straight in noise, decoded")
    data.plot(*planar.pullback.decoded.T, color=FLOW, lw=2.0, label="pullback geodesic, decoded")
    data.plot(*planar.spacetime_mean.T, color=GEODESIC, ls=DASHED, lw=2.0, label="spacetime geodesic, E[x$_0$ | x$_t$]")
    data.plot(*toy_plane.ENDS.T, "o", color=INK, ms=5)
    data.set(title="data", xlim=(-3.3, 3.3), ylim=(-2.4, 4.2), xlabel="x$_0$, first coordinate", ylabel="x$_0$, second coordinate")
    data.legend(loc="lower center", fontsize=8)
    for axes in (noise, data):
        axes.set_aspect("equal")
    return figure


def _plane_density(axes: Axes) -> None:
    """The planar mixture's density, each level half the one above so that the small components show."""
    x, y = (torch.linspace(low, low + 6.6, 166, dtype=torch.double) for low in (-3.3, -2.4))
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[..., None, :]
    component = torch.distributions.Normal(toy_plane.PLANE.means, toy_plane.PLANE.variances.sqrt())
    log_density = torch.logsumexp(toy_plane.PLANE.log_weights + component.log_prob(points).sum(-1), dim=-1)
    halvings = ((log_density - log_density.max()) / np.log(2.0)).numpy()
    axes.contourf(x, y, halvings, levels=range(-8, 1), cmap=SHADES)


def trajectories(sampled: Sampling) -> Figure:
    """Sampling and denoising trajectories in the plane, their quasi-linearity and distances, and how early one can jump."""
    figure = Figure(figsize=(9.4, 7.0), layout="constrained")
    (plane, cosine), (distance, jumps) = figure.subplots(2, 2)
    _paths(plane, sampled)
    log_snr = toy_sampling.SCHEDULE.numpy()
    _band(cosine, 0.5 * (log_snr[1:] + log_snr[:-1]), sampled.cosine, FLOW, "-", "median and 10–90 % of trajectories")
    cosine.set(title="quasi-linearity", ylabel="cosine of step and way to the sample", ylim=(None, 1.05))
    cosine.legend(loc="lower left")
    _band(distance, log_snr, sampled.gap, FLOW, "-", "x$_t$/α to E[x$_0$ | x$_t$]")
    _band(distance, log_snr[:-1], sampled.to_come[:-1], GEODESIC, DASHED, "E[x$_0$ | x$_t$] to the final sample")
    distance.set(title="how far there is to go", ylabel="distance, units of x", yscale="log")
    distance.legend(loc="upper right")
    jumps.plot(
        sampled.jump_log_snr, [test.distance for test in sampled.jumps], "o-", color=GEODESIC, ms=4, lw=1.5, label="points jumped to"
    )
    jumps.axhline(float(sampled.flow.null.quantile(0.99)), color=MUTED, lw=1.2, ls="--", label="99 % of relabellings are below")
    jumps.set(title="how early one can jump", ylabel="energy distance from the data", yscale="log")
    jumps.legend(loc="upper right")
    for axes in (cosine, distance, jumps):
        axes.set(xlim=(log_snr[0], log_snr[-1]), xlabel="log SNR")
    return figure


def _paths(axes: Axes, sampled: Sampling) -> None:
    _plane_density(axes)
    for k in range(DRAWN):
        axes.plot(*sampled.path[:, k].T, color=FLOW, lw=1.3, label="x$_t$" if k == 0 else None)
        axes.plot(*sampled.denoised[:, k].T, color=GEODESIC, ls=DASHED, lw=1.3, label="E[x$_0$ | x$_t$]" if k == 0 else None)
        axes.plot(*sampled.path[0, k], "o", mfc="white", mec=INK, ms=4, zorder=5, label="noise" if k == 0 else None)
        axes.plot(*sampled.path[-1, k], "o", color=INK, ms=4, zorder=5, label="sample" if k == 0 else None)
    axes.set(title="sampling and denoising trajectories", xlabel="first coordinate", ylabel="second coordinate")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="lower left", fontsize=8)


def _band(axes: Axes, x: np.ndarray, values: Tensor, colour: str, dashes: object, label: str | None) -> None:
    low, middle, high = np.quantile(values.numpy(), [0.1, 0.5, 0.9], axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
    axes.plot(x, middle, color=colour, ls=dashes, lw=1.8, label=label)
