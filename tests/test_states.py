"""One suite over every kind of condition; which values tell two states apart; distances across a periodic cell."""

import json
from dataclasses import dataclass
from typing import Any

import mdtraj as md
import numpy as np
import pytest

from spacetime_tps.coordinates.boxes import together
from spacetime_tps.coordinates.circle import between, meet, within
from spacetime_tps.coordinates.distances import Distances, distance
from spacetime_tps.coordinates.molecule import Cell, Molecule
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import atom_index
from spacetime_tps.problems import description
from spacetime_tps.problems import problem as problem_module
from spacetime_tps.problems.problem import prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, load_system
from spacetime_tps.states import state as states
from spacetime_tps.states.distance_range import DistanceRange
from spacetime_tps.states.protocol import Condition, Definition, Read
from spacetime_tps.states.rmsd_range import RmsdDefinition, RmsdRange
from spacetime_tps.states.state import State, state_of
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.states.transitions import connects
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear

HERE = np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, 0.1, 0.03]])
THERE = np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, -0.1, 0.02]])
FOUR = (0, 1, 2, 3)
PLACES = {"start.pdb": HERE, "end.pdb": THERE}


def about(x: np.ndarray, file: str) -> dict[str, tuple[Condition, ...]]:
    """A condition of each kind that holds at x and not at the other structure."""
    angle = float(np.degrees(Torsions(("t",), (FOUR,)).values(x)[0]))
    apart = float(np.linalg.norm(x[3] - x[0]))
    return {
        "torsion": (TorsionRange(FOUR, angle - 20.0, angle + 20.0),),
        "distance": (DistanceRange((0, 3), apart - 0.02, apart + 0.02),),
        "rmsd": (RmsdRange(file, FOUR, tuple(map(tuple, x.tolist())), 0.02),),
    }


@pytest.mark.parametrize("kind", ["torsion", "distance", "rmsd"])
def test_a_condition_holds_at_its_own_structure_alone_and_comes_back_from_json(kind: str) -> None:
    a, b = State((about(HERE, "start.pdb")[kind],)), State((about(THERE, "end.pdb")[kind],))
    frames = np.stack([HERE, THERE, HERE + 5.0])
    np.testing.assert_array_equal(a.contains(frames), [True, False, True])
    np.testing.assert_array_equal(b.contains(frames), [False, True, False])
    back = state_of(json.loads(json.dumps(a.to_json())), cell=None, read=PLACES.__getitem__)
    np.testing.assert_array_equal(back.contains(frames), a.contains(frames))
    assert a.boxes[0][0].apart(b.boxes[0][0])
    assert not a.boxes[0][0].apart(a.boxes[0][0])


def test_conditions_of_different_kinds_are_never_known_to_be_apart() -> None:
    ours, theirs = about(HERE, "start.pdb"), about(THERE, "end.pdb")
    for kind, (condition,) in ours.items():
        assert not any(condition.apart(other) for name, (other,) in theirs.items() if name != kind)


def test_ranges_of_different_atoms_are_never_known_to_be_apart() -> None:
    for one, same, other in (
        (TorsionRange(FOUR, 0.0, 20.0), TorsionRange(FOUR, 90.0, 99.0), TorsionRange((0, 2, 1, 3), 90.0, 99.0)),
        (DistanceRange((0, 3), 0.1, 0.2), DistanceRange((0, 3), 0.4, 0.5), DistanceRange((0, 2), 0.4, 0.5)),
        (
            RmsdRange("start.pdb", FOUR, tuple(map(tuple, HERE.tolist())), 0.001),
            RmsdRange("end.pdb", FOUR, tuple(map(tuple, THERE.tolist())), 0.001),
            RmsdRange("end.pdb", (3, 2, 1, 0), tuple(map(tuple, THERE.tolist())), 0.001),
        ),
    ):
        assert one.apart(same)
        assert same.apart(one)
        assert not one.apart(other)
        assert not other.apart(one)


