"""The weighted-sample posterior: psi in closed form, convex by construction, from samples with Boltzmann weights."""

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Moments


class WeightedSamples:
    """psi(eta) = log sum_i w_i exp(eta . T(x_i)), with sum_i w_i = 1.

    A log-sum-exp of linear functions is convex, so every segment of every curve has d_eta . d_mu >= 0. It cannot see beyond its samples:
    `effective_samples`, the Kish number (sum p)^2 / sum p^2 of the posterior weights p_i, says where it can be believed.
    """

    def __init__(self, statistic: Tensor, log_weights: Tensor):
        """statistic (S, E); log_weights (S,), normalised here."""
        if statistic.ndim != 2 or log_weights.shape != statistic.shape[:1]:
            raise ValueError(
                f"statistic must have shape (S, E) and log_weights (S,), got {tuple(statistic.shape)} and {tuple(log_weights.shape)}"
            )
        self.statistic = statistic.double()
        self.log_weights = torch.log_softmax(log_weights.double(), dim=0)

    def moments(self, eta: Tensor) -> Moments:
        logits = eta.double() @ self.statistic.T + self.log_weights
        log_partition = torch.logsumexp(logits, dim=-1)
        posterior = torch.exp(logits - log_partition.unsqueeze(-1))
        return Moments(log_partition, posterior @ self.statistic, 1.0 / posterior.square().sum(-1))
