"""Products of coordinates: blocks side by side, each with its own noise level."""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spacetime_tps.coordinates.boxes import together
from spacetime_tps.coordinates.protocol import Boxes, Coordinates, HeldFrame, Term, Way
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.windows.protocol import Variable

if TYPE_CHECKING:
    from spacetime_tps.geometry.families.protocol import Family


@dataclass(frozen=True)
class Product:
    """Two or more blocks. Raises SpacetimeError where more than one holds a frame of reference, and where two have a name in common."""

    blocks: tuple[Coordinates, ...]

    kind = "product"

    def __post_init__(self) -> None:
        if sum(block.frame is not None for block in self.blocks) > 1:
            raise SpacetimeError("a product of coordinates can hold the positions of one selection only")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise SpacetimeError(f"two coordinates are called {twice[0]!r}: give one of them another name")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(block.names for block in self.blocks))

    @property
    def unit(self) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(block.unit for block in self.blocks))

    @property
    def scale(self) -> np.ndarray:
        return np.concatenate([block.scale for block in self.blocks])

    @property
    def dimension(self) -> int:
        return sum(block.dimension for block in self.blocks)

    @property
    def angular(self) -> np.ndarray:
        return np.concatenate([block.angular for block in self.blocks])

    @property
    def bounded(self) -> np.ndarray:
        return np.concatenate([block.bounded for block in self.blocks])

    @property
    def terms(self) -> tuple[Term, ...]:
        found, first = [], 0
        for block in self.blocks:
            found += [replace(term, features=tuple(first + f for f in term.features)) for term in block.terms]
            first += block.dimension
        return tuple(found)

    @property
    def frame(self) -> HeldFrame | None:
        return next((block.frame for block in self.blocks if block.frame is not None), None)

    def family(self) -> "Family":
        """The product of the blocks' families."""
        from spacetime_tps.geometry.families.product import ProductFamily

        return ProductFamily([block.family() for block in self.blocks])

    def values(self, positions: np.ndarray) -> np.ndarray:
        """(..., D), block by block."""
        return np.concatenate([block.values(positions) for block in self.blocks], axis=-1)

    def features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., E), block by block."""
        return np.concatenate([block.features(positions) for block in self.blocks], axis=-1)

    def held_features(self, positions: np.ndarray) -> np.ndarray:
        """The same, as the blocks' terms see it."""
        return np.concatenate([block.held_features(positions) for block in self.blocks], axis=-1)

    def ways(self, a: np.ndarray, b: np.ndarray, limit: int) -> list[Way]:
        """Every combination of the blocks' ways, the first of each first, at most `limit`."""
        parts = [block.ways(x, y, limit) for block, x, y in zip(self.blocks, self._split(a), self._split(b), strict=True)]
        chosen = itertools.islice(itertools.product(*parts), limit)
        return [Way(self._joined([w.name for w in ways]), np.concatenate([w.change for w in ways])) for ways in chosen]

    def way_of(self, path: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
        """The blocks' names joined."""
        parts = zip(self.blocks, self._split(path), self._split(a), self._split(b), strict=True)
        return self._joined([block.way_of(p, x, y) for block, p, x, y in parts])

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether any block has changed."""
        return any(block.changed(x, y) for block, x, y in zip(self.blocks, self._split(a), self._split(b), strict=True))

    def variable(self, name: str) -> Variable:
        """That of the first block with such a value."""
        first, block = next((first, block) for first, block in self._placed() if name in block.names)
        return block.variable(name).embedded(first, self.dimension)

    def separating(self, a: Boxes, b: Boxes) -> tuple[Variable, ...]:
        """Those of every block."""
        return tuple(variable.embedded(first, self.dimension) for first, block in self._placed() for variable in block.separating(a, b))

    def _placed(self) -> list[tuple[int, Coordinates]]:
        """The blocks, each with where its T begins."""
        first = [0, *itertools.accumulate(block.dimension for block in self.blocks)]
        return list(zip(first, self.blocks, strict=False))

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        """The blocks' boxes in one: all of their conditions hold."""
        return together(block.box_around(here, there, file) for block in self.blocks)

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        """That of the first block with such a value."""
        return next(block for block in self.blocks if name in block.names).condition(name, low, high)

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        """Block by block."""
        return list(itertools.chain.from_iterable(block.bounds(box) for block in self.blocks))

    @property
    def told(self) -> str:
        """The blocks' words."""
        return "; ".join(block.told for block in self.blocks)

    def to_json(self) -> list[dict[str, Any]]:
        return list(itertools.chain.from_iterable(block.to_json() for block in self.blocks))

    def _split(self, values: np.ndarray) -> list[np.ndarray]:
        return np.split(values, np.cumsum([len(block.names) for block in self.blocks])[:-1], axis=-1)

    @staticmethod
    def _joined(names: list[str]) -> str:
        told = [name for name in names if name != "direct"]
        return "_".join(told) or "direct"
