"""The penalties on every curve of a run: made anew for each curve, their weights in units of the straight curve's energy."""

from collections.abc import Callable
from dataclasses import dataclass

from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.penalties import Barrier, EffectiveSamples, Followable, LowVariance, Penalty

SAFETY = 2.0


def acts_below(settings: GeodesicSettings) -> float:
    """Effective samples at which the penalty on them begins to act: it is soft, so from twice the wanted number on."""
    return SAFETY * settings.min_effective_samples


@dataclass(frozen=True)
class PenaltyInputs:
    """What a penalty is made from."""

    family: Family
    settings: GeodesicSettings
    unit: float
    """Energy of the straight curve: what a weight of one is worth"""
    floor: float
    """The noise floor of the round, a precision"""
    steepest: float
    """Up to which samples can follow"""


PENALTIES: list[Callable[[PenaltyInputs], Penalty]] = [
    lambda s: LowVariance(s.family, s.floor, weight=s.unit * s.settings.low_variance_weight),
    lambda s: Barrier(weight=s.unit * s.settings.barrier_weight, sharpness=s.settings.barrier_sharpness),
    lambda s: Followable(s.family, limit=s.steepest, weight=s.unit * s.settings.followable_weight),
    lambda s: EffectiveSamples(floor=acts_below(s.settings), weight=s.unit * s.settings.effective_samples_weight),
]
"""A new penalty is added here. Forbidden regions come on top (`avoidance`)."""
