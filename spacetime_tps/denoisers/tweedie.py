"""Moments of a denoiser that predicts E[x_0 | x_t] alone: Tweedie's second moment, its trace by Hutchinson with fixed probes."""

from collections.abc import Callable

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.cartesian import Cartesian


class Tweedie:
    """mu = (E[x_0], E|x_0|^2) with E|x_0|^2 = |E x_0|^2 + sigma^2/alpha div_x E[x_0 | x_t], for any x_0 prediction.

    The divergence is the mean over probes of v . (J v). Probes are fixed, so that the metric is one function of eta and not a new one at
    each call. Such a mu is in general no gradient: psi is not known (nan), segments may come out negative, and `curve.length` then raises.
    """

    def __init__(self, mean: Callable[[Tensor, Tensor], Tensor], family: Cartesian, *, probes: Tensor, chunk: int = 64):
        """mean: x_t (n, D) and log_snr (n, 1) to E[x_0] (n, D), differentiable; probes (P, D) with unit covariance; chunk: points at once.

        Raises ValueError for probes of the wrong shape.
        """
        if probes.ndim != 2 or probes.shape[1] != family.coordinates:
            raise ValueError(f"probes must have shape (P, {family.coordinates}), got {tuple(probes.shape)}")
        self.mean, self.family, self.probes, self.chunk = mean, family, probes.double(), chunk

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., D+1); differentiable once, at the cost of one more product with J for each probe."""
        flat = eta.double().reshape(-1, eta.shape[-1])
        mean = torch.cat([self._chunk(piece)[0] for piece in flat.split(self.chunk)])
        unknown = torch.full(eta.shape[:-1], torch.nan, dtype=torch.double)
        return Moments(unknown, mean.reshape(eta.shape), torch.full_like(unknown, torch.inf))

    def trace_error(self, eta: Tensor) -> Tensor:
        """Standard error (...) of E|x_0|^2 that the choice of probes causes; nan for a single probe."""
        flat = eta.double().reshape(-1, eta.shape[-1])
        return torch.cat([self._chunk(piece)[1].detach() for piece in flat.split(self.chunk)]).reshape(eta.shape[:-1])

    def _chunk(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        wanted = eta.requires_grad
        with torch.enable_grad():
            x_t, log_snr = self.family.spacetime(eta)
            x_t = x_t if wanted else x_t.detach().requires_grad_(True)
            first = self.mean(x_t, log_snr)
            products = [
                (torch.autograd.grad(first, x_t, probe.expand_as(first), create_graph=wanted, retain_graph=True)[0] * probe).sum(-1)
                for probe in self.probes
            ]
        traces = torch.stack(products) * (self.family.schedule.sigma(log_snr) ** 2 / self.family.schedule.alpha(log_snr))[:, 0]
        second = first.square().sum(-1) + traces.mean(0)
        mean = torch.cat([first, second[:, None]], dim=-1)
        return mean if wanted else mean.detach(), traces.std(0) / len(traces) ** 0.5


def rademacher(probes: int, dimension: int, *, seed: int) -> Tensor:
    """Random signs (probes, dimension): of all probes with independent entries those with the least variance."""
    signs = torch.randint(0, 2, (probes, dimension), generator=torch.Generator().manual_seed(seed))
    return signs.double() * 2.0 - 1.0
