"""The picture of a comparison: what a path costs, how high it goes, how long it is, method by method."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spacetime_tps.report.figures import CURVE, GUIDED, MUTED, STYLE, logarithmic

Methods = Mapping[str, Mapping[str, Any]]


def picture(methods: Methods) -> bytes:
    """A PNG of the methods of compare.json."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.0, 1.6 + 0.36 * len(methods)), layout="constrained")
        cost, energy, length = figure.subplots(1, 3, sharey=True)
        _costs(cost, methods)
        _energies(energy, methods)
        _lengths(length, methods)
        cost.set_yticks(range(len(methods)), list(methods))
        cost.invert_yaxis()
        cost.plot([], [], "s", color=CURVE, label="unbiased")
        cost.plot([], [], "s", color=GUIDED, label="pulled")
        figure.legend(*cost.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def _colour(m: Mapping[str, Any]) -> str:
    return CURVE if m["unbiased"] else GUIDED


def _costs(axes: Axes, methods: Methods) -> None:
    logarithmic(axes.xaxis)
    for k, m in enumerate(methods.values()):
        if m["effective"]:
            ends = [m["evaluations_per_effective_path"], m["evaluations_per_effective_path_with_set_up"]]
            axes.plot(ends, [k, k], color=_colour(m), lw=1.2)
            axes.plot(ends[0], k, "o", color=_colour(m), ms=7)
            axes.plot(ends[1], k, "|", color=_colour(m), ms=10)
    axes.plot([], [], "o", color=MUTED, label="sampling alone")
    axes.plot([], [], "|", color=MUTED, ms=10, label="with set-up")
    axes.set(title="Evaluations an effective path", xlabel="force evaluations")
    axes.grid(axis="x", color="#e3e8ed")


def _energies(axes: Axes, methods: Methods) -> None:
    for k, m in enumerate(methods.values()):
        above = m["max_energy_above_thermal_kj_mol"]
        if above is not None:
            axes.errorbar(above["value"], k, xerr=above["standard_error"], fmt="o", color=_colour(m), ms=6, capsize=3)
    axes.axvline(0.0, color=MUTED, lw=0.8, ls=":")
    axes.set(title="Highest energy above thermal", xlabel="kJ/mol, ± standard error")
    axes.grid(axis="x", color="#e3e8ed")


def _lengths(axes: Axes, methods: Methods) -> None:
    logarithmic(axes.xaxis)
    for k, m in enumerate(methods.values()):
        if m["length_quantiles_ps"] is not None:
            low, first, median, third, high = m["length_quantiles_ps"].values()
            axes.plot([low, high], [k, k], color=_colour(m), lw=1.2)
            axes.plot([first, third], [k, k], color=_colour(m), lw=7, alpha=0.45, solid_capstyle="butt")
            axes.plot(median, k, "|", color=_colour(m), ms=12, mew=2)
    axes.set(title="Length of a path: 5 to 95 %, quartiles, median", xlabel="ps")
    axes.grid(axis="x", color="#e3e8ed")
