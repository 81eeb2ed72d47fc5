"""Guided transitions: annealed Langevin dynamics along a curve of denoising distributions, one walk a path."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.dynamics import Frames, Walk
from spacetime_tps.molecules.states import State


def draw_starts(statistic: np.ndarray, log_weight: np.ndarray, allowed: np.ndarray, eta: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Which frame each path starts from: draws from p_eta among the allowed frames, one seed a path.

    statistic (S, E), log_weight (S,) Boltzmann, allowed (S,) bool, eta (E,). Returns indices (len(seeds),).
    """
    if not allowed.any():
        raise SpacetimeError("no sampled frame is in state A: widen the state or sample longer (training.segments_a)")
    logits = np.where(allowed, log_weight + statistic @ eta, -np.inf)
    cumulative = np.cumsum(np.exp(logits - logits.max()))
    draws = np.array([np.random.default_rng(seed).random() for seed in seeds])
    return np.searchsorted(cumulative, draws * cumulative[-1], side="right")


HOLD = 100
"""Steps for which the last point of a curve is held, at least: a path is judged by its last frame"""


def hold_points(steps_per_point: int) -> int:
    """How often the last point is repeated so that it is held for `HOLD` steps."""
    return -(-HOLD // steps_per_point) - 1


def schedule(eta: np.ndarray, points: int, steps_per_point: int) -> np.ndarray:
    """What a path walks: the curve eta (N, E) at `points` points, with the last one held.

    A jump between points dissipates half its d_eta . d_mu, which the molecule keeps as heat: many points of few steps lose less than few
    points of many.
    """
    fine = CubicSpline(np.linspace(0.0, 1.0, len(eta)), eta)(np.linspace(0.0, 1.0, points))
    return np.concatenate([fine, np.repeat(fine[-1:], hold_points(steps_per_point), axis=0)])


def guided_walks(
    eta: np.ndarray, *, steps_per_point: int, stride: int, seeds: Sequence[int], positions: np.ndarray, velocities: np.ndarray
) -> list[Walk]:
    """One walk a path over all points of a schedule eta (N, E); positions and velocities (paths, atoms, 3) at their starts."""
    return [
        Walk(eta, steps_per_point, stride, seed, x.astype(float), v.astype(float))
        for seed, x, v in zip(seeds, positions, velocities, strict=True)
    ]


def is_hit(frames: Frames, a: State, b: State) -> bool:
    """Whether the first stored frame is in A and the LAST in B. An unstable walk is none."""
    return bool(frames.stable and a.contains(frames.positions[0]) and b.contains(frames.positions[-1]))
