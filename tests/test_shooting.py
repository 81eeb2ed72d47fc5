"""Shots of molecules with OpenMM itself: committors, weighted paths and rates against quadrature and brute force; no heat; reproducible."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import openmm
import pytest
from scipy.special import ndtr

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import FREE, Engine, Model, Walk
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.engines.openmm.shooting import IN_A, IN_B, NOWHERE, Outcome, Shot, shoot
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.comparison import agreement
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.weights import ShotDensity, path_weights
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.states.transitions import transitions
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.unbiased.engine import first_frame
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.units import thermal_energy
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

FOUR = (0, 1, 2, 3)
ONE = Torsions(("t",), (FOUR,))
ANGLE = Angle("t", 2, 0, 1)
HELD = WindowBias(ONE, ANGLE)
RELEASED = np.zeros(2)
"""Center and stiffness of a window that does nothing"""
KT = thermal_energy(300.0)
STRIDE, SPACING = 25, 5
CORNER = 0.6
"""Where the barrier of a gate gives way to its wells, radians"""
A, B = State(((TorsionRange(FOUR, -170.0, -60.0),),)), State(((TorsionRange(FOUR, 60.0, 170.0),),))


def gate_energy(angle: np.ndarray, height: float) -> np.ndarray:
    """kT: a barrier harmonic about zero between harmonic wells at twice CORNER, `height` below; at 180 degrees a wall."""
    stiffness, size = height / CORNER**2, np.abs(angle)
    return np.where(size < CORNER, -0.5 * stiffness * size**2, 0.5 * stiffness * (size - 2.0 * CORNER) ** 2 - height)


def gate(height: float, *, vibrations: int = 0, omega: float = 0.0, friction: float = 20.0) -> Model:
    """One atom on a circle about three that are fixed (no mass), so that its torsion has one moment of inertia and no Jacobian.

    vibrations: atoms beside it, each in a harmonic well of its own, with angular frequency omega in rad/ps.
    """
    system = openmm.System()
    for mass in (12.0, 0.0, 0.0, 0.0, *[12.0] * vibrations):
        system.addParticle(mass)
    bond, angle = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    bond.addBond(0, 1, 0.15, 2e4)
    angle.addAngle(0, 1, 2, math.pi / 2, 400.0)
    stiffness = height * KT / CORNER**2
    barrier = openmm.CustomTorsionForce(
        f"select(step({CORNER} - a), -0.5*k*a^2, 0.5*k*(a - {2 * CORNER})^2 - {height * KT}); a = abs(theta); k = {stiffness}"
    )
    barrier.addTorsion(*FOUR, [])
    well = openmm.CustomExternalForce(f"0.5*{12.0 * omega**2}*(x^2 + y^2 + z^2)")
    for index in range(vibrations):
        well.addParticle(4 + index, [])
    for force in (bond, angle, barrier, well):
        system.addForce(force)
    return Model(openmm.XmlSerializer.serialize(system), 300.0, friction, 0.005, "Reference")


def posed(angle: float, *, vibrations: int = 0) -> np.ndarray:
    four = np.array([[0.15 * math.cos(angle), -0.15 * math.sin(angle), 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.15], [0.15, 0.0, 0.15]])
    return np.concatenate([four, np.zeros((vibrations, 3))])


def held_at(window: Window) -> np.ndarray:
    return np.array([window.center, window.stiffness])


def of_frame(frames: Frames, index: int, parameters: np.ndarray, seed: int, **changes: object) -> Shot:
    x, v = (of[index].astype(float) for of in (frames.positions, frames.velocities))
    first = first_frame(seed, UnbiasedSettings(stride=STRIDE, spacing=SPACING, gap=12 * STRIDE))
    return dataclasses.replace(Shot(x, v, HELD, parameters, seed, first, STRIDE, SPACING, 20_000, A, B, ONE), **changes)


@dataclass(frozen=True)
class Volley:
    """Shots from the frames of one walk in a window, `gap` steps apart; no outcome where a frame lies in a state."""

    window: Window
    angle: np.ndarray
    outcomes: list[Outcome | None]

    @property
    def reactive(self) -> list[Outcome]:
        return [o for o in self.outcomes if o is not None and o.path is not None]


def volley(engine: Engine, center: float, stiffness: float, *, shots: int, gap: int, name: str) -> Volley:
    window = Window(ANGLE, center, stiffness)
    held = held_at(window)
    frames = engine.walk(Walk(HELD, held[None], 500 + shots * gap, gap, seed_of(1, name, 0), posed(center), discard=500))
    free = ~(A.contains(frames.positions) | B.contains(frames.positions))
    outcomes = [shoot(engine, of_frame(frames, k, held, seed_of(2, name, k))) if free[k] else None for k in range(len(frames))]
    return Volley(window, ONE.values(frames.positions)[:, 0], outcomes)


def test_committors_are_those_of_the_barrier() -> None:
    # For a parabolic barrier the committor, averaged over Maxwell velocities, is Phi(theta sqrt(k/kT)) at any friction (Kramers 1940:
    # q(x, v) = Phi(s (x + c v)) with c^2 w^2 + c g = 1, and s^-2 + c^2 kT/m = kT/k). Here the parabola ends 5 kT below its top, where
    # wells begin: quadrature of the overdamped committor says what that changes, which is less than 0.01.
    # Tolerance: 3 standard errors of the shots plus that 0.01; five points, false alarms below 1.5 %, and the seed is fixed.
    height = 5.0
    grid = np.linspace(-math.pi / 3, math.pi / 3, 4001)
    inverse = np.exp(gate_energy(grid, height))
    exact = np.append(0.0, np.cumsum(0.5 * (inverse[1:] + inverse[:-1])))
    exact /= exact[-1]
    closed = ndtr(grid * math.sqrt(height) / CORNER)
    assert np.abs(exact - closed)[np.abs(grid) < 0.4].max() < 0.01
    engine = Engine(gate(height))
    for center in (-0.25, -0.1, 0.0, 0.12, 0.3):
        fired = volley(engine, center, 200.0, shots=150, gap=100, name=f"committor {center}")
        assert np.std(fired.angle) < 0.1
        assert {end for o in fired.outcomes for end in o.ends} == {IN_A, IN_B}
        reached = np.array([np.mean([end == IN_B for end in o.ends]) for o in fired.outcomes])
        miss = reached - np.interp(fired.angle, grid, closed)
        assert abs(miss.mean()) < 3 * miss.std(ddof=1) / math.sqrt(len(miss)) + 0.01


HEIGHT, SEGMENTS, SEGMENT = 3.0, 5, 1_000_000


@pytest.fixture(scope="module")
def reference() -> list[Frames]:
    """Transitions of the low gate by brute force."""
    engine = Engine(gate(HEIGHT))
    walks = [Walk(None, FREE, SEGMENT, STRIDE, seed_of(3, "brute", k), posed(-2.0 * CORNER)) for k in range(SEGMENTS)]
    return [path for walk in walks for path in transitions(engine.walk(walk), A, B)[0]]


@pytest.fixture(scope="module")
def volleys() -> list[Volley]:
    """Shots of the low gate from two windows, both off the top, the one with three times as many as the other."""
    engine = Engine(gate(HEIGHT))
    return [volley(engine, c, 40.0, shots=n, gap=150, name=f"off {c}") for c, n in ((-0.3, 900), (0.35, 300))]


def region_of(volleys: list[Volley]) -> ShotDensity:
    """psi by quadrature, relative to the whole circle."""
    grid = np.linspace(-math.pi, math.pi, 7200, endpoint=False)
    boltzmann = np.exp(-gate_energy(grid, HEIGHT))
    angles = np.stack([np.cos(grid), np.sin(grid)], axis=-1)
    psi = [math.log((boltzmann * np.exp(v.window.log_factor(angles))).sum() / boltzmann.sum()) for v in volleys]
    return ShotDensity([v.window for v in volleys], np.array(psi), np.array([float(len(v.outcomes)) for v in volleys]))


def lengths(paths: list[Frames]) -> np.ndarray:
    return np.array([float(len(p)) for p in paths])


def middles(paths: list[Frames]) -> np.ndarray:
    """Mean torsion of each path between its ends."""
    return np.array([ONE.values(p.positions)[1:-1].mean() if len(p) > 2 else 0.0 for p in paths])


@pytest.mark.parametrize("windows", [1, 2])
def test_weighted_paths_from_off_the_top_are_those_of_brute_force_and_without_weights_they_are_not(
    volleys: list[Volley], reference: list[Frames], windows: int
) -> None:
    # Shots favour paths that linger where the windows are; their length tells. False alarms of `agreement`: one in a hundred, four here,
    # and the seeds are fixed.
    fired = volleys[:windows]
    shots = [o for v in fired for o in v.reactive]
    paths = [o.path for o in shots]
    weight = path_weights([o.features for o in shots], region_of(fired))
    rng = np.random.default_rng(4)
    for figure in (lengths, middles):
        assert agreement(figure(paths), weight, figure(reference), rng=rng, draws=400).holds
    assert not agreement(lengths(paths), np.ones(len(paths)), lengths(reference), rng=rng, draws=400).holds


def test_the_sum_of_the_weights_is_the_rate_of_transitions(volleys: list[Volley], reference: list[Frames]) -> None:
    # Both directions counted, per SPACING steps at equilibrium. A transition of brute force is a rare event, so their number is Poisson's;
    # weights are independent. Tolerance: 3 standard errors, 8 % each; false alarms 0.3 %, and the seeds are fixed.
    shots = [o for v in volleys for o in v.reactive]
    weight = path_weights([o.features for o in shots], region_of(volleys))
    counted = len(reference) / (SEGMENTS * SEGMENT / SPACING)
    error = math.hypot(np.sqrt((weight**2).sum()), counted / math.sqrt(len(reference)))
    assert error < 0.09 * counted
    assert abs(weight.sum() - counted) < 3 * error


VIBRATIONS, OMEGA = 100, 160.0
"""Three hundred harmonic oscillators, omega dt = 0.8"""


@pytest.fixture(scope="module")
def warm() -> tuple[Frames, np.ndarray]:
    """Equilibrium frames of a free torsion held near zero and of stiff vibrations; the restraint."""
    held = held_at(Window(ANGLE, 0.0, 50.0))
    model = gate(0.0, vibrations=VIBRATIONS, omega=OMEGA)
    walk = Walk(HELD, held[None], 10_500, 100, 5, posed(0.0, vibrations=VIBRATIONS), discard=500)
    return Engine(model).walk(walk), held


def vibrational(positions: np.ndarray) -> np.ndarray:
    """Mean potential energy (F,) of a vibration, in kT, of positions (F, atoms, 3)."""
    return 0.5 * 12.0 * OMEGA**2 * (positions[:, 4:].astype(float) ** 2).mean(axis=(1, 2)) / KT


def test_shots_put_no_heat_into_stiff_vibrations(warm: tuple[Frames, np.ndarray]) -> None:
    # At equilibrium kT/2 of potential energy each, exactly so with LangevinMiddle in a harmonic well whatever the time step. Little
    # friction leaves any heat where it is put. Tolerance: 3 standard errors over shots, 1 % of kT/2 each; two halves, false alarms 0.6 %.
    frames, held = warm
    engine = Engine(gate(0.0, vibrations=VIBRATIONS, omega=OMEGA, friction=1.0))
    halves = []
    for k in range(len(frames)):
        outcome = shoot(engine, of_frame(frames, k, held, seed_of(5, "heat", k), stride=5))
        if outcome.path is not None:
            behind = ONE.values(outcome.path.positions)[:, 0] < ONE.values(frames.positions[k])[0]
            energy = vibrational(outcome.path.positions)
            halves.append([energy[behind].mean(), energy[~behind].mean()])
    assert len(halves) > 60
    mean, error = np.mean(halves, axis=0), np.std(halves, axis=0, ddof=1) / math.sqrt(len(halves))
    assert error.max() < 0.01
    assert abs(vibrational(frames.positions).mean() - 0.5) < 0.02
    assert (np.abs(mean - 0.5) < 3 * error).all()


def test_maxwell_velocities_at_a_whole_step_would_heat_them(warm: tuple[Frames, np.ndarray]) -> None:
    # Leapfrog conserves mv^2/2 at the half step + k x x'/2, or, at the whole step with (w dt)^2 = s, mv^2/2 + k (1 - s/4) x^2/2. There
    # <mv^2> is kT (1 - s/4) at equilibrium: Maxwell velocities bring kT s/8 too much, half of which becomes potential energy:
    # kT s/16 / (1 - s/4) more of it. OpenMM draws velocities so. Tolerance: 3 standard errors over frames; false alarms 0.3 %.
    frames, _ = warm
    engine = Engine(gate(0.0, vibrations=VIBRATIONS, omega=OMEGA, friction=0.0))
    starts = frames.positions.astype(float)
    means = [vibrational(engine.walk(Walk(None, FREE, 200, 1, 6 + k, x)).positions).mean() for k, x in enumerate(starts)]
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    square = (OMEGA * engine.model.timestep) ** 2
    heat = square / 16.0 / (1.0 - square / 4.0)
    assert heat > 5 * error
    assert abs(np.mean(means) - 0.5 - heat) < 3 * error


def free_particles() -> Model:
    """Four atoms without forces or friction: leapfrog moves them evenly, exactly so."""
    system = openmm.System()
    for mass in (12.0, 1.0, 16.0, 4.0):
        system.addParticle(mass)
    return Model(openmm.XmlSerializer.serialize(system), 300.0, 0.0, 0.002, "Reference")


def beside(x: np.ndarray, gap: float) -> tuple[State, State]:
    """States that begin `gap` degrees before and behind a torsion's value."""
    here = float(np.degrees(ONE.values(x)[0]))
    return State(((TorsionRange(FOUR, here - 170.0, here - gap),),)), State(((TorsionRange(FOUR, here + gap, here + 170.0),),))


