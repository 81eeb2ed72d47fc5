"""Guided transitions: annealed Langevin dynamics along a curve of denoising distributions, one walk a path."""

from collections.abc import Sequence

import numpy as np

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


def guided_walks(
    eta: np.ndarray, *, steps_per_point: int, stride: int, seeds: Sequence[int], positions: np.ndarray, velocities: np.ndarray
) -> list[Walk]:
    """One walk a path over all points of the curve eta (N, E); positions and velocities (paths, atoms, 3) at their starts."""
    return [
        Walk(eta, steps_per_point, stride, seed, x.astype(float), v.astype(float))
        for seed, x, v in zip(seeds, positions, velocities, strict=True)
    ]


def is_hit(frames: Frames, a: State, b: State) -> bool:
    """Whether the first stored frame is in A and the LAST in B. An unstable walk is none."""
    return bool(frames.stable and a.contains(frames.positions[0]) and b.contains(frames.positions[-1]))
