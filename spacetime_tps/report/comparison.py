"""compare.json as people read it: a table, and sentences on what it comes to."""

from collections.abc import Iterator, Mapping
from typing import Any

from spacetime_tps.report.table import markdown

HEAD = (
    "method", "unbiased", "paths", "valid", "effective", "highest energy, kJ/mol", "above thermal", "length, ps", "dissipated work, kT",
    "evaluations in all", "set-up", "evaluations an effective path", "with set-up", "channels", "wall, s",
)  # fmt: skip
CLOSE = 1.5
"""A ratio of costs within which two methods are called equal: effective numbers of short runs are known no better"""
FAR = 3.0
"""Standard errors apart at which two unbiased methods are said to disagree"""
FEW = 10.0
"""Effective paths below which a method's figures are said to rest on too little"""
Methods = Mapping[str, Mapping[str, Any]]
LEGEND = (
    "Energies are those of each path's highest frame, above start.pdb and above stretches of plain MD in A that are as long. Effective: of "
    "guided and steered paths, which are pulled and independent, the valid ones; of unbiased ones Kish's number over the design effect; of "
    "chains the moves over those that an independent path takes. Set-up is what a method rests on: plain MD, windows, the path a chain begins "
    "from. An evaluation is one force of one configuration, in all it includes paths walked back for their work. Wall times are of sampling "
    "alone, on all cores for guided, steered and unbiased, on one for chains."
)


def rows_of(methods: Methods) -> list[list[str]]:
    """The table's cells, a row a method."""
    return [
        [
            name,
            "yes" if m["unbiased"] else "no",
            str(m["paths"]),
            str(m["valid"]),
            f"{m['effective']:.0f}",
            _with_error(m["max_energy_kj_mol"]),
            _with_error(m["max_energy_above_thermal_kj_mol"]),
            _with_error(m["length_ps"], 2),
            _with_error(m["dissipated_work_kT"]),
            f"{m['evaluations']['total']:,}",
            f"{m['evaluations']['set_up']:,}",
            _count(m["evaluations_per_effective_path"]),
            _count(m["evaluations_per_effective_path_with_set_up"]),
            str(len(m["channels"])),
            "–" if m["wall_seconds"] is None else f"{m['wall_seconds']:.0f}",
        ]
        for name, m in methods.items()
    ]


def page(content: Mapping[str, Any]) -> str:
    """compare.md, from the content of compare.json."""
    title = f"# {content['system']} at {content['temperature_K']:g} K, budget {content['budget']:,} evaluations, seed {content['seed']}"
    found = "\n".join(f"- {sentence}" for sentence in sentences(content))
    return f"{title}\n\n{markdown(HEAD, rows_of(content['methods']))}\n{found}\n\n{LEGEND}\n"


def sentences(content: Mapping[str, Any]) -> list[str]:
    """What the comparison comes to, whoever it speaks for; and what is left out, and why."""
    methods: Methods = content["methods"]
    reasons = dict.fromkeys(content["left_out"].values())
    left_out = [f"left out: {', '.join(n for n, why in content['left_out'].items() if why == reason)}: {reason}." for reason in reasons]
    return [*_costs(methods), *_agreement(methods), *_pulled(methods), *_never_visited(methods), *_thin(methods), *left_out]


def _costs(methods: Methods) -> Iterator[str]:
    """Each chain's cost against weighted shots."""
    ours = methods.get("unbiased")
    if ours is None or not ours["evaluations_per_effective_path"]:
        return
    for name, m in methods.items():
        if name == "unbiased" or not m["unbiased"] or not m["evaluations_per_effective_path"]:
            continue
        ratio = m["evaluations_per_effective_path"] / ours["evaluations_per_effective_path"]
        in_all = m["evaluations_per_effective_path_with_set_up"] / ours["evaluations_per_effective_path_with_set_up"]
        verdict = "as good as unbiased, within what is known" if 1.0 / CLOSE <= ratio <= CLOSE else "cheaper" if ratio < 1.0 else "dearer"
        yield f"{name} takes {ratio:.2g} times the evaluations of unbiased for an effective path ({in_all:.2g} with set-up): {verdict}."


def _agreement(methods: Methods) -> Iterator[str]:
    """Unbiased methods sample one ensemble, but for those of a fixed length."""
    ours = methods.get("unbiased")
    if ours is None or not ours["valid"]:
        return
    for name, m in methods.items():
        if name == "unbiased" or not m["unbiased"] or not m["valid"] or name.startswith("mcmc-fixed"):
            continue
        for key, what in (("max_energy_kj_mol", "highest energy"), ("length_ps", "length")):
            error = (m[key]["standard_error"] ** 2 + ours[key]["standard_error"] ** 2) ** 0.5
            apart = abs(m[key]["mean"] - ours[key]["mean"])
            if error and apart > FAR * error:
                yield (
                    f"{name} and unbiased differ by {apart / error:.1f} standard errors in mean {what}: one has not sampled enough, "
                    "or visits other channels."
                )


def _pulled(methods: Methods) -> Iterator[str]:
    """Guided paths against steered ones."""
    ours = methods.get("guided")
    key = "max_energy_above_thermal_kj_mol"
    if ours is None or ours[key] is None:
        return
    for name, m in methods.items():
        if not name.startswith("steered") or m[key] is None:
            continue
        error = (m[key]["standard_error"] ** 2 + ours[key]["standard_error"] ** 2) ** 0.5
        more = m[key]["mean"] - ours[key]["mean"]
        cost = m["evaluations_per_effective_path"] / ours["evaluations_per_effective_path"]
        verdict = "as good as guided" if abs(more) <= 2.0 * error else "worse than guided" if more > 0.0 else "better than guided"
        yield f"{name} lies {more:+.1f} ± {error:.1f} kJ/mol from guided in highest energy, at {cost:.2g} times its cost: {verdict}."


def _never_visited(methods: Methods) -> Iterator[str]:
    """Channels that one unbiased method found and another never saw."""
    unbiased = {name: m for name, m in methods.items() if m["unbiased"] and m["valid"]}
    found = sorted({channel for m in unbiased.values() for channel in m["channels"]})
    for name, m in unbiased.items():
        for channel in (c for c in found if c not in m["channels"]):
            seen = ", ".join(
                f"{100.0 * o['channels'][channel]:.1f} % of {other}" for other, o in unbiased.items() if channel in o["channels"]
            )
            yield f"{name} never visited {channel} ({seen})."


def _thin(methods: Methods) -> Iterator[str]:
    for name, m in methods.items():
        if m["effective"] >= FEW:
            continue
        held = "moves_with_memory_of_the_initial_path" in m and m["moves_with_memory_of_the_initial_path"] is None
        why = "it still holds frames of its initial path" if held else "its figures say little"
        yield f"{name} is worth {m['effective']:.1f} effective paths: {why}; a larger --budget helps."


def _with_error(entry: Mapping[str, float] | None, digits: int = 1) -> str:
    return "–" if entry is None else f"{entry['mean']:.{digits}f} ± {entry['standard_error']:.{digits}f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
