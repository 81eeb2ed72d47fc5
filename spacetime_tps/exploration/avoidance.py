"""How near a curve comes to forbidden regions, and the penalty that keeps it away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.forbidden import ForbiddenRegion
from spacetime_tps.exploration.route import Nearness, kept
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.penalties import Avoid, Penalty, from_samples

MOST = 0.5
"""Share of p_eta in a region from which on a curve runs through it, wherever its center is"""
SHARES = 1.0, 0.5, 0.25, 0.125, 0.0
"""Of the margin that are tried"""


class Avoidance:
    """All forbidden regions of a run, and how far a curve's divergence from each, a margin around it included, must not fall.

    Where a curve begins and ends is not its to choose: as much of the margin counts as both of its ends keep.
    """

    def __init__(self, regions: Sequence[ForbiddenRegion], family: Family, *, margin: float, floor: float):
        """margin: radians, 0.1 nm, or what a condition counts in; floor: nats."""
        self.regions, self.family, self.floor = tuple(regions), family, floor
        self._wide = tuple(tuple(region.wider(share * margin) for share in SHARES) for region in regions)

    def marks(self, positions: np.ndarray) -> np.ndarray:
        """Which frames (S, atoms, 3) lie in each region, with each of K shares of the margin, the last without: bool (S, R, K), what its
        denoisers are marked with."""
        inside = {id(wide): wide.contains(positions) for wide in {id(w): w for row in self._wide for w in row}.values()}
        found = [[inside[id(wide)] for wide in row] for row in self._wide]
        return np.array(found, dtype=bool).transpose(2, 0, 1) if found else np.zeros((len(positions), 0, len(SHARES)), dtype=bool)

    def penalties(self, denoiser: WeightedSamples, ends: Tensor, *, weight: float) -> list[Penalty]:
        """One for all regions that the denoiser has samples of: there is nothing to avoid where none is. ends (2, E): of the curve."""
        held = [self._held(k, denoiser, ends) for k in range(len(self.regions))]
        divergences = [h.region.divergence(denoiser, h.around) for h in held if h.around.any()]
        return [Avoid(divergences, floor=self.floor, weight=weight)] if divergences else []

    def crossed(self, eta: np.ndarray, denoiser: WeightedSamples) -> bool:
        """Whether a curve (N, E) runs through a region."""
        return any(near.crosses for near in self.nearness(eta, denoiser))

    def nearness(self, eta: np.ndarray, denoiser: WeightedSamples) -> tuple[Nearness, ...]:
        """Of a curve (N, E) to each region."""
        curve, line = torch.from_numpy(eta), lines.center_line(eta, self.family)
        moments = denoiser.moments(curve)
        found = []
        for k, region in enumerate(self.regions):
            held, inside = self._held(k, denoiser, curve[[0, -1]]), denoiser.marks[:, k, -1]
            divergence, center, probability = None, None, 0.0
            if held.around.any():
                along = held.region.divergence(denoiser, held.around)(curve, moments)
                divergence = float(along.min())
                at = lines.centers(eta, self.family)[int(along.argmin())]
                center = tuple(at.tolist())
            if inside.any():
                least = from_samples(denoiser.restricted(inside))(curve, moments).min()
                probability = float(torch.exp(-least))
            crosses = bool(region.holds(line).any()) or probability > MOST
            found.append(Nearness(region.label, divergence, self.floor, probability, center, crosses, held.share))
        return tuple(found)

    def _held(self, k: int, denoiser: WeightedSamples, ends: Tensor) -> "_Held":
        """The k-th region with the largest share of its margin that both ends (2, E) of a curve keep, or with none."""
        moments = denoiser.moments(ends)
        for wide, around, share in zip(self._wide[k], denoiser.marks[:, k].T, SHARES, strict=True):
            fixed = wide is self.regions[k] or share == 0.0 or not around.any()
            if fixed or float(wide.divergence(denoiser, around)(ends, moments).min()) >= kept(self.floor):
                return _Held(wide, around, share)
        raise AssertionError("the last share is none")


@dataclass(frozen=True)
class _Held:
    """A region with its margin."""

    region: ForbiddenRegion
    around: Tensor
    """(S,) bool: the samples in it"""
    share: float
    """Of the margin"""
