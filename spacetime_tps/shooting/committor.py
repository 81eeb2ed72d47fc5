"""Committors at shooting points: the share of trajectories that reach B before A, with confidence intervals."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv


@dataclass(frozen=True)
class Committors:
    """Of P points, from trials that ended in a state."""

    reached_b: np.ndarray
    """(P,)"""
    trials: np.ndarray
    """(P,)"""

    @property
    def value(self) -> np.ndarray:
        """(P,) share that reached B; nan without a trial."""
        return np.divide(self.reached_b, self.trials, out=np.full(len(self.trials), np.nan), where=self.trials > 0)

    def interval(self, *, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Jeffreys intervals, low and high (P,): equal tails of Beta(reached + 1/2, missed + 1/2), to 0 or 1 where no trial differs.

        They take the trials for independent. The two halves of a shot start with opposite velocities, so that at the top one reaches B when
        the other does not: at alanine dipeptide's transition states their correlation is -0.6, and intervals are half as wide again as
        they had to be.
        """
        tail = (1.0 - confidence) / 2.0
        missed = self.trials - self.reached_b
        low = betaincinv(self.reached_b + 0.5, missed + 0.5, tail)
        high = betaincinv(self.reached_b + 0.5, missed + 0.5, 1.0 - tail)
        return np.where(self.reached_b == 0, 0.0, low), np.where(missed == 0, 1.0, high)

    def near_half(self, *, width: float = 0.2) -> np.ndarray:
        """Indices of transition states: within `width` of one half, and with one half in the interval; nearest first."""
        low, high = self.interval()
        apart = np.abs(self.value - 0.5)
        found = np.flatnonzero((apart <= width) & (low <= 0.5) & (high >= 0.5))
        return found[np.argsort(apart[found], kind="stable")]
