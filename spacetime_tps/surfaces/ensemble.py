"""The transition path ensemble of a surface from windows at the top of a curve: where to shoot from, how often, and the weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families import VonMises
from spacetime_tps.surfaces.shooting import Overdamped, Region, Shots, draw, shoot, weights
from spacetime_tps.surfaces.states import Discs

MOBILITY = 1.0
RELAXATIONS = 60
"""Metropolis-adjusted steps from a draw of the weighted samples to a shooting point"""
STEEPEST = 2.5
"""Stiffness times variance along the curve, at most, of a window that stays on top: 1 on flat ground, large where it falls into a basin"""
FIRST_STIFFNESS, LAST_STIFFNESS = 25.0, 3200.0
PILOT = 50
APART = (-4, -3, -2, -1, 0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Ensemble:
    """Unbiased transition paths with their statistical weights."""

    paths: list[np.ndarray]
    weight: np.ndarray
    """(paths,), sum equal to their number"""
    shots: int
    reactive: float
    """Fraction of shots that are reactive, in the window that was settled on"""
    undecided: float
    """Fraction of half trajectories that met their bound before a state"""
    center: tuple[float, ...]
    """of that window, radians"""
    torsion: int
    """which it is stiffest in"""
    stiffness: float
    evaluations: int
    enough: bool
    """Whether the wanted effective number was reached within the budget"""

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2."""
        return float(self.weight.sum() ** 2 / (self.weight**2).sum())


def crossing_window(curve: Tensor, index: int, stiffness: float, family: VonMises) -> Tensor:
    """eta (E,) that holds the torsion which turns most at a point of a curve (N, E), and leaves the others free.

    A window that is stiff across the curve too sees one saddle only; paths that cross elsewhere on the ridge would hardly ever be shot, and
    would carry enormous weights when they are.
    """
    center = torch.from_numpy(np.unwrap(family.center(curve).numpy(), axis=0))
    tangent = (center[min(index + 1, len(curve) - 1)] - center[max(index - 1, 0)]).abs()
    return family.natural(center[index], torch.where(tangent == tangent.max(), stiffness, 0.0))


def sample_ensemble(
    dynamics: Overdamped,
    curve: Tensor,
    cost: Tensor,
    denoiser: WeightedSamples,
    coordinates: Tensor,
    a: Discs,
    b: Discs,
    *,
    family: VonMises,
    effective: int,
    budget: int,
    longest: int,
    generator: torch.Generator,
    batch: int = 250,
) -> Ensemble:
    """Shoot from the top of a curve (N, E) with cost KL(p_eta || p_0) (N,), until `effective` paths are there or `budget` is spent.

    Windows at several points about the top get a pilot of shots each; the one with most reactive shots gets the rest. All shots count, by
    the balance heuristic (Veach and Guibas 1995): f is the sum of all windows, each with its number of points. `coordinates` (S, D) are
    those of the denoiser's samples. Raises SpacetimeError where nothing is reactive.
    """
    top = int(cost.argmax())
    stiffness, candidates = _windows(curve, top, denoiser, family)
    points_of, shots_of, spent = [], [], 0
    for eta in candidates:
        points, shots, cost_of = _volley(dynamics, eta, PILOT, denoiser, coordinates, a, b, family, longest, generator)
        points_of.append(points)
        shots_of.append([shots])
        spent += cost_of
    best = int(np.argmax([len(s[0].paths) for s in shots_of]))
    eta = torch.stack(candidates)
    log_partition = denoiser.moments(eta).log_partition
    while True:
        region = Region(family, eta, log_partition, torch.tensor([float(n) for n in points_of]))
        paths = [path for group in shots_of for shots in group for path in shots.paths]
        weight = weights(paths, region, a, b)
        reached = len(paths) > 0 and weight.sum() ** 2 / (weight**2).sum() >= effective
        if reached or spent >= budget:
            break
        points, shots, cost_of = _volley(dynamics, candidates[best], batch, denoiser, coordinates, a, b, family, longest, generator)
        points_of[best] += points
        shots_of[best].append(shots)
        spent += cost_of
    if not paths:
        raise SpacetimeError(f"none of {sum(points_of)} shots from the top of the curve was reactive: the window does not hold the barrier")
    settled = shots_of[best]
    outcomes = np.concatenate([s.outcome for group in shots_of for s in group])
    return Ensemble(
        paths, weight, sum(points_of), sum(len(s.paths) for s in settled) / sum(len(s.outcome) for s in settled),
        float((outcomes < 0).mean()), tuple(family.center(candidates[best]).tolist()),
        int(family.level(candidates[best]).argmax()), stiffness, spent, bool(reached),
    )  # fmt: skip


def _windows(curve: Tensor, top: int, denoiser: WeightedSamples, family: VonMises) -> tuple[float, list[Tensor]]:
    """The stiffness, doubled until a window at the top stays there, and windows at and about the top, a deviation of theirs apart."""
    stiffness = FIRST_STIFFNESS
    while stiffness < LAST_STIFFNESS and not _stays(crossing_window(curve, top, stiffness, family), denoiser, family):
        stiffness *= 2.0
    center = torch.from_numpy(np.unwrap(family.center(curve).numpy(), axis=0))
    along = (center - center[top]).norm(dim=-1) * torch.sign(torch.arange(len(curve)) - top)
    places = sorted({int((along - k / stiffness**0.5).abs()[1:-1].argmin()) + 1 for k in APART})
    return stiffness, [crossing_window(curve, place, stiffness, family) for place in places]


def _stays(eta: Tensor, denoiser: WeightedSamples, family: VonMises) -> bool:
    """Whether the stiffest torsion of p_eta has one narrow peak within a deviation of its center: not split over basins, nor in one."""
    pairs = denoiser.moments(eta).mean.unflatten(-1, (family.torsions, 2))
    level = family.level(eta)
    stiff = int(level.argmax())
    shift = torch.remainder(torch.atan2(pairs[stiff, 1], pairs[stiff, 0]) - family.center(eta)[stiff] + torch.pi, 2 * torch.pi) - torch.pi
    narrow = float(level[stiff] * (1.0 - pairs[stiff].square().sum())) < STEEPEST
    return narrow and float(shift.abs() * level[stiff].sqrt()) < 1.0


def _volley(
    dynamics: Overdamped, eta: Tensor, count: int, denoiser: WeightedSamples, coordinates: Tensor, a: Discs, b: Discs,
    family: VonMises, longest: int, generator: torch.Generator,
) -> tuple[int, Shots, int]:  # fmt: skip
    """Draw `count` points from one window and shoot from those in neither state; the points that count, the shots, the evaluations."""
    chance = torch.softmax(denoiser.statistic @ eta + denoiser.log_weights, dim=0)
    start = coordinates[torch.multinomial(chance, count, replacement=True, generator=generator)]
    single = Region(family, eta[None], torch.zeros(1, dtype=torch.double), torch.ones(1, dtype=torch.double))
    points, evaluations = draw(dynamics, single, start, steps=RELAXATIONS, mobility=MOBILITY, generator=generator)
    between = points[~(a.contains(points) | b.contains(points))]
    shots = shoot(dynamics, between, a, b, longest=longest, generator=generator)
    return count, shots, evaluations + shots.evaluations
