"""What figures of the report are drawn from."""

import numpy as np
import pytest

from spacetime_tps.report.figures import free_energy
from spacetime_tps.units import thermal_energy


def test_the_map_shows_the_energy_that_boltzmann_weights_come_from() -> None:
    kT = thermal_energy(300.0)
    energy = np.array([[0.0, 12.5], [40.0, 3.0]])
    found = free_energy(0.3 * np.exp(-energy / kT), kT)
    np.testing.assert_allclose(found, energy, atol=1e-9)
    assert free_energy(np.array([1.0, 0.0]), kT)[1] == np.inf
    assert kT == pytest.approx(2.494, abs=1e-3)
