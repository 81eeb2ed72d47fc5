"""Which paths of a run one of several jobs makes."""

import re
from dataclasses import dataclass

from spacetime_tps.errors import SpacetimeError


@dataclass(frozen=True)
class Share:
    """One of `of` shares, the first being 1: of each curve's paths, numbered from 0, every `of`-th one."""

    index: int = 1
    of: int = 1

    @staticmethod
    def parse(text: str) -> "Share":
        """From '2/4'. Raises SpacetimeError for what is no share."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text.strip())
        if not found or int(found[1]) > int(found[2]):
            raise SpacetimeError(f"--shard wants I/N with I from 1 to N, as 2/4, got {text!r}")
        return Share(int(found[1]), int(found[2]))

    @staticmethod
    def holding(number: int, of: int) -> "Share":
        """The one of `of` shares that a path belongs to."""
        return Share(number % of + 1, of)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"
