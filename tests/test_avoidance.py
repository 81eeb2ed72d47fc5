"""Forbidden regions: how they are written, what they hold, how near a curve is to them, and that curves keep away."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from hinge import PLANE, hinge, placed

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines as routing
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.detours import detours
from spacetime_tps.exploration.forbidden import Box, Point, bind
from spacetime_tps.exploration.regions import ForbiddenBox, ForbiddenPoint, parse_regions
from spacetime_tps.exploration.route import Nearness, Route
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import minimise
from spacetime_tps.geometry.penalties import LowVariance
from spacetime_tps.pipeline.avoidance_summary import cannot_be_met
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import parse_settings, validated
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange

FAMILY = VonMises(2)
KAPPA = 30.0
AXIS = np.linspace(-180.0, 180.0, 121)[:-1]
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)
PROBLEM = hinge()


def none(name: str) -> bytes:
    raise AssertionError(f"{name} is asked for")


def box(phi: tuple[float, float], psi: tuple[float, float]) -> Box:
    return Box("box", State(((TorsionRange(PLANE.atoms[0], *phi), TorsionRange(PLANE.atoms[1], *psi)),)), PLANE)


def marked(samples: WeightedSamples, avoidance: Avoidance) -> WeightedSamples:
    """Samples at the points of `GRID`, marked as frames of the molecule would be."""
    marks = torch.from_numpy(avoidance.marks(placed(*GRID.T)))
    return WeightedSamples(samples.features, samples.log_weights, marks=marks)


@pytest.fixture(scope="module")
def flat() -> WeightedSamples:
    """Samples of a flat potential: a grid over the torus."""
    return WeightedSamples(FAMILY.features(torch.from_numpy(np.radians(GRID))), torch.zeros(len(GRID)))


def line(start: tuple[float, float], end: tuple[float, float], points: int = 33) -> torch.Tensor:
    s = torch.linspace(0, 1, points, dtype=torch.double)[:, None]
    center = torch.deg2rad(torch.tensor(start) * (1 - s) + torch.tensor(end) * s)
    return FAMILY.natural(center, torch.full_like(center, KAPPA))


def test_regions_are_read_and_written_alike() -> None:
    boxed, point = parse_regions(["phi=-20:20  psi=170:-60.5", "psi=-5 kappa=50 phi=0"])
    assert boxed == ForbiddenBox(box={"phi": (-20, 20), "psi": (170, -60.5)})
    assert point == ForbiddenPoint(point={"phi": 0, "psi": -5}, kappa=50)
    assert parse_regions([boxed.label, point.label]) == (boxed, point)
    chosen = parse_settings(["seed=2"], avoid=[boxed, point])
    assert chosen.avoid == (boxed, point)
    assert validated(yaml.safe_load(yaml.safe_dump(chosen.model_dump(mode="json")))) == chosen
    assert parse_settings(["avoid=[{box: {phi: [-20, 20]}}]"]).avoid == (ForbiddenBox(box={"phi": (-20, 20)}),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("phi=left:right", "cannot read 'phi=left:right'"),
        ("phi -20:20", "cannot read 'phi'"),
        ("phi=0:20 psi=3", "neither a box"),
        ("phi=0 psi=0", "neither a box"),
        ("kappa=50", "neither a box"),
        ("", "neither a box"),
        ("phi=0:10 phi=20:30", "names phi twice"),
        ("phi=0 psi=0 kappa=0", "greater than 0"),
    ],
)
def test_a_region_that_is_none_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SpacetimeError, match="--avoid") as raised:
        parse_regions([text])
    assert sentence in str(raised.value)


def test_regions_are_bound_to_the_torsions_of_the_molecule(alanine: Problem) -> None:
    bound = bind(parse_regions(["psi=-40:60 phi=170:-170", "psi=30 phi=-10 kappa=100"]), alanine, none)
    angles = np.radians([[175.0, 0.0], [-175.0, 59.0], [165.0, 0.0], [175.0, 61.0], [-10.0, 30.0], [-10.0, 41.0], [-10.0, 42.0]])
    np.testing.assert_array_equal(bound[0].holds(angles), [True, True, False, False, False, False, False])
    np.testing.assert_array_equal(bound[1].holds(angles), [False, False, False, False, True, True, False])  # 2/sqrt(100) is 11.5 degrees
    for text, sentence in (
        ("phi=-20:200", "'phi=-20:200': the range phi=-20:200 is not within -180 to 180 degrees"),
        ("phi=20:20", "is empty"),
        ("phi=180:-180", "is empty"),
        ("omega=0:10", "names 'omega', which is none of the coordinates phi, psi"),
        ("phi=0 kappa=20", "a point wants every coordinate, and psi is left out"),
        ("phi=40:80", "the end structure lies in the forbidden region 'phi=40:80'"),
        ("phi=-147 psi=159 kappa=30", "the start structure lies in"),
    ):
        with pytest.raises(SpacetimeError, match=sentence):
            bind(parse_regions([text]), alanine, none)


def test_nearness_agrees_with_sums_over_the_samples(flat: WeightedSamples) -> None:
    curve = line((-90.0, 40.0), (90.0, 40.0))
    forbidden, point = box((-20.5, 20.5), (-50.5, 20.5)), Point("point", np.radians([0.0, -20.0]), 40.0, PLANE)
    avoidance = Avoidance([forbidden, point], FAMILY, margin=math.radians(10.0), floor=7.0)
    near = avoidance.nearness(curve.numpy(), marked(flat, avoidance))
    weight = torch.softmax(flat.features @ curve.T, dim=0).numpy()
    angles = np.degrees(FAMILY.center(flat.features).numpy())
    inside = (np.abs(angles[:, 0]) <= 20.5) & (np.abs(angles[:, 1] + 15) <= 35.5)
    around = (np.abs(angles[:, 0]) <= 30.5) & (np.abs(angles[:, 1] + 15) <= 45.5)
    assert near[0].probability == pytest.approx(weight[inside].sum(0).max())
    assert near[0].divergence == pytest.approx(-math.log(weight[around].sum(0).max()))
    assert np.degrees(near[0].center) == pytest.approx((0.0, 40.0), abs=0.1)
    assert not near[0].crosses
    assert near[0].lack == pytest.approx(0.9 * 7.0 - near[0].divergence)
    # KL between products of von Mises distributions whose second centers are 60 degrees apart, from the closed form of each factor.
    bessel = [torch.special.i0e(torch.tensor(k)).log().item() + k for k in (40.0, KAPPA)]
    mean = (torch.special.i1e(torch.tensor(40.0)) / torch.special.i0e(torch.tensor(40.0))).item()
    exact = sum(mean * (40.0 - KAPPA * math.cos(math.radians(apart))) + bessel[1] - bessel[0] for apart in (0.0, 60.0))
    assert near[1].divergence == pytest.approx(exact, rel=1e-3)


def test_a_curve_that_leaps_over_a_region_still_runs_through_it(flat: WeightedSamples) -> None:
    empty = torch.from_numpy(np.abs(np.degrees(FAMILY.center(flat.features)[:, 0].numpy())) > 25)
    curve = line((-90.0, 0.0), (90.0, 0.0)).numpy()
    avoidance = Avoidance([box((-20, 20), (-180, 180))], FAMILY, margin=0.0, floor=7.0)
    (near,) = avoidance.nearness(curve, marked(flat, avoidance).restricted(empty))
    assert (near.divergence, near.probability, near.crosses, near.lack) == (None, 0.0, True, 7.0)


@pytest.mark.parametrize(("share", "crosses"), [(0.45, False), (0.55, True)])
def test_a_curve_with_most_of_its_weight_in_a_region_runs_through_it_wherever_its_centers_are(share: float, crosses: bool) -> None:
    """One point of a curve at psi = 60, and frames at psi = 0, in the region, and at 60: their weights decide."""
    held = box((-20, 20), (-30, 30))
    phi, psi = np.zeros(2), np.array([0.0, 60.0])
    features = FAMILY.features(torch.from_numpy(np.radians(np.stack([phi, psi], axis=-1))))
    curve = line((0.0, 60.0), (0.0, 60.0), 3)
    tilt = (features @ curve[0]).numpy()
    log_weight = torch.from_numpy(np.log([share, 1.0 - share]) - tilt)
    avoidance = Avoidance([held], FAMILY, margin=0.0, floor=7.0)
    samples = WeightedSamples(features, log_weight, marks=torch.from_numpy(avoidance.marks(placed(phi, psi))))
    (near,) = avoidance.nearness(curve.numpy(), samples)
    assert near.probability == pytest.approx(share)
    assert near.crosses == crosses
    assert avoidance.crossed(curve.numpy(), samples) == crosses


def test_the_penalty_takes_a_curve_out_of_a_box(flat: WeightedSamples) -> None:
    avoidance = Avoidance([box((-15, 15), (-50, 10))], FAMILY, margin=math.radians(5.0), floor=7.0)
    flat = marked(flat, avoidance)
    curve = line((-120.0, 0.0), (120.0, 0.0))
    floor = LowVariance(FAMILY, KAPPA, weight=1e4)
    unit = routing.straight_energy(curve, flat, FAMILY)
    assert avoidance.nearness(curve.numpy(), flat)[0].crosses
    for weight in (0.3, 3.0, 30.0):
        penalties = [floor, *avoidance.penalties(flat, curve[[0, -1]], weight=weight * unit)]
        curve = minimise(curve, flat, penalties, family=FAMILY, nodes=10, points=33, evaluations=60).eta
    (near,) = avoidance.nearness(curve.numpy(), flat)
    assert near.lack == 0.0
    assert near.probability < math.exp(-0.9 * 7.0)
    unseen = Avoidance([box((0, 10), (0, 10))], FAMILY, margin=0.0, floor=7.0)
    assert not unseen.penalties(marked(flat, unseen).restricted(torch.arange(14400) < 100), curve[[0, -1]], weight=1.0)


def test_detours_pass_on_either_side_in_the_same_class() -> None:
    curve = line((-80.0, 20.0), (80.0, -20.0), 64).numpy()
    level = np.full((64, 2), KAPPA)
    forbidden = box((-20, 20), (-30, 40))
    found = detours(Route("r", (0, 0), curve), [forbidden], level, PLANE)
    assert [r.name for r in found] == ["r_past_psi-61", "r_past_psi+71"]  # 3/sqrt(30) is 31 degrees
    for route in found:
        assert route.winding == (0, 0)
        assert not forbidden.holds(routing.center_line(route.eta, FAMILY)).any()
        np.testing.assert_allclose(route.eta[[0, -1]], curve[[0, -1]], atol=1e-12)
    assert not detours(Route("r", (0, 0), curve), [box((-20, 20), (-180, 180))], level, PLANE)
    assert not detours(Route("r", (0, 0), curve), [box((-20, 20), (60, 90))], level, PLANE)


@pytest.mark.parametrize(
    ("psi", "held", "names", "middles"),
    [
        (130.0, (100, 160), ["r_past_psi+69", "r_past_psi-169"], [68.6, 191.4]),  # an edge beyond 180
        (-170.0, (150, -150), ["r_past_psi+119", "r_past_psi-119"], [-241.4, -118.6]),  # a region across it
    ],
)
def test_detours_near_180_degrees_are_named_within_them(
    psi: float, held: tuple[float, float], names: list[str], middles: list[float]
) -> None:
    curve, level = line((-80.0, psi), (80.0, psi), 64).numpy(), np.full((64, 2), KAPPA)
    found = detours(Route("r", (0, 0), curve), [box((-20, 20), held)], level, PLANE)
    assert [r.name for r in found] == names
    away = [float(np.degrees(routing.centers(r.eta, FAMILY))[32, 1]) for r in found]
    assert away == pytest.approx(middles, abs=0.1)
    assert all(r.winding == (0, 0) for r in found)


def test_a_detour_leaves_the_curve_over_a_part_of_it_and_meets_it_at_its_ends() -> None:
    """phi from -80 to 80 at psi = 0, 64 points: those from the 24th to the 39th enter, and a curve leaves over 0.15 x 64 points before."""
    curve, level = line((-80.0, 0.0), (80.0, 0.0), 64).numpy(), np.full((64, 2), KAPPA)
    away = 30.0 + 3.0 / math.sqrt(KAPPA) * 180.0 / math.pi
    down, up = detours(Route("r", (0, 0), curve), [box((-20, 20), (-30, 40))], level, PLANE)
    for found, way in ((down, -away), (up, away + 10.0)):
        center = np.degrees(routing.centers(found.eta, FAMILY))
        np.testing.assert_allclose(center[:, 0], np.linspace(-80.0, 80.0, 64), atol=1e-9)
        shares = {24: 1.0, 39: 1.0, 30: 1.0, 14: 0.0, 49: 0.0, 0: 0.0, 63: 0.0, 19: 0.5 + 0.5 * math.cos(math.pi * 5 / 9.6)}
        np.testing.assert_allclose(center[list(shares), 1], [way * share for share in shares.values()], atol=1e-9)
    near = detours(Route("r", (0, 0), curve), [box((-71.5, -62), (-5, 5))], level, PLANE)  # from the fourth point on
    assert len(near) == 2
    center = np.degrees(routing.centers(near[0].eta, FAMILY))
    way = -5.0 - away + 30.0
    np.testing.assert_allclose(
        center[:5, 1], [way * s * k / 4 for k, s in enumerate([*(0.5 + 0.5 * math.cos(math.pi * d / 9.6) for d in (4, 3, 2, 1)), 1.0])]
    )


def test_a_point_bounds_two_deviations_each_way() -> None:
    """2 / sqrt(4) is a radian."""
    degree = 180.0 / math.pi
    (phi, psi) = Point("p", np.array([0.5, -1.0]), 4.0, PLANE).ranges
    assert (phi[0], psi[0]) == (0, 1)
    assert phi[1:] == pytest.approx((-0.5 * degree, 1.5 * degree))
    assert psi[1:] == pytest.approx((-2.0 * degree, 0.0))


def test_routes_that_enter_rank_behind_those_that_do_not() -> None:
    clear = Route("clear", (0, 0), line((0.0, 0.0), (1.0, 1.0)).numpy(), nearness=(Nearness("x", 9.5, 10.0, 0.0, None, False),))
    near = replace(clear, name="near", nearness=(Nearness("x", 5.0, 10.0, 0.01, None, False),))
    through = replace(clear, name="through", nearness=(Nearness("x", None, 10.0, 0.0, None, True),))
    assert (clear.lack, near.lack, through.lack) == (0.0, 4.0, 10.0)
    assert min([through, near, clear], key=lambda r: r.rank) is clear
    assert (through.crosses, near.crosses) == (True, False)


def test_the_sentence_on_a_constraint_that_cannot_be_met() -> None:
    kept = {
        "region": "phi=-9:9",
        "lack_nats": 0.0,
        "divergence_nats": 12.0,
        "floor_nats": 10.0,
        "p_eta": 1e-6,
        "center": (0.0, 0.0),
        "crosses": False,
    }
    near = {**kept, "region": "psi=0:9", "lack_nats": 4.0, "divergence_nats": 5.0, "p_eta": 0.0042, "center": (-290.0, 15.0)}
    through = {**kept, "lack_nats": 10.0, "divergence_nats": None, "center": None, "crosses": True, "p_eta": 0.0}
    assert cannot_be_met({"name": "r", "nearness": [kept]}, PLANE) is None
    assert cannot_be_met({"name": "r", "nearness": []}, PLANE) is None
    assert cannot_be_met({"name": "r", "nearness": [kept, near]}, PLANE) == (
        "The constraint cannot be met: the best curve found, r, comes too near the region 'psi=0:9' (P_eta of the region up to 0.004, "
        "nearest at phi 70, psi 15: 5.0 nats from it and its margin, 10 are wanted)."
    )
    assert "r, runs through the region 'phi=-9:9' (P_eta" in str(cannot_be_met({"name": "r", "nearness": [near, through]}, PLANE))


def test_a_box_is_told_by_coordinates_also_where_two_are_of_the_same_atoms() -> None:
    state = State(((TorsionRange(PLANE.atoms[0], -20.0, 20.0),),))
    twice = Torsions(("phi", "again", "psi"), (PLANE.atoms[0], PLANE.atoms[0], PLANE.atoms[1]))
    assert Box("box", state, twice).ranges == ((0, -20.0, 20.0), (1, -20.0, 20.0))
    other = State(((TorsionRange(PLANE.atoms[0], -20.0, 20.0), TorsionRange((4, 3, 1, 0), 0.0, 9.0)),))
    assert Box("box", other, twice).ranges == (), "one of its conditions is of other atoms"
