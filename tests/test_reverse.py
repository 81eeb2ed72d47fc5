"""Paths walked both ways in OpenMM: the work of each is what the restraint's energy says at every change, and the free-energy difference of
A and B is that of the landscape.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hinge import PHI, PLANE, B, Here, frames, hinge, letters, placed

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import BIAS_GROUP
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Walk
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.sampled import Curve, Sampled
from spacetime_tps.methods.driving import Driven, walks_along
from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.paths.transition import Transition
from spacetime_tps.pipeline.work import work_of_route, work_summary
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.crooks import work
from spacetime_tps.settings import parse_settings
from spacetime_tps.stages.paths import Paths, judged
from spacetime_tps.stages.protocol import Given
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.storage.memory import Memory

PROBLEM = hinge()
GUIDED, BACK = Guided(), Reverse(Guided())
POSITIONS = Positions(("a", "b", "c", "d"), (0, 1, 3, 4), tuple(map(tuple, placed(0.0, 20.0)[0][[0, 1, 3, 4]].tolist())))
DISTANCES = Distances(("d",), ((0, 4),))


# Work ---------------------------------------------------------------------------------------------------------------------------------


def spent(dynamics: Dynamics, walk: Walk) -> float:
    """Work in kT: what each change of the restraint adds to its energy, by OpenMM itself, on the walk's own trajectory."""

    def energy() -> float:
        state = dynamics.context.getState(energy=True, groups=1 << BIAS_GROUP)
        return float(state.getPotentialEnergy()._value) / PROBLEM.model.kT

    dynamics.begin(walk.seed, *dynamics._placed(walk.positions, walk.velocities), parameters=walk.schedule[0])
    total = 0.0
    for eta in walk.schedule:
        before = energy()
        dynamics.set_bias(eta)
        total += energy() - before
        dynamics.integrator.step(walk.steps)
    return total


@pytest.mark.parametrize(
    ("coordinates", "tolerance"),
    [(PLANE, 1e-4), (DISTANCES, 1e-4), (Product((PLANE, DISTANCES)), 1e-4), (POSITIONS, 2e-3)],
    ids=["torsions", "distances", "product", "positions"],
)
@pytest.mark.parametrize("stride", [10, 20])
def test_work_is_what_changing_the_restraint_costs(coordinates: Coordinates, tolerance: float, stride: int) -> None:
    """Frames are stored in single precision."""
    family = coordinates.family()
    here, there = (coordinates.values(placed(phi, 20.0)[0]) for phi in (-90.0, -40.0))
    levels = family.precisions(torch.zeros(family.dimension, dtype=torch.double)).shape[-1]
    eta = lines.line(family, here, there - here, np.tile(np.linspace(20.0, 40.0, 12)[:, None], levels))
    x = placed(-90.0, 20.0)
    (walk,) = walks_along(coordinates, eta, steps_per_point=20, stride=stride, seeds=[3], positions=x, velocities=np.zeros_like(x))
    dynamics = Dynamics(PROBLEM.model, walk.bias)
    path = dynamics.walk(walk)
    made = eta[path.point]
    exact = spent(dynamics, walk)
    assert abs(exact) > 1.0
    assert work(coordinates.held_features(path.positions), made) == pytest.approx(exact, abs=tolerance)
    problem = replace(PROBLEM, coordinates=coordinates)
    assert judged(Memory(), problem, GUIDED, "g", "r", Driven(3, path, made)).work_kT == pytest.approx(exact, abs=tolerance + 1e-4)


# Free energies ------------------------------------------------------------------------------------------------------------------------

NARROW = State(((TorsionRange((0, 1, 2, 3), 62.0, 92.0),),))
LOPSIDED = replace(PROBLEM, b=NARROW)
"""A from -120 to -60 degrees, B about half as wide"""


def exact(problem: Problem) -> float:
    """F_B - F_A, kT: integrals over phi, which no other term depends on."""
    phi = np.radians(np.arange(-179.95, 180.0, 0.1))
    weight = np.exp(-PHI * (1.0 + np.cos(2.0 * phi)) / problem.model.kT)
    at = placed(np.degrees(phi), 20.0)
    return float(math.log(weight[problem.a.contains(at)].sum() / weight[problem.b.contains(at)].sum()))


def sampled(problem: Problem, simulation: Here, points: int) -> Sampled:
    """A straight line along phi, tighter towards B, with MD in both ends for its frames and for the ends themselves."""
    walks = [
        Walk(None, FREE, 120_000, 200, seed, placed(phi, 20.0)[0], discard=2000) for seed, phi in enumerate((-90.0, -90.0, 80.0, 80.0), 1)
    ]
    runs = list(simulation.walks(walks))
    here, there = np.radians([-90.0, 20.0]), np.radians([90.0, 20.0])
    eta = lines.line(PLANE.family(), here, there - here, np.tile(np.linspace(10.0, 20.0, points)[:, None], 2))
    x, v = (np.concatenate([getattr(f, key) for f in runs]) for key in ("positions", "velocities"))
    nothing = np.zeros(len(x))
    curve = Curve("r", eta, np.zeros(points), x, v, PLANE.features(x), nothing, np.zeros((1, 4)), np.array([len(x)]))
    return Sampled([curve], [], [1], {}, {}, b"", {}, runs[:2], runs[2:])


