"""Trajectories cut, turned and joined; molecules that are no longer what they were; torsions that tell two states apart."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmm import app

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Model, Walk
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.molecules.structure import Structure, atom_index
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.residence import residence
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.states.transitions import transitions
from spacetime_tps.trajectories.frames import Frames, joined, part, time_reversed
from spacetime_tps.windows.angle import Angle

FOUR = (0, 1, 2, 3)
A, B = State(((TorsionRange(FOUR, -120.0, -60.0),),)), State(((TorsionRange(FOUR, 60.0, 120.0),),))
ANGLE = {"a": -90.0, "b": 90.0, ".": 0.0}
labels = st.text(alphabet="ab....", min_size=1, max_size=60)


def trajectory(text: str) -> Frames:
    """A frame a letter, in A, in B or in neither; frame k is moved by k along x, which the torsion does not see."""
    t = np.radians([ANGLE[c] for c in text])
    k = np.arange(len(t), dtype=float)
    zero, one = np.zeros_like(t), np.ones_like(t)
    first = np.stack([np.cos(t), -np.sin(t), zero], axis=-1)
    rest = [np.stack(xyz, axis=-1) for xyz in ((zero, zero, zero), (zero, zero, one), (one, zero, one))]
    positions = np.stack([first, *rest], axis=1) + k[:, None, None] * np.array([1.0, 0.0, 0.0])
    velocities = np.broadcast_to(1.0 + k[:, None, None], positions.shape)
    return Frames(positions, velocities, k, k, np.zeros(len(t), dtype=int), len(t), True)


def numbers(frames: Frames) -> list[int]:
    """Which frames of a trajectory these are."""
    return [round(float(x)) for x in frames.positions[:, 1, 0]]


def test_the_trajectory_of_these_tests_is_where_it_says() -> None:
    frames = trajectory("a.b")
    assert (A.contains(frames.positions).tolist(), B.contains(frames.positions).tolist()) == ([True, False, False], [False, False, True])


def expected(text: str) -> list[list[int]]:
    """Transitions by a machine that remembers the last frame in a state."""
    found, last = [], None
    for k, here in enumerate(text):
        if here == ".":
            continue
        if last is not None and text[last] != here:
            piece = list(range(last, k + 1))
            found.append(piece if here == "b" else piece[::-1])
        last = k
    return found


@given(labels, st.lists(st.integers(1, 20), max_size=6))
def test_transitions_are_the_same_wherever_a_trajectory_is_cut(text: str, lengths: list[int]) -> None:
    whole = trajectory(text)
    found, rest = transitions(whole, A, B)
    assert [numbers(f) for f in found] == expected(text)
    visits = [k for k, here in enumerate(text) if here != "."]
    assert numbers(rest) == list(range(visits[-1] if visits else 0, len(text)))
    cuts = [c for c in itertools.accumulate(lengths, initial=0) if c < len(text)]
    pieced, carry = [], None
    for begin, end in itertools.pairwise([*cuts, len(text)]):
        new = part(whole, slice(begin, end))
        more, carry = transitions(new if carry is None else joined([carry, new], spacing=1.0), A, B)
        pieced += more
    assert [numbers(f) for f in pieced] == expected(text)
    assert carry is not None
    assert numbers(carry) == numbers(rest)


@given(labels)
def test_transitions_run_from_a_to_b_with_velocities_along_them(text: str) -> None:
    for path in transitions(trajectory(text), A, B)[0]:
        inside = [A.contains(path.positions).tolist(), B.contains(path.positions).tolist()]
        nowhere = [False] * (len(path) - 1)
        assert inside == [[True, *nowhere], [*nowhere, True]]
        order = np.diff(numbers(path))
        assert len(set(order.tolist())) == 1
        np.testing.assert_array_equal(np.sign(path.velocities[:-1, 0, 0]), order)
        assert (np.diff(path.time) == 1.0).all()


@given(labels)
def test_residence_counts_frames_by_the_state_met_last(text: str) -> None:
    count, last = {"a": 0, "b": 0, ".": 0}, "."
    for k, here in enumerate(text):
        last = last if here == "." else here
        count[last] += k > 0
    assert residence(trajectory(text), A, B) == (count["a"], count["b"])


@given(labels, st.integers(0, 2**60))
def test_frames_that_do_not_count_still_say_where_others_come_from(text: str, bits: int) -> None:
    counted = np.array([bits >> k & 1 for k in range(len(text))], dtype=bool)
    alone = [residence(trajectory(text), A, B, np.arange(len(text)) == k) for k in np.flatnonzero(counted)]
    assert residence(trajectory(text), A, B, counted) == tuple(np.sum(alone, axis=0, dtype=int) if alone else (0, 0))
    assert residence(trajectory(text), A, B, ~counted & False) == (0, 0)


@given(labels, st.integers(0, 60))
def test_residence_of_a_continued_trajectory_is_counted_once(text: str, cut: int) -> None:
    whole = trajectory(text)
    cut = max(min(cut, len(text) - 1), 1)
    _, carry = transitions(part(whole, slice(cut)), A, B)
    stretch = joined([carry, part(whole, slice(cut, None))], spacing=1.0)
    pieces = [residence(part(whole, slice(cut)), A, B), residence(stretch, A, B)]
    assert np.subtract(np.sum(pieces, axis=0), residence(carry, A, B)).tolist() == list(residence(whole, A, B))


def test_turned_twice_is_the_same_and_turned_once_goes_back(rotor: tuple[Model, Torsions, np.ndarray]) -> None:
    model, _, x = rotor
    frames = Dynamics(model).walk(Walk(None, FREE, 100, 5, 1, x))
    back = time_reversed(frames)
    np.testing.assert_array_equal(back.positions, frames.positions[::-1])
    np.testing.assert_array_equal(back.velocities, -frames.velocities[::-1])
    np.testing.assert_allclose(back.time, frames.time, atol=1e-12)
    again = time_reversed(back)
    np.testing.assert_array_equal(back.velocity_offset, 0.5)
    np.testing.assert_array_equal(again.velocity_offset, -0.5)
    for field in dataclasses.fields(Frames)[:-1]:
        np.testing.assert_allclose(getattr(again, field.name), getattr(frames, field.name), rtol=0, atol=1e-12)
    late = time_reversed(part(frames, slice(4, 9)))
    np.testing.assert_allclose(late.time, np.arange(5) * 0.01, atol=1e-12)  # the turned path begins at zero
    assert len(time_reversed(part(frames, slice(0, 0)))) == 0


def test_joined_pieces_have_even_times_and_all_evaluations(rotor: tuple[Model, Torsions, np.ndarray]) -> None:
    model, _, x = rotor
    pieces = [Dynamics(model).walk(Walk(None, FREE, 20 * k, 5, k, x)) for k in (1, 2)]
    whole = joined([time_reversed(pieces[0]), pieces[1]], spacing=0.01)
    np.testing.assert_allclose(whole.time, np.arange(5 + 9) * 0.01)
    np.testing.assert_array_equal(whole.positions, np.concatenate([pieces[0].positions[::-1], pieces[1].positions]))
    assert whole.evaluations == 60
    assert whole.stable
    assert not joined([pieces[0], dataclasses.replace(pieces[1], stable=False)], spacing=0.01).stable


def rotated(structure: Structure, axis: tuple[str, str], residue: str, degrees: float) -> np.ndarray:
    """Positions with one residue turned about an axis of two atoms."""
    p, q = (structure.positions[atom_index(structure.topology, label)] for label in axis)
    n, t = (q - p) / np.linalg.norm(q - p), np.radians(degrees)
    cross = np.array([[0.0, -n[2], n[1]], [n[2], 0.0, -n[0]], [-n[1], n[0], 0.0]])
    rotation = np.eye(3) + np.sin(t) * cross + (1.0 - np.cos(t)) * cross @ cross
    moved = structure.positions.copy()
    atoms = [a.index for a in structure.topology.atoms() if a.residue.id == residue]
    moved[atoms] = p + (moved[atoms] - p) @ rotation.T
    return moved


def test_turned_amides_and_inverted_centres_are_noticed(alanine: Problem) -> None:
    start = alanine.start
    whole = Integrity.of(start)
    assert len(whole.amides.atoms) == 2
    assert whole.trans.all()
    assert whole.centres[:, 0].tolist() == [atom_index(start.topology, "2:CA")]
    amides = [(("1:C", "2:N"), "1"), (("2:C", "3:N"), "3")]
    frames = [start.positions, alanine.end.positions, start.positions * [1.0, 1.0, -1.0]]
    frames += [rotated(start, *amide, degrees) for amide in amides for degrees in (60.0, 180.0)]
    assert whole.holds(np.array(frames)).tolist() == [True, True, False, True, False, True, False]
    assert Integrity.of(Structure(start.topology, frames[2])).holds(np.array(frames[:3])).tolist() == [False, False, True]


def test_an_amide_that_the_two_ends_have_otherwise_may_turn(alanine: Problem) -> None:
    start, (first, second) = alanine.start, ((("1:C", "2:N"), "1"), (("2:C", "3:N"), "3"))
    cis = Structure(start.topology, rotated(start, *first, 180.0))
    whole = Integrity.of(start, cis)
    assert [four[1:3] for four in whole.amides.atoms] == [tuple(atom_index(start.topology, label) for label in second[0])]
    frames = [start.positions, cis.positions, rotated(start, *second, 180.0)]
    assert whole.holds(np.array(frames)).tolist() == [True, True, False]
    assert Integrity.of(start).holds(np.array(frames)).tolist() == [True, False, False]


def test_hot_and_cold_walks_of_an_intact_molecule_hold(alanine: Problem) -> None:
    frames = Dynamics(alanine.model).walk(Walk(None, FREE, 2000, 50, 2, alanine.start.positions))
    assert Integrity.of(alanine.start).holds(frames.positions).all()


def test_the_amide_before_a_proline_counts() -> None:
    # N-acetyl pyrrolidine's heavy atoms: C-C(=O)-N in a plane with the ring's two carbons; turned by half, the carbons change places.
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    symbols = ["C", "C", "O", "N", "C", "C"]
    atoms = [topology.addAtom(f"{s}{k}", app.Element.getBySymbol(s), residue) for k, s in enumerate(symbols)]
    for i, j in [(0, 1), (1, 2), (1, 3), (3, 4), (3, 5)]:
        topology.addBond(atoms[i], atoms[j])
    x = np.array([[-0.08, 0.12, 0.0], [0.0, 0.0, 0.0], [-0.06, -0.1, 0.0], [0.13, 0.0, 0.0], [0.2, 0.12, 0.0], [0.2, -0.12, 0.0]])
    flipped = x.copy()
    flipped[4:] = x[[5, 4]]
    whole = Integrity.of(Structure(topology, x))
    assert whole.holds(np.array([x, flipped])).tolist() == [True, False]


PHI, PSI, CHI = (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)


def state(*boxes: dict[tuple[int, int, int, int], tuple[float, float]]) -> State:
    return State(tuple(tuple(TorsionRange(atoms, *ends) for atoms, ends in box.items()) for box in boxes))


def test_separating_torsions_of_the_bundled_system(alanine: Problem) -> None:
    # psi goes up from 20 to -150 in A and from -120 to 20 in B: the two share an end and no more.
    both, phi = alanine.coordinates, Torsions(alanine.coordinates.names[:1], alanine.coordinates.atoms[:1])
    assert both.separating(*alanine.boxes) == (Angle("phi", 4, 0, 1), Angle("psi", 4, 2, 3))
    assert phi.separating(*alanine.boxes[::-1]) == (Angle("phi", 2, 0, 1),)


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ([{PHI: (-180, -30)}], [{PHI: (-40, 60)}], []),
        ([{PHI: (-180, 60)}], [{PHI: (-40, 0)}], []),
        ([{PHI: (-40, 0)}], [{PHI: (-40, 0)}], []),
        ([{PHI: (170, -170)}], [{PHI: (-175, -100)}], []),
        ([{PHI: (170, -170)}], [{PHI: (-170, 170)}], [0]),
        ([{PHI: (-180, 180)}], [{PHI: (10, 20)}], []),
        ([{PHI: (-180, -30), PSI: (0, 10)}], [{PHI: (30, 60)}], [0]),
        ([{PHI: (-180, -30)}, {PHI: (90, 120)}], [{PHI: (30, 60)}], [0]),
        ([{PHI: (-180, -30)}, {PHI: (50, 120)}], [{PHI: (30, 60)}], []),
        ([{PHI: (-180, -30)}, {PSI: (0, 10)}], [{PHI: (30, 60)}], []),
        ([{PHI: (0, 10), PSI: (0, 10)}], [{PHI: (5, 20), PSI: (20, 30)}], [1]),
    ],
)
def test_a_torsion_separates_where_all_boxes_bound_it_and_none_overlap(a: list, b: list, found: list[int]) -> None:
    three = Torsions(("phi", "psi", "chi"), (PHI, PSI, CHI))
    expected = tuple(Angle(three.names[k], 6, 2 * k, 2 * k + 1) for k in found)
    boxes = state(*a).to_json(), state(*b).to_json()
    assert three.separating(*boxes) == expected
    assert three.separating(*boxes[::-1]) == expected
