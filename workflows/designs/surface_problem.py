"""The (phi, psi) surface: every design learns from the same weighted Sobol points and is judged by quadrature."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.torus import sobol
from designs import measures
from designs.torsion_networks import Plain, Potential
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.training import RATES, Lessons, draw_eta, from_samples, regression, teach, train
from spacetime_tps.geometry.denoiser import Denoiser, Moments
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.potentials.tabulated import load_surface

SURFACE = Path(__file__).parents[2] / "systems/alanine_dipeptide_surface/surface.npz"
POINTS, LESSONS, HELD_OUT, JUDGED = 2**15, 8000, 800, 2000
LOW, HIGH = 5.0, 600.0
COMPONENTS, MIXTURE_STEPS, NETWORK_STEPS, NETWORK_RATE = 384, 2000, 6000, 3e-3
SEEDS = {"samples": 1, "lessons": 2, "held out": 3, "judged": 9, "lines": 10, "initial weights": 0, "training": 1}
ENDS = np.radians([(-147.0, 159.1), (60.2, -40.9)])
FAMILY = VonMises(2)
BINS = ((5.0, 20.0), (20.0, 80.0), (80.0, 200.0), (200.0, 600.0))


@dataclass
class Result:
    """One line of the table."""

    name: str
    mean: float
    top: float
    """95 % of the errors are below"""
    seam: float
    by_level: list[float]
    psi: float
    """Mean error of psi, kT"""
    on_route: tuple[float, float] = (math.nan, math.nan)
    """Mean and 95 % of the error on the exact geodesic"""
    negative: float = math.nan
    seconds: float = 0.0
    milliseconds: float = math.nan
    held_out: float = math.nan
    route: measures.Route | None = None
    """Found from the straight line"""
    stayed: measures.Route | None = None
    """Found from the exact geodesic"""
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    denoiser: Denoiser | None = None


@dataclass
class Problem:
    """The data at one temperature, split, and what designs are judged by."""

    kT: float
    exact: WeightedSamples
    training: WeightedSamples
    angles: Tensor
    lessons: Lessons
    held_out: Lessons
    judged: Tensor
    truth: Moments


def problem(kT: float, points: int = POINTS) -> Problem:
    """Four fifths of the points to learn from, one fifth to see how well."""
    surface = load_surface(SURFACE)
    x = sobol(points, 2, SEEDS["samples"])
    energy = surface.energy(x)
    learn = torch.arange(points) % 5 != 0
    training, held = (WeightedSamples(FAMILY.features(x[part]), -energy[part] / kT) for part in (learn, ~learn))
    generators = {name: torch.Generator().manual_seed(seed) for name, seed in SEEDS.items()}
    lessons = teach(training, draw_eta(x[learn], LESSONS, low=LOW, high=HIGH, generator=generators["lessons"]), family=FAMILY)
    held_out = teach(held, draw_eta(x[~learn], HELD_OUT, low=LOW, high=HIGH, generator=generators["held out"]), family=FAMILY)
    exact = quadrature(FAMILY, periodic_grid(128, 2), surface.energy, kT=kT)
    everywhere = sobol(4096, 2, SEEDS["judged"])
    judged = draw_eta(everywhere, JUDGED, low=LOW, high=HIGH, generator=generators["judged"])
    return Problem(kT, exact, training, x[learn], lessons, held_out, judged, measures.moments(exact, judged))


def designs(p: Problem) -> dict[str, tuple[Denoiser, float, list[tuple[int, float, float]]]]:
    """Each design trained: the denoiser, the seconds that it took, its learning curve."""
    torch.manual_seed(SEEDS["initial weights"])
    made: dict[str, tuple[Denoiser, float, list[tuple[int, float, float]]]] = {"weighted samples": (p.training, 0.0, [])}
    makers: dict[str, tuple[Callable[[], torch.nn.Module], int, bool]] = {
        "network for mu": (lambda: Plain(2, p.lessons).double(), NETWORK_STEPS, False),
        "network for psi": (lambda: Potential(2, p.lessons).double(), NETWORK_STEPS, False),
        "von Mises mixture": (lambda: from_samples(p.training, COMPONENTS), MIXTURE_STEPS, True),
    }
    for name, (make, steps, mixture) in makers.items():
        begin = time.perf_counter()
        model = make()
        rates = RATES if mixture else dict.fromkeys(dict(model.named_parameters()), NETWORK_RATE)
        done = train(model, p.lessons, p.held_out, steps=steps, seed=SEEDS["training"], rates=rates, every=100)
        model.requires_grad_(False)
        made[name] = (model, time.perf_counter() - begin, done.curve)
    return made


def judge(name: str, denoiser: Denoiser, p: Problem) -> Result:
    """Errors against quadrature at the judged points."""
    own = measures.moments(denoiser, p.judged)
    error = (own.mean - p.truth.mean).norm(dim=-1)
    level = FAMILY.level(p.judged).amin(-1)
    seam = (FAMILY.center(p.judged).abs() > math.radians(170)).any(-1)
    return Result(
        name=name,
        mean=float(error.mean()),
        top=float(error.quantile(0.95)),
        seam=float(error[seam].mean()),
        by_level=[float(error[(level > low) & (level <= high)].mean()) for low, high in BINS],
        psi=float((own.log_partition - p.truth.log_partition).abs().mean()),
        denoiser=denoiser,
    )


def solve(kT: float, say: Callable[[str], None]) -> tuple[Problem, list[Result], measures.Route]:
    """All designs on the surface at kT (kJ/mol), and the exact geodesic."""
    p = problem(kT)
    say(f"surface, kT = {kT}: {len(p.lessons.eta)} lessons, {len(p.held_out.eta)} held out")
    turns = ((), (0,), (1,), (0, 1))
    first = [measures.geodesic(p.exact, p.exact, measures.straight(*ENDS, turned)[0], floors=(25.0,)) for turned in turns]
    centers, _ = measures.straight(*ENDS, turns[int(np.argmin([f.barrier for f in first]))])
    generator = torch.Generator().manual_seed(SEEDS["lines"])
    lines = draw_eta(p.angles, 2 * measures.LINES, low=LOW, high=HIGH, generator=generator)
    results = []
    for name, (denoiser, seconds, curve) in designs(p).items():
        result = judge(name, denoiser, p)
        result.negative = measures.negative_share(denoiser, lines, FAMILY)
        result.seconds, result.curve = seconds, curve
        result.milliseconds = measures.milliseconds(denoiser, lines)
        with torch.no_grad():
            result.held_out = float(regression(denoiser, p.held_out))
        result.route = measures.geodesic(denoiser, p.exact, centers)
        results.append(result)
    own = measures.geodesic(p.exact, p.exact, centers)
    best = measures.best(p.exact, [own, *(r.route for r in results[::3] if r.route is not None)])  # those of the convex designs
    straight = own.objective / best.objective
    say(f"  exact geodesic: energy {best.energy:.2f}, barrier {best.barrier:.2f} kT; objective from the straight line x {straight:.3f}")
    on_route = measures.moments(p.exact, best.eta).mean
    there = np.unwrap(FAMILY.center(best.eta).numpy(), axis=0)
    for r in results:
        assert r.denoiser is not None
        off = (measures.moments(r.denoiser, best.eta).mean - on_route).norm(dim=-1)
        r.on_route = (float(off.mean()), float(off.quantile(0.95)))
        r.stayed = measures.geodesic(r.denoiser, p.exact, there, measures.FLOORS[-1:])
        say(_line(r, best))
    return p, results, best


def _line(r: Result, best: measures.Route) -> str:
    assert r.route is not None
    assert r.stayed is not None
    return (
        f"  {r.name}: {r.mean:.4f}, 95 % {r.top:.3f}, seam {r.seam:.4f}, geodesic {r.on_route[0]:.4f}, negative {r.negative:.4f}, "
        f"energy, objective from the straight line x {r.route.energy / best.energy:.3f}, {r.route.objective / best.objective:.3f}; "
        f"from the exact geodesic x {r.stayed.energy / best.energy:.3f}, {r.stayed.objective / best.objective:.3f}; "
        f"held out {r.held_out:.4f}, {r.seconds:.0f} s, {r.milliseconds:.1f} ms"
    )


def by_samples(kT: float, counts: tuple[int, ...], say: Callable[[str], None]) -> list[tuple[int, float, float]]:
    """(samples, error of the weighted samples, error of the mixture) for less and less data."""
    rows = []
    for count in counts:
        p = problem(kT, count)
        mixture = from_samples(p.training, min(COMPONENTS, count // 8))
        train(mixture, p.lessons, p.held_out, steps=MIXTURE_STEPS // 3, seed=SEEDS["training"])
        mixture.requires_grad_(False)
        rows.append((count, judge("", p.training, p).mean, judge("", mixture, p).mean))
        say(f"  {count} samples: weighted samples {rows[-1][1]:.4f}, mixture {rows[-1][2]:.4f}")
    return rows
