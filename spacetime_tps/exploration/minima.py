"""Minima between A and B that sampled frames fall into, each once however often symmetry repeats it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.distances import distance
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.exploration.forbidden import ForbiddenRegion
from spacetime_tps.geometry.farthest import farthest
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.problems.problem import GRADIENT_TOLERANCE, Problem

ALIKE_ENERGY, ALIKE_DISTANCE = 0.5, 0.01
"""kJ/mol and nm within which two minima are the same but for the numbering of equal atoms"""
BLURRED = 2.0
"""Standard deviations: a floppy chain has a minimum within so many of wherever it is, which is no place to lead a route through"""
MOST_ATOMS = 40
"""Of the coordinates, beyond which no symmetry is looked for: pairs of pairs are compared"""


@dataclass(frozen=True)
class Intermediate:
    """A minimum that a route may lead through."""

    positions: np.ndarray
    """(atoms, 3), nm"""
    values: np.ndarray
    """(D,) of the coordinates"""
    energy: float
    """kJ/mol above start.pdb"""
    twins: int = 0
    """Further minima found that are this one with equal atoms renumbered, or its mirror image"""


def intermediates(
    problem: Problem,
    frames: np.ndarray,
    passed: np.ndarray,
    *,
    count: int,
    heat: float = 0.0,
    regions: Sequence[ForbiddenRegion] = (),
) -> tuple[list[Intermediate], int]:
    """The minima that `count` of the frames (F, atoms, 3) fall into, the lowest first, and the evaluations that it took to find them.

    The frames are those that lie farthest from the two ends and from each other in T. Left out are minima that differ by too little from a
    place in `passed` (P, D), values that known routes lead through, and those in one of the regions; heat: the variance of lengths in
    the ends, which blurs what lies nearer. A region breaks symmetry: where there are any, no two minima are one.
    """
    coordinates, potential = problem.coordinates, Potential(problem.model)
    known = coordinates.features(np.stack([problem.start.positions, problem.end.positions]))
    chosen = farthest(torch.from_numpy(coordinates.features(frames)), torch.from_numpy(known), count)
    found: list[Intermediate] = []
    for minimum in sorted(
        (minimise(potential, frames[k], tolerance=GRADIENT_TOLERANCE, moving=problem.moving) for k in chosen), key=lambda m: m.energy
    ):
        here = Intermediate(minimum.positions, coordinates.values(minimum.positions), minimum.energy - problem.zero)
        places = [*passed, *(m.values for m in found)]
        if not all(_apart(coordinates, place, here.values, heat) for place in places) or any(r.contains(here.positions) for r in regions):
            continue
        twin = next((k for k, other in enumerate(found) if not regions and _twins(problem, here, other)), None)
        if twin is None:
            found.append(here)
        else:
            found[twin] = replace(found[twin], twins=found[twin].twins + 1)
    return found, potential.evaluations


def _apart(coordinates: Coordinates, p: np.ndarray, q: np.ndarray, heat: float) -> bool:
    """Whether values p and q (D,) belong to different minima, and are not within `BLURRED` standard deviations of heat."""
    apart = difference(p, q, coordinates.angular)
    return coordinates.changed(p, q) and float(np.mean(apart**2)) > BLURRED**2 * heat


def _twins(problem: Problem, p: Intermediate, q: Intermediate) -> bool:
    """Whether two minima are alike, and lie alike to both ends, once equal atoms are renumbered.

    By the distances of each two of the coordinates' atoms in A, in the minimum and in B: the pairs of one must be those of the other in
    some order. Mirror images count as alike, which they are in energy and in motion.
    """
    atoms = sorted({atom for term in problem.coordinates.terms for atom in term.atoms})
    if abs(p.energy - q.energy) > ALIKE_ENERGY or len(atoms) > MOST_ATOMS:
        return False
    symbols = [atom.element for atom in molecule_of(problem.start, problem.end, problem.model.cell).atoms]
    pairs = np.array(list(combinations(atoms, 2)))
    ends = problem.start.positions, problem.end.positions
    table_p, table_q = (
        np.stack([distance(x, pairs, problem.model.cell) for x in (ends[0], m.positions, ends[1])], axis=-1) for m in (p, q)
    )
    kinds = [sorted((symbols[a], symbols[b])) for a, b in pairs]
    alike = np.array([[one == other for other in kinds] for one in kinds])
    apart = np.where(alike, np.abs(table_p[:, None] - table_q[None]).max(axis=-1), np.inf)
    cost = np.where(apart <= ALIKE_DISTANCE, 0.0, 1.0)
    return float(cost[linear_sum_assignment(cost)].sum()) == 0.0
