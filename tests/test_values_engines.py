"""Figures of OpenMM runs in closed form: how stiffly a frame is held, what a walk stores, and which platform wins."""

import dataclasses
import math

import numpy as np
import openmm
import pytest
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.protocol import HeldFrame
from spacetime_tps.engines.openmm.bias import Bias, CurveBias, WindowBias
from spacetime_tps.engines.openmm.constraints import inverse_masses
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Engine, Model, Walk
from spacetime_tps.engines.openmm.equilibration import _springs
from spacetime_tps.engines.openmm.platforms import _worthwhile, available, check, fastest, likely, quickest
from spacetime_tps.engines.openmm.walk_cache import WalkCache
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.memory import Memory
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.windows.linear import Linear

DT = 0.002
OMEGA = 0.15 / DT
"""What a held frame turns and shakes with, 1/ps: 0.15 a time step"""


def cross(long: float, broad: float, heavy: float, light: float) -> tuple[Model, np.ndarray, np.ndarray]:
    """Two heavy atoms at +-long along x and two light ones at +-broad along y, about a place that is not the origin; the model, positions
    and the moments of inertia about x, y and z."""
    system = openmm.System()
    for mass in (heavy, heavy, light, light):
        system.addParticle(mass)
    x = np.array([[long, 0.0, 0.0], [-long, 0.0, 0.0], [0.0, broad, 0.0], [0.0, -broad, 0.0]])
    about_x, about_y = 2.0 * light * broad**2, 2.0 * heavy * long**2
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, DT, "Reference")
    return model, x + np.array([0.3, -0.2, 0.1]), np.array([about_x, about_y, about_x + about_y])


def held(x: np.ndarray) -> Positions:
    return Positions(("a", "b", "c", "d"), (0, 1, 2, 3), tuple(map(tuple, x.tolist())))


def energy(model: Model, bias: Bias, parameters: np.ndarray, x: np.ndarray) -> float:
    dynamics = Dynamics(model, bias)
    dynamics.begin(1, x, np.zeros_like(x), parameters=parameters)
    return float(dynamics.context.getState(energy=True).getPotentialEnergy()._value)


@pytest.mark.parametrize("shape", [(0.15, 0.1, 14.0, 12.0), (0.4, 0.05, 20.0, 2.0)], ids=["broad", "a rod"])
def test_a_held_frame_turns_and_shakes_with_the_stated_frequency(shape: tuple[float, float, float, float]) -> None:
    model, x, moments = cross(*shape)
    bias, on = CurveBias(held(x)), np.r_[1e-9, np.zeros(12)]
    # By omega about the softest axis; a rod, which hardly resists turning about itself, by omega sqrt(0.1) about the next one.
    stiffness = OMEGA**2 * max(moments[0], 0.1 * moments[1])
    for axis in np.eye(3):
        turned = (x - x.mean(0)) @ Rotation.from_rotvec(0.02 * axis).as_matrix().T + x.mean(0)
        assert energy(model, bias, on, turned) == pytest.approx(0.5 * stiffness * 0.02**2, rel=1e-3)
    mass = 2.0 * (shape[2] + shape[3])
    for away in 0.01 * np.eye(3):
        assert energy(model, bias, on, x + away) == pytest.approx(0.5 * mass * OMEGA**2 * 0.01**2, rel=1e-6)
    assert energy(model, bias, on, x) == pytest.approx(0.0, abs=1e-6)
    assert energy(model, bias, np.zeros(13), x + 1.0) == 0.0, "off"
    placed = WindowBias(held(x), Linear("s", (1.0, *[0.0] * 12)))
    assert energy(model, placed, np.array([0.0, 0.0]), x + 1.0) == 0.0
    away = np.array([0.0, 0.01, 0.0])
    assert energy(model, placed, np.array([0.0, 1e-9]), x + away) == pytest.approx(0.5 * mass * OMEGA**2 * 0.01**2, rel=1e-6)


