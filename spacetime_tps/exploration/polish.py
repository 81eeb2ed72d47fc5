"""Last step of the rounds: a denoiser trained on the weighted samples, and the geodesics under it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Trained, learn
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.route import Route
from spacetime_tps.exploration.settings import DenoiserSettings, GeodesicSettings
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families import Family, VonMises
from spacetime_tps.geometry.geodesic import minimise
from spacetime_tps.geometry.penalties import Penalty

WIDEST, NARROWEST = 0.25, 2.0
"""Concentrations to train at, as multiples of the lowest and the highest of the curve"""


@dataclass(frozen=True)
class Supported:
    """A trained denoiser that knows how far the samples carry it: psi and mu are the model's, `effective_samples` those of its data."""

    model: TrainedDenoiser
    samples: WeightedSamples

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., E)."""
        return self.model.moments(eta)._replace(effective_samples=self.samples.moments(eta).effective_samples)


def train_for(route: Route, samples: WeightedSamples, settings: DenoiserSettings, *, seed: int) -> tuple[TrainedDenoiser, Trained]:
    """A denoiser trained on the samples of a route's class, at the noise levels of its curve and about."""
    level = VonMises(samples.statistic.shape[1] // 2).level(torch.from_numpy(route.eta))
    return learn(
        samples, low=WIDEST * float(level.min()), high=NARROWEST * float(level.max()), seed=seed,
        components=settings.components, count=settings.lessons, steps=settings.steps,
    )  # fmt: skip


def trainable(family: Family) -> bool:
    """Whether there is a trained denoiser for a family: the von Mises mixture, for torsions."""
    return isinstance(family, VonMises)


def under_samples(penalties: Sequence[Penalty], samples: WeightedSamples) -> list[Penalty]:
    """Penalties that see the samples' own moments: P_eta of a region is a ratio of sums over samples, never of those and a model's psi."""

    def seen(penalty: Penalty) -> Penalty:
        return lambda eta, moments: penalty(eta, samples.moments(eta))

    return [seen(penalty) for penalty in penalties]


def polished(route: Route, denoiser: Supported, penalties: Sequence[Penalty], family: Family, settings: GeodesicSettings) -> Route:
    """The route's geodesic under a trained denoiser; the route as it was where the optimiser left its class."""
    found = minimise(
        torch.from_numpy(route.eta), denoiser, penalties, family=family,
        nodes=settings.nodes, points=settings.points, evaluations=settings.evaluations,
    )  # fmt: skip
    if lines.class_of(found.eta.numpy(), family) != route.winding:
        return route
    return replace(route, eta=found.eta.numpy(), geodesic=found)
