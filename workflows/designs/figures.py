"""The two pictures of docs/denoisers.md."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.torus import sobol
from designs import measures
from designs.surface_problem import FAMILY, Problem, Result
from spacetime_tps.geometry.denoiser import Denoiser

COLOURS = {"weighted samples": "#1b2733", "von Mises mixture": "#c2410c", "network for mu": "#0072b2", "network for psi": "#009e73"}
MAP_POINTS, MAP_KAPPA = 45, 50.0
KAPPAS, PER_KAPPA = np.geomspace(5.0, 600.0, 10), 300
AIM = 0.05


def errors(denoiser: Denoiser, p: Problem, eta: Tensor) -> Tensor:
    """|mu - exact mu| (M,)."""
    return (measures.moments(denoiser, eta).mean - measures.moments(p.exact, eta).mean).norm(dim=-1)


def error_figure(cold: tuple[Problem, list[Result]], warm: tuple[Problem, list[Result]], route: Tensor) -> Figure:
    """Above: maps of the error at kT = 1, kappa 50. Below: error against kappa at both temperatures."""
    figure = Figure(figsize=(9.6, 8.0), layout="constrained")
    panels = figure.subplots(2, 2)
    axis = (torch.arange(MAP_POINTS, dtype=torch.double) + 0.5) / MAP_POINTS * 2 * math.pi - math.pi
    center = torch.cartesian_prod(axis, axis)
    eta = FAMILY.natural(center, torch.full_like(center, MAP_KAPPA))
    turn = np.degrees(np.unwrap(FAMILY.center(route).numpy(), axis=0))
    for axes, name in zip(panels[0], ("weighted samples", "von Mises mixture"), strict=True):
        result = next(r for r in cold[1] if r.name == name)
        assert result.denoiser is not None
        z = errors(result.denoiser, cold[0], eta).reshape(MAP_POINTS, MAP_POINTS).T
        shades = axes.imshow(z, origin="lower", extent=(-180, 180, -180, 180), cmap="Blues", vmin=0, vmax=AIM)
        for a in (-360, 0, 360):
            for b in (-360, 0, 360):
                axes.plot(turn[:, 0] + a, turn[:, 1] + b, color=COLOURS["von Mises mixture"], lw=1.2)
        axes.set(title=f"{name}: mean {float(z.mean()):.4f}, kT = 1, κ = {MAP_KAPPA:.0f}", xlabel="φ, degrees", ylabel="ψ, degrees")
        axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
    bar = figure.colorbar(shades, ax=panels[0], extend="max", pad=0.02, aspect=30)
    bar.set_label("error of μ")
    bar.outline.set_visible(False)
    spread = sobol(PER_KAPPA, 2, 11)
    for axes, (p, results) in zip(panels[1], (cold, warm), strict=True):
        for result in results:
            assert result.denoiser is not None
            along = [errors(result.denoiser, p, FAMILY.natural(spread, torch.full_like(spread, k))).mean() for k in KAPPAS]
            axes.plot(KAPPAS, along, "o-", ms=4, color=COLOURS[result.name], label=result.name)
        axes.axhline(AIM, color="#6b7885", lw=1, ls=(0, (4, 2)))
        axes.text(620, AIM * 1.04, "aim", ha="right", va="bottom", color="#6b7885", fontsize=8.5)
        axes.set(xscale="log", yscale="log", xlabel="concentration κ", ylabel="mean error of μ", title=f"kT = {p.kT:g} kJ/mol")
        axes.set_ylim(0.001, 0.5)
    panels[1][0].legend(loc="lower left")
    return figure


def learning_figure(cold: list[Result], warm: list[Result], by_samples: list[tuple[int, float, float]], kT: float) -> Figure:
    """Held-out loss against steps at both temperatures, and the error against the number of samples."""
    figure = Figure(figsize=(10.4, 3.4), layout="constrained")
    panels = figure.subplots(1, 3, gridspec_kw={"wspace": 0.08})
    for axes, results, title in ((panels[0], cold, "kT = 1 kJ/mol"), (panels[1], warm, "kT = 2.494 kJ/mol")):
        floor = next(r for r in results if r.name == "weighted samples").held_out
        axes.axhline(floor, color=COLOURS["weighted samples"], lw=1.5, label="weighted samples")
        for result in results:
            if result.curve:
                step, _, held = zip(*result.curve, strict=True)
                axes.plot(step, held, color=COLOURS[result.name], label=result.name)
        axes.set(yscale="log", xlabel="step", ylabel="held-out loss", title=title)
    panels[1].legend(loc="upper right")
    counts, samples, mixture = zip(*by_samples, strict=True)
    panels[2].plot(counts, samples, "o-", color=COLOURS["weighted samples"], label="weighted samples")
    panels[2].plot(counts, mixture, "o-", color=COLOURS["von Mises mixture"], label="von Mises mixture")
    panels[2].set(xscale="log", yscale="log", xlabel="samples", ylabel="mean error of μ", title=f"Less data, kT = {kT:g} kJ/mol")
    ticks = [0.01, 0.02, 0.03, 0.05]
    panels[2].set_yticks(ticks, [f"{t:g}" for t in ticks])
    panels[2].set_yticks([], minor=True)
    panels[2].legend(loc="upper right")
    return figure
