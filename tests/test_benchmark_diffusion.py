"""The diffusion benchmark: its formulas against closed forms, and a small one from the command line."""

import json
import math
from itertools import pairwise
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ive
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.diffusion import deviation, distance, interpolation, memory, solvers, target, trajectories
from benchmarks.diffusion.deviation import score_deviation, training_frames
from benchmarks.diffusion.distance import Distilled, distil, edit, triangle_excess, widest
from benchmarks.diffusion.interpolation import spherical
from benchmarks.diffusion.mean_shift import euler_flow, full_shifts, mean_shift, nearest, partial_shifts
from benchmarks.diffusion.memory import information_from_error, noised
from benchmarks.diffusion.solvers import GRIDS, STEPS, VARIABLES, Step, Variables, fitted_order, heun, karras, solve, uniform
from benchmarks.diffusion.structures import STRUCTURE, heavy_atom_rmsd, turned
from benchmarks.diffusion.target import FIRST, LAST, SPACE, TORSIONS, Target, apart, run_target
from benchmarks.diffusion.trajectories import alignment, on_circles
from spacetime_tps.denoisers.diffusion import denoise, probability_flow
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_npz
from spacetime_tps.geometry.families.cartesian import Cartesian


def numbers(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.double)


def known_target() -> Target:
    """Two von Mises basins, shares 0.8 and 0.2."""
    centers = numbers([1.0, -2.0], [-2.0, 0.5])
    basins = TrainedDenoiser(TORSIONS.natural(centers, torch.full_like(centers, 6.0)), numbers(0.8, 0.2).log())

    def energy(x: torch.Tensor) -> torch.Tensor:
        per_basin = 6.0 * torch.cos(x[:, None] - centers).sum(-1)
        return -torch.logsumexp(per_basin + torch.log_softmax(basins.logit, 0).detach(), dim=-1)

    fine, coarse = (quadrature(TORSIONS, periodic_grid(n, 2), energy, kT=1.0) for n in (64, 36))
    return Target("two basins", fine, coarse, 2.0 * np.pi / 64)


def test_mean_shift_of_two_points_is_a_hyperbolic_tangent() -> None:
    z, h = numbers([0.3], [-0.8]), numbers(0.7)
    shifted = mean_shift(z, numbers([1.0], [-1.0]), numbers(0.5, 0.5), h)
    torch.testing.assert_close(shifted, torch.tanh(z / h.square()), atol=1e-14, rtol=1e-14)
    skewed = mean_shift(z, numbers([1.0], [-1.0]), numbers(0.9, 0.1), h)
    torch.testing.assert_close(skewed, torch.tanh(z / h.square() + 0.5 * math.log(9.0)), atol=1e-14, rtol=1e-14)


@pytest.mark.parametrize("log_snr", [-8.0, -1.0, 3.0, 8.0])
def test_the_optimal_denoiser_is_mean_shift(log_snr: float) -> None:
    generator = torch.Generator().manual_seed(1)
    points, z = (torch.randn(n, 3, generator=generator, dtype=torch.double) for n in (200, 20))
    weights = torch.softmax(torch.randn(200, generator=generator, dtype=torch.double), dim=0)
    family, at = Cartesian(3), numbers(log_snr)
    samples = WeightedSamples(family.features(points), weights.log())
    optimal = denoise(family.schedule.alpha(at) * z, at, samples, family=family)
    torch.testing.assert_close(optimal, mean_shift(z, points, weights, torch.exp(-0.5 * at)), atol=1e-12, rtol=1e-12)


def test_shortened_shifts_are_eulers_method_and_shrink_towards_a_single_point() -> None:
    known, log_snr = known_target(), torch.linspace(-4.0, 3.0, 15, dtype=torch.double)
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double) * 5.0
    ours = partial_shifts(z, known.coarse.features, known.coarse.log_weights.exp(), log_snr)
    torch.testing.assert_close(ours, euler_flow(z, known, log_snr), atol=1e-12, rtol=1e-12)
    # Towards one point the flow is straight, and Euler's method exact: the distance shrinks like the noise.
    point = numbers([1.0, 2.0, 3.0, 4.0])
    expected = point + math.exp(-3.5) * (z - point)
    torch.testing.assert_close(partial_shifts(z, point, numbers(1.0), log_snr), expected, atol=1e-12, rtol=1e-12)


