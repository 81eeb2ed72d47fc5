"""What a method that makes transition paths along curves is to the stage that runs it."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.driving import Driven
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.problem import Problem


class Method(Protocol):
    """Paths that begin in A, or in B where it is a mirror; which are hits, `Problem.connects` says. Register one in `registry.METHODS`."""

    @property
    def name(self) -> str:
        """As transitions.csv has it in the column stage, and files have it in their names."""

    @property
    def baseline(self) -> bool:
        """Whether it is a rival, whose evaluations are no part of what the run's own paths cost."""

    @property
    def mirror_of(self) -> str | None:
        """The method whose curves it walks back from B to A, by the same schedule run backwards; None where it walks from A to B."""

    def asked(self, settings: MethodSettings) -> int:
        """Paths along each curve; 0 leaves the method out."""

    def made_from(self, settings: MethodSettings) -> Any:
        """The settings that its paths depend on, as plain data. How many are asked for is none of them."""

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        """The curves that it walks, each with a route name of its own; from the geodesics, best first."""

    def most_curves(self, routes: int) -> int:
        """How many those are, at most, for so many geodesics."""

    def steps(self, settings: MethodSettings) -> int:
        """Evaluations of one path."""

    def frames(self, settings: MethodSettings) -> int:
        """Stored frames of one path, its start included."""

    def stride(self, settings: MethodSettings) -> int:
        """Steps between them, a multiple of `training.stride`."""

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        """One path a seed along a curve, in their order, as they come."""
