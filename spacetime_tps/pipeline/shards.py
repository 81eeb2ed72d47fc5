"""A run whose paths are made by several jobs: each makes its share in a folder of its own within the run's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.paths.transition import Transition, read_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.problem import Problem
from spacetime_tps.progress import Progress, Silent
from spacetime_tps.settings import Settings, by_name, decisive, of_preparation, parse_settings, settings_of, validated
from spacetime_tps.stages import exploration
from spacetime_tps.stages.driver import check, drive, keys_of, one_thread
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.protocol import Given
from spacetime_tps.stages.records import Records
from spacetime_tps.stages.share import Share
from spacetime_tps.stages.shared import SharedPaths
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.lock import in_use
from spacetime_tps.terminal import ConsoleProgress

SHARDS, RECORD = "shards", "shard.json"
NO_SHOTS = (
    "unbiased paths are not shared among shards, their windows are found one after another: shoot {folder} --unbiased {paths} makes them"
)


@dataclass(frozen=True)
class Shard:
    """What one job makes."""

    folder: Path
    share: Share
    problem: str
    """The fingerprint of what was simulated"""
    settings: Settings

    @property
    def storage(self) -> Folder:
        """Its rows of transitions.csv and their files, and stages.json."""
        return Folder(self.folder)

    @property
    def made_with(self) -> dict[str, Any]:
        """What all shards of a run have in common, by its names: the system, and every setting that decides what is made."""
        return {"system": self.problem, **decisive(self.settings)}

    def rows(self) -> list[Transition]:
        """Of the paths that are there."""
        return read_transitions(self.storage)

    def save(self) -> None:
        """Write shard.json."""
        content = {"shard": str(self.share), "problem": self.problem, "settings": self.settings.model_dump(mode="json")}
        self.storage.put_record(RECORD, content)

    @staticmethod
    def load(folder: Path) -> "Shard":
        """Read what `save` wrote. Raises SpacetimeError where it is damaged."""
        found = Folder(folder).record(RECORD)
        if not isinstance(found, dict) or not {"shard", "problem", "settings"} <= set(found):
            raise SpacetimeError(f"{folder / RECORD} is damaged: remove {folder} and make the shard again")
        return Shard(folder, Share.parse(str(found["shard"])), str(found["problem"]), validated(found["settings"]))


def shards_in(run: Path) -> list[Shard]:
    """Those of a run that were begun, the first first."""
    found = [Shard.load(file.parent) for file in (run / SHARDS).glob(f"*/{RECORD}")]
    return sorted(found, key=lambda shard: (shard.share.of, shard.share.index))


def make_shard(run: Path, share: Share, assignments: Sequence[str], progress: Progress | None = None) -> Shard:
    """A share of the guided, steered and reverse paths of an explored run, under its settings with some changed, as 'guided.paths=1000';
    in RUN/shards, for `gather` to take. Only what is missing is made.

    Raises SpacetimeError where the run is not explored with these settings, and where the shard is being made by another call.
    """
    progress = progress or ConsoleProgress()
    settings = parse_settings(assignments, base=settings_of(run))
    problem, storage = preparation.load(run), Folder(run)
    keys = check_explored(run, problem, settings)
    shard = Shard(run / SHARDS / f"{share.index}_of_{share.of}", share, problem.fingerprint, settings)
    with in_use(shard.folder):
        with Simulation(problem.model, storage=storage, progress=Silent()) as simulation:
            sampled = Sampled.load(simulation)
        stages = [SharedPaths(m, share, made(storage, keys, m.name)) for m in METHODS]
        shard.save()
        with (
            Simulation(problem.model, processes=settings.workers or None, storage=shard.storage, progress=progress) as simulation,
            one_thread(),
        ):
            given = Given(problem, simulation, settings, {exploration.NAME: sampled})
            for stage in stages:
                drive(stage, given, Records(shard.storage), keys[stage.name])
    if settings.unbiased.paths:
        progress.say(NO_SHOTS.format(folder=run, paths=settings.unbiased.paths))
    return shard


def made(storage: Folder, keys: dict[str, str], stage: str) -> frozenset[str]:
    """Paths of a stage that a run has, made from what the keys say."""
    begun = Records(storage).begun(stage, keys[stage])
    return frozenset(r.path for r in read_transitions(storage) if begun and r.stage == stage)


def check_explored(run: Path, problem: Problem, settings: Settings) -> dict[str, str]:
    """What each stage is made from under the settings (stages.driver.keys_of). Raises SpacetimeError where the exploration is not that, or
    settings and problem do not fit."""
    explored, wanted = _explored_as(settings_of(run)), _explored_as(settings)
    for name in (name for name in wanted if wanted[name] != explored[name]):
        raise SpacetimeError(f"{run} was explored with {name} = {explored[name]}, not {wanted[name]}: explore it again, or leave that out")
    check(problem, settings, Folder(run).content)
    keys = keys_of(problem, settings)
    if not Records(Folder(run)).finished(exploration.NAME, keys[exploration.NAME]):
        raise SpacetimeError(f"{run} is not explored to the end: call run with --explore on it first")
    return keys


def _explored_as(settings: Settings) -> dict[str, Any]:
    """What preparation and exploration are made from, by the names of settings."""
    return by_name({**of_preparation(settings), **Exploration().made_from(settings)})
