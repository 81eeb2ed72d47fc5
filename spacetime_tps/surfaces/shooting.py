"""Unbiased transition paths on a surface: shooting from a known density around the top, and two-way shooting chains to compare with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.families import Family
from spacetime_tps.potentials.surface import Surface
from spacetime_tps.surfaces.langevin import metropolis_step, placed
from spacetime_tps.surfaces.states import Discs


@dataclass(frozen=True)
class Overdamped:
    """The dynamics dx = -ds/2 grad U / kT + sqrt(ds) xi (Euler-Maruyama): ds is the time step, times twice the diffusion constant."""

    surface: Surface
    kT: float
    ds: float

    def step(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x (n, D) one step on; n evaluations."""
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return x - (0.5 * self.ds / self.kT) * self.surface.energy_and_gradient(x)[1] + self.ds**0.5 * noise


@dataclass(frozen=True)
class Region:
    """The factor f = sum_k share_k exp(eta_k . T - psi_k) of densities exp(-U/kT) f: umbrella windows, psi_k their log-partitions."""

    family: Family
    eta: Tensor
    """(K, E)"""
    log_partition: Tensor
    """(K,)"""
    share: Tensor
    """(K,): how many points were drawn from each window"""

    def log_factor(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log f (n,) and its gradient (n, D) at x (n, D)."""
        pull, gradient = self.family.bias(self.eta, x[:, None, :])
        share = pull - self.log_partition + self.share.log()
        return torch.logsumexp(share, dim=-1), (torch.softmax(share, dim=-1)[..., None] * gradient).sum(1)


@dataclass(frozen=True)
class Shots:
    """Two-way trajectories from given points; `paths` are the reactive ones, turned to run from A to B."""

    paths: list[np.ndarray]
    """of (frames, D), every step, from the first frame in A to the first in B"""
    source: np.ndarray
    """Index of the shot that each path came from"""
    outcome: np.ndarray
    """(shots, 2): the state each half ended in, 0 for A, 1 for B, -1 where its steps ran out"""
    evaluations: int


def draw(
    dynamics: Overdamped, region: Region, start: Tensor, *, steps: int, mobility: float, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Points (n, D) distributed as exp(-U/kT) f, and the evaluations spent: `steps` Metropolis-adjusted steps from start (n, D)."""
    ds = mobility / float(region.family.precision(region.eta).max())
    walkers = placed(dynamics.surface, start.double())
    for _ in range(steps):
        walkers, _ = metropolis_step(dynamics.surface, dynamics.kT, region.log_factor, walkers, ds=ds, generator=generator)
    return walkers.x, len(start) * (steps + 1)


def shoot(dynamics: Overdamped, points: Tensor, a: Discs, b: Discs, *, longest: int, generator: torch.Generator) -> Shots:
    """Two trajectories from each of points (n, D) until A or B, at most `longest` steps each. Overdamped motion has no velocities."""
    if not len(points):
        return Shots([], np.zeros(0, dtype=int), np.zeros((0, 2), dtype=int), 0)
    halves = torch.cat([points, points]).double()
    active = torch.arange(len(halves))
    outcome = torch.full((len(halves),), -1)
    indices, frames = [], []
    for _ in range(longest):
        if not len(active):
            break
        moved = dynamics.step(halves[active], generator)
        halves[active] = moved
        indices.append(active)
        frames.append(moved)
        in_a, in_b = a.contains(moved), b.contains(moved)
        outcome[active[in_a]], outcome[active[in_b]] = 0, 1
        active = active[~(in_a | in_b)]
    ends = outcome.reshape(2, len(points)).T.numpy()
    index = torch.cat(indices)
    ordered = torch.cat(frames)[torch.argsort(index, stable=True)].numpy()
    halves_of = np.split(ordered, np.cumsum(np.bincount(index.numpy(), minlength=len(halves)))[:-1])
    source = np.flatnonzero((ends.min(1) == 0) & (ends.max(1) == 1))
    paths = []
    for i in source.tolist():
        first, second = (i, i + len(points)) if ends[i, 0] == 0 else (i + len(points), i)
        paths.append(np.concatenate([halves_of[first][::-1], points[i : i + 1].numpy(), halves_of[second]]))
    return Shots(paths, source, ends, len(index))


def weights(paths: list[np.ndarray], region: Region, a: Discs, b: Discs) -> np.ndarray:
    """Statistical weights (paths,) of reactive paths that were shot from exp(-U/kT) f: 1 / sum of f over their frames, in neither state.

    A path is generated from any of its frames x_i with probability proportional to f(x_i), whatever its equilibrium probability is, and the
    sum undoes that. In units in which they sum to the number of paths.
    """
    total = np.empty(len(paths))
    for k, path in enumerate(paths):
        x = torch.from_numpy(path)
        between = ~(a.contains(x) | b.contains(x))
        total[k] = -float(torch.logsumexp(region.log_factor(x[between])[0], dim=0))
    weight = np.exp(total - total.max(initial=-np.inf))
    return weight * len(paths) / weight.sum() if paths else weight


def two_way_chains(
    dynamics: Overdamped,
    paths: list[np.ndarray],
    a: Discs,
    b: Discs,
    *,
    eligible: Callable[[Tensor], Tensor],
    moves: int,
    longest: int,
    generator: torch.Generator,
) -> tuple[list[np.ndarray], int, float]:
    """Markov chains in path space by two-way shooting, one chain from each of `paths`.

    The shooting point is chosen uniformly among a path's frames that are `eligible` (frames,), a shooting range, and a new path is accepted
    with probability min(1, eligible before / eligible after), which keeps the transition path ensemble (Dellago, Bolhuis, Chandler 1998;
    Jung, Okazaki, Hummer 2017). A path with no eligible frame stays, at no cost. Returns the last path of each chain, the evaluations, and
    the fraction of moves accepted.
    """
    current, evaluations, accepted = list(paths), 0, 0
    for _ in range(moves):
        chance = torch.rand(2, len(current), generator=generator).numpy()
        frames = [_eligible(path, eligible) for path in current]
        movable = [k for k, f in enumerate(frames) if len(f)]
        picked = [frames[k][int(chance[0, k] * len(frames[k]))] for k in movable]
        points = torch.from_numpy(np.stack([current[k][i] for k, i in zip(movable, picked, strict=True)]))
        shots = shoot(dynamics, points, a, b, longest=longest, generator=generator)
        evaluations += shots.evaluations
        for source, path in zip(shots.source.tolist(), shots.paths, strict=True):
            k = movable[source]
            if chance[1, k] < len(frames[k]) / len(_eligible(path, eligible)):
                current[k] = path
                accepted += 1
    return current, evaluations, accepted / (moves * len(current))


def _eligible(path: np.ndarray, eligible: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Indices of a path's eligible frames, its two ends left out."""
    return 1 + np.flatnonzero(eligible(torch.from_numpy(path[1:-1])).numpy())