def test_all_conditions_of_a_box_hold_and_any_box_does() -> None:
    ours, theirs = about(HERE, "start.pdb"), about(THERE, "end.pdb")
    both = State(((*ours["torsion"], *theirs["distance"]),))
    either = State((ours["torsion"], theirs["distance"]))
    assert not both.contains(HERE)
    assert either.contains(HERE)
    assert either.contains(THERE)


def test_an_rmsd_may_have_a_least_value() -> None:
    ring = state_of([{"rmsd": {"file": "start.pdb", "atoms": [*FOUR], "min_nm": 0.01, "max_nm": 1.0}}], cell=None, read=PLACES.__getitem__)
    assert not ring.contains(HERE)
    assert ring.contains(THERE)
    for limits in ({"min_nm": 0.01}, {"max_nm": 0.5}, {"min_nm": 0.01, "max_nm": 0.5}):
        box = {"rmsd": {"file": "start.pdb", "atoms": [*FOUR], **limits}}
        assert state_of([box], cell=None, read=PLACES.__getitem__).to_json() == [box]
        assert RmsdDefinition.model_validate({"to": "start", **limits}).model_dump(exclude_none=True, exclude={"to"}) == limits
    with pytest.raises(ValueError, match="an rmsd wants max_nm or min_nm"):
        RmsdDefinition.model_validate({"to": "start"})


def test_separating_values_are_those_that_every_box_bounds_apart() -> None:
    torsions = Torsions(("t", "u"), (FOUR, (1, 0, 2, 3)))
    a = [{"torsions": [[*FOUR, 0.0, 60.0]]}, {"torsions": [[*FOUR, 300.0, 340.0], [1, 0, 2, 3, 0.0, 9.0]]}]
    b = [{"torsions": [[*FOUR, 100.0, 200.0], [1, 0, 2, 3, 50.0, 90.0]]}]
    assert torsions.separating(a, b) == (Angle("t", 4, 0, 1),)
    assert torsions.separating(a, [{"torsions": [[*FOUR, 50.0, 200.0]]}]) == (), "they meet"
    assert torsions.separating(a, [{"torsions": [[1, 0, 2, 3, 50.0, 90.0]]}]) == (), "a box leaves it free"
    turned = Torsions(("t",), ((3, 2, 1, 0),))
    assert turned.separating([{"torsions": [[*FOUR, 0.0, 60.0]]}], [{"torsions": [[*FOUR, 100.0, 200.0]]}]), "read from its other end"
    assert turned.bounds({"torsions": [[*FOUR, 0.0, 60.0]]}) == [(0.0, 60.0)]
    one, other = (TorsionRange(four, low, low + 20.0) for four, low in ((FOUR, 0.0), ((3, 2, 1, 0), 90.0)))
    assert one.apart(other)
    assert Distances(("d",), ((3, 0),)).bounds({"distances": [[0, 3, 0.1, 0.2]]}) == [(0.1, 0.2)]
    distances = Distances(("d", "e"), ((0, 3), (1, 2)))
    near, far, wide = ([{"distances": [[0, 3, *r]]}] for r in ((0.1, 0.2), (0.3, 0.4), (0.15, 0.4)))
    expected = Linear("d", (1.0, 0.0, 0.0), 0.1)
    assert distances.separating(near, far) == distances.separating(far, near) == (expected,)
    assert distances.separating(near, wide) == distances.separating(wide, near) == ()
    assert distances.separating(near, [{"torsions": []}]) == ()
    product = Product((torsions, distances))
    assert product.separating(near, far) == (Linear("d", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0), 0.1),)


def test_ranges_of_angles_go_round() -> None:
    np.testing.assert_array_equal(within(np.array([170.0, -170.0, 0.0]), 150.0, -150.0), [True, True, False])
    assert within(77.0, 10.0, 10.0), "zero width is the whole circle"
    assert meet((0.0, 60.0), (50.0, 90.0))
    assert not meet((0.0, 60.0), (60.0, 90.0)), "an end alone"
    assert meet((150.0, -150.0), (-160.0, 0.0))


