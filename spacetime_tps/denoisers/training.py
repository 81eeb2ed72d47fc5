"""Training a denoiser: regression of its moments to those of weighted samples, at many points and noise levels."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_bytes
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.farthest import farthest

RATES = {"angle": 0.003, "log_concentration": 0.02, "logit": 0.1}
"""Adam's largest steps for the parameters of a TrainedDenoiser: radians, e-folds, kT"""
WARM_UP = 0.1
"""Share of the steps over which the rate rises; it then falls along a cosine"""
PSI_WEIGHT = 0.02
"""Of the squared error of psi (kT^2) beside that of mu in units of its thermal spread"""
BATCH, EVERY, CHUNK = 256, 50, 256
COMPONENTS, LESSONS, STEPS, BLOCK, HELD_OUT = 256, 8000, 1000, 10, 5
FEWEST_SAMPLES = 8.0


class Learner(Denoiser, Protocol):
    """A denoiser with parameters: an nn.Module."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...
    def float(self) -> Self: ...
    def double(self) -> Self: ...


@dataclass(frozen=True)
class Lessons:
    """What to learn: posterior moments of samples."""

    eta: Tensor
    """(M, E)"""
    log_partition: Tensor
    """(M,)"""
    mean: Tensor
    """(M, E)"""
    scale: Tensor
    """(M,): the inverse variance that the noise alone would leave, in which errors of mu are measured"""


@dataclass(frozen=True)
class Unseen:
    """How far a denoiser is from windows that it was not trained on; medians over them, in units of the thermal spread of T."""

    windows: int
    denoiser: float
    samples: float
    """The same of weighted samples, of the other windows alone"""
    standard_error: float
    """Of the windows' own means"""


@dataclass(frozen=True)
class Trained:
    """What training did."""

    curve: list[tuple[int, float, float]]
    """(step, loss of the batches since the last entry, held-out loss)"""
    held_out_loss: float
    """After the last step"""
    unseen: Unseen | None = None
    """None where no window was held out"""


def apart(denoiser: Denoiser, reference: Denoiser, eta: Tensor, family: Family) -> Tensor:
    """How far two denoisers are from each other at eta (N, E): |mu - mu'| over the locations of T, over the thermal spread of the
    reference; (N,)."""
    with torch.no_grad():
        mean, truth = denoiser.moments(eta).mean, reference.moments(eta).mean
    locations = list(family.locations)
    return (mean - truth)[:, locations].norm(dim=-1) / family.spread(truth).sum(-1).sqrt()


