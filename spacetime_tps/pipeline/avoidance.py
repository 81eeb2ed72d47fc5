"""Forbidden regions of one molecule: what lies in them, how near a curve comes, and the penalty that keeps it away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families import VonMises
from spacetime_tps.geometry.penalties import Avoid, Divergence, Penalty, from_point, from_samples
from spacetime_tps.molecules.coordinates import Torsions
from spacetime_tps.molecules.states import Interval
from spacetime_tps.pipeline import routes as routing
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.regions import Forbidden, ForbiddenBox
from spacetime_tps.pipeline.routes import Nearness

RADIUS = 2.0
"""Standard deviations, 1/sqrt(kappa), around a point within which a molecule counts as there"""


class Region(Protocol):
    """A forbidden part of torsion space."""

    @property
    def label(self) -> str:
        """How a user writes it."""

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """(torsion, from, to) in degrees of the torsions that it bounds."""

    def holds(self, angles: np.ndarray) -> np.ndarray:
        """Whether torsions (..., n) in radians lie in it: bool (...)."""

    def wider(self, margin: float) -> "Region":
        """The region with a margin around it, degrees."""

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """How far p_eta is from it, nats; `inside` (S,) says which samples of the denoiser it holds, at least one."""


@dataclass(frozen=True)
class Box:
    """A box of torsions, given by their indices and ranges."""

    label: str
    intervals: tuple[tuple[int, Interval], ...]

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """Its sides."""
        return tuple((k, interval.low, interval.high) for k, interval in self.intervals)

    def holds(self, angles: np.ndarray) -> np.ndarray:
        """All ranges hold."""
        return np.all([interval.holds(np.degrees(angles[..., k])) for k, interval in self.intervals], axis=0)

    def wider(self, margin: float) -> "Box":
        """Each range with the margin on either side, the whole circle where that leaves no gap."""
        return Box(self.label, tuple((k, _wider(interval, margin)) for k, interval in self.intervals))

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """-log P_eta(box)."""
        return from_samples(denoiser.restricted(torch.from_numpy(inside)))


@dataclass(frozen=True)
class Point:
    """A denoising distribution: a center (n,) in radians and a concentration."""

    label: str
    center: np.ndarray
    kappa: float

    @property
    def ranges(self) -> tuple[tuple[int, float, float], ...]:
        """`RADIUS` standard deviations each way."""
        half = float(np.degrees(RADIUS / np.sqrt(self.kappa)))
        return tuple((k, c - half, c + half) for k, c in enumerate(np.degrees(self.center).tolist()))

    def holds(self, angles: np.ndarray) -> np.ndarray:
        """Within `RADIUS` standard deviations of the center, by the chord: sum_i 2 - 2 cos(theta_i - c_i) <= RADIUS^2 / kappa."""
        return (2.0 - 2.0 * np.cos(angles - self.center)).sum(-1) <= RADIUS**2 / self.kappa

    def wider(self, margin: float) -> "Point":
        """Itself: its width is its noise level."""
        return self

    def divergence(self, denoiser: WeightedSamples, inside: np.ndarray) -> Divergence:
        """KL(p_* || p_eta)."""
        center = torch.from_numpy(self.center)
        return from_point(VonMises(len(center)).natural(center, torch.full_like(center, self.kappa)), denoiser)


class Avoidance:
    """All forbidden regions of a run, and how far a curve's divergence from each, a margin around it included, must not fall."""

    def __init__(self, regions: Sequence[Region], *, margin: float, floor: float):
        self.regions, self.floor = tuple(regions), floor
        self._wide = tuple(region.wider(margin) for region in regions)

    def penalties(self, denoiser: WeightedSamples, *, weight: float) -> list[Penalty]:
        """One for all regions that the denoiser has samples of: there is nothing to avoid where none is."""
        angles = _angles(denoiser)
        held = [(region, region.holds(angles)) for region in self._wide]
        divergences = [region.divergence(denoiser, inside) for region, inside in held if inside.any()]
        return [Avoid(divergences, floor=self.floor, weight=weight)] if divergences else []

    def crossed(self, eta: np.ndarray) -> bool:
        """Whether the centers of a curve (N, 2n) run through a region."""
        line = routing.center_line(eta)
        return any(bool(region.holds(line).any()) for region in self.regions)

    def nearness(self, eta: np.ndarray, denoiser: WeightedSamples) -> tuple[Nearness, ...]:
        """Of a curve (N, 2n) to each region."""
        curve, line, angles = torch.from_numpy(eta), routing.center_line(eta), _angles(denoiser)
        moments = denoiser.moments(curve)
        found = []
        for region, wide in zip(self.regions, self._wide, strict=True):
            inside, around = region.holds(angles), wide.holds(angles)
            divergence, center, probability = None, None, 0.0
            if around.any():
                along = wide.divergence(denoiser, around)(curve, moments)
                divergence = float(along.min())
                center = tuple(np.degrees(routing.unwrapped(eta)[int(along.argmin())]).round(1).tolist())
            if inside.any():
                least = from_samples(denoiser.restricted(torch.from_numpy(inside)))(curve, moments).min()
                probability = float(torch.exp(-least))
            found.append(Nearness(region.label, divergence, self.floor, probability, center, bool(region.holds(line).any())))
        return tuple(found)


def bind(forbidden: Sequence[Forbidden], prepared: Prepared) -> tuple[Region, ...]:
    """The regions in the torsions of a molecule.

    Raises SpacetimeError for a torsion that there is not, for a point that leaves one out, and for a region that an end lies in.
    """
    names = prepared.torsions.names
    for region in forbidden:
        unknown = [name for name in region.torsions if name not in names]
        if unknown:
            raise SpacetimeError(f"--avoid {region.label!r} names {unknown[0]!r}, which is none of the torsions {', '.join(names)}")
    bound = tuple(_bound(region, prepared.torsions) for region in forbidden)
    for end, angles in zip(("start", "end"), prepared.end_angles, strict=True):
        for held in (region for region in bound if region.holds(angles)):
            raise SpacetimeError(f"the {end} structure lies in the forbidden region {held.label!r}, so every path does: make it smaller")
    return bound


def _bound(region: Forbidden, torsions: Torsions) -> Region:
    if isinstance(region, ForbiddenBox):
        places = {torsions.names.index(name): limits for name, limits in region.box.items()}
        return Box(region.label, tuple((k, Interval(torsions.atoms[k], *limits)) for k, limits in places.items()))
    left_out = [name for name in torsions.names if name not in region.point]
    if left_out:
        raise SpacetimeError(f"--avoid {region.label!r}: a point wants every torsion, and {left_out[0]} is left out")
    return Point(region.label, np.radians([region.point[name] for name in torsions.names]), region.kappa)


def _angles(denoiser: WeightedSamples) -> np.ndarray:
    """Torsions (S, n) of a denoiser's samples, radians."""
    return VonMises(denoiser.statistic.shape[1] // 2).center(denoiser.statistic).numpy()


def _wider(interval: Interval, margin: float) -> Interval:
    width = (interval.high - interval.low) % 360.0
    if width == 0.0 or width + 2.0 * margin >= 360.0:
        return Interval(interval.atoms, -180.0, 180.0)
    return Interval(interval.atoms, interval.low - margin, interval.high + margin)
