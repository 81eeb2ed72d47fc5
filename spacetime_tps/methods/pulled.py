"""What guided and steered paths have in common: the restraint walks a curve, for as long and as finely as `guided` says."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.methods.driving import Driven, drive
from spacetime_tps.methods.settings import GuidedSettings, MethodSettings
from spacetime_tps.problems.problem import Problem


class Pulled(ABC):
    """A Method but for its name, what it is for, its number of paths and its curves: those are the subclass's."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def baseline(self) -> bool: ...

    @property
    def mirror_of(self) -> str | None:
        return None

    @abstractmethod
    def asked(self, settings: MethodSettings) -> int: ...

    @abstractmethod
    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]: ...

    @abstractmethod
    def most_curves(self, routes: int) -> int: ...

    def pace(self, settings: MethodSettings) -> GuidedSettings:
        """Points, steps and stride of its paths, forth and back: that of guided paths."""
        return settings.guided

    def made_from(self, settings: MethodSettings) -> Any:
        return self.pace(settings).model_dump(exclude={"paths"})

    def steps(self, settings: MethodSettings) -> int:
        return self.pace(settings).steps

    def frames(self, settings: MethodSettings) -> int:
        return self.pace(settings).frames

    def stride(self, settings: MethodSettings) -> int:
        return self.pace(settings).stride

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        return drive(problem, simulation, curve, self.pace(settings), seeds)
