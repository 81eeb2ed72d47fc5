"""Names of the channels that a run's unbiased paths were found in, for paths of whatever method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.problems.problem import Problem
from spacetime_tps.shooting.channels import crossing_places
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window


@dataclass(frozen=True)
class ChannelLabels:
    """A path's way from A to B and, where paths of a crossing fall into several groups at its window, the nearest group."""

    problem: Problem
    crossings: list[tuple[Window, list[dict[str, float]]]]
    """The window of each, and the centers of its groups by name of coordinate, as summary.json has them"""

    @staticmethod
    def of(problem: Problem, unbiased: Mapping[str, Any] | None) -> "ChannelLabels":
        """unbiased: that part of a run's summary.json; None where there is none: paths are told apart by their ways alone."""
        crossings = []
        for number, crossing in enumerate((unbiased or {}).get("crossings", ())):
            variable = variable_of(crossing["of"])
            center = float(np.radians(crossing["center"])) if variable.period else float(crossing["center"])
            groups = [c["center"] for c in unbiased["channels"] if c["crossing"] == number] if unbiased else []
            if groups:
                crossings.append((Window(variable, center, float(crossing["stiffness"])), groups))
        return ChannelLabels(problem, crossings)

    def __call__(self, positions: np.ndarray) -> str:
        """Of a path (F, atoms, 3), nm, from A to B."""
        coordinates = self.problem.coordinates
        values = coordinates.values(positions)
        way = coordinates.way_of(values, *self.problem.ends)
        if not self.crossings:
            return way
        held = [window.log_factor(coordinates.features(positions)).max() for window, _ in self.crossings]
        window, groups = self.crossings[int(np.argmax(held))]
        if len(groups) < 2:
            return way
        family = coordinates.family()
        place = crossing_places([values], window, lambda p: family.features(torch.from_numpy(p)).numpy())[0]
        nearest = int(np.argmin([self._apart(place, group) for group in groups]))
        return f"{way}, {self._name(groups, nearest)}"

    def _apart(self, place: np.ndarray, group: Mapping[str, float]) -> float:
        index = self._index(group)
        there = np.where(self._angular(index), np.radians(list(group.values())), list(group.values()))
        return float(np.linalg.norm(difference(place[index], there, self._angular(index))))

    def _name(self, groups: Sequence[Mapping[str, float]], which: int) -> str:
        """By the coordinate in which the groups differ most."""
        names = list(groups[0])
        angular = self._angular(self._index(groups[0]))
        at = np.array([list(group.values()) for group in groups])
        at = np.where(angular, np.radians(at), at)
        spread = [np.abs(difference(at[0], row, angular)) for row in at[1:]]
        most = int(np.max(spread, axis=0).argmax())
        return f"{names[most]} {groups[which][names[most]]:.{0 if angular[most] else 1}f}"

    def _index(self, group: Mapping[str, float]) -> list[int]:
        names = list(self.problem.coordinates.names)
        return [names.index(name) for name in group]

    def _angular(self, index: Sequence[int]) -> np.ndarray:
        return np.asarray(self.problem.coordinates.angular)[list(index)]
