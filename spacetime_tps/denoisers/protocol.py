"""What trains a denoiser on samples of many ensembles, and what comes of it."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import Trained
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family


@dataclass(frozen=True)
class Ensembles:
    """The frames of one class of routes: with their Boltzmann weights, and by the ensemble that each was drawn from."""

    samples: WeightedSamples
    """All frames, ordered by ensemble"""
    eta: Tensor
    """(K, E): of each ensemble, zero for plain MD"""
    counts: Tensor
    """(K,) frames"""


@dataclass(frozen=True)
class Fitted:
    """A trained denoiser."""

    denoiser: Denoiser
    content: bytes
    """What denoiser.pt holds: tensors and words, which load without pickle"""
    record: Trained


class Trainer(Protocol):
    """Fits one kind of denoiser; made from DenoiserSettings. Register the class in `registry.TRAINERS`."""

    def handles(self, family: Family) -> bool:
        """Whether it has a denoiser for this family under its settings."""

    def fit(self, data: Ensembles, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        """A denoiser of the frames of one class of routes, right at the noise levels of curve (N, E) and about; fixed by the seed."""
