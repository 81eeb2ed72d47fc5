"""Exact denoisers: Gaussian data and mixtures of Gaussians, where psi, mu and the posterior itself have closed forms."""

from typing import NamedTuple

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Moments


class MixturePosterior(NamedTuple):
    """p_eta of a mixture is a mixture again: weights (..., K), means (..., K, D) and variances (..., K, D)."""

    weight: Tensor
    mean: Tensor
    variance: Tensor


class GaussianMixture:
    """p_0 = sum_k w_k N(m_k, diag s_k^2), in the family geometry.families.Cartesian; one component is the Gaussian case.

    With eta = (a, b) and q_k = 1 - 2 b s_k^2, completing the square component by component and dimension by dimension gives
    psi = log sum_k w_k exp(sum_d [(a m + b m^2 + a^2 s^2 / 2) / q - log(q) / 2]), means (m + a s^2) / q and variances s^2 / q.
    """

    def __init__(self, means: Tensor, variances: Tensor, weights: Tensor):
        """means (K, D); variances (K, D) or broadcast to it; weights (K,), normalised here."""
        if means.ndim != 2 or weights.shape != means.shape[:1]:
            raise ValueError(f"means must have shape (K, D) and weights (K,), got {tuple(means.shape)} and {tuple(weights.shape)}")
        if not bool((variances > 0).all() and (weights > 0).all()):
            raise ValueError("variances and weights must be positive")
        self.means = means.double()
        self.variances = variances.double().expand(means.shape)
        self.log_weights = (weights / weights.sum()).double().log()

    def posterior(self, eta: Tensor) -> MixturePosterior:
        """p_eta at eta (..., D+1)."""
        log_weight, mean, variance = self._components(eta)
        return MixturePosterior(torch.softmax(log_weight, dim=-1), mean, variance)

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., D+1), differentiable any number of times."""
        log_weight, mean, variance = self._components(eta)
        share = torch.softmax(log_weight, dim=-1)
        first = torch.einsum("...k,...kd->...d", share, mean)
        second = (share * (mean.square() + variance).sum(-1)).sum(-1, keepdim=True)
        psi = torch.logsumexp(log_weight, dim=-1)
        return Moments(psi, torch.cat([first, second], dim=-1), torch.full_like(psi, torch.inf))

    def _components(self, eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = eta.double()[..., None, :-1], eta.double()[..., None, -1:]
        m, s2 = self.means, self.variances
        q = 1.0 - 2.0 * b * s2
        log_weight = self.log_weights + ((a * m + b * m.square() + 0.5 * a.square() * s2) / q - 0.5 * q.log()).sum(-1)
        return log_weight, (m + a * s2) / q, s2 / q
