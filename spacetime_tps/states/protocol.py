"""What the rest of the package asks of a state: which frames are in it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from spacetime_tps.coordinates.molecule import Cell, Molecule
from spacetime_tps.validation import StrictModel

Read = Callable[[str], np.ndarray]
"""Positions (atoms, 3), nm, of a structure file named in states.json"""


class Condition(Protocol):
    """One condition on a frame. Implementations are frozen; their classes stand in `states.state.CONDITIONS`."""

    @property
    def key(self) -> str:
        """Of its entry in a box of states.json."""

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3) in nm: bool (...)."""

    def to_json(self) -> Any:
        """Its entry, or one item of it where a box can hold several of its kind."""

    def wider(self, margin: float) -> "Condition":
        """The condition with a margin on either side, in the unit of the coordinates' values: radians, 0.1 nm or their own."""

    def apart(self, other: "Condition") -> bool:
        """Whether no frame can meet this condition and another one; False where that cannot be told."""


class Definition(StrictModel, ABC):
    """What a user writes in system.yaml for a condition that has a key of its own there."""

    @abstractmethod
    def entry(self, molecule: Molecule) -> Any:
        """What a box of states.json holds for it. Raises SpacetimeError for atoms that there are not."""


class ConditionKind(Protocol):
    """A class of conditions: how they are read, from what a user writes and from a run folder."""

    @property
    def key(self) -> str:
        """Of its entry in a box of states.json."""

    @property
    def listed(self) -> bool:
        """Whether that entry is a list of such conditions; else it is one alone, and no list."""

    @property
    def definition(self) -> type[Definition] | None:
        """Of its entry under its key in system.yaml; None where the names of coordinates stand there, with two limits."""

    def of_entry(self, entry: Any, cell: Cell | None, read: Read) -> Sequence[Condition]:
        """The conditions of an entry of states.json."""
