"""The kinds of coordinates there are, and how a run folder's coordinates.json becomes one of them."""

from collections.abc import Sequence
from typing import Any

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.protocol import Coordinates, Kind
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.errors import SpacetimeError

KINDS: dict[str, Kind] = {Torsions.kind: Torsions, Distances.kind: Distances, Positions.kind: Positions}
"""By their keys in system.yaml and coordinates.json. A new kind is added here."""


def kind_of(key: str) -> Kind:
    """Raises SpacetimeError for a kind that is not registered."""
    if key not in KINDS:
        raise SpacetimeError(f"unknown kind of coordinates {key!r}; there are {', '.join(KINDS)}")
    return KINDS[key]


def coordinates_of(blocks: Sequence[dict[str, Any]], cell: Cell | None) -> Coordinates:
    """The coordinates that `to_json` wrote. Raises SpacetimeError for a kind that is not registered."""
    return joined([kind_of(block["kind"]).from_json(block, cell) for block in blocks])


def joined(blocks: Sequence[Coordinates]) -> Coordinates:
    """One block as it is, several as a product."""
    return blocks[0] if len(blocks) == 1 else Product(tuple(blocks))
