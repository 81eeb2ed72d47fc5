"""States A and B: a frame is in a state when all conditions of one of its boxes hold; and the states.json that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.protocol import Boxes
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.states.distance_range import DistanceRange
from spacetime_tps.states.protocol import Condition, ConditionKind, Read
from spacetime_tps.states.rmsd_range import STRUCTURES, RmsdRange
from spacetime_tps.states.torsion_range import TorsionRange

START, END = STRUCTURES["start"], STRUCTURES["end"]
"""Of a run folder: the structures that a state may be about"""
Box = tuple[Condition, ...]
"""All of these"""


@dataclass(frozen=True)
class State:
    """A frame is in the state when all conditions of any one of its boxes hold."""

    boxes: tuple[Box, ...]

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3) in nm: bool (...)."""
        positions = np.asarray(positions)
        inside = np.zeros(positions.shape[:-2], dtype=bool)
        for box in self.boxes:
            inside |= np.all([condition.holds(positions) for condition in box], axis=0)
        return inside

    def to_json(self) -> list[dict[str, Any]]:
        """Boxes as states.json holds them."""
        return [_box_to_json(box) for box in self.boxes]


CONDITIONS: dict[str, ConditionKind] = {kind.key: kind for kind in (TorsionRange, DistanceRange, RmsdRange)}
"""By their key in a box of states.json. A new kind of condition is added here."""


def state_of(boxes: Sequence[dict[str, Any]], *, cell: Cell | None, read: Read) -> State:
    """The state that `to_json` wrote. Raises SpacetimeError for a kind of condition that is not registered, and for an entry that is a list
    where a box can hold one such condition, or none where it can hold several."""
    found = []
    for box in boxes:
        unknown = set(box) - set(CONDITIONS)
        if unknown:
            raise SpacetimeError(f"states.json holds an unknown condition {sorted(unknown)[0]!r}; there are {', '.join(CONDITIONS)}")
        for key, entry in box.items():
            if CONDITIONS[key].listed != isinstance(entry, list):
                raise SpacetimeError(f"states.json: {key!r} is {'a list of entries' if CONDITIONS[key].listed else 'one entry, no list'}")
        found.append(tuple(condition for key, entry in box.items() for condition in CONDITIONS[key].of_entry(entry, cell, read)))
    return State(tuple(found))


def structures_of(start: np.ndarray, end: np.ndarray) -> dict[str, np.ndarray]:
    """Positions (atoms, 3), nm, by the names that boxes of states.json have for them."""
    return {START: start, END: end}


def states_of(boxes: Mapping[str, Boxes], *, cell: Cell | None, start: np.ndarray, end: np.ndarray) -> tuple[State, State]:
    """A and B of states.json, of a molecule with these ends (atoms, 3), nm."""
    structures = structures_of(start, end)
    a, b = (state_of(boxes[name], cell=cell, read=structures.__getitem__) for name in "AB")
    return a, b


def _box_to_json(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for condition in box:
        if CONDITIONS[condition.key].listed:
            found.setdefault(condition.key, []).append(condition.to_json())
        elif condition.key in found:
            raise SpacetimeError(f"a box of states.json can hold one {condition.key} only")
        else:
            found[condition.key] = condition.to_json()
    return found


def check_endpoints(a: State, b: State, start: np.ndarray, end: np.ndarray) -> None:
    """Raise SpacetimeError unless start (atoms, 3) is in A alone and end in B alone, and no box of A meets one of B."""
    if a.contains(start) and a.contains(end):
        raise SpacetimeError("both structures are in state A; give two structures in different states")
    if b.contains(start) and b.contains(end):
        raise SpacetimeError("both structures are in state B; give two structures in different states")
    if not a.contains(start):
        raise SpacetimeError("the start structure, minimised, is not in state A; widen the state or give another structure")
    if not b.contains(end):
        raise SpacetimeError("the end structure, minimised, is not in state B; widen the state or give another structure")
    if any(not any(i.apart(j) for i in p for j in q) for p in a.boxes for q in b.boxes):
        raise SpacetimeError("the states A and B overlap; narrow the range of something that differs between them")
