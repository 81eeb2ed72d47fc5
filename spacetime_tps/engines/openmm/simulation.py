"""OpenMM on this machine: what stages run walks and shots with, wherever the results are kept and whoever is told about it."""

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from spacetime_tps.engines.openmm.dynamics import Model, Walk
from spacetime_tps.engines.openmm.shooting import Outcome, Shot
from spacetime_tps.engines.openmm.walk_cache import WalkCache
from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.progress import Progress
from spacetime_tps.storage.memory import Memory
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.terminal import ConsoleProgress
from spacetime_tps.trajectories.frames import Frames


class Simulation:
    """Worker processes for one model, a storage, and progress. Use as a context manager."""

    def __init__(self, model: Model, *, processes: int | None = None, storage: Storage | None = None, progress: Progress | None = None):
        """processes: None takes every core. Without a storage everything is kept in memory. progress: the terminal or the notebook."""
        self.model = model
        self.storage: Storage = Memory() if storage is None else storage
        self.progress: Progress = ConsoleProgress() if progress is None else progress
        self._workers = Workers(model, processes)
        self._caches: dict[str, WalkCache] = {}

    def cache(self, group: str) -> WalkCache:
        """The walks kept under a name."""
        if group not in self._caches:
            self._caches[group] = WalkCache(self.storage, group, self.model)
        return self._caches[group]

    def cached_walks(self, group: str, named: Sequence[tuple[str, Walk]], *, title: str | None = None) -> list[Frames]:
        """The frames of each named walk, from the group where it was run before with the same input. Progress is shown under a title."""
        cache = self.cache(group)
        if title is None:
            return cache.run(named, self._workers.walks, lambda evaluations: None)
        with self.progress.task(title, cache.ahead(named)) as advance:
            return cache.run(named, self._workers.walks, advance)

    def forget(self, group: str) -> None:
        """Read the group anew when it is next asked for: the storage has changed."""
        self._caches.pop(group, None)

    def walks(self, tasks: Iterable[Walk]) -> Iterator[Frames]:
        """The frames of each task, in their order, as they come; not kept."""
        return self._workers.walks(tasks)

    def shots(self, tasks: Iterable[Shot]) -> Iterator[Outcome]:
        """What becomes of each shot, in their order, as they come; not kept."""
        return self._workers.shots(tasks)

    def __enter__(self) -> "Simulation":
        self._workers.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._workers.__exit__(kind, value, trace)
