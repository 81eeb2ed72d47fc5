"""All-atom alanine dipeptide: frames with MBAR weights of one run to learn from, an independent longer run to judge by.

Twice: in the run's own torsions, and in 30 heavy-atom Cartesian coordinates. For the latter every frame is superposed on the first,
which defines a distribution p_0 of its own: the restraint of a real Cartesian run would not rotate with the molecule.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mdtraj
import numpy as np
import torch
from torch import Tensor

from designs import cartesian_networks as networks
from designs import measures, torsion_networks
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import RATES, Lessons, draw_eta, from_samples, regression, teach, train
from spacetime_tps.geometry.denoiser import Denoiser, Moments
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.trajectories.trr import read_trr

FEWEST = 300.0
"""Effective samples of the truth, at least, where a design is judged"""
LESSONS, HELD_OUT, CANDIDATES = 8000, 800, 4000
LOW, HIGH, SPREAD = 5.0, 200.0, math.radians(15)
COMPONENTS, MIXTURE_STEPS = 128, 1000
NEAR, FAR, ROUTE = 0.1, 1.0, 0.4
"""sigma/alpha in units of 0.1 nm"""
GAUSSIANS, GAUSSIAN_STEPS, NETWORK_STEPS, NETWORK_RATE = 64, 600, 2500, 2e-3
GAUSSIAN_RATES = {"mean": 3e-3, "log_variance": 0.01, "logit": 0.05}
SEEDS = {"lessons": 21, "held out": 22, "judged": 23, "initial weights": 0, "training": 1}


@dataclass
class Result:
    """One line of a table. Errors are of the location part of mu: (cos, sin), or E[x0] in 0.1 nm."""

    name: str
    mean: float
    top: float
    on_route: float
    second: float
    """Mean error of E|x0|^2, (0.1 nm)^2; zero for torsions, which have none"""
    negative: float
    on_route_negative: float
    seconds: float
    milliseconds: float
    held_out: float
    by_level: list[float] = field(default_factory=list)
    curve: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass
class Problem:
    """Samples to learn from and to judge by, and the points to judge at."""

    family: Family
    training: WeightedSamples
    held: WeightedSamples
    truth: WeightedSamples
    lessons: Lessons
    held_out: Lessons
    judged: Tensor
    judged_truth: Moments
    route: Tensor
    route_truth: Moments
    bins: tuple[tuple[float, float], ...]
    level: Tensor
    """Of the judged points, what the bins bin"""


def frames(run: Path) -> tuple[np.ndarray, Tensor, Tensor]:
    """Positions (S, atoms, 3) nm, features (S, 4) and log weights (S,) of the best route's class."""
    positions, _, _ = read_trr(run / "samples/weighted_1.trr")
    with np.load(run / "samples/weighted_1.npz") as data:
        return positions, torch.from_numpy(data["features"]), torch.from_numpy(data["log_weight"])


