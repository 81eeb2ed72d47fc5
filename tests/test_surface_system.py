"""The bundled (phi, psi) surface of alanine dipeptide: its file, and points of it relaxed anew, by another way than the scan's."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import unit

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics
from spacetime_tps.problems.problem import Problem
from spacetime_tps.problems.system import bundled_systems

FOLDER = Path(__file__).parent.parent / "systems" / "alanine_dipeptide_surface"
KAPPA = 2000.0


@pytest.fixture(scope="module")
def surface() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "surface.npz") as file:
        return dict(file)


def relaxed(problem: Problem, positions: np.ndarray, target: np.ndarray) -> float:
    """Energy in kJ/mol of a structure turned to the target in steps by OpenMM's minimiser, and corrected for the angle it misses."""
    dynamics = Dynamics(problem.model, CurveBias(problem.coordinates))
    context, angular = dynamics.context, problem.coordinates.angular
    context.setPositions(positions)
    here = problem.coordinates.values(positions)
    change = difference(here, target, angular)
    for fraction in np.linspace(0.0, 1.0, 1 + int(np.ceil(np.abs(change).max() / np.radians(8)))):
        center = here + fraction * change
        dynamics.set_bias(KAPPA * np.stack([np.cos(center), np.sin(center)], axis=-1).ravel())
        openmm.LocalEnergyMinimizer.minimize(context, 1.0 if fraction == 1 else 10.0)
    state = context.getState(energy=True, positions=True, groups={0})
    reached = problem.coordinates.values(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    miss = difference(target, reached, angular)
    slope = -KAPPA * problem.model.kT * np.sin(miss)
    return float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) - slope @ miss)


def test_the_surface_is_a_periodic_grid_with_minimum_zero(surface: dict[str, np.ndarray]) -> None:
    angles = np.radians(np.arange(-180, 181, 5))
    np.testing.assert_allclose(surface["phi"], angles, atol=1e-12)
    np.testing.assert_allclose(surface["psi"], angles, atol=1e-12)
    energy = surface["energy"]
    assert energy.shape == (73, 73)
    assert energy.dtype == np.float64
    assert np.isfinite(energy).all()
    assert energy.min() == 0.0
    np.testing.assert_array_equal(energy[0], energy[-1])
    np.testing.assert_array_equal(energy[:, 0], energy[:, -1])
    assert surface["evaluations"] > 72 * 72
    assert "alanine_dipeptide_surface" not in bundled_systems()


@pytest.mark.parametrize(
    ("end", "phi", "psi"),
    [("start", -75, 60), ("start", -100, -10), ("end", 60, -40), ("end", 0, -25), ("end", 90, 30)],
)
def test_points_relaxed_anew_from_the_nearer_end_agree_with_the_surface(
    alanine: Problem, surface: dict[str, np.ndarray], end: str, phi: int, psi: int
) -> None:
    def height(phi: int, psi: int) -> float:
        return float(surface["energy"][(phi + 180) // 5, (psi + 180) // 5])

    structure = alanine.start if end == "start" else alanine.end
    anew = relaxed(alanine, structure.positions, np.radians([phi, psi])) - relaxed(
        alanine, alanine.start.positions, np.radians([-145, 160])
    )
    assert anew == pytest.approx(height(phi, psi) - height(-145, 160), abs=0.1)
