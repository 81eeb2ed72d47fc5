"""A molecule as the kinds of coordinates see it: what its atoms are called and bonded to, and where they are in two structures."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Annotated

import numpy as np
from pydantic import Field

from spacetime_tps.errors import SpacetimeError

Cell = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""Box vectors in OpenMM's reduced form, nm"""
FIT = "A-Za-z0-9_.'-"
"""Characters of a coordinate's name: it becomes part of file names"""
Name = Annotated[str, Field(pattern=f"^[{FIT}]+$")]
"""Of a coordinate in system.yaml"""
Select = Callable[[str], tuple[int, ...]]
"""From a selection of atoms to their indices, ascending. It raises SpacetimeError for what is none, and where it selects no atom"""


@dataclass(frozen=True)
class Atom:
    """What a PDB file says of an atom."""

    name: str
    residue: str
    """Name of its residue"""
    number: str
    """Of its residue"""
    element: str
    """Symbol; empty for a particle of none"""

    @property
    def tag(self) -> str:
        """Residue number and atom name."""
        return f"{self.number}.{self.name}"


def named(after: Iterable[str]) -> tuple[str, ...]:
    """Names of coordinates after what files call atoms: other characters become _, and a second one of a name gets a number."""
    found: list[str] = []
    for text in after:
        name = re.sub(f"[^{FIT}]", "_", text)
        found.append(next(n for n in chain((name,), (f"{name}_{k}" for k in count(2))) if n not in found))
    return tuple(found)


@dataclass(frozen=True)
class Molecule:
    """Atoms, bonds between their indices, and the two structures between which coordinates are looked for."""

    atoms: tuple[Atom, ...]
    bonds: tuple[tuple[int, int], ...]
    start: np.ndarray
    """(atoms, 3) in nm"""
    end: np.ndarray
    """(atoms, 3) in nm"""
    cell: Cell | None
    """Of a periodic system"""
    select: Select

    def chosen(self, labels: Sequence[str] | None) -> tuple[int, ...]:
        """Indices of the atoms with these labels; of all but hydrogen where there are none. Raises SpacetimeError for an unknown label."""
        if labels is None:
            return tuple(k for k, atom in enumerate(self.atoms) if atom.element != "H")
        return tuple(index_of(label, self.atoms) for label in labels)


def index_of(label: str, atoms: Sequence[Atom]) -> int:
    """Index of the atom written 'RESIDUE_NUMBER:ATOM_NAME', as in '2:CA'. Raises SpacetimeError where there is none."""
    for index, atom in enumerate(atoms):
        if f"{atom.number}:{atom.name}" == label:
            return index
    raise SpacetimeError(f"there is no atom {label!r} (residue number:atom name) in the molecule")
