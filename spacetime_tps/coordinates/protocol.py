"""What the rest of the package asks of coordinates: features of frames, their exponential family, ways from A to B, and OpenMM terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from spacetime_tps.coordinates.molecule import Cell, Molecule
from spacetime_tps.windows.protocol import Variable

if TYPE_CHECKING:
    from spacetime_tps.geometry.families.protocol import Family


Boxes = Sequence[dict[str, Any]]
"""The boxes of a state as states.json has them"""
WELL_BEFORE = 0.4
"""Share of the way to the other structure that belongs to a default state"""


@dataclass(frozen=True)
class Term:
    """Some features as expressions of one group of atoms, in the variables of OpenMM's custom forces.

    Four atoms: theta, radians; three: theta, the angle; two: r, nm; one: x, y, z, nm. Further names are those of `constants`. In a periodic
    cell the engine takes the nearest images of two atoms and more (`nearest.nearest_image`), and so must `values`.
    """

    atoms: tuple[int, ...]
    features: tuple[int, ...]
    """Which entries of T the expressions belong to. Several terms may add to one entry."""
    expressions: tuple[str, ...]
    constants: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class HeldFrame:
    """A frame of reference: where and how a group of atoms is held while features are not invariant to rotations.

    Its atoms have equal weight, as in superposition (`superposition.centre`).
    """

    atoms: tuple[int, ...]
    reference: tuple[tuple[float, float, float], ...]
    """nm, one a held atom"""


@dataclass(frozen=True)
class Way:
    """One way from a to b: a class of curves that no continuous change turns into another."""

    name: str
    change: np.ndarray
    """(D,) what is added to a's values on the straight line of this way"""


class Coordinates(Protocol):
    """A smooth feature map of the atoms, and all that anybody has to know of its kind.

    The denoising distributions are p_eta(x) ~ exp(-U(x)/kT + eta . T(x)), with T = `features`. Implementations are frozen and hashable,
    and their classes stand in `coordinates.registry.KINDS`.
    """

    @property
    def kind(self) -> str:
        """Its key in system.yaml and coordinates.json."""

    @property
    def names(self) -> tuple[str, ...]:
        """One a value: D of them. Made of characters that file names may have."""

    @property
    def unit(self) -> tuple[str, ...]:
        """Of each value as people read and write it (D,): 'degrees' where it wraps, 'nm' for lengths, or one of its own. Names of columns
        end in it: 'per_nm', not '1/nm'."""

    @property
    def scale(self) -> np.ndarray:
        """(D,) what values are multiplied by to be in their `unit`."""

    @property
    def dimension(self) -> int:
        """E, the length of T and eta."""

    @property
    def angular(self) -> np.ndarray:
        """(D,) bool: which values wrap at 2 pi."""

    @property
    def bounded(self) -> np.ndarray:
        """(D,) bool: which values a range can bound (`condition`)."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """T as OpenMM expressions."""

    @property
    def frame(self) -> HeldFrame | None:
        """What the engine holds while the terms act; None where T is invariant by itself."""

    def family(self) -> "Family":
        """The exponential family of T, with `angular` as here."""

    def values(self, positions: np.ndarray) -> np.ndarray:
        """(..., D) of positions (..., atoms, 3) in nm: radians, 0.1 nm, or else about as large as thermal motion. `scale` makes them
        what people read."""

    def features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., E) of positions (..., atoms, 3) in nm."""

    def held_features(self, positions: np.ndarray) -> np.ndarray:
        """T (..., E) of frames that the engine holds in `frame`, as `terms` see them; `features` where nothing is held."""

    def ways(self, a: np.ndarray, b: np.ndarray, limit: int) -> list[Way]:
        """At most `limit` ways from values a (D,) to b (D,), the shortest first."""

    def way_of(self, path: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
        """The name of the way that values (F, D) along a path take from a state about a (D,) to one about b (D,)."""

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether values a and b (D,) are so far apart that they belong to different minima."""

    def variable(self, name: str) -> Variable:
        """The value `name` alone, as a scalar that a window may hold."""

    def separating(self, a: Boxes, b: Boxes) -> tuple[Variable, ...]:
        """Those of the D values, each as `variable` has it, by which two states, boxes as in states.json, are told apart wherever a path
        crosses: it has to pass between."""

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        """The default state about a structure `here` (atoms, 3), as a box of states.json; `there` is the other one, `file` the name of
        here's file. It ends at WELL_BEFORE of the way there at most; empty where nothing changes enough."""

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        """What a box of states.json holds where system.yaml bounds the value `name`, both in its unit.

        Raises SpacetimeError where no condition bounds it, and for a range that is none.
        """

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        """For each of D values the range that a box of states.json sets, in its unit; None where it sets none."""

    @property
    def told(self) -> str:
        """What they are, as part of a sentence: 'torsions phi and psi'."""

    def to_json(self) -> list[dict[str, Any]]:
        """Its blocks as plain data, for coordinates.json."""


class Kind(Protocol):
    """A class of coordinates: how they are read, from what a user writes and from a run folder."""

    @property
    def kind(self) -> str:
        """Its key in system.yaml and coordinates.json."""

    @property
    def definition(self) -> Any:
        """The type of its entry in system.yaml, which pydantic checks; an entry that is text is a selection, and none of its business."""

    def of_molecule(self, definition: Any, molecule: Molecule) -> Coordinates:
        """As the entry says, or, where it is None, as they are found from the two structures.

        Raises SpacetimeError for atoms that there are not, and where nothing is found.
        """

    def of_selection(self, selection: str, molecule: Molecule) -> Coordinates:
        """Of the atoms that words of MDAnalysis select (`Molecule.select`): system.yaml and --coordinates may have them for the entry.

        Raises SpacetimeError for words that are none, and where nothing of the kind is found.
        """

    def from_json(self, block: dict[str, Any], cell: Cell | None) -> Coordinates:
        """The inverse of `Coordinates.to_json`, from one block; the cell is the system's."""
