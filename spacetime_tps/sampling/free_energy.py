"""Boltzmann weights and free energies from umbrella windows: MBAR, and BAR between neighbours as a check of equilibration."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

from spacetime_tps.errors import SpacetimeError

FAR = 30.0
"""kT, from which on a gap is no overlap: exp(-15) of a frame is shared. Below, MBAR's equations still have a solution in double precision,
though one with an error of kT: the overlap says so, and it is for the caller to judge"""
TOLERANCE = 1e-5
"""kT by which MBAR's equations may miss at its solution"""
ADAPTIVE = ({"method": "adaptive", "tol": 1e-7, "options": {"maxiter": 500}},)
ROBUST = (
    {"method": "adaptive", "tol": 1e-7, "continuation": True, "options": {"maxiter": 500, "min_sc_iter": 300}},
    {"method": "L-BFGS-B", "tol": 1e-12, "continuation": True, "options": {"maxiter": 5000}},
    {"method": "hybr", "tol": 1e-10, "continuation": True, "options": {"maxiter": 500}},
)
"""Self-consistent iteration before Newton's steps, then downhill on the convex objective, then the root of its gradient"""
REMEDY = "more windows (windows.count), more frames in each (windows.steps) or another geodesic.floor help"


OUTSIDE = 1e3
"""Bias, in kT, that stands for infinity in an ensemble that ends at the border of a state"""


@dataclass(frozen=True)
class Weights:
    """Of S pooled frames from K ensembles."""

    log_weight: np.ndarray
    """(S,) log of the normalised Boltzmann weight of each frame, all ensembles pooled."""
    free_energy: np.ndarray
    """(K,) in kT, relative to the Boltzmann distribution: f_k = -psi(eta_k) for a window with bias -kT eta_k . T."""


