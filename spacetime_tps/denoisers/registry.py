"""The denoisers that a run may train."""

from collections.abc import Callable

from spacetime_tps.denoisers.mixture_trainer import MixtureTrainer
from spacetime_tps.denoisers.protocol import Trainer
from spacetime_tps.denoisers.score_matching import NetworkTrainer
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.geometry.families.protocol import Family

TRAINERS: list[Callable[[DenoiserSettings], Trainer]] = [NetworkTrainer, MixtureTrainer]
"""A new one is put before those that it is to replace."""


def trainer_for(family: Family, settings: DenoiserSettings) -> Trainer | None:
    """The first that handles a family; None where weighted samples are to be kept."""
    return next((trainer for trainer in (make(settings) for make in TRAINERS) if trainer.handles(family)), None)
