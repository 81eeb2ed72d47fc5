"""Geodesics with fixed ends: the minimum of the curve's energy and its penalties, by L-BFGS over the node values of a spline."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.geometry import curve
from spacetime_tps.geometry.denoiser import Denoiser, confinement_free_energy
from spacetime_tps.geometry.families import Family
from spacetime_tps.geometry.penalties import Penalty
from spacetime_tps.geometry.spline import resample, uniform_spline


@dataclass(frozen=True)
class Geodesic:
    """A curve of N denoising distributions at constant Fisher-Rao speed, with what is known of it."""

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
    spline = uniform_spline(nodes, points)
    placed = resample(family.chart(start.double()), torch.linspace(0.0, 1.0, len(start), dtype=torch.double), nodes)
    interior = placed[1:-1].clone().requires_grad_(True)
    trace: list[float] = []

    def along() -> Tensor:
        return family.from_chart(spline @ torch.cat([placed[:1], interior, placed[-1:]]))

    def objective() -> Tensor:
        optimiser.zero_grad()
        eta = along()
        moments = denoiser.moments(eta)
        value = curve.energy(eta, moments.mean)
        for penalty in penalties:
            value = value + penalty(eta, moments)
        value.backward()
        trace.append(float(value.detach()))
        return value

    optimiser = torch.optim.LBFGS(
        [interior],
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-4,
        tolerance_change=1e-7,
    )
    optimiser.step(objective)
    return evaluate(along().detach(), denoiser, family=family, points=points, trace=trace)
