"""Umbrella windows along a curve, walked both ways, and how well the two directions agree."""

from dataclasses import dataclass, replace

import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.sampling.free_energy import inefficiency, neighbours, towards_next
from spacetime_tps.trajectories.frames import Frames


@dataclass(frozen=True)
class WindowPlan:
    """How windows are sampled; steps and strides as in engines.openmm.dynamics.Walk."""

    steps: int
    discard: int
    stride: int


@dataclass(frozen=True)
class CurveWindows:
    """K windows of one curve, with their frames from the walk A to B (forward) and B to A (backward)."""

    eta: np.ndarray
    """(K, E)"""
    forward: Frames
    backward: Frames
    overlap: np.ndarray
    """(K-1,) of neighbours, both directions pooled"""
    profile: np.ndarray
    """(K,) BAR free energies in kT relative to the first window, both directions pooled"""
    forward_profile: np.ndarray
    backward_profile: np.ndarray
    """(K,) the same from one direction's frames alone"""
    inefficiency: np.ndarray
    """(2, K): how many frames of each direction are worth one independent frame, by the bias towards the next window"""

    @property
    def disagreement(self) -> float:
        """The largest difference in kT between the free energies that the two directions find; small means equilibrated."""
        return float(np.abs(self.forward_profile - self.backward_profile).max())


def pick(eta: np.ndarray, count: int) -> np.ndarray:
    """`count` evenly spaced points of a curve (N, E), its ends included: (count, E)."""
    return eta[np.round(np.linspace(0, len(eta) - 1, count)).astype(int)]


def window_walks(
    coordinates: Coordinates, eta: np.ndarray, plan: WindowPlan, *, start: np.ndarray, end: np.ndarray, seeds: tuple[int, int]
) -> tuple[Walk, Walk]:
    """The two walks along windows eta (K, E): from positions in A forward, from positions in B backward."""

    def walk(points: np.ndarray, seed: int, positions: np.ndarray) -> Walk:
        return Walk(CurveBias(coordinates), points, plan.steps, plan.stride, seed, positions, discard=plan.discard)

    return walk(eta, seeds[0], start), walk(eta[::-1], seeds[1], end)


def gather(coordinates: Coordinates, eta: np.ndarray, forward: Frames, backward: Frames) -> CurveWindows:
    """Put the two walks of `window_walks` together; the backward frames' point index is turned to count from A."""
    backward = replace(backward, point=len(eta) - 1 - backward.point)
    ways = [[coordinates.features(f.positions[f.point == k]) for k in range(len(eta))] for f in (forward, backward)]
    both = [np.concatenate(pair) for pair in zip(*ways, strict=True)]
    pooled, overlap = neighbours(both, eta)
    profile, forward_profile, backward_profile = (
        np.append(0.0, np.cumsum(d)) for d in (pooled, *(neighbours(way, eta)[0] for way in ways))
    )  # fmt: skip
    correlated = np.array([[inefficiency(t @ step) for t, step in zip(way, towards_next(eta), strict=True)] for way in ways])
    return CurveWindows(eta, forward, backward, overlap, profile, forward_profile, backward_profile, correlated)
