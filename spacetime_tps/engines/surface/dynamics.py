"""Overdamped motion on a surface, and two-way trajectories of it until a state."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.potentials.surface import Surface
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
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
class Shots:
    """Two-way trajectories from given points; `paths` are the reactive ones, turned to run from A to B."""

    paths: list[np.ndarray]
    """of (frames, D), every step, from the last frame in A to the first in B"""
    source: np.ndarray
    """Index of the shot that each path came from"""
    outcome: np.ndarray
    """(shots, 2): the state each half ended in: IN_A, IN_B, or NOWHERE where its steps ran out"""
    steps: np.ndarray
    """(shots, 2): of each half, an evaluation each"""

    @property
    def evaluations(self) -> int:
        """Of all shots."""
        return int(self.steps.sum())


def shoot(dynamics: Overdamped, points: Tensor, a: Discs, b: Discs, *, longest: int, generator: torch.Generator) -> Shots:
    """Two trajectories from each of points (n, D) until A or B, at most `longest` steps each. Overdamped motion has no velocities."""
    if not len(points):
        return Shots([], np.zeros(0, dtype=int), np.zeros((0, 2), dtype=int), np.zeros((0, 2), dtype=int))
    halves = torch.cat([points, points]).double()
    active = torch.arange(len(halves))
    outcome = torch.full((len(halves),), NOWHERE)
    indices, frames = [], []
    for _ in range(longest):
        if not len(active):
            break
        moved = dynamics.step(halves[active], generator)
        halves[active] = moved
        indices.append(active)
        frames.append(moved)
        in_a, in_b = a.contains(moved), b.contains(moved)
        outcome[active[in_a]], outcome[active[in_b]] = IN_A, IN_B
        active = active[~(in_a | in_b)]
    ends = outcome.reshape(2, len(points)).T.numpy()
    index = torch.cat(indices)
    steps = np.bincount(index.numpy(), minlength=len(halves))
    ordered = torch.cat(frames)[torch.argsort(index, stable=True)].numpy()
    halves_of = np.split(ordered, np.cumsum(steps)[:-1])
    source = np.flatnonzero((ends.min(1) == IN_A) & (ends.max(1) == IN_B))
    paths = []
    for i in source.tolist():
        first, second = (i, i + len(points)) if ends[i, 0] == IN_A else (i + len(points), i)
        paths.append(np.concatenate([halves_of[first][::-1], points[i : i + 1].numpy(), halves_of[second]]))
    return Shots(paths, source, ends, steps.reshape(2, len(points)).T)
