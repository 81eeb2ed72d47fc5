"""Annealed Langevin sampling on a surface: all paths at once walk a curve of denoising distributions by Metropolis-adjusted steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser, hessian_vector_product
from spacetime_tps.geometry.families import Family
from spacetime_tps.potentials.surface import Surface

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
    size = mobility / family.precision(eta)
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
    axes = torch.eye(eta.shape[-1], dtype=eta.dtype)[: family.locations]
    metric = torch.stack([hessian_vector_product(denoiser, eta, axis.expand_as(eta)) for axis in axes], dim=-1)
    return torch.linalg.eigvalsh(metric[..., : family.locations, :])[..., -1]


def anneal(surface: Surface, kT: float, family: Family, plan: Plan, start: Tensor, generator: torch.Generator, *, longest: float) -> Walked:
    """Walk every path from start (paths, D) along the plan, sampling exp(-U/kT + eta . T) point by point.

    Steps are Metropolis-adjusted Langevin (Roberts and Tweedie, Bernoulli 2, 341, 1996), so that no error of the step size remains. A step
    longer than `longest` is rejected, which keeps detailed balance. A rejected step is an evaluation, and stays in the path.
    """
    x = start.double()
    energy, force = surface.energy_and_gradient(x)
    evaluations = len(x)
    frames, energies, biases, accepted = [x], [], [], 0.0
    for eta, count, ds in zip(plan.eta, plan.steps.tolist(), plan.step_size.tolist(), strict=True):
        pull, pull_gradient = family.bias(eta, x)
        value, gradient = energy / kT - pull, force / kT - pull_gradient
        for _ in range(count):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            new = x - 0.5 * ds * gradient + ds**0.5 * noise
            new_energy, new_force = surface.energy_and_gradient(new)
            evaluations += len(x)
            pull, pull_gradient = family.bias(eta, new)
            new_value, new_gradient = new_energy / kT - pull, new_force / kT - pull_gradient
            back = (x - new + 0.5 * ds * new_gradient).square().sum(-1) / (2.0 * ds)
            log_ratio = value - new_value - back + 0.5 * noise.square().sum(-1)
            keep = torch.rand(len(x), generator=generator, dtype=x.dtype).log() < log_ratio
            keep &= (new - x).norm(dim=-1) <= longest
            accepted += float(keep.double().mean())
            one = keep[:, None]
            x, energy, force = torch.where(one, new, x), torch.where(keep, new_energy, energy), torch.where(one, new_force, force)
            value, gradient = torch.where(keep, new_value, value), torch.where(one, new_gradient, gradient)
            frames.append(x)
        energies.append(energy)
        biases.append(value - energy / kT)
    return Walked(torch.stack(frames, 1), torch.stack(energies, 1), torch.stack(biases, 1), accepted / int(plan.steps.sum()), evaluations)