@pytest.mark.parametrize("first", [5, 10, 15, 20, 25])
def test_free_flight_goes_straight_through_the_join(first: int) -> None:
    # The point is the middle of a step: step t lies at (t - 1/2) dt v from it, forward and backward. Tolerances are those of float32.
    model, x = free_particles(), posed(1.0)
    engine, dt = Engine(model), model.timestep
    a, b = beside(x, 15.0)
    turns = set()
    for seed in range(20):
        outcome = shoot(engine, Shot(x, np.zeros((4, 3)), HELD, RELEASED, seed + 1, first, STRIDE, SPACING, 5000, a, b, ONE))
        if outcome.path is None:
            continue
        path, turned = outcome.path, outcome.ends == (IN_A, IN_B)
        turns.add(turned)
        inside = np.array([a.contains(path.positions), b.contains(path.positions)])
        assert inside.sum() == 2
        assert inside[0, 0]
        assert inside[1, -1]
        np.testing.assert_allclose(path.time, np.arange(len(path)) * STRIDE * dt)
        v = (path.positions[-1].astype(float) - path.positions[0]) / path.time[-1]
        even = path.positions[0] + path.time[:, None, None] * v
        np.testing.assert_allclose(path.positions, even, atol=2e-6)
        np.testing.assert_allclose(path.velocities, np.broadcast_to(v, even.shape), atol=1e-4)
        passed = ((path.positions - x) * v).sum(axis=(1, 2)) / (dt * (v**2).sum())
        steps = 0.5 + (-passed if turned else passed)
        np.testing.assert_allclose((steps - first + STRIDE / 2) % STRIDE, STRIDE / 2, atol=0.01)
        assert outcome.evaluations == round(float(abs(passed[-1] - passed[0])))
        fine = path.positions[0] + SPACING * dt * np.arange(1, (len(path) - 1) * STRIDE // SPACING)[:, None, None] * v
        between = ~(a.contains(fine) | b.contains(fine))
        np.testing.assert_allclose(outcome.features, ONE.features(fine[between]), atol=1e-5)
        stored = ONE.features(path.positions[1:-1])
        assert (np.abs(stored[:, None] - outcome.features).max(axis=-1).min(axis=-1) < 1e-5).all()
    assert turns == {True, False}


def test_first_frames_are_even_whatever_the_number_of_places() -> None:
    # Chi-square of 2000 draws at its 99.99th percentile of up to 7 degrees of freedom, 29.9; five numbers, fixed seeds.
    for places in (1, 2, 4, 5, 8):
        settings = UnbiasedSettings(stride=3 * places, spacing=3, gap=3 * places)
        drawn = [first_frame(seed_of(1, "shot", k), settings) for k in range(2000)]
        value, count = np.unique(drawn, return_counts=True)
        assert value.tolist() == [3 * (k + 1) for k in range(places)]
        assert ((count - 2000 / places) ** 2 / (2000 / places)).sum() < 29.9


def test_a_path_that_could_not_have_been_shot_is_none() -> None:
    # Between states a hundredth of a degree apart no point of a path lies; weight one over the sum of nothing would be infinite.
    x = posed(1.0)
    a, b = beside(x, 0.005)
    engine = Engine(free_particles())
    outcomes = [shoot(engine, Shot(x, np.zeros((4, 3)), HELD, RELEASED, k, 25, STRIDE, SPACING, 500, a, b, ONE)) for k in range(1, 9)]
    assert any(set(o.ends) == {IN_A, IN_B} for o in outcomes)
    assert all(o.path is None or len(o.features) for o in outcomes)


def test_a_path_without_friction_is_one_leapfrog_trajectory(rotor: tuple[Model, Torsions, np.ndarray]) -> None:
    # From the far end of the half that comes first in the path, whose velocities belong half a step after their positions, OpenMM's own
    # integrator retraces it and goes on through the other half. Tolerance: float32 of the stored start.
    model, _, x = rotor
    start = Engine(model).walk(Walk(None, FREE, 400, 400, 7, x))
    engine = Engine(dataclasses.replace(model, friction=0.0))
    dynamics = engine.under(None)
    a, b = beside(start.positions[-1], 25.0)
    turns = set()
    for seed in range(1, 13):
        outcome = shoot(engine, of_frame(start, -1, RELEASED, seed, stride=10, first=5 + 5 * (seed % 2), a=a, b=b))
        if outcome.path is None:
            continue
        turns.add(outcome.ends == (IN_A, IN_B))
        x0, v0 = outcome.path.positions[0].astype(float), outcome.path.velocities[0].astype(float)
        dynamics.begin(1, x0)
        force = dynamics.context.getState(forces=True).getForces(asNumpy=True)._value
        again = dynamics.walk(Walk(None, FREE, 10 * (len(outcome.path) - 1), 10, 1, x0, v0 - model.timestep * force / 12.0))
        np.testing.assert_allclose(again.positions, outcome.path.positions, atol=1e-5)
        np.testing.assert_allclose(again.potential_energy, outcome.path.potential_energy, atol=0.01)
    assert turns == {True, False}


def test_velocities_point_along_the_path_in_both_halves(rotor: tuple[Model, Torsions, np.ndarray]) -> None:
    # Finite differences over 2 x 5 steps against velocities, with friction. Turned the wrong way, one of the halves would be negative.
    model, _, x = rotor
    engine = Engine(model)
    start = engine.walk(Walk(None, FREE, 400, 400, 8, x))
    a, b = beside(start.positions[-1], 40.0)
    along: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for seed in range(1, 25):
        outcome = shoot(engine, of_frame(start, -1, RELEASED, seed, stride=5, first=5, a=a, b=b))
        if outcome.path is None:
            continue
        xs, vs = outcome.path.positions.astype(float), outcome.path.velocities
        there = int(np.argmin(np.abs(xs - start.positions[-1]).max(axis=(1, 2))))
        moved, speed = xs[2:] - xs[:-2], vs[1:-1]
        cosine = (speed * moved).sum(axis=(1, 2)) / np.sqrt((speed**2).sum(axis=(1, 2)) * (moved**2).sum(axis=(1, 2)))
        along[outcome.ends == (IN_A, IN_B)].append(np.array([cosine[: there - 1].mean(), cosine[there:].mean()]))
    for halves in along.values():
        assert len(halves) > 3
        assert (np.array(halves) > 0.4).all()


def same(x: Outcome, y: Outcome) -> bool:
    if (x.ends, x.evaluations, x.stable, x.path is None) != (y.ends, y.evaluations, y.stable, y.path is None):
        return False
    if x.path is None:
        return True
    stored = [np.array_equal(getattr(x.path, f.name), getattr(y.path, f.name)) for f in dataclasses.fields(Frames)]
    return all(stored) and np.array_equal(x.features, y.features)


PHI = Angle("phi", 4, 0, 1)


@pytest.fixture(scope="module")
def fired(alanine: Problem) -> list[tuple[Shot, Outcome]]:
    """Shots of alanine dipeptide from a walk with phi held at 5 degrees."""
    bias = WindowBias(alanine.coordinates, PHI)
    held = held_at(Window(PHI, math.radians(5.0), 100.0))
    engine = Engine(alanine.model)
    frames = engine.walk(Walk(bias, held[None], 9600, 300, 9, alanine.end.positions, discard=600))
    here = {"bias": bias, "a": alanine.a, "b": alanine.b, "coordinates": alanine.coordinates}
    shots = [of_frame(frames, k, held, seed_of(10, "alanine", k), **here) for k in range(len(frames))]
    return [(s, shoot(engine, s)) for s in shots]


def test_a_shot_depends_on_its_seed_and_on_nothing_else(alanine: Problem, fired: list[tuple[Shot, Outcome]]) -> None:
    shot, outcome = next((s, o) for s, o in fired if o.path is not None)
    engine = Engine(alanine.model)
    assert same(outcome, shoot(engine, shot))
    for bias, parameters in ((shot.bias, shot.parameters * [-1.0, 2.0]), (None, FREE[0])):
        engine.walk(Walk(bias, parameters[None], 100, 25, 3, alanine.start.positions, friction=20.0))
        assert same(outcome, shoot(engine, shot))
    assert not same(outcome, shoot(engine, dataclasses.replace(shot, seed=shot.seed + 1)))


def test_paths_of_alanine_dipeptide_run_from_a_to_b(alanine: Problem, fired: list[tuple[Shot, Outcome]]) -> None:
    potential, whole = Potential(alanine.model), Integrity.of(alanine.start)
    assert all((o.path is None) == (o.features is None) == (set(o.ends) != {IN_A, IN_B}) for _, o in fired)
    paths = [o.path for _, o in fired if o.path is not None]
    assert 0 < len(paths) < len(fired)
    for path in paths:
        in_a, in_b = alanine.a.contains(path.positions), alanine.b.contains(path.positions)
        assert (np.flatnonzero(in_a).tolist(), np.flatnonzero(in_b).tolist()) == ([0], [len(path) - 1])
        np.testing.assert_allclose(path.time, np.arange(len(path)) * 0.025)
        assert whole.holds(path.positions).all()
        again = [potential(x.astype(float))[0] for x in path.positions]
        np.testing.assert_allclose(path.potential_energy, again, atol=0.5)  # float32 positions


def test_shots_that_run_out_of_steps_or_explode_end_nowhere(alanine: Problem, fired: list[tuple[Shot, Outcome]]) -> None:
    shot = dataclasses.replace(fired[0][0], first=25, longest=25)
    short = shoot(Engine(alanine.model), shot)
    assert (short.ends, short.evaluations, short.stable, short.path) == ((NOWHERE, NOWHERE), 50, True, None)
    wild = shoot(Engine(dataclasses.replace(alanine.model, timestep=0.05)), dataclasses.replace(shot, longest=5000))
    assert not wild.stable
    assert wild.path is None
    assert wild.evaluations > 0
