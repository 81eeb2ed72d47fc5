"""Torsions as points (cos, sin) of a Cartesian space: what lets a denoiser of torsions be sampled as a diffusion model."""

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Denoiser, Moments


class Embedded:
    """A denoiser of n torsions (family VonMises(n)) in the spacetime of their cosines and sines (family Cartesian(2n)).

    The 2n numbers T(x) are blurred by Gaussian noise like any others. Their squares sum to n, so that eta = (a, b) of Cartesian(2n) adds
    b n to a . T, which changes no distribution: psi(a, b) = psi(a) + b n and mu = (mu(a), n), of every a, also one that no restraint on
    torsions is made from (|a_i| is then less or more than the SNR).
    """

    def __init__(self, torsions: Denoiser):
        """torsions: anything with moments at eta (..., 2n)."""
        self.torsions = torsions

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., 2n+1); as often differentiable as those of the torsions. Raises ValueError for an even last dimension."""
        if eta.shape[-1] % 2 == 0:
            raise ValueError(f"eta must have shape (..., 2n+1), that of Cartesian(2n), got {tuple(eta.shape)}")
        count = (eta.shape[-1] - 1) // 2
        inner = self.torsions.moments(eta[..., :-1])
        square = torch.full_like(inner.mean[..., :1], float(count))
        return Moments(
            inner.log_partition + count * eta[..., -1], torch.cat([inner.mean, square], dim=-1), inner.effective_samples
        )  # fmt: skip
