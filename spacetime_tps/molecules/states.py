"""States as boxes of torsion angles: when a frame is in A or in B, and the states.json that says so."""

from dataclasses import dataclass

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.coordinates import Torsions


@dataclass(frozen=True)
class Interval:
    """A torsion (four atoms) that goes up from `low` to `high` degrees, across 180 where high < low."""

    atoms: tuple[int, int, int, int]
    low: float
    high: float

    def holds(self, degrees: np.ndarray | float) -> np.ndarray:
        """Whether angles (...) lie in the interval; an interval of zero width is the whole circle."""
        width = (self.high - self.low) % 360.0
        return (np.asarray(degrees) - self.low) % 360.0 <= (width if width else 360.0)


Box = tuple[Interval, ...]


@dataclass(frozen=True)
class State:
    """A frame is in the state when all intervals of one of its boxes hold."""

    boxes: tuple[Box, ...]

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3): bool (...)."""
        positions = np.asarray(positions)
        inside = np.zeros(positions.shape[:-2], dtype=bool)
        for box in self.boxes:
            angles = np.degrees(Torsions((), tuple(i.atoms for i in box)).angles(positions))
            inside |= np.all([interval.holds(angles[..., n]) for n, interval in enumerate(box)], axis=0)
        return inside

    def to_json(self) -> list[dict[str, list[list[float]]]]:
        return [{"torsions": [[*i.atoms, i.low, i.high] for i in box]} for box in self.boxes]

    @staticmethod
    def from_json(boxes: list[dict[str, list[list[float]]]]) -> "State":
        return State(
            tuple(
                tuple(Interval((int(t[0]), int(t[1]), int(t[2]), int(t[3])), float(t[4]), float(t[5])) for t in box["torsions"])
                for box in boxes
            )
        )


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
    if any(_meet(p, q) for p in a.boxes for q in b.boxes):
        raise SpacetimeError("the states A and B overlap; narrow the range of a torsion that differs between them")


def separating(a: State, b: State, atoms: tuple[tuple[int, int, int, int], ...]) -> list[int]:
    """Indices of the torsions (given by their atoms) that every path from a to b turns: each box bounds them, and no range in a meets one
    in b but at an end."""
    found = []
    for index, four in enumerate(atoms):
        in_a, in_b = ([[i for i in box if i.atoms == four] for box in state.boxes] for state in (a, b))
        apart = not any(_overlap(i, j) for p in in_a for i in p for q in in_b for j in q)
        if apart and all(in_a) and all(in_b):
            found.append(index)
    return found


def _overlap(i: Interval, j: Interval) -> bool:
    """Whether two ranges share more than an end: then one of them begins in the other."""
    beyond = 1e-6
    return bool(i.holds(j.low + beyond) or j.holds(i.low + beyond))


def _meet(p: Box, q: Box) -> bool:
    """Whether two boxes share a point. Boxes that bound different torsions always do."""
    for i in p:
        for j in q:
            ends_apart = not (i.holds(j.low) or i.holds(j.high) or j.holds(i.low) or j.holds(i.high))
            if i.atoms == j.atoms and ends_apart:
                return False
    return True


def around(torsions: Torsions, here: np.ndarray, there: np.ndarray, *, width: float) -> State:
    """The default state of a structure: each torsion within `width` degrees of its value, less where the other end comes closer.

    here, there: angles (n,) in radians of this end and of the other.
    """
    intervals = []
    for atoms, angle, other in zip(torsions.atoms, np.degrees(here), np.degrees(there), strict=True):
        gap = abs((other - angle + 180.0) % 360.0 - 180.0)
        half = min(width, 0.4 * gap)
        low, high = ((angle + shift + 180.0) % 360.0 - 180.0 for shift in (-half, half))
        intervals.append(Interval(atoms, round(float(low), 3), round(float(high), 3)))
    return State((tuple(intervals),))
