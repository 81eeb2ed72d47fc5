"""What is known of each class of routes: frames of the ends and of sound windows, their weights, and the denoiser that these make."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.exploration.route import Route, Winding, directions_disagree
from spacetime_tps.sampling.free_energy import Weights
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.windows import CurveWindows

Marks = Callable[[np.ndarray], np.ndarray]
"""From frames (S, atoms, 3) to the sets that each belongs to, bool (S, M)"""


def unmarked(positions: np.ndarray) -> np.ndarray:
    """There are no sets."""
    return np.zeros((len(positions), 0), dtype=bool)


@dataclass
class ClassSamples:
    """The samples of one class."""

    pool: Pool
    sets: list[tuple[int, str]] = field(default_factory=list)
    """(round, route) of each set of windows in the pool, in their order there"""
    sound: bool = False
    """Whether the two directions of the windows in the pool agree"""
    weights: Weights | None = None
    """Of the pool's frames, once they were computed"""

    def take(self, windows: CurveWindows, count: int, route: str, ends: Pool) -> None:
        """Windows of a round. Those whose two directions disagree are no equilibrium: the latest alone stay, and only while there are no
        others. ends: a pool without windows."""
        agree = not directions_disagree(windows.disagreement)
        if not self.sound:
            self.pool, self.sets = ends.copy(), []
        if agree or not self.sound:
            self.pool.add(windows)
            self.sets.append((count, route))
        self.sound = self.sound or agree

    def weigh(self) -> None:
        """Boltzmann weights of all frames, by MBAR."""
        self.weights = self.pool.weights()

    @property
    def log_weight(self) -> np.ndarray:
        """(S,) of the pool's frames."""
        assert self.weights is not None
        return self.weights.log_weight

    def denoiser(self, marks: "Marks") -> WeightedSamples:
        """The posterior of the weighted samples; frames count as effective only as far as they are independent."""
        return WeightedSamples(
            torch.from_numpy(self.pool.features), torch.from_numpy(self.log_weight),
            inefficiency=torch.from_numpy(self.pool.inefficiency), marks=torch.from_numpy(marks(np.concatenate(self.pool.positions))),
        )  # fmt: skip


@dataclass
class Classes:
    """All classes that windows were sampled in, and the latest windows of each route."""

    ends: Pool
    marks: Marks = unmarked
    of: dict[Winding, ClassSamples] = field(default_factory=dict)
    latest: dict[str, CurveWindows] = field(default_factory=dict)
    _denoisers: dict[Winding, WeightedSamples] = field(default_factory=dict)
    """Of classes that were weighed since their last windows"""

    def __contains__(self, kind: Winding) -> bool:
        return kind in self.of

    def take(self, route: Route, count: int, windows: CurveWindows) -> None:
        """The windows of a route, of round `count`, into the samples of its class; `weigh` is to follow."""
        self.latest[route.name] = windows
        self.of.setdefault(route.winding, ClassSamples(self.ends.copy())).take(windows, count, route.name, self.ends)

    def weigh(self, kinds: set[Winding]) -> None:
        """Weights of all frames of some classes."""
        for kind in sorted(kinds):
            self.of[kind].weigh()
            self._denoisers[kind] = self.of[kind].denoiser(self.marks)

    def denoiser(self, kind: Winding) -> WeightedSamples:
        """That of a class."""
        return self._denoisers[kind]

    def ensembles(self, kind: Winding) -> Ensembles:
        """The frames of a class with the ensembles that they were drawn from."""
        pool = self.of[kind].pool
        return Ensembles(self.denoiser(kind), torch.from_numpy(pool.eta), torch.from_numpy(pool.counts))

    def frames(self) -> np.ndarray:
        """Positions (F, atoms, 3) of all frames of all classes."""
        return np.concatenate([np.concatenate(samples.pool.positions) for samples in self.of.values()])
