"""The fair reference for guided paths of a fixed length: unbiased paths, shorter, with equilibrium in A before them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.bootstrap import resampled


@dataclass(frozen=True)
class EmbeddedReference:
    """Highest energy of unbiased paths embedded in equilibrium frames of A."""

    value: float
    """Weighted mean over paths, in the unit of the energies"""
    standard_error: float
    """Over bootstrap draws of whole clusters of paths and whole runs; nan for a single draw"""
    too_long: float
    """Share of the weight of paths that are as long as the whole or longer, and stand alone"""


def embedded_highest(
    highest: np.ndarray, frames: np.ndarray, weight: np.ndarray, energies: Sequence[np.ndarray], inside: Sequence[np.ndarray], *,
    total: int, rng: np.random.Generator, draws: int = 1000, cluster: np.ndarray | None = None,
) -> EmbeddedReference:  # fmt: skip
    """The mean highest energy of unbiased paths, each with a random stretch of equilibrium in A that makes it `total` frames long.

    A guided path of F frames has the time to fluctuate in A that an unbiased path of n < F frames is not given: its highest energy is to be
    compared with max(path, stretch), where the stretch is any F - n successive frames that never leave A, all equally likely. The average
    over stretches is taken over every one there is, so that no path depends on which it was dealt.

    highest, frames, weight (paths,): highest energy, number of frames and weight of each path. energies, inside: potential energy (S,) and
    whether each frame is in A (S,) bool, of each equilibrium run, at the paths' interval between frames; energies as `highest`. cluster
    (paths,): label of the paths that are not independent of each other; each is where None. Runs are independent of each other.

    A draw of runs that holds no stretch of some length takes the average over all runs there. Raises ValueError where shapes do not fit,
    SpacetimeError where there are no paths, or no run stays in A for as long as a path needs.
    """
    highest, frames, weight = (np.asarray(x, dtype=float) for x in (highest, frames, weight))
    cluster = np.arange(len(highest)) if cluster is None else np.asarray(cluster)
    if not (highest.shape == frames.shape == weight.shape == cluster.shape and highest.ndim == 1):
        shapes = f"{highest.shape}, {frames.shape}, {weight.shape} and {cluster.shape}"
        raise ValueError(f"highest, frames, weight and cluster must have one shape (paths,), got {shapes}")
    if [np.shape(e) for e in energies] != [np.shape(i) for i in inside]:
        raise ValueError("energies and inside must have the same shapes (S,), run by run")
    if not weight.sum() > 0.0:
        raise SpacetimeError("there are no unbiased paths with weight to embed: ask for some with --unbiased")
    lack = np.maximum(total - frames, 0).astype(int)
    sums, counts = _over_stretches(highest, lack, [np.where(i, e, np.inf) for e, i in zip(energies, inside, strict=True)])
    if not counts.sum(axis=1).all():
        needed = int(lack[counts.sum(axis=1) == 0].max())
        raise SpacetimeError(f"no run in A stays there for the {needed} frames that a path needs: make training.steps_a larger")

    def mean(times: np.ndarray, runs: np.ndarray) -> float:
        here = counts @ runs
        value = np.divide(sums @ runs, here, out=sums.sum(axis=1) / counts.sum(axis=1), where=here > 0)
        return float((weight * times) @ value / (weight @ times))

    paths, runs = (resampled(x, draws=draws, rng=rng) for x in (cluster, np.arange(counts.shape[1])))
    found = [mean(times, drawn) for times, drawn in zip(paths, runs, strict=True) if weight @ times > 0.0]
    return EmbeddedReference(
        value=mean(np.ones(len(weight)), np.ones(counts.shape[1])),
        standard_error=float(np.std(found)) if len(found) > 1 else float("nan"),
        too_long=float(weight[lack == 0].sum() / weight.sum()),
    )


def _over_stretches(highest: np.ndarray, lack: np.ndarray, energies: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """For each path and run (paths, runs): the sum of max(path, stretch) over stretches of `lack` (paths,) frames, and how many these are.

    energies: (S,) each, infinite outside A. A path that lacks none stands alone: one stretch, itself, in each run.
    """
    alone = lack == 0
    sums = np.where(alone, highest, 0.0)[:, None].repeat(max(len(energies), 1), axis=1)
    counts = alone.astype(float)[:, None].repeat(max(len(energies), 1), axis=1)
    for run, energy in enumerate(energies):
        top = energy  # the highest of the `length` frames from each one on
        for length in range(1, min(int(lack.max()), len(energy)) + 1):
            top = top if length == 1 else np.maximum(top[:-1], energy[length - 1 :])
            mine = lack == length
            if not mine.any():
                continue
            stretch = np.sort(top[np.isfinite(top)])
            above = np.append(np.cumsum(stretch[::-1])[::-1], 0.0)
            lower = np.searchsorted(stretch, highest[mine])
            sums[mine, run] = lower * highest[mine] + above[lower]
            counts[mine, run] = len(stretch)
    return sums, counts
