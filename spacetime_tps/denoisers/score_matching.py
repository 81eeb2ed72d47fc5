"""Denoising score matching on frames of restrained MD, which need no weights: the potential network's training and its judge."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.denoisers.potential import PotentialNetwork, to_bytes
from spacetime_tps.denoisers.protocol import Ensembles, Fitted
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import Trained, Unseen, warm_then_cosine
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family

HELD_OUT = 8
"""Every so many windows are not trained on"""
WIDTH, COMMON, LAYERS = 16, 64, 2
BATCH, EVERY = 512, 50
RATE, DECAY = 0.01, 0.01
WIDEST, NARROWEST = 0.01, 2.0
"""Precisions of the noise, as multiples of the lowest of an ensemble's own and of the highest of the curve"""


@dataclass(frozen=True)
class NetworkTrainer:
    """For coordinates of every kind, from `network_from` of them on.

    With x from p_eta_k and y = T(x) + noise of precision kappa, the posterior of x given y is p at eta = eta_k + kappa y (Bayes' rule,
    `Family.noised`), and the regression of T(x) on that eta is mu(eta), exactly, whatever the weights of x are. Plain MD in an end has
    eta_k = 0, the usual score matching; windows carry it to where plain MD never goes.
    """

    settings: DenoiserSettings

    def handles(self, family: Family) -> bool:
        return 0 < self.settings.network_from <= len(family.angular)

    def fit(self, data: Ensembles, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        of = torch.repeat_interleave(torch.arange(len(data.counts)), data.counts)
        held = (torch.arange(len(data.counts)) % HELD_OUT == HELD_OUT - 1) & (data.eta != 0.0).any(-1)
        seen = ~held[of]
        lessons = _Lessons(family, data.samples.statistic[seen], data.eta[of[seen]], curve)
        others = _Lessons(family, data.samples.statistic[~seen], data.eta[of[~seen]], curve) if bool(held.any()) else lessons
        locations = list(family.locations)
        generator = torch.Generator().manual_seed(seed)
        variance, center = torch.var_mean(lessons.statistic[:, locations], dim=0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = PotentialNetwork(family, center.float(), variance.float(), width=WIDTH, common=COMMON, layers=LAYERS)
        record = _trained(model, lessons, others, self.settings.network_steps, generator)
        model.double().requires_grad_(False)
        known = data.eta[~held & (data.eta != 0.0).any(-1)]
        if len(known):
            gap = data.samples.moments(known).log_partition - model.moments(known).log_partition
            model.offset += gap.mean()
        return Fitted(model, to_bytes(model), Trained(record, record[-1][2], unseen(model, data, held, family)))


def unseen(denoiser: Denoiser, data: Ensembles, held: Tensor, family: Family) -> Unseen | None:
    """How far a denoiser, and the weighted samples of the windows that it was trained on, are from windows `held` (K,) out; None without.

    Of each window: the root of |mu - mean of T|^2 over the variance of T, summed over the locations of T; the median over windows. The
    same for the standard error of the window's own mean.
    """
    if not bool(held.any()):
        return None
    locations = list(family.locations)
    of = torch.repeat_interleave(torch.arange(len(data.counts)), data.counts)
    kept = data.samples.restricted(~held[of])
    network, samples, noise = [], [], []
    for k in torch.nonzero(held)[:, 0].tolist():
        mine = of == k
        variance, mean = torch.var_mean(data.samples.statistic[mine][:, locations], dim=0)
        spread = variance.sum().sqrt()
        eta = data.eta[k : k + 1]
        network.append(float((denoiser.moments(eta).mean[0, locations] - mean).norm() / spread))
        samples.append(float((kept.moments(eta).mean[0, locations] - mean).norm() / spread))
        noise.append(float((data.samples.inefficiency[mine].mean() / mine.sum()).sqrt()))
    middle = [float(torch.tensor(errors).median()) for errors in (network, samples, noise)]
    return Unseen(len(network), *middle)


class _Lessons:
    """Frames to be noised."""

    def __init__(self, family: Family, statistic: Tensor, eta: Tensor, curve: Tensor):
        self.family, self.statistic, self.eta = family, statistic, eta
        levels = family.precisions(curve)
        self.low, self.high = float(levels.min()), NARROWEST * float(levels.max())
        self.levels = levels.shape[-1]
        self.plain = (eta == 0.0).all(-1)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """eta (count, E) and T (count, E), in single precision."""
        rows = torch.randint(len(self.statistic), (count,), generator=generator)
        low = torch.where(self.plain[rows], 0.5 * self.low, WIDEST * self.low)
        share = torch.rand(count, generator=generator, dtype=torch.double)
        precision = (low * (self.high / low) ** share)[:, None].expand(-1, self.levels)
        features = self.statistic[rows]
        normal = torch.randn(features.shape, generator=generator, dtype=torch.double)
        return (self.eta[rows] + self.family.noised(features, precision, normal)).float(), features.float()


def _loss(model: PotentialNetwork, eta: Tensor, features: Tensor) -> Tensor:
    """Mean over points and locations of precision |mu - T|^2, and the same of squares, whose variance is some 2 D / precision^2."""
    family = model.family
    _, mean = model.gradient(eta, differentiable=True)
    levels = family.precisions(eta).detach()
    error = (mean - features).square()
    total = torch.zeros(len(eta))
    for entries, level in family.sites:
        total = total + levels[:, level] * error[:, list(entries)].sum(-1)
    squares = [k for k in range(family.dimension) if k not in set(family.locations)]
    if squares:
        total = total + (levels.amax(-1).square() / (2.0 * len(family.sites)))[:, None].mul(error[:, squares]).sum(-1)
    return total.mean() / len(family.locations)


def _trained(
    model: PotentialNetwork, lessons: _Lessons, held_out: _Lessons, steps: int, generator: torch.Generator
) -> list[tuple[int, float, float]]:
    """Adam with weight decay; (step, loss of the batches since the last entry, held-out loss)."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    check = held_out.draw(4 * BATCH, torch.Generator().manual_seed(0))
    curve: list[tuple[int, float, float]] = []
    since: list[float] = []
    for step in range(steps):
        share = (step + 1) / steps
        for group in optimiser.param_groups:
            group["lr"] = RATE * warm_then_cosine(share)
        value = _loss(model, *lessons.draw(BATCH, generator))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        since.append(value.item())
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            curve.append((step + 1, sum(since) / len(since), float(_loss(model, *check).detach())))
            since = []
    return curve
