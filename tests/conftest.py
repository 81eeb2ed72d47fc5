"""What tests share: the bundled molecule, prepared once, and hypothesis settings that do not time out on busy machines."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math

import numpy as np
import openmm
import pytest
from hypothesis import settings

from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import load_system

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
