"""One curve under weighted samples: the objective that it is the minimum of, and how much of the way there samples can follow."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.penalties import PENALTIES, PenaltyInputs
from spacetime_tps.exploration.settings import AvoidanceSettings, GeodesicSettings
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.geodesic import Geodesic, evaluate, minimise
from spacetime_tps.geometry.penalties import Followable, Penalty

HALVINGS = 4
"""Of the way from the curve before to the optimised one, where samples cannot follow the whole"""
LEAP = 2.0
"""d_eta . d_mu of neighbouring points, at most, of a curve that can be followed"""
STEEPER = 1.25
"""Times as steep as the straight line of its class, at most: the penalty that holds it there is soft"""
LEAST_SUPPORT = 0.2
"""Of the wanted effective samples, at every point"""


@dataclass(frozen=True)
class CurveOptimiser:
    """What does not change from round to round; the noise floor does."""

    family: Family
    settings: GeodesicSettings
    pushes: AvoidanceSettings
    avoidance: Avoidance

    def penalties(self, unit: float, *, floor: float, steepest: float = 0.0) -> list[Penalty]:
        """On every curve; `unit` is the straight curve's energy, steepest what has been followed so far, beyond the setting."""
        inputs = PenaltyInputs(self.family, self.settings, unit, floor, max(steepest, self.settings.steepest))
        return [make(inputs) for make in PENALTIES]

    def penalties_on(self, start: torch.Tensor, denoiser: WeightedSamples, *, floor: float, push: float) -> list[Penalty]:
        """All that a curve which sets out from `start` (N, E) is optimised under; push: weight of the forbidden regions."""
        unit, steepest = lines.straight_energy(start, denoiser, self.family), self.straight_steepness(start, denoiser)
        return [*self.penalties(unit, floor=floor, steepest=steepest), *self.regions(start, denoiser, push)]

    def regions(self, start: torch.Tensor, denoiser: WeightedSamples, weight: float) -> list[Penalty]:
        """The penalty of the forbidden regions on the way from the curve `start`, its weight in units of the straight curve's energy."""
        return self.avoidance.penalties(denoiser, start[[0, -1]], weight=weight * lines.straight_energy(start, denoiser, self.family))

    def geodesic(self, start: torch.Tensor, denoiser: WeightedSamples, *, floor: float, first: bool) -> Geodesic:
        """The geodesic reached from the curve `start` (N, E). The first time that a curve enters a region, the region pushes harder from
        pass to pass."""
        g = self.settings
        if not self.avoidance.regions:
            return self._minimum(start, denoiser, self.penalties_on(start, denoiser, floor=floor, push=0.0))
        weights = self.pushes.weights
        for weight in weights if first and self.avoidance.crossed(start.numpy(), denoiser) else weights[-1:]:
            near = denoiser.supporting(start)
            found = self._minimum(start, near, self.penalties_on(start, near, floor=floor, push=weight))
            start = found.eta
        return evaluate(start, denoiser, family=self.family, points=g.points, trace=found.trace)

    def trusted(self, walked: torch.Tensor, found: Geodesic, denoiser: WeightedSamples) -> Geodesic:
        """The optimised curve, or as much of the way to it as samples support and can follow from the curve `walked` (N, E) that windows
        were walked along; that one where nowhere."""
        before = self._described(walked, denoiser, found)
        return self.toward(before, found, denoiser) or before

    def toward(
        self, before: Geodesic, found: Geodesic, denoiser: WeightedSamples, *, sound: Callable[[Geodesic], bool] = lambda curve: True
    ) -> Geodesic | None:
        """The first of the curves all the way from `before` to `found`, half of it, a quarter ..., that samples support and can follow and
        that is `sound`; None where none is."""
        trace = found.trace
        for _ in range(HALVINGS + 1):
            if self.followed(found, denoiser, before=before) and sound(found):
                return found
            halfway = 0.5 * (self.family.chart(before.eta) + self.family.chart(found.eta))
            found = evaluate(self.family.from_chart(halfway), denoiser, family=self.family, points=self.settings.points, trace=trace)
        return None

    def followed(self, curve: Geodesic, denoiser: WeightedSamples, *, before: Geodesic | None = None) -> bool:
        """Whether samples support the curve everywhere, and it neither leaps nor holds two basins at once.

        before: a curve that windows were walked along, both ways to the same free energies. Whatever its support is, and the steepness of
        the straight line of its class, samples have followed it: a curve that is no steeper and no less supported is followed too. (A
        limit from the curve before itself would rise from round to round.)
        """
        support, limit = LEAST_SUPPORT * self.settings.min_effective_samples, 2.0 * self.settings.steepest
        if before is not None:
            support = min(support, float(before.effective_samples.min()))
            limit = max(limit, STEEPER * self.straight_steepness(before.eta, denoiser))
        supported = float(curve.effective_samples.min()) >= support
        return supported and float(curve.segment.max()) <= LEAP and self.steepness(curve.eta, denoiser) <= limit

    def steepness(self, eta: torch.Tensor, denoiser: WeightedSamples) -> float:
        """The largest along a curve eta (N, E), over all noise levels (geometry.penalties.Followable)."""
        measure = Followable(self.family, limit=self.settings.steepest, weight=1.0)
        return float(measure.steepness(eta, denoiser.moments(eta)).max())

    def straight_steepness(self, eta: torch.Tensor, denoiser: WeightedSamples) -> float:
        """That of the straight line of a curve's class, with the curve's noise levels, at points of constant speed as curves have them."""
        straight = evaluate(lines.straightened(eta, self.family), denoiser, family=self.family, points=self.settings.points)
        return self.steepness(straight.eta, denoiser)

    def _minimum(self, start: torch.Tensor, denoiser: WeightedSamples, penalties: list[Penalty]) -> Geodesic:
        g = self.settings
        return minimise(start, denoiser, penalties, family=self.family, nodes=g.nodes, points=g.points, evaluations=g.evaluations)

    def _described(self, start: torch.Tensor, denoiser: WeightedSamples, found: Geodesic) -> Geodesic:
        return evaluate(start, denoiser, family=self.family, points=self.settings.points, trace=found.trace)
