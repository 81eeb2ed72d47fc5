"""Minima between A and B on cyclohexane, whose twist-boat there is six times: one is to be followed, and the others counted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hinge import hinge
from openmm import app

from spacetime_tps import Problem, load_system, prepare
from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.exploration.forbidden import Point
from spacetime_tps.exploration.minima import Intermediate, _apart, intermediates
from spacetime_tps.exploration.minima import _twins as twins
from spacetime_tps.geometry.farthest import farthest
from spacetime_tps.molecules.structure import Structure


@pytest.fixture(scope="module")
def problem() -> Problem:
    return prepare(load_system("cyclohexane"))


@pytest.fixture(scope="module")
def flat(problem: Problem) -> np.ndarray:
    """Rings about halfway between the two chairs, carbons up or down by 0.03 nm at random."""
    rng = np.random.default_rng(4)
    middle = 0.5 * (problem.start.positions + problem.end.positions)
    return np.asarray(middle + 0.03 * rng.standard_normal((40, *middle.shape)))


def test_twist_boats_are_found_once_and_their_twins_counted(problem: Problem, flat: np.ndarray) -> None:
    ends = np.stack(problem.ends)
    (found,), evaluations = intermediates(problem, flat, ends, count=24)
    assert np.sort(np.abs(np.degrees(found.values))) == pytest.approx([30, 30, 30, 30, 61, 61], abs=3)
    assert found.twins >= 2, "of five more"
    assert found.energy == pytest.approx(34.3, abs=0.3), "OPLS-AA"
    assert evaluations > 24
    assert intermediates(problem, flat, np.concatenate([ends, found.values[None]]), count=24)[0] != [], "its twins lie elsewhere"
    assert intermediates(problem, problem.start.positions[None], ends, count=24)[0] == []


def test_twins_are_alike_in_energy_and_to_both_ends(problem: Problem, flat: np.ndarray) -> None:
    (found,), _ = intermediates(problem, flat, np.stack(problem.ends), count=24)
    carbons = [a.index for a in problem.start.topology.atoms() if a.element.symbol == "C"]
    turned = np.roll(carbons, 2)  # a third of a turn of the ring, which both chairs have as a symmetry
    moved = found.positions.copy()
    moved[carbons] = found.positions[turned]

    def at(positions: np.ndarray, energy: float = found.energy) -> Intermediate:
        return Intermediate(positions, problem.coordinates.values(positions), energy)

    assert np.abs(at(moved).values - found.values).max() > 1.0
    assert twins(problem, at(moved), found)
    assert twins(problem, at(-moved), found), "a mirror image"
    assert not twins(problem, at(moved, found.energy + 0.6), found)
    pulled = moved.copy()
    pulled[carbons[0], 2] += 0.03
    assert not twins(problem, at(pulled), found)
    assert not twins(problem, at(problem.start.positions, found.energy), found)


def test_no_minimum_is_a_twin_where_regions_are_and_none_lies_in_one(problem: Problem, flat: np.ndarray) -> None:
    ends = np.stack(problem.ends)
    (merged,), _ = intermediates(problem, flat, ends, count=24)
    around = Point("around", merged.values, 200.0, problem.coordinates)
    found, _ = intermediates(problem, flat, ends, count=24, regions=[around])
    assert 1 <= len(found) <= merged.twins + 1
    assert all(m.twins == 0 and not around.contains(m.positions) for m in found)


def test_frames_are_chosen_far_from_what_is_known_and_from_each_other() -> None:
    points, ends = torch.tensor([[0.1], [5.0], [5.1], [9.0], [20.0]]), torch.tensor([[0.0], [20.0]])
    assert farthest(points, ends, 2) == [3, 1], "9 first; 5.0 is farther from it than 5.1"
    assert sorted(farthest(points, ends[:1], 9)) == [0, 1, 2, 3, 4]


def test_minima_are_apart_beyond_two_standard_deviations_of_heat() -> None:
    lengths, here = Distances(("d", "e"), ((0, 3), (1, 4))), np.array([2.0, 3.0])
    assert _apart(lengths, here, here + 0.6, 0.0)
    assert _apart(lengths, here, here + 0.6, 0.089), "4 times 0.089 is less than 0.36"
    assert not _apart(lengths, here, here + 0.6, 0.091)
    assert not _apart(lengths, here, here + 0.4, 0.0), "the coordinates see no difference"
    assert not _apart(lengths, here, here, 0.0)


def carbons(count: int) -> tuple[Problem, np.ndarray]:
    """So many atoms anywhere, told by distances of pairs that no two share an atom."""
    topology, rng = app.Topology(), np.random.default_rng(3)
    residue = topology.addResidue("X", topology.addChain())
    for k in range(count):
        topology.addAtom(f"C{k}", app.Element.getBySymbol("C"), residue)
    start, end, middle = rng.random((3, count, 3))
    pairs = tuple((k, k + 1) for k in range(0, count, 2))
    lengths = Distances(tuple(f"d{a}" for a, _ in pairs), pairs)
    return replace(hinge(), coordinates=lengths, start=Structure(topology, start), end=Structure(topology, end)), middle


def test_twins_are_alike_within_half_a_kj_and_a_hundredth_of_a_nm() -> None:
    problem, middle = carbons(6)

    def at(shift: float, energy: float) -> Intermediate:
        moved = middle.copy()
        moved[0] += shift * (middle[0] - middle[1]) / np.linalg.norm(middle[0] - middle[1])
        return Intermediate(moved, problem.coordinates.values(moved), energy)

    assert twins(problem, at(0.009, 7.4), at(0.0, 7.0))
    assert twins(problem, at(0.009, 7.0), at(0.0, 7.4))
    assert not twins(problem, at(0.009, 7.6), at(0.0, 7.0))
    assert not twins(problem, at(0.009, 7.0), at(0.0, 7.6))
    assert not twins(problem, at(0.011, 7.0), at(0.0, 7.0))


@pytest.mark.parametrize(("count", "looked_for"), [(40, True), (42, False)])
def test_of_more_than_forty_atoms_no_symmetry_is_looked_for(count: int, looked_for: bool) -> None:
    problem, middle = carbons(count)
    here = Intermediate(middle, problem.coordinates.values(middle), 1.0)
    assert twins(problem, here, here) == looked_for