def test_conformers_are_the_modes_and_mean_shift_from_noise_finds_the_heavier_one_alone() -> None:
    known = known_target()
    conformers = known.conformers()
    torch.testing.assert_close(conformers, numbers([1.0, -2.0], [-2.0, 0.5]), atol=0.02, rtol=0.0)
    low, high = known.height(conformers).tolist()
    assert high - low == pytest.approx(math.log(4.0), abs=0.01)
    drawn = known.draw(4000, torch.Generator().manual_seed(1))
    share = float((nearest(drawn, conformers) == 0).double().mean())
    assert share == pytest.approx(0.8, abs=4.0 * math.sqrt(0.16 / 4000))  # four standard errors: false alarms below 1e-4
    under = known.draw(4000, torch.Generator().manual_seed(1), TORSIONS.natural(conformers[1], numbers(20.0, 20.0)))
    assert float(apart(under, conformers[1]).square().mean()) == pytest.approx(2.0 / 26.0, rel=0.08)
    start = numbers([0.0, 0.0, 0.0, 0.0]) + 20.0 * torch.randn(20, 4, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    ends = TORSIONS.center(full_shifts(start, known.coarse, torch.linspace(-6.0, 4.0, 41, dtype=torch.double)))
    assert (nearest(ends, conformers) == 0).all()


def test_distances_on_the_torus_take_the_short_way() -> None:
    assert float(apart(numbers(3.0, 0.1), numbers(-3.0, 0.1))) == pytest.approx(2.0 * math.pi - 6.0)
    assert float(apart(numbers(0.3, -0.4), numbers(0.0, 0.0))) == pytest.approx(0.5)
    torch.testing.assert_close(on_circles(numbers([3.0, 4.0, 0.0, -2.0])), numbers([0.6, 0.8, 0.0, -1.0]))


def test_the_score_is_aligned_where_it_points_at_the_last_center() -> None:
    centers = numbers([[0.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]])
    torch.testing.assert_close(alignment(centers, centers[-1:].expand(3, 1, 2)), torch.ones(2, 1, dtype=torch.double))
    sideways = centers + numbers([1.0, 0.0])
    torch.testing.assert_close(alignment(centers, sideways), numbers([math.sqrt(0.5)], [0.0]))


def test_information_of_gaussian_data_is_half_a_logarithm() -> None:
    log_snr, variance = torch.linspace(-12.0, 5.0, 400, dtype=torch.double), 2.5
    mmse = 3.0 * variance / (1.0 + variance * log_snr.exp())
    torch.testing.assert_close(information_from_error(log_snr, mmse), 1.5 * torch.log1p(variance * log_snr.exp()), atol=1e-4, rtol=1e-3)


def test_score_deviation_by_hand() -> None:
    denoised, other = numbers([[0.3, 0.4], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]), torch.zeros(2, 2, 2, dtype=torch.double)
    found = score_deviation(denoised, other, numbers(0.0, math.log(9.0)))
    torch.testing.assert_close(found, numbers(0.5 * math.sqrt(0.5), 3.0))


def test_training_frames_carry_the_weights_of_their_target() -> None:
    # 3,920 frames; the means of T to 0.05 are four standard errors at 1,500 effective ones.
    known = known_target()
    frames = training_frames(known, torch.Generator().manual_seed(1)).samples
    ours, exact = (x.log_weights.exp() @ x.features for x in (frames, known.exact))
    torch.testing.assert_close(ours, exact, atol=0.06, rtol=0.0)
    plain = frames.features.mean(0)
    assert float((plain - exact).abs().max()) > 0.15, "without weights they are another distribution"


def test_noise_has_the_schedules_size() -> None:
    generator, at = torch.Generator().manual_seed(1), numbers(1.0)[0]
    x = numbers([1.0, -1.0, 0.0, 2.0]).expand(50_000, 4)
    found = noised(x, at, generator)
    alpha, sigma = math.sqrt(1.0 / (1.0 + math.exp(-1.0))), math.sqrt(1.0 / (1.0 + math.e))
    torch.testing.assert_close(found.mean(0), alpha * x[0], atol=5.0 * sigma / 50_000**0.5, rtol=0.0)
    torch.testing.assert_close(found.std(0), torch.full((4,), sigma, dtype=torch.double), rtol=0.02, atol=0.0)


def test_spherical_interpolation_stays_on_the_sphere() -> None:
    a, b = numbers([2.0, 0.0]), numbers([0.0, 2.0])
    torch.testing.assert_close(spherical(a, b, numbers([1.0 / 3.0])), numbers([math.sqrt(3.0), 1.0]))
    torch.testing.assert_close(spherical(a, b, numbers([0.0], [1.0])), torch.cat([a, b]))


def gaussian_denoised(z: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
    """Of data N(1, 2^2): the flow keeps (z - 1) / sqrt(4 + tau^2)."""
    share = 4.0 / (4.0 + torch.exp(-log_snr))
    return 1.0 + share * (z - 1.0)


def gaussian_end(z: torch.Tensor) -> torch.Tensor:
    return 1.0 + (z - 1.0) * math.sqrt((4.0 + math.exp(-LAST)) / (4.0 + math.exp(-FIRST)))


@pytest.mark.parametrize("variables", VARIABLES, ids=lambda v: v.name)
@pytest.mark.parametrize(("rule", "order"), [(STEPS["Euler"][0], 1.0), (STEPS["Heun"][0], 2.0)], ids=["Euler", "Heun"])
@pytest.mark.parametrize("grid", GRIDS)
def test_solvers_converge_at_their_order(variables: Variables, rule: Step, order: float, grid: str) -> None:
    z, counts = numbers([20.0], [-5.0]), np.array([640, 1280, 2560])
    errors = [float((solve(z, GRIDS[grid](n), gaussian_denoised, variables, rule) - gaussian_end(z)).abs().max()) for n in counts]
    assert fitted_order(counts, np.array(errors)) == pytest.approx(order, abs=0.1)
    assert errors[-1] < (0.05 if order == 1.0 else 1e-3)


def test_heuns_method_in_sigma_is_the_packages_flow() -> None:
    family, data = Cartesian(2), GaussianMixture(numbers([-2.0, 0.0], [1.0, 1.0]), torch.ones(2, 2), numbers(0.3, 0.7))
    z, log_snr = numbers([3.0, -7.0], [15.0, 2.0]), uniform(20)

    def denoised(center: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return denoise(family.schedule.alpha(at) * center, at, data, family=family)

    path = probability_flow(family.schedule.alpha(log_snr[0]) * z, log_snr, data, family=family)
    ours = solve(z, log_snr, denoised, VARIABLES[0], heun)
    torch.testing.assert_close(ours, path[-1] / family.schedule.alpha(log_snr[-1]), atol=1e-12, rtol=1e-12)


def test_grids_have_their_ends_and_spacing() -> None:
    for grid in (uniform(10), karras(10)):
        torch.testing.assert_close(grid[[0, -1]], numbers(FIRST, LAST))
    sigma = torch.exp(-0.5 * karras(10))
    torch.testing.assert_close((sigma ** (1.0 / 7.0)).diff(), (sigma ** (1.0 / 7.0)).diff()[:1].expand(10))
    assert fitted_order(np.array([1, 2, 4]), np.array([3.0, 0.75, 0.1875])) == pytest.approx(2.0)


def test_torsions_of_a_structure_are_turned_rigidly() -> None:
    given = mdtraj.load(str(STRUCTURE))
    phi, psi = mdtraj.compute_phi(given)[0][0], mdtraj.compute_psi(given)[0][0]
    moved = turned(turned(given, phi, -1.0), psi, 2.5)
    np.testing.assert_allclose(mdtraj.compute_dihedrals(moved, [phi, psi])[0], [-1.0, 2.5], atol=1e-4)
    bonds = [[a.index, b.index] for a, b in given.topology.bonds]
    np.testing.assert_allclose(mdtraj.compute_distances(moved, bonds), mdtraj.compute_distances(given, bonds), atol=1e-5)
    apart = heavy_atom_rmsd(np.array([[-1.0, 2.5], [1.0, -0.7], [-1.0, 2.5]]))
    np.testing.assert_allclose(apart, apart.T, atol=1e-6)
    assert apart[0, 2] == pytest.approx(0.0, abs=1e-6)
    assert 0.1 < apart[0, 1] < 0.25


def test_the_edit_distance_of_opposite_free_torsions_goes_through_pure_noise() -> None:
    # Without an energy the metric along a radius of one torsion is A'(kappa) = 1 - A/kappa - A^2, A = I_1/I_0; both torsions turn by pi.
    free = quadrature(TORSIONS, periodic_grid(36, 2), lambda x: torch.zeros(len(x), dtype=torch.double), kT=1.0)

    def speed(kappa: float) -> float:
        ratio = ive(1, kappa) / ive(0, kappa)
        return math.sqrt(1.0 - ratio / kappa - ratio**2)

    expected = 2.0 * math.sqrt(2.0) * quad(speed, 1e-9, distance.LEVEL)[0]
    found = edit(numbers(0.4, -1.0), numbers(0.4 - math.pi, -1.0 + math.pi), free)
    assert found.length == pytest.approx(expected, rel=0.01)
    assert widest(found) < 1.5


def test_the_edit_distance_of_close_torsions_is_that_of_gaussians() -> None:
    # Narrow von Mises distributions are N(m, tau^2) but for 1/kappa: a hyperbolic half-plane, where the geodesic is half a circle.
    free = quadrature(TORSIONS, periodic_grid(36, 2), lambda x: torch.zeros(len(x), dtype=torch.double), kT=1.0)
    found, variance = edit(numbers(0.4, -1.0), numbers(0.7, -1.0), free), 1.0 / distance.LEVEL
    assert found.length == pytest.approx(math.sqrt(2.0) * math.acosh(1.0 + 0.3**2 / (4.0 * variance)), rel=0.01)
    top = 1.0 / (variance + 0.3**2 / 8.0)
    assert widest(found) == pytest.approx(math.sqrt(0.5 * (top**2 + distance.LEVEL**2)), rel=0.01)


def test_the_triangle_inequality_is_checked_over_all_triples() -> None:
    line = np.abs(np.subtract.outer([0.0, 1.0, 3.0], [0.0, 1.0, 3.0]))
    assert triangle_excess(line) == pytest.approx(0.0)
    line[0, 2] = line[2, 0] = 3.7
    assert triangle_excess(line) == pytest.approx(0.7)


def test_a_distilled_distance_is_symmetric_and_learns_that_of_the_half_plane() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 500, 3, generator=generator)
    lengths = 2.0 * torch.arccosh(1.0 + 0.5 * (2.0 * (a - b)).square().sum(-1))
    model = distil(a[:400], b[:400], lengths[:400], seed=1)
    off = (model(a, b)[400:] / lengths[400:] - 1.0).square().mean().sqrt()
    assert float(off) < 0.05
    torch.testing.assert_close(model(a, b), model(b, a))
    assert float(model(a, a).abs().max()) == 0.0
    same = distil(a[:400], b[:400], lengths[:400], seed=1)
    torch.testing.assert_close(model(a, b), same(a, b), atol=0.0, rtol=0.0)


def test_a_distance_without_correction_is_hyperbolic() -> None:
    model = Distilled(3, corrected=False).requires_grad_(False)
    a, b = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(1))
    square = (model.net(a) - model.net(b)).square().sum(-1)
    torch.testing.assert_close(model(a, b), math.exp(0.5) * torch.arccosh(1.0 + 0.5 * square), atol=1e-3, rtol=1e-3)
    model.corrected = True
    assert float((model(a, b) / model(b, a) - 1.0).abs().max()) < 1e-5
    assert float((model(a, b) / (math.exp(0.5) * torch.arccosh(1.0 + 0.5 * square)) - 1.0).abs().min()) > 1e-4


def test_weighted_frames_of_a_run_are_read_and_other_folders_refused(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    angles, log_weight = numbers([1.0, 2.0], [-0.5, 0.3]), numbers(0.0, math.log(3.0))
    write_npz(tmp_path / "samples" / "weighted_1.npz", {"features": TORSIONS.features(angles).numpy(), "log_weight": log_weight.numpy()})
    read = run_target(tmp_path)
    np.testing.assert_allclose(read.exact.log_weights.exp(), [0.25, 0.75])
    torch.testing.assert_close(read.draw(5, torch.Generator().manual_seed(1), numbers(900.0, 0.0, 0.0, 900.0)).std(0), numbers(0.0, 0.0))
    write_npz(tmp_path / "samples" / "weighted_1.npz", {"features": np.ones((3, 6)), "log_weight": np.zeros(3)})
    with pytest.raises(SpacetimeError, match=r"not in two torsions.*\(3, 6\)"):
        run_target(tmp_path)
    with pytest.raises(SpacetimeError, match="give a finished run"):
        run_target(tmp_path / "samples")


def test_a_small_benchmark_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        target: {"GRID": 24, "COARSE": 24, "ITERATIONS": 100}, trajectories: {"SAMPLES": 30, "PERMUTATIONS": 20},
        deviation: {"PLAIN": 200, "EACH": 20, "NETWORK_STEPS": 30, "MIXTURE_STEPS": 30, "COMPONENTS": 8, "PERMUTATIONS": 20},
        memory: {"DRAWS": 400, "EACH": 10, "REPEATS": 20, "PERMUTATIONS": 20}, interpolation: {"MIDPOINTS": 20, "PERMUTATIONS": 20},
        solvers: {"TRAJECTORIES": 6, "REFERENCE": 192},
        distance: {"LEARNED": 8, "HELD_OUT": 5, "PAIRS": 10, "HELD_OUT_PAIRS": 8, "SHOWN": 4, "FINE_EVALUATIONS": 10, "CHECKED": 2,
                   "DISTIL_STEPS": 20},
    }  # fmt: skip
    for module, constants in small.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    result = CliRunner().invoke(app, ["diffusion", "--out", str(tmp_path / "d"), "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"table.md", "table.json", "diffusion.png", "diffusion_distance.png"}
    values = json.loads((tmp_path / "d" / "table.json").read_text())
    assert values["seed"] == 3
    shift, memory_ = values["mean_shift"], values["memory"]
    assert max(shift["largest_difference"], shift["largest_after_euler"], values["trajectories"]["schedules_differ"]) < 1e-12
    assert len(values["conformers"]["height_kT"]) == 3
    assert shift["decided"][-1] > 0.9 > shift["decided"][0]
    assert memory_["turn_log_snr"][-1] == 3.0
    np.testing.assert_allclose(memory_["information"][:5], memory_["by_error"][:5], rtol=0.25, atol=0.02)
    assert all(a < b for a, b in pairwise(memory_["information"]))
    matrix = np.array(values["distance"]["matrix"])
    np.testing.assert_allclose(matrix, matrix.T)
    assert (matrix[~np.eye(4, dtype=bool)] > 1.0).all()


def test_the_exact_denoiser_of_a_target_is_embedded() -> None:
    known = known_target()
    assert isinstance(known.model, Embedded)
    x = SPACE.at(numbers([0.3, 0.1, -0.2, 0.4]), numbers([-3.0]))
    torch.testing.assert_close(known.model.moments(x).mean[:, :4], known.exact.moments(x[:, :4]).mean)
