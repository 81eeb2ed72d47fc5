"""Shards of a run put together: the same folder as that of a run without shards."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.run import finish
from spacetime_tps.pipeline.shards import NO_SHOTS, RECORD, SHARDS, Shard, check_explored, made, shards_in
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.config import change_settings, read_config
from spacetime_tps.problems.problem import Problem
from spacetime_tps.progress import Progress, Silent
from spacetime_tps.settings import Settings, as_here, settings_of
from spacetime_tps.stages.driver import is_current
from spacetime_tps.stages.records import Records
from spacetime_tps.stages.registry import STAGES
from spacetime_tps.stages.share import Share
from spacetime_tps.stages.shared import GatheredPaths
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import in_use
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.terminal import ConsoleProgress


def gather(run: str | Path, progress: Progress | None = None) -> dict[str, Any]:
    """Take the paths of all shards into their run, write summary and report, and remove the shards; summary.json's content.

    A call that was interrupted is repeated. Raises SpacetimeError, and changes nothing, where a shard is missing, unfinished or being
    made, where shards were made with different settings or of different systems, and where the run was explored anew since.
    """
    run, progress = Path(run), progress or ConsoleProgress()
    content, storage = read_config(run), Folder(run)
    with ExitStack() as held:
        held.enter_context(in_use(run))
        shards = shards_in(run)
        for shard in shards:
            held.enter_context(in_use(shard.folder))
        problem, settings = preparation.load(run), _agreed(run, shards, settings_of(run))
        keys = check_explored(run, problem, settings)
        _check_made_of_it(run, shards, problem, keys)
        found: dict[str, tuple[Transition, Storage]] = {row.path: (row, shard.storage) for shard in shards for row in shard.rows()}
        stages = [GatheredPaths(method, found) for method in METHODS]
        _check_complete(run, shards, stages, problem, settings, keys)
        records = Records(storage)
        taken = [s.name for s in stages if s.asked(settings) and not is_current(s, settings, records, keys[s.name])]
        change_settings(run, settings)
        plain = settings.model_copy(update={"unbiased": settings.unbiased.model_copy(update={"paths": 0})})
        every = [next((mine for mine in stages if mine.name == stage.name), stage) for stage in STAGES]
        summary = finish(run, content["system"]["name"], problem, plain, progress, stages=every, elsewhere=_seconds(shards, taken))
        for shard in shards:  # one that is half removed is none
            (shard.folder / RECORD).unlink()
        shutil.rmtree(run / SHARDS, ignore_errors=True)
    if settings.unbiased.paths and not summary["unbiased"]:
        progress.say(NO_SHOTS.format(folder=run, paths=settings.unbiased.paths))
    return summary


def _agreed(run: Path, shards: Sequence[Shard], settings: Settings) -> Settings:
    """What the shards were asked for, as this run works on it; the run's settings where there are no shards."""
    for shard in shards[1:]:
        first = shards[0]
        if shard.share.of != first.share.of:
            raise SpacetimeError(f"{run} holds shards of {first.share.of} and of {shard.share.of}: remove those that are not wanted")
        for name, value in first.made_with.items():
            if (other := shard.made_with[name]) != value:
                raise SpacetimeError(
                    f"shards {first.share} and {shard.share} of {run} contradict: {name} is {value} in one and {other} in the other; make "
                    "one of them again"
                )
    return as_here(shards[0].settings, settings) if shards else settings


def _check_made_of_it(run: Path, shards: Sequence[Shard], problem: Problem, keys: Mapping[str, str]) -> None:
    """Raise SpacetimeError for a shard of another system, or along curves that the run no longer holds."""
    for shard in shards:
        if shard.problem != problem.fingerprint:
            raise SpacetimeError(f"shard {shard.share} is of another system than {run}: make it again")
        records = Records(shard.storage)
        for stage in {row.stage for row in shard.rows()}:
            if not records.begun(stage, keys[stage]):
                raise SpacetimeError(f"{run} was explored anew since shard {shard.share} was made: make it again")


def _check_complete(
    run: Path, shards: Sequence[Shard], stages: Sequence[GatheredPaths], problem: Problem, settings: Settings, keys: dict[str, str]
) -> None:
    """Raise SpacetimeError, which names the shards, for paths that neither the run nor any shard has."""
    storage = Folder(run)
    with Simulation(problem.model, storage=storage, progress=Silent()) as simulation:
        sampled = Sampled.load(simulation)
    lacking = {k for stage in stages for k in stage.lacking(problem, sampled, settings, made(storage, keys, stage.name))}
    if not lacking:
        return
    if not shards:
        raise SpacetimeError(f"{run} holds no shards, and not all paths: make them with run {run} --shard 1/N, up to N/N")
    of, begun = shards[0].share.of, {shard.share.index for shard in shards}
    missing = sorted({Share.holding(k, of).index for k in lacking})
    told = [f"{Share(k, of)} is not finished" if k in begun else f"{Share(k, of)} is missing" for k in missing]
    raise SpacetimeError(f"shard {', '.join(told)}: make it with run {run} --shard {Share(missing[0], of)}")


def _seconds(shards: Sequence[Shard], stages: Sequence[str]) -> dict[str, float]:
    """That the shards took for each of these stages, added up."""
    took = [Records(shard.storage).wall_seconds() for shard in shards]
    return {stage: sum(seconds.get(stage, 0.0) for seconds in took) for stage in stages}
