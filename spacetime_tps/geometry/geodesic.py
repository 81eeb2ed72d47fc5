"""Geodesics with fixed ends: the minimum of the curve's energy and its penalties."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser, confinement_free_energy
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.penalties import Penalty
from spacetime_tps.geometry.relax import relax


@dataclass(frozen=True)
class Geodesic:
    """A curve of N denoising distributions, with what is known of it."""

    eta: Tensor
    """Natural parameters (N, E)."""
    segment: Tensor
    """d_eta . d_mu (N-1,)."""
    effective_samples: Tensor
    """(N,)."""
    cost: Tensor
    """KL(p_eta || p_0) in kT (N,)."""
    energy: float
    length: float
    trace: tuple[float, ...]
    """Objective (energy and penalties) at each evaluation of the optimiser; empty for a curve that was not optimised."""

    @property
    def barrier(self) -> float:
        """The largest KL(p_eta || p_0) over the curve, in kT: what routes are compared by."""
        return float(self.cost.max())


def evaluate(eta: Tensor, denoiser: Denoiser, *, family: Family, points: int, trace: Sequence[float] = ()) -> Geodesic:
    """Describe the curve through eta (N, E) at `points` points of constant speed."""
    with torch.no_grad():
        for _ in range(3):  # the speed is known at the points only; three passes leave it constant within a per cent
            eta = curve.at_constant_speed(eta, denoiser.moments(eta).mean, points, family)
    return described(eta, denoiser, trace=trace)


def described(eta: Tensor, denoiser: Denoiser, *, trace: Sequence[float] = ()) -> Geodesic:
    """The curve of these points (N, E), wherever along it they are."""
    with torch.no_grad():
        moments = denoiser.moments(eta)
        return Geodesic(
            eta=eta,
            segment=curve.segments(eta, moments.mean),
            effective_samples=moments.effective_samples,
            cost=confinement_free_energy(eta, moments),
            energy=float(curve.energy(eta, moments.mean)),
            length=float(curve.length(eta, moments.mean)),
            trace=tuple(trace),
        )


def minimise(
    start: Tensor,
    denoiser: Denoiser,
    penalties: Sequence[Penalty],
    *,
    family: Family,
    nodes: int,
    points: int,
    evaluations: int,
) -> Geodesic:
    """The geodesic reached from the curve `start` (N, E), whose ends stay fixed.

    `nodes` spline nodes, in the chart of `family`, are moved; the objective is taken at `points` points. L-BFGS stops after `evaluations`
    of it or at convergence.
    """

    def objective(z: Tensor) -> Tensor:
        eta = family.from_chart(z)
        moments = denoiser.moments(eta)
        value = curve.energy(eta, moments.mean)
        for penalty in penalties:
            value = value + penalty(eta, moments)
        return value

    relaxed = relax(family.chart(start.double()), objective, nodes=nodes, points=points, evaluations=evaluations)
    return evaluate(family.from_chart(relaxed.curve), denoiser, family=family, points=points, trace=relaxed.trace)
