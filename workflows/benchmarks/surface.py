"""The paper's experiments on a (phi, psi) surface: guided, low-variance and region-avoiding paths, and unbiased ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.torus import Found, Region, search, sobol
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.engines.surface.dynamics import Overdamped
from spacetime_tps.engines.surface.frames import route_frames, separating_angles, stiffness_that_stays
from spacetime_tps.engines.surface.shooting import SurfaceShooting
from spacetime_tps.engines.surface.two_way import two_way_chains
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.penalties import from_samples
from spacetime_tps.potentials.tabulated import Tabulated
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.states.ends import NOWHERE
from spacetime_tps.surfaces.annealed import Walked, adaptive_plan, anneal, largest_variance
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.window import Window

START, END = np.array([-2.55, 2.70]), np.array([0.95, -0.40])
"""The paper's ends, radians"""
RADIUS = 0.5
A = Discs(((-2.55, 2.70), (-1.38, 1.12)), RADIUS, True)
B = Discs(((0.95, -0.40), (1.055, -0.774)), RADIUS, True)
"""States: the ends, and the other minimum of each basin, C7eq and C7ax"""
FORBIDDEN, FORBIDDEN_LOG_SNR, FORBIDDEN_DEPTH = np.array([-0.8, -0.1]), 4.0, 15.0
"""The paper's forbidden spacetime point, and how far above its lowest denoising energy, in kT, its region reaches"""
SHARE = 1e-5
"""P_eta(region), at most: 1,000 paths of 512 steps then have a handful of steps inside"""
TRAINING, GRID = 2**15, 96
STEPS, LONGEST, MOBILITY = 512, 0.25, 1.0
END_LEVEL = (7.0 / RADIUS) ** 2
"""Concentration of the ends: seven standard deviations of the noise to the edge of the disc, so that every path connects"""
DS = 4e-4
"""Time step of the unbiased dynamics, as in the paper"""
BOUND = 40_000
WALKERS, POINTS, GAP = 50, 5, 60
"""Walks in a window, points on each in a batch, and steps from point to point"""
ANGLES = ("phi", "psi")
FAMILY = VonMises(2)


@dataclass(frozen=True)
class Learned:
    """The denoiser of a surface, learned from samples, and quadrature to judge it by."""

    surface: Tabulated
    kT: float
    coordinates: Tensor
    energy: Tensor
    denoiser: WeightedSamples
    exact: WeightedSamples
    exact_energy: Tensor
    evaluations: int
    """Training data and quadrature"""


@dataclass(frozen=True)
class Guided:
    """Paths along a geodesic."""

    found: Found
    walked: Walked
    lag: np.ndarray
    """(N, 2): mean of U and of the bias over the paths minus their quadrature value, in standard errors, at each point of the curve"""
    steps_to_close: np.ndarray
    """(N,): further steps at each point that would bring the larger lag within three standard errors"""
    inside: np.ndarray
    """(paths, steps): whether in the forbidden region"""
    evaluations: int
    """All of them: training data, quadrature and sampling"""


@dataclass(frozen=True)
class Unbiased:
    """Weighted shots, and their reactive paths (steps, 2) in the order of the weights."""

    ensemble: Ensemble
    paths: list[np.ndarray]

    @property
    def weight(self) -> np.ndarray:
        """(paths,), sum equal to their number."""
        return np.asarray(self.ensemble.weight * len(self.paths) / self.ensemble.weight.sum())

    @property
    def window(self) -> Window:
        """The last one that was shot from."""
        return self.ensemble.sites[0].latest

    @property
    def settled(self) -> list[Batch]:
        """Batches in that window."""
        return self.ensemble.sites[0].windows[self.window]

    @property
    def reactive(self) -> float:
        """Fraction of its shots."""
        return sum(len(b.path_shot) for b in self.settled) / sum(len(b.shot_point) for b in self.settled)

    @property
    def shots(self) -> int:
        """In all windows."""
        return self.ensemble.sites[0].shots

    @property
    def undecided(self) -> float:
        """Fraction of half trajectories that met their bound before a state."""
        ends = np.concatenate([np.concatenate([b.shot_forward, b.shot_backward]) for b in self.ensemble.batches])
        return float((ends == NOWHERE).mean())


def learn(surface: Tabulated, kT: float, seed: int) -> Learned:
    """Boltzmann-weighted Sobol points, which know nothing of minima or saddles."""
    x = sobol(TRAINING, 2, seed)
    energy = surface.energy(x)
    grid = periodic_grid(GRID, 2)
    exact_energy = surface.energy(grid)
    return Learned(
        surface, kT, x, energy, WeightedSamples(FAMILY.features(x), -energy / kT),
        quadrature(FAMILY, grid, lambda _: exact_energy, kT=kT), exact_energy, len(x) + len(grid),
    )  # fmt: skip


def forbidden_energy(energy: Tensor, x: Tensor, kT: float) -> Tensor:
    """-log density, up to a constant, of the forbidden point's denoising distribution at x (..., 2), with U = energy (...)."""
    alpha = 1.0 / (1.0 + np.exp(-FORBIDDEN_LOG_SNR)) ** 0.5
    center = torch.from_numpy(FORBIDDEN / alpha)
    eta = FAMILY.natural(center, torch.full((2,), float(np.exp(FORBIDDEN_LOG_SNR)), dtype=torch.double))
    return energy / kT - FAMILY.bias(eta, x)[0]


