"""Averages over the paths of a run, with the errors that the published ones have."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.report.data import RunData
from spacetime_tps.results.paths import Paths, TransitionPath
from spacetime_tps.sampling.bootstrap import resampled
from spacetime_tps.shooting.weights import weighted_mean
from spacetime_tps.unbiased.averages import DRAWS, Draws, rng_of
from spacetime_tps.unbiased.ensemble import SHOT_TEXT, SHOTS_TABLE
from spacetime_tps.unbiased.names import place_of


@dataclass(frozen=True)
class Average:
    """A weighted average and its standard error, both of the shape that the averaged function has: numbers, or arrays."""

    value: np.ndarray
    error: np.ndarray

    def __repr__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g}" if self.value.ndim == 0 else f"Average(value={self.value!r}, error={self.error!r})"


def average(run: RunData, paths: Paths, of: Callable[[TransitionPath], object]) -> Average:
    """The average of a function over paths of one stage that connect, each with its weight, or all alike where they have none.

    The error is a bootstrap over walkers for paths that shots.csv knows (`unbiased.averages.Draws`), over paths for others. Raises
    SpacetimeError where there is no path.
    """
    if not len(paths):
        raise SpacetimeError(f"{run.folder} holds no such path to average over")
    values = np.array([of(path) for path in paths], dtype=float)
    weight = np.nan_to_num(paths.weights, nan=1.0)
    times = _draws(run, paths)
    found = [weighted_mean(column, weight, times) for column in values.reshape(len(values), -1).T]
    shape = values.shape[1:]
    return Average(np.array([x.value for x in found]).reshape(shape), np.array([x.error for x in found]).reshape(shape))


def _draws(run: RunData, paths: Paths) -> np.ndarray:
    """Bootstrap multiplicities (draws, paths)."""
    rng = rng_of(run.settings.seed)
    walks: dict[str, str] = {}
    if run.storage.has(SHOTS_TABLE):
        shots = run.columns(SHOTS_TABLE, text=SHOT_TEXT)
        walks = dict(zip(shots["path"].tolist(), shots["walk"].tolist(), strict=True))
    if not set(paths.names) <= set(walks):
        return resampled(np.arange(len(paths)), draws=DRAWS, rng=rng)
    site, walker = np.array([place_of(walks[name]) for name in paths.names]).T
    errors = [crossing["free_energy_error_kT"] for crossing in run.unbiased["crossings"]]
    return Draws.by_walker(site, walker, errors, run.settings.unbiased.walkers, rng=rng).walkers
