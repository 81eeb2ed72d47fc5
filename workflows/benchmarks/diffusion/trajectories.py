"""Sampling trajectories of the exact denoiser: how straight they are, where their denoised points run, how early one can jump."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.diffusion.target import SCHEDULE, SPACE, TORSIONS, Target
from spacetime_tps.denoisers.diagnostics import TwoSampleTest, energy_test, quasi_linearity
from spacetime_tps.denoisers.diffusion import denoising_trajectory, noise, probability_flow
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.schedule import VarianceExploding

SAMPLES, PERMUTATIONS, EVERY = 300, 200, 4


def alignment(centers: Tensor, denoised: Tensor) -> Tensor:
    """Cosine of the score, which points from x_t/alpha to E[x_0 | x_t], with the way to the last center: (N, ..., D) twice to (N-1, ...).

    The counterpart, for the direction at a point, of `quasi_linearity` for the step from it.
    """
    return torch.nn.functional.cosine_similarity((denoised - centers)[:-1], centers[-1] - centers[:-1], dim=-1, eps=1e-300)


@dataclass(frozen=True)
class Trajectories:
    """300 paths of the probability flow from noise, 48 Heun steps uniform in log SNR; N = 49."""

    start: Tensor
    """x_t (300, 4), variance preserving"""
    centers: Tensor
    """x_t/alpha (N, 300, 4)"""
    denoised: Tensor
    """E[x_0 | x_t] (N, 300, 4)"""
    step_cosine: Tensor
    """Of each step of x_t/alpha with the way from there to the last one (N-1, 300)"""
    score_cosine: Tensor
    """The same of the score (N-1, 300)"""
    preserving_cosine: Tensor
    """The same of the steps of x_t itself, variance preserving (N-1, 300)"""
    schedules_differ: float
    """Largest difference of x_t/alpha between the paths of the variance-preserving and the variance-exploding schedule"""
    gap: Tensor
    """|x_t/alpha - x_0| and |E[x_0 | x_t] - x_0|, x_0 the last denoised point: (2, N, 300)"""
    jump_log_snr: Tensor
    """(J,), where the flow was left by a jump"""
    jumps: list[TwoSampleTest]
    """Of the conformations jumped to against as many draws (J)"""
    flow: TwoSampleTest
    """Of the conformations that the flow ends in, x_t/alpha itself"""


def trajectories(target: Target, seed: int) -> Trajectories:
    """Sample, and compare with draws."""
    generator = torch.Generator().manual_seed(seed)
    start = noise((SAMPLES, 4), SCHEDULE[0], family=SPACE, generator=generator)
    path = probability_flow(start, SCHEDULE, target.model, family=SPACE)
    denoised = denoising_trajectory(path, SCHEDULE, target.model, family=SPACE)
    centers = path / SPACE.schedule.alpha(SCHEDULE)[:, None, None]
    exploding = Cartesian(4, VarianceExploding())
    other = probability_flow(centers[0, :8], SCHEDULE, target.model, family=exploding)
    data = TORSIONS.features(target.draw(SAMPLES, generator))

    def against_data(points: Tensor) -> TwoSampleTest:
        return energy_test(on_circles(points), data, permutations=PERMUTATIONS, generator=generator)

    return Trajectories(
        start=start,
        centers=centers,
        denoised=denoised,
        step_cosine=quasi_linearity(centers),
        score_cosine=alignment(centers, denoised),
        preserving_cosine=quasi_linearity(path),
        schedules_differ=float((other - centers[:, :8]).abs().max()),
        gap=torch.stack([(points - denoised[-1]).norm(dim=-1) for points in (centers, denoised)]),
        jump_log_snr=SCHEDULE[::EVERY],
        jumps=[against_data(points) for points in denoised[::EVERY]],
        flow=against_data(centers[-1]),
    )


def on_circles(points: Tensor) -> Tensor:
    """The conformations (..., 4) that points (..., 4) stand for: each pair of cosine and sine brought to length one."""
    return TORSIONS.features(TORSIONS.center(points))
