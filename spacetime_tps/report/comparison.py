"""compare.json as people read it: a table, and sentences on what it comes to."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from spacetime_tps.report.table import markdown

HEAD = (
    "method", "unbiased", "paths", "valid", "effective", "highest energy, kJ/mol", "above thermal", "length, ps", "dissipated work, kT",
    "evaluations in all", "set-up", "evaluations an effective path", "with set-up", "channels", "wall, s",
)  # fmt: skip
CLOSE = 1.5
"""A ratio of costs within which two methods are called equal. An effective number N is known to about sqrt(2 / N) of itself, so that where
there are few the ratio is wider"""
ASIDE = ("length", "highest energy")
"""What an effective number rests on where channels are left aside"""
FAR = 3.0
"""Standard errors apart at which two unbiased methods are said to disagree"""
FEW = 10.0
"""Effective paths below which a method's figures are said to rest on too little"""
Methods = Mapping[str, Mapping[str, Any]]
MEASURES = ("paths", "length", "highest energy", "channel")
NUMBERS = (
    "unbiased method",
    "Kish or renewals",
    "by length",
    "by highest energy",
    "by channel",
    "effective",
    "evaluations by the first",
    "by the last",
)
LEGEND = (
    "Energies are those of each path's highest frame, above start.pdb and above stretches of plain MD in A that are as long. Effective: of "
    "guided and steered paths, which are pulled and independent, the valid ones; of unbiased methods the least of the numbers below. Set-up is "
    "what a method rests on: plain MD, windows, the path that a chain begins from. An evaluation is one force of one configuration; those in "
    "all include paths walked back for their work. Wall times are of sampling alone, on all cores for guided, steered and unbiased, on one for "
    "chains."
)
BY = (
    "Independent paths that a method is worth. Of weighted shots Kish's number, that over the design effects of length and highest energy, and "
    "what the errors of shares of channels tell. Of chains the renewals, paths that share no frame with the renewal before (OpenPathSampling "
    "calls them decorrelated), and moves over the statistical inefficiency of length, highest energy and channel."
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


def numbers_of(methods: Methods) -> list[list[str]]:
    """Effective numbers of unbiased methods by each measure."""
    return [
        [
            name,
            *(_count(m["effective_by"].get(key)) for key in MEASURES),
            _count(m["effective"]),
            _count(_spent_each(m, "paths")),
            _count(m["evaluations_per_effective_path"]),
        ]
        for name, m in methods.items()
        if m["unbiased"] and m["effective"]
    ]


def _spent_each(m: Mapping[str, Any], *measures: str) -> float:
    """Evaluations of sampling for a path that is independent by these measures."""
    return float(m["evaluations"]["sampling"] / min(m["effective_by"][measure] for measure in measures))


def channels_of(methods: Methods) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of shares, a row a channel, per cent."""
    found = sorted({channel for m in methods.values() for channel in m["channels"]})
    rows = [[c, *(f"{100.0 * m['channels'][c]:.1f}" if c in m["channels"] else "–" for m in methods.values())] for c in found]
    return ["channel, % of paths", *methods], rows


def page(content: Mapping[str, Any]) -> str:
    """compare.md, from the content of compare.json."""
    title = f"# {content['system']} at {content['temperature_K']:g} K"
    found = "\n".join(f"- {sentence}" for sentence in sentences(content))
    methods: Methods = content["methods"]
    tables = [markdown(HEAD, rows_of(methods)), markdown(NUMBERS, numbers_of(methods)), markdown(*channels_of(methods))]
    return f"{title}\n\n{tables[0]}\n{found}\n\n{LEGEND}\n\n{tables[1]}\n{BY}\n\n{tables[2]}"


def sentences(content: Mapping[str, Any]) -> list[str]:
    """What the comparison comes to, whoever it speaks for; and what is left out, and why."""
    methods: Methods = content["methods"]
    reasons = dict.fromkeys(content["left_out"].values())
    left_out = [f"left out: {', '.join(n for n, why in content['left_out'].items() if why == reason)}: {reason}" for reason in reasons]
    doubts = [f"{name}: not an ensemble yet: {why}." for name, m in methods.items() for why in m.get("not_an_ensemble_because", ())]
    return [*doubts, *_costs(methods), *_agreement(methods), *_pulled(methods), *_never_visited(methods), *_thin(methods), *left_out]


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
        aside = _spent_each(m, *ASIDE) / _spent_each(ours, *ASIDE)
        bound = max(CLOSE, math.exp(1.5 * math.sqrt(2.0 / m["effective"] + 2.0 / ours["effective"])))
        verdict = "as good as unbiased, within what is known" if 1.0 / bound <= ratio <= bound else "cheaper" if ratio < 1.0 else "dearer"
        yield (
            f"{name} takes {ratio:.2g} times the evaluations of unbiased for an effective path ({in_all:.2g} with set-up; {aside:.2g} by "
            f"length and highest energy alone): {verdict}."
        )


def _agreement(methods: Methods) -> Iterator[str]:
    """Unbiased methods sample one ensemble, but for those of a fixed length. And how often a chain changed its channel."""
    ours = methods.get("unbiased")
    if ours is None or not ours["valid"]:
        return
    for name, m in methods.items():
        if name == "unbiased" or not m["unbiased"] or not m["valid"] or m["fixed_length"]:
            continue
        for key, what in (("max_energy_kj_mol", "highest energy"), ("length_ps", "length")):
            error = (m[key]["standard_error"] ** 2 + ours[key]["standard_error"] ** 2) ** 0.5
            apart = abs(m[key]["value"] - ours[key]["value"])
            if error and apart > FAR * error:
                yield (
                    f"{name} and unbiased differ by {apart / error:.1f} standard errors in mean {what}: one has not sampled enough, "
                    "or visits other channels."
                )
        if len(ours["channels"]) > 1 and m.get("channel_changes", FEW) < FEW:
            yield f"{name} changed its channel {m['channel_changes']} times: its shares of channels, and its cost, are hardly known."


def _pulled(methods: Methods) -> Iterator[str]:
    """Guided paths against steered ones."""
    ours = methods.get("guided")
    key = "max_energy_above_thermal_kj_mol"
    if ours is None or ours[key] is None:
        return
    if ours["dissipated_work_kT"] is None and any(m["dissipated_work_kT"] for m in methods.values()):
        yield f"guided paths were not walked back, so that their dissipated work is not known: call run with --reverse {ours['paths']}."
    for name, m in methods.items():
        if not name.startswith("steered") or m[key] is None:
            continue
        error = (m[key]["standard_error"] ** 2 + ours[key]["standard_error"] ** 2) ** 0.5
        more = m[key]["value"] - ours[key]["value"]
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
    return "–" if entry is None else f"{entry['value']:.{digits}f} ± {entry['standard_error']:.{digits}f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
