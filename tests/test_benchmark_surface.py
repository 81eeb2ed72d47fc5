"""The surface benchmark on the bundled surface, and the geodesic search on a landscape whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.surface import bundled_surface
from benchmarks.torus import Region, search, sobol
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.engines.surface.dynamics import Overdamped
from spacetime_tps.engines.surface.frames import route_frames, separating_angles
from spacetime_tps.engines.surface.shooting import SurfaceShooting
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.geodesic import evaluate
from spacetime_tps.geometry.graph import lattice_paths
from spacetime_tps.geometry.penalties import from_samples
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle

FAMILY = VonMises(2)
ENDS = np.array([-1.2, 0.0]), np.array([1.2, 0.0])


def gates(x: torch.Tensor) -> torch.Tensor:
    """Walls at phi = 0 and phi = pi of 20 kT; that at 0 has a gate of 4 kT at psi = 1.2 and one of 8 kT at psi = -1.2."""
    wall = 20.0 * torch.exp(4.0 * (torch.cos(2 * x[..., 0]) - 1.0))
    near = torch.exp(8.0 * (torch.cos(x[..., 0]) - 1.0))
    opening = 16.0 * torch.exp(12.0 * (torch.cos(x[..., 1] - 1.2) - 1.0)) + 12.0 * torch.exp(12.0 * (torch.cos(x[..., 1] + 1.2) - 1.0))
    return wall - near * opening


@pytest.fixture(scope="module")
def samples() -> tuple[torch.Tensor, WeightedSamples]:
    x = sobol(2**13, 2, 1)
    return x, WeightedSamples(FAMILY.features(x), -gates(x))


def test_search_goes_through_the_lower_gate(samples: tuple[torch.Tensor, WeightedSamples]) -> None:
    _, denoiser = samples
    found = search(denoiser, ENDS, end_level=30.0)
    top = FAMILY.center(found.geodesic.eta)[int(found.geodesic.cost.argmax())]
    assert float(top[1]) == pytest.approx(1.2, abs=0.3)
    assert found.steepness <= 2.0
    assert found.met
    # The straight line with the same noise meets the wall, which the bare metric does not see.
    s = torch.linspace(0, 1, 48, dtype=torch.double)[:, None]
    center = torch.from_numpy(ENDS[0]) * (1 - s) + torch.from_numpy(ENDS[1]) * s
    straight = evaluate(FAMILY.natural(center, torch.full_like(center, found.floor)), denoiser, family=FAMILY, points=48)
    assert found.best.barrier < straight.barrier - 5.0


def box(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return (x[:, 0].abs() < 0.5) & (x[:, 1] > low) & (x[:, 1] < high)


def test_a_forbidden_gate_sends_the_curve_through_the_other(samples: tuple[torch.Tensor, WeightedSamples]) -> None:
    x, denoiser = samples
    region = Region(from_samples(denoiser.restricted(box(x, 0.4, 2.2))), -np.log(1e-4))
    found = search(denoiser, ENDS, end_level=30.0, regions=[region])
    assert found.met
    probability = torch.exp(-region.divergence(found.geodesic.eta, denoiser.moments(found.geodesic.eta)))
    assert float(probability.max()) < 1e-3
    top = FAMILY.center(found.geodesic.eta)[int(found.geodesic.cost.argmax())]
    assert float(top[1]) == pytest.approx(-1.2, abs=0.3)


def test_regions_that_close_every_way_say_so(samples: tuple[torch.Tensor, WeightedSamples]) -> None:
    x, denoiser = samples
    ring = (x[:, 0].abs() < 0.5) | ((x[:, 0].abs() - torch.pi).abs() < 0.5)
    with pytest.raises(SpacetimeError, match="leave no way"):
        search(denoiser, ENDS, end_level=30.0, regions=[Region(from_samples(denoiser.restricted(ring)), -np.log(1e-4))])


def test_lattice_paths_end_where_they_should_in_every_class() -> None:
    denoiser = quadrature(FAMILY, periodic_grid(48, 2), gates, kT=1.0)
    paths = lattice_paths(
        denoiser, *ENDS, level=30.0, size=24, barrier_weight=0.2, allowed=lambda eta, _: torch.ones(len(eta), dtype=torch.bool)
    )
    turns = {tuple(np.round((p.center[-1] - p.center[0] - (ENDS[1] - ENDS[0])) / (2 * np.pi)).astype(int)) for p in paths}
    assert turns == {(0, 0), (-1, 0), (0, -1), (-1, -1)}
    for path in paths:
        np.testing.assert_allclose(path.center[0], ENDS[0])
        assert np.abs(np.diff(path.center, axis=0)).max() < 2.5 * 2 * np.pi / 24
    assert paths[0].barrier < 8.0


def test_command_writes_scorable_paths(tmp_path: Path) -> None:
    arguments = ["surface", "--paths", "40", "--seed", "3", "--out", str(tmp_path), "--chains", "4"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    table = json.loads((tmp_path / "table.json").read_text())
    for name, row in table["experiments"].items():
        with np.load(tmp_path / f"{name}.npz") as data:
            assert data["paths"].shape[0] == 40
            assert int(data["evaluations"]) == row["evaluations"] >= data["paths"].shape[0] * (data["paths"].shape[1] - 1)
        assert row["connected"] == 1.0
    with np.load(tmp_path / "unbiased.npz") as data:
        assert effective_number(data["weights"]) == pytest.approx(table["unbiased"]["effective"])
        assert table["unbiased"]["effective"] >= 40
        assert len(data["paths"]) == len(data["weights"])
    assert table["denoiser"]["mean"] < 0.05
    assert abs(table["geodesic"]["energy"] / table["geodesic"]["energy_by_quadrature"] - 1) < 0.05
    for name in ("paths.png", "energies.png", "faithfulness.png", "table.md", "curves.npz", "shooting.npz"):
        assert (tmp_path / name).stat().st_size > 0


class Gates:
    dimension = 2

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        return gates(x)

    def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            at = x.detach().requires_grad_(True)
            energy = gates(at)
            (gradient,) = torch.autograd.grad(energy.sum(), at)
        return energy.detach(), gradient


def test_shots_that_never_react_are_a_sentence(samples: tuple[torch.Tensor, WeightedSamples]) -> None:
    x, _ = samples
    center = torch.tensor([[-1.4, 0.0], [-1.3, 0.0], [-1.2, 0.0], [-1.1, 0.0]], dtype=torch.double)
    curve, cost = FAMILY.natural(center, torch.full_like(center, 50.0)), torch.tensor([0.0, 1.0, 0.5, 0.0])
    a, b = Discs(((-1.2, 0.0),), 2.9, True), Discs(((1.2, 3.0),), 0.05, True)  # A holds nearly every point of the windows
    frames = route_frames("r", curve, cost, x, -gates(x), FAMILY, a, seed=1)
    settings = ShootingSettings(
        paths=5, budget=60_000, stiffness=100.0, walkers=20, points=2, gap=20, shots=1, equilibration=20, rung_steps=60, states=0
    )
    engine = SurfaceShooting(Overdamped(Gates(), 1.0, 1e-3), FAMILY, a, b, settings, seed=1, longest=20)
    with pytest.raises(SpacetimeError, match=r"none of \d+ shots was reactive"):
        ShotSampler(engine, settings, seed=1, rates=False).sample([frames], (Angle("phi", 4, 0, 1),))


def test_angles_separate_states_whose_discs_share_none_of_them() -> None:
    a, b = Discs(((-2.55, 2.70), (-1.38, 1.12)), 0.5, True), Discs(((0.95, -0.40), (1.055, -0.774)), 0.5, True)
    assert separating_angles(a, b, FAMILY, ("phi", "psi")) == (Angle("phi", 4, 0, 1), Angle("psi", 4, 2, 3))
    across = Discs(((3.0, 0.0),), 0.5, True), Discs(((-3.0, 1.5),), 0.5, True)  # 0.28 apart in phi across the seam
    assert separating_angles(*across, FAMILY, ("phi", "psi")) == (Angle("psi", 4, 2, 3),)


def test_surfaces_are_found_by_name() -> None:
    assert bundled_surface("alanine_dipeptide_surface").is_file()
    with pytest.raises(SpacetimeError, match="there is no surface 'nowhere'"):
        bundled_surface("nowhere")
