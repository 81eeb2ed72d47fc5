"""What commands share: the console they write to, and its progress bars, errors as one sentence on it."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from spacetime_tps.errors import SpacetimeError

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn the package's errors and the file system's into one sentence and exit code 2; Ctrl-C, and the SIGTERM of a scheduler, into exit
    codes 130 and 143."""
    terminated = False

    def terminate(number: int, frame: object) -> None:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except (SpacetimeError, OSError) as problem:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {escape(str(problem))}")
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; what was finished is kept, and the same command goes on from there")
        sys.exit(143 if terminated else 130)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Rate(ProgressColumn):
    """Force evaluations per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / max(task.elapsed or 0.0, 1e-3) / 1e3:.0f}k/s", style="dim")


def _alive() -> bool:
    """Whether what is written can be changed later: rich has bars in a notebook by ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


class ConsoleProgress:
    """Progress on a terminal or in a notebook: one bar a task, with rate and time left; lines alone where there can be no bar."""

    def say(self, text: str) -> None:
        console.print(text, markup=False)

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        if not evaluations:
            yield lambda done: None
            return
        if not _alive():
            begin = time.perf_counter()
            yield lambda done: None
            console.print(f"{title}: {evaluations} evaluations in {time.perf_counter() - begin:.0f} s")
            return
        columns = (TextColumn("{task.description:36}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), _Rate(), TimeRemainingColumn())
        with Bar(*columns, console=console) as bar:
            task = bar.add_task(title, total=evaluations)
            yield lambda done: bar.advance(task, done)
