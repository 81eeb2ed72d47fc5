"""The free rotor as a molecule with two states, and its transitions through 180 degrees: a chain's exact reference, in a second."""

import numpy as np
from openmm import app

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Model, Walk
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.problem import Problem
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.states.transitions import transitions
from spacetime_tps.trajectories.frames import Frames

FOUR, STRIDE = (0, 1, 2, 3), 25
A, B = (State(((TorsionRange(FOUR, low, low + 60.0),),)) for low in (-100.0, 40.0))


def turning_rotor(model: Model, torsions: Torsions, positions: np.ndarray) -> Problem:
    topology = app.Topology()
    residue = topology.addResidue("ROT", topology.addChain())
    for index in range(4):
        topology.addAtom(f"C{index}", app.element.carbon, residue)
    structure = Structure(topology, positions)
    return Problem(model, torsions, structure, structure, A, B, 0.0, 1.0, 0, True)


def transitions_through_180(problem: Problem) -> list[Frames]:
    """Cut from a long trajectory."""
    walk = Walk(None, FREE, 1_000_000, STRIDE, seed=3, positions=problem.start.positions)
    found = transitions(Dynamics(problem.model).walk(walk), A, B)[0]
    return [p for p in found if len(p) > 2 and (np.cos(problem.coordinates.values(p.positions[1:-1])) < 0.5).all()]
