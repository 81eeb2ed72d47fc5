"""The toy benchmark: reference values reproduced and not exceeded, and files as announced."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import toy
from benchmarks.cli import app
from benchmarks.toy import FAMILY, MIXTURE, REFERENCE, FlowAndGeodesic, flows_and_geodesics, log_snr_at, time_at
from benchmarks.toy_plane import ENDS, PullbackAndSpacetime, largest_departure, pullback_and_spacetime
from spacetime_tps.denoisers.diffusion import denoise
from spacetime_tps.geometry import curve


@pytest.fixture(scope="module")
def compared() -> list[FlowAndGeodesic]:
    return flows_and_geodesics()


@pytest.fixture(scope="module")
def planar() -> PullbackAndSpacetime:
    return pullback_and_spacetime()


def test_reference_flow_is_512_euler_steps_uniform_in_time() -> None:
    t = torch.linspace(1.0, toy.LAST_TIME, 513, dtype=torch.double)
    log_snr = log_snr_at(t)
    x = torch.tensor(list(REFERENCE), dtype=torch.double)[:, None]
    path = [x]
    for now, later in pairwise(log_snr):
        alpha, sigma = FAMILY.schedule.alpha(now), FAMILY.schedule.sigma(now)
        clean = denoise(x, now, MIXTURE, family=FAMILY)
        # dx/dlambda = alpha' E[x_0] + sigma' E[eps], with alpha' = alpha sigma^2 / 2 and sigma' = -sigma alpha^2 / 2.
        x = x + (later - now) * 0.5 * (alpha * sigma**2 * clean - alpha**2 * (x - alpha * clean))
        path.append(x)
    eta = FAMILY.at(torch.stack(path, dim=1), log_snr[:, None].expand(3, 513, 1))
    energies = curve.segments(eta, MIXTURE.moments(eta).mean).sum(-1)
    np.testing.assert_allclose(energies.numpy(), [0.14768565, 0.14042854, 0.15019122], atol=2e-5)  # as printed, single precision


def test_flow_energies_agree_and_geodesic_energies_are_not_higher(compared: list[FlowAndGeodesic]) -> None:
    for c in compared:
        flow, geodesic = REFERENCE[c.start]
        assert c.flow_energy == pytest.approx(flow, abs=2e-4)  # Heun against Euler
        assert round(c.geodesic_energy, 4) <= geodesic
        assert c.geodesic.length < c.flow_even.length
        assert c.geodesic_energy == pytest.approx(c.geodesic.length**2 / 511, rel=1e-3)
        torch.testing.assert_close(c.geodesic.eta[[0, -1]], c.flow[[0, -1]])


def test_geodesics_do_not_depend_on_the_number_of_nodes(compared: list[FlowAndGeodesic], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "NODES", 20)
    (coarse,) = flows_and_geodesics(starts=(-1.0,))
    assert coarse.geodesic.length == pytest.approx(compared[-1].geodesic.length, rel=1e-4)


def test_pullback_geodesic_decodes_straight_and_spacetime_geodesic_does_not(planar: PullbackAndSpacetime) -> None:
    torch.testing.assert_close(planar.pullback.decoded[[0, -1]], ENDS, atol=1e-2, rtol=0.0)
    chord = float((planar.pullback.decoded[-1] - planar.pullback.decoded[0]).norm())
    assert planar.pullback.length == pytest.approx(chord, rel=1e-4)
    assert largest_departure(planar.pullback.decoded) < 1e-3
    assert largest_departure(planar.spacetime_mean) > 0.03
    assert largest_departure(planar.straight_noise_decoded) > 0.1


def test_density_is_normalised_and_times_invert() -> None:
    x, t = torch.linspace(-12.0, 12.0, 2401, dtype=torch.double), torch.tensor([0.0, 0.4, 1.0], dtype=torch.double)
    np.testing.assert_allclose(torch.trapezoid(toy.density(x[:, None], t), x, dim=0).numpy(), 1.0, atol=1e-9)
    torch.testing.assert_close(time_at(log_snr_at(t)), t)


def test_command_writes_what_it_announces(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["toy", "--out", str(tmp_path / "toy"), "--seed", "3"])
    assert result.exit_code == 0, result.output
    files = {path.name for path in (tmp_path / "toy").iterdir()}
    assert files == {"table.md", "table.json", "curves.npz", "spacetime.png", "posteriors.png", "pullback.png", "trajectories.png"}
    values = json.loads((tmp_path / "toy" / "table.json").read_text())
    assert values["seed"] == 3
    assert all(row["geodesic"]["energy"] < row["reference"]["geodesic"] for row in values["energies"])
    # Both samplers against draws, permutation tests of level 0.005: false alarms in 1 % of seeds.
    assert all(sampler["p_value"] > 0.005 for sampler in values["samples"].values())
    assert values["jumps"][0]["p_value"] < 0.01
    with np.load(tmp_path / "toy" / "curves.npz") as arrays:
        assert arrays["flow_1"].shape == (513, 2)
        assert arrays["geodesic_-1"].shape == (512, 2)
    assert (tmp_path / "toy" / "table.md").read_text().count("\n|---|") == 3


def test_the_script_finds_its_modules_from_anywhere(tmp_path: Path) -> None:
    """pytest puts workflows/ on the path; a user has nothing but the script."""
    script = Path(__file__).parent.parent / "workflows" / "benchmark.py"
    result = subprocess.run([sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for command in ("toy", "diffusion", "surface", "brute-force", "two-way", "truth"):
        assert f" {command} " in result.stdout


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = CliRunner().invoke(app, ["toy", "--out", str(tmp_path / "taken")])
    assert result.exit_code == 2
    assert "taken" in result.output
    assert "Traceback" not in result.output
