"""Samplers of the planar mixture: shape of their trajectories, how early one can jump, and energy distances from the data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.toy_plane import FAMILY, PLANE
from spacetime_tps.denoisers.diagnostics import TwoSampleTest, energy_test, quasi_linearity
from spacetime_tps.denoisers.diffusion import denoising_trajectory, noise, probability_flow, reverse_sde

SCHEDULE = torch.linspace(-10.0, 8.0, 61, dtype=torch.double)
SAMPLES, PERMUTATIONS, EVERY = 500, 200, 3


@dataclass(frozen=True)
class Sampling:
    """Of 500 trajectories of the probability flow from noise, 60 Heun steps uniform in log_snr; N = 61."""

    path: Tensor
    """x_t (N, 500, 2), variance preserving."""
    denoised: Tensor
    """E[x_0 | x_t] (N, 500, 2)."""
    cosine: Tensor
    """Of each step of x_t/alpha with the way from there to the last one (N-1, 500)."""
    gap: Tensor
    """Distance of x_t/alpha from E[x_0 | x_t], in units of x (N, 500)."""
    to_come: Tensor
    """Distance of E[x_0 | x_t] from the sample that the flow ends in (N, 500)."""
    jump_log_snr: Tensor
    """(J,), where the flow was left by a jump."""
    jumps: list[TwoSampleTest]
    """Of the points jumped to against as many independent draws from the mixture (J)."""
    flow: TwoSampleTest
    """The same of the flow's last x_t/alpha."""
    sde: TwoSampleTest
    """The same of the reverse SDE's, over the same steps."""


def sampling(seed: int) -> Sampling:
    """Run both samplers from one seed."""
    generator = torch.Generator().manual_seed(seed)
    start = noise((SAMPLES, 2), SCHEDULE[0], family=FAMILY, generator=generator)
    path = probability_flow(start, SCHEDULE, PLANE, family=FAMILY)
    denoised = denoising_trajectory(path, SCHEDULE, PLANE, family=FAMILY)
    centers = path / FAMILY.schedule.alpha(SCHEDULE)[:, None, None]
    stochastic = reverse_sde(start, SCHEDULE, PLANE, family=FAMILY, generator=generator)[-1] / FAMILY.schedule.alpha(SCHEDULE[-1])
    data = draws(SAMPLES, generator=generator)

    def against_data(samples: Tensor) -> TwoSampleTest:
        return energy_test(samples, data, permutations=PERMUTATIONS, generator=generator)

    return Sampling(
        path=path,
        denoised=denoised,
        cosine=quasi_linearity(centers),
        gap=(centers - denoised).norm(dim=-1),
        to_come=(denoised - denoised[-1]).norm(dim=-1),
        jump_log_snr=SCHEDULE[::EVERY],
        jumps=[against_data(points) for points in denoised[::EVERY]],
        flow=against_data(centers[-1]),
        sde=against_data(stochastic),
    )


def draws(count: int, *, generator: torch.Generator) -> Tensor:
    """Independent samples (count, 2) of the planar mixture."""
    component = torch.multinomial(PLANE.log_weights.exp(), count, replacement=True, generator=generator)
    return PLANE.means[component] + PLANE.variances[component].sqrt() * torch.randn(count, 2, generator=generator, dtype=torch.double)
