"""Positions of some atoms, superposed on a reference: T = (x - reference, its square), in 0.1 nm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from spacetime_tps.coordinates.boxes import rmsd_entry
from spacetime_tps.coordinates.lengths import PER_NM, Lengths, length
from spacetime_tps.coordinates.molecule import Molecule, named
from spacetime_tps.coordinates.naming import listed
from spacetime_tps.coordinates.protocol import WELL_BEFORE, Boxes, HeldFrame, Term
from spacetime_tps.coordinates.superposition import rmsd, superposed
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.windows.protocol import Variable

if TYPE_CHECKING:
    from spacetime_tps.geometry.families.protocol import Family

CHANGED = 0.3
"""0.1 nm, root mean square over atoms"""
FLAT = 0.005
"""nm, root mean square from a line within which atoms have no orientation about it"""


@dataclass(frozen=True)
class Positions(Lengths):
    """Displacements of n atoms from a reference on which they are superposed (geometry.families.Cartesian).

    A restraint that acts on positions in the laboratory turns with the molecule only if the molecule's orientation is part of the model:
    while a restraint acts, orientation and centre of the atoms are held as in the reference (`frame`), which changes the distribution of
    nothing inside the molecule. Frames that were not held are superposed first.
    """

    labels: tuple[str, ...]
    """One an atom"""
    atoms: tuple[int, ...]
    reference: tuple[tuple[float, float, float], ...]
    """nm"""

    kind = "positions"
    definition: ClassVar[Any] = Annotated[tuple[str, ...], Field(min_length=1)]
    """Atoms, each 'residue number:atom name'"""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{label}_{axis}" for label in self.labels for axis in "xyz")

    @property
    def dimension(self) -> int:
        return 3 * len(self.atoms) + 1

    @property
    def bounded(self) -> np.ndarray:
        return np.zeros(3 * len(self.atoms), dtype=bool)

    @property
    def terms(self) -> tuple[Term, ...]:
        apart = tuple(f"{PER_NM!r}*({axis}-{axis}0)" for axis in "xyz")
        square = "+".join(f"({part})^2" for part in apart)
        found = []
        for k, (atom, place) in enumerate(zip(self.atoms, self.reference, strict=True)):
            features = (3 * k, 3 * k + 1, 3 * k + 2, 3 * len(self.atoms))
            found.append(Term((atom,), features, (*apart, square), tuple(zip(("x0", "y0", "z0"), place, strict=True))))
        return tuple(found)

    @property
    def frame(self) -> HeldFrame | None:
        return HeldFrame(self.atoms, self.reference)

    def family(self) -> "Family":
        """Gaussian noise."""
        from spacetime_tps.geometry.families.cartesian import Cartesian

        return Cartesian(3 * len(self.atoms))

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Displacements (..., 3n) in 0.1 nm, of positions (..., atoms, 3)."""
        reference = np.array(self.reference)
        apart = superposed(np.asarray(positions)[..., np.array(self.atoms), :], reference) - reference
        return np.asarray(PER_NM * apart.reshape(*apart.shape[:-2], 3 * len(self.atoms)))

    def held_features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., 3n+1) of frames where they stand, not superposed: a held molecule still rocks a little."""
        apart = PER_NM * (np.asarray(positions, dtype=float)[..., np.array(self.atoms), :] - np.array(self.reference))
        found = apart.reshape(*apart.shape[:-2], 3 * len(self.atoms))
        return np.concatenate([found, (found**2).sum(-1, keepdims=True)], axis=-1)

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether the atoms are `CHANGED` apart."""
        return bool(np.sqrt(((b - a) ** 2).sum() / len(self.atoms)) > CHANGED)

    def variable(self, name: str) -> Variable:
        """The displacement, one entry of T."""
        return length(name, self.names)

    def separating(self, a: Boxes, b: Boxes) -> tuple[Variable, ...]:
        """None: states by RMSD bound no single displacement."""
        return ()

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        """Within some RMSD of the structure."""
        x, y = (np.asarray(p)[np.array(self.atoms)] for p in (here, there))
        apart = separation(x, y)
        return {} if apart is None else {"rmsd": rmsd_entry(file, self.atoms, max_nm=round(WELL_BEFORE * apart, 4))}

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        """None: raises SpacetimeError."""
        raise SpacetimeError(f"no range can bound {name!r}: give an rmsd, which is of all superposed positions at once")

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        """No box bounds a single displacement."""
        return [None] * (3 * len(self.atoms))

    @property
    def told(self) -> str:
        return f"{self.kind} {listed(self.labels)}"

    def to_json(self) -> list[dict[str, Any]]:
        return [{"kind": self.kind, "labels": [*self.labels], "atoms": [*self.atoms], "reference_nm": [[*r] for r in self.reference]}]

    @staticmethod
    def of_selection(selection: str, molecule: Molecule) -> "Positions":
        """Of the atoms of a selection. Raises SpacetimeError as `of_molecule`."""
        return Positions.of_atoms(molecule.select(selection), molecule, f"{selection!r} selects")

    @staticmethod
    def of_molecule(definition: tuple[str, ...] | None, molecule: Molecule) -> "Positions":
        """Of atoms with these labels, or of all but hydrogen. Raises SpacetimeError where they are too few to superpose."""
        return Positions.of_atoms(molecule.chosen(definition), molecule, "these are")

    @staticmethod
    def of_atoms(atoms: tuple[int, ...], molecule: Molecule, which: str) -> "Positions":
        """Of atoms, with the reference halfway, so that displacements of both ends are alike. Raises SpacetimeError where they cannot be
        superposed on; `which`: what says so, with a verb."""
        if len(atoms) < 3 or any(_on_a_line(x[[*atoms]]) for x in (molecule.start, molecule.end)):
            what = f"{len(atoms)} atom{'s' if len(atoms) > 1 else ''}" if len(atoms) < 3 else "atoms on a line"
            raise SpacetimeError(f"positions want three atoms that are not on a line to be superposed on, and {which} {what}")
        here = molecule.start[[*atoms]]
        middle = 0.5 * (here + superposed(molecule.end[[*atoms]], here))
        return Positions(named(molecule.atoms[k].tag for k in atoms), atoms, tuple((float(x), float(y), float(z)) for x, y, z in middle))

    @staticmethod
    def from_json(block: dict[str, Any], cell: object) -> "Positions":
        """The inverse of `to_json`."""
        reference = tuple((float(r[0]), float(r[1]), float(r[2])) for r in block["reference_nm"])
        return Positions(tuple(block["labels"]), tuple(int(a) for a in block["atoms"]), reference)


def separation(here: np.ndarray, there: np.ndarray) -> float | None:
    """RMSD, nm, between atoms (n, 3) of two structures after superposition; None where that is no more than `CHANGED`, which is none."""
    apart = float(rmsd(there, here))
    return apart if apart * PER_NM > CHANGED else None


def _on_a_line(positions: np.ndarray) -> bool:
    """Whether atoms (n, 3) in nm are, within `FLAT`."""
    spread = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(spread[1] < FLAT * np.sqrt(len(positions)))
