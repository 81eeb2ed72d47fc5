"""What tests share: the bundled molecule, prepared once, and hypothesis settings that do not time out on busy machines."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
from pathlib import Path

import numpy as np
import openmm
import pytest
from hypothesis import settings
from turning import transitions_through_180, turning_rotor

from spacetime_tps import run
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import load_system
from spacetime_tps.progress import Silent
from spacetime_tps.settings import parse_settings
from spacetime_tps.trajectories.frames import Frames

settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")


WHOLE_RUNS = ("test_pipeline.py", "test_unbiased.py", "test_systems.py", "test_two_way.py", "test_compare.py", "test_compare_ops.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole runs come last: what is wrong shows in the quick ones first."""
    items.sort(key=lambda item: item.path.name in WHOLE_RUNS)


@pytest.fixture(scope="session")
def alanine() -> Problem:
    return prepare(load_system("alanine_dipeptide"), DynamicsSettings(platform="Reference"))


@pytest.fixture(scope="session")
def rotor() -> tuple[Model, Torsions, np.ndarray]:
    """Four atoms with stiff bonds and angles and no torsion potential, so that the torsion is uniform; the torsion; positions."""
    system = openmm.System()
    for _ in range(4):
        system.addParticle(12.0)
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    for i in range(3):
        bonds.addBond(i, i + 1, 0.15, 1e5)
    for i in range(2):
        angles.addAngle(i, i + 1, i + 2, math.radians(110), 500.0)
    system.addForce(bonds)
    system.addForce(angles)
    model = Model(openmm.XmlSerializer.serialize(system), 300.0, 10.0, 0.002, "Reference")
    return model, Torsions(("t",), ((0, 1, 2, 3),)), np.array([[0.0, 0.14, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, 0.1, 0.1]])


@pytest.fixture(scope="session")
def turning(rotor: tuple[Model, Torsions, np.ndarray]) -> Problem:
    """The free rotor as a molecule, with two states."""
    return turning_rotor(*rotor)


@pytest.fixture(scope="session")
def through_180(turning: Problem) -> list[Frames]:
    """Transitions of the rotor cut from a long trajectory, of those that turn through 180 degrees."""
    return transitions_through_180(turning)


SMALL_RUN = [
    "dynamics.platform=Reference", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=16", "windows.steps=900", "windows.discard=300", "rounds.max_rounds=2", "rounds.quenches=4", "geodesic.points=24",
    "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=4", "guided.points=47", "denoiser.components=0", "unbiased.paths=20",
    "unbiased.walkers=4", "unbiased.equilibration=600", "unbiased.points=4", "unbiased.rung_steps=600", "unbiased.states=4",
    "unbiased.state_shots=5",
]  # fmt: skip


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with guided and unbiased paths of alanine dipeptide, to read from and not to write to."""
    folder = tmp_path_factory.mktemp("small") / "run"
    run("alanine_dipeptide", str(folder), parse_settings(SMALL_RUN), Silent())
    return folder
