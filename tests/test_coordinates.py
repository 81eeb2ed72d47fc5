"""One suite over every kind of coordinates, and a kind from outside the package."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import openmm
import pytest
import torch
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates import registry
from spacetime_tps.coordinates.boxes import together
from spacetime_tps.coordinates.circle import difference, winding
from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.molecule import Atom, Cell, Molecule, named
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.superposition import rmsd, superposed
from spacetime_tps.coordinates.torsions import Torsions, rotatable_torsions
from spacetime_tps.engines.openmm.bias import BIAS_GROUP, CurveBias, WindowBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model, Walk
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.engines.openmm.walk_cache import WalkCache
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.around import states_around
from spacetime_tps.states.state import state_of
from spacetime_tps.storage.memory import Memory
from spacetime_tps.trajectories.frames import Frames, at_whole_steps, joined, offsets, time_reversed
from spacetime_tps.units import decimals
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window

RNG = np.random.default_rng(5)
START = np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, 0.1, 0.03], [0.3, 0.15, 0.1]])
END = np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, -0.05, 0.12], [0.38, -0.1, 0.25]])
TORSIONS = Torsions(("t", "u"), ((0, 1, 2, 3), (1, 2, 3, 4)))
DISTANCES = Distances(("d", "e"), ((0, 3), (0, 4)))
POSITIONS = Positions(("a", "b", "c", "d"), (0, 2, 3, 4), tuple(map(tuple, START[[0, 2, 3, 4]].tolist())))
EXAMPLES: dict[str, Coordinates] = {
    "torsions": TORSIONS,
    "distances": DISTANCES,
    "positions": POSITIONS,
    "product": Product((TORSIONS, DISTANCES)),
    "product with positions": Product((DISTANCES, POSITIONS)),
}
FRAMES = START + 0.02 * RNG.normal(size=(6, 5, 3))
MODEL_TEMPERATURE = 300.0


def empty(atoms: int = 5, cell: Cell | None = None) -> Model:
    """Particles without forces, in a periodic cell where there is one."""
    system = openmm.System()
    if cell is not None:
        system.setDefaultPeriodicBoxVectors(*cell)
        system.addForce(openmm.NonbondedForce())
        system.getForce(0).setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
        for _ in range(atoms):
            system.getForce(0).addParticle(0.0, 0.1, 0.0)
    for mass in itertools.islice(itertools.cycle([12.0, 1.0, 14.0, 16.0, 32.0]), atoms):
        system.addParticle(mass)
    return Model(openmm.XmlSerializer.serialize(system), MODEL_TEMPERATURE, 1.0, 0.001, "Reference")


@pytest.fixture(params=EXAMPLES, ids=str)
def coordinates(request: pytest.FixtureRequest) -> Coordinates:
    return EXAMPLES[request.param]


def energy_and_force(bias: object, parameters: np.ndarray, positions: np.ndarray, model: Model | None = None) -> tuple[float, np.ndarray]:
    dynamics = Dynamics(model or empty(), bias)  # type: ignore[arg-type]
    dynamics.begin(1, positions, np.zeros_like(positions), parameters=parameters)
    state = dynamics.context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, np.array(state.getForces(asNumpy=True)._value)


def test_each_value_alone_is_a_variable(coordinates: Coordinates) -> None:
    values, features = coordinates.values(FRAMES), coordinates.features(FRAMES)
    for k, name in enumerate(coordinates.names):
        variable = coordinates.variable(name)
        assert variable.name == name
        assert (variable.period is not None) == coordinates.angular[k]
        np.testing.assert_allclose(variable.value(features), values[:, k], atol=1e-9)
        np.testing.assert_allclose(variable.scale, coordinates.scale[k])
    boxes = [[together([block.box_around(*pair, "x.pdb")])] for pair in ((START, END), (END, START)) for block in (coordinates,)]
    mine = [coordinates.variable(name) for name in coordinates.names]
    assert all(variable in mine for variable in coordinates.separating(*boxes)), "channels leave out the value that windows hold"


def test_what_they_are_is_told_in_words(coordinates: Coordinates) -> None:
    words = coordinates.told
    for block in coordinates.to_json():
        assert f"{block['kind']} " in words
    first = coordinates.names[0].removesuffix("_x")
    assert first in words


def test_shapes_and_names(coordinates: Coordinates) -> None:
    values, features = coordinates.values(FRAMES), coordinates.features(FRAMES)
    count = len(coordinates.names)
    assert coordinates.values(FRAMES[:0]).shape == (0, count)
    assert coordinates.features(FRAMES[:0]).shape == coordinates.held_features(FRAMES[:0]).shape == (0, coordinates.dimension)
    assert values.shape == (len(FRAMES), count)
    assert features.shape == (len(FRAMES), coordinates.dimension)
    assert coordinates.angular.shape == (count,)
    assert len(coordinates.unit) == count
    assert len(set(coordinates.names)) == count
    np.testing.assert_allclose(coordinates.values(FRAMES[2]), values[2], atol=1e-12)


def test_features_are_the_familys_of_the_values(coordinates: Coordinates) -> None:
    family = coordinates.family()
    assert family.dimension == coordinates.dimension
    np.testing.assert_array_equal(family.angular, coordinates.angular)
    expected = family.features(torch.from_numpy(coordinates.values(FRAMES))).numpy()
    np.testing.assert_allclose(coordinates.features(FRAMES), expected, atol=1e-10)
    back = family.values(torch.from_numpy(coordinates.features(FRAMES))).numpy()
    np.testing.assert_allclose(difference(back, coordinates.values(FRAMES), family.angular), 0.0, atol=1e-10)


def test_the_family_reads_back_what_it_was_given(coordinates: Coordinates) -> None:
    family = coordinates.family()
    center = torch.from_numpy(coordinates.values(FRAMES))
    levels = family.precisions(torch.zeros(family.dimension, dtype=torch.double)).shape[-1]
    precision = torch.from_numpy(np.exp(RNG.uniform(1.0, 4.0, size=(len(FRAMES), levels))))
    eta = family.natural(center, family.level_of(precision))
    np.testing.assert_allclose(family.precisions(eta), precision, rtol=1e-9)
    np.testing.assert_allclose(difference(family.center(eta).numpy(), center.numpy(), family.angular), 0.0, atol=1e-9)
    np.testing.assert_allclose(family.from_chart(family.chart(eta)), eta, rtol=1e-7, atol=1e-9)
    assert float(family.precisions(eta).amax(-1)[0]) == pytest.approx(float(precision[0].max()))


def test_turning_and_moving_the_molecule_changes_nothing(coordinates: Coordinates) -> None:
    turned = FRAMES @ Rotation.random(random_state=3).as_matrix().T + np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(coordinates.features(turned), coordinates.features(FRAMES), atol=1e-9)


def test_openmms_restraint_is_minus_kT_eta_T_and_its_force_the_gradient(coordinates: Coordinates) -> None:
    eta = RNG.normal(size=coordinates.dimension)
    bias, kT = CurveBias(coordinates), empty().kT
    held = [group for group in [coordinates.frame] if group is not None]
    x = FRAMES[0].copy()
    if held:  # the laboratory's frame is the reference's there, so that nothing but the restraint acts
        atoms = np.array(held[0].atoms)
        moved = superposed(x[atoms], np.array(held[0].reference))
        fit, _ = Rotation.align_vectors(moved - moved.mean(0), x[atoms] - x[atoms].mean(0))
        x = (x - x[atoms].mean(0)) @ fit.as_matrix().T + moved.mean(0)
    energy, force = energy_and_force(bias, eta, x)
    assert energy == pytest.approx(-kT * float(coordinates.features(x) @ eta), abs=1e-6)
    assert energy_and_force(bias, np.zeros_like(eta), x)[0] == 0.0, "all zero is off"
    for atom, axis in ((0, 1), (3, 2), (4, 0)):
        step = np.zeros_like(x)
        step[atom, axis] = 1e-5
        slope = (energy_and_force(bias, eta, x + step)[0] - energy_and_force(bias, eta, x - step)[0]) / 2e-5
        assert force[atom, axis] == pytest.approx(-slope, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.frame is None])
def test_in_a_periodic_cell_all_take_the_nearest_images_that_openmm_takes(name: str) -> None:
    """Atoms of one coordinate may be of several molecules, each whole, and anywhere. Positions, which are held in a frame, are refused in a
    cell (test_solvent.py)."""
    coordinates = EXAMPLES[name]
    cell = ((2.4, 0.0, 0.0), (0.3, 2.5, 0.0), (-0.4, 0.2, 2.6))
    here = registry.coordinates_of(coordinates.to_json(), cell)
    eta, moved = RNG.normal(size=here.dimension), FRAMES[0].copy()
    moved[2] += np.array(cell[0]) - np.array(cell[2])
    moved[4] -= np.array(cell[1])
    energy, _ = energy_and_force(CurveBias(here), eta, moved, empty(cell=cell))
    assert energy == pytest.approx(-empty().kT * float(here.features(moved) @ eta), abs=1e-6)
    np.testing.assert_allclose(here.values(moved), coordinates.values(FRAMES[0]), atol=1e-9)
    box = here.box_around(START, END, "x.pdb")
    a = state_of([together([box])], cell=cell, read=lambda _: START)
    images = START.copy()
    images[3] += np.array(cell[1])
    assert a.contains(images)


def test_a_frame_that_rocks_in_its_hold_feels_the_restraint_where_it_stands(coordinates: Coordinates) -> None:
    """What holds it is the same under two restraints, and drops out of their difference."""
    one, other = RNG.normal(size=(2, coordinates.dimension))
    rocked = FRAMES[0] @ Rotation.from_rotvec([0.03, -0.02, 0.05]).as_matrix().T + 0.003
    bias, kT = CurveBias(coordinates), empty().kT
    change = energy_and_force(bias, other, rocked)[0] - energy_and_force(bias, one, rocked)[0]
    assert change == pytest.approx(-kT * float(coordinates.held_features(rocked) @ (other - one)), rel=1e-5, abs=1e-5)


def test_a_window_in_openmm_is_the_one_in_numpy(coordinates: Coordinates) -> None:
    direction = RNG.normal(size=coordinates.dimension)
    if coordinates.frame is not None:
        direction[-1] = 0.0
    variables: list[Variable] = [Linear("s", tuple(direction.tolist()))]
    if coordinates.angular[0]:
        variables.append(Angle("t", coordinates.dimension, 0, 1))
    for variable in variables:
        window = Window(variable, float(variable.value(coordinates.features(START))) + 0.1, 30.0)
        x = START.copy()
        energy, _ = energy_and_force(WindowBias(coordinates, variable), np.array([window.center, window.stiffness]), x)
        assert energy == pytest.approx(-empty().kT * float(window.log_factor(coordinates.features(x))), abs=1e-5)
        assert variable_of(json.loads(json.dumps(variable.to_json()))) == variable


def test_ways_lead_from_a_to_b_and_are_told_apart(coordinates: Coordinates) -> None:
    a, b = coordinates.values(START), coordinates.values(END)
    ways = coordinates.ways(a, b, 6)
    assert 1 <= len(ways) <= 6
    assert len({way.name for way in ways}) == len(ways)
    for way in ways:
        np.testing.assert_allclose(difference(a + way.change, b, coordinates.angular), 0.0, atol=1e-9)
        path = a + np.linspace(0.0, 1.0, 40)[:, None] * way.change
        assert coordinates.way_of(path, a, b) == way.name
    np.testing.assert_allclose(ways[0].change, difference(a, b, coordinates.angular), atol=1e-9)
    assert coordinates.changed(a, b)
    assert not coordinates.changed(a, a + 1e-3)


def test_the_default_states_hold_their_own_end_alone(coordinates: Coordinates) -> None:
    a, b = states_around(coordinates, START, END, cell=None)
    assert a.contains(START)
    assert not a.contains(END)
    assert b.contains(END)
    assert not b.contains(START)
    with pytest.raises(SpacetimeError, match="same state"):
        states_around(coordinates, START, START, cell=None)


def test_limits_of_default_states_are_round_numbers(coordinates: Coordinates) -> None:
    """Thousandths of a degree, and of 0.1 nm."""
    box = coordinates.box_around(START, END, "x.pdb")
    for *_, low, high in box.get("torsions", []):
        assert (low, high) == (round(low, 3), round(high, 3))
    for *_, low, high in box.get("distances", []):
        assert (low, high) == (round(low, 4), round(high, 4))
    if "rmsd" in box:
        assert box["rmsd"]["max_nm"] == round(box["rmsd"]["max_nm"], 4)
    assert box


def test_a_bounded_value_is_a_condition_that_reads_back_as_its_bounds(coordinates: Coordinates) -> None:
    for k, name in enumerate(coordinates.names):
        assert coordinates.bounded[k] == (name.rpartition("_")[0] not in POSITIONS.labels)
        if not coordinates.bounded[k]:
            with pytest.raises(SpacetimeError, match=f"no range can bound '{name}': give an rmsd"):
                coordinates.condition(name, 0.1, 0.3)
            continue
        box = coordinates.condition(name, 0.1, 0.3)
        assert state_of([box], cell=None, read=lambda file: START).to_json() == [box]
        bounds = coordinates.bounds(box)
        assert bounds[k] == (0.1, 0.3)
        assert [*bounds[:k], *bounds[k + 1 :]] == [None] * (len(coordinates.names) - 1)
    assert coordinates.bounds({"rmsd": {"file": "start.pdb", "atoms": [0], "max_nm": 0.1}}) == [None] * len(coordinates.names)


def test_parts_of_a_box_come_together() -> None:
    parts = [DISTANCES.condition("e", 0.1, 0.2), TORSIONS.condition("t", 5.0, 6.0), DISTANCES.condition("d", 0.3, 0.4)]
    box = {"distances": [[0, 4, 0.1, 0.2], [0, 3, 0.3, 0.4]], "torsions": [[0, 1, 2, 3, 5.0, 6.0]]}
    assert together(parts) == box
    assert Product((TORSIONS, DISTANCES)).bounds(box) == [(5.0, 6.0), None, (0.3, 0.4), (0.1, 0.2)]


def test_files_give_back_the_same_coordinates(coordinates: Coordinates) -> None:
    blocks = json.loads(json.dumps(coordinates.to_json()))
    back = registry.coordinates_of(blocks, None)
    assert back == coordinates
    assert hash(back) == hash(coordinates)


def test_positions_are_held_while_the_restraint_acts() -> None:
    # Without the hold the atoms would drift and turn: then positions in the laboratory would mean nothing.
    family = POSITIONS.family()
    precision = torch.full((1,), 100.0, dtype=torch.double)
    center = torch.zeros(12, dtype=torch.double)
    eta = family.natural(center, family.level_of(precision)).numpy()
    dynamics = Dynamics(empty(), CurveBias(POSITIONS))
    dynamics.begin(3, START, parameters=eta)
    dynamics.integrator.step(2000)
    x = dynamics.context.getState(positions=True).getPositions(asNumpy=True)._value[list(POSITIONS.atoms)]
    reference = np.array(POSITIONS.reference)
    np.testing.assert_allclose(x.mean(0), reference.mean(0), atol=0.01)
    np.testing.assert_allclose(superposed(x, reference), x, atol=0.02)


def test_a_walk_from_a_tumbled_molecule_begins_where_it_is_held() -> None:
    turn = Rotation.random(random_state=8).as_matrix()
    family = POSITIONS.family()
    eta = family.natural(torch.zeros(12, dtype=torch.double), family.level_of(torch.full((1,), 50.0, dtype=torch.double))).numpy()
    speed = RNG.normal(size=START.shape)
    walked = Dynamics(empty(), CurveBias(POSITIONS)).walk(
        Walk(CurveBias(POSITIONS), eta[None], 50, 10, 4, START @ turn.T + 30.0, speed @ turn.T)
    )
    assert walked.stable
    np.testing.assert_allclose(walked.positions[0], START, atol=1e-5)
    np.testing.assert_allclose(walked.velocities[0], speed, atol=1e-5)
    assert float(np.abs(POSITIONS.values(walked.positions)).max()) < 3.0


def test_superposition_never_reflects() -> None:
    mirrored = START * np.array([1.0, 1.0, -1.0])
    assert rmsd(START @ Rotation.random(random_state=1).as_matrix().T + 3.0, START) == pytest.approx(0.0, abs=1e-12)
    assert rmsd(mirrored, START) > 0.01


def test_paths_of_torsions_have_one_name_where_their_turns_are_alike() -> None:
    """Of the first the ends are apart, of the second alike: it turns by 10 degrees, or by 350 the other way."""
    a, b = np.radians([60.0, 0.0]), np.radians([180.0, 10.0])
    lines = [a + np.linspace(0.0, 1.0, 60)[:, None] * np.radians([first, second]) for first in (120.0, -240.0) for second in (10.0, -350.0)]
    names = [TORSIONS.way_of(line, a, b) for line in lines]
    assert names == ["t+120", "t+120_u-350", "t-240", "t-240_u-350"]
    assert len({winding(line, TORSIONS.angular) for line in lines}) == 4


def test_windings_count_turns_of_angles_alone() -> None:
    line = np.stack([np.linspace(0.0, 2 * np.pi + 0.3, 30), np.linspace(0.0, 9.0, 30)], axis=1)
    assert winding(line, np.array([True, False])) == (1, 0)


def test_torsions_in_rings_turn_one_way_only() -> None:
    ring = Torsions(TORSIONS.names, TORSIONS.atoms, (True, True))
    assert len(ring.ways(ring.values(START), ring.values(END), 6)) == 1


def test_a_product_takes_one_frame_of_reference_only() -> None:
    with pytest.raises(SpacetimeError, match="one selection"):
        Product((POSITIONS, POSITIONS))


def test_no_two_coordinates_have_one_name() -> None:
    with pytest.raises(SpacetimeError, match="two coordinates are called 't'"):
        Product((TORSIONS, Distances(("t",), ((0, 3),))))


LIGAND = Molecule(
    tuple(Atom(name, "LIG", "1", "C") for name in ("C1", "C2*", "C3*", "C4/", "C4:")),
    ((0, 1), (1, 2), (2, 3), (2, 4)),
    START,
    END,
    None,
    select=lambda words: (),
)


def test_found_names_can_stand_in_file_names_and_are_told_apart() -> None:
    assert named(["C2*", "C2/", "a b", "C2:", "O5'"]) == ("C2_", "C2__2", "a_b", "C2__3", "O5'")
    assert Positions.of_molecule(None, LIGAND).labels == ("1.C1", "1.C2_", "1.C3_", "1.C4_", "1.C4__2")
    (name,) = rotatable_torsions(LIGAND).names
    assert name == "LIG1_C2__C3_"


def test_a_walk_is_known_again_by_all_that_its_bias_says(coordinates: Coordinates) -> None:
    """Coordinates that files give back know their walks; a window elsewhere on T is another walk, and so is one on the same T of others."""
    back = registry.coordinates_of(json.loads(json.dumps(coordinates.to_json())), None)
    first, second = (Linear("s", tuple(float(k == on) for k in range(coordinates.dimension))) for on in (0, 1))
    cache = WalkCache(Memory(), "samples", empty())

    def held(bias: CurveBias | WindowBias) -> Walk:
        parameters = np.zeros((1, coordinates.dimension if isinstance(bias, CurveBias) else 2))
        return Walk(bias, parameters, 5, 5, 1, START)

    def walks(tasks: Iterable[Walk]) -> Iterator[Frames]:
        return (Dynamics(empty(), walk.bias).walk(walk) for walk in tasks)

    cache.run([("curve", held(CurveBias(coordinates))), ("window", held(WindowBias(coordinates, first)))], walks, lambda n: None)
    assert cache.ahead([("curve", held(CurveBias(back))), ("window", held(WindowBias(back, first)))]) == 0
    assert cache.ahead([("window", held(WindowBias(back, second)))]) == 5
    assert cache.ahead([("curve", held(WindowBias(back, first)))]) == 5


@dataclass(frozen=True)
class Shifted(Distances):
    """Distances with more to them than their repr tells."""

    by: float = field(default=0.0, repr=False)

    def to_json(self) -> list[dict[str, Any]]:
        return [{**super().to_json()[0], "by": self.by}]


def test_walks_of_coordinates_with_hidden_parts_are_told_apart() -> None:
    cache, one, other = WalkCache(Memory(), "samples", empty()), *(Shifted(("d",), ((0, 3),), None, by) for by in (0.0, 1.0))
    assert repr(one) == repr(other)
    walk, again = (Walk(CurveBias(c), np.zeros((1, 2)), 5, 5, 1, START) for c in (one, other))
    cache.run([("x", walk)], lambda tasks: (Dynamics(empty(), w.bias).walk(w) for w in tasks), lambda n: None)
    assert (cache.ahead([("x", walk)]), cache.ahead([("x", again)])) == (0, 5)


@dataclass(frozen=True)
class Squeezed(Distances):
    """A kind from outside: distances under another name."""

    kind = "squeezed"

    @staticmethod
    def from_json(block: dict[str, Any], cell: object) -> "Squeezed":
        return Squeezed(tuple(block["names"]), tuple(tuple(a) for a in block["atoms"]))


def test_a_kind_from_outside_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Squeezed(("d",), ((0, 3),))
    with pytest.raises(SpacetimeError, match="unknown kind of coordinates 'squeezed'"):
        registry.coordinates_of(mine.to_json(), None)
    monkeypatch.setitem(registry.KINDS, "squeezed", Squeezed)
    assert registry.coordinates_of(mine.to_json(), None) == mine


def test_the_molecules_own_energy_is_its_own_whatever_its_forces_are_called() -> None:
    """A System whose force is in the group of biases and has a parameter called stiffness: its energy is recorded, and no window changes
    it."""
    system = openmm.System()
    for _ in range(5):
        system.addParticle(12.0)
    own = openmm.CustomBondForce("stiffness*(r-center)^2")
    own.addGlobalParameter("stiffness", 100.0)
    own.addGlobalParameter("center", 0.1)
    own.addBond(0, 4, [])
    own.setForceGroup(BIAS_GROUP)
    system.addForce(own)
    model = replace(empty(), system_xml=openmm.XmlSerializer.serialize(system))
    expected = 100.0 * (np.linalg.norm(START[4] - START[0]) - 0.1) ** 2
    window = Window(Linear("s", (1.0, 0.0, 0.0, 0.0)), 0.3, 7.0)
    for bias, parameters in ((None, np.zeros((1, 0))), (WindowBias(TORSIONS, window.variable), window.parameters[None])):
        frames = Dynamics(model, bias).walk(Walk(bias, parameters, 5, 5, 1, START))
        assert frames.potential_energy[0] == pytest.approx(expected, rel=1e-6)
    assert Potential(model)(START)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("scale", "wanted"), [(float(np.degrees(1.0)), 0), (1.0, 1), (0.1, 2), (0.01, 3), (1000.0, 0)])
def test_places_are_told_to_a_tenth_of_thermal_motion(scale: float, wanted: int) -> None:
    assert decimals(scale) == wanted


@pytest.mark.parametrize(("low", "high"), [(-190.0, 0.0), (190.0, 0.0), (0.0, -190.0), (0.0, 190.0)])
def test_a_range_of_a_torsion_is_within_half_a_turn_either_way(low: float, high: float) -> None:
    with pytest.raises(SpacetimeError, match="is not within -180 to 180 degrees"):
        TORSIONS.condition("t", low, high)


@pytest.mark.parametrize(("low", "high"), [(10.0, 10.0), (180.0, -180.0), (-180.0, -180.0)])
def test_a_range_of_a_torsion_has_a_width(low: float, high: float) -> None:
    with pytest.raises(SpacetimeError, match=r"t=.* is empty; t=-180:180 is the whole circle"):
        TORSIONS.condition("t", low, high)
    for whole in ((-180.0, 180.0), (180.0, -170.0), (170.0, -180.0)):
        assert TORSIONS.condition("t", *whole) == {"torsions": [[0, 1, 2, 3, *whole]]}


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.2), (0.2, 0.2), (-0.5, -0.1), (-0.5, 0.0)])
def test_a_range_of_a_distance_holds_one(low: float, high: float) -> None:
    with pytest.raises(SpacetimeError, match=r"d=.* is empty; it goes up from one distance to another, in nm"):
        DISTANCES.condition("d", low, high)
    assert DISTANCES.condition("d", -0.1, 0.2) == {"distances": [[0, 3, -0.1, 0.2]]}


def test_coordinates_are_read_without_torch() -> None:
    """It takes a second, which worker processes need not spend."""
    words = "import sys, spacetime_tps.coordinates.registry, spacetime_tps.coordinates.automatic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_paths_are_at_even_times() -> None:
    at_steps = at_whole_steps(FRAMES, FRAMES, np.zeros(6), spacing=0.25)
    np.testing.assert_array_equal(at_steps.time, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
    assert at_steps.positions.dtype == np.float32
    both = joined([at_steps, time_reversed(at_steps)], spacing=0.25)
    np.testing.assert_array_equal(both.time, 0.25 * np.arange(12))
    np.testing.assert_array_equal(both.positions[6:], both.positions[5::-1])
    np.testing.assert_array_equal(both.velocities[6:], -both.velocities[5::-1])
    np.testing.assert_array_equal(offsets(both), np.zeros(12))
    np.testing.assert_array_equal(time_reversed(at_steps).time, at_steps.time)


def test_seeds_are_odd_and_the_same_in_every_version() -> None:
    """OpenMM takes 0 for none given, and no more than 31 bits."""
    found = [seed_of(root, purpose, index) for root in (0, 1) for purpose in ("walks", "shots") for index in range(300)]
    assert len(set(found)) == len(found)
    assert all(seed % 2 == 1 and 0 < seed < 2**31 for seed in found)
    assert max(found) > 2**30
    assert [seed_of(1, "walks", k) for k in range(3)] == [1217842417, 1246810323, 539404755]
