"""Last step of the rounds: the geodesics under a trained denoiser."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.route import Route
from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.geometry.curve import NotConvex
from spacetime_tps.geometry.denoiser import Denoiser, Moments
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.geodesic import evaluate, minimise
from spacetime_tps.geometry.penalties import Convex, Penalty

CONVEX = 1e4
"""Over the number of segments, by which they enter the energy: a negative one never pays"""


@dataclass(frozen=True)
class Supported:
    """A trained denoiser that knows how far the samples carry it: psi and mu are the model's, `effective_samples` those of its data."""

    model: Denoiser
    samples: WeightedSamples

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., E)."""
        return self.model.moments(eta)._replace(effective_samples=self.samples.moments(eta).effective_samples)


def under_samples(penalties: Sequence[Penalty], samples: WeightedSamples) -> list[Penalty]:
    """Penalties that see the samples' own moments: P_eta of a region is a ratio of sums over samples, never of those and a model's psi."""

    def seen(penalty: Penalty) -> Penalty:
        return lambda eta, moments: penalty(eta, samples.moments(eta))

    return [seen(penalty) for penalty in penalties]


def polished(route: Route, denoiser: Supported, penalties: Sequence[Penalty], family: Family, settings: GeodesicSettings) -> Route | None:
    """The route with its geodesic under a trained denoiser, which is described, as all routes are, by the samples; None where the optimiser
    left its class, or where the denoiser is convex."""
    try:
        found = minimise(
            torch.from_numpy(route.eta), denoiser, [*penalties, Convex(weight=CONVEX)], family=family,
            nodes=settings.nodes, points=settings.points, evaluations=settings.evaluations,
        )  # fmt: skip
    except NotConvex:
        return None
    told = evaluate(found.eta, denoiser.samples, family=family, points=settings.points, trace=found.trace)
    return replace(route, eta=told.eta.numpy(), geodesic=told) if lines.class_of(told.eta.numpy(), family) == route.winding else None
