"""The stage of one method: paths along curves, judged by their ends, each kept as soon as it is done."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from spacetime_tps.exploration.regions import ReadBytes
from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.methods.driving import Driven
from spacetime_tps.methods.protocol import Method
from spacetime_tps.paths.transition import Transition, keep_path, read_transitions, remove_paths, replace_transitions
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.crooks import work
from spacetime_tps.seeds import seed_of
from spacetime_tps.settings import Settings
from spacetime_tps.stages import exploration
from spacetime_tps.stages.protocol import Given
from spacetime_tps.storage.protocol import Storage

SECONDS = 2.0
"""Between writes of the table: a run that is killed loses no more than the rows of these"""


@dataclass(frozen=True)
class Paths:
    """The stage of a method. Its value is its rows of transitions.csv, curve by curve; their trajectories are in the storage."""

    method: Method

    needs = (exploration.NAME,)
    files = ()

    @property
    def name(self) -> str:
        return self.method.name

    def made_from(self, settings: Settings) -> Any:
        return self.method.made_from(settings)

    def asked(self, settings: Settings) -> Any:
        return self.method.asked(settings) or None

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        """Nothing can be wrong."""

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        return f"{self.name} paths", self.method.asked(settings) * self.method.steps(settings) * self.method.most_curves(
            settings.rounds.routes
        )

    def spent(self, value: list[Transition] | None) -> dict[str, int]:
        if self.method.baseline or (not value and self.method.mirror_of is not None):
            return {}
        return {self.name: sum(row.evaluations for row in value or [])}

    def run(self, given: Given) -> list[Transition]:
        """Only missing paths are made; more than are asked for stay."""
        for curve in self.curves(given.problem, given.values[exploration.NAME], given.settings):
            self._complete(given, curve)
        return self.load(given)

    def curves(self, problem: Problem, sampled: Sampled, settings: Settings) -> list[Curve]:
        """Those that paths are walked along."""
        return self.method.along(problem, sampled.curves[: settings.rounds.routes])

    def wanted(self, settings: Settings, route: str) -> list[int]:
        """Numbers, from 0, of the paths along a curve that this stage makes. A path's seed follows from its number."""
        return list(range(self.method.asked(settings)))

    def path_name(self, route: str, number: int) -> str:
        """In transitions.csv, and of its files."""
        return f"{self.name}_{route}_{number:04d}"

    def save(self, value: list[Transition], given: Given) -> None:
        replace_transitions(given.simulation.storage, self.name, value)

    def load(self, given: Given) -> list[Transition]:
        return [r for r in read_transitions(given.simulation.storage) if r.stage == self.name]

    def clear(self, given: Given) -> bool:
        there = bool(self.load(given))
        remove_paths(given.simulation.storage, self.name)
        return there

    def _complete(self, given: Given, curve: Curve) -> None:
        """The missing paths of a curve; their rows are kept every `SECONDS`, and whatever happens."""
        settings, storage = given.settings, given.simulation.storage
        rows = {r.path: r for r in self.load(given) if r.route == curve.route}
        named = [(k, self.path_name(curve.route, k)) for k in self.wanted(settings, curve.route)]
        missing = [(k, name) for k, name in named if name not in rows]
        if not missing:
            return
        seeds = [seed_of(settings.seed, f"{self.name}_{curve.route}", k) for k, _ in missing]
        paths = self.method.paths(given.problem, given.simulation, curve, settings, seeds)

        def write() -> None:
            replace_transitions(storage, self.name, in_order(rows.values()), route=curve.route)

        written = time.monotonic()
        try:
            with given.simulation.progress.task(f"{self.name} {curve.route}", len(missing) * self.method.steps(settings)) as advance:
                for (_, name), path in zip(missing, paths, strict=True):
                    rows[name] = judged(storage, given.problem, self.method, name, curve.route, path)
                    advance(path.frames.evaluations)
                    if time.monotonic() - written > SECONDS:
                        write()
                        written = time.monotonic()
        finally:
            write()


def in_order(rows: Iterable[Transition]) -> list[Transition]:
    """Paths of one curve by their numbers."""
    return sorted(rows, key=lambda row: (len(row.path), row.path))


def judged(storage: Storage, problem: Problem, method: Method, name: str, route: str, path: Driven) -> Transition:
    """A path's row, its trajectory and its table of energies kept. Unstable paths have no file."""
    frames = path.frames
    if not frames.stable:
        return Transition(name, method.name, "unstable", 0, float("nan"), None, 0, frames.evaluations, path.seed, None, route, "")
    features = problem.coordinates.held_features(frames.positions)
    bias = -problem.model.kT * (path.eta * features).sum(-1)
    precision = problem.coordinates.family().precisions(torch.from_numpy(path.eta)).mean(-1).numpy()
    file, highest = keep_path(storage, problem, name, frames, bias=bias, level=precision)
    spent = round(work(features, path.eta), 4)
    hit = problem.connects(frames.positions, back=method.mirror_of is not None)
    return Transition(name, method.name, "ok", int(hit), highest, spent, len(frames), frames.evaluations, path.seed, None, route, file)
