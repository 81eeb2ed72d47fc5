"""What tests share: the bundled molecule, prepared once, and hypothesis settings that do not time out on busy machines."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from spacetime_tps.pipeline.prepared import Prepared, prepare
from spacetime_tps.pipeline.settings import parse_settings
from spacetime_tps.pipeline.system import load_system

settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")


@pytest.fixture(scope="session")
def alanine() -> Prepared:
    return prepare(load_system("alanine_dipeptide"), parse_settings(["dynamics.platform=Reference"]))
