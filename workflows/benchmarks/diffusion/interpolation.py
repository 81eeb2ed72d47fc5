"""Interpolation in the latent space, the noise that the probability flow leads to: what its paths and its midpoints decode to."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.diffusion.target import SCHEDULE, SPACE, TORSIONS, Target, apart
from benchmarks.diffusion.trajectories import PERMUTATIONS, on_circles
from spacetime_tps.denoisers.diagnostics import TwoSampleTest, energy_test
from spacetime_tps.denoisers.diffusion import noise, probability_flow
from spacetime_tps.geometry.distance import diffusion_edit

POINTS, MIDPOINTS = 64, 300
LEVEL, THROUGH = 50.0, 1.0


@dataclass(frozen=True)
class Curve:
    """A path between two conformers."""

    angles: Tensor
    """(64, 2) radians"""
    highest: float
    """The largest KL to p_0 at kappa 50, kT above the higher end"""
    leap: float
    """Largest step between neighbours, radians, over the mean step: one for an even path"""


@dataclass(frozen=True)
class Interpolated:
    """Paths by the pair of conformers, and what midpoints are worth."""

    pairs: list[tuple[int, int]]
    curves: list[dict[str, Curve]]
    """By name: "linear", "spherical" (in the latents, decoded), "straight" (in the torsions), "geodesic" (mean along it)"""
    round_trip: float
    """Largest |x - decode(encode(x))| over conformers"""
    midpoints: dict[str, TwoSampleTest]
    """Decoded midpoints of 300 pairs of independent noise against draws, "linear" and "spherical" """


def spherical(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """(..., D) between a and b (..., D) along the great circle, lengths interpolated along with it (Shoemake 1985); share (..., 1)."""
    angle = torch.arccos(torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1.0, 1.0))[..., None]
    return (torch.sin((1.0 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def interpolated(target: Target, conformers: Tensor, seed: int) -> Interpolated:
    """Encode and decode by the exact denoiser's probability flow."""
    generator = torch.Generator().manual_seed(seed)
    clean = SPACE.schedule.alpha(SCHEDULE[-1]) * TORSIONS.features(conformers)
    latent = probability_flow(clean, SCHEDULE.flip(0), target.model, family=SPACE)[-1]
    share = torch.linspace(0.0, 1.0, POINTS, dtype=torch.double)[:, None]
    pairs = list(itertools.combinations(range(len(conformers)), 2))
    between = [latent_curve(latent[i], latent[j], share) for i, j in pairs for latent_curve in (_linear, spherical)]
    decoded = _decoded(torch.cat([latent, *between]), target)
    back, paths = decoded[: len(latent)], decoded[len(latent) :].split(POINTS)
    curves = [_curves(target, conformers[i], conformers[j], paths[2 * k : 2 * k + 2]) for k, (i, j) in enumerate(pairs)]
    first, second = (noise((MIDPOINTS, 4), SCHEDULE[0], family=SPACE, generator=generator) for _ in range(2))
    half = torch.full((MIDPOINTS, 1), 0.5, dtype=torch.double)
    fresh = TORSIONS.features(target.draw(MIDPOINTS, generator))
    middle = {
        name: energy_test(on_circles(_decoded(way(first, second, half), target)), fresh, permutations=PERMUTATIONS, generator=generator)
        for name, way in (("linear", _linear), ("spherical", spherical))
    }
    return Interpolated(pairs, curves, float((back - TORSIONS.features(conformers)).norm(dim=-1).max()), middle)


def _linear(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    return (1.0 - share) * a + share * b


def _decoded(latent: Tensor, target: Target) -> Tensor:
    return probability_flow(latent, SCHEDULE, target.model, family=SPACE)[-1] / SPACE.schedule.alpha(SCHEDULE[-1])


def _curves(target: Target, a: Tensor, b: Tensor, decoded: tuple[Tensor, ...]) -> dict[str, Curve]:
    share = torch.linspace(0.0, 1.0, POINTS, dtype=torch.double)[:, None]
    level = torch.full((2,), LEVEL, dtype=torch.double)
    geodesic = diffusion_edit(a, b, target.coarse, family=TORSIONS, level=level, through=torch.full_like(level, THROUGH), points=POINTS)
    shortest = torch.remainder(b - a + torch.pi, 2.0 * torch.pi) - torch.pi
    angles = {
        "linear": TORSIONS.center(decoded[0]),
        "spherical": TORSIONS.center(decoded[1]),
        "straight": a + share * shortest,
        "geodesic": TORSIONS.center(target.coarse.moments(geodesic.eta).mean),
    }
    return {name: _curve(target, path) for name, path in angles.items()}


def _curve(target: Target, angles: Tensor) -> Curve:
    height = target.height(angles)
    steps = apart(angles[1:], angles[:-1])
    return Curve(angles, float(height.max() - height[[0, -1]].max()), float(steps.max() / steps.mean()))
