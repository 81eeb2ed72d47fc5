"""What a system says of its molecule, or leaves to be found from the two ends: coordinates and states."""

from typing import Any

from spacetime_tps.coordinates.automatic import AUTO, Choice, automatic
from spacetime_tps.coordinates.boxes import together
from spacetime_tps.coordinates.molecule import Cell, Molecule
from spacetime_tps.coordinates.protocol import Boxes, Coordinates
from spacetime_tps.coordinates.registry import KINDS, joined
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.system import Range, SystemSpec
from spacetime_tps.states.around import states_around
from spacetime_tps.states.protocol import Definition
from spacetime_tps.states.state import State, states_of


def coordinates_for(spec: SystemSpec, molecule: Molecule, *, periodic: bool) -> Choice:
    """The blocks that a system names, or those found from the two structures. Raises SpacetimeError for positions in a periodic box."""
    kinds = spec.coordinates or tuple(dict.fromkeys((*spec.defined, *spec.selections))) or (AUTO,)
    if kinds == (AUTO,):
        found = automatic(molecule)
        choice = Choice(found.coordinates, f"{found.because} (--coordinates chooses others)")
    else:
        blocks = joined([_block(spec, kind, molecule) for kind in kinds])
        choice = Choice(blocks, blocks.told)
    if choice.coordinates.frame is not None and periodic:
        raise SpacetimeError(
            f"coordinates: {choice.because}; but positions cannot be held in a periodic box, which cannot turn with the molecule: choose "
            "torsions or distances by --coordinates"
        )
    return choice


def _block(spec: SystemSpec, kind: str, molecule: Molecule) -> Coordinates:
    selection = spec.selections.get(kind)
    return KINDS[kind].of_molecule(spec.defined.get(kind), molecule) if selection is None else KINDS[kind].of_selection(selection, molecule)


def boxes_for(spec: SystemSpec, molecule: Molecule) -> dict[str, Boxes]:
    """A and B as states.json has them; nothing where the system leaves them open."""
    blocks = [KINDS[kind].of_molecule(definition, molecule) for kind, definition in spec.defined.items()]
    named = joined(blocks) if blocks else None

    def condition(state: str, key: str, limits: Range | Definition) -> dict[str, Any]:
        if isinstance(limits, Definition):
            return {key: limits.entry(molecule)}
        if named is None or key not in named.names:
            raise SpacetimeError(f"state {state} bounds {key!r}, which is not one of the named coordinates")
        return named.condition(key, *limits)

    return {
        state: [together(condition(state, key, limits) for key, limits in box.items()) for box in boxes]
        for state, boxes in (spec.states or {}).items()
    }


def states_for(
    boxes: dict[str, Boxes], coordinates: Coordinates, start: Structure, end: Structure, cell: Cell | None
) -> tuple[State, State]:
    """A and B of these boxes; around the two ends where there are none."""
    if not boxes:
        return states_around(coordinates, start.positions, end.positions, cell=cell)
    return states_of(boxes, cell=cell, start=start.positions, end=end.positions)
