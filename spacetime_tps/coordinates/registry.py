"""The kinds of coordinates there are, and how a run folder's coordinates.json becomes one of them."""

from collections.abc import Callable, Sequence
from typing import Any

from spacetime_tps.coordinates.distances import Cell, Distances
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.errors import SpacetimeError

KINDS: dict[str, Callable[[dict[str, Any], Cell | None], Coordinates]] = {
    Torsions.kind: Torsions.from_json,
    Distances.kind: Distances.from_json,
    Positions.kind: Positions.from_json,
}
"""From a block of coordinates.json and the periodic cell, by its "kind". A new kind is added here."""


def coordinates_of(blocks: Sequence[dict[str, Any]], cell: Cell | None) -> Coordinates:
    """The coordinates that `to_json` wrote. Raises SpacetimeError for a kind that is not registered."""
    for block in blocks:
        if block["kind"] not in KINDS:
            raise SpacetimeError(f"unknown kind of coordinates {block['kind']!r}; there are {', '.join(KINDS)}")
    return joined([KINDS[block["kind"]](block, cell) for block in blocks])


def joined(blocks: Sequence[Coordinates]) -> Coordinates:
    """One block as it is, several as a product."""
    return blocks[0] if len(blocks) == 1 else Product(tuple(blocks))
