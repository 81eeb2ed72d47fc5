"""Free energies, windows, starts and routes against cases whose answer is known."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.special import ive

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines as routes
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.sampling.free_energy import boltzmann_weights, neighbours, profile
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.sampling.windows import WindowPlan, gather, pick, window_walks
from spacetime_tps.shooting.channels import channels, crossing_places
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.states.transitions import connects
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

TORSION = (0, 1, 2, 3)
PLANE = Torsions(("phi", "psi"), (TORSION, (1, 2, 3, 4)))
CIRCLE = np.ones(1, dtype=bool)


def at(angles: np.ndarray) -> np.ndarray:
    """Positions (F, 4, 3) of four atoms with these torsions (F,)."""
    still = np.broadcast_to([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0]], (len(angles), 3, 3))
    last = np.stack([np.full(len(angles), 0.1), 0.1 * np.cos(angles), 0.1 * np.sin(angles)], axis=-1)
    return np.concatenate([still, last[:, None]], axis=1)


def draws(eta: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Exact samples T of a free torsion under eta (2,): a von Mises distribution."""
    angles = np.random.default_rng(seed).vonmises(math.atan2(eta[1], eta[0]), np.hypot(*eta), count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def log_bessel(kappa: float) -> float:
    return math.log(ive(0, kappa)) + kappa


def test_mbar_finds_the_log_partition_of_von_mises_windows_and_the_weights_of_the_uniform_distribution() -> None:
    # Windows that stiffen from kappa 0 to 8; tolerance about 5 standard errors at 2,000 draws a window.
    eta = np.array([[k, 0.0] for k in (0.0, 0.5, 1.5, 3.0, 5.0, 8.0)])
    features = np.concatenate([draws(e, 2000, seed) for seed, e in enumerate(eta)])
    counts = np.full(len(eta), 2000)
    weights = boltzmann_weights(-eta @ features.T, counts, np.zeros(len(eta)))
    expected = [-log_bessel(k) for k, _ in eta]
    np.testing.assert_allclose(weights.free_energy, expected, atol=0.1)
    w = np.exp(weights.log_weight)
    assert w.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(w @ features, [0.0, 0.0], atol=0.06)
    np.testing.assert_allclose(w @ features**2, [0.5, 0.5], atol=0.05)


def test_bar_between_neighbours_and_their_overlap() -> None:
    eta = np.array([[2.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 40.0]])
    differences, overlap = neighbours([draws(e, 4000, seed) for seed, e in enumerate(eta)], eta)
    assert differences[0] == pytest.approx(0.0, abs=1e-9)
    assert differences[1] == pytest.approx(log_bessel(2.0) - log_bessel(4.0), abs=0.05)
    assert overlap[0] == pytest.approx(1.0, abs=1e-9)
    grid = np.linspace(-np.pi, np.pi, 20001)
    p, q = (np.exp(k * np.cos(grid) - log_bessel(k)) / (2 * np.pi) for k in (2.0, 4.0))
    assert overlap[1] == pytest.approx(trapezoid(2 * p * q / (p + q), grid), abs=0.03)
    assert overlap[2] < 0.05


def test_a_pool_of_two_ends_and_windows_finds_how_much_of_each_state_there_is() -> None:
    # A torsion with wells at 0 and 180 degrees, the second 3 kT deeper, drawn exactly. MD stays in the well it starts in, the states are
    # narrow boxes in the wells, and windows link them: P(second well) must come out at its true value.
    torsions = Torsions(("t",), (TORSION,))
    grid = np.linspace(-np.pi, np.pi, 7201)[:-1]
    energy = 5.0 * (1 - np.cos(2 * grid)) / 2 + 1.5 * np.cos(grid)
    far = np.cos(grid) < 0

    def sample(log_density: np.ndarray, count: int, seed: int) -> np.ndarray:
        p = np.exp(log_density - log_density.max())
        return at(np.random.default_rng(seed).choice(grid, count, p=p / p.sum()))

    level = np.full((24, 1), 12.0)
    eta = routes.line(VonMises(1), np.zeros(1), np.full(1, np.pi), level)
    forward, backward = (
        np.concatenate([sample(-energy + e[0] * np.cos(grid) + e[1] * np.sin(grid), 200, seed + k) for k, e in enumerate(way)])
        for seed, way in ((0, eta), (100, eta[::-1]))
    )
    point = np.repeat(np.arange(24), 200)
    ways = [dataclasses.replace(frames_of(x, np.zeros(len(x))), point=point) for x in (forward, backward)]
    a, b = State(((TorsionRange(TORSION, -20, 20),),)), State(((TorsionRange(TORSION, 160, -160),),))
    md = [frames_of(sample(np.where(far == end, -energy, -np.inf), 2000, 300 + end), np.zeros(2000)) for end in (0, 1)]
    pool = Pool.of_ends(torsions, a, b, [md[0]], [md[1]], every=1)
    pool.add(gather(torsions, eta, *ways))
    found = np.exp(pool.weights().log_weight)[pool.features[:, 0] < 0].sum()
    truth = np.exp(-energy)[far].sum() / np.exp(-energy).sum()
    # 0.2 kT is some 4 standard errors of these numbers of draws.
    assert math.log(found / (1 - found)) == pytest.approx(math.log(truth / (1 - truth)), abs=0.2)


def test_windows_walked_both_ways_agree_on_a_flat_torsion(rotor: tuple[Model, Torsions, np.ndarray]) -> None:
    model, torsions, x = rotor
    level = np.full((30, 1), 10.0)
    eta = pick(routes.line(VonMises(1), np.array([0.0]), np.array([2.0]), level), 8)
    walks = window_walks(torsions, eta, WindowPlan(4000, 500, 10), start=x, end=x, seeds=(1, 2))
    dynamics = Dynamics(model, CurveBias(torsions))
    windows = gather(torsions, eta, *(dynamics.walk(w) for w in walks))
    # All windows have the same free energy; 0.3 kT is about 5 standard errors of these lengths.
    np.testing.assert_allclose(windows.profile, 0.0, atol=0.3)
    assert windows.disagreement < 0.6
    assert (windows.overlap > 0.3).all()
    for frames in (windows.forward, windows.backward):
        for k, center in enumerate(np.linspace(0.0, 2.0, 30)[np.round(np.linspace(0, 29, 8)).astype(int)]):
            angles = torsions.values(frames.positions[frames.point == k])[:, 0]
            assert math.atan2(np.sin(angles).mean(), np.cos(angles).mean()) == pytest.approx(center, abs=0.15)


def test_starts_are_drawn_from_the_posterior_among_allowed_frames() -> None:
    features = draws(np.array([0.0, 0.0]), 4000, 0)
    allowed = features[:, 1] > 0
    eta = np.array([3.0, 0.0])
    chosen = draw_starts(features @ eta, allowed, list(range(3000)), none="")
    assert allowed[chosen].all()
    # Mean of cos under kappa = 3 is I1/I0 on the half circle too; tolerance 5 standard errors of 3,000 draws and 2,000 frames.
    assert features[chosen, 0].mean() == pytest.approx(ive(1, 3.0) / ive(0, 3.0), abs=0.06)
    again = draw_starts(features @ eta, allowed, list(range(100)), none="")
    np.testing.assert_array_equal(chosen[:100], again)
    with pytest.raises(SpacetimeError, match="nothing is allowed"):
        draw_starts(features @ eta, np.zeros(4000, dtype=bool), [1], none="nothing is allowed")


def frames_of(positions: np.ndarray, energy: np.ndarray, *, stable: bool = True) -> Frames:
    count = len(positions)
    return Frames(positions, positions, np.arange(count) * 0.025, energy, np.zeros(count, dtype=int), count, stable)


def test_a_hit_is_judged_by_the_last_frame_alone() -> None:
    a, b = State(((TorsionRange(TORSION, -20, 20),),)), State(((TorsionRange(TORSION, 80, 100),),))
    path = at(np.radians([0.0, 50.0, 90.0]))
    assert connects(path, a, b)
    assert not connects(path[[0, 2, 1]], a, b), "a path that was in B and left it is no hit"
    assert not connects(path[1:], a, b)


HERE, THERE = np.radians([-147.0, 159.0]), np.radians([60.0, -41.0])


def test_straight_routes_go_both_ways_round_each_torsion() -> None:
    level = np.full((64, 2), 20.0)
    found = routes.straight_routes(PLANE, HERE, THERE, level, 8)
    assert [r.name for r in found] == ["phi-153_psi+160", "phi+207_psi+160", "phi-153_psi-200", "phi+207_psi-200"]
    assert [r.winding for r in found] == [(0, 0), (1, 0), (0, -1), (1, -1)]
    for route in found:
        ends = routes.centers(route.eta, VonMises(2))[[0, -1]]
        np.testing.assert_allclose(difference(ends, np.array([HERE, THERE]), PLANE.angular), 0.0, atol=1e-9)
    assert len(routes.straight_routes(PLANE, HERE, THERE, level, 3)) == 3


def test_a_route_through_a_minimum_visits_it_and_knows_its_class() -> None:
    via = np.radians([-80.0, 60.0])
    route = routes.through(PLANE, HERE, via, THERE, np.full((64, 2), 20.0))
    assert route.winding == (1, -1)
    assert np.abs(difference(routes.centers(route.eta, VonMises(2)), via, PLANE.angular)).max(axis=1).min() < 1e-9


@given(st.floats(-7, 7), st.floats(-7, 7))
def test_the_short_way_round_is_short_and_arrives(a: float, b: float) -> None:
    change = difference(np.array([a]), np.array([b]), np.array([True]))
    assert abs(change[0]) <= np.pi + 1e-9
    assert math.cos(a + change[0]) == pytest.approx(math.cos(b), abs=1e-9)


def test_a_route_that_crosses_the_origin_is_renamed() -> None:
    level = np.full((64, 2), 20.0)
    short, long = routes.straight_routes(PLANE, HERE, THERE, level, 8)[:2]
    turned = routes.reclassed(long.eta, PLANE, HERE, THERE)
    assert turned.winding == long.winding
    assert turned.name == long.name, "as paths along it are"
    assert [r.name for r in routes.unique([short, long, short])] == [short.name, long.name, f"{short.name}_2"]


def test_an_end_is_held_as_tightly_as_its_state_asks() -> None:
    family = VonMises(1)
    rng = np.random.default_rng(0)
    angles = rng.vonmises(0.0, 4.0, 5000)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    wide = routes.end_precision(family, np.zeros(1), features, np.abs(angles) < 2.5, 20.0)
    narrow = routes.end_precision(family, np.zeros(1), features, np.abs(angles) < 0.3, 20.0)
    assert wide[0] == 20.0
    sharpened = draws(np.array([4.0 + narrow[0], 0.0]), 20000, 1)
    assert (np.abs(np.arctan2(sharpened[:, 1], sharpened[:, 0])) < 0.3).mean() > 0.98


def test_channels_are_told_apart_by_where_paths_cross() -> None:
    rng = np.random.default_rng(1)
    places = np.concatenate([rng.normal(-0.7, 0.35, (700, 1)), rng.normal(1.1, 0.35, (200, 1))])
    weight = rng.random(900) + 0.5
    found = channels(places, CIRCLE, weight, rng=rng)
    assert set(found) == {0, 1}
    assert np.mean(found[:700] == 0) > 0.98
    assert np.mean(found[700:] == 1) > 0.98
    moved = np.where(places > np.pi - 1.0, places, places) + 2.4  # the second channel lies across the seam
    seam = channels(moved, CIRCLE, weight, rng=rng)
    assert np.mean(seam == found) > 0.98


def test_one_cloud_is_one_channel() -> None:
    rng = np.random.default_rng(2)
    assert set(channels(rng.normal(0.3, 0.6, (500, 2)), PLANE.angular, np.ones(500), rng=rng)) == {0}
    assert set(channels(np.zeros((500, 0)), CIRCLE[:0], np.ones(500), rng=rng)) == {0}


def test_crossing_places_are_those_of_the_nearest_frame() -> None:
    path = np.array([[-1.0, 0.1], [-0.2, 0.5], [0.3, 0.9], [1.2, 2.0]])
    window = Window(Angle("phi", 4, 0, 1), 2 * np.pi, 50.0)

    def features(x: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(x), np.sin(x)], axis=-1).reshape(-1, 4)

    np.testing.assert_allclose(crossing_places([path, path[::-1]], window, features), [[-0.2, 0.5], [-0.2, 0.5]])