def boltzmann_weights(
    bias: np.ndarray, counts: np.ndarray, guess: np.ndarray, *,
    names: Sequence[str] | None = None, most: int | None = None, remedy: str = REMEDY,
) -> Weights:  # fmt: skip
    """MBAR (Shirts and Chodera 2008, doi:10.1063/1.2978177).

    bias (K, S): bias energy in kT of every frame in every ensemble, frames ordered by the ensemble they come from; counts (K,): frames of
    each ensemble; guess (K,): first guess of the free energies, which decides how long this takes; names (K,): what errors call the
    ensembles; remedy: what they say helps. Free energies are solved for with `most` frames, evenly spaced, or all where None: each step
    costs K^2 of them. All frames get their weights either way, and f_k = -psi(eta_k) holds over them.

    Raises SpacetimeError where an ensemble is empty, where ensembles do not overlap (NoOverlap), or where no solver converges.
    """
    names = _window_names(len(counts)) if names is None else names
    _check_filled(counts, names, remedy)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    total = int(counts.sum())
    part, share = bias, counts
    if most is not None and most < total:
        share = np.maximum(counts * most // total, 1)
        picked = [start + np.linspace(0, n - 1, m).astype(int) for n, m, start in zip(counts, share, first, strict=True)]
        part = bias[:, np.concatenate(picked)]
    f = np.asarray(_solve(part, share, guess, names, remedy).f_k)
    log_weight = -logsumexp((np.log(counts) + f)[:, None] - bias, axis=0)
    log_weight -= logsumexp(log_weight)
    return Weights(log_weight, -logsumexp(log_weight - bias, axis=1))


def neighbours(features: Sequence[np.ndarray], eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BAR (Bennett 1976, doi:10.1016/0021-9991(76)90078-4) from each of K windows to the next.

    features: T (n_k, E) of each window's frames; eta (K, E). Returns free-energy differences (K-1,) in kT and overlaps (K-1,). The
    overlap is 2 * integral of p_i p_j / (p_i + p_j): one for equal windows, zero for windows that share nothing, whose difference means
    nothing then. Raises SpacetimeError where a window has no frames.
    """
    _check_filled(np.array([len(t) for t in features]), _window_names(len(features)), REMEDY)
    found = [
        bar(-(a @ step), b @ step)  # work, in kT, of moving a frame to the other window
        for a, b, step in zip(features[:-1], features[1:], np.diff(eta, axis=0), strict=True)
    ]
    return np.array([f.value for f in found]), np.array([f.overlap for f in found])


@dataclass(frozen=True)
class Difference:
    """A free-energy difference between two ensembles, kT."""

    value: float
    error: float
    """Standard error"""
    overlap: float
    """2 * integral of p_i p_j / (p_i + p_j): one for equal ensembles, zero for ensembles that share nothing"""
    shared: float
    """Draws that are as likely in the other ensemble: the overlap times the number from each, or times their harmonic mean"""


def bar(forward: np.ndarray, reverse: np.ndarray) -> Difference:
    """BAR from the works (P,) of taking draws of ensemble 0 to 1, and those (Q,) of taking draws of 1 to 0; kT.

    The works may be energy differences of frames, or those of driven paths (Crooks 2000, doi:10.1103/PhysRevE.61.2361). With
    M = log(P / Q) and S = sum over forward works of 1 / (1 + exp(M + W - F)) the variance is 1/S - 1/P - 1/Q (Bennett 1976; Shirts, Bair,
    Hooker, Pande 2003, doi:10.1103/PhysRevLett.91.140601). A bootstrap says too little where few draws are shared: of Gaussian works with
    two of 60 shared the value scatters by 1.5 of its errors, and by 1.1 of these.
    """
    delta = _root(forward, reverse)
    half = expit(delta - forward - np.log(len(forward) / len(reverse))).sum()
    with np.errstate(divide="ignore"):
        variance = np.float64(1.0) / half - 1.0 / len(forward) - 1.0 / len(reverse)
    overlap = float(expit(delta - forward).mean() + expit(-delta - reverse).mean())
    return Difference(delta, float(np.sqrt(max(variance, 0.0))), overlap, float(2.0 * half))


def _root(forward: np.ndarray, reverse: np.ndarray) -> float:
    """The root of Bennett's equation, which rises with the difference: bracketed, it is always found. pymbar's own searches are not."""
    zero = pymbar().bar_zero
    beyond = abs(np.log(len(forward) / len(reverse))) + 1.0
    low, high = min(forward.min(), -reverse.max()) - beyond, max(forward.max(), -reverse.min()) + beyond
    with np.errstate():  # bar_zero sets numpy's handling of overflow for the whole process
        return float(brentq(lambda delta: zero(forward, reverse, delta), low, high, xtol=1e-12))


class NoOverlap(SpacetimeError):
    """Ensembles fall into two parts that share no frames: no free energy links them."""


def weakest_link(bias: np.ndarray, counts: np.ndarray) -> tuple[float, int, int]:
    """Where a set of ensembles hangs together worst: the gap (kT) between two of them, and which two.

    bias (K, S) in kT, frames ordered by ensemble; counts (K,), none zero. The gap of two ensembles is the least work to exchange a frame of
    one against a frame of the other; about exp(-gap / 2) frames are shared. All are joined by pairs of least gap; the largest gap among
    these pairs, without which they fall apart, is returned. (-inf, 0, 0) for a single ensemble.
    """
    ends = np.cumsum(counts)
    work = np.array([(bias[:, n - c : n] - bias[k, n - c : n]).min(axis=1) for k, (c, n) in enumerate(zip(counts, ends, strict=True))])
    gap = work + work.T
    joined, rest = [0], list(range(1, len(counts)))
    weakest = (-np.inf, 0, 0)
    while rest:
        pairs = gap[np.ix_(joined, rest)]
        i, j = np.unravel_index(pairs.argmin(), pairs.shape)
        near, far = joined[i], rest[j]
        weakest = max(weakest, (float(pairs[i, j]), min(near, far), max(near, far)))
        joined.append(rest.pop(j))
    return weakest


def _solve(bias: np.ndarray, counts: np.ndarray, guess: np.ndarray, names: Sequence[str], remedy: str) -> Any:
    """A converged pymbar.MBAR, by the first protocol that gets there."""
    gap, i, j = weakest_link(bias, counts)
    if gap > FAR:
        raise NoOverlap(f"{names[i]} and {names[j]} do not overlap ({gap:.0f} kT apart at best); {remedy}")
    for protocol, start in ((ADAPTIVE, guess), (ROBUST, guess), (ROBUST, np.zeros(len(guess)))):
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                mbar = pymbar().MBAR(
                    bias, counts, solver_protocol=copy.deepcopy(protocol), initial_f_k=start - start[0],
                    maximum_iterations=0,  # else its default of 10,000 overrides the protocol's
                )  # fmt: skip
            except (pymbar().utils.ParameterError, np.linalg.LinAlgError, FloatingPointError):
                continue
            f = np.asarray(mbar.f_k)
            log_weight = -logsumexp((np.log(counts) + f)[:, None] - bias, axis=0)
            if np.abs(f + logsumexp(log_weight - bias, axis=1)).max() < TOLERANCE:  # not so where f is nan
                return mbar
    raise SpacetimeError(f"MBAR does not converge: {names[i]} and {names[j]} overlap least ({gap:.0f} kT apart at best); {remedy}")


def _window_names(count: int) -> list[str]:
    return [f"window {k + 1} of {count}" for k in range(count)]


def _check_filled(counts: np.ndarray, names: Sequence[str], remedy: str) -> None:
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        raise SpacetimeError(f"{names[empty[0]]} has no frames: the walk through it broke down or none was stored; {remedy}")


def pymbar() -> ModuleType:
    """The pymbar package, without the notice on JAX that it prints when it is imported."""
    logging.getLogger("pymbar").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pymbar as package
    return package


@dataclass(frozen=True)
class Profile:
    """Free energies of K windows along a curve, in kT, the first one zero."""

    free_energy: np.ndarray
    """(K,)"""
    error: np.ndarray
    """(K,) standard error of each against the first, from frames thinned to independent ones"""
    overlap: np.ndarray
    """(K, K): the probability to find a frame of window i among those of window j, all pooled; rows sum to one"""
    independent: np.ndarray
    """(K,) frames that are as good as independent"""


def towards_next(eta: np.ndarray) -> np.ndarray:
    """From each of K windows eta (K, E) to the next; from the last one on, as far again."""
    return np.concatenate([np.diff(eta, axis=0), eta[-1:] - eta[-2:-1]])


def profile(features: Sequence[Sequence[np.ndarray]], eta: np.ndarray) -> Profile:
    """MBAR over windows alone, its asymptotic errors and overlap matrix (Klimovich, Shirts, Mobley 2015, doi:10.1007/s10822-015-9840-9).

    features: for each window the T (F, E) of each walk through it, in order of time; eta (K, E). Each walk is thinned by the statistical
    inefficiency of its bias towards the next window. Raises SpacetimeError as `boltzmann_weights` does.
    """
    steps = towards_next(eta)
    thinned = [np.concatenate([walk[:: inefficiency(walk @ step)] for walk in walks]) for walks, step in zip(features, steps, strict=True)]
    counts = np.array([len(t) for t in thinned])
    differences, _ = neighbours(thinned, eta)
    mbar = _solve(-(eta @ np.concatenate(thinned).T), counts, np.append(0.0, np.cumsum(differences)), _window_names(len(eta)), REMEDY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mbar.compute_free_energy_differences()
    return Profile(found["Delta_f"][0], found["dDelta_f"][0], np.asarray(mbar.compute_overlap()["matrix"]), counts)


def inefficiency(series: np.ndarray) -> int:
    """Frames (F,) of a walk from one independent frame to the next, at least one (Chodera et al. 2007, doi:10.1021/ct0502864)."""
    return int(np.ceil(statistical_inefficiency(series)))


def statistical_inefficiency(series: np.ndarray) -> float:
    """How many values of a stationary series (F,) one independent one is worth, at least one (Chodera et al. 2007)."""
    if len(series) < 4 or np.ptp(series) == 0.0:
        return 1.0
    return max(float(pymbar().timeseries.statistical_inefficiency(series)), 1.0)


def common_inefficiency(walks: Sequence[np.ndarray]) -> int:
    """The same for several walks (F_k,) in one ensemble, about the mean of all: a walk that keeps to one basin looks independent alone."""
    return int(np.ceil(common_statistical_inefficiency(walks)))


def common_statistical_inefficiency(walks: Sequence[np.ndarray]) -> float:
    """As `statistical_inefficiency`, of several series (F_k,) of one process about the mean of all."""
    series = [walk for walk in walks if len(walk) >= 4]
    if not series or np.ptp(np.concatenate(series)) == 0.0:
        return 1.0
    return max(float(pymbar().timeseries.statistical_inefficiency_multiple(series)), 1.0)
