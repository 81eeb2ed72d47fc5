"""Last step of the rounds: geodesics under a trained denoiser."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.penalties import Convex, Penalty
from spacetime_tps.geometry.relax import Relaxed, relax

CONVEX = 1e4
"""Over the number of segments, by which they enter the energy: a negative one never pays"""


def polished(
    start: Tensor, model: Denoiser, samples: WeightedSamples, penalties: Sequence[Penalty], family: Family, settings: GeodesicSettings
) -> Relaxed:
    """The curve (points, E) reached from `start` (N, E): its energy is the trained model's, its penalties are asked of the samples.

    What a penalty asks (how much confinement costs, how far samples reach, P of a region) are sums over samples, bounded whatever the
    curve; a model that is not convex may be wrong without bound where it was not trained. Its points are not at constant speed.
    """
    convex = Convex(weight=CONVEX)

    def objective(z: Tensor) -> Tensor:
        eta = family.from_chart(z)
        learned, seen = model.moments(eta), samples.moments(eta)
        value = curve.energy(eta, learned.mean) + convex(eta, learned)
        for penalty in penalties:
            value = value + penalty(eta, seen)
        return value

    found = relax(family.chart(start), objective, nodes=settings.nodes, points=settings.points, evaluations=settings.evaluations)
    return Relaxed(family.from_chart(found.curve), found.trace)


def is_convex(eta: Tensor, model: Denoiser) -> bool:
    """Whether no segment of a curve eta (N, E) is negative under a model."""
    with torch.no_grad():
        return bool((curve.segments(eta, model.moments(eta).mean) >= 0.0).all())
