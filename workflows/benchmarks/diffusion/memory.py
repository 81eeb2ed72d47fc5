"""How much a noised conformation remembers: mutual information twice, the way back to the conformer it came from, and two samplers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.diffusion.mean_shift import FINEST, nearest
from benchmarks.diffusion.target import SCHEDULE, SPACE, TORSIONS, Target
from benchmarks.diffusion.trajectories import PERMUTATIONS, on_circles
from spacetime_tps.denoisers.diagnostics import TwoSampleTest, energy_test
from spacetime_tps.denoisers.diffusion import noise, reverse_sde
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.geometry.denoiser import confinement_free_energy

DRAWS, EACH, RETURNS, REPEATS = 600, 80, 10, 200
"""Draws for the information; walkers from each conformer, levels that they return from, and samples from one start"""
TURNS = SCHEDULE[::4][:RETURNS]


@dataclass(frozen=True)
class Memory:
    """N = 49 levels of the schedule, J = 10 of the turning points, K conformers."""

    information: Tensor
    """I(x_0; x_t) = E KL(p(x_0 | x_t) || p_0) in nats (N,)"""
    standard_error: Tensor
    """Of the same (N,)"""
    by_error: Tensor
    """The same from the denoiser's squared error, I = 1/2 int E|x_0 - E[x_0 | x_t]|^2 dSNR (N,)"""
    displaced: Tensor
    """Root mean square of |E[x_0 | x_t] - E x_0| over that of |x_0 - E x_0| (N,)"""
    turn_log_snr: Tensor
    """(J,)"""
    returned: Tensor
    """Share of walkers that end nearest to the conformer they came from (J, K)"""
    chance: Tensor
    """Share of the data there (K,)"""
    stochastic: TwoSampleTest
    """200 samples of the reverse SDE from one x_t at the lowest log SNR, against draws"""


def noised(x: Tensor, log_snr: Tensor, generator: torch.Generator) -> Tensor:
    """x_t = alpha x + sigma eps (n, 4) of x (n, 4)."""
    return SPACE.schedule.alpha(log_snr) * x + noise((len(x), 4), log_snr, family=SPACE, generator=generator)


def information_from_error(log_snr: Tensor, mmse: Tensor) -> Tensor:
    """I(x_0; x_t) (N,) in nats at log_snr (N,) from the least mean squared error mmse (N,) there: Guo, Shamai, Verdu 2005.

    Below the first level the error is taken to be what it is there.
    """
    slope = 0.5 * mmse * log_snr.exp()
    first = slope[:1]
    return torch.cat([first, first + torch.cumulative_trapezoid(slope, log_snr)])


def memory(target: Target, conformers: Tensor, seed: int) -> Memory:
    """Measure it on the exact denoiser."""
    generator = torch.Generator().manual_seed(seed)
    x = TORSIONS.features(target.draw(DRAWS, generator))
    middle = target.exact.log_weights.exp() @ target.exact.features
    divergences, errors, shifts = [], [], []
    for at in SCHEDULE:
        eta = SPACE.at(noised(x, at, generator), at.expand(DRAWS, 1))
        moments = target.model.moments(eta)
        divergences.append(confinement_free_energy(eta, moments))
        mean = moments.mean[:, :-1]
        errors.append((2.0 - mean.square().sum(-1)).mean())  # E|x_0|^2 - E|E[x_0 | x_t]|^2, with |x_0|^2 = 2
        shifts.append((mean - middle).square().sum(-1).mean())
    divergence = torch.stack(divergences)
    turned = torch.stack([_returned(target, conformers, at, generator) for at in TURNS])
    near = nearest(TORSIONS.center(target.exact.features), conformers)
    one = noise((1, 4), SCHEDULE[0], family=SPACE, generator=generator).expand(REPEATS, 4)
    repeated = reverse_sde(one, SCHEDULE, target.model, family=SPACE, generator=generator)[-1]
    fresh = TORSIONS.features(target.draw(REPEATS, generator))
    return Memory(
        information=divergence.mean(-1),
        standard_error=divergence.std(-1) / DRAWS**0.5,
        by_error=information_from_error(SCHEDULE, torch.stack(errors)),
        displaced=(torch.stack(shifts) / (2.0 - middle.square().sum())).sqrt(),
        turn_log_snr=TURNS,
        returned=turned,
        chance=torch.stack([target.exact.log_weights.exp()[near == k].sum() for k in range(len(conformers))]),
        stochastic=energy_test(on_circles(repeated), fresh, permutations=PERMUTATIONS, generator=generator),
    )


def _returned(target: Target, conformers: Tensor, log_snr: Tensor, generator: torch.Generator) -> Tensor:
    """Share (K,) of walkers, noised to log_snr from within each conformer's part of the data, that the reverse SDE takes back there."""
    near = nearest(TORSIONS.center(target.exact.features), conformers)
    model = Embedded(target.coarse)
    schedule = SCHEDULE[(log_snr <= SCHEDULE) & (SCHEDULE <= FINEST)]
    shares = []
    for k in range(len(conformers)):
        inside = torch.where(near == k, target.exact.log_weights, -torch.inf)
        rows = torch.multinomial(torch.softmax(inside, dim=0), EACH, replacement=True, generator=generator)
        start = noised(target.exact.features[rows], log_snr, generator)
        end = reverse_sde(start, schedule, model, family=SPACE, generator=generator)[-1]
        shares.append((nearest(TORSIONS.center(end), conformers) == k).double().mean())
    return torch.stack(shares)
