"""Boltzmann weights and free energies from umbrella windows: MBAR, and BAR between neighbours as a check of equilibration."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from scipy.special import expit, logsumexp


@dataclass(frozen=True)
class Weights:
    """Of S pooled frames from K ensembles."""

    log_weight: np.ndarray
    """(S,) log of the normalised Boltzmann weight of each frame, all ensembles pooled."""
    free_energy: np.ndarray
    """(K,) in kT, relative to the Boltzmann distribution: f_k = -psi(eta_k) for a window with bias -kT eta_k . T."""


def boltzmann_weights(bias: np.ndarray, counts: np.ndarray, guess: np.ndarray) -> Weights:
    """MBAR (Shirts and Chodera 2008, doi:10.1063/1.2978177).

    bias (K, S): bias energy in kT of every frame in every ensemble, frames ordered by the ensemble they come from; counts (K,): frames of
    each ensemble; guess (K,): first guess of the free energies, which decides how long this takes.
    """
    solver = ({"method": "adaptive", "tol": 1e-7, "options": {"maxiter": 500}},)
    mbar = pymbar().MBAR(bias, counts, solver_protocol=solver, initial_f_k=guess - guess[0])
    f = np.asarray(mbar.f_k)
    log_weight = -logsumexp((np.log(counts) + f)[:, None] - bias, axis=0)
    norm = logsumexp(log_weight)
    return Weights(log_weight - norm, f + norm)


def neighbours(statistic: Sequence[np.ndarray], eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BAR (Bennett 1976, doi:10.1016/0021-9991(76)90078-4) from each of K windows to the next.

    statistic: T (n_k, E) of each window's frames; eta (K, E). Returns free-energy differences (K-1,) in kT and overlaps (K-1,). The
    overlap is 2 * integral of p_i p_j / (p_i + p_j): one for equal windows, zero for windows that share nothing.
    """
    differences, overlaps = [], []
    for a, b, step in zip(statistic[:-1], statistic[1:], np.diff(eta, axis=0), strict=True):
        forward, reverse = -(a @ step), b @ step  # work, in kT, of moving a frame to the other window
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # windows that hardly overlap make BAR complain; the overlap reports them
            delta = float(pymbar().bar(forward, reverse, compute_uncertainty=False)["Delta_f"])
        differences.append(delta)
        overlaps.append(expit(delta - forward).mean() + expit(-delta - reverse).mean())
    return np.array(differences), np.array(overlaps)


def pymbar() -> ModuleType:
    """The pymbar package, without the notice on JAX that it prints when it is imported."""
    logging.getLogger("pymbar").setLevel(logging.ERROR)
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


def profile(statistic: Sequence[Sequence[np.ndarray]], eta: np.ndarray) -> Profile:
    """MBAR over windows alone, its asymptotic errors and overlap matrix (Klimovich, Shirts, Mobley 2015, doi:10.1007/s10822-015-9840-9).

    statistic: for each window the T (F, E) of each walk through it, in order of time; eta (K, E). Each walk is thinned by the statistical
    inefficiency of its bias towards the next window.
    """
    steps = np.concatenate([np.diff(eta, axis=0), eta[-1:] - eta[-2:-1]])
    thinned = [
        np.concatenate([walk[:: _inefficiency(walk @ step)] for walk in walks]) for walks, step in zip(statistic, steps, strict=True)
    ]
    counts = np.array([len(t) for t in thinned])
    differences, _ = neighbours(thinned, eta)
    solver = ({"method": "adaptive", "tol": 1e-7, "options": {"maxiter": 500}},)
    guess = np.append(0.0, np.cumsum(differences))
    mbar = pymbar().MBAR(-(eta @ np.concatenate(thinned).T), counts, solver_protocol=solver, initial_f_k=guess)
    found = mbar.compute_free_energy_differences()
    return Profile(found["Delta_f"][0], found["dDelta_f"][0], np.asarray(mbar.compute_overlap()["matrix"]), counts)


def _inefficiency(series: np.ndarray) -> int:
    """Frames from one independent frame to the next, at least one."""
    if len(series) < 4 or np.ptp(series) == 0.0:
        return 1
    return max(int(np.ceil(pymbar().timeseries.statistical_inefficiency(series))), 1)
