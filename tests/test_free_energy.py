"""Free energies from windows: exact values, and what is said where there are none."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.sampling import free_energy
from spacetime_tps.sampling.free_energy import (
    NoOverlap,
    boltzmann_weights,
    common_inefficiency,
    inefficiency,
    neighbours,
    profile,
    weakest_link,
)


def draws(eta: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Exact samples T of a free torsion under eta (2,): a von Mises distribution."""
    angles = np.random.default_rng(seed).vonmises(math.atan2(eta[1], eta[0]), np.hypot(*eta), count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


SLOPES = np.array([0.0, 0.7, 1.5, 2.4, 3.0, 4.0])
"""Windows eta * x on U/kT = x^2/2: Gaussians about eta of variance one, psi = eta^2/2"""


def harmonic(counts: list[int], *, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Exact draws x (S,) under each slope, and their bias (K, S), kT."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(s, 1.0, n) for s, n in zip(SLOPES, counts, strict=True)])
    return x, -np.outer(SLOPES, x)


def test_free_energies_of_harmonic_windows_have_their_value_and_sign() -> None:
    # At 1,200 to 3,000 frames a window f of the last scatters by 0.05 over seeds; 0.25 is five of that.
    counts = [3000, 1200, 2000, 1500, 1200, 2500]
    x, bias = harmonic(counts)
    found = boltzmann_weights(bias, np.array(counts), np.zeros(6))
    np.testing.assert_allclose(found.free_energy, -(SLOPES**2) / 2, atol=0.25)
    w = np.exp(found.log_weight)
    assert w @ x == pytest.approx(0.0, abs=0.1)
    assert w @ x**2 == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(found.free_energy, -np.log(w @ np.exp(-bias.T)), atol=1e-9)


def test_solving_with_part_of_the_frames_still_weighs_them_all() -> None:
    counts = np.array([3000, 1200, 2000, 1500, 1200, 2500])
    x, bias = harmonic(counts.tolist())
    found = boltzmann_weights(bias, counts, np.zeros(6), most=3000)
    assert len(found.log_weight) == len(x)
    # a quarter of the frames: twice the scatter
    np.testing.assert_allclose(found.free_energy, -(SLOPES**2) / 2, atol=0.5)
    assert np.exp(found.log_weight) @ x == pytest.approx(0.0, abs=0.2)
    whole = boltzmann_weights(bias, counts, np.zeros(6), most=20_000)
    np.testing.assert_array_equal(whole.log_weight, boltzmann_weights(bias, counts, np.zeros(6)).log_weight)


def test_a_far_guess_and_a_solver_that_gives_up_change_nothing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    counts = np.full(6, 300)
    _, bias = harmonic(counts.tolist())
    expected = boltzmann_weights(bias, counts, np.zeros(6)).free_energy
    np.testing.assert_allclose(boltzmann_weights(bias, counts, 1e3 * np.arange(6.0)).free_energy, expected, atol=1e-4)
    hasty = ({"method": "adaptive", "tol": 1e-7, "options": {"maxiter": 1}},)
    monkeypatch.setattr(free_energy, "ADAPTIVE", hasty)
    np.testing.assert_allclose(boltzmann_weights(bias, counts, 1e3 * np.arange(6.0)).free_energy, expected, atol=1e-4)
    downhill = free_energy.ROBUST[1]
    monkeypatch.setattr(free_energy, "ROBUST", (*hasty, downhill))
    np.testing.assert_allclose(boltzmann_weights(bias, counts, np.zeros(6)).free_energy, expected, atol=1e-3)
    monkeypatch.setattr(free_energy, "ROBUST", hasty)
    with pytest.raises(SpacetimeError, match=r"MBAR does not converge: .* overlap least"):
        boltzmann_weights(bias, counts, 1e3 * np.arange(6.0))
    assert capfd.readouterr() == ("", "")


def test_windows_that_share_nothing_are_named() -> None:
    # Kappa 200 at 0, 20, 40, then 100 and 120 degrees: the gap is between the third and the fourth.
    centers = np.radians([0.0, 20.0, 40.0, 100.0, 120.0])
    eta = 200.0 * np.stack([np.cos(centers), np.sin(centers)], axis=1)
    drawn = [draws(e, 100, seed) for seed, e in enumerate(eta)]
    differences, overlap = neighbours(drawn, eta)
    assert np.isfinite(differences).all()
    assert overlap.argmin() == 2
    assert overlap[2] < 1e-6 < overlap[[0, 1, 3]].min()
    bias = -(eta @ np.concatenate(drawn).T)
    assert weakest_link(bias, np.full(5, 100))[1:] == (2, 3)
    with pytest.raises(NoOverlap, match=r"window 3 of 5 and window 4 of 5 do not overlap.*windows\.count"):
        boltzmann_weights(bias, np.full(5, 100), np.zeros(5))
    with pytest.raises(NoOverlap, match="second and third do not"):
        boltzmann_weights(bias[1:4, 100:400], np.full(3, 100), np.zeros(3), names=["first", "second", "third"])
    with pytest.raises(NoOverlap, match="window 3 of 5 and window 4 of 5"):
        profile([[d] for d in drawn], eta)
    assert np.abs(boltzmann_weights(bias[:3, :300], np.full(3, 100), np.zeros(3)).free_energy).max() < 1e3


def test_the_gap_is_the_least_work_of_an_exchange() -> None:
    # x = 0, 1 under slope 0 and x = 5, 7 under slope 2: work -2 at best up, 10 at best down. A third in between links both.
    x = np.array([0.0, 1.0, 5.0, 7.0])
    assert weakest_link(-np.outer([0.0, 2.0], x), np.array([2, 2])) == (8.0, 0, 1)
    x = np.array([0.0, 1.0, 5.0, 7.0, 1.0, 4.0])
    assert weakest_link(-np.outer([0.0, 2.0, 1.0], x), np.array([2, 2, 2])) == (1.0, 1, 2)


def test_an_empty_window_is_named() -> None:
    eta = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    drawn = [draws(eta[0], 50, 0), np.zeros((0, 2)), draws(eta[2], 50, 1)]
    for call in (
        lambda: neighbours(drawn, eta),
        lambda: profile([[d] for d in drawn], eta),
        lambda: boltzmann_weights(-(eta @ np.concatenate(drawn).T), np.array([50, 0, 50]), np.zeros(3)),
    ):
        with pytest.raises(SpacetimeError, match=r"window 2 of 3 has no frames.*windows\.steps"):
            call()


def test_bar_leaves_the_handling_of_overflow_as_it_was() -> None:
    before = np.geterr()
    neighbours([draws(e, 10, 0) for e in np.array([[300.0, 0.0], [-300.0, 0.0]])], np.array([[300.0, 0.0], [-300.0, 0.0]]))
    assert np.geterr() == before


def test_walks_that_keep_to_their_basins_are_not_independent() -> None:
    """Noise with memory 0.9 has an inefficiency of 1.9 / 0.1 = 19; of white noise in two basins that no walk leaves, hardly anything
    is new. Over 40 seeds the first goes from 18 to 26."""
    rng = np.random.default_rng(3)
    memory = [lfilter([1.0], [1.0, -0.9], rng.normal(size=8000)) for _ in range(4)]
    assert common_inefficiency(memory) == pytest.approx(19, abs=8)
    stuck = [rng.normal(size=500) + level for level in (0.0, 0.0, 5.0, 5.0)]
    assert max(inefficiency(walk) for walk in stuck) < 5
    assert common_inefficiency(stuck) > 100
    assert common_inefficiency([np.ones(9), np.ones(5)]) == common_inefficiency([np.arange(3.0), np.zeros(0)]) == 1
