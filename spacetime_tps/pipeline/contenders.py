"""Where the paths of each method of a comparison are; those of this package that a run lacks are made, in folders of their own."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import PLAIN_MD, PREPARATION, PREPARED
from spacetime_tps.files import write_json
from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.methods.settings import GuidedSettings
from spacetime_tps.methods.steered import SAME, Steered
from spacetime_tps.paths.transition import SUMMARY, read_transitions
from spacetime_tps.pipeline.explored import copy_explored
from spacetime_tps.pipeline.run import extend
from spacetime_tps.problems.config import CONFIG, change_settings
from spacetime_tps.rivals.protocol import Contest, Rival
from spacetime_tps.rivals.registry import RIVALS
from spacetime_tps.settings import settings_of, validated
from spacetime_tps.stages.records import fingerprint
from spacetime_tps.storage.folder import Folder
from spacetime_tps.unbiased.names import STAGE as UNBIASED

MADE_FROM = "made_from.json"
PACES = {"": 1.0, "-fast": 0.5, "-slow": 2.0}
"""Steered MD at the run's own pace, with half and with twice the steps"""
CHEAPEST = 100
"""Evaluations of an effective transition, fewer than which none takes: so that the budget decides"""
GUIDED, STEERED = Guided(), Steered()


@dataclass(frozen=True)
class Source:
    """Paths of one row of the table."""

    name: str
    folder: Path
    stage: str
    unbiased: bool
    set_up: tuple[str, ...] | None
    """What they rest on of `evaluations` in the folder's summary.json; None for all that is there"""
    stride: int
    """Steps between frames"""
    route: str | None = None
    """Only paths with it"""
    back: str | None = None
    """The stage of paths walked back"""
    fixed: bool = False
    """Whether all paths are of one length"""


def guided(contest: Contest, out: Path) -> list[Source]:
    """The run's guided paths, or as many as it would make that the budget pays for."""
    settings = settings_of(contest.run.path)
    cost = GUIDED.most_curves(settings.rounds.routes) * GUIDED.steps(settings)
    count = min(settings.guided.paths or GuidedSettings().paths, max(contest.budget // cost, 2))
    folder = _run_or_copy(contest, out, "guided", GUIDED.name, [f"guided.paths={count}", "steered.paths=0", "unbiased.paths=0"])
    return [Source("guided", folder, GUIDED.name, False, PREPARED, GUIDED.stride(settings), back=Reverse(GUIDED).name)]


def unbiased(contest: Contest, out: Path) -> list[Source]:
    """The run's unbiased paths, or what the budget gives."""
    wanted = max(contest.budget // CHEAPEST, 1)
    words = ["guided.paths=0", "steered.paths=0", "reverse=0", f"unbiased.paths={wanted}", f"unbiased.budget={contest.budget}"]
    folder = _run_or_copy(contest, out, "unbiased", UNBIASED, words)
    return [Source("unbiased", folder, UNBIASED, True, PREPARED, settings_of(contest.run.path).unbiased.stride)]


def steered(contest: Contest, out: Path) -> list[Source]:
    """Steered MD at three paces, both ways: along the straight line of the best route's class, and the short one where that is another.

    Both ways because of the work. Its lines take class and strength from the run, at no cost: it is charged plain MD alone.
    """
    settings, found = settings_of(contest.run.path), []
    for suffix, times in PACES.items():
        points = max(round(times * settings.guided.points), 2)
        paced = settings.model_copy(update={"guided": settings.guided.model_copy(update={"points": points})})
        both_ways = 2 * STEERED.most_curves(settings.rounds.routes)
        count = max(min(settings.guided.paths or GuidedSettings().paths, contest.budget // (both_ways * STEERED.steps(paced))), 2)
        words = [f"guided.points={points}", "guided.paths=0", f"steered.paths={count}", f"reverse={count}", "unbiased.paths=0"]
        name = f"steered{suffix}"
        folder = _run_or_copy(contest, out, name, Reverse(STEERED).name, words, own=not suffix)
        lines = list(dict.fromkeys(row.route for row in read_transitions(Folder(folder)) if row.stage == STEERED.name))
        for line in sorted(lines, key=lambda line: line != SAME):
            short = "-short" if len(lines) > 1 and line != SAME else ""
            paid, stride = (PREPARATION, PLAIN_MD), STEERED.stride(paced)
            found.append(Source(name + short, folder, STEERED.name, False, paid, stride, line, Reverse(STEERED).name))
    return found


def chain(rival: Rival) -> Callable[[Contest, Path], list[Source]]:
    """A rival's folder, made where it is missing or was made from something else."""

    def sources(contest: Contest, out: Path) -> list[Source]:
        def make(folder: Path) -> None:
            folder.mkdir(parents=True)
            shutil.copy(contest.run.path / CONFIG, folder / CONFIG)
            change_settings(folder, validated({**settings_of(folder).model_dump(), "seed": contest.seed}))
            rival.run(contest, folder)
            storage = Folder(folder)
            storage.put_record(SUMMARY, {"system": contest.run.record(SUMMARY)["system"], **storage.record(SUMMARY)})

        made_from = fingerprint(contest.run_state, rival.name, contest.budget, contest.seed)
        folder = _made(out / rival.name, made_from, make, contest)
        return [Source(rival.name, folder, rival.stage, True, None, contest.stride, fixed=rival.fixed)]

    return sources


CONTENDERS: dict[str, Callable[[Contest, Path], list[Source]]] = {
    "guided": guided, "unbiased": unbiased, "steered": steered, **{rival.name: chain(rival) for rival in RIVALS},
}  # fmt: skip
"""The methods that can be compared, in the order of the table"""


def _run_or_copy(contest: Contest, out: Path, name: str, stage: str, words: Sequence[str], *, own: bool = True) -> Path:
    """The run, where it holds paths of a stage of its `own` pace; or a copy of it with its settings changed, run."""
    run = contest.run.path
    if own and any(row.stage == stage for row in read_transitions(contest.run)):
        return run

    def make(folder: Path) -> None:
        copy_explored(run, folder)
        extend(folder, words, contest.progress)

    return _made(out / name, fingerprint(contest.run_state, list(words)), make, contest)


def _made(folder: Path, made_from: str, make: Callable[[Path], None], contest: Contest) -> Path:
    """The folder, made under another name first: it is there whole or not at all."""
    if (folder / MADE_FROM).is_file():
        if Folder(folder).record(MADE_FROM) == {"made_from": made_from}:
            return folder
        contest.progress.say(f"what {folder.name} was made from has changed: it is made anew")
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        make(unfinished)
    except SpacetimeError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    write_json(unfinished / MADE_FROM, {"made_from": made_from})
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder
