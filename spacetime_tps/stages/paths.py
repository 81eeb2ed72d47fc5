"""The stage of one method: paths along curves, judged by their ends, each kept as soon as it is done."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.methods.driving import Driven
from spacetime_tps.methods.protocol import Method
from spacetime_tps.paths.transition import Transition, keep_path, read_transitions, remove_paths, replace_transitions
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.crooks import work
from spacetime_tps.seeds import seed_of
from spacetime_tps.stages import exploration
from spacetime_tps.stages.protocol import Given
from spacetime_tps.stages.settings import Settings
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
        sampled: Sampled = given.values[exploration.NAME]
        for curve in self.method.along(given.problem, sampled.curves[: given.settings.rounds.routes]):
            self._complete(given, curve)
        return self.load(given)

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
        names = [f"{self.name}_{curve.route}_{index:04d}" for index in range(max(self.method.asked(settings), len(rows)))]
        missing = [(k, name) for k, name in enumerate(names) if name not in rows]
        if not missing:
            return
        seeds = [seed_of(settings.seed, f"{self.name}_{curve.route}", k) for k, _ in missing]
        paths = self.method.paths(given.problem, given.simulation, curve, settings, seeds)

        def write() -> None:
            replace_transitions(storage, self.name, [rows[name] for name in names if name in rows], route=curve.route)

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
