"""Free energies of windows relative to a state: down a ladder of windows on one variable until plain MD in the state is met."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.bootstrap import cluster_draws
from spacetime_tps.sampling.free_energy import OUTSIDE, boltzmann_weights
from spacetime_tps.windows.window import Window

RUNG = 1.5
"""Deviations from rung to rung"""
MET = 50.0
"""Effective frames of the MD in the state under the last rung, at least, and frames within two steps of it: frames of a well narrower
than a window are worth the same under any window, one on the far side of a circle included"""
MOST_RUNGS = 40
REMEDY = "softer windows (unbiased.stiffness) or longer ladders (unbiased.rung_steps) help"


def rungs(window: Window, onward: float, in_a: np.ndarray) -> list[Window]:
    """Windows from one on top down to A, `RUNG` deviations apart; none where A is not met within half a circle or `MOST_RUNGS`.

    in_a (S, E): T of plain MD in A. onward: +1 where B lies at larger values of the window's variable, -1 where at smaller.
    """
    found: list[Window] = []
    period = window.variable.period
    at = window.variable.value(in_a)
    for step in range(1, MOST_RUNGS + 1):
        shift = RUNG * window.deviation * step
        if period is not None and shift > 0.5 * period:
            return []
        found.append(replace(window, center=window.center - onward * shift))
        log_share = found[-1].log_factor(in_a)
        near = np.count_nonzero(np.abs(found[-1].apart(at)) <= 2.0 * RUNG * window.deviation)
        if near >= MET and np.exp(2.0 * logsumexp(log_share) - logsumexp(2.0 * log_share)) >= MET:
            return found
    return []


@dataclass(frozen=True)
class EnsembleFrames:
    """The frames of one ensemble."""

    log_factor: Callable[[np.ndarray], np.ndarray]
    """Log of its density over Boltzmann's, up to a constant, at T (..., E)"""
    features: np.ndarray
    """(F, E)"""
    in_a: np.ndarray
    """(F,) bool"""
    walk: np.ndarray
    """(F,): which of the independent walks each frame is from"""


def log_partitions(reference: np.ndarray, ensembles: Sequence[EnsembleFrames]) -> np.ndarray:
    """psi (K,) of ensembles relative to the partition function of A, by MBAR.

    reference (S, E): T of plain MD inside A. The ensembles come in an order in which each overlaps the one before, the first one A. Raises
    SpacetimeError where they do not overlap.
    """
    features = np.concatenate([reference, *(e.features for e in ensembles)])
    inside = np.concatenate([np.ones(len(reference), dtype=bool), *(e.in_a for e in ensembles)])
    bias = np.stack([np.where(inside, 0.0, OUTSIDE), *(-e.log_factor(features) for e in ensembles)])
    counts = np.array([len(reference), *(len(e.features) for e in ensembles)])
    ordered = [EnsembleFrames(_flat, reference, inside[: len(reference)], np.zeros(len(reference))), *ensembles]
    guess = np.cumsum([0.0, *(_roughly(low, high) for low, high in pairwise(ordered))])
    names = ["the MD in A", *(f"rung {k} of {len(ensembles)} up from A" for k in range(1, len(ensembles) + 1))]
    free_energy = boltzmann_weights(bias, counts, guess, names=names, remedy=REMEDY).free_energy
    return _known(free_energy[0] - free_energy[1:])


def relative(ensembles: Sequence[EnsembleFrames]) -> np.ndarray:
    """psi (K,) of ensembles relative to the first one, by MBAR among themselves. Raises SpacetimeError where they do not overlap."""
    if len(ensembles) == 1:
        return np.zeros(1)
    features = np.concatenate([e.features for e in ensembles])
    bias = np.stack([-e.log_factor(features) for e in ensembles])
    guess = np.cumsum([0.0, *(_roughly(low, high) for low, high in pairwise(ensembles))])
    free_energy = boltzmann_weights(bias, np.array([len(e.features) for e in ensembles]), guess, remedy=REMEDY).free_energy
    return _known(free_energy[0] - free_energy)


def _known(psi: np.ndarray) -> np.ndarray:
    if not np.isfinite(psi).all():
        raise SpacetimeError(f"its windows do not overlap: {REMEDY}")
    return np.asarray(psi)


def ladder_error(reference: np.ndarray, ensembles: Sequence[EnsembleFrames], *, draws: int, rng: np.random.Generator) -> float:
    """Standard error of the last ensemble's psi relative to A, kT, over bootstrap draws of whole walks; of A's frames, of eighths.

    Draws whose ensembles do not overlap are left out; nan where fewer than two are left.
    """
    labels = np.unique(np.concatenate([e.walk for e in ensembles]))
    eighths = np.array_split(np.arange(len(reference)), 8)
    found = []
    for times in cluster_draws(len(labels), draws=draws, rng=rng):
        part = np.concatenate([eighths[k] for k in rng.integers(8, size=8)])
        drawn = [_repeated(e, labels, times) for e in ensembles]
        if len(drawn[-1].walk):
            with suppress(SpacetimeError):  # a draw may lack the walks that link two windows
                found.append(log_partitions(reference[part], [e for e in drawn if len(e.walk)])[-1])
    return float(np.std(found)) if len(found) > 1 else float("nan")


def _roughly(low: EnsembleFrames, high: EnsembleFrames) -> float:
    """A first guess of the free energy of one ensemble over another's: exponential averages from both sides, halfway."""
    up = np.log(len(low.features)) - logsumexp(high.log_factor(low.features) - low.log_factor(low.features))
    down = logsumexp(low.log_factor(high.features) - high.log_factor(high.features)) - np.log(len(high.features))
    return float(0.5 * (up + down))


def _flat(features: np.ndarray) -> np.ndarray:
    return np.zeros(features.shape[:-1])


def _repeated(ensemble: EnsembleFrames, labels: np.ndarray, times: np.ndarray) -> EnsembleFrames:
    index = np.repeat(np.arange(len(ensemble.walk)), times[np.searchsorted(labels, ensemble.walk)])
    return EnsembleFrames(ensemble.log_factor, ensemble.features[index], ensemble.in_a[index], ensemble.walk[index])
