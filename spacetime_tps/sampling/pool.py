"""Everything sampled so far in one class of routes: frames, the ensembles they come from, and their Boltzmann weights."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling.free_energy import OUTSIDE, Weights, boltzmann_weights, inefficiency
from spacetime_tps.sampling.windows import CurveWindows
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames

ENDS = 2
"""The first ensembles of a pool: MD in A, MD in B"""


@dataclass
class Pool:
    """Frames of plain MD in the two ends and of windows.

    The MD frames inside A sample the Boltzmann distribution restricted to A, those inside B the one restricted to B: neither crosses in the
    time it is given. Together with the windows, which link the two, MBAR gives each frame its Boltzmann weight.
    """

    coordinates: Coordinates
    a: State
    b: State
    positions: list[np.ndarray] = field(default_factory=list)
    velocities: list[np.ndarray] = field(default_factory=list)
    windows: list[CurveWindows] = field(default_factory=list)
    _ends: list[np.ndarray] = field(default_factory=list)
    _correlated: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def of_ends(coordinates: Coordinates, a: State, b: State, in_a: list[Frames], in_b: list[Frames], *, every: int) -> "Pool":
        """A pool with every `every`-th frame of the MD in the two ends, frames outside their state left out."""
        pool = Pool(coordinates, a, b)
        features = [[coordinates.features(f.positions[::every]) for f in frames] for frames in (in_a, in_b)]
        way = np.subtract(*(np.concatenate(walks).mean(axis=0) for walks in features))
        for frames, state, walks in zip((in_a, in_b), (a, b), features, strict=True):
            x = np.concatenate([f.positions[::every] for f in frames])
            v = np.concatenate([f.velocities[::every] for f in frames])
            keep = state.contains(x)
            pool.positions.append(x[keep])
            pool.velocities.append(v[keep])
            pool._ends.append(np.concatenate(walks)[keep])
            pool._correlated.append(np.concatenate([np.full(len(t), inefficiency(t @ way)) for t in walks])[keep])
        return pool

    def copy(self) -> "Pool":
        """A pool that can grow on its own."""
        return Pool(
            self.coordinates, self.a, self.b, [*self.positions], [*self.velocities], [*self.windows], [*self._ends], [*self._correlated]
        )

    def add(self, windows: CurveWindows) -> None:
        """Take in the frames of a curve's windows."""
        for k in range(len(windows.eta)):
            ways = (windows.forward, windows.backward)
            self.positions.append(np.concatenate([f.positions[f.point == k] for f in ways]))
            self.velocities.append(np.concatenate([f.velocities[f.point == k] for f in ways]))
            self._correlated.append(
                np.concatenate([np.full((f.point == k).sum(), g[k]) for f, g in zip(ways, windows.inefficiency, strict=True)])
            )
        self.windows.append(windows)

    @property
    def features(self) -> np.ndarray:
        """T (S, E) of all frames, ordered by ensemble: MD in A, MD in B, then window by window."""
        return self.coordinates.features(np.concatenate(self.positions))

    @property
    def inefficiency(self) -> np.ndarray:
        """(S,): how many frames are worth one independent frame where each comes from: by the way between the ends for the MD in them, by
        the bias towards the next window for windows."""
        return np.concatenate(self._correlated)

    @property
    def counts(self) -> np.ndarray:
        """Frames of each ensemble (K,)."""
        return np.array([len(x) for x in self.positions])

    @property
    def eta(self) -> np.ndarray:
        """Natural parameters of the ensembles (K, E): MD in A and in B, which are `ENDS` and zero, and the windows."""
        return np.concatenate([np.zeros((ENDS, self.coordinates.dimension)), *(w.eta for w in self.windows)])

    def weights(self) -> Weights:
        """MBAR over the whole pool. Raises SpacetimeError where an end has no frames, or ensembles do not overlap."""
        features = self.features
        bias = -(self.eta @ features.T)
        for row, state in enumerate((self.a, self.b)):
            bias[row] = np.where(state.contains(np.concatenate(self.positions)), 0.0, OUTSIDE)
        names = ["the MD in A", "the MD in B"]
        names += [f"window {k + 1} of set {n + 1}" for n, w in enumerate(self.windows) for k in range(len(w.eta))]
        return boltzmann_weights(bias, self.counts, self._guess(), names=names)

    def _guess(self) -> np.ndarray:
        """Free energies by exponential averaging from the ends and BAR along each curve."""
        for name, frames in zip("AB", self._ends, strict=True):
            if not len(frames):
                raise SpacetimeError(f"no frame of the plain MD from {name} is in {name}: widen the state or lower the temperature")
        guess = [0.0, 0.0]
        for w in self.windows:
            guess.extend(_log_mean_exp(self._ends[0] @ w.eta[0]) * -1.0 + w.profile)
            guess[1] = guess[-1] + _log_mean_exp(self._ends[1] @ w.eta[-1])
        return np.array(guess)


def _log_mean_exp(x: np.ndarray) -> float:
    return float(logsumexp(x) - np.log(len(x)))
