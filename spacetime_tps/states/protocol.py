"""What the rest of the package asks of a state: which frames are in it."""

from typing import Any, Protocol

import numpy as np


class Condition(Protocol):
    """One condition on a frame. Implementations are frozen, and stand in `states.state.CONDITIONS` by their key in states.json."""

    @property
    def key(self) -> str:
        """Of its entry in a box of states.json."""

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """For positions (..., atoms, 3) in nm: bool (...)."""

    def to_json(self) -> Any:
        """Its entry, or one item of it where a box can hold several of its kind."""

    def wider(self, margin: float) -> "Condition":
        """The condition with a margin on either side, radians or 0.1 nm."""

    def apart(self, other: "Condition") -> bool:
        """Whether no frame can meet this condition and another one; False where that cannot be told."""
