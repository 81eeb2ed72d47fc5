"""The tables of docs/diffusion.md, from the figures as plain data."""

from typing import Any

from benchmarks.diffusion.solvers import COUNTS
from spacetime_tps.report.table import markdown

NAMES = (("step", "steps of x_t/α"), ("score", "the score"), ("x_t", "steps of x_t, VP"))


def tables(v: dict[str, Any]) -> str:
    """All tables of `values_of`, with target and seed, as Markdown."""
    parts = [
        f"{v['target']}, seed {v['seed']}\n",
        _conformers(v["conformers"]),
        _along(v),
        _tests(v),
        _sentences(v),
        _returns(v),
        _interpolation(v["interpolation"]),
        _solvers(v["solvers"]),
        _distance(v["distance"]),
    ]
    return "\n".join(parts)


def _row(name: str, values: list[float], form: str = ".3f") -> list[str]:
    return [name, *(format(x, form) for x in values)]


def _conformers(c: dict[str, Any]) -> str:
    rows = [
        [f"{k + 1}", *(f"{x:.0f}" for x in angles), f"{height:.2f}", *(f"{share[k]:.3f}" for share in c["share"].values())]
        for k, (angles, height) in enumerate(zip(c["phi_psi_degrees"], c["height_kT"], strict=True))
    ]
    return markdown(["conformer", "φ", "ψ", "height, kT", "data", "flow", "mean shift from noise"], rows)


def _along(v: dict[str, Any]) -> str:
    t, memory, of = v["trajectories"], v["memory"], v["deviation"]["of"]
    linear = t["quasi_linearity"]
    rows = [
        *(_row(f"cosine of {name}, {q}", linear[key][k]) for key, name in NAMES for k, q in enumerate(("10 %", "median", "90 %"))),
        _row("x_t/α to the sample, median", t["to_sample"]["center"]),
        _row("E[x_0] to the sample, median", t["to_sample"]["denoised"]),
        *(_row(f"score deviation, {name}", x["score"], ".4f") for name, x in of.items()),
        *(_row(f"the same from the optimal, {name}", of[name]["from_optimal"], ".4f") for name in ("mixture", "network")),
        *(_row(f"deviation of E[x_0], {name}", x["denoised"], ".4f") for name, x in of.items()),
        _row("I(x_0; x_t), nats", memory["information"], ".4f"),
        _row("its standard error", memory["standard_error"], ".4f"),
        _row("the same from squared errors", memory["by_error"], ".4f"),
        _row("E[x_0] from the mean, of the spread", memory["displaced"]),
    ]
    return markdown(["log SNR", *(f"{level:g}" for level in v["levels"])], rows)


def _tests(v: dict[str, Any]) -> str:
    t = v["trajectories"]
    tests = {"exact": t["flow"], **{name: x["samples"] for name, x in v["deviation"]["of"].items()}}
    tests["one start, reverse SDE"] = v["memory"]["one_start"]
    tests |= {f"midpoints, {name}": test for name, test in v["interpolation"]["midpoints"].items()}
    tests |= {f"jump at {test['log_snr']:g}": test for test in t["jumps"]}
    rows = [
        [name, f"{test['energy_distance']:.4f}", f"{test['null_99_percent']:.4f}", f"{test['p_value']:.3f}"] for name, test in tests.items()
    ]
    return markdown(["samples", "energy distance", "99 % of relabellings below", "p"], rows)


def _sentences(v: dict[str, Any]) -> str:
    shift, deviation, of = v["mean_shift"], v["deviation"], v["deviation"]["of"]
    nearest = ", ".join(f"{name} {x['to_frames']:.4f}" for name, x in of.items())
    ends = ", ".join(f"{name} {x['ends_apart']:.3f}" for name, x in of.items())
    return (
        f"E[x_0 | x_t] and mean shift differ by {shift['largest_difference']:.1e}, Euler's method and shortened shifts by "
        f"{shift['largest_after_euler']:.1e}, VP and VE by {v['trajectories']['schedules_differ']:.1e}; there and back: "
        f"{v['interpolation']['round_trip']:.1e}. Nearest of {deviation['frames']} frames, median: fresh draws "
        f"{deviation['fresh_to_frames']:.4f}, {nearest}. Ends from the exact flow's, root mean square: {ends}.\n"
    )


def _returns(v: dict[str, Any]) -> str:
    memory, decided = v["memory"], v["mean_shift"]["decided"]
    levels = memory["turn_log_snr"]
    rows = [
        _row(f"back to conformer {k + 1} (chance {chance:.2f})", [shares[k] for shares in memory["returned"]], ".2f")
        for k, chance in enumerate(memory["chance"])
    ]
    rows.append(_row("mean shift finds the flow's conformer", decided[: len(levels)], ".2f"))
    return markdown(["log SNR", *(f"{level:g}" for level in levels)], rows)


def _interpolation(i: dict[str, Any]) -> str:
    rows = [
        [f"{a + 1} to {b + 1}", name, f"{highest[name]:.1f}", f"{leap[name]:.0f}"]
        for (a, b), highest, leap in zip(i["pairs"], i["highest_kT"], i["leap"], strict=True)
        for name in highest
    ]
    return markdown(["conformers", "curve", "highest, kT above the ends", "largest step / mean"], rows)


def _solvers(solved: list[dict[str, Any]]) -> str:
    rows = [
        [f"{s['step']}, {s['variables']}, {s['grid']}", f"{s['order']:.2f}"]
        + [f"{error:.4f} ({100 * astray:.0f} %)" for error, astray in zip(s["error"], s["astray"], strict=True)]
        for s in solved
    ]
    return markdown(["solver", "order", *(f"{count} evaluations" for count in COUNTS)], rows)


def _distance(d: dict[str, Any]) -> str:
    seconds = d["seconds"]
    rows = [
        ["smallest, largest", "{:.2f}, {:.2f}".format(*d["range"])],
        ["largest excess over the triangle inequality", f"{d['triangle_excess']:.3f}"],
        *([f"Spearman: {name}", f"{x:.2f}"] for name, x in d["spearman"].items()),
        *(["lowest κ on the way, median, {:.0f} to {:.0f} degrees".format(*b["degrees"]), f"{b['median']:.1f}"] for b in d["lowest_kappa"]),
        ["Spearman of torsion distance and widest noise", f"{d['spearman_of_distance_and_noise']:.2f}"],
        ["error of the geodesics, largest of 8", f"{100 * d['error_of_geodesics']:.1f} %"],
        ["under the trained mixture, median, largest of 8", "{:.1f} %, {:.1f} %".format(*(100 * x for x in d["under_mixture"].values()))],
        *([f"relative error, {name}", f"{100 * x:.1f} %"] for name, x in d["relative_error"].items()),
        ["largest relative error, network", f"{100 * d['largest_relative_error']:.0f} %"],
        ["a geodesic, ms", f"{1e3 * seconds['geodesic']:.0f}"],
        ["a predicted pair, ms", f"{1e3 * seconds['predicted']:.3f}"],
        ["training, s", f"{seconds['training']:.1f}"],
    ]
    return markdown(["Diffusion Edit Distance", "value"], rows)
