"""The von Mises mixture as a denoiser of torsions, fitted to the posterior moments of weighted samples."""

from dataclasses import dataclass

from torch import Tensor

from spacetime_tps.denoisers import network
from spacetime_tps.denoisers.protocol import Ensembles, Fitted
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import learn
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises

WIDEST, NARROWEST = 0.25, 2.0
"""Concentrations to train at, as multiples of the lowest and the highest of the curve"""


@dataclass(frozen=True)
class MixtureTrainer:
    """For torsions alone."""

    settings: DenoiserSettings

    def handles(self, family: Family) -> bool:
        return isinstance(family, VonMises) and self.settings.components > 0

    def fit(self, data: Ensembles, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        level, s = family.level(curve), self.settings
        model, record = learn(
            data.samples, low=WIDEST * float(level.min()), high=NARROWEST * float(level.max()), seed=seed,
            components=s.components, count=s.lessons, steps=s.steps,
        )  # fmt: skip
        return Fitted(model, network.to_bytes(model), record)