def test_a_walk_stores_what_its_steps_say() -> None:
    # Free flight without friction: x = x0 + v t, to float32.
    model, x, _ = cross(0.15, 0.1, 14.0, 12.0)
    model = dataclasses.replace(model, friction=0.0)
    v = np.arange(12.0).reshape(4, 3) / 10.0
    first = Engine(model).walk(Walk(None, np.zeros((3, 0)), 50, 10, 1, x, v))
    np.testing.assert_allclose(first.time, DT * np.arange(0, 151, 10))
    np.testing.assert_array_equal(first.point, [0, *[0] * 5, *[1] * 5, *[2] * 5])
    np.testing.assert_allclose(first.positions, x + first.time[:, None, None] * v, atol=1e-6)
    np.testing.assert_allclose(first.velocities, np.broadcast_to(v, (16, 4, 3)), atol=1e-6)
    assert (first.evaluations, first.stable) == (150, True)
    later = Engine(model).walk(Walk(None, np.zeros((2, 0)), 55, 10, 1, x, v, discard=20))
    np.testing.assert_allclose(later.time, DT * np.array([30, 40, 50, 80, 90, 100]))
    np.testing.assert_array_equal(later.point, [0, 0, 0, 1, 1, 1])
    assert later.evaluations == 100
    np.testing.assert_allclose(inverse_masses(Engine(model).under(None).context)[:, 0], [1 / 14, 1 / 14, 1 / 12, 1 / 12])
    with pytest.raises(ValueError, match="the walk is under None"):
        Dynamics(model, CurveBias(held(x))).walk(Walk(None, FREE, 10, 10, 1, x))


def test_drawn_velocities_have_the_temperature_and_friction_slows() -> None:
    # 300 particles of two masses: m v^2 = kT with a standard error of sqrt(2 / 450) each; friction for 10 / gamma loses the start.
    system = openmm.System()
    masses = np.repeat([4.0, 40.0], 150)
    for mass in masses:
        system.addParticle(mass)
    model = Model(openmm.XmlSerializer.serialize(system), 450.0, 0.0, DT, "Reference")
    x = np.zeros((300, 3))
    engine = Engine(model)
    assert model.kT == pytest.approx(450.0 * 0.0083144626)
    drawn = engine.walk(Walk(None, FREE, 1, 1, 7, x))
    for half in (slice(0, 150), slice(150, 300)):
        assert (masses[half, None] * drawn.velocities[0][half] ** 2).mean() / model.kT == pytest.approx(1.0, abs=0.25)
    fast = np.full((300, 3), 10.0)
    slowed = engine.walk(Walk(None, FREE, 500, 500, 8, x, fast, friction=10.0))
    assert (masses[:, None] * slowed.velocities[-1] ** 2).mean() / model.kT == pytest.approx(1.0, abs=0.18)
    np.testing.assert_allclose(engine.walk(Walk(None, FREE, 500, 500, 8, x, fast)).velocities[-1], fast, rtol=1e-6)


def test_a_walk_that_breaks_down_is_unstable() -> None:
    system = openmm.System()
    for _ in range(2):
        system.addParticle(1.0)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, 0.1, 1e12)
    system.addForce(bond)
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, DT, "Reference")
    found = Engine(model).walk(Walk(None, FREE, 500, 50, 1, np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0]])))
    assert not found.stable
    assert 0 < found.evaluations < 500
    assert model.cell is None
    system.setDefaultPeriodicBoxVectors([2.0, 0, 0], [0.5, 3.0, 0], [0.25, 0.75, 4.0])
    periodic = openmm.NonbondedForce()
    periodic.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    for _ in range(2):
        periodic.addParticle(0.0, 0.1, 0.0)
    system.addForce(periodic)
    boxed = dataclasses.replace(model, system_xml=openmm.XmlSerializer.serialize(system))
    assert boxed.cell == ((2.0, 0.0, 0.0), (0.5, 3.0, 0.0), (0.25, 0.75, 4.0))


def test_the_platform_of_the_highest_rate_wins() -> None:
    assert quickest({"Reference": 10.0, "CUDA": 300.0, "CPU": 20.0}) == ("CUDA", 300.0)
    assert quickest({"CPU": 0.5}) == ("CPU", 0.5)
    with pytest.raises(SpacetimeError, match="no OpenMM platform could run"):
        quickest({})


@pytest.mark.skipif("CPU" not in available(), reason="needs OpenMM's CPU platform")
@pytest.mark.parametrize("order", [("Reference", "CPU"), ("CPU", "Reference")])
def test_each_platform_is_tried_and_every_step_of_it_counted(order: tuple[str, str]) -> None:
    # Which one wins is for a clock to say, and for `quickest`.
    system, force = openmm.System(), openmm.NonbondedForce()
    for _ in range(30):
        system.addParticle(40.0)
        force.addParticle(0.0, 0.3, 1.0)
    system.addForce(force)
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, 0.001, "Reference")
    x = 0.4 * np.stack(np.meshgrid(np.arange(3), np.arange(5), np.arange(2), indexing="ij"), -1).reshape(-1, 3)
    far = Distances(("d",), ((0, 1),))
    alone = 20 + 5 * 100
    assert [fastest(model, far, x, [one])[::2] for one in order] == [(one, alone) for one in order]
    name, rate, spent = fastest(model, far, x, order)
    assert name in order
    assert rate > 0.0
    assert spent in [alone + 120 + 100 * k for k in range(5)], "both in full, or one given up after a stretch of its own"
    with pytest.raises(SpacetimeError, match="no OpenMM platform 'Abacus'"):
        check("Abacus")
    assert check("Reference") == "Reference"


