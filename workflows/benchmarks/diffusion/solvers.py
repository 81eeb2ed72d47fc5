"""Solvers of the probability flow: Euler and Heun, in the variables of variance-exploding and variance-preserving noise, on two grids."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from benchmarks.diffusion.target import FIRST, LAST, SPACE
from spacetime_tps.denoisers.diffusion import noise
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.geometry.denoiser import Denoiser

Field = Callable[[Tensor, Tensor], Tensor]
"""dy/ds (n, D) at y (n, D) and s, a scalar"""
Step = Callable[[Field, Tensor, Tensor, Tensor], Tensor]
"""y at s' from the field, y at s, s and s'"""
Denoised = Callable[[Tensor, Tensor], Tensor]
"""E[x_0 | x_t] (n, D) at x_t/alpha (n, D) and log SNR, a scalar"""

TRAJECTORIES, REFERENCE = 64, 768
COUNTS = (6, 12, 24, 48, 96)
"""Denoiser evaluations: so many Euler steps, half as many of Heun's"""
RHO, ASTRAY = 7.0, 0.5


def euler(field: Field, y: Tensor, s: Tensor, ahead: Tensor) -> Tensor:
    """Order one, one evaluation."""
    return y + (ahead - s) * field(y, s)


def heun(field: Field, y: Tensor, s: Tensor, ahead: Tensor) -> Tensor:
    """Order two, two evaluations."""
    slope = field(y, s)
    return y + 0.5 * (ahead - s) * (slope + field(y + (ahead - s) * slope, ahead))


STEPS: dict[str, tuple[Step, int]] = {"Euler": (euler, 1), "Heun": (heun, 2)}
"""By name, with the evaluations a step takes"""


@dataclass(frozen=True)
class Variables:
    """In which variables the probability flow is stepped."""

    name: str
    scale: Callable[[Tensor], Tensor]
    """y over x_t/alpha, at log SNR"""
    time: Callable[[Tensor], Tensor]
    """s at log SNR"""
    log_snr: Callable[[Tensor], Tensor]
    """The inverse of `time`"""
    slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    """dy/ds from y, E[x_0 | x_t] and s"""


def _preserving_slope(y: Tensor, denoised: Tensor, log_snr: Tensor) -> Tensor:
    alpha = SPACE.schedule.alpha(log_snr)
    return 0.5 * alpha * (denoised - alpha * y)


def _same(log_snr: Tensor) -> Tensor:
    return log_snr


VARIABLES = (
    Variables(
        "VE, sigma",
        torch.ones_like,
        lambda log_snr: torch.exp(-0.5 * log_snr),
        lambda tau: -2.0 * tau.log(),
        lambda y, x, tau: (y - x) / tau,
    ),
    Variables("VE, log SNR", torch.ones_like, _same, _same, lambda y, x, _: 0.5 * (x - y)),
    Variables("VP, log SNR", SPACE.schedule.alpha, _same, _same, _preserving_slope),
)
"""x_t of variance-exploding noise against its sigma (EDM; Euler's method there is DDIM) and against log SNR; x_t of variance-preserving
noise against log SNR. All have the same exact path x_t/alpha."""


def uniform(steps: int) -> Tensor:
    """log SNR (steps + 1,) equally spaced."""
    return torch.linspace(FIRST, LAST, steps + 1, dtype=torch.double)


def karras(steps: int) -> Tensor:
    """log SNR (steps + 1,) with sigma^(1/7) equally spaced: Karras et al. 2022."""
    first, last = (float(np.exp(-0.5 * at / RHO)) for at in (FIRST, LAST))
    return -2.0 * RHO * torch.linspace(first, last, steps + 1, dtype=torch.double).log()


GRIDS: dict[str, Callable[[int], Tensor]] = {"uniform in log SNR": uniform, "rho 7": karras}


def solve(centers: Tensor, log_snr: Tensor, denoised: Denoised, variables: Variables, step: Step) -> Tensor:
    """x_t/alpha (n, D) at the end of the grid log_snr (N,) from that at its beginning (n, D)."""

    def field(y: Tensor, s: Tensor) -> Tensor:
        at = variables.log_snr(s)
        return variables.slope(y, denoised(y / variables.scale(at), at), s)

    y = variables.scale(log_snr[0]) * centers
    for now, later in pairwise(variables.time(log_snr)):
        y = step(field, y, now, later)
    return y / variables.scale(log_snr[-1])


def fitted_order(counts: np.ndarray, errors: np.ndarray) -> float:
    """The p of errors ~ counts^-p, by least squares of logarithms."""
    return float(-np.polyfit(np.log(counts), np.log(errors), 1)[0])


@dataclass(frozen=True)
class Solved:
    """Errors of one solver."""

    variables: str
    step: str
    grid: str
    error: np.ndarray
    """Median distance from the exact path's end at COUNTS evaluations"""
    astray: np.ndarray
    """Share of trajectories that end farther than 0.5 from it, most of them at another conformer"""

    @property
    def order(self) -> float:
        """From the last three."""
        return fitted_order(np.array(COUNTS[-3:]), self.error[-3:])


def solvers(denoiser: Denoiser, seed: int) -> list[Solved]:
    """All of them from the same noise; the exact path is Heun's with 768 steps."""
    model, generator = Embedded(denoiser), torch.Generator().manual_seed(seed)
    start = noise((TRAJECTORIES, 4), torch.tensor(FIRST, dtype=torch.double), family=SPACE, generator=generator)
    start = start / SPACE.schedule.alpha(torch.tensor(FIRST, dtype=torch.double))

    def denoised(z: Tensor, at: Tensor) -> Tensor:
        return model.moments(SPACE.natural(z, at.expand(len(z), 1))).mean[:, :-1]

    exact = solve(start, karras(REFERENCE), denoised, VARIABLES[0], heun)
    found = []
    for variables in VARIABLES:
        for step, (rule, each) in STEPS.items():
            for grid, make in GRIDS.items():
                ends = [solve(start, make(count // each), denoised, variables, rule) for count in COUNTS]
                off = torch.stack([(end - exact).norm(dim=-1) for end in ends]).numpy()
                found.append(Solved(variables.name, step, grid, np.median(off, axis=1), (off > ASTRAY).mean(axis=1)))
    return found
