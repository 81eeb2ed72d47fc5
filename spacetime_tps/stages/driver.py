"""The one loop over stages: each is run where it is missing or out of date, and read where it is there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.regions import ReadBytes, collected, reader
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings
from spacetime_tps.stages.protocol import Given, Stage
from spacetime_tps.stages.records import Records, fingerprint
from spacetime_tps.stages.registry import STAGES


def run_stages(
    problem: Problem, simulation: Simulation, settings: Settings, *, stages: Sequence[Stage] = STAGES,
    changing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:  # fmt: skip
    """The value of each stage by its name, in their order; a stage that is not asked for and was never made is left out.

    What the simulation's storage keeps is used where it was made of the same problem, from the same settings and the same values before
    it. Values follow from the seed alone: torch and BLAS keep to one thread meanwhile. `settings.workers` is for whoever makes the
    simulation. changing is called before anything of a stage is replaced. Raises SpacetimeError before that where settings and problem do
    not fit (`check`).
    """
    avoid, structures = collected(settings.avoid, simulation.storage)
    settings = settings.model_copy(update={"avoid": avoid})
    check(problem, settings, reader(structures, simulation.storage), stages)
    for name, content in structures.items():
        simulation.storage.put_bytes(name, content)
    records = Records(simulation.storage)
    values: dict[str, Any] = {}
    keys = keys_of(problem, settings, stages)
    with one_thread():
        for stage in stages:
            found = drive(stage, Given(problem, simulation, settings, values), records, keys[stage.name], changing=changing)
            if found is not None:
                values[stage.name] = found
    return values


def check(problem: Problem, settings: Settings, read: ReadBytes, stages: Sequence[Stage] = STAGES) -> None:
    """Raise SpacetimeError where the settings do not fit the problem. read: of structures of regions, by the names they are kept under."""
    problem.check(settings.dynamics)
    for stage in stages:
        stage.check(problem, settings, read)


def keys_of(problem: Problem, settings: Settings, stages: Sequence[Stage] = STAGES) -> dict[str, str]:
    """What each stage is made from, by its name, as a digest: the problem, the stages that it needs, and its settings."""
    keys: dict[str, str] = {}
    for stage in stages:
        keys[stage.name] = fingerprint(problem.fingerprint, [keys[name] for name in stage.needs], stage.made_from(settings))
    return keys


def is_current(stage: Stage, settings: Settings, records: Records, made_from: str) -> bool:
    """Whether all that the settings ask of a stage is there."""
    return records.current(stage.name, made_from, fingerprint(stage.asked(settings)))


def drive(stage: Stage, given: Given, records: Records, made_from: str, *, changing: Callable[[], None] = lambda: None) -> Any:
    """The value of one stage; None where it is not asked for and was never made."""
    wanted = stage.asked(given.settings)
    if not records.begun(stage.name, made_from):
        changing()
        if stage.clear(given):
            given.simulation.progress.say(f"the settings behind {stage.name} have changed: what is there is replaced")
        records.forget(stage.name)
    if wanted is None:
        return stage.load(given) if records.finished(stage.name, made_from) else None
    if is_current(stage, given.settings, records, made_from):
        return stage.load(given)
    changing()
    with records.making(stage.name, made_from, fingerprint(wanted)):
        value = stage.run(given)
        stage.save(value, given)
    return value


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, so that the same seed gives the same curve whatever the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
