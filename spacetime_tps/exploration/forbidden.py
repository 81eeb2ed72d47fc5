"""Forbidden regions of one molecule: boxes of a state's conditions and denoising distributions, and what lies in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.coordinates.boxes import rmsd_entry, together
from spacetime_tps.coordinates.circle import within
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.regions import Forbidden, ForbiddenBox, ForbiddenPoint, ReadBytes, StructureFile
from spacetime_tps.geometry.penalties import Divergence, from_point, from_samples
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.ends import one_more
from spacetime_tps.problems.problem import Problem
from spacetime_tps.states.state import State, state_of

EXTENT = 2.0
"""Times the mean square distance D/kappa that the noise alone makes, within which a molecule counts as at a point"""


class ForbiddenRegion(Protocol):
    """A forbidden part of the molecule's space."""

    @property
    def label(self) -> str:
        """How a user writes it."""

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """(coordinate, from, to) of those that it bounds, in the unit people read; none where the coordinates do not tell what is in it."""

    @property
    def round(self) -> bool:
        """Whether it is the ellipsoid within its ranges, not the box."""

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """Whether frames (..., atoms, 3) in nm lie in it: bool (...)."""

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Whether values (..., D) of the coordinates lie in it: bool (...), false where they do not tell."""

    def wider(self, margin: float) -> "ForbiddenRegion":
        """The region with a margin around it, as its conditions count it (`Condition.wider`)."""

    def divergence(self, denoiser: WeightedSamples, inside: Tensor) -> Divergence:
        """How far p_eta is from it, nats; `inside` (S,) says which samples of the denoiser it holds, at least one."""


@dataclass(frozen=True)
class Box:
    """A state of one box: all of its conditions hold."""

    label: str
    state: State
    coordinates: Coordinates

    round = False

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """Those of the coordinates, where they are all that it bounds."""
        (box,) = self.state.to_json()
        each = (State(((condition,),)).to_json()[0] for condition in self.state.boxes[0])
        if not all(any(self.coordinates.bounds(alone)) for alone in each):
            return ()
        return tuple((k, *limits) for k, limits in enumerate(self.coordinates.bounds(box)) if limits)

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """As a state does."""
        return self.state.contains(positions)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """All ranges hold."""
        ranges = self.ranges
        if not ranges:
            return np.zeros(values.shape[:-1], dtype=bool)
        read, angular = self.coordinates.scale * values, self.coordinates.angular
        sides = [
            within(read[..., k], low, high) if angular[k] else (read[..., k] >= low) & (read[..., k] <= high) for k, low, high in ranges
        ]
        return np.all(sides, axis=0)

    def wider(self, margin: float) -> "Box":
        """Every condition with the margin."""
        (box,) = self.state.boxes
        return Box(self.label, State((tuple(condition.wider(margin) for condition in box),)), self.coordinates)

    def divergence(self, denoiser: WeightedSamples, inside: Tensor) -> Divergence:
        """-log P_eta(box)."""
        return from_samples(denoiser.restricted(inside))


@dataclass(frozen=True)
class Point:
    """A denoising distribution: a center (D,) and a precision."""

    label: str
    center: np.ndarray
    kappa: float
    coordinates: Coordinates

    round = True

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """As far as it reaches each way."""
        half, scale = np.sqrt(self._reach), self.coordinates.scale
        return tuple((k, float(u * (c - half)), float(u * (c + half))) for k, (c, u) in enumerate(zip(self.center, scale, strict=True)))

    @property
    def _reach(self) -> float:
        """Squared distance from the center up to which a molecule counts as there; two standard deviations where D is two."""
        return EXTENT * len(self.center) / self.kappa

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """By the values."""
        return self.holds(self.coordinates.values(positions))

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Where the squared distance from the center, angles by the chord, is at most twice what the noise alone makes:
        sum_i 2 - 2 cos(theta_i - c_i), or sum_i (d_i - c_i)^2, <= 2 D / kappa."""
        apart = values - self.center
        return np.asarray(np.where(self.coordinates.angular, 2.0 - 2.0 * np.cos(apart), apart**2).sum(-1) <= self._reach)

    def wider(self, margin: float) -> "Point":
        """Itself: its width is its precision."""
        return self

    def divergence(self, denoiser: WeightedSamples, inside: Tensor) -> Divergence:
        """KL(p_* || p_eta)."""
        family = self.coordinates.family()
        return from_point(torch.from_numpy(lines.at_precision(family, self.center, np.full(family.levels, self.kappa))), denoiser)


def bind(forbidden: Sequence[Forbidden], problem: Problem, read: ReadBytes) -> tuple[ForbiddenRegion, ...]:
    """The regions in the coordinates of a molecule.

    Raises SpacetimeError for a coordinate that there is not, for a range that is none, for a point that leaves one out, for a structure of
    other atoms, and for a region that an end lies in.
    """
    names = problem.coordinates.names
    for region in forbidden:
        unknown = [name for name in region.names if name not in names]
        if unknown:
            raise SpacetimeError(f"--avoid {region.label!r} names {unknown[0]!r}, which is none of the coordinates {', '.join(names)}")
    bound = tuple(_bound(region, problem, read) for region in forbidden)
    for end, structure in (("start", problem.start), ("end", problem.end)):
        for held in (region for region in bound if region.contains(structure.positions)):
            raise SpacetimeError(f"the {end} structure lies in the forbidden region {held.label!r}, so every path does: make it smaller")
    return bound


def _bound(region: Forbidden, problem: Problem, read: ReadBytes) -> ForbiddenRegion:
    try:
        if isinstance(region, ForbiddenBox):
            return Box(region.label, _state(region, problem, read), problem.coordinates)
        if isinstance(region, ForbiddenPoint):
            return Point(region.label, _center(region, problem.coordinates), region.kappa, problem.coordinates)
        center = problem.coordinates.values(_positions(region.near, problem, read))
        return Point(region.label, center, region.kappa, problem.coordinates)
    except SpacetimeError as wrong:
        raise SpacetimeError(f"--avoid {region.label!r}: {wrong}") from wrong


def _state(region: ForbiddenBox, problem: Problem, read: ReadBytes) -> State:
    parts = [problem.coordinates.condition(name, *limits) for name, limits in region.box.items()]
    places: dict[str, np.ndarray] = {}
    if region.rmsd:
        atoms = molecule_of(problem.start, problem.end, problem.model.cell).chosen(None)
        places[region.rmsd.kept] = _positions(region.rmsd, problem, read)
        parts.append({"rmsd": rmsd_entry(region.rmsd.kept, atoms, max_nm=region.rmsd.max_nm)})
    box: dict[str, Any] = together(parts)
    return state_of([box], cell=problem.model.cell, read=places.__getitem__)


def _positions(structure: StructureFile, problem: Problem, read: ReadBytes) -> np.ndarray:
    """(atoms, 3) in nm, in the order of the problem's atoms, without solvent."""
    return one_more(read(structure.kept), structure.file, problem.start, keep_names=problem.labelled).positions


def _center(region: ForbiddenPoint, coordinates: Coordinates) -> np.ndarray:
    left_out = [name for name in coordinates.names if name not in region.point]
    if left_out:
        raise SpacetimeError(f"a point wants every coordinate, and {left_out[0]} is left out")
    return np.array([region.point[name] for name in coordinates.names]) / coordinates.scale