def draw_eta(angles: Tensor, count: int, *, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Natural parameters (count, 2n) to learn at: centers on random rows of angles (S, n), moved by up to the width of their noise.

    Concentrations are log-uniform between low and high; for half of the points one of them serves all torsions.
    """
    torsions = angles.shape[1]
    share = torch.rand(count, torsions, generator=generator, dtype=torch.double)
    share = torch.where(torch.rand(count, 1, generator=generator) < 0.5, share[:, :1], share)
    kappa = torch.exp(math.log(low) + share * math.log(high / low))
    rows = torch.randint(len(angles), (count,), generator=generator)
    noise = torch.randn(count, torsions, generator=generator, dtype=torch.double) / kappa.sqrt()
    return VonMises(torsions).natural(angles[rows] + torch.rand(count, 1, generator=generator) * noise, kappa)


def supported(samples: WeightedSamples, eta: Tensor, *, family: Family, fewest: float = FEWEST_SAMPLES) -> Lessons:
    """The moments of weighted samples at eta (M, E), points that fewer than `fewest` effective samples support left out."""
    with torch.no_grad():
        parts = [samples.moments(part) for part in eta.split(CHUNK)]
    psi, mean, effective = (torch.cat(column) for column in zip(*parts, strict=True))
    kept = effective >= fewest
    return Lessons(eta[kept], psi[kept], mean[kept], family.precisions(eta[kept]).amax(-1))


def teach(samples: WeightedSamples, eta: Tensor, *, family: Family, fewest: float = FEWEST_SAMPLES) -> Lessons:
    """The same. Raises SpacetimeError where no point is left."""
    lessons = supported(samples, eta, family=family, fewest=fewest)
    if not len(lessons.eta):
        raise SpacetimeError(f"no point has {fewest:g} effective samples: train at wider noise, or sample more")
    return lessons


def from_samples(samples: WeightedSamples, components: int) -> TrainedDenoiser:
    """An untrained mixture over the samples: components on samples that lie farthest apart, each with the weight of those nearest to it."""
    features = samples.features
    count = min(components, len(features))
    chosen = [0, *farthest(features, features[:1], count - 1)]
    apart = torch.cdist(features, features[chosen]).amin(1)
    nearest = torch.cat([torch.cdist(part, features[chosen]).argmin(1) for part in features.split(8192)])
    weight = torch.stack([torch.logsumexp(samples.log_weights[nearest == k], dim=0) for k in range(count)])
    weight = weight.clamp_min(float(weight[weight.isfinite()].min()))
    return TrainedDenoiser(features[chosen] * (2.0 / float(apart.max().square().clamp_min(1e-3))), weight)


def regression(denoiser: Denoiser, lessons: Lessons) -> Tensor:
    """Mean of scale |mu - mu_samples|^2 + PSI_WEIGHT (psi - psi_samples)^2 over lessons; a scalar."""
    moments = denoiser.moments(lessons.eta)
    of_mean = lessons.scale * (moments.mean - lessons.mean).square().sum(-1)
    return (of_mean + PSI_WEIGHT * (moments.log_partition - lessons.log_partition).square()).mean()


def train(
    model: Learner,
    lessons: Lessons,
    held_out: Lessons,
    *,
    steps: int,
    seed: int,
    loss: Callable[[Any, Lessons], Tensor] = regression,
    rates: Mapping[str, float] = RATES,
    batch: int = BATCH,
    every: int = EVERY,
    checkpoint: Path | None = None,
) -> Trained:
    """Fit `model` in place by Adam, in single precision; the model is in double before and after.

    `rates` names each parameter's largest step. With `checkpoint`, the state is written there every `every` steps, and training goes on
    from it if it exists: each step's batch follows from the seed and the step's number, so that a resumed training ends where an unbroken
    one does.
    Raises SpacetimeError for a checkpoint of another training.
    """
    model.float()
    named = dict(model.named_parameters())
    optimiser = torch.optim.Adam([{"params": [named[name]], "lr": rates[name]} for name in named], betas=(0.9, 0.99))
    data, check = _single(lessons), _single(held_out)
    recipe = {"steps": steps, "seed": seed, "batch": batch, "lessons": len(data.eta)}
    curve: list[tuple[int, float, float]] = []
    first = _resume(checkpoint, model, optimiser, curve, recipe) if checkpoint is not None and checkpoint.exists() else 0

    def value(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        rows = torch.randint(len(data.eta), (batch,), generator=generator)
        return loss(model, Lessons(data.eta[rows], data.log_partition[rows], data.mean[rows], data.scale[rows]))

    def kept() -> None:
        if checkpoint is not None:
            _store(checkpoint, model, optimiser, curve, recipe)

    largest = [rates[name] for name in named]
    descend(optimiser, value, lambda: _over_all(loss, model, check), curve, rates=largest, steps=steps, every=every, first=first, kept=kept)
    model.double()
    return Trained(curve, curve[-1][2])


def descend(
    optimiser: torch.optim.Optimizer, value: Callable[[int], Tensor], held_out: Callable[[], float], curve: list[tuple[int, float, float]],
    *, rates: Sequence[float], steps: int, every: int = EVERY, first: int = 0, kept: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Steps `first` to `steps` down a loss, the rates rising to the largest ones of each group of parameters and falling again.

    value: of the batch of a step; held_out: the loss on what is not trained on. Every `every` steps `curve` grows by (step, mean of the
    values since, held-out loss), and `kept` is called.
    """
    since: list[float] = []
    for step in range(first, steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * _schedule((step + 1) / steps)
        loss = value(step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        since.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == steps:
            curve.append((step + 1, sum(since) / len(since), held_out()))
            since = []
            kept()


def learn(
    samples: WeightedSamples,
    *,
    low: float,
    high: float,
    seed: int,
    components: int = COMPONENTS,
    count: int = LESSONS,
    steps: int = STEPS,
    checkpoint: Path | None = None,
) -> tuple[TrainedDenoiser, Trained]:
    """A denoiser of torsions trained on weighted samples, for concentrations between low and high, and what its training did.

    One in HELD_OUT of the samples is held out, in blocks of BLOCK neighbours, which in a walk resemble each other; the count is of lessons.
    """
    family = VonMises(samples.features.shape[1] // 2)
    kept = (torch.arange(len(samples.features)) // BLOCK) % HELD_OUT != 0
    parts = []
    for rows, share, offset in ((kept, 1.0, 0), (~kept, 0.1, 1)):
        part = WeightedSamples(samples.features[rows], samples.log_weights[rows])
        generator = torch.Generator().manual_seed(2 * seed + offset)
        eta = draw_eta(family.center(part.features), round(share * count), low=low, high=high, generator=generator)
        parts.append((part, teach(part, eta, family=family)))
    (training, lessons), (_, held_out) = parts
    model = from_samples(training, components)
    trained = train(model, lessons, held_out, steps=steps, seed=seed, checkpoint=checkpoint)
    model.requires_grad_(False)
    return model, trained


def _schedule(share: float) -> float:
    """Of the largest rate: up linearly over WARM_UP, then down a cosine to nothing."""
    return share / WARM_UP if share < WARM_UP else 0.5 * (1.0 + math.cos(math.pi * (share - WARM_UP) / (1.0 - WARM_UP)))


def _single(lessons: Lessons) -> Lessons:
    return Lessons(lessons.eta.float(), lessons.log_partition.float(), lessons.mean.float(), lessons.scale.float())


def _over_all(loss: Callable[[Any, Lessons], Tensor], model: Learner, lessons: Lessons) -> float:
    columns = zip(*(part.split(CHUNK) for part in (lessons.eta, lessons.log_partition, lessons.mean, lessons.scale)), strict=True)
    parts = [Lessons(*column) for column in columns]
    return sum(float(loss(model, part).detach()) * len(part.eta) for part in parts) / len(lessons.eta)


def _store(path: Path, model: Learner, optimiser: torch.optim.Optimizer, curve: list[tuple[int, float, float]], recipe: object) -> None:
    buffer = io.BytesIO()
    content = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "curve": torch.tensor(curve, dtype=torch.double)}
    torch.save({**content, "recipe": recipe}, buffer)
    write_bytes(path, buffer.getvalue())


def _resume(
    path: Path, model: Learner, optimiser: torch.optim.Optimizer, curve: list[tuple[int, float, float]], recipe: dict[str, int]
) -> int:
    """Take up what `_store` wrote; the number of steps done."""
    content = torch.load(path, weights_only=True)
    if content["recipe"] != recipe:
        raise SpacetimeError(f"{path.name} belongs to another training: remove it, or train with {content['recipe']}")
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    curve.extend((int(step), fit, held) for step, fit, held in content["curve"].tolist())
    return curve[-1][0]
