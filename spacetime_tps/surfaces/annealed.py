"""Annealed Langevin sampling on a surface: all paths at once walk a curve of denoising distributions by Metropolis-adjusted steps."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser, hessian_vector_product
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.potentials.surface import Surface
from spacetime_tps.surfaces.langevin import metropolis_step, placed

FEWEST = 2
"""Steps at a point, at least"""


@dataclass(frozen=True)
class Plan:
    """How long to stay at each of N points of a curve, and how far to step there."""

    eta: Tensor
    """(N, E)"""
    steps: Tensor
    """(N,), integers"""
    step_size: Tensor
    """ds (N,): noise of variance ds, drift of ds/2 times the force over kT; coordinates squared"""


@dataclass(frozen=True)
class Walked:
    """Paths along a curve."""

    paths: Tensor
    """(paths, steps + 1, D), the start included; torsions are not wrapped"""
    energy: Tensor
    """U (paths, N) at the end of each point's steps"""
    bias: Tensor
    """-eta . T (paths, N) there, in kT"""
    acceptance: float
    evaluations: int


def adaptive_plan(eta: Tensor, denoiser: Denoiser, family: Family, *, steps: int, mobility: float) -> Plan:
    """Spend `steps` steps where the curve's speed and the lag ask for them.

    A mode of variance v relaxes in tau = 2 v / ds Langevin steps; ds = mobility / precision of the noise, and v is the largest variance at
    the point, read off the metric. A jump of d = sqrt(d_eta . d_mu) standard deviations is followed to within a
    lag of epsilon after tau log(d / epsilon) steps, and epsilon is what the total allows, the same for every point. Raises SpacetimeError
    where there are fewer steps than twice the points.
    """
    if steps < FEWEST * len(eta):
        raise SpacetimeError(f"{steps} steps are too few for {len(eta)} points of the curve: {FEWEST} at each are needed at least")
    size = mobility / family.precisions(eta).amax(-1)
    relaxation = 2.0 * largest_variance(eta, denoiser, family) / size
    jump = curve.segments(eta, denoiser.moments(eta).mean).clamp_min(1e-300).sqrt()
    log_jump = torch.cat([jump[:1], jump]).log()

    def wanted(log_lag: float) -> Tensor:
        return (relaxation * (log_jump - log_lag)).clamp_min(FEWEST).round().long()

    low, high = -60.0, float(log_jump.max())
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if int(wanted(middle).sum()) > steps else (low, middle)
    return Plan(eta, wanted(high), size)


def largest_variance(eta: Tensor, denoiser: Denoiser, family: Family) -> Tensor:
    """Largest eigenvalue (N,) of the covariance of T, of its entries that move with the coordinates, at eta (N, E)."""
    axes = torch.eye(eta.shape[-1], dtype=eta.dtype)[list(family.locations)]
    metric = torch.stack([hessian_vector_product(denoiser, eta, axis.expand_as(eta)) for axis in axes], dim=-1)
    return torch.linalg.eigvalsh(metric[..., list(family.locations), :])[..., -1]


def anneal(surface: Surface, kT: float, family: Family, plan: Plan, start: Tensor, generator: torch.Generator, *, longest: float) -> Walked:
    """Walk every path from start (paths, D) along the plan, sampling exp(-U/kT + eta . T) point by point.

    Steps are Metropolis-adjusted, so that no error of the step size remains; none is longer than `longest`. A rejected step is an
    evaluation, and stays in the path.
    """
    walkers = placed(surface, start.double())
    frames, energies, biases, accepted = [walkers.x], [], [], 0.0
    for eta, count, ds in zip(plan.eta, plan.steps.tolist(), plan.step_size.tolist(), strict=True):
        tilt = partial(family.bias, eta)
        for _ in range(count):
            walkers, kept = metropolis_step(surface, kT, tilt, walkers, ds=ds, generator=generator, longest=longest)
            accepted += float(kept.double().mean())
            frames.append(walkers.x)
        energies.append(walkers.energy)
        biases.append(-tilt(walkers.x)[0])
    total = int(plan.steps.sum())
    return Walked(
        torch.stack(frames, 1), torch.stack(energies, 1), torch.stack(biases, 1), accepted / total, len(start) * (total + 1)
    )  # fmt: skip
