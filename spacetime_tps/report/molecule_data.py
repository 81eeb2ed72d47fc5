"""What the report shows in three dimensions: frames of one path and transition states, without solvent, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spacetime_tps.coordinates.superposition import rotation
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.structure import atoms_of
from spacetime_tps.paths.representative import representative
from spacetime_tps.paths.transition import Transition, read_transitions, table_of
from spacetime_tps.report.data import RunData
from spacetime_tps.unbiased.ensemble import STATES

MOST_FRAMES, MOST_STATES = 40, 10
MOST_PLACES = 40_000
"""Atoms of all frames together: some 0.7 MB of JSON"""
PER_NM = 1000
"""0.01 Å, in which coordinates are whole numbers"""
TO_TURN = 3
"""Atoms that a superposition needs"""


@dataclass(frozen=True)
class Shown:
    """One path of a run, thinned, with its solvent left out."""

    row: Transition
    chosen: str
    """Why this path, in a clause"""
    elements: list[str]
    bonds: list[list[int]]
    """Of each atom, the atoms that it is bonded to"""
    frames: np.ndarray
    """(F,) of the path's frames, from 0"""
    positions: np.ndarray
    """(F, atoms, 3), nm; superposed on the first where `superposed`"""
    times: np.ndarray
    """(F,) ps"""
    energies: np.ndarray
    """(F,) kJ/mol above start.pdb"""
    states: np.ndarray
    """(S, atoms, 3), nm: transition states, as `positions`"""
    every_state: int
    """How many transition states the run has"""
    superposed: bool
    solvent: bool
    """Whether there is any, left out"""

    def plain(self, colour: str) -> dict[str, Any]:
        """For the script; coordinates in 0.01 Å, transition states in a colour."""
        places, states = (
            np.rint(PER_NM * x).astype(int).reshape(len(x), 3 * len(self.elements)).tolist() for x in (self.positions, self.states)
        )
        return {
            "elements": self.elements, "bonds": self.bonds, "frames": places, "transition_states": states, "colour": colour,
            "times_ps": self.times.round(4).tolist(), "energies_kj_mol": self.energies.round(2).tolist(),
            "highest": int(self.energies.argmax()),
        }  # fmt: skip


def shown(run: RunData) -> Shown | None:
    """None where no path connects, or the molecule is too large for two frames of it."""
    found = representative(read_transitions(run.storage))
    topology = run.structure("topology.pdb").topology
    every = int(topology.getNumAtoms())
    size = solute_size(topology) or every
    most = min(MOST_FRAMES, MOST_PLACES // size)
    if found is None or most < 2:
        return None
    row, chosen = found
    elements = [atom.element or "X" for atom in atoms_of(topology)][:size]
    path = run.storage.frames(row.file)[0][:, :size].astype(float)
    states = run.storage.frames(STATES)[0][:, :size].astype(float) if run.storage.has(STATES) else path[:0]
    frames, some = evenly(len(path), most), evenly(len(states), min(MOST_STATES, MOST_PLACES // size // 4))
    superposed = run.cell is None or size < every  # a fluid has no orientation, and its atoms pass the walls
    placed = [onto(x, path[0], elements) if superposed else x for x in (path[frames], states[some])]
    table = run.columns(table_of(row.file))
    return Shown(
        row, chosen, elements, _bonds(topology, size), frames, placed[0], table["time_ps"][frames].astype(float),
        table["potential_energy_kj_mol"][frames].astype(float), placed[1], len(states), superposed, size < every,
    )  # fmt: skip


def evenly(count: int, most: int) -> np.ndarray:
    """Numbers of at most so many of `count` things, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _bonds(topology: Any, size: int) -> list[list[int]]:
    bonds: list[list[int]] = [[] for _ in range(size)]
    for one, other in ((bond[0].index, bond[1].index) for bond in topology.bonds()):
        if max(one, other) < size:
            bonds[one].append(other)
            bonds[other].append(one)
    return bonds


def onto(positions: np.ndarray, reference: np.ndarray, elements: Sequence[str]) -> np.ndarray:
    """Frames (F, atoms, 3) moved and turned as a whole so that their heavy atoms, or all where those are few, are nearest to the reference's."""
    heavy = [k for k, element in enumerate(elements) if element != "H"]
    by = heavy if len(heavy) >= TO_TURN else list(range(len(elements)))
    center = positions[:, by].mean(axis=1, keepdims=True)
    turn = rotation(positions[:, by], reference[by]) if len(by) >= TO_TURN else np.broadcast_to(np.eye(3), (len(positions), 3, 3))
    return np.asarray((positions - center) @ turn + reference[by].mean(axis=0))
