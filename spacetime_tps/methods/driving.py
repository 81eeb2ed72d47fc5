"""Driving a molecule along a curve: annealed Langevin dynamics under the curve's denoising distributions, one walk a path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Walk
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.spline import resample
from spacetime_tps.methods.settings import GuidedSettings, hold_points
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.trajectories.frames import Frames

NONE = "no sampled frame is in state {}: widen the state or sample longer (training.steps_{})"


@dataclass(frozen=True)
class Driven:
    """A path under a restraint."""

    seed: int
    frames: Frames
    eta: np.ndarray
    """(F, E): of the restraint that each frame was made under. The frame before each change is stored: the work rests on it"""


def schedule(family: Family, eta: np.ndarray, points: int, steps_per_point: int) -> np.ndarray:
    """What a path walks: the curve eta (N, E) at `points` points, by a spline in the family's chart, with the last one held.

    A jump between points dissipates half its d_eta . d_mu, which the molecule keeps as heat: many points of few steps lose less than few
    points of many.
    """
    chart, position = family.chart(torch.from_numpy(eta)), torch.linspace(0.0, 1.0, len(eta), dtype=torch.double)
    fine = family.from_chart(resample(chart, position, points)).numpy()
    return np.concatenate([fine, np.repeat(fine[-1:], hold_points(steps_per_point), axis=0)])


def begun_under(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """eta (E,) of the distributions that paths from A and paths back from B start in."""
    return curve.eta[0], curve.eta[-1]


def walks_along(
    coordinates: Coordinates, eta: np.ndarray, *, steps_per_point: int, stride: int, seeds: Sequence[int],
    positions: np.ndarray, velocities: np.ndarray,
) -> list[Walk]:  # fmt: skip
    """One walk a path over all points of a schedule eta (N, E); positions and velocities (paths, atoms, 3) at their starts."""
    return [
        Walk(CurveBias(coordinates), eta, steps_per_point, stride, seed, x.astype(float), v.astype(float))
        for seed, x, v in zip(seeds, positions, velocities, strict=True)
    ]


def drive(problem: Problem, simulation: Simulation, curve: Curve, pace: GuidedSettings, seeds: Sequence[int]) -> Iterator[Driven]:
    """Paths along a curve, one a seed, as they come; each starts from a frame in A drawn under the curve's first point.

    pace: its points, steps and stride. Raises SpacetimeError where no weighted frame of the curve is in A.
    """
    eta = schedule(problem.coordinates.family(), curve.eta, pace.points, pace.steps_per_point)
    begun = curve.features @ begun_under(curve)[0]
    starts = draw_starts(curve.log_weight + begun, problem.a.contains(curve.positions), seeds, none=NONE.format("A", "a"))
    return _driven(problem, simulation, curve, eta, pace, seeds, starts)


def drive_back(problem: Problem, simulation: Simulation, curve: Curve, pace: GuidedSettings, seeds: Sequence[int]) -> Iterator[Driven]:
    """The same from B to A: each starts from a frame in B drawn under the curve's last point and walks the schedule of `drive` backwards.

    The last point is held at the beginning, as long as `drive` holds it in the end: Crooks' theorem compares a drive with its mirror image.
    Raises SpacetimeError where no weighted frame of the curve is in B.
    """
    eta = schedule(problem.coordinates.family(), curve.eta, pace.points, pace.steps_per_point)[::-1].copy()
    begun = curve.features @ begun_under(curve)[1]
    starts = draw_starts(curve.log_weight + begun, problem.b.contains(curve.positions), seeds, none=NONE.format("B", "b"))
    return _driven(problem, simulation, curve, eta, pace, seeds, starts)


def _driven(
    problem: Problem, simulation: Simulation, curve: Curve, eta: np.ndarray, pace: GuidedSettings, seeds: Sequence[int], starts: np.ndarray
) -> Iterator[Driven]:
    tasks = walks_along(
        problem.coordinates, eta, steps_per_point=pace.steps_per_point, stride=pace.stride, seeds=seeds,
        positions=curve.positions[starts], velocities=curve.velocities[starts],
    )  # fmt: skip
    for seed, frames in zip(seeds, simulation.walks(tasks), strict=True):
        yield Driven(seed, frames, eta[frames.point])