def split(features: Tensor, log_weight: Tensor) -> tuple[WeightedSamples, WeightedSamples, Tensor]:
    """Four fifths to learn from, one fifth held out, in blocks of 10 neighbours of the walks; and which are to learn from."""
    learn = (torch.arange(len(features)) // 10) % 5 != 0
    return WeightedSamples(features[learn], log_weight[learn]), WeightedSamples(features[~learn], log_weight[~learn]), learn


def supported(truth: WeightedSamples, eta: Tensor) -> tuple[Tensor, Moments]:
    """The points where the truth has FEWEST effective samples, and its moments there."""
    m = measures.moments(truth, eta)
    kept = m.effective_samples >= FEWEST
    return eta[kept], Moments(*(part[kept] for part in m))


def torsions(run: Path, truth: Path) -> Problem:
    """In (phi, psi), around the geodesic that the run found."""
    family = VonMises(2)
    _, features, log_weight = frames(run)
    training, held, _ = split(features, log_weight)
    best = WeightedSamples(*frames(truth)[1:])
    lessons, held_out = (
        teach(
            s,
            draw_eta(family.center(s.features), n, low=LOW, high=HIGH, generator=torch.Generator().manual_seed(SEEDS[name])),
            family=family,
        )
        for s, n, name in ((training, LESSONS, "lessons"), (held, HELD_OUT, "held out"))
    )
    with np.load(run / "geodesic.npz") as data:
        route = torch.from_numpy(data["eta"])
    generator = torch.Generator().manual_seed(SEEDS["judged"])
    wide = torch.randn(CANDIDATES, 2, generator=generator, dtype=torch.double) * SPREAD
    about = family.center(route)[torch.randint(len(route), (CANDIDATES,), generator=generator)] + wide
    judged, judged_truth = supported(best, draw_eta(about, CANDIDATES, low=LOW, high=HIGH, generator=generator))
    on, on_truth = supported(best, route)
    bins = ((5.0, 20.0), (20.0, 80.0), (80.0, 200.0))
    return Problem(family, training, held, best, lessons, held_out, judged, judged_truth, on, on_truth, bins, family.level(judged).amin(-1))


def cartesian(run: Path, truth: Path) -> Problem:
    """In heavy-atom Cartesians, units of 0.1 nm, around the mean structures along the run's geodesic."""
    family = Cartesian(30)
    heavy = mdtraj.load_topology(run / "topology.pdb").select("not element H")
    mine, features, log_weight = frames(run)
    others, _, other_weight = frames(truth)
    x, y = (superposed(torch.from_numpy(p[:, heavy].astype(float)), torch.from_numpy(mine[0, heavy].astype(float))) for p in (mine, others))
    center = x.mean(0)
    x, y = x - center, y - center
    best = WeightedSamples(family.features(y), other_weight)
    return _cartesian(family, x, log_weight, best, _along(run, features, log_weight, x, family))


def thinned(run: Path) -> Problem:
    """The same with one run for both: one block of ten frames in ten to learn from, with the weights that the others judge by.

    Two runs differ by their MBAR weights, which no denoiser can mend; here they agree, and what is left is what few frames cost.
    """
    family = Cartesian(30)
    positions, features, log_weight = frames(run)
    heavy = mdtraj.load_topology(run / "topology.pdb").select("not element H")
    x = superposed(torch.from_numpy(positions[:, heavy].astype(float)), torch.from_numpy(positions[0, heavy].astype(float)))
    x = x - x.mean(0)
    few = (torch.arange(len(x)) // 10) % 10 == 0
    best = WeightedSamples(family.features(x[~few]), log_weight[~few])
    return _cartesian(family, x[few], log_weight[few], best, _along(run, features, log_weight, x, family))


def superposed(x: Tensor, reference: Tensor) -> Tensor:
    """Frames (S, atoms, 3) nm centred and turned onto a reference (atoms, 3) by Kabsch's method, (S, 3 atoms) in 0.1 nm."""
    x, reference = x - x.mean(1, keepdim=True), reference - reference.mean(0)
    u, _, v = torch.linalg.svd(x.mT @ reference)
    flip = torch.ones(len(x), 3, dtype=torch.double)
    flip[:, 2] = torch.sign(torch.linalg.det(u @ v))
    return 10.0 * (x @ ((u * flip[:, None]) @ v)).flatten(1)


def _along(run: Path, features: Tensor, log_weight: Tensor, x: Tensor, family: Cartesian) -> Tensor:
    """Mean structures along the run's geodesic, at sigma/alpha = 0.04 nm."""
    with np.load(run / "geodesic.npz") as data:
        eta = torch.from_numpy(data["eta"])
    share = torch.softmax(log_weight + eta @ features.T, dim=-1)
    return family.natural(share @ x, torch.full((len(eta), 1), -2.0 * math.log(ROUTE), dtype=torch.double))


def _cartesian(family: Cartesian, x: Tensor, log_weight: Tensor, best: WeightedSamples, along: Tensor) -> Problem:
    training, held, learn = split(family.features(x), log_weight)
    lessons, held_out = (
        teach(s, draw_noisy(z, n, generator=torch.Generator().manual_seed(SEEDS[name])), family=family)
        for s, z, n, name in ((training, x[learn], LESSONS, "lessons"), (held, x[~learn], HELD_OUT, "held out"))
    )
    generator = torch.Generator().manual_seed(SEEDS["judged"])
    judged, judged_truth = supported(best, draw_noisy(best.features[:, :-1], CANDIDATES, generator=generator))
    on, on_truth = supported(best, along)
    level = torch.exp(-0.5 * family.level(judged)[:, 0])
    return Problem(
        family, training, held, best, lessons, held_out, judged, judged_truth, on, on_truth, ((0.1, 0.2), (0.2, 0.4), (0.4, 1.0)), level
    )  # fmt: skip


def draw_noisy(x: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """eta (count, D+1): centers on random frames, moved by up to sigma/alpha a coordinate, which is log-uniform from NEAR to FAR."""
    noise = torch.exp(math.log(NEAR) + torch.rand(count, 1, generator=generator, dtype=torch.double) * math.log(FAR / NEAR))
    rows = torch.randint(len(x), (count,), generator=generator)
    moved = torch.rand(count, 1, generator=generator) * noise * torch.randn(count, x.shape[1], generator=generator, dtype=torch.double)
    return Cartesian(x.shape[1]).natural(x[rows] + moved, -2.0 * noise.log())


def about_center(moments: Moments, lessons: Lessons) -> tuple[Tensor, Tensor]:
    """Error of E[x0], and of E|x0 - c|^2 with c the center of eta, where errors of the two parts of mu do not hang together."""
    error = moments.mean - lessons.mean
    center = lessons.eta[..., :-1] / (-2.0 * lessons.eta[..., -1:])
    return error[..., :-1], error[..., -1] - 2.0 * (center * error[..., :-1]).sum(-1)


def cartesian_loss(denoiser: Denoiser, lessons: Lessons) -> Tensor:
    """Squared errors of both parts of mu in units of what noise alone leaves, and of psi where there is one."""
    moments = denoiser.moments(lessons.eta)
    first, second = about_center(moments, lessons)
    value = lessons.scale * first.square().sum(-1) + lessons.scale.square() * second.square() / (2.0 * first.shape[-1])
    of_psi = torch.nan_to_num(moments.log_partition - lessons.log_partition, nan=0.0)
    return (value + 0.02 * of_psi.square()).mean()


def denoising_loss(model: networks.Tweedie, lessons: Lessons) -> Tensor:
    """The plain network's: E[x0] alone."""
    return (lessons.scale * (model.denoised(lessons.eta) - lessons.mean[..., :-1]).square().sum(-1)).mean()


def torsion_designs(p: Problem) -> list[tuple[str, Callable[[], Denoiser], int, dict[str, float] | float, Callable[..., Tensor]]]:
    return [
        ("network for mu", lambda: torsion_networks.Plain(2, p.lessons).double(), NETWORK_STEPS, NETWORK_RATE, regression),
        ("network for psi", lambda: torsion_networks.Potential(2, p.lessons).double(), NETWORK_STEPS, NETWORK_RATE, regression),
        ("von Mises mixture", lambda: from_samples(p.training, COMPONENTS), MIXTURE_STEPS, RATES, regression),
    ]


def cartesian_designs(p: Problem) -> list[tuple[str, Callable[[], Denoiser], int, dict[str, float] | float, Callable[..., Tensor]]]:
    x = p.training.features[:, :-1]

    def gaussians() -> networks.Mixture:
        return networks.Mixture(x, p.training.log_weights, GAUSSIANS)

    return [
        ("network for E[x0], Tweedie", lambda: networks.Tweedie(x).double(), NETWORK_STEPS, NETWORK_RATE, denoising_loss),
        ("network for mu", lambda: networks.TwoHeads(x).double(), NETWORK_STEPS, NETWORK_RATE, cartesian_loss),
        ("network for psi", lambda: networks.Potential(x, p.lessons).double(), NETWORK_STEPS, NETWORK_RATE, cartesian_loss),
        ("Gaussian mixture", gaussians, 0, 0.0, cartesian_loss),
        ("Gaussian mixture, trained", gaussians, GAUSSIAN_STEPS, GAUSSIAN_RATES, cartesian_loss),
    ]  # fmt: skip


def solve(p: Problem, say: Callable[[str], None]) -> list[Result]:
    """All designs on one of the two problems."""
    say(f"  {len(p.lessons.eta)} lessons, {len(p.held_out.eta)} held out, {len(p.judged)} judged, {len(p.route)} on the route")
    planar = isinstance(p.family, VonMises)
    loss = regression if planar else cartesian_loss
    results = [judge("weighted samples", p.training, p, 0.0, [], loss)]
    say(_line(results[-1]))
    torch.manual_seed(SEEDS["initial weights"])
    for name, make, steps, rate, own_loss in torsion_designs(p) if planar else cartesian_designs(p):
        begin = time.perf_counter()
        model = make()
        curve = []
        if steps:
            rates = rate if isinstance(rate, dict) else dict.fromkeys(dict(model.named_parameters()), rate)
            curve = train(model, p.lessons, p.held_out, steps=steps, seed=SEEDS["training"], loss=own_loss, rates=rates, every=100).curve
        model.requires_grad_(False)
        results.append(judge(name, model, p, time.perf_counter() - begin, curve, loss))
        say(_line(results[-1]))
        if isinstance(model, networks.Tweedie):
            say(f"  relative deviation of the trace: {spread_of_trace(model, p.judged[:128])}")
    return results


def judge(
    name: str, denoiser: Denoiser, p: Problem, seconds: float, curve: list[tuple[int, float, float]], loss: Callable[..., Tensor]
) -> Result:
    own = measures.moments(denoiser, p.judged)
    places = list(p.family.locations)
    squares = [k for k in range(p.family.dimension) if k not in places]
    error = (own.mean - p.judged_truth.mean)[:, places].norm(dim=-1)
    second = (own.mean - p.judged_truth.mean)[:, squares].abs()
    on = measures.moments(denoiser, p.route)
    held = [Lessons(*part) for part in zip(*(c.split(256) for c in vars(p.held_out).values()), strict=True)]
    return Result(
        name=name,
        mean=float(error.mean()),
        top=float(error.quantile(0.95)),
        on_route=float((on.mean - p.route_truth.mean)[:, places].norm(dim=-1).mean()),
        second=float(second.mean()) if second.numel() else 0.0,
        negative=measures.negative_share(denoiser, p.judged, p.family, min(measures.LINES, len(p.judged) // 2)),
        on_route_negative=measures.negative(p.route, on.mean),
        seconds=seconds,
        milliseconds=measures.milliseconds(denoiser, p.judged),
        held_out=sum(float(loss(denoiser, part).detach()) * len(part.eta) for part in held) / len(p.held_out.eta),
        by_level=[float(error[(p.level > low) & (p.level <= high)].mean()) for low, high in p.bins],
        curve=curve,
    )


def spread_of_trace(model: networks.Tweedie, eta: Tensor) -> dict[int, float]:
    """Relative standard deviation of Hutchinson's trace for 1, 4 and 16 random probes, against the exact trace."""
    exact = model.traces(eta, torch.eye(eta.shape[1] - 1, dtype=torch.double))[1].sum(-1).detach()
    signs = torch.randint(0, 2, (64, eta.shape[1] - 1), generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    each = model.traces(eta, signs)[1].detach()
    return {n: round(float(((each.unflatten(-1, (-1, n)).mean(-1) / exact[:, None] - 1) ** 2).mean().sqrt()), 3) for n in (1, 4, 16)}


def _line(r: Result) -> str:
    levels = ", ".join(f"{e:.4f}" for e in r.by_level)
    cost = f"{r.seconds:.0f} s, {r.milliseconds:.1f} ms"
    return f"  {r.name}: {r.mean:.4f} ({levels}), route {r.on_route:.4f}, negative {r.negative:.4f}, {cost}"
