"""Denoisers at unseen windows: on wells that are known, in torsions, and what is said of a folder that holds no run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.denoisers import HEAD, MIXTURE, NETWORK, SAMPLES, compared, run_denoisers, told
from spacetime_tps import SpacetimeError
from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.product import ProductFamily
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises

BRIEF = DenoiserSettings(network_from=1, network_steps=100, steps=100, lessons=500, components=16)


def uniform(family: Family, windows: int, each: int, seed: int) -> Ensembles:
    """Windows on uniform angles, one torsion after another from -2 to 2: exact draws, with the weights that MBAR would find."""
    center = torch.linspace(-2.0, 2.0, windows, dtype=torch.double)[:, None].expand(-1, 2)
    eta = family.natural(center, torch.full((windows, 2), 20.0, dtype=torch.double))
    x = np.random.default_rng(seed).vonmises(center.repeat_interleave(each, 0).numpy(), 20.0)
    t = family.features(torch.from_numpy(x))
    return Ensembles(WeightedSamples(t, -torch.logsumexp(eta @ t.T, dim=0)), eta, torch.full((windows,), each))


def normal(windows: int, each: int, seed: int) -> tuple[Ensembles, Family]:
    """The same of three standard normal lengths: a window is N(20 c / 21, 1 / 21)."""
    family = Cartesian(3)
    center = torch.linspace(-1.0, 1.0, windows, dtype=torch.double)[:, None].expand(-1, 3)
    eta = family.natural(center, torch.full((windows, 1), 20.0, dtype=torch.double).log())
    noise = torch.randn((windows * each, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    t = family.features(center.repeat_interleave(each, 0) * 20.0 / 21.0 + noise / 21.0**0.5)
    psi = (0.5 * 400.0 * center.square() / 21.0).sum(-1) - 1.5 * np.log(21.0)
    return Ensembles(WeightedSamples(t, -torch.logsumexp(eta @ t.T - psi[:, None], dim=0)), eta, torch.full((windows,), each)), family


def test_each_denoiser_is_judged_at_the_same_windows_in_torsions_and_lengths() -> None:
    torsions = VonMises(2)
    for data, family, coordinates in ((uniform(torsions, 12, 80, 1), torsions, 2), (*normal(12, 80, 2), 3)):
        row = compared(data, family, data.eta, BRIEF, seed=1)
        assert (row["coordinates"], row["frames"], row["windows"]) == (coordinates, 960, 2)
        assert row["standard_error"] == pytest.approx(80**-0.5)
        assert row[NETWORK] < 0.6, "after a hundred steps"
        assert row[MIXTURE] < 0.4
        assert row[SAMPLES] < 0.4
        assert 10.0 < row["effective_samples"] < 400.0


def test_of_torsions_and_lengths_at_once_there_is_no_mixture() -> None:
    family = ProductFamily([VonMises(1), Cartesian(1)])
    center = torch.stack([torch.linspace(-1.0, 1.0, 8), torch.zeros(8)], dim=-1).double()
    eta = family.natural(center, family.level_of(torch.full((8, 2), 20.0, dtype=torch.double)))
    x = center.repeat_interleave(40, 0) + 0.2 * torch.randn((320, 2), generator=torch.Generator().manual_seed(3), dtype=torch.double)
    t = family.features(x)
    data = Ensembles(WeightedSamples(t, -torch.logsumexp(eta @ t.T, dim=0)), eta, torch.full((8,), 40))
    row = {"run": "both", **compared(data, family, eta, BRIEF, seed=1)}
    assert row[MIXTURE] is None
    table = told([row]).splitlines()
    assert table[0].count("|") == table[2].count("|") == len(HEAD) + 1
    assert "| – |" in table[2]


def test_a_folder_without_a_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpacetimeError, match="holds no finished run"):
        run_denoisers([tmp_path], tmp_path / "out", seed=1)
