"""The report's section on unbiased transitions: figures of merit, what they rest on, and what nobody would see in them."""

import html
from typing import Any

from spacetime_tps.coordinates.naming import MOST
from spacetime_tps.report.html import number, table
from spacetime_tps.unbiased.verdict import cautions

CAPTIONS = {
    "unbiased_map": "Where transition paths spend their time between the states, every path with its weight. Red: transition states, from which half of "
    "all fresh trajectories went to B.",
    "committor": "Left: share of trajectories from the shooting points that reached B first, point by point and pooled, with 95 % intervals. Right: points "
    "that looked like one half, shot from again.",
    "distributions": "Lengths and highest energies under their weights. More frames find higher energies: compare paths of each length with their own thermal "
    "reference.",
    "weights": "A path's weight is one over the number of ways it could have been shot. A few weights far above the rest mean that paths exist which "
    "are hardly ever shot.",
}


def section(u: dict[str, Any], figures: dict[str, str]) -> str:
    """HTML of the whole section; figures by their names."""
    return (
        "<h2>Unbiased transitions</h2>"
        + "".join(f'<p class="note">{html.escape(note)}</p>' for note in warnings(u))
        + f'<div class="pair">{figures["unbiased_map"]}<div>{figures["committor"]}{figures["distributions"]}{figures["weights"]}</div></div>'
        + _figures_of_merit(u)
        + "<h3>Shares of routes and channels</h3>"
        + _routes(u)
        + "<h3>Where the paths were shot from, and what is out of sight</h3>"
        + _crossings(u)
        + f"<p>{_invisible(u)}</p>"
    )


def warnings(u: dict[str, Any]) -> list[str]:
    """What a reader must know before the figures, one sentence each."""
    found = [f"These paths are not an ensemble yet: {reason}." for reason in u.get("not_an_ensemble_because", ())]
    if u["effective_paths"] < u["wanted"]:
        found.append(f"{u['effective_paths']:.0f} effective paths instead of {u['wanted']}: {u['stopped_because']}.")
    return found + cautions(u)


def _figures_of_merit(u: dict[str, Any]) -> str:
    def pm(e: dict[str, float], form: str = ".1f") -> str:
        return f"{e['value']:{form}} ± {e['standard_error']:{form}}"

    effect, rate = u["design_effect"], u["rate_per_ns"]
    rows = [
        ["effective paths, (Σw)²/Σw²", f"{u['effective_paths']:.0f} of {u['paths']}"],
        ["stopped because", u["stopped_because"]],
        ["reactive shots", f"{u['reactive_fraction']:.2f} of {u['shots']}"],
        ["evaluations per effective path, points included", f"{u['evaluations_per_effective_path']:,.0f}"],
        ["highest energy, kJ/mol above start.pdb", pm(u["max_energy_kj_mol"])],
        ["… above equally long runs in A", pm(u["max_energy_above_thermal_kj_mol"])],
        ["length, ps", pm(u["duration_ps"], ".3f")],
        ["variance over that of independent paths (energy, length)", f"{effect['max_energy']:.1f}, {effect['duration']:.1f}"],
        [
            "largest weight over the mean; share of the heaviest 1 %",
            f"{u['largest_weight_over_mean']:.1f}; {u['share_of_heaviest_percent']:.1%}",
        ],
        ["transition states (transition_states.trr)", str(u["transition_states"])],
        [
            "rate A to B, per ns",
            pm(rate, ".3g") if rate["standard_error"] < rate["value"] else "not known: its error is larger than itself",
        ],
        ["share of the time from A that is spent in A, by plain MD there", pm(u["in_A_of_time_from_A"], ".3f")],
        ["trajectories that met no state in time; unstable shots", f"{u['undecided_fraction']:.2%}; {u['unstable_shots']}"],
    ]
    if u["left_out_because_broken"]:
        rows.append(["shots and paths left out: an amide bond or a chiral centre had turned", str(u["left_out_because_broken"])])
    return table(["", ""], rows)


def _routes(u: dict[str, Any]) -> str:
    rows = [[name, str(r["paths"]), f"{r['share']['value']:.4f} ± {r['share']['standard_error']:.4f}"] for name, r in u["routes"].items()]
    head = ["channel: other coordinates where the path crosses the window", "paths", "share of all transitions"]
    channels = [
        [
            f"{_place(u['crossings'][c['crossing']])}: "
            + ", ".join(f"{name} = {at:.3g} ± {c['spread'][name]:.2g}" for name, at in list(c["center"].items())[:MOST]),
            str(c["paths"]), f"{c['share']['value']:.4f} ± {c['share']['standard_error']:.4f}",
        ]
        for c in u["channels"]
    ]  # fmt: skip
    return table(["way round", "paths", "share of all transitions"], rows) + table(head, channels)


def _crossings(u: dict[str, Any]) -> str:
    head = ["crossing", "window", "windows tried", "shots", "reactive", "R-hat of walks", "free energy known to, kT"]
    rows = [
        [
            c["route"], f"{_place(c)}, stiffness {c['stiffness']:g}", str(c["windows_tried"]), str(c["shots"]),
            f"{c['reactive_fraction']:.2f}", number(c.get("r_hat")), number(c["free_energy_error_kT"]),
        ]
        for c in u["crossings"]
    ]  # fmt: skip
    return table(head, rows)


def _place(crossing: dict[str, Any]) -> str:
    return f"{crossing['variable']} = {crossing['center']:.4g}"


def _invisible(u: dict[str, Any]) -> str:
    variable = html.escape(u["crossings"][0]["variable"])
    text = f"Only paths that pass a window are ever shot. Windows hold {variable} alone; " + (
        f"every path from A to B has to change {variable}, so that none escapes windows on every way that it can. "
        if u["separating"]
        else f"but a path from A to B need not pass its place on {variable}, and those that do not are not here. "
    )
    for c in u["not_shot_from"]:
        text += f"Not shot from: {html.escape(c['route'])}, at {html.escape(_place(c))}, because {html.escape(c['because'])}. "
    text += (
        "What could still be missing: motions slower than the walks in the windows (run another seed and compare the shares), and ways from A to B "
        "that no sampled route crosses. Weights far above the mean, shares that differ between seeds, or a rate that an independent run contradicts "
        "are how one would notice."
    )
    return text
