"""The Diffusion Edit Distance between conformations: a matrix, what it follows, and a small network that predicts it."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmarks.diffusion.structures import heavy_atom_rmsd
from benchmarks.diffusion.target import TORSIONS, Target, apart
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.distance import diffusion_edit
from spacetime_tps.geometry.farthest import farthest
from spacetime_tps.geometry.geodesic import Geodesic

LEVEL, THROUGH = 50.0, 1.0
POINTS, NODES, EVALUATIONS = 32, 8, 60
FINE_POINTS, FINE_NODES, FINE_EVALUATIONS = 64, 12, 300
HIGHEST, CANDIDATES = 8.0, 4000
"""Conformations lie at most this many kT above the lowest, and are the farthest from each other of so many"""
SHOWN = 8
LEARNED, HELD_OUT, PAIRS, HELD_OUT_PAIRS = 110, 40, 320, 80
BINS = ((0.0, 45.0), (45.0, 90.0), (90.0, 135.0), (135.0, 180.0), (180.0, 360.0))
"""Degrees"""
CHECKED = 8
"""Held-out pairs computed again at finer resolution, and under a trained denoiser"""
SEEN = (0.5, 2.0, 8.0, 20.0, 50.0)
"""Concentrations at which the network sees a conformation"""
WIDTH, FEATURES, DISTIL_STEPS, DISTIL_RATE, DISTIL_DECAY, TINY = 64, 8, 1000, 3e-3, 0.01, 1e-9


def edit(a: Tensor, b: Tensor, denoiser: Denoiser, *, points: int = POINTS, nodes: int = NODES, evaluations: int = EVALUATIONS) -> Geodesic:
    """The geodesic between angles a and b (2,) at kappa 50."""
    level = torch.full((2,), LEVEL, dtype=torch.double)
    return diffusion_edit(
        a, b, denoiser, family=TORSIONS, level=level, through=torch.full_like(level, THROUGH), points=points, nodes=nodes,
        evaluations=evaluations,
    )  # fmt: skip


def widest(geodesic: Geodesic) -> float:
    """The lowest kappa on the way, of both torsions together: the root of their mean square."""
    return float((TORSIONS.level(geodesic.eta).square().mean(-1)).amin().sqrt())


def triangle_excess(matrix: np.ndarray) -> float:
    """The largest d(a, c) - d(a, b) - d(b, c) over three different rows of distances (n, n): above zero only by errors of geodesics."""
    triples = itertools.permutations(range(len(matrix)), 3)
    return max(float(matrix[a, c] - matrix[a, b] - matrix[b, c]) for a, b, c in triples)


def conformations(target: Target, count: int, known: Tensor, generator: torch.Generator) -> Tensor:
    """Angles (count, 2), each in turn the farthest from those before it and from known (K, 2), of points that are not high."""
    rows = torch.randperm(len(target.exact.features), generator=generator)[:CANDIDATES]
    angles = TORSIONS.center(target.exact.features[rows])
    height = target.height(angles)
    low = angles[height < target.height(known).min() + HIGHEST]
    return low[farthest(TORSIONS.features(low), TORSIONS.features(known), count)]


def fingerprint(angles: Tensor, target: Target) -> Tensor:
    """What a denoiser says of a conformation (n, 2) at five noise levels, mu, with its height and its own cosines and sines: (n, 25)."""
    seen = [target.coarse.moments(TORSIONS.natural(angles, torch.full_like(angles, level))).mean for level in SEEN]
    return torch.cat([*seen, 0.1 * target.height(angles)[:, None], TORSIONS.features(angles)], dim=-1).float()


class Distilled(nn.Module):
    """A network f of each fingerprint, and the distance s arcosh(1 + |f(a) - f(b)|^2 / 2) times exp r(f(a) + f(b), |f(a) - f(b)|).

    Without r and with f linear this is the Diffusion Edit Distance of Gaussian data: two points at equal height of a hyperbolic half-plane
    (docs/geometry.md, section 10). Zero for equal points and symmetric whatever f and r are; r gives up the triangle inequality.
    """

    def __init__(self, inputs: int, *, corrected: bool) -> None:
        """inputs: numbers of a fingerprint; corrected: whether there is an r."""
        super().__init__()
        self.corrected = corrected
        self.net = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, FEATURES)
        )  # fmt: skip
        self.correction = nn.Sequential(nn.Linear(2 * FEATURES, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1))
        self.log_scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) of fingerprints a and b (n, inputs)."""
        f, g = self.net(a), self.net(b)
        distance = self.log_scale.exp() * torch.log1p(_cosh_less_one((f - g).square().sum(-1)))
        if not self.corrected:
            return distance
        return distance * self.correction(torch.cat([f + g, (f - g).abs()], dim=-1))[:, 0].exp()


