"""What a batch of shots needs of a simulation engine."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.ladder import EnsembleFrames
from spacetime_tps.windows.window import Window

Start = TypeVar("Start")
"""Where a walk starts, in the engine's own terms: positions and velocities of a molecule, a point of a surface"""


class ShootingEngine(Protocol[Start]):
    """Walks in windows and unbiased trajectories from their points, for one system with states A and B.

    Sites, and batches of each site, are numbered from 0; the same numbers give the same random numbers, whatever ran before.
    Implementations: `unbiased.engine.OpenMMShooting`, `engines.surface.shooting.SurfaceShooting`.
    """

    def done(self, site: int) -> list[Batch]:
        """Batches of a site that are there already, from number 0 on: of an interrupted run, or one that more is asked of."""

    def batch(
        self, site: int, number: int, window: Window, starts: Sequence[Start], *, points: int, pilot: bool, discard: int, onward: float
    ) -> Batch:
        """Walk in `window` from each of W starts, choose `points` points on each walk after `discard` steps, and shoot from them.

        The walks sample exp(-U/kT) times the window's factor. A shot is two trajectories of the unbiased dynamics, forward and backward in
        time, until A or B or the engine's longest; one from a point in a state ends there both ways and costs nothing. pilot: recorded in
        the batch. onward: +1 where B lies at larger values of the window's variable, -1 where at smaller ones.

        Returns the batch: of W walks their frames' T (F, E), P <= W * points points, their shots, and of each reactive shot the T of all
        points that its path could have been shot from, at one and the same spacing for all shots. Evaluations count every force or energy
        of one configuration that was computed, rejected moves and set-up included.
        """

    def ends(self, site: int, number: int) -> list[Start]:
        """Where the W walks of a batch ended: starts of the next one."""

    def ladder(
        self, site: int, windows: Sequence[Window], top: Sequence[Start], bottom: Sequence[Start]
    ) -> tuple[list[EnsembleFrames], int]:
        """Walks down a ladder of K windows, the highest first, from starts at its top, and up from starts in A: those lag to both sides.

        Returns a 2-tuple: the frames of each window, K of them, the one nearest to A first; and the evaluations that the ladder took, now
        or when it was walked first.
        """
