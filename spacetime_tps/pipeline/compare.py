"""A run against other ways to the same transitions: what is missing is run, everything is measured alike, and a table is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.files import write_bytes, write_json, write_text
from spacetime_tps.pipeline.channel_labels import ChannelLabels
from spacetime_tps.pipeline.contenders import CONTENDERS, GUIDED
from spacetime_tps.pipeline.measures import Yardstick, measured
from spacetime_tps.problems import problem as preparation
from spacetime_tps.progress import Progress, Silent
from spacetime_tps.report.comparison import page, sentences
from spacetime_tps.report.comparison_figure import picture
from spacetime_tps.report.comparison_file import FILE, FORMAT, SECTION, current, refusal, state_of
from spacetime_tps.report.data import RunData
from spacetime_tps.report.page import write_report
from spacetime_tps.rivals.protocol import Contest
from spacetime_tps.settings import settings_of, validated
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import LOCK, in_use

NOT_HERE = {
    "string": "no library that this package uses has a string method at a temperature for its coordinates, and a path of minimal energy is "
    "no path of the dynamics",
}
"""Methods that may be asked for, and are not there"""
KNOWN = (*CONTENDERS, *NOT_HERE)
BUDGET = 1_000_000


def compare(
    run: Path, methods: Sequence[str], out: Path, *, budget: int = BUDGET, seed: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Compare a finished run by the methods named; write compare.json, compare.md and compare.png into `out`; compare.json's content.

    What a run or `out` holds already is used; methods of an earlier call on the same `out` stay in the table as long as the run is what it
    was. budget: evaluations of each method's sampling, where it is run here. Raises SpacetimeError for an unknown method, an unfinished
    run, and an `out` in other use, as by another call.
    """
    for name in methods:
        if name not in KNOWN:
            raise SpacetimeError(f"unknown method {name!r}; there are {', '.join(KNOWN)}")
    if out.exists() and not out.is_dir():
        raise SpacetimeError(f"{out} is a file; choose another --out")
    data = RunData.of(run)
    with in_use(out):
        content = _compared(data, methods, out, budget, seed, progress or Silent())
    if out.resolve() == (run / SECTION).resolve():
        write_report(run)
    return content


def _compared(
    data: RunData, methods: Sequence[str], out: Path, budget: int, seed: int | None, progress: Progress
) -> dict[str, Any]:  # fmt: skip
    run = data.folder
    summary = data.summary
    problem = preparation.load(run)
    settings = settings_of(run)
    before = _before(out, data)
    seed = settings.seed if seed is None else validated({**settings.model_dump(), "seed": seed}).seed
    pulled = GUIDED.stride(settings)
    contest = Contest(
        problem, Folder(run), state_of(data), budget, seed, settings.unbiased.stride, settings.unbiased.longest, pulled,
        (GUIDED.frames(settings) - 1) * pulled // settings.unbiased.stride + 1, progress,
    )  # fmt: skip
    with Simulation(problem.model, storage=contest.run) as simulation:
        in_a = Sampled.load(simulation).in_a
    yardstick = Yardstick(problem, in_a, settings.training.stride, ChannelLabels.of(problem, summary.get("unbiased")))
    content = {
        "format": FORMAT, "run": str(run), "problem": problem.fingerprint, "system": summary["system"],
        "temperature_K": problem.model.temperature, "methods": dict(before.get("methods", {})),
        "left_out": dict(before.get("left_out", {})),
    }  # fmt: skip
    _write(out, content)
    for name in (name for name in KNOWN if name in methods):
        content["left_out"].pop(name, None)
        if name in NOT_HERE:
            content["left_out"][name] = NOT_HERE[name]
            continue
        try:
            found = {
                source.name: {
                    **measured(source, yardstick),
                    "run_state": contest.run_state,
                    "budget": budget,
                    "seed": settings_of(source.folder).seed,
                }
                for source in CONTENDERS[name](contest, out)
            }
            content["methods"] |= found
            content["left_out"] = {key: why for key, why in content["left_out"].items() if key not in found}
        except SpacetimeError as problem_here:
            content["left_out"][name] = str(problem_here)
        _write(out, content)
    _write(out, content)
    return content


def _before(out: Path, run: RunData) -> dict[str, Any]:
    """An earlier comparison of the same run, as far as the run is what it was. Raises SpacetimeError where the folder is another's."""
    if not any(file.name != LOCK for file in out.iterdir()):
        return {}
    if not (out / FILE).is_file():
        raise SpacetimeError(f"{out} is not empty and holds no comparison; choose another --out")
    found = Folder(out).record(FILE)
    if (why := refusal(found, run)) is not None:
        raise SpacetimeError(f"{out} holds {why}; choose another --out")
    return current(found, run)


def _write(out: Path, content: dict[str, Any]) -> None:
    order = {name: k for k, name in enumerate(CONTENDERS)}

    def place(name: str) -> int:
        return order[name] if name in order else order[name.split("-")[0]]

    content["methods"] = {name: content["methods"][name] for name in sorted(content["methods"], key=place)}
    write_json(out / FILE, {**content, "sentences": sentences(content)})
    write_text(out / "compare.md", page(content))
    if content["methods"]:
        write_bytes(out / "compare.png", picture(content["methods"]))