@pytest.mark.parametrize("problem", [PROBLEM, LOPSIDED], ids=["alike", "lopsided"])
def test_paths_both_ways_give_the_free_energy_of_the_landscape(problem: Problem) -> None:
    """Within 3 standard errors: false alarms once in 370. In the lopsided case half of the paths to B miss it."""
    settings = parse_settings([
        "guided.paths=100", "reverse=90", "guided.points=48", "guided.steps_per_point=50", "guided.stride=50", "seed=3",
    ])  # fmt: skip
    with Here(problem) as simulation:
        found = sampled(problem, simulation, 48)
        given = Given(problem, simulation, settings, {"exploration": found})
        rows = {method.name: Paths(method).run(given) for method in (GUIDED, BACK)}
        got = work_summary(problem, found, settings, (GUIDED, BACK), rows)["guided"]["r"]
    assert [r.path for r in rows["guided_reverse"][:2]] == ["guided_reverse_r_0000", "guided_reverse_r_0001"]
    free, dissipated = got["free_energy_difference_kT"], got["dissipated_kT"]
    assert free["value"] == pytest.approx(exact(problem), abs=3 * free["standard_error"])
    assert free["standard_error"] < 0.35
    assert dissipated["value"] > -3 * dissipated["standard_error"]
    assert dissipated["value"] == pytest.approx(got["forward_kT"]["value"] + got["reverse_kT"]["value"])
    assert 0.0 < got["overlap"] < 1.0
    assert got["note"] is None


# What is said -------------------------------------------------------------------------------------------------------------------------


def rows_of(works: Any, storage: Memory, *, hit: int = 1, phi: float = -90.0) -> list[Transition]:
    """A row and a trajectory for each work."""
    found = []
    for k, x in enumerate(works):
        storage.put_frames(f"{phi}_{k}", frames([phi, phi]), timestep=0.002, cell=None)
        found.append(Transition(f"p{k}", "s", "ok", hit, 1.0, x, 2, 10, k, None, "r", f"{phi}_{k}"))
    return found


def told(forward: list[Transition], reverse: list[Transition], storage: Memory, **more: Any) -> dict[str, Any]:
    eta = lines.line(PLANE.family(), np.radians([-90.0, 20.0]), np.radians([180.0, 0.0]), np.full((9, 2), 1.0))
    x = frames([-90.0]).positions
    curve = Curve("r", eta, np.zeros(9), x, x, PLANE.features(x), np.zeros(1), np.zeros((1, 4)), np.array([1]))
    value = Sampled([curve], [], [1], {}, {}, b"", {}, [letters("a" * 9)], [letters("b" * 9)])
    return work_of_route(PROBLEM, replace(value, **more), curve, forward, reverse)


def test_where_there_is_no_telling_a_sentence_says_why() -> None:
    storage = Memory()
    near, far = np.linspace(2.0, 4.0, 20), np.linspace(50.0, 60.0, 20)
    forward, reverse = rows_of(near, storage), rows_of(near - 3.0, storage, phi=90.0)
    whole = told(forward, reverse, storage)
    assert whole["note"] is None
    assert whole["free_energy_difference_kT"]["value"] == pytest.approx(1.5, abs=0.5), "the ends are alike"
    assert whole["crossing_kT"] == pytest.approx(1.5, abs=0.5)
    alone = told(forward, reverse[:1], storage)
    assert alone["note"] == "Fewer than two paths one way have their work."
    assert alone["dissipated_kT"] is None
    assert told([replace(r, work_kT=None) for r in forward], reverse, storage) == alone, "rows of an older version"
    for none in (
        told(forward, rows_of(near, storage, hit=0, phi=90.0), storage), told(forward, rows_of(far, storage, phi=90.0), storage),
        told(forward, reverse, storage, in_a=[letters("...")]),
    ):  # fmt: skip
        assert none["free_energy_difference_kT"] is None
        assert none["dissipated_kT"]["value"] > 0.0
    assert "None of 20 paths back from B to A connects" in told(forward, rows_of(near, storage, hit=0, phi=90.0), storage)["note"]
    assert "hardly overlap" in told(forward, rows_of(far, storage, phi=90.0), storage)["note"]
    assert "Plain MD in B hardly meets where the paths start" in told(forward, reverse, storage, in_b=[letters("bbbb")])["note"]
    assert "Plain MD has no frame in A" in told(forward, reverse, storage, in_a=[letters("...")])["note"]


def test_only_what_was_walked_both_ways_is_told_of() -> None:
    storage = Memory()
    forward, reverse = rows_of([1.0, 2.0], storage), rows_of([0.0, 0.5], storage, phi=90.0)
    value = Sampled([], [], [1], {}, {}, b"", {}, [letters("a" * 9)], [letters("b" * 9)])
    assert B.contains(storage.frames("90.0_0")[0]).all()
    for paths in ({"guided": forward}, {"guided_reverse": reverse}, {"guided": forward, "guided_reverse": reverse}):
        assert work_summary(PROBLEM, value, parse_settings([]), (GUIDED, BACK), paths) == {}, "no curve, no other way"


def test_work_is_of_the_curves_that_paths_were_walked_along() -> None:
    """A method may make one curve of all that it is given: it is given as many here as where its paths are made."""

    class Last(Guided):
        def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
            return [replace(curves[-1], route="r")]

    storage = Memory()
    forward, reverse = rows_of([1.0, 2.0], storage), rows_of([0.0, 0.5], storage, phi=90.0)
    with Here(PROBLEM) as simulation:
        value = sampled(PROBLEM, simulation, 48)
    other = replace(value.curves[0], route="other", eta=2.0 * value.curves[0].eta)
    last = Last()
    paths = {"guided": forward, "guided_reverse": reverse}

    def found(curves: list[Curve]) -> object:
        return work_summary(PROBLEM, replace(value, curves=curves), parse_settings([]), (last, Reverse(last)), paths)["guided"]["r"]

    assert found([value.curves[0], other]) == found([value.curves[0]]), "one route is followed"
