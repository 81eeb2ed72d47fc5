"""How a run tells what it does: a line of text, or a task whose force evaluations are counted as they come."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Where a run reports to."""

    def say(self, text: str) -> None:
        """One line."""

    def task(self, title: str, evaluations: int) -> AbstractContextManager[Callable[[int], None]]:
        """A task of so many evaluations; the function it gives is called with each further count done."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: None
