"""The report's section on paths walked both ways: works, what they dissipate, and the free-energy difference of A and B."""

import html
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from spacetime_tps.report.data import RunData
from spacetime_tps.report.figures import GUIDED, INK, RIVALS
from spacetime_tps.report.html import number, table

CAPTION = (
    "Work of the restraint on each path from A to B, and minus that on each path back along the same curve. Their means are as far apart as both ways dissipate. "
    "Dotted, where works overlap enough: the free-energy difference of the restraint's two ends by BAR, at which the densities of paths that connect cross."
)
BINS = 30


def works(run: RunData) -> Figure:
    """Histograms of W_F and -W_R, a panel for each method and route that was walked both ways."""
    panels = [(method, route, w) for method, routes in run.summary["work"].items() for route, w in routes.items()]
    back = {forth: name for name, forth in run.summary["reverse"].items()}
    figure = Figure(figsize=(6.4, 0.8 + 1.7 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    found = [(_works(run, method, route), -_works(run, back[method], route)) for method, route, _ in panels]
    every = np.concatenate([x for pair in found for x in pair])
    bins = np.linspace(every.min() - 1.0, every.max() + 1.0, BINS + 1).tolist() if len(every) else []
    for panel, (method, route, w), pair in zip(axes, panels, found, strict=True):
        for values, colour, name in zip(pair, (GUIDED, RIVALS[0]), ("work from A to B", "minus work from B to A"), strict=True):
            if len(values):
                label = f"{name}: mean {values.mean():.1f}, std {values.std():.1f}"
                panel.hist(values, bins=bins, density=True, color=colour, alpha=0.3, lw=0)
                panel.hist(values, bins=bins, density=True, histtype="step", color=colour, lw=1.4, label=label)
        if w["crossing_kT"] is not None:
            panel.axvline(w["crossing_kT"], color=INK, lw=1.2, ls=":", label=f"BAR: {w['crossing_kT']:.1f}")
        panel.set(title=f"{method}, {route}")
        panel.set_yticks([])
        panel.spines["left"].set_visible(False)
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7.5)
    axes[-1].set(xlabel="kT")
    return figure


def _works(run: RunData, stage: str, route: str) -> np.ndarray:
    return np.array([float(r["work_kT"]) for r in run.of_stage(stage) if r["route"] == route and r["work_kT"] not in ("", "nan")])


def section(work: dict[str, Any], figure: str) -> str:
    """HTML of the whole section, from summary.json's "work"."""
    head = ["method", "route", "work from A to B, kT", "work back, kT", "dissipated, kT", "overlap", "F(B) − F(A), kT"]
    rows, notes = [], []
    for method, route, w in ((method, route, w) for method, routes in work.items() for route, w in routes.items()):
        both = (_with_error(w[key]) for key in ("forward_kT", "reverse_kT"))
        free = [_with_error(w[key]) for key in ("dissipated_kT", "free_energy_difference_kT")]
        rows.append([method, route, *both, free[0], number(w["overlap"], ".2g"), free[1]])
        if w["note"]:
            notes.append(f"{method}, {route}: {w['note']}")
    return (
        "<h2>Work, both ways</h2>"
        + "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)
        + f'<div class="pair">{figure}<div>{table(head, rows)}<p class="sub">± are standard errors over paths. Dissipated work tells drives of equal cost apart: '
        "the less, the better both ways tell the free-energy difference of A and B.</p></div></div>"
    )


def _with_error(entry: dict[str, float] | None) -> str:
    return "–" if entry is None else f"{entry['value']:.2f} ± {entry['standard_error']:.2f}"
