"""Guided transitions: annealed Langevin dynamics along a curve of denoising distributions, one walk a path."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

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
    coordinates: Coordinates,
    eta: np.ndarray,
    *,
    steps_per_point: int,
    stride: int,
    seeds: Sequence[int],
    positions: np.ndarray,
    velocities: np.ndarray,
) -> list[Walk]:
    """One walk a path over all points of a schedule eta (N, E); positions and velocities (paths, atoms, 3) at their starts."""
    return [
        Walk(CurveBias(coordinates), eta, steps_per_point, stride, seed, x.astype(float), v.astype(float))
        for seed, x, v in zip(seeds, positions, velocities, strict=True)
    ]


def is_hit(frames: Frames, a: State, b: State) -> bool:
    """Whether the first stored frame is in A and the LAST in B. An unstable walk is none."""
    return bool(frames.stable and a.contains(frames.positions[0]) and b.contains(frames.positions[-1]))
