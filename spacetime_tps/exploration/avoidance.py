"""Forbidden regions of one molecule: what lies in them, how near a curve comes, and the penalty that keeps it away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from spacetime_tps.coordinates.circle import to_read, within
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.regions import Forbidden, ForbiddenBox
from spacetime_tps.exploration.route import Nearness
from spacetime_tps.geometry.families import Family, values_of
from spacetime_tps.geometry.penalties import Avoid, Divergence, Penalty, from_point, from_samples
from spacetime_tps.problems.problem import Problem

RADIUS = 2.0
"""Standard deviations, 1/sqrt(kappa), around a point within which a molecule counts as there"""


class ForbiddenRegion(Protocol):
    """A forbidden part of the space of coordinates."""

    @property
    def label(self) -> str:
        """How a user writes it."""

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """(coordinate, from, to) of those that it bounds, in the unit people read."""

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Whether values (..., D) of the coordinates lie in it: bool (...)."""

    def wider(self, margin: float) -> "ForbiddenRegion":
        """The region with a margin around it: degrees, or a tenth as many 0.1 nm."""

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """How far p_eta is from it, nats; `inside` (S,) says which samples of the denoiser it holds, at least one."""


@dataclass(frozen=True)
class Side:
    """One coordinate between two limits."""

    index: int
    low: float
    high: float
    angular: bool

    def holds(self, values: np.ndarray) -> np.ndarray:
        """For values (..., D): bool (...)."""
        at = values[..., self.index]
        return within(np.degrees(at), self.low, self.high) if self.angular else np.asarray((at >= self.low) & (at <= self.high))

    def wider(self, margin: float) -> "Side":
        """With the margin on either side, the whole circle where that leaves no gap."""
        if not self.angular:
            return Side(self.index, self.low - 0.1 * margin, self.high + 0.1 * margin, False)
        width = (self.high - self.low) % 360.0
        if width == 0.0 or width + 2.0 * margin >= 360.0:
            return Side(self.index, -180.0, 180.0, True)
        return Side(self.index, self.low - margin, self.high + margin, True)


@dataclass(frozen=True)
class Box:
    """All sides hold."""

    label: str
    sides: tuple[Side, ...]

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """Its sides."""
        return tuple((side.index, side.low, side.high) for side in self.sides)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """All ranges hold."""
        return np.all([side.holds(values) for side in self.sides], axis=0)

    def wider(self, margin: float) -> "Box":
        """Every side with the margin."""
        return Box(self.label, tuple(side.wider(margin) for side in self.sides))

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """-log P_eta(box)."""
        return from_samples(denoiser.restricted(torch.from_numpy(inside)))