def _cosh_less_one(square: Tensor) -> Tensor:
    """u with 1 + u = exp(arcosh(1 + q)), q = square/2: u = q + sqrt(q (q + 2)), with a finite slope at equal points."""
    q = 0.5 * square
    return q + (q * (q + 2.0) + TINY).sqrt() - TINY**0.5


def distil(a: Tensor, b: Tensor, lengths: Tensor, *, seed: int, corrected: bool = True) -> Distilled:
    """Fit a network to the lengths (n,) of geodesics between fingerprints a and b (n, F), by Adam on the relative squared error."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Distilled(a.shape[1], corrected=corrected)
    optimiser = torch.optim.AdamW(model.parameters(), lr=DISTIL_RATE, weight_decay=DISTIL_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, DISTIL_STEPS)
    for _ in range(DISTIL_STEPS):
        optimiser.zero_grad()
        loss = ((model(a, b) - lengths) / lengths).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.requires_grad_(False)


@dataclass(frozen=True)
class Pairs:
    """Pairs of conformations and the geodesics between them."""

    a: Tensor
    """(n, 2) radians"""
    b: Tensor
    length: Tensor
    """(n,)"""
    widest: Tensor
    """Lowest kappa on the way (n,)"""

    @property
    def torsion_distance(self) -> Tensor:
        """(n,) radians."""
        return apart(self.a, self.b)


@dataclass(frozen=True)
class Distances:
    """All that was measured."""

    shown: Tensor
    """Conformations of the matrix (8, 2), the conformers first"""
    matrix: np.ndarray
    """(8, 8)"""
    geodesics: list[Geodesic]
    """Of the matrix's upper triangle"""
    triangle: float
    """`triangle_excess` of the matrix"""
    rmsd: np.ndarray
    """(8, 8) nm"""
    learned: Pairs
    held_out: Pairs
    held_out_rmsd: np.ndarray
    """(n,) nm"""
    predicted: Tensor
    """(n,) of held-out pairs"""
    hyperbolic: Tensor
    """(n,) by a network without correction, which keeps the triangle inequality"""
    fine: Tensor
    """(8,) of the first held-out pairs at finer resolution"""
    under_mixture: Tensor
    """(8,) the same under a denoiser trained on frames"""
    seconds: tuple[float, float, float]
    """A geodesic, training, and a predicted pair of 80 at once, fingerprints included"""

    @property
    def correlations(self) -> dict[str, float]:
        """Spearman's, over held-out pairs."""
        d = self.held_out
        rival = {"torsion distance": d.torsion_distance.numpy(), "RMSD": self.held_out_rmsd, "widest noise on the way": -d.widest.numpy()}
        return {name: float(spearmanr(d.length, values).statistic) for name, values in rival.items()}

    @property
    def noise_by_distance(self) -> list[float]:
        """The median lowest kappa of pairs learned from, by their distance on the torus: see BINS."""
        degrees = torch.rad2deg(self.learned.torsion_distance)
        return [float(self.learned.widest[(degrees >= low) & (degrees < high)].median()) for low, high in BINS]

    @property
    def noise_with_distance(self) -> float:
        """Spearman's of the torsion distance and minus the lowest kappa on the way, over the pairs learned from."""
        return float(spearmanr(self.learned.torsion_distance, -self.learned.widest).statistic)

    def relative_error(self, predicted: Tensor) -> float:
        """Root mean square of (predicted - length) / length over held-out pairs."""
        return float(((predicted - self.held_out.length) / self.held_out.length).square().mean().sqrt())

    @property
    def cubic(self) -> Tensor:
        """The rival (n,): a cubic polynomial in the torsion distance, fitted to the same pairs."""
        return torch.from_numpy(
            np.polyval(np.polyfit(self.learned.torsion_distance, self.learned.length, 3), self.held_out.torsion_distance)
        )


