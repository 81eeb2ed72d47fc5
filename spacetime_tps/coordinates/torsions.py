"""Torsion coordinates: T = (cos, sin) of each, so that nothing wraps."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from spacetime_tps.coordinates.boxes import ranges
from spacetime_tps.coordinates.circle import difference, meet
from spacetime_tps.coordinates.molecule import Cell, Molecule, Name, named
from spacetime_tps.coordinates.naming import largest, listed
from spacetime_tps.coordinates.nearest import nearest_image
from spacetime_tps.coordinates.protocol import WELL_BEFORE, Boxes, HeldFrame, Term, Way
from spacetime_tps.coordinates.rotatable import Four, about_bonds, along_rings
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.protocol import Variable

if TYPE_CHECKING:
    from spacetime_tps.geometry.families.protocol import Family

CHANGED = np.radians(30.0)
"""A torsion that differs by more between the two ends is one that the transition turns"""
CLEARLY = f"by more than {np.degrees(CHANGED):.0f} degrees"
SAME = f"no torsion differs {CLEARLY} between the two structures: they are in the same state"
WIDTH = 45.0
"""Degrees either side of a torsion that belong to a default state, at most"""


@dataclass(frozen=True)
class Torsions:
    """n torsions of four atoms each. A restraint eta is a product of von Mises factors (geometry.families.VonMises)."""

    names: tuple[str, ...]
    atoms: tuple[Four, ...]
    closed: tuple[bool, ...] = ()
    """Which are inside a ring, where no torsion can turn all the way round; none where empty"""
    cell: Cell | None = None
    """Of a periodic system: the atoms of a torsion may be of several molecules"""

    kind = "torsions"
    definition: ClassVar[Any] = Annotated[dict[Name, tuple[str, str, str, str]], Field(min_length=1)]
    """name: four atoms, each 'residue number:atom name'"""

    @property
    def unit(self) -> tuple[str, ...]:
        return ("degrees",) * len(self.atoms)

    @property
    def scale(self) -> np.ndarray:
        return np.full(len(self.atoms), np.degrees(1.0))

    @property
    def dimension(self) -> int:
        return 2 * len(self.atoms)

    @property
    def angular(self) -> np.ndarray:
        return np.ones(len(self.atoms), dtype=bool)

    @property
    def bounded(self) -> np.ndarray:
        return np.ones(len(self.names), dtype=bool)

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(Term(four, (2 * k, 2 * k + 1), ("cos(theta)", "sin(theta)")) for k, four in enumerate(self.atoms))

    @property
    def frame(self) -> HeldFrame | None:
        return None

    def family(self) -> "Family":
        """Von Mises factors."""
        from spacetime_tps.geometry.families.von_mises import VonMises  # torch takes a second, which worker processes need not spend

        return VonMises(len(self.atoms))

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Torsions (..., n) in radians, in (-pi, pi], IUPAC sign, of positions (..., atoms, 3), by nearest images in a periodic cell."""
        p = np.asarray(positions, dtype=float)
        i, j, k, m = (p[..., column, :] for column in np.array(self.atoms).T)
        first, axis, last = (nearest_image(apart, self.cell) for apart in (j - i, k - j, m - k))
        left, right = np.cross(first, axis), np.cross(axis, last)
        sine = (np.cross(left, right) * axis).sum(-1) / np.linalg.norm(axis, axis=-1)
        return np.arctan2(sine, (left * right).sum(-1))

    def features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., 2n) = (cos, sin) per torsion, of positions (..., atoms, 3)."""
        angles = self.values(positions)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(*angles.shape[:-1], self.dimension)

    def held_features(self, positions: np.ndarray) -> np.ndarray:
        """The same: nothing is held."""
        return self.features(positions)

    def ways(self, a: np.ndarray, b: np.ndarray, limit: int) -> list[Way]:
        """The short way, then with torsions that change turned the other way round, those in rings left alone.

        All combinations while they are within `limit`, else one torsion at a time.
        """
        short = difference(a, b, self.angular)
        changed = np.flatnonzero(np.abs(short) > CHANGED)
        free = [k for k in changed if not (self.closed and self.closed[k])]
        sets = [set(c) for r in range(len(free) + 1) for c in itertools.combinations(free, r)]
        if len(sets) > limit:
            sets = [s for s in sets if len(s) <= 1][:limit]
        found = []
        for reversed_ in sets:
            change = short.copy()
            for k in reversed_:
                change[k] -= np.copysign(2 * np.pi, short[k])
            found.append(Way(self._name(change, changed), change))
        return found

    def way_of(self, path: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
        """As `ways` names it, and one that turns a torsion right round, though its ends are alike, after that too: paths have one name
        where their turns (`circle.winding`) are alike. Frames (F, n) must be close enough in time for no torsion to turn by half a circle
        between them.

        Both ends are taken to a and b the short way.
        """
        angles = np.unwrap(path, axis=0)
        change = angles[-1] - angles[0] + difference(a, angles[0], self.angular) - difference(b, angles[-1], self.angular)
        short = difference(a, b, self.angular)
        return self._name(change, np.flatnonzero((np.abs(short) > CHANGED) | (np.abs(change - short) > np.pi)))

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether any torsion differs by more than `CHANGED`."""
        return bool(np.abs(difference(a, b, self.angular)).max() > CHANGED)

    def variable(self, name: str) -> Variable:
        """The torsion as an angle."""
        k = self.names.index(name)
        return Angle(name, self.dimension, 2 * k, 2 * k + 1)

    def separating(self, a: Boxes, b: Boxes) -> tuple[Variable, ...]:
        """Torsions that every box bounds, with no range in a that meets one in b but at an end."""
        found: list[Variable] = []
        for k, four in enumerate(self.atoms):
            in_a, in_b = ([ranges(box, "torsions", four) for box in state] for state in (a, b))
            apart = not any(meet(i, j) for p in in_a for i in p for q in in_b for j in q)
            if apart and all(in_a) and all(in_b):
                found.append(self.variable(self.names[k]))
        return tuple(found)

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        """Ranges of the torsions that change."""
        values = self.values(here)
        change = difference(values, self.values(there), self.angular)
        found = []
        for k in np.flatnonzero(np.abs(change) > CHANGED).tolist():
            half = min(WIDTH, WELL_BEFORE * float(np.degrees(abs(change[k]))))
            low, high = ((float(np.degrees(values[k])) + shift + 180.0) % 360.0 - 180.0 for shift in (-half, half))
            found.append([*self.atoms[k], round(low, 3), round(high, 3)])
        return {"torsions": found} if found else {}

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        """A range of the torsion, degrees, that goes up from low to high. Raises SpacetimeError for one beyond 180 or of no width."""
        if not (-180.0 <= low <= 180.0 and -180.0 <= high <= 180.0):
            raise SpacetimeError(f"the range {name}={low:g}:{high:g} is not within -180 to 180 degrees")
        if low == high or (low, high) == (180.0, -180.0):
            raise SpacetimeError(f"the range {name}={low:g}:{high:g} is empty; {name}=-180:180 is the whole circle")
        return {"torsions": [[*self.atoms[self.names.index(name)], low, high]]}

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        """In degrees."""
        return [next(iter(ranges(box, "torsions", four)), None) for four in self.atoms]

    @property
    def told(self) -> str:
        return f"{self.kind} {listed(self.names)}"

    def to_json(self) -> list[dict[str, Any]]:
        return [{"kind": self.kind, "names": [*self.names], "atoms": [[*a] for a in self.atoms], "closed": [*self.closed]}]

    @staticmethod
    def of_selection(selection: str, molecule: Molecule) -> "Torsions":
        """Those about heavy-atom bonds of a selection."""
        return _within(molecule, selection)

    @staticmethod
    def of_molecule(definition: dict[str, tuple[str, str, str, str]] | None, molecule: Molecule) -> "Torsions":
        """Those that are named, four labels each; else, of those about heavy-atom bonds, those that differ by more than `CHANGED`: in no
        ring, or, where none of them does, in rings. Raises SpacetimeError when there is none."""
        if definition is not None:
            found = [molecule.chosen(labels) for labels in definition.values()]
            rings = [{four[1], four[2]} for four in along_rings(molecule)]
            closed = tuple({f[1], f[2]} in rings for f in found)
            return Torsions(tuple(definition), tuple((f[0], f[1], f[2], f[3]) for f in found), closed if any(closed) else (), molecule.cell)
        turning = turning_torsions(molecule)
        if turning is None:
            raise SpacetimeError(SAME)
        return turning

    @staticmethod
    def from_json(block: dict[str, Any], cell: Cell | None) -> "Torsions":
        """The inverse of `to_json`; the cell is the system's."""
        atoms = tuple((int(a[0]), int(a[1]), int(a[2]), int(a[3])) for a in block["atoms"])
        return Torsions(tuple(block["names"]), atoms, tuple(block.get("closed", ())), cell)

    def kept(self, which: Sequence[int]) -> "Torsions | None":
        """Some of them; None where there are none."""
        if not which:
            return None
        closed = tuple(self.closed[k] for k in which) if self.closed else ()
        return Torsions(tuple(self.names[k] for k in which), tuple(self.atoms[k] for k in which), closed, self.cell)

    def _name(self, change: np.ndarray, changed: np.ndarray) -> str:
        """The torsions that turn most, and by how many degrees."""
        most = changed[largest(change[changed])]
        return "_".join(f"{self.names[k]}{np.degrees(change[k]):+.0f}" for k in most) or "direct"