@dataclass(frozen=True)
class Point:
    """A denoising distribution: a center (D,) and a precision."""

    label: str
    center: np.ndarray
    kappa: float
    family: Family

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """`RADIUS` standard deviations each way."""
        half = RADIUS / np.sqrt(self.kappa)
        units = to_read(np.ones(len(self.center)), self.family.angular)
        return tuple((k, float(u * (c - half)), float(u * (c + half))) for k, (c, u) in enumerate(zip(self.center, units, strict=True)))

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Within `RADIUS` standard deviations of the center; angles by the chord: sum_i 2 - 2 cos(theta_i - c_i) <= RADIUS^2 / kappa."""
        apart = values - self.center
        return np.asarray(np.where(self.family.angular, 2.0 - 2.0 * np.cos(apart), apart**2).sum(-1) <= RADIUS**2 / self.kappa)

    def wider(self, margin: float) -> "Point":
        """Itself: its width is its noise level."""
        return self

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """KL(p_* || p_eta)."""
        levels = self.family.precisions(torch.zeros(self.family.dimension, dtype=torch.double)).shape[-1]
        return from_point(torch.from_numpy(lines.at_precision(self.family, self.center, np.full(levels, self.kappa))), denoiser)


class Avoidance:
    """All forbidden regions of a run, and how far a curve's divergence from each, a margin around it included, must not fall."""

    def __init__(self, regions: Sequence[ForbiddenRegion], family: Family, *, margin: float, floor: float):
        self.regions, self.family, self.floor = tuple(regions), family, floor
        self._wide = tuple(region.wider(margin) for region in regions)

    def penalties(self, denoiser: WeightedSamples, *, weight: float) -> list[Penalty]:
        """One for all regions that the denoiser has samples of: there is nothing to avoid where none is."""
        values = self._values(denoiser)
        held = [(region, region.holds(values)) for region in self._wide]
        divergences = [region.divergence(denoiser, inside) for region, inside in held if inside.any()]
        return [Avoid(divergences, floor=self.floor, weight=weight)] if divergences else []

    def crossed(self, eta: np.ndarray) -> bool:
        """Whether the centers of a curve (N, E) run through a region."""
        line = lines.center_line(eta, self.family)
        return any(bool(region.holds(line).any()) for region in self.regions)

    def nearness(self, eta: np.ndarray, denoiser: WeightedSamples) -> tuple[Nearness, ...]:
        """Of a curve (N, E) to each region."""
        curve, line, values = torch.from_numpy(eta), lines.center_line(eta, self.family), self._values(denoiser)
        moments = denoiser.moments(curve)
        found = []
        for region, wide in zip(self.regions, self._wide, strict=True):
            inside, around = region.holds(values), wide.holds(values)
            divergence, center, probability = None, None, 0.0
            if around.any():
                along = wide.divergence(denoiser, around)(curve, moments)
                divergence = float(along.min())
                at = lines.centers(eta, self.family)[int(along.argmin())]
                center = tuple(to_read(at, self.family.angular).round(1).tolist())
            if inside.any():
                least = from_samples(denoiser.restricted(torch.from_numpy(inside)))(curve, moments).min()
                probability = float(torch.exp(-least))
            found.append(Nearness(region.label, divergence, self.floor, probability, center, bool(region.holds(line).any())))
        return tuple(found)

    def _values(self, denoiser: WeightedSamples) -> np.ndarray:
        """Coordinates (S, D) of a denoiser's samples."""
        return values_of(denoiser.statistic.numpy(), self.family)


def bind(forbidden: Sequence[Forbidden], problem: Problem) -> tuple[ForbiddenRegion, ...]:
    """The regions in the coordinates of a molecule.

    Raises SpacetimeError for a coordinate that there is not, for a point that leaves one out, and for a region that an end lies in.
    """
    names = problem.coordinates.names
    for region in forbidden:
        unknown = [name for name in region.torsions if name not in names]
        if unknown:
            raise SpacetimeError(f"--avoid {region.label!r} names {unknown[0]!r}, which is none of the coordinates {', '.join(names)}")
    bound = tuple(_bound(region, problem.coordinates) for region in forbidden)
    for end, values in zip(("start", "end"), problem.ends, strict=True):
        for held in (region for region in bound if region.holds(values)):
            raise SpacetimeError(f"the {end} structure lies in the forbidden region {held.label!r}, so every path does: make it smaller")
    return bound


def _bound(region: Forbidden, coordinates: Coordinates) -> ForbiddenRegion:
    names, angular = coordinates.names, coordinates.angular
    if isinstance(region, ForbiddenBox):
        places = {names.index(name): limits for name, limits in region.box.items()}
        return Box(region.label, tuple(Side(k, *limits, bool(angular[k])) for k, limits in places.items()))
    left_out = [name for name in names if name not in region.point]
    if left_out:
        raise SpacetimeError(f"--avoid {region.label!r}: a point wants every coordinate, and {left_out[0]} is left out")
    center = np.array([region.point[name] for name in names])
    return Point(region.label, np.where(angular, np.radians(center), center), region.kappa, coordinates.family())