def distances(target: Target, conformers: Tensor, trained: Denoiser, seed: int) -> Distances:
    """Compute geodesics, distil them, and judge on pairs neither end of which was seen."""
    generator = torch.Generator().manual_seed(seed)
    all_points = conformations(target, LEARNED + HELD_OUT, conformers, generator)
    shown = torch.cat([conformers, all_points])[:SHOWN]
    matrix, geodesics = np.zeros((SHOWN, SHOWN)), []
    for i, j in itertools.combinations(range(SHOWN), 2):
        geodesics.append(edit(shown[i], shown[j], target.coarse, points=FINE_POINTS, nodes=FINE_NODES, evaluations=EVALUATIONS))
        matrix[i, j] = matrix[j, i] = geodesics[-1].length
    shuffled = all_points[torch.randperm(len(all_points), generator=generator)]
    begin = time.perf_counter()
    learned = _pairs(shuffled[:LEARNED], PAIRS, target, generator)
    each = (time.perf_counter() - begin) / PAIRS
    held_out = _pairs(shuffled[LEARNED:], HELD_OUT_PAIRS, target, generator)
    begin = time.perf_counter()
    seen = fingerprint(learned.a, target), fingerprint(learned.b, target)
    model = distil(*seen, learned.length, seed=seed)
    training = time.perf_counter() - begin
    hyperbolic = distil(*seen, learned.length, seed=seed, corrected=False)
    begin = time.perf_counter()
    predicted = model(fingerprint(held_out.a, target), fingerprint(held_out.b, target)).double()
    predicting = (time.perf_counter() - begin) / HELD_OUT_PAIRS
    few = list(zip(held_out.a[:CHECKED], held_out.b[:CHECKED], strict=True))
    fine = {"points": FINE_POINTS, "nodes": FINE_NODES, "evaluations": FINE_EVALUATIONS}
    return Distances(
        shown=shown,
        matrix=matrix,
        geodesics=geodesics,
        triangle=triangle_excess(matrix),
        rmsd=heavy_atom_rmsd(shown.numpy()),
        learned=learned,
        held_out=held_out,
        held_out_rmsd=_rmsd_of_pairs(held_out),
        predicted=predicted,
        hyperbolic=hyperbolic(fingerprint(held_out.a, target), fingerprint(held_out.b, target)).double(),
        fine=torch.tensor([edit(a, b, target.coarse, **fine).length for a, b in few]),
        under_mixture=torch.tensor([edit(a, b, trained, **fine).length for a, b in few]),
        seconds=(each, training, predicting),
    )


def _pairs(points: Tensor, count: int, target: Target, generator: torch.Generator) -> Pairs:
    """`count` random pairs of different points and their geodesics."""
    every = torch.combinations(torch.arange(len(points)), 2)
    chosen = every[torch.randperm(len(every), generator=generator)[:count]]
    a, b = points[chosen[:, 0]], points[chosen[:, 1]]
    found = [edit(p, q, target.coarse) for p, q in zip(a, b, strict=True)]
    return Pairs(a, b, torch.tensor([g.length for g in found]), torch.tensor([widest(g) for g in found]))


def _rmsd_of_pairs(pairs: Pairs) -> np.ndarray:
    return np.array([heavy_atom_rmsd(np.stack([a, b]))[0, 1] for a, b in zip(pairs.a.numpy(), pairs.b.numpy(), strict=True)])
