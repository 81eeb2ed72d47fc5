"""The potential network's training, by denoising score matching on frames of restrained MD, which need no weights, and by what weighted
samples say near the windows; and its judge."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.denoisers.potential import PotentialNetwork, to_bytes
from spacetime_tps.denoisers.protocol import Ensembles, Fitted
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import Lessons, Trained, Unseen, descend, supported
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family

HELD_OUT, FIRST = 8, 3
"""Every so many windows, from this one on, are not trained on: one of four at least"""
WIDTH, COMMON, LAYERS = 16, 64, 2
BATCH = 512
RATE, DECAY = 0.01, 0.01
PLAIN, WIDEST, NARROWEST = 0.5, 0.01, 2.0
"""Precisions of the noise on frames of plain MD, at least; on frames of windows, at least; and on all, at most: times the lowest and the
highest of the curve. Plain MD keeps to A and to B, so that wider noise would ask it for what lies between"""
WANDER, STRETCH = 2.0, 0.2
"""How far from a window's eta samples are asked, at most and in every coordinate: widths of the noise, and e-folds of its precision"""


@dataclass(frozen=True)
class NetworkTrainer:
    """For coordinates of every kind, from `network_from` of them on.

    With x from p_eta_k and y = T(x) + noise of precision kappa, the posterior of x given y is p at eta = eta_k + kappa y (Bayes' rule,
    `Family.noised`), and the regression of T(x) on that eta is mu(eta), exactly, whatever the weights of x are. Plain MD in an end has
    eta_k = 0, the usual score matching, as far as the noise leaves it in its state; windows carry it to where plain MD never goes.

    Noise only narrows: of what lies beside the windows at their own precision, where curves move to, such frames say nothing, and centers
    of restraints lie far from all frames wherever the landscape is steep. There the weighted samples say it, as far as they reach: half of
    each batch are points around the windows' eta with the samples' moments (`training.supported`).
    """

    settings: DenoiserSettings

    def handles(self, family: Family) -> bool:
        return 0 < self.settings.network_from <= len(family.angular)

    def fit(self, data: Ensembles, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        """Raises ValueError where there are fewer than four windows: none could be held out."""
        of = torch.repeat_interleave(torch.arange(len(data.counts)), data.counts)
        window, held = is_window(data.eta), held_out(data.eta)
        if not bool(held.any()):
            raise ValueError(f"the network is judged by windows: {int(window.sum())} are too few to hold one out")
        seen = ~held[of]
        lessons = _Lessons(family, data.samples.features[seen], data.eta[of[seen]], curve)
        others = _Lessons(family, data.samples.features[~seen], data.eta[of[~seen]], curve)
        locations = list(family.locations)
        generator = torch.Generator().manual_seed(seed)
        variance, center = torch.var_mean(lessons.features[:, locations], dim=0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = PotentialNetwork(family, center.float(), variance.float(), width=WIDTH, common=COMMON, layers=LAYERS)
        near = beside(family, data.eta[window & ~held], self.settings.lessons, generator)
        taught = supported(data.samples.restricted(seen), near, family=family)
        record = _trained(model, lessons, taught, others, self.settings.network_steps, generator)
        model.double().requires_grad_(False)
        known = data.eta[window & ~held]
        model.offset += (data.samples.moments(known).log_partition - model.moments(known).log_partition).mean()
        return Fitted(model, to_bytes(model), Trained(record, record[-1][2], unseen(model, data, held, family)))


def unseen(denoiser: Denoiser, data: Ensembles, held: Tensor, family: Family) -> Unseen:
    """How far a denoiser, and the weighted samples of the windows that it was trained on, are from windows `held` (K,) out, one
    at least.

    Of each window: the root of |mu - mean of T|^2 over the variance of T, summed over the locations of T; the median over windows. The
    same for the standard error of the window's own mean.
    """
    locations = list(family.locations)
    of = torch.repeat_interleave(torch.arange(len(data.counts)), data.counts)
    kept = data.samples.restricted(~held[of])
    network, samples, noise = [], [], []
    for k in torch.nonzero(held)[:, 0].tolist():
        mine = of == k
        variance, mean = torch.var_mean(data.samples.features[mine][:, locations], dim=0)
        spread = variance.sum().sqrt()
        eta = data.eta[k : k + 1]
        network.append(float((denoiser.moments(eta).mean[0, locations] - mean).norm() / spread))
        samples.append(float((kept.moments(eta).mean[0, locations] - mean).norm() / spread))
        noise.append(float((data.samples.inefficiency[mine].mean() / mine.sum()).sqrt()))
    middle = [float(torch.tensor(errors).median()) for errors in (network, samples, noise)]
    return Unseen(len(network), *middle)


class _Lessons:
    """Frames to be noised."""

    def __init__(self, family: Family, features: Tensor, eta: Tensor, curve: Tensor):
        self.family, self.features, self.eta = family, features, eta
        levels = family.precisions(curve)
        self.low, self.high = float(levels.min()), NARROWEST * float(levels.max())
        self.levels = levels.shape[-1]
        self.plain = (eta == 0.0).all(-1)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """eta (count, E) and T (count, E), in single precision."""
        rows = torch.randint(len(self.features), (count,), generator=generator)
        low = torch.where(self.plain[rows], PLAIN, WIDEST) * self.low
        share = torch.rand(count, generator=generator, dtype=torch.double)
        precision = (low * (self.high / low) ** share)[:, None].expand(-1, self.levels)
        features = self.features[rows]
        normal = torch.randn(features.shape, generator=generator, dtype=torch.double)
        return (self.eta[rows] + self.family.noised(features, precision, normal)).float(), features.float()


def is_window(eta: Tensor) -> Tensor:
    """Which of the ensembles eta (K, E) are restrained, (K,)."""
    return (eta != 0.0).any(-1)


def held_out(eta: Tensor) -> Tensor:
    """Which of the ensembles eta (K, E) are the windows that are not trained on, (K,)."""
    window = is_window(eta)
    return window & (torch.cumsum(window, 0) % HELD_OUT == FIRST)


def beside(family: Family, eta: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """eta (count, E): centers and precisions of windows eta (K, E), moved at random."""
    rows = eta[torch.randint(len(eta), (count,), generator=generator)]
    precision, center = family.precisions(rows), family.center(rows)
    share = torch.rand(count, 1, generator=generator, dtype=torch.double)
    away, wider = (torch.randn(x.shape, generator=generator, dtype=torch.double) for x in (center, precision))
    width = precision[:, [level for _, level in family.groups]].rsqrt()
    return family.natural(center + WANDER * share * away * width, family.level_of(precision * (STRETCH * share * wider).exp()))


def _loss(model: PotentialNetwork, eta: Tensor, features: Tensor) -> Tensor:
    """Mean over points and locations of precision * (mu - T)^2; and the error of each sum of squares, taken about the center of the data so
    that it does not matter where the origin is, over what it varies by: 4 v / precision + 2 / precision^2 a location, v their variance."""
    family, locations = model.family, {entry: k for k, entry in enumerate(model.family.locations)}
    _, mean = model.gradient(eta, differentiable=True)
    precision, error = family.precisions(eta), mean - features
    level = {entry: level for entries, level in family.groups for entry in entries}
    total = (precision[:, [level[k] for k in locations]] * error[:, list(locations)].square()).sum(-1)
    for entry, of in family.squares:
        middle, v = (x[[locations[k] for k in of]].to(eta.dtype) for x in (model.center, model.variance))
        about = error[:, entry] - 2.0 * error[:, list(of)] @ middle
        kappa = precision[:, level[of[0]]]
        total = total + about.square() / (len(of) * (4.0 * v.mean() / kappa + 2.0 / kappa.square()))
    return total.mean() / len(locations)


def _trained(
    model: PotentialNetwork, lessons: _Lessons, taught: Lessons, held_out: _Lessons, steps: int, generator: torch.Generator
) -> list[tuple[int, float, float]]:
    """Adam with weight decay; (step, loss of the batches since the last entry, held-out loss)."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    check = held_out.draw(4 * BATCH, torch.Generator().manual_seed(0))
    curve: list[tuple[int, float, float]] = []

    half = BATCH // 2 if len(taught.eta) else 0

    def value(step: int) -> Tensor:
        eta, features = lessons.draw(BATCH - half, generator)
        if half:
            rows = torch.randint(len(taught.eta), (half,), generator=generator)
            eta, features = torch.cat([eta, taught.eta[rows].float()]), torch.cat([features, taught.mean[rows].float()])
        return _loss(model, eta, features)

    def left_out() -> float:
        return float(_loss(model, *check).detach())

    descend(optimiser, value, left_out, curve, rates=[RATE], steps=steps)
    return curve
