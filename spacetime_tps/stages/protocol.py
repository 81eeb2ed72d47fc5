"""What a stage is: it makes a value from the problem, its settings and the values of earlier stages, and can keep and read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.regions import ReadBytes
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings


@dataclass(frozen=True)
class Given:
    """What a stage works with."""

    problem: Problem
    simulation: Simulation
    settings: Settings
    values: Mapping[str, Any] = field(default_factory=dict)
    """Of the stages that ran before, by their names"""


class Stage(Protocol):
    """One step of a run. Register one in `registry.STAGES`; `driver.drive` runs it, with a run folder or in memory."""

    @property
    def name(self) -> str:
        """In stages.json."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages whose values it reads."""

    @property
    def files(self) -> tuple[str, ...]:
        """Patterns of the names of all that it keeps but paths."""

    def made_from(self, settings: Settings) -> Any:
        """The settings that everything of the stage depends on, as plain data: where they change, all of it is made anew."""

    def asked(self, settings: Settings) -> Any:
        """How much is asked for, as plain data: where this alone changes, what is there stays and what is missing is made. None leaves the
        stage out; what is there stays."""

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        """Raise SpacetimeError for what the settings ask of this problem that cannot be had, before anything is replaced. read: the
        structures of regions, by the names that they are kept under."""

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        """What for, in a few words, and about how many evaluations from scratch."""

    def spent(self, value: Any) -> dict[str, int]:
        """Force evaluations by what they were for, as summary.json adds them up, from the value; from None what it says where it was not
        run. Empty for a baseline: those are counted apart."""

    def run(self, given: Given) -> Any:
        """The value, what is kept already used. Raises SpacetimeError for what a user has to know."""

    def save(self, value: Any, given: Given) -> None:
        """Keep the value in the simulation's storage."""

    def load(self, given: Given) -> Any:
        """Read what `save` kept."""

    def clear(self, given: Given) -> bool:
        """Remove all that is kept of the stage; whether there was anything that a user would miss."""
