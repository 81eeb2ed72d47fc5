"""What commands share: the console they write to, and errors as one sentence on it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from spacetime_tps.errors import SpacetimeError

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn the package's errors and the file system's into one sentence and exit code 2, and Ctrl-C into exit code 130."""
    try:
        yield
    except (SpacetimeError, OSError) as problem:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {escape(str(problem))}")
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; what was finished is kept, and the same command goes on from there")
        sys.exit(130)
