"""The stage that finds routes: MD in both ends, windows and geodesics."""

from typing import Any

from spacetime_tps.exploration.forbidden import bind
from spacetime_tps.exploration.regions import ReadBytes
from spacetime_tps.exploration.rounds import explore
from spacetime_tps.exploration.sampled import FILES, Sampled
from spacetime_tps.exploration.settings import ExplorationSettings
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings
from spacetime_tps.stages.protocol import Given

NAME = "exploration"


class Exploration:
    """Its value is a Sampled."""

    name, needs, files = NAME, (), FILES

    def made_from(self, settings: Settings) -> Any:
        return settings.model_dump(include={"seed", *ExplorationSettings.model_fields})

    def asked(self, settings: Settings) -> Any:
        return {}

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        """Regions can be kept out of."""
        bind(settings.avoid, problem, read)

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        t, w, r = settings.training, settings.windows, settings.rounds
        training = t.walks * (2 * t.equilibration_steps + t.steps_a + t.steps_b)
        ways = len(problem.coordinates.ways(*problem.ends, r.straight_lines))
        windows = (ways + (r.min_rounds + r.max_rounds) // 2) * 2 * w.count * w.steps
        return "the two ends and windows", training + windows

    def spent(self, value: Sampled | None) -> dict[str, int]:
        return {} if value is None else dict(value.record["evaluations"])

    def run(self, given: Given) -> Sampled:
        settings = given.settings
        explored = explore(given.problem, given.simulation, settings, seed=settings.seed)
        return Sampled.of(explored, given.problem, routes=settings.rounds.routes)

    def save(self, value: Sampled, given: Given) -> None:
        value.save(given.simulation.storage, given.problem)

    def load(self, given: Given) -> Sampled:
        return Sampled.load(given.simulation)

    def clear(self, given: Given) -> bool:
        """The walks stay: those that fit the new settings are used again, the others are swept away."""
        for pattern in self.files:
            given.simulation.storage.remove(pattern)
        return False
