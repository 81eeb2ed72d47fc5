"""Trained denoisers against the optimal one of the same frames and the exact one, along the exact denoiser's own trajectories."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.diffusion.target import LAST, SCHEDULE, SPACE, TORSIONS, Target
from benchmarks.diffusion.trajectories import PERMUTATIONS, Trajectories, on_circles
from spacetime_tps.denoisers.diagnostics import TwoSampleTest, energy_test
from spacetime_tps.denoisers.diffusion import denoising_trajectory, probability_flow
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.score_matching import NetworkTrainer
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import learn
from spacetime_tps.geometry.denoiser import Denoiser

PLAIN, EACH, WINDOW_LEVEL = 2000, 80, 5.0
CENTERS = (6, 4)
"""Windows along phi and psi"""
LOWEST, HIGHEST = 0.02, 200.0
"""Concentrations that the network is trained for; it goes from half of the first to twice the second"""
NETWORK_STEPS, COMPONENTS, MIXTURE_STEPS, WIDEST, NARROWEST = 1200, 128, 1000, 0.05, 400.0
CLEANEST = 14.0
"""log SNR down to which trained models are sampled, to see whether they repeat their frames"""


@dataclass(frozen=True)
class Deviation:
    """Of one denoiser."""

    denoised: Tensor
    """Root mean square of |E[x_0 | x_t] - exact| over trajectories (N,)"""
    score: Tensor
    """`score_deviation` from the exact denoiser (N,)"""
    from_optimal: Tensor
    """The same from the optimal denoiser of the frames (N,)"""
    samples: TwoSampleTest
    """Of its own flow's ends, from the same noise, against draws"""
    ends_apart: float
    """Root mean square distance of these from the exact flow's"""
    to_frames: float
    """Median distance of the ends from the nearest frame, the flow continued to log SNR 14"""


@dataclass(frozen=True)
class Deviations:
    """By name: "optimal" for these frames, "mixture", "network"."""

    of: dict[str, Deviation]
    fresh_to_frames: float
    """Median distance of fresh draws from the nearest frame: what does not repeat frames should come to"""
    models: dict[str, Denoiser]
    frames: int


def training_frames(target: Target, generator: torch.Generator) -> Ensembles:
    """2,000 frames of p_0 and 80 of each of 24 windows over the torus, with the weights that converged MBAR would give them."""
    axes = [torch.arange(n, dtype=torch.double) * (2.0 * torch.pi / n) for n in CENTERS]
    centers = torch.cartesian_prod(*axes)
    eta = torch.cat([torch.zeros(1, 4, dtype=torch.double), TORSIONS.natural(centers, torch.full_like(centers, WINDOW_LEVEL))])
    counts = torch.tensor([PLAIN, *[EACH] * len(centers)])
    drawn = [target.draw(int(n), generator, at) for n, at in zip(counts, eta, strict=True)]
    features = TORSIONS.features(torch.cat(drawn))
    density = eta @ features.T + (counts.double().log() - target.exact.moments(eta).log_partition)[:, None]
    return Ensembles(WeightedSamples(features, -torch.logsumexp(density, dim=0)), eta, counts)


def score_deviation(denoised: Tensor, other: Tensor, log_snr: Tensor) -> Tensor:
    """Root mean square over trajectories (N,) of the difference of two scores times sigma, at log_snr (N,): |E[x_0 | x_t] - E'[x_0 | x_t]|
    of denoised and other (N, n, D) over sigma/alpha."""
    return torch.exp(0.5 * log_snr) * (denoised - other).square().sum(-1).mean(-1).sqrt()


def deviations(target: Target, sampled: Trajectories, seed: int) -> Deviations:
    """Train, and compare along the sampled trajectories."""
    generator = torch.Generator().manual_seed(seed)
    data = training_frames(target, generator)
    levels = torch.tensor([LOWEST, HIGHEST], dtype=torch.double)[:, None].expand(2, 2)
    range_of_levels = TORSIONS.natural(torch.zeros(2, 2, dtype=torch.double), levels)
    settings = DenoiserSettings(network_from=1, network_steps=NETWORK_STEPS)
    models: dict[str, Denoiser] = {
        "optimal": data.samples,
        "mixture": learn(data.samples, low=WIDEST, high=NARROWEST, seed=seed, components=COMPONENTS, steps=MIXTURE_STEPS)[0],
        "network": NetworkTrainer(settings).fit(data, TORSIONS, range_of_levels, seed=seed).denoiser,
    }
    fresh = TORSIONS.features(target.draw(len(sampled.start), generator))
    path = sampled.centers * SPACE.schedule.alpha(SCHEDULE)[:, None, None]
    denoised = {name: denoising_trajectory(path, SCHEDULE, Embedded(model), family=SPACE) for name, model in models.items()}
    found = {}
    for name, model in models.items():
        ends, last = _ends(model, sampled.start)
        found[name] = Deviation(
            denoised=(denoised[name] - sampled.denoised).square().sum(-1).mean(-1).sqrt(),
            score=score_deviation(denoised[name], sampled.denoised, SCHEDULE),
            from_optimal=score_deviation(denoised[name], denoised["optimal"], SCHEDULE),
            samples=energy_test(on_circles(ends), fresh, permutations=PERMUTATIONS, generator=generator),
            ends_apart=float((ends - sampled.centers[-1]).square().sum(-1).mean().sqrt()),
            to_frames=_to_frames(on_circles(last), data.samples),
        )
    return Deviations(found, _to_frames(fresh, data.samples), models, len(data.samples.features))


def _ends(model: Denoiser, start: Tensor) -> tuple[Tensor, Tensor]:
    """x_t/alpha (n, 4) at the end of the schedule and x_t (n, 4) at CLEANEST, of the model's own flow."""
    longer = torch.cat([SCHEDULE, torch.arange(LAST + 0.5, CLEANEST + 0.1, 0.5, dtype=torch.double)])
    path = probability_flow(start, longer, Embedded(model), family=SPACE)
    return path[len(SCHEDULE) - 1] / SPACE.schedule.alpha(SCHEDULE[-1]), path[-1]


def _to_frames(points: Tensor, frames: WeightedSamples) -> float:
    return float(torch.cdist(points, frames.features).amin(-1).median())
