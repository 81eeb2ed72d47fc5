"""A distance from a structure, after superposition."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from spacetime_tps.coordinates.boxes import rmsd_entry
from spacetime_tps.coordinates.lengths import PER_NM
from spacetime_tps.coordinates.molecule import Cell, Molecule
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.states.protocol import Condition, Definition, Read

STRUCTURES = {"start": "start.pdb", "end": "end.pdb"}
"""Files of a run that an RMSD is from"""


class RmsdDefinition(Definition):
    """A distance from one of the two structures after superposition."""

    to: Literal["start", "end"]
    atoms: tuple[str, ...] | None = Field(None, min_length=1)
    """'residue number:atom name'; all but hydrogen where it is left out"""
    max_nm: float | None = Field(None, gt=0)
    min_nm: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _bounded(self) -> "RmsdDefinition":
        if self.max_nm is None and self.min_nm is None:
            raise ValueError("an rmsd wants max_nm or min_nm")
        if self.max_nm is not None and self.min_nm is not None and self.min_nm >= self.max_nm:
            raise ValueError(f"nothing is from {self.min_nm:g} to {self.max_nm:g} nm: min_nm must be below max_nm")
        return self

    def entry(self, molecule: Molecule) -> dict[str, Any]:
        """As Definition.entry."""
        return rmsd_entry(STRUCTURES[self.to], molecule.chosen(self.atoms), max_nm=self.max_nm, min_nm=self.min_nm)


@dataclass(frozen=True)
class RmsdRange:
    """The root mean square distance of some atoms from a structure, after superposition, from `low` to `high` nm."""

    file: str
    """The structure, in the run folder"""
    atoms: tuple[int, ...]
    reference: tuple[tuple[float, float, float], ...]
    """Of those atoms, nm"""
    high: float
    low: float = 0.0

    key, listed, definition = "rmsd", False, RmsdDefinition

    @staticmethod
    def of_entry(entry: Any, cell: Cell | None, read: Read) -> "list[RmsdRange]":
        """Of {"file", "atoms", "max_nm" or "min_nm" or both}."""
        atoms = tuple(int(a) for a in entry["atoms"])
        x = read(entry["file"])[np.array(atoms)]
        reference = tuple((float(p[0]), float(p[1]), float(p[2])) for p in x)
        return [RmsdRange(entry["file"], atoms, reference, float(entry.get("max_nm", np.inf)), float(entry.get("min_nm", 0.0)))]

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3): bool (...)."""
        found = rmsd(np.asarray(positions)[..., np.array(self.atoms), :], np.array(self.reference))
        return np.asarray((found >= self.low) & (found <= self.high))

    def to_json(self) -> dict[str, Any]:
        return rmsd_entry(self.file, self.atoms, max_nm=self.high if np.isfinite(self.high) else None, min_nm=self.low or None)

    def wider(self, margin: float) -> "RmsdRange":
        return replace(self, low=max(self.low - margin / PER_NM, 0.0), high=self.high + margin / PER_NM)

    def apart(self, other: Condition) -> bool:
        """Whether the other is about the same atoms, and the triangle inequality lets not both hold."""
        if not isinstance(other, RmsdRange) or other.atoms != self.atoms:
            return False
        between = float(rmsd(np.array(self.reference), np.array(other.reference)))
        return between > self.high + other.high or self.low > between + other.high or other.low > between + self.high
