"""Free energies of windows relative to a state: down a ladder of windows on one torsion until plain MD in the state is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.sampling.crossing import Window
from spacetime_tps.sampling.free_energy import boltzmann_weights
from spacetime_tps.sampling.pool import OUTSIDE

RUNG = 1.5
"""Deviations from rung to rung"""
MET = 50.0
"""Effective frames of the MD in the state under the last rung, at least, and frames within two steps of it: frames of a well narrower
than a window are worth the same under any window, the one on the far side of the circle included"""
MOST_RUNGS = 40


def rungs(window: Window, onward: float, in_a: np.ndarray) -> list[Window]:
    """Windows from one on top down to A, `RUNG` deviations apart; none where A is not met within half a circle or `MOST_RUNGS`.

    in_a (S, 2n): T of plain MD in A. onward: +1 where B lies at larger angles, -1 where at smaller.
    """
    found: list[Window] = []
    torsions = in_a.shape[1] // 2
    for step in range(1, MOST_RUNGS + 1):
        shift = RUNG * window.deviation * step
        if shift > np.pi:
            return []
        found.append(Window(window.torsion, window.center - onward * shift, window.stiffness))
        log_share = in_a @ found[-1].eta(torsions)
        near = np.count_nonzero(log_share >= window.stiffness * np.cos(2.0 * RUNG * window.deviation))
        if near >= MET and np.exp(2.0 * logsumexp(log_share) - logsumexp(2.0 * log_share)) >= MET:
            return found
    return []


@dataclass(frozen=True)
class Sampled:
    """The frames of one ensemble."""

    eta: np.ndarray
    """(E,)"""
    statistic: np.ndarray
    """(F, E)"""
    in_a: np.ndarray
    """(F,) bool"""
    walk: np.ndarray
    """(F,): which of the independent walks each frame is from"""


def log_partitions(reference: np.ndarray, ensembles: Sequence[Sampled]) -> np.ndarray:
    """psi (K,) of ensembles relative to the partition function of A, by MBAR.

    reference (S, E): T of plain MD inside A. The ensembles come in an order in which each overlaps the one before, the first one A.
    """
    statistic = np.concatenate([reference, *(e.statistic for e in ensembles)])
    inside = np.concatenate([np.ones(len(reference), dtype=bool), *(e.in_a for e in ensembles)])
    eta = np.array([e.eta for e in ensembles])
    bias = np.concatenate([np.where(inside, 0.0, OUTSIDE)[None], -(eta @ statistic.T)])
    counts = np.array([len(reference), *(len(e.statistic) for e in ensembles)])
    ordered = [Sampled(np.zeros_like(eta[0]), reference, inside[: len(reference)], np.zeros(len(reference))), *ensembles]
    guess = np.cumsum([0.0, *(_roughly(low, high) for low, high in pairwise(ordered))])
    free_energy = boltzmann_weights(bias, counts, guess).free_energy
    return np.asarray(free_energy[0] - free_energy[1:])


def link_error(reference: np.ndarray, ensembles: Sequence[Sampled], *, draws: int, rng: np.random.Generator) -> float:
    """Standard error of the last ensemble's psi relative to A, kT, over bootstrap draws of whole walks; of A's frames, of eighths."""
    labels = np.unique(np.concatenate([e.walk for e in ensembles]))
    eighths = np.array_split(np.arange(len(reference)), 8)
    found = []
    for _ in range(draws):
        times = rng.multinomial(len(labels), np.full(len(labels), 1.0 / len(labels)))
        part = np.concatenate([eighths[k] for k in rng.integers(8, size=8)])
        drawn = [_repeated(e, labels, times) for e in ensembles]
        if len(drawn[-1].walk):
            found.append(log_partitions(reference[part], [e for e in drawn if len(e.walk)])[-1])
    return float(np.std(found)) if len(found) > 1 else float("nan")


def _roughly(low: Sampled, high: Sampled) -> float:
    """A first guess of the free energy of one ensemble over another's: exponential averages from both sides, halfway."""
    step = high.eta - low.eta
    up = np.log(len(low.statistic)) - logsumexp(low.statistic @ step)
    down = logsumexp(-(high.statistic @ step)) - np.log(len(high.statistic))
    return float(0.5 * (up + down))


def _repeated(ensemble: Sampled, labels: np.ndarray, times: np.ndarray) -> Sampled:
    index = np.repeat(np.arange(len(ensemble.walk)), times[np.searchsorted(labels, ensemble.walk)])
    return Sampled(ensemble.eta, ensemble.statistic[index], ensemble.in_a[index], ensemble.walk[index])
