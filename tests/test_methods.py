"""Paths along curves: what they walk and how long, where they start, the straight rivals of a geodesic, how each is judged and kept."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hinge import PLANE, Here, frames, hinge, letters, placed

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.product import Product
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.methods.driving import Driven, drive, drive_back, schedule
from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.methods.settings import GuidedSettings, MethodSettings, SteeredSettings
from spacetime_tps.methods.steered import SAME, SHORT, Steered
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.paths.transition import read_transitions, write_transitions
from spacetime_tps.problems.problem import Problem
from spacetime_tps.seeds import seed_of
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.paths import Paths, judged
from spacetime_tps.stages.protocol import Given
from spacetime_tps.storage.folder import Folder
from spacetime_tps.storage.memory import Memory

PROBLEM = hinge()
GUIDED = Guided()
FAMILY = PLANE.family()


def ended(phi: tuple[float, float], psi: tuple[float, float]) -> Problem:
    """The molecule with start and end at these torsions, degrees."""
    first, last = (Structure(PROBLEM.start.topology, placed(f, p)[0]) for f, p in zip(phi, psi, strict=True))
    return replace(PROBLEM, start=first, end=last)


def curve(eta: np.ndarray, phi: Any = -90.0, psi: Any = 20.0, *, log_weight: Any = 0.0, route: str = "r") -> Curve:
    """A curve with frames to start from."""
    x = frames(phi, psi)
    weight, nothing, count = np.broadcast_to(log_weight, len(x)).astype(float), np.zeros((2, eta.shape[1])), np.array([len(x), 0])
    return Curve(route, eta, np.zeros(len(eta)), x.positions, x.velocities, PLANE.features(x.positions), weight, nothing, count)


def straight(start: tuple[float, float], end: tuple[float, float], points: int = 64, kappa: float = 20.0) -> np.ndarray:
    """eta (points, 4) of the line between two places, degrees."""
    here, there = np.radians(start), np.radians(end)
    return lines.line(FAMILY, here, there - here, np.full((points, 2), kappa))


# What is walked -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "held"), [(50, 2), (25, 4), (30, 4), (33, 4), (34, 3), (99, 2), (100, 1), (150, 1), (1, 100)])
def test_the_last_point_is_held_for_a_hundred_steps(steps: int, held: int) -> None:
    eta = np.linspace(0.0, 3.0, 7)[:, None] * np.array([1.0, 2.0])
    found = schedule(PLANE.family(), eta, 4, steps)
    assert len(found) == 3 + held
    np.testing.assert_allclose(found[:4], [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], atol=1e-12)
    np.testing.assert_allclose(found[4:], np.broadcast_to([3.0, 6.0], (held - 1, 2)), atol=1e-12)
    settings = GuidedSettings(points=4, steps_per_point=steps, stride=1)
    assert settings.steps == len(found) * steps
    assert settings.frames == settings.steps + 1
    assert replace_stride(settings, steps).frames == len(found) + 1


def replace_stride(settings: GuidedSettings, stride: int) -> GuidedSettings:
    return GuidedSettings(**{**settings.model_dump(), "stride": stride})


def test_a_curve_between_points_is_smooth() -> None:
    s = np.linspace(0.0, 1.0, 9)[:, None]
    np.testing.assert_allclose(schedule(PLANE.family(), s**3, 21, 100), np.linspace(0.0, 1.0, 21)[:, None] ** 3, atol=1e-12)


def test_strides_fit_into_points() -> None:
    with pytest.raises(ValueError, match="must be a multiple of stride, got 50 and 20"):
        GuidedSettings(steps_per_point=50, stride=20)


@pytest.mark.parametrize(("log_weight", "starts"), [([0.0, 0.0, 900.0], 0), ([0.0, 60.0, 900.0], 1)])
def test_paths_start_in_A_at_a_frame_drawn_under_the_first_point(log_weight: list[float], starts: int) -> None:
    """The first frame lies 40 kT deeper under the first point than the second, the third outside A. One seed, one path."""
    along = curve(straight((-90.0, 20.0), (90.0, 20.0)), [-90.0, -90.0, 0.0], [20.0, -160.0, 20.0], log_weight=log_weight)
    with Here(PROBLEM) as simulation:
        found = list(drive(PROBLEM, simulation, along, GuidedSettings(points=4, steps_per_point=20, stride=10), [5, 7, 9]))
        walks = simulation.asked
    eta = schedule(PLANE.family(), along.eta, 4, 20)
    assert [d.seed for d in found] == [w.seed for w in walks] == [5, 7, 9]
    for walk, driven in zip(walks, found, strict=True):
        np.testing.assert_array_equal(walk.positions, along.positions[starts])
        np.testing.assert_array_equal(walk.velocities, along.velocities[starts])
        np.testing.assert_array_equal(walk.schedule, eta)
        assert (walk.bias, walk.steps, walk.stride, walk.discard) == (CurveBias(PLANE), 20, 10, 0)
        assert driven.frames.evaluations == 8 * 20
        assert len(driven.frames) == 8 * 2 + 1
        np.testing.assert_array_equal(driven.eta, eta[np.concatenate([[0], np.repeat(np.arange(8), 2)])])


def test_paths_start_in_A_or_not_at_all() -> None:
    eta = straight((-90.0, 20.0), (90.0, 20.0))
    with Here(PROBLEM) as simulation, pytest.raises(SpacetimeError, match="no sampled frame is in state A"):
        list(drive(PROBLEM, simulation, curve(eta, [0.0, 90.0]), GuidedSettings(points=4, steps_per_point=20, stride=10), [1]))
    with Here(PROBLEM) as simulation, pytest.raises(SpacetimeError, match=r"no sampled frame is in state B: .*training.steps_b"):
        list(drive_back(PROBLEM, simulation, curve(eta, [0.0, -90.0]), GuidedSettings(points=4, steps_per_point=20, stride=10), [1]))


@pytest.mark.parametrize(("log_weight", "starts"), [([900.0, 0.0, 0.0], 2), ([900.0, 60.0, 0.0], 1)])
def test_paths_back_start_in_B_and_walk_the_mirror_image(log_weight: list[float], starts: int) -> None:
    """The first frame lies in A; the last 40 kT deeper under the last point than the second."""
    along = curve(straight((-90.0, 20.0), (90.0, 20.0)), [-90.0, 90.0, 90.0], [20.0, -160.0, 20.0], log_weight=log_weight)
    with Here(PROBLEM) as simulation:
        (found,) = drive_back(PROBLEM, simulation, along, GuidedSettings(points=4, steps_per_point=20, stride=10), [5])
        (walk,) = simulation.asked
    eta = schedule(PLANE.family(), along.eta, 4, 20)
    np.testing.assert_array_equal(walk.schedule, eta[::-1])
    np.testing.assert_allclose(walk.schedule[:5], np.broadcast_to(along.eta[-1], (5, 4)), atol=1e-9)
    np.testing.assert_array_equal(walk.positions, along.positions[starts])
    np.testing.assert_array_equal(walk.velocities, along.velocities[starts])
    np.testing.assert_array_equal(found.eta, eta[::-1][np.concatenate([[0], np.repeat(np.arange(8), 2)])])


# Straight rivals ----------------------------------------------------------------------------------------------------------------------

FAR = ended((-110.0, 85.0), (20.0, 60.0))  # phi goes 165 degrees down the short way, 195 up the other
PRECISION = np.stack([np.linspace(20.0, 40.0, 30), np.linspace(35.0, 15.0, 30)], axis=1)


@pytest.mark.parametrize(("end", "turns"), [(85.0, 1), (-275.0, 0), (445.0, 2), (-635.0, -1)])
def test_steered_paths_go_straight_the_short_way_and_the_geodesics_way(end: float, turns: int) -> None:
    here = FAR.ends[0]
    wiggle = 0.4 * np.sin(np.linspace(0.0, np.pi, 30))[:, None] * np.array([0.5, 1.0])
    center = here + np.linspace(0.0, 1.0, 30)[:, None] * (np.radians([end + 3.0, 60.0 - 5.0]) - here) + wiggle
    best = curve(lines.at_precision(FAMILY, center, PRECISION), route="best")
    assert lines.class_of(best.eta, FAMILY) == (turns, 0)
    found = Steered().along(FAR, [best, curve(straight((0.0, 0.0), (1.0, 1.0)))])
    assert [c.route for c in found] == ([SHORT] if turns == 0 else [SHORT, SAME]) == ["straight", "straight_same_way"][: len(found)]
    for line, change in zip(found, (np.radians([-165.0, 40.0]), np.radians([-165.0 + 360.0 * turns, 40.0])), strict=False):
        np.testing.assert_allclose(lines.centers(line.eta, FAMILY) - here, np.linspace(0.0, 1.0, 30)[:, None] * change, atol=1e-6)
        np.testing.assert_allclose(FAMILY.precisions(torch.from_numpy(line.eta)), PRECISION)
        assert line.positions is best.positions
    assert lines.class_of(found[-1].eta, FAMILY) == (turns, 0)


def test_lines_of_distances_have_no_other_way() -> None:
    problem = replace(PROBLEM, coordinates=Distances(("d",), ((0, 4),), None))
    family = problem.coordinates.family()
    here, there = problem.ends
    precision = np.linspace(20.0, 40.0, 9)[:, None]
    best = curve(lines.at_precision(family, np.linspace(here - 0.1, there + 9.0, 9), precision))
    (found,) = Steered().along(problem, [best])
    np.testing.assert_allclose(lines.centers(found.eta, family), np.linspace(here, there, 9), atol=1e-9)
    np.testing.assert_allclose(family.precisions(torch.from_numpy(found.eta)), precision)


def test_methods_cost_alike_and_are_asked_for_apart() -> None:
    settings = MethodSettings(
        guided=GuidedSettings(paths=7, points=10, steps_per_point=20, stride=10), steered=SteeredSettings(paths=3), reverse=5
    )
    guided, back, steered, steered_back = METHODS
    assert [(m.name, m.mirror_of, m.baseline, m.asked(settings)) for m in METHODS] == [
        ("guided", None, False, 7), ("guided_reverse", "guided", False, 5),
        ("steered", None, True, 3), ("steered_reverse", "steered", True, 5),
    ]  # fmt: skip
    for method in METHODS:
        assert method.steps(settings) == (10 + 4) * 20
        assert method.made_from(settings) == {"points": 10, "steps_per_point": 20, "stride": 10}
    assert (back.most_curves(9), steered_back.most_curves(9)) == (guided.most_curves(9), steered.most_curves(9)) == (9, 2)
    curves = [curve(straight((-90.0, 20.0), (90.0, 20.0)), route=name) for name in "ab"]
    assert guided.along(PROBLEM, curves) == curves


@pytest.mark.parametrize("method", METHODS)
def test_methods_drive_as_their_settings_say(method: Any) -> None:
    settings = MethodSettings(guided=GuidedSettings(points=3, steps_per_point=50, stride=25))
    with Here(PROBLEM) as simulation:
        (found,) = method.paths(PROBLEM, simulation, curve(straight((-90.0, 20.0), (90.0, 20.0)), [-90.0, 90.0]), settings, [3])
        (walk,) = simulation.asked
    assert (walk.steps, walk.stride, len(walk.schedule), walk.seed) == (50, 25, 4, 3)
    assert found.frames.evaluations == method.steps(settings) == 200


class Slow(Guided):
    """At twice the points."""

    def pace(self, settings: MethodSettings) -> GuidedSettings:
        return settings.guided.model_copy(update={"points": 2 * settings.guided.points})


@pytest.mark.parametrize("method", [Slow(), Reverse(Slow())])
def test_a_method_is_walked_back_at_its_own_pace(method: Any) -> None:
    settings = MethodSettings(guided=GuidedSettings(points=3, steps_per_point=50, stride=25))
    with Here(PROBLEM) as simulation:
        (found,) = method.paths(PROBLEM, simulation, curve(straight((-90.0, 20.0), (90.0, 20.0)), [-90.0, 90.0]), settings, [3])
        (walk,) = simulation.asked
    assert len(walk.schedule) == 2 * 3 + 1
    assert found.frames.evaluations == method.steps(settings) == 350
    assert len(found.frames) == method.frames(settings)


# How a path is judged -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "stable", "hit"), [("a.b", True, True), ("ab.", True, False), (".ab", True, False), ("a.b", False, False)]
)
def test_a_hit_begins_in_A_and_ends_in_B(where: str, stable: bool, hit: bool) -> None:
    path = replace(letters(where), stable=stable)
    assert PROBLEM.connects(path.positions) is (hit or not stable)
    row = judged(Memory(), PROBLEM, GUIDED, "g", "r", Driven(3, path, np.full((len(path), 4), 1.0)))
    assert (row.hit, row.status) == (int(hit), "ok" if stable else "unstable")


@pytest.mark.parametrize(("where", "hit"), [("b.a", True), ("ba.", False), (".ba", False), ("a.b", False)])
def test_a_hit_of_a_path_back_begins_in_B_and_ends_in_A(where: str, hit: bool) -> None:
    row = judged(Memory(), PROBLEM, Reverse(GUIDED), "g", "r", Driven(3, letters(where), np.full((len(where), 4), 1.0)))
    assert (row.hit, row.stage) == (int(hit), "guided_reverse")


def test_a_path_is_kept_with_its_energies(tmp_path: Path) -> None:
    storage = Folder(tmp_path)
    path = frames([-90.0, 0.0, 90.0], [20.0, 90.0, 20.0], energy=[1.5, 33.2500123, -2.0], evaluations=640)
    eta = np.array([[0.0, -10.0, 3.0, 4.0], [5.0, 0.0, 0.0, 7.0], [0.0, 2.0, 6.0, 8.0]])
    row = judged(storage, PROBLEM, GUIDED, "guided_r_0001", "r", Driven(99, path, eta))
    assert (row.path, row.stage, row.route, row.file) == ("guided_r_0001", "guided", "r", "transitions/guided_r_0001.trr")
    assert (row.hit, row.status, row.n_frames, row.evaluations, row.seed, row.weight) == (1, "ok", 3, 640, 99, None)
    assert row.max_energy_kj_mol == 33.25
    np.testing.assert_allclose(storage.frames(row.file)[0], path.positions)
    with open(tmp_path / "transitions/guided_r_0001.csv") as handle:
        table = list(csv.DictReader(handle))
    assert [float(r["potential_energy_kj_mol"]) for r in table] == [1.5, 33.25, -2.0]
    kT, angle = 8.314462618e-3 * 300.0, np.radians(20.0)
    # The restraint changes at the first frame, psi = 20, and at the second, phi = 0 and psi = 90 degrees
    spent = -(5.0 * 0.0 + 10.0 * -1.0 - 3.0 * np.cos(angle) + 3.0 * np.sin(angle)) - (-5.0 * 1.0 + 2.0 * 0.0 + 6.0 * 0.0 + 1.0 * 1.0)
    assert row.work_kT == pytest.approx(spent, abs=1e-4)
    held = np.array([10.0 + 3.0 * np.cos(angle) + 4.0 * np.sin(angle), 5.0 + 7.0, 2.0 + 6.0 * np.cos(angle) + 8.0 * np.sin(angle)])
    np.testing.assert_allclose([float(r["bias_energy_kj_mol"]) for r in table], -kT * held, atol=1e-3)
    np.testing.assert_allclose([float(r["level"]) for r in table], [7.5, 6.0, 6.0], atol=1e-4)
    np.testing.assert_allclose([float(r["time_ps"]) for r in table], [0.0, 0.002, 0.004])


def test_the_level_of_a_path_is_a_precision_whatever_the_coordinates_are() -> None:
    storage, coordinates = Memory(), Product((PLANE, Distances(("d",), ((0, 4),))))
    problem = replace(PROBLEM, coordinates=coordinates)
    eta = lines.at_precision(
        coordinates.family(), np.repeat(problem.ends[0][None], 3, axis=0), np.full((3, coordinates.family().levels), 40.0)
    )
    judged(storage, problem, GUIDED, "g", "r", Driven(1, letters("a.b"), eta))
    np.testing.assert_allclose([float(r["level"]) for r in storage.table("transitions/g.csv")], 40.0)


def test_an_unstable_path_is_a_row_without_a_file() -> None:
    storage = Memory()
    row = judged(storage, PROBLEM, GUIDED, "g", "r", Driven(3, replace(letters("a.b"), stable=False, evaluations=55), np.zeros((3, 4))))
    assert (row.status, row.hit, row.n_frames, row.evaluations, row.seed, row.file, row.route) == ("unstable", 0, 0, 55, 3, "", "r")
    assert np.isnan(row.max_energy_kj_mol)
    assert row.work_kT is None
    assert storage.names("*/*") == []


# The stage of a method ----------------------------------------------------------------------------------------------------------------


@dataclass
class Hand:
    """A method whose paths are made by hand: of 100 evaluations, all from A to B, with an interruption after so many."""

    left: int = 1000
    name = "hand"
    baseline = False
    mirror_of = None

    def __post_init__(self) -> None:
        self.seeds: list[tuple[str, int]] = []

    def asked(self, settings: MethodSettings) -> int:
        return settings.guided.paths

    def made_from(self, settings: MethodSettings) -> Any:
        return {}

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return list(curves)

    def steps(self, settings: MethodSettings) -> int:
        return 100

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        for seed in seeds:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.seeds.append((curve.route, seed))
            yield Driven(seed, replace(letters("a.b"), evaluations=100), np.ones((3, 4)))


def asking(simulation: Here, paths: int, *, routes: int = 2, seed: int = 1) -> Given:
    curves = [curve(straight((-90.0, 20.0), (90.0, 20.0)), route=name) for name in "pqr"]
    settings: Settings = parse_settings([f"guided.paths={paths}", f"rounds.routes={routes}", f"seed={seed}"])
    value = Sampled(curves, [], [1, 2, 3], {}, {}, b"", {}, [], [])
    return Given(PROBLEM, simulation, settings, {"exploration": value})


def test_a_stage_makes_the_missing_paths_of_each_curve() -> None:
    method = Hand()
    stage = Paths(method)
    with Here(PROBLEM) as simulation:
        rows = stage.run(asking(simulation, 2))
        assert [r.path for r in rows] == ["hand_p_0000", "hand_p_0001", "hand_q_0000", "hand_q_0001"]
        assert [(r.route, r.seed) for r in rows] == method.seeds == [(c, seed_of(1, f"hand_{c}", k)) for c in "pq" for k in (0, 1)]
        assert read_transitions(simulation.storage) == rows
        assert simulation.told.tasks == [("hand p", 200, [100, 100]), ("hand q", 200, [100, 100])]
        method.seeds.clear()
        more = stage.run(asking(simulation, 3))
        assert [r.path for r in more] == [f"hand_{c}_{k:04d}" for c in "pq" for k in range(3)]
        assert method.seeds == [(c, seed_of(1, f"hand_{c}", 2)) for c in "pq"]
        assert [r for r in more if r in rows] == rows
        assert read_transitions(simulation.storage) == more
        assert stage.run(asking(simulation, 1)) == more, "more than are asked for stay"
        assert len(method.seeds) == 2
        assert stage.load(asking(simulation, 1)) == more


def test_what_is_done_is_kept_when_a_stage_is_interrupted() -> None:
    with Here(PROBLEM) as simulation:
        other = replace(stray := Paths(Hand()).run(asking(simulation, 1, routes=1))[0], path="steered_x_0000", stage="steered")
        write_transitions(simulation.storage, [other])
        with pytest.raises(KeyboardInterrupt):
            Paths(Hand(left=3)).run(asking(simulation, 2))
        kept = read_transitions(simulation.storage)
        assert [r.path for r in kept] == ["steered_x_0000", "hand_p_0000", "hand_p_0001", "hand_q_0000"]
        assert kept[1] == stray
        with pytest.raises(KeyboardInterrupt):  # the rows of later curves stay while earlier ones are completed
            Paths(Hand(left=0)).run(asking(simulation, 3))
        assert read_transitions(simulation.storage) == kept
        method = Hand()
        Paths(method).run(asking(simulation, 2))
        assert method.seeds == [("q", seed_of(1, "hand_q", 1))]


def test_clearing_a_stage_removes_its_paths_alone() -> None:
    stage = Paths(Hand())
    with Here(PROBLEM) as simulation:
        given = asking(simulation, 1)
        assert not stage.clear(given)
        rows = stage.run(given)
        other = judged(simulation.storage, PROBLEM, GUIDED, "guided_p_0000", "p", Driven(1, letters("a.b"), np.ones((3, 4))))
        stage.save([*rows[::-1]], given)
        assert stage.load(given) == rows[::-1]
        write_transitions(simulation.storage, [*rows, other])
        assert stage.clear(given)
        assert stage.load(given) == []
        assert read_transitions(simulation.storage) == [other]
        assert simulation.storage.names("transitions/*") == ["transitions/guided_p_0000.csv", "transitions/guided_p_0000.trr"]