def test_points_between_lie_close_together_on_the_short_lines() -> None:
    values = np.array([[3.0, 0.0], [-3.0, 1.0], [-2.5, 2.0]])
    line = between(values, np.array([True, False]), count=10)
    assert line.shape == (21, 2)
    np.testing.assert_allclose(line[[0, 10, 20]], [[3.0, 0.0], [2 * np.pi - 3.0, 1.0], [2 * np.pi - 2.5, 2.0]])
    assert float(np.abs(np.diff(line, axis=0)).max()) < 0.11


def test_distances_take_the_nearest_image_as_mdtraj_does() -> None:
    rng = np.random.default_rng(3)
    cell = ((2.0, 0.0, 0.0), (0.4, 1.9, 0.0), (0.3, -0.5, 1.8))
    x = rng.uniform(-4.0, 4.0, size=(30, 6, 3))
    pairs = np.array([[0, 1], [2, 5], [3, 4]])
    top = md.Topology()
    residue = top.add_residue("X", top.add_chain())
    for _ in range(6):
        top.add_atom("Ar", md.element.argon, residue)
    path = md.Trajectory(x, top)
    path.unitcell_vectors = np.broadcast_to(np.array(cell), (30, 3, 3))
    near = md.compute_distances(path, pairs)
    found = distance(x, pairs, cell)
    # The reduced-cell rule is exact for distances below half the shortest cell width, which states and coordinates are meant for.
    short = near < 0.8
    assert short.sum() > 20
    np.testing.assert_allclose(found[short], near[short], atol=1e-5)
    np.testing.assert_allclose(distance(x, pairs, None), np.linalg.norm(x[:, pairs[:, 1]] - x[:, pairs[:, 0]], axis=-1))


class Above(Definition):
    """How a user writes a `Heavy`: the first atom is this far above a named one of the start."""

    nm: float
    of: str

    def entry(self, molecule: Molecule) -> list[float]:
        (atom,) = molecule.chosen([self.of])
        return [float(molecule.start[atom, 1]) + self.nm]


@dataclass(frozen=True)
class Heavy:
    """A condition from outside: the first atom is high up."""

    height: float
    key, listed, definition = "height", True, Above

    @staticmethod
    def of_entry(entry: Any, cell: Cell | None, read: Read) -> "list[Heavy]":
        return [Heavy(h) for h in entry]

    def holds(self, positions: np.ndarray) -> np.ndarray:
        return np.asarray(positions)[..., 0, 1] > self.height

    def to_json(self) -> Any:
        return self.height

    def wider(self, margin: float) -> "Heavy":
        return Heavy(self.height - margin / 10.0)

    def apart(self, other: Condition) -> bool:
        return False


def test_a_condition_from_outside_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpacetimeError, match="unknown condition 'height'"):
        state_of([{"height": [0.05]}], cell=None, read=PLACES.__getitem__)
    monkeypatch.setitem(states.CONDITIONS, "height", Heavy)
    mine = state_of([{"height": [0.05]}], cell=None, read=PLACES.__getitem__)
    assert mine.contains(HERE)
    assert mine.to_json() == [{"height": [0.05]}]


def test_a_condition_from_outside_is_written_under_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(states.CONDITIONS, "height", Heavy)
    alanine = load_system("alanine_dipeptide")
    data = {
        **alanine.model_dump(exclude={"states"}),
        "states": {"A": [{"phi": [-180, -30], "height": {"nm": -5.0, "of": "2:CA"}}], "B": [{"phi": [30, 100]}]},
    }
    spec = SystemSpec.model_validate(data)
    lower = {**data["states"], "A": [{"height": {"nm": -4.0, "of": "2:CA"}}]}
    assert spec.fingerprint() != SystemSpec.model_validate({**data, "states": lower}).fingerprint()
    start = load_structure(alanine.start)
    high = float(molecule_of(start, start, None).start[atom_index(start.topology, "2:CA"), 1])
    found = prepare(spec, DynamicsSettings(platform="Reference")).boxes[0]
    assert found[0]["height"] == [pytest.approx(high - 5.0)]
    assert len(found[0]["torsions"]) == 1
    with pytest.raises(ValueError, match="state A: height: of: Field required"):
        SystemSpec.model_validate({**data, "states": {**data["states"], "A": [{"height": {"nm": 1.0}}]}})


