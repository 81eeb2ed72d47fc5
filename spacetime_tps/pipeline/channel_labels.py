"""Names of the channels that a run's unbiased paths were found in, for paths of whatever method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.naming import short, unread
from spacetime_tps.problems.problem import Problem
from spacetime_tps.shooting.channels import crossing_places, nearest
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window


@dataclass(frozen=True)
class ChannelLabels:
    """A path's way from A to B and, where paths of a crossing fall into several groups at its window, the nearest group."""

    problem: Problem
    crossings: list[tuple[Window, list[int], np.ndarray]]
    """The window of each, which coordinates its groups (G, n) are told by, and their centers"""

    @staticmethod
    def of(problem: Problem, unbiased: Mapping[str, Any] | None) -> "ChannelLabels":
        """unbiased: that part of a run's summary.json; None where there is none: paths are told apart by their ways alone."""
        crossings, names = [], list(problem.coordinates.names)
        for number, crossing in enumerate((unbiased or {}).get("crossings", ())):
            window = Window.at(variable_of(crossing["of"]), float(crossing["center"]), float(crossing["stiffness"]))
            groups = [c["center"] for c in unbiased["channels"] if c["crossing"] == number] if unbiased else []
            if groups:
                index = [names.index(name) for name in groups[0]]
                told = np.zeros((len(groups), len(names)))
                told[:, index] = [list(group.values()) for group in groups]
                crossings.append((window, index, unread(problem.coordinates, told)[:, index]))
        return ChannelLabels(problem, crossings)

    def __call__(self, positions: np.ndarray) -> str:
        """Of a path (F, atoms, 3), nm, from A to B."""
        coordinates = self.problem.coordinates
        values = coordinates.values(positions)
        way = self.problem.way_of(positions)
        if not self.crossings:
            return way
        held = [window.log_factor(coordinates.features(positions)).max() for window, _, _ in self.crossings]
        window, index, groups = self.crossings[int(np.argmax(held))]
        if len(groups) < 2:
            return way
        family = coordinates.family()
        place = crossing_places([values], window, lambda p: family.features(torch.from_numpy(p)).numpy())[0]
        group = nearest(place[None, index], groups, coordinates.angular[index])[0]
        return f"{way}, {self._names(index, groups)[group]}"

    def _names(self, index: Sequence[int], groups: np.ndarray) -> list[str]:
        """By the coordinate in which the groups differ most, and numbered where that tells two not apart."""
        coordinates = self.problem.coordinates
        most = int(np.max(np.abs(difference(groups[0], groups[1:], coordinates.angular[index])), axis=0).argmax())
        whole = np.zeros((len(groups), len(coordinates.names)))
        whole[:, index] = groups
        told = [f"{coordinates.names[index[most]]} {short(coordinates, row)[index[most]]}" for row in whole]
        return [name if told.count(name) == 1 else f"{name} ({k + 1})" for k, name in enumerate(told)]
