"""Noise schedules: how x_t = alpha x_0 + sigma eps splits a log signal-to-noise ratio log(alpha^2 / sigma^2) into alpha and sigma."""

from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """alpha and sigma as functions of log_snr (...); alpha^2 / sigma^2 = exp(log_snr) for every schedule."""

    def alpha(self, log_snr: Tensor) -> Tensor:
        """Factor of the data."""

    def sigma(self, log_snr: Tensor) -> Tensor:
        """Standard deviation of the noise."""


class VariancePreserving:
    """alpha^2 + sigma^2 = 1."""

    def alpha(self, log_snr: Tensor) -> Tensor:
        """sqrt(sigmoid(log_snr))."""
        return torch.sigmoid(log_snr).sqrt()

    def sigma(self, log_snr: Tensor) -> Tensor:
        """sqrt(sigmoid(-log_snr))."""
        return torch.sigmoid(-log_snr).sqrt()


class VarianceExploding:
    """alpha = 1."""

    def alpha(self, log_snr: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(log_snr)

    def sigma(self, log_snr: Tensor) -> Tensor:
        """exp(-log_snr / 2)."""
        return torch.exp(-0.5 * log_snr)