def rotatable_torsions(molecule: Molecule) -> Torsions:
    """One torsion about each heavy-atom bond that can turn."""
    found = about_bonds(molecule)
    return Torsions(_names(molecule, found), tuple(found), cell=molecule.cell)


def ring_torsions(molecule: Molecule) -> Torsions:
    """One torsion about each heavy-atom bond that is in a ring."""
    found = along_rings(molecule)
    return Torsions(_names(molecule, found), tuple(found), (True,) * len(found), molecule.cell)


def turning_torsions(molecule: Molecule) -> Torsions | None:
    """Those that differ by more than `CHANGED` between the two structures, in no ring, or, where none of them does, in rings."""
    for candidates in (rotatable_torsions(molecule), ring_torsions(molecule)):
        if candidates.atoms:
            kept = candidates.kept(np.flatnonzero(np.abs(torsion_changes(candidates, molecule)) > CHANGED).tolist())
            if kept is not None:
                return kept
    return None


def torsion_changes(torsions: Torsions, molecule: Molecule) -> np.ndarray:
    """(n,) radians, from start to end the short way."""
    return difference(torsions.values(molecule.start), torsions.values(molecule.end), torsions.angular)


def _within(molecule: Molecule, selection: str) -> Torsions:
    chosen = set(molecule.select(selection))
    free, rings = about_bonds(molecule), along_rings(molecule)
    found = [(four, four in rings) for four in [*free, *rings] if {four[1], four[2]} <= chosen]
    if not found:
        raise SpacetimeError(f"{selection!r} holds no bond between two atoms but hydrogen that a torsion is of")
    fours = [four for four, _ in found]
    return Torsions(_names(molecule, fours), tuple(fours), tuple(closed for _, closed in found), molecule.cell)


def _names(molecule: Molecule, fours: Sequence[Four]) -> tuple[str, ...]:
    """Of torsions after their bonds."""
    atoms = molecule.atoms
    return named(f"{atoms[j].residue}{atoms[j].number}_{atoms[j].name}_{atoms[k].name}" for _, j, k, _ in fours)
