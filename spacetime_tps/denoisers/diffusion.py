"""Sampling the diffusion model itself, given its denoiser: the probability flow, the reverse SDE, and the jump to the denoised point.

Time is log_snr and rises from noise to data. Both samplers step in variables that no schedule enters, and hand back x_t of the family's
schedule, so that they serve variance-preserving and variance-exploding noise alike.
"""

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.cartesian import Cartesian


def denoise(x_t: Tensor, log_snr: Tensor, denoiser: Denoiser, *, family: Cartesian) -> Tensor:
    """E[x_0 | x_t] (..., D) at x_t (..., D) and log_snr, a scalar or (..., 1): the first D entries of mu."""
    return denoiser.moments(family.at(x_t, log_snr.expand(*x_t.shape[:-1], 1))).mean[..., :-1]


def noise(shape: tuple[int, ...], log_snr: Tensor, *, family: Cartesian, generator: torch.Generator) -> Tensor:
    """x_t of pure noise, sigma times standard normal numbers of this shape: where sampling starts, at a scalar log_snr low enough."""
    return family.schedule.sigma(log_snr) * torch.randn(shape, generator=generator, dtype=torch.double)


def probability_flow(x_t: Tensor, log_snr: Tensor, denoiser: Denoiser, *, family: Cartesian) -> Tensor:
    """The probability-flow ODE from x_t (..., D) at log_snr[0], by Heun's method over log_snr (N,): the path, (N, ..., D).

    In the center z = x_t/alpha and the noise-to-signal ratio tau = sigma/alpha it reads dz/dtau = (z - E[x_0 | x_t]) / tau for every
    schedule. The order is two; log_snr may rise (from noise to data) or fall (data to noise). Differentiable in x_t where the denoiser is.
    """
    _check_grid(log_snr)
    tau = torch.exp(-0.5 * log_snr)
    z = x_t / family.schedule.alpha(log_snr[0])
    path = [z]
    slope = _noise_direction(z, log_snr[0], denoiser, family)
    for k in range(len(tau) - 1):
        step = tau[k + 1] - tau[k]
        ahead = _noise_direction(z + step * slope, log_snr[k + 1], denoiser, family)
        z = z + 0.5 * step * (slope + ahead)
        slope = _noise_direction(z, log_snr[k + 1], denoiser, family)
        path.append(z)
    return _scaled(torch.stack(path), log_snr, family)


def reverse_sde(x_t: Tensor, log_snr: Tensor, denoiser: Denoiser, *, family: Cartesian, generator: torch.Generator) -> Tensor:
    """The reverse SDE from x_t (..., D) at log_snr[0], over rising log_snr (N,): one random path for each start, (N, ..., D).

    For w = SNR x_t/alpha, the first part of eta, it reads dw = E[x_0 | x_t] dSNR + dB(SNR) for every schedule, B a Brownian motion in the
    time SNR: the noise is additive, so that Heun's method has weak order two. Euler's would be ancestral sampling.
    Raises ValueError where log_snr falls: that is the forward process, which needs no denoiser.
    """
    _check_grid(log_snr)
    if not bool((log_snr.diff() > 0).all()):
        raise ValueError("log_snr must rise from noise to data")
    snr = log_snr.exp()
    z = x_t / family.schedule.alpha(log_snr[0])
    path = [z]
    for k in range(len(snr) - 1):
        step = snr[k + 1] - snr[k]
        kick = step.sqrt() * torch.randn(z.shape, generator=generator, dtype=torch.double)
        drift = _denoise_center(z, log_snr[k], denoiser, family)
        ahead = _denoise_center((snr[k] * z + step * drift + kick) / snr[k + 1], log_snr[k + 1], denoiser, family)
        z = (snr[k] * z + 0.5 * step * (drift + ahead) + kick) / snr[k + 1]
        path.append(z)
    return _scaled(torch.stack(path), log_snr, family)


def denoising_trajectory(path: Tensor, log_snr: Tensor, denoiser: Denoiser, *, family: Cartesian) -> Tensor:
    """E[x_0 | x_t] along a sampled path (N, ..., D) with log_snr (N,), in data space: (N, ..., D).

    Chen et al., arXiv 2305.19947: the second, implicit trajectory of a sampler, which reaches the data before the sample does.
    """
    return denoise(path, _spread(log_snr, path), denoiser, family=family)


def jump(x_t: Tensor, log_snr: Tensor, denoiser: Denoiser, *, family: Cartesian) -> Tensor:
    """Samples (..., D) in data space by the ODE-Jump of arXiv 2305.19947: the probability flow over log_snr (N,), then its denoised end.

    The denoised point is where the tangent of the flow, in (z, tau), meets tau = 0: an Euler step over all noise that is left.
    """
    return denoise(probability_flow(x_t, log_snr, denoiser, family=family)[-1], log_snr[-1], denoiser, family=family)


def _denoise_center(z: Tensor, log_snr: Tensor, denoiser: Denoiser, family: Cartesian) -> Tensor:
    return denoiser.moments(family.natural(z, log_snr.expand(*z.shape[:-1], 1))).mean[..., :-1]


def _noise_direction(z: Tensor, log_snr: Tensor, denoiser: Denoiser, family: Cartesian) -> Tensor:
    """E[eps | x_t] = (z - E[x_0 | x_t]) / tau."""
    return (z - _denoise_center(z, log_snr, denoiser, family)) * torch.exp(0.5 * log_snr)


def _scaled(centers: Tensor, log_snr: Tensor, family: Cartesian) -> Tensor:
    return family.schedule.alpha(_spread(log_snr, centers)) * centers


def _spread(log_snr: Tensor, path: Tensor) -> Tensor:
    """log_snr (N,) as (N, 1, ..., 1) beside a path (N, ..., D)."""
    return log_snr.reshape(-1, *[1] * (path.ndim - 1))


def _check_grid(log_snr: Tensor) -> None:
    if log_snr.ndim != 1 or len(log_snr) < 2:
        raise ValueError(f"log_snr must have shape (N,) with N at least 2, got {tuple(log_snr.shape)}")