def test_reference_is_tried_up_to_a_thousand_particles_and_the_likely_platform_is_the_fastest_that_runs() -> None:
    assert "Reference" in _worthwhile(1000)
    assert ("Reference" in _worthwhile(1001)) == (available() == ["Reference"])
    system = openmm.System()
    system.addParticle(1.0)
    speed = {name: openmm.Platform.getPlatformByName(name).getSpeed() for name in available()}
    found = likely(openmm.XmlSerializer.serialize(system))
    assert speed[found] >= max(s for name, s in speed.items() if name in ("Reference", "CPU"))


def test_springs_between_atoms_within_a_nanometre_keep_a_shape() -> None:
    x = np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0], [0.5, 0.0, 0.0], [1.4, 0.0, 0.0]])
    system = openmm.System()
    for _ in range(4):
        system.addParticle(12.0)
    system.addForce(_springs(x, np.array([0, 2, 3])))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    # 2000 kJ/mol/nm^2: 0.9 nm is held, 1.4 nm is not, nor any atom in its place.
    for at, expected in (
        (x + 3.0, 0.0),
        (x * [1.1, 1.0, 1.0], 1000.0 * (0.05**2 + 0.09**2)),
        (x + np.outer([1.0, 50.0, 0.0, 0.0], [0.1, 0.0, 0.0]), 10.0),
    ):
        context.setPositions(at)
        assert context.getState(energy=True).getPotentialEnergy()._value == pytest.approx(expected, abs=1e-4)


class Torn(Memory):
    """Storage that can run full."""

    full = False

    def put_frames(self, name: str, frames: Frames, *, timestep: float, cell: Cell | None) -> None:
        if self.full:
            raise OSError("no space left")
        super().put_frames(name, frames, timestep=timestep, cell=cell)


def test_nothing_vouches_for_frames_that_were_being_replaced() -> None:
    model, x, _ = cross(0.15, 0.1, 14.0, 12.0)
    first, second = (Walk(None, np.zeros((2, 0)), 20, 10, seed, x) for seed in (1, 2))
    storage, spent = Torn(), []
    engine = Engine(model)

    def run(cache: WalkCache, *named: tuple[str, Walk]) -> list[Frames]:
        return cache.run(named, lambda walks: map(engine.walk, walks), spent.append)

    cache = WalkCache(storage, "samples", model)
    assert cache.ahead([("a", first), ("b", second)]) == 2 * 2 * 20
    (a, b) = run(cache, ("a", first), ("b", second))
    assert ([len(a), a.evaluations, b.evaluations], spent) == ([5, 40, 40], [40, 40])
    np.testing.assert_array_equal(run(cache, ("a", first))[0].positions, a.positions)
    assert spent == [40, 40], "not run again"
    assert WalkCache(storage, "samples", model).ahead([("a", first), ("b", second)]) == 0, "each is known as soon as it is done"
    storage.full = True
    with pytest.raises(OSError, match="no space left"):
        run(cache, ("a", second))
    storage.full = False
    again = WalkCache(storage, "samples", model)
    assert (again.ahead([("a", first)]), again.ahead([("a", second)]), again.ahead([("b", second)])) == (40, 40, 0)
    with pytest.raises(SpacetimeError, match="does not know the walk a"):
        again.stored("a")
    # What is not asked for is swept, with its files, and not known by who comes later.
    run(again, ("a", first))
    again.sweep()
    assert [storage.has(f"samples/{name}.{suffix}") for name in "ab" for suffix in ("trr", "npz")] == [True, True, False, False]
    later = WalkCache(storage, "samples", model)
    assert (later.ahead([("a", first)]), later.ahead([("b", second)])) == (0, 40)
    with pytest.raises(SpacetimeError, match="does not know the walk b"):
        later.stored("b")


def test_frames_of_reference_are_those_of_the_coordinates() -> None:
    _, x, _ = cross(0.15, 0.1, 14.0, 12.0)
    assert CurveBias(held(x)).frame == HeldFrame((0, 1, 2, 3), tuple(map(tuple, x.tolist())))
    assert CurveBias(Distances(("d",), ((0, 1),))).frame is None
    assert math.isclose(held(x).values(x + 5.0).sum(), 0.0, abs_tol=1e-9)
