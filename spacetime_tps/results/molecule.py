"""The molecule of a run, as other tools take it."""

from functools import cached_property
from pathlib import Path

import mdtraj
import numpy as np

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.report.data import RunData
from spacetime_tps.states.state import END, START, State, states_of


class Molecule:
    """Topology, cell and states from a run folder."""

    def __init__(self, run: RunData):
        self._run = run

    @property
    def topology_file(self) -> Path:
        """topology.pdb"""
        return self._run.folder / "topology.pdb"

    @cached_property
    def topology(self) -> mdtraj.Topology:
        """For MDTraj."""
        return mdtraj.load_topology(str(self.topology_file))

    @property
    def cell(self) -> Cell | None:
        """Box vectors, nm; None where nothing is periodic."""
        return self._run.cell

    @cached_property
    def states(self) -> tuple[State, State]:
        """A and B."""
        start, end = (self._run.structure(name).positions for name in (START, END))
        return states_of(self._run.states, cell=self.cell, start=start, end=end)

    def trajectory(self, positions: np.ndarray, times: np.ndarray | None = None) -> mdtraj.Trajectory:
        """Of positions (F, atoms, 3), nm, at times (F,), ps; their numbers where None."""
        found = mdtraj.Trajectory(positions, self.topology, time=times)
        if self.cell is not None:
            found.unitcell_vectors = np.repeat(np.array(self.cell)[None], len(positions), axis=0)
        return found