def test_profile_of_windows_on_a_known_potential() -> None:
    """Windows of von Mises on U/kT = 2 cos(a): psi by quadrature. Errors are claimed for independent frames; 4 of them fail 1 in 10,000."""
    rng = np.random.default_rng(3)
    grid = np.linspace(-np.pi, np.pi, 4001)[:-1]
    centers = np.linspace(-2.0, 2.0, 9)
    eta = 15.0 * np.stack([np.cos(centers), np.sin(centers)], axis=1)
    density = np.exp(-2 * np.cos(grid) + eta @ np.stack([np.cos(grid), np.sin(grid)]))
    exact = -np.log(density.sum(axis=1) / density[0].sum())
    drawn = [rng.choice(grid, (2, 400), p=d / d.sum()) for d in density]
    found = profile([[np.stack([np.cos(w), np.sin(w)], axis=1) for w in way] for way in drawn], eta)
    np.testing.assert_array_less(np.abs(found.free_energy - exact)[1:], 4.0 * found.error[1:])
    assert 0.02 < found.error[-1] < 0.3
    np.testing.assert_allclose(found.overlap.sum(axis=1), 1.0, atol=1e-6)
    assert found.independent.max() <= 800


def test_profile_counts_repeated_frames_once() -> None:
    rng = np.random.default_rng(4)
    eta = np.array([[4.0, 0.0], [4.0, 2.0]])
    angles = [rng.vonmises(a, 4.2, 100) for a in (0.0, 0.46)]
    once = [[np.stack([np.cos(a), np.sin(a)], axis=1)] for a in angles]
    repeated = [[np.repeat(way, 5, axis=0) for way in ways] for ways in once]
    assert profile(repeated, eta).error[1] > 0.8 * profile(once, eta).error[1]
