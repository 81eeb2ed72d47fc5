"""Walks and shots on all cores: one context a process, tasks in any order, the same result whatever the number of processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from spacetime_tps.engines.openmm.dynamics import Engine, Model, Walk
from spacetime_tps.engines.openmm.shooting import Outcome, Shot, shoot
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.trajectories.frames import Frames

Task = TypeVar("Task")
Result = TypeVar("Result")
_engine: Engine | None = None


def _start(model: Model) -> None:
    global _engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stores what is done
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _engine = Engine(model)


def _end_with_parent() -> None:
    """A parent that was killed can neither end its workers nor take what they do."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _walk(task: Walk) -> Frames:
    assert _engine is not None
    return _engine.walk(task)


def _shoot(task: Shot) -> Outcome:
    assert _engine is not None
    return shoot(_engine, task)


class Workers:
    """A pool of processes that run walks and shots of one model. Use as a context manager."""

    def __init__(self, model: Model, processes: int | None = None):
        self.model = model
        self.processes = processes or available_cores()
        os.environ.setdefault("OPENMM_CPU_THREADS", "1")
        self._others = multiprocessing.active_children()
        self._pool = ProcessPoolExecutor(
            self.processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(model,)
        )

    def walks(self, tasks: Iterable[Walk]) -> Iterator[Frames]:
        """The frames of each task, in the order of the tasks, as they come. Raises SpacetimeError where a process died."""
        yield from self._each(_walk, tasks)

    def shots(self, tasks: Iterable[Shot]) -> Iterator[Outcome]:
        """What becomes of each shot, as `walks`."""
        yield from self._each(_shoot, tasks)

    def _each(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        try:
            yield from self._pool.map(work, tasks)
        except BrokenProcessPool as problem:
            raise SpacetimeError(
                "a worker process died: too little memory, or a script that starts a run outside `if __name__ == '__main__':`"
            ) from problem

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:  # a walk can last for minutes, and whoever pressed Ctrl-C wants none of it
            for process in multiprocessing.active_children():
                if process not in self._others:
                    process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