def forbidden_region(learned: Learned) -> tuple[Region, float]:
    """The set of the paper's region as the samples inside it, and the limit of `forbidden_energy` that bounds it."""
    value = forbidden_energy(learned.energy, learned.coordinates, learned.kT)
    limit = float(value.min()) + FORBIDDEN_DEPTH
    inside = value < limit
    if not bool(inside.any()):
        raise SpacetimeError("no training sample lies in the forbidden region")
    return Region(from_samples(learned.denoiser.restricted(inside)), -np.log(SHARE)), limit


def guided(learned: Learned, found: Found, paths: int, limit: float, generator: torch.Generator) -> Guided:
    """Walk `paths` paths along a geodesic from draws of its first distribution."""
    eta = found.geodesic.eta
    plan = adaptive_plan(eta, learned.denoiser, FAMILY, steps=STEPS, mobility=MOBILITY)
    chance = torch.softmax(learned.denoiser.features @ eta[0] + learned.denoiser.log_weights, dim=0)
    start = learned.coordinates[torch.multinomial(chance, paths, replacement=True, generator=generator)]
    walked = anneal(learned.surface, learned.kT, FAMILY, plan, start, generator, longest=LONGEST)
    lag = _lag(learned, eta, walked)
    relaxation = 2.0 * largest_variance(eta, learned.denoiser, FAMILY) / plan.step_size
    worst = np.abs(lag).max(axis=1)
    close = np.where(worst > 3.0, relaxation.numpy() * np.log(np.maximum(worst / 3.0, 1.0)), 0.0)
    energies = learned.surface.energy(walked.paths)
    inside = (forbidden_energy(energies, walked.paths, learned.kT) < limit).numpy()
    return Guided(found, walked, lag, np.ceil(close).astype(int), inside, learned.evaluations + walked.evaluations)


def _lag(learned: Learned, eta: Tensor, walked: Walked) -> np.ndarray:
    """Means of U and of the bias minus their quadrature values, in standard errors (N, 2)."""
    share = torch.softmax(learned.exact.features @ eta.T + learned.exact.log_weights[:, None], dim=0)
    exact = torch.stack([share.T @ learned.exact_energy, -(eta * (share.T @ learned.exact.features)).sum(-1)], -1)
    seen = torch.stack([walked.energy, walked.bias], -1)
    error = seen.std(0) / len(seen) ** 0.5
    return ((seen.mean(0) - exact) / error).numpy()


def unbiased(learned: Learned, found: Found, effective: int, seed: int) -> Unbiased:
    """The transition path ensemble, shot from the top of a geodesic."""
    geodesic = found.geodesic
    frames = route_frames(
        found.best.name, geodesic.eta, geodesic.cost, learned.coordinates, -learned.energy / learned.kT, FAMILY, A, seed=seed
    )
    variables = separating_angles(A, B, FAMILY, ANGLES)
    settings = ShootingSettings(
        paths=effective, budget=20_000 * effective, stiffness=stiffness_that_stays(frames, variables, seed=seed),
        walkers=WALKERS, points=POINTS, gap=GAP, shots=1, equilibration=GAP, rung_steps=6 * GAP, pilot_shots=1, states=0,
    )  # fmt: skip
    engine = SurfaceShooting(Overdamped(learned.surface, learned.kT, DS), FAMILY, A, B, settings, seed=seed, longest=BOUND)
    ensemble = ShotSampler(engine, settings, seed=seed, rates=False).sample([frames], variables)
    return Unbiased(ensemble, [engine.paths[name] for batch in ensemble.batches for name in batch.path_name.tolist()])


def long_shooting(
    learned: Learned, unbiased: Unbiased, chains: int, moves: int, generator: torch.Generator
) -> tuple[list[np.ndarray], int, float]:
    """Two-way shooting, for comparison: the last path of each of `chains` chains, evaluations and acceptance.

    Chains start from unbiased paths without their weights. The shooting range is the strip that the window held, three deviations either
    side.
    """
    dynamics, window = Overdamped(learned.surface, learned.kT, DS), unbiased.window

    def in_strip(x: Tensor) -> Tensor:
        value = torch.from_numpy(window.variable.value(FAMILY.features(x).numpy()))
        difference = torch.remainder(value - window.center + torch.pi, 2 * torch.pi) - torch.pi
        return difference.abs() < 3.0 * window.deviation

    order = torch.randperm(len(unbiased.paths), generator=generator).tolist()
    first = [unbiased.paths[order[k % len(order)]] for k in range(chains)]
    return two_way_chains(dynamics, first, A, B, eligible=in_strip, moves=moves, longest=BOUND, generator=generator)


def geodesics(learned: Learned) -> tuple[Found, Found, Found, float]:
    """The guided, the low-variance and the region-avoiding geodesic, and the bound of the region."""
    plain = search(learned.denoiser, (START, END), end_level=END_LEVEL)
    tight = search(learned.denoiser, (START, END), end_level=END_LEVEL, first_floor=2.0 * plain.floor)
    region, limit = forbidden_region(learned)
    around = search(learned.denoiser, (START, END), end_level=END_LEVEL, first_floor=plain.floor, regions=[region])
    return plain, tight, around, limit


def bundled_surface(name: str) -> Path:
    """A surface file: a path, or the name of a folder in systems/ that holds surface.npz. Raises SpacetimeError."""
    root = Path(__file__).parents[2]
    for path in (Path(name), root / "systems" / name / "surface.npz"):
        if path.is_file():
            return path
    raise SpacetimeError(f"there is no surface {name!r}: give a file, or 'alanine_dipeptide_surface'")
