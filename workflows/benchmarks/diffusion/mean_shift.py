"""The optimal denoiser is a mean shift: to rounding, and what follows for where annealed mean shift ends."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.diffusion.target import SCHEDULE, SPACE, TORSIONS, Target, apart
from benchmarks.diffusion.trajectories import EVERY, Trajectories
from spacetime_tps.denoisers.samples import WeightedSamples

STARTS, FINEST = 100, 4.0
"""Trajectories to compare formulas on; log SNR up to which the coarse grid holds"""


def mean_shift(z: Tensor, points: Tensor, weights: Tensor, bandwidth: Tensor) -> Tensor:
    """One step of mean shift (Comaniciu, Meer 2002), z (n, D) to the mean (n, D) of points (S, D) under weights (S,) times the kernel
    exp(-|z - x_i|^2 / 2 h^2); bandwidth h a scalar."""
    kernel = weights * torch.exp(-0.5 * (_squares(z, points) - _squares(z, points).amin(-1, keepdim=True)) / bandwidth.square())
    return kernel @ points / kernel.sum(-1, keepdim=True)


def _squares(z: Tensor, points: Tensor) -> Tensor:
    """|z - x_i|^2 (n, S), each a sum of squares: no difference of large numbers."""
    return torch.stack([(z[:, None, d] - points[None, :, d]).square() for d in range(z.shape[-1])]).sum(0)


def partial_shifts(z: Tensor, points: Tensor, weights: Tensor, log_snr: Tensor) -> Tensor:
    """Annealed mean shift of shortened steps, z (n, D) to (n, D): at bandwidth h = exp(-log_snr/2), the share 1 - h'/h of each shift.

    This is Euler's method for the probability flow in (x_t/alpha, h).
    """
    h = torch.exp(-0.5 * log_snr)
    for now, later in pairwise(h):
        z = z + (1.0 - later / now) * (mean_shift(z, points, weights, now) - z)
    return z


def full_shifts(z: Tensor, samples: WeightedSamples, log_snr: Tensor) -> Tensor:
    """Annealed mean shift: at each log SNR one whole shift, z (n, E) to (n, E) in the features of `samples`."""
    for at in log_snr:
        z = samples.moments(at.exp() * z).mean
    return z


@dataclass(frozen=True)
class Shifted:
    """What was compared."""

    largest_difference: float
    """Of E[x_0 | x_t] and mean shift, over all levels"""
    largest_after_euler: float
    """Of Euler's method for the probability flow and shortened shifts, at the end"""
    shares: Tensor
    """Of the conformers (K,): in the data, of the probability flow's ends, of annealed mean shift from the same noise (3, K)"""
    spread: tuple[float, float]
    """Root mean square distance from the nearest conformer, radians: of the flow's ends and of annealed mean shift's"""
    from_log_snr: Tensor
    """(J,) levels"""
    decided: Tensor
    """Share of trajectories from whose point at that level annealed mean shift ends at the flow's conformer (J,)"""


def shifted(target: Target, sampled: Trajectories, conformers: Tensor) -> Shifted:
    """Compare along the sampled trajectories."""
    points, weights = target.coarse.features, target.coarse.log_weights.exp()
    few = sampled.centers[:, :STARTS]
    differences = [
        (target.coarse.moments(at.exp() * z).mean - mean_shift(z, points, weights, torch.exp(-0.5 * at))).abs().max()
        for z, at in zip(few, SCHEDULE, strict=True)
        if float(at) <= FINEST
    ]
    low = SCHEDULE[SCHEDULE <= FINEST]
    ends = TORSIONS.center(full_shifts(sampled.centers[0], target.coarse, low))
    flow = TORSIONS.center(sampled.centers[-1])
    data = TORSIONS.center(target.exact.features)
    near_data, near_flow, near_ends = (nearest(x, conformers) for x in (data, flow, ends))
    mine = torch.stack([target.exact.log_weights.exp()[near_data == k].sum() for k in range(len(conformers))])
    levels = low[::EVERY]
    from_levels = torch.stack([
        nearest(TORSIONS.center(full_shifts(z, target.coarse, low[low >= at])), conformers)
        for z, at in zip(sampled.centers[::EVERY], levels, strict=False)
    ])  # fmt: skip
    others = [torch.bincount(near, minlength=len(conformers)).double() / len(near) for near in (near_flow, near_ends)]
    return Shifted(
        largest_difference=float(torch.stack(differences).max()),
        largest_after_euler=float((euler_flow(few[0], target, low) - partial_shifts(few[0], points, weights, low)).abs().max()),
        shares=torch.stack([mine, *others]),
        spread=(_spread(flow, conformers), _spread(ends, conformers)),
        from_log_snr=levels,
        decided=(from_levels == near_flow).double().mean(-1),
    )


def euler_flow(z: Tensor, target: Target, log_snr: Tensor) -> Tensor:
    """Euler's method for dz/dtau = (z - E[x_0 | x_t]) / tau, by the package's denoiser; z (n, 4) to (n, 4)."""
    tau = torch.exp(-0.5 * log_snr)
    for now, later, at in zip(tau, tau[1:], log_snr, strict=False):
        denoised = target.coarse.moments(SPACE.natural(z, at.expand(len(z), 1))[:, :-1]).mean
        z = z + (later - now) * (z - denoised) / now
    return z


def nearest(angles: Tensor, conformers: Tensor) -> Tensor:
    """Which conformer (K, 2) each of angles (n, 2) is nearest to (n,)."""
    return apart(angles[:, None], conformers).argmin(-1)


def _spread(angles: Tensor, conformers: Tensor) -> float:
    """Root mean square distance of angles (n, 2) from the nearest conformer."""
    return float(apart(angles[:, None], conformers).amin(-1).square().mean().sqrt())