def test_margins_are_in_the_unit_of_what_they_are_around() -> None:
    """Radians of a torsion, 0.1 nm of a length; the whole circle where no gap is left."""
    torsion = TorsionRange(FOUR, 100.0, -120.0)
    wide = torsion.wider(np.radians(10.0))
    assert (wide.low, wide.high) == (pytest.approx(90.0), pytest.approx(-110.0))
    assert (TorsionRange(FOUR, -170.0, 170.0).wider(np.radians(9.9)).high) == pytest.approx(179.9)
    for full in (TorsionRange(FOUR, -170.0, 170.0).wider(np.radians(10.1)), TorsionRange(FOUR, -180.0, 180.0).wider(0.1)):
        assert (full.low, full.high) == (-180.0, 180.0)
        assert full.includes(np.linspace(-180.0, 180.0, 37)).all()
    distance = DistanceRange((0, 3), 0.2, 0.3, cell=None).wider(0.5)
    assert (distance.low, distance.high) == (pytest.approx(0.15), pytest.approx(0.35))
    around = RmsdRange("end.pdb", FOUR, tuple(map(tuple, THERE.tolist())), 0.05, 0.02)
    assert (around.wider(0.1).low, around.wider(0.1).high) == (pytest.approx(0.01), pytest.approx(0.06))
    assert around.wider(0.5).low == 0.0
    assert State(((torsion.wider(0.2), distance, around),)).to_json()[0].keys() == {"torsions", "distances", "rmsd"}


def test_a_box_holds_one_range_of_a_group_of_atoms() -> None:
    """Read from either end it is the same group, and what two ranges mean together nobody could tell."""
    once, again = {"distances": [[0, 1, 0.1, 0.25]]}, {"distances": [[1, 0, 0.15, 0.9]]}
    with pytest.raises(SpacetimeError, match="one range of distances for the atoms 1 2 only"):
        together([once, again])
    other = {"distances": [[1, 2, 0.15, 0.9]], "torsions": [[0, 1, 2, 3, -30.0, 30.0]]}
    assert together([once, other])["distances"] == [*once["distances"], *other["distances"]]
    from_outside: list[dict[str, Any]] = [{"height": [0.05], "plane": [[0.5, 0.1, 0.2]]}, {"height": [0.05], "plane": [[0.5, 0.1, 0.2]]}]
    assert together(from_outside) == {"height": [0.05, 0.05], "plane": [[0.5, 0.1, 0.2]] * 2}, "of whose entries nothing is known"


def test_an_entry_is_a_list_where_a_box_can_hold_several_of_it() -> None:
    for box, said in (({"torsions": {"phi": 1}}, "is a list of entries"), ({"rmsd": [{"file": "end.pdb"}]}, "is one entry, no list")):
        with pytest.raises(SpacetimeError, match=said):
            state_of([box], cell=None, read=PLACES.__getitem__)


def test_a_path_connects_where_it_begins_in_a_and_ends_in_b() -> None:
    a, b = State((about(HERE, "start.pdb")["torsion"],)), State((about(THERE, "end.pdb")["torsion"],))
    assert connects(np.stack([HERE, THERE, THERE]), a, b)
    for path in ([HERE, HERE], [THERE, THERE], [THERE, HERE]):
        assert not connects(np.stack(path), a, b)


def test_states_that_a_system_names_are_of_the_minima_as_its_coordinates_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind may measure from the start structure: its ranges are then from where that lies when it is minimised."""
    seen: list[np.ndarray] = []

    def boxes(spec: SystemSpec, molecule: Molecule) -> object:
        seen.append(molecule.start)
        return description.boxes_for(spec, molecule)

    monkeypatch.setattr(problem_module, "boxes_for", boxes)
    found = prepare("alanine_dipeptide", DynamicsSettings(platform="Reference"))
    np.testing.assert_array_equal(seen[-1], found.start.positions)
    assert not np.allclose(seen[0], seen[-1], atol=1e-6), "looked at before, so that what is wrong is said at once"
