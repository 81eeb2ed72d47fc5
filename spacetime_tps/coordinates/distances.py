"""Distance coordinates: T = (d_1, ..., d_m, sum of squares), in 0.1 nm."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from spacetime_tps.coordinates.boxes import ranges
from spacetime_tps.coordinates.lengths import PER_NM, Lengths, length
from spacetime_tps.coordinates.molecule import Cell, Molecule, Name, named
from spacetime_tps.coordinates.naming import listed
from spacetime_tps.coordinates.nearest import nearest_image
from spacetime_tps.coordinates.protocol import WELL_BEFORE, Boxes, HeldFrame, Term
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.windows.protocol import Variable

if TYPE_CHECKING:
    from spacetime_tps.geometry.families.protocol import Family

CHANGED = 0.5
"""0.1 nm: a distance that differs by more between the two ends is one that the transition changes"""
CLEARLY = f"by more than {CHANGED / PER_NM:g} nm"
MOST = 200
"""Distances that are followed, at most"""
FAR = 1000.0
"""nm: no limit"""


def distance(positions: np.ndarray, pairs: np.ndarray, cell: Cell | None) -> np.ndarray:
    """Distances (..., pairs) in nm of positions (..., atoms, 3); the nearest image where there is a periodic cell."""
    p = np.asarray(positions, dtype=float)
    apart = nearest_image(p[..., pairs[:, 1], :] - p[..., pairs[:, 0], :], cell)
    return np.asarray(np.linalg.norm(apart, axis=-1))


@dataclass(frozen=True)
class Distances(Lengths):
    """m distances between pairs of atoms, Gaussian noise with one precision for all (geometry.families.Cartesian)."""

    names: tuple[str, ...]
    atoms: tuple[tuple[int, int], ...]
    cell: Cell | None = None
    """Of a periodic system"""

    kind = "distances"
    definition: ClassVar[Any] = Annotated[dict[Name, tuple[str, str]], Field(min_length=1)]
    """name: two atoms, each 'residue number:atom name'"""

    @property
    def dimension(self) -> int:
        return len(self.atoms) + 1

    @property
    def bounded(self) -> np.ndarray:
        return np.ones(len(self.names), dtype=bool)

    @property
    def terms(self) -> tuple[Term, ...]:
        expressions = (f"{PER_NM!r}*r", f"{PER_NM**2!r}*r^2")
        return tuple(Term(pair, (k, len(self.atoms)), expressions) for k, pair in enumerate(self.atoms))

    @property
    def frame(self) -> HeldFrame | None:
        return None

    def family(self) -> "Family":
        """Gaussian noise."""
        from spacetime_tps.geometry.families.cartesian import Cartesian

        return Cartesian(len(self.atoms))

    def values(self, positions: np.ndarray) -> np.ndarray:
        """(..., m) in 0.1 nm, of positions (..., atoms, 3)."""
        return PER_NM * distance(positions, np.array(self.atoms), self.cell)

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether any distance differs by more than `CHANGED`."""
        return bool(np.abs(b - a).max() > CHANGED)

    def variable(self, name: str) -> Variable:
        """The distance, one entry of T."""
        return length(name, self.names)

    def separating(self, a: Boxes, b: Boxes) -> tuple[Variable, ...]:
        """Distances that every box bounds, with all ranges in a below all in b, or above."""
        found: list[Variable] = []
        for k, pair in enumerate(self.atoms):
            in_a, in_b = ([ranges(box, "distances", pair) for box in state] for state in (a, b))
            if all(in_a) and all(in_b):
                (a_low, a_high), (b_low, b_high) = (
                    (min(r[0] for box in state for r in box), max(r[1] for box in state for r in box)) for state in (in_a, in_b)
                )
                if a_high <= b_low or b_high <= a_low:
                    found.append(self.variable(self.names[k]))
        return tuple(found)

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        """Ranges of the distances that change, open on the far side."""
        values, other = self.values(here) / PER_NM, self.values(there) / PER_NM
        found = []
        for k in np.flatnonzero(np.abs(other - values) > CHANGED / PER_NM).tolist():
            edge = float(values[k] + WELL_BEFORE * (other[k] - values[k]))
            low, high = (0.0, edge) if other[k] > values[k] else (edge, FAR)
            found.append([*self.atoms[k], round(low, 4), round(high, 4)])
        return {"distances": found} if found else {}

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        """A range of the distance, nm. Raises SpacetimeError for one that holds no distance."""
        if not low < high or high <= 0.0:
            raise SpacetimeError(f"the range {name}={low:g}:{high:g} is empty; it goes up from one distance to another, in nm")
        return {"distances": [[*self.atoms[self.names.index(name)], low, high]]}

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        found = (ranges(box, "distances", pair) for pair in self.atoms)
        return [limits[0] if limits else None for limits in found]

    @property
    def told(self) -> str:
        return f"{self.kind} {listed(self.names)}"

    def to_json(self) -> list[dict[str, Any]]:
        return [{"kind": self.kind, "names": [*self.names], "atoms": [[*a] for a in self.atoms]}]

    @staticmethod
    def of_selection(selection: str, molecule: Molecule) -> "Distances":
        """Of all pairs of a selection, those whose distance differs by more than `CHANGED`. Raises SpacetimeError where there is none, or
        there are more than `MOST`."""
        if found := _changing(list(combinations(molecule.select(selection), 2)), molecule):
            return found
        raise SpacetimeError(f"no distance between two atoms of {selection!r} differs {CLEARLY} between the two structures")

    @staticmethod
    def of_molecule(definition: dict[str, tuple[str, str]] | None, molecule: Molecule) -> "Distances":
        """Those that are named, two labels each; else the bonded ones that differ. Raises SpacetimeError as `of_selection`."""
        if definition is not None:
            pairs = [molecule.chosen(labels) for labels in definition.values()]
            return Distances(tuple(definition), tuple((f[0], f[1]) for f in pairs), molecule.cell)
        if found := _changing([(min(pair), max(pair)) for pair in molecule.bonds], molecule):
            return found
        raise SpacetimeError(f"no bonded distance differs {CLEARLY} between the two structures: name the pairs in system.yaml")

    @staticmethod
    def from_json(block: dict[str, Any], cell: Cell | None) -> "Distances":
        """The inverse of `to_json`; the cell is the system's."""
        return Distances(tuple(block["names"]), tuple((int(a[0]), int(a[1])) for a in block["atoms"]), cell)


def _changing(pairs: list[tuple[int, int]], molecule: Molecule) -> "Distances | None":
    """Of pairs of atoms those whose distance differs; None where there is none. Raises SpacetimeError where there are more than `MOST`."""
    if not pairs:
        return None
    of = np.array(pairs)
    apart = np.abs(distance(molecule.end, of, molecule.cell) - distance(molecule.start, of, molecule.cell))
    keep = [pairs[k] for k in np.flatnonzero(apart > CHANGED / PER_NM)]
    if len(keep) > MOST:
        raise SpacetimeError(f"{len(keep)} distances differ {CLEARLY}, and {MOST} can be followed: select fewer atoms")
    names = named(f"d_{molecule.atoms[i].tag}_{molecule.atoms[j].tag}" for i, j in keep)
    return Distances(names, tuple(keep), molecule.cell) if keep else None
