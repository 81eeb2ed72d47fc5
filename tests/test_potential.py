"""The potential network: its psi and mu on targets with known answers, in more dimensions than weighted samples can hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import ive
from scipy.stats import kstest
from torch import Tensor

from spacetime_tps.denoisers import potential, score_matching
from spacetime_tps.denoisers.mixture_trainer import MixtureTrainer
from spacetime_tps.denoisers.network import TrainedDenoiser
from spacetime_tps.denoisers.network import save as save_mixture
from spacetime_tps.denoisers.potential import PotentialNetwork
from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.registry import trainer_for
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.score_matching import STRETCH, WANDER, NetworkTrainer, beside, unseen
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.bessel import log_i0
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.product import ProductFamily
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises

FAMILIES: list[Family] = [VonMises(3), Cartesian(4), ProductFamily([VonMises(2), Cartesian(2), Cartesian(1)])]


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def points(family: Family, count: int, seed: int = 2) -> Tensor:
    """eta (count, E) of precisions about 7."""
    precision = 7.0 * torch.exp(0.2 * normal(count, family.levels, seed=seed))
    return family.natural(normal(count, len(family.angular), seed=seed + 1), family.level_of(precision))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
def test_noise_adds_to_eta_what_bayes_rule_says(family: Family) -> None:
    """log p_eta(x) + log N(y; T(x), 1/precision) is log p of eta plus the observation, but for what does not depend on x."""
    x, other = normal(200, len(family.angular)), normal(1, len(family.angular), seed=7)
    eta = points(family, 1)
    precision = family.precisions(points(family, 1, seed=11))
    noise = normal(1, family.dimension, seed=5)
    posterior = eta + family.noised(family.features(other), precision, noise)
    of_location = torch.zeros(family.dimension, dtype=torch.double)
    for entries, level in family.groups:
        of_location[list(entries)] = precision[0, level]
    y = family.features(other) + noise / of_location.clamp_min(1e-9).sqrt()
    apart = (family.features(x) - y)[:, list(family.locations)]
    likelihood = -0.5 * (of_location[list(family.locations)] * apart.square()).sum(-1)
    left, right = family.bias(eta, x)[0] + likelihood, family.bias(posterior, x)[0]
    assert float((left - right).std()) < 1e-9
    assert float(right.std()) > 1.0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
def test_groups_share_the_locations_out(family: Family) -> None:
    assert sorted(k for entries, _ in family.groups for k in entries) == sorted(family.locations)
    assert {level for _, level in family.groups} == set(range(family.levels)) == set(range(family.precisions(points(family, 1)).shape[-1]))
    squares = {entry for entry, _ in family.squares}
    assert squares | set(family.locations) == set(range(family.dimension))
    assert not squares & set(family.locations)
    t = family.features(normal(3, len(family.angular)))
    for entry, of in family.squares:
        torch.testing.assert_close(t[:, entry], t[:, list(of)].square().sum(-1))


def test_references_are_log_partitions() -> None:
    """Of free rotation, and of independent normal numbers: mean and variance of the exact posterior by their gradients."""
    eta = points(VonMises(1), 1)
    turn = torch.linspace(0.0, 2.0 * torch.pi, 2001, dtype=torch.double)[:-1, None]
    exact = torch.logsumexp(VonMises(1).bias(eta, turn)[0], dim=0) - np.log(len(turn))
    assert float(VonMises(1).reference(eta, torch.zeros(2), torch.ones(2))) == pytest.approx(float(exact))
    family, center, variance = Cartesian(2), torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double()
    eta = points(family, 1)
    grid = torch.linspace(-15.0, 15.0, 6001, dtype=torch.double)
    each = [
        torch.logsumexp(eta[0, k] * grid + eta[0, 2] * grid**2 - 0.5 * (grid - center[k]) ** 2 / variance[k], dim=0)
        - torch.logsumexp(-0.5 * (grid - center[k]) ** 2 / variance[k], dim=0)
        for k in range(2)
    ]
    assert float(family.reference(eta, center, variance)) == pytest.approx(float(sum(each)))


def network(family: Family) -> PotentialNetwork:
    size = len(family.locations)
    torch.manual_seed(3)
    made = PotentialNetwork(family, 0.1 * torch.ones(size), 0.5 * torch.ones(size), width=6, common=5, layers=2)
    for parameter in (made.last, made.last_together):
        torch.nn.init.normal_(parameter)
    return made.double().requires_grad_(False)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
def test_mu_is_the_gradient_of_psi_and_its_slope_is_symmetric(family: Family) -> None:
    model, eta, step = network(family), points(family, 3), 1e-5
    for k in range(family.dimension):
        moved = torch.zeros(family.dimension, dtype=torch.double)
        moved[k] = step
        slope = (model.moments(eta + moved).log_partition - model.moments(eta - moved).log_partition) / (2.0 * step)
        torch.testing.assert_close(slope, model.moments(eta).mean[:, k], atol=1e-6, rtol=1e-6)
    hessian = torch.autograd.functional.jacobian(lambda e: model.moments(e).mean, eta[0])
    torch.testing.assert_close(hessian, hessian.T, atol=1e-9, rtol=1e-9)
    assert float(hessian.abs().max()) > 1e-3
    assert not model.moments(eta).mean.requires_grad


def test_the_loss_weighs_each_error_by_what_it_varies_by() -> None:
    """By hand, of two displacements and the sum of their squares, whose error is taken about the data's center (0.1, 0.1)."""
    family = Cartesian(2)
    model, eta, features = network(family), points(family, 5), normal(5, 3, seed=21)
    mean, kappa = model.moments(eta).mean, family.precisions(eta)[:, 0]
    error = mean - features
    about = error[:, 2] - 2.0 * 0.1 * (error[:, 0] + error[:, 1])
    each = kappa * (error[:, 0] ** 2 + error[:, 1] ** 2) + about**2 / (2.0 * (4.0 * 0.5 / kappa + 2.0 / kappa**2))
    assert float(score_matching._loss(model, eta, features).detach()) == pytest.approx(float(each.mean()) / 2.0, rel=1e-6)


def test_it_comes_back_from_its_file_without_pickle(tmp_path: Path) -> None:
    family = FAMILIES[2]
    model, eta = network(family), points(family, 4)
    model.offset += 1.5
    potential.save(tmp_path / "denoiser.pt", model)
    again = potential.load(tmp_path / "denoiser.pt", family)
    torch.testing.assert_close(again.moments(eta), model.moments(eta), atol=0.0, rtol=0.0)
    with pytest.raises(SpacetimeError, match="is of 5 groups and 7 features, the coordinates have 3 and 6"):
        potential.load(tmp_path / "denoiser.pt", VonMises(3))
    with pytest.raises(SpacetimeError, match="is of 5 groups and 7 features, the coordinates have 5 and 5"):
        potential.load(tmp_path / "denoiser.pt", Cartesian(5))
    save_mixture(tmp_path / "mixture.pt", TrainedDenoiser(torch.ones(2, 4), torch.zeros(2)))
    with pytest.raises(SpacetimeError, match="holds no potential_network"):
        potential.load(tmp_path / "mixture.pt", VonMises(2))


# Independent wells: 0.6 N(-1, 0.3^2) + 0.4 N(1, 0.22^2) in each of D coordinates ---------------------------------------------------------

WEIGHT, CENTER, WIDTH = torch.tensor([0.6, 0.4]).double(), torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.3, 0.22]).double()


def posterior(center: Tensor, precision: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares, means and standard deviations (..., 2) of the two wells, seen through noise about centers (...)."""
    variance = WIDTH**2 + 1.0 / precision[..., None]
    share = torch.softmax(WEIGHT.log() - 0.5 * (center[..., None] - CENTER) ** 2 / variance - 0.5 * variance.log(), dim=-1)
    pull = WIDTH**2 / variance
    return share, CENTER + pull * (center[..., None] - CENTER), (pull / precision[..., None]).sqrt()


def drawn(center: Tensor, precision: Tensor, seed: int) -> Tensor:
    """x (...) from the posterior."""
    generator = torch.Generator().manual_seed(seed)
    share, mean, deviation = posterior(center, precision)
    well = (torch.rand(center.shape, generator=generator, dtype=torch.double) < share[..., 1]).long()[..., None]
    noise = torch.randn(center.shape, generator=generator, dtype=torch.double)
    return mean.gather(-1, well)[..., 0] + deviation.expand_as(mean).gather(-1, well)[..., 0] * noise


def wells(dimension: int, windows: int, each: int, precision: float = 20.0) -> tuple[Ensembles, Tensor]:
    """Windows on the straight line from one well to the other, and the line's centers."""
    family = Cartesian(dimension)
    center = torch.linspace(-1.0, 1.0, windows, dtype=torch.double)[:, None].expand(-1, dimension)
    eta = family.natural(center, torch.full((windows, 1), precision, dtype=torch.double).log())
    x = drawn(center.repeat_interleave(each, 0), torch.tensor(precision), 4)
    t = family.features(x)
    variance = WIDTH**2 + 1.0 / precision
    density = (WEIGHT.log() - 0.5 * (center[..., None] - CENTER) ** 2 / variance - 0.5 * (variance * precision).log()).logsumexp(-1)
    psi = (density + 0.5 * precision * center**2).sum(-1)
    weights = -torch.logsumexp(eta @ t.T - psi[:, None], dim=0)
    return Ensembles(WeightedSamples(t, weights), eta, torch.full((windows,), each)), psi


def test_in_ten_dimensions_it_holds_where_weighted_samples_do_not() -> None:
    """Off the line that it was trained along, the error of mu over the thermal spread: some 0.05 after four times as many steps."""
    dimension, family = 10, Cartesian(10)
    data, psi = wells(dimension, 20, 120)
    fitted = NetworkTrainer(DenoiserSettings(network_steps=250)).fit(data, family, data.eta, seed=1)
    s = torch.linspace(0.0, 1.0, 21, dtype=torch.double)[:, None]
    bent = -1.0 + 2.0 * s + 0.25 * torch.sin(torch.pi * s) * normal(1, dimension, seed=6)
    precision = torch.full((21, 1), 22.0, dtype=torch.double)
    share, mean, deviation = posterior(bent, precision)
    mu = (share * mean).sum(-1)
    spread = ((share * (deviation**2 + mean**2)).sum(-1) - mu**2).sum(-1).sqrt()
    eta = family.natural(bent, precision.log())
    errors = [float(((d.moments(eta).mean[:, :-1] - mu).norm(dim=-1) / spread).median()) for d in (fitted.denoiser, data.samples)]
    assert errors[0] < 0.3
    assert errors[0] < 0.7 * errors[1]
    known = fitted.denoiser.moments(data.eta).log_partition - psi
    assert float((known - known.mean()).abs().max()) < 2.5, "psi, kT, of some 90"
    told = fitted.record.unseen
    assert told is not None
    assert told.windows == 3
    assert told.denoiser < 4.0 * told.standard_error
    assert told.standard_error == pytest.approx(120**-0.5)


def test_it_does_not_matter_where_the_origin_is() -> None:
    """Distances are some 0.3 nm, positions anywhere: the same wells, shifted by 0.5 nm, are learned as well."""
    data, _ = wells(3, 12, 60)
    family, shift = Cartesian(3), 5.0
    x = data.samples.features[:, :3] + shift
    eta = data.eta.clone()
    eta[:, :3] -= 2.0 * eta[:, 3:] * shift
    moved = Ensembles(WeightedSamples(family.features(x), data.samples.log_weights), eta, data.counts)
    trainer = NetworkTrainer(DenoiserSettings(network_from=1, network_steps=150))
    here, there = (trainer.fit(d, family, d.eta, seed=1) for d in (data, moved))
    assert there.record.held_out_loss == pytest.approx(here.record.held_out_loss, rel=0.01)
    near, far = here.denoiser.moments(data.eta).mean[:, :3], there.denoiser.moments(eta).mean[:, :3] - shift
    assert float((near - far).abs().max()) < 0.02
    assert float((near - data.eta[:, :3] / 20.0).abs().max()) > 0.2, "and there is something to learn"


def test_a_fit_follows_from_its_seed_and_agrees_with_psi_of_the_samples_on_average() -> None:
    data, _ = wells(2, 8, 40)
    trainer, fits = NetworkTrainer(DenoiserSettings(network_from=1, network_steps=2, lessons=200)), []
    for before in (1, 2):
        torch.manual_seed(before)
        fits.append(trainer.fit(data, Cartesian(2), data.eta, seed=5))
        assert torch.initial_seed() == before
    assert fits[0].content == fits[1].content
    assert trainer.fit(data, Cartesian(2), data.eta, seed=6).content != fits[0].content
    model = fits[0].denoiser
    assert isinstance(model, PotentialNetwork)
    assert {(p.dtype, p.requires_grad) for p in model.parameters()} == {(torch.double, False)}
    seen = data.eta[~score_matching.held_out(data.eta)]
    off = data.samples.moments(seen).log_partition - model.moments(seen).log_partition
    assert float(off.mean()) == pytest.approx(0.0, abs=1e-9)
    assert float(off.abs().max()) > 1e-3


def test_noise_on_frames_is_log_uniform_and_narrower_on_plain_md() -> None:
    """Of a curve with precisions from 10 to 40: up to twice the highest, down to half the lowest for plain MD, to a hundredth for windows.
    Kolmogorov-Smirnov at 1e-4, fixed seed."""
    family = Cartesian(1)
    window = family.natural(torch.tensor([[3.0]]).double(), torch.tensor([[20.0]]).double().log())
    eta, features = torch.cat([torch.zeros_like(window), window]), family.features(torch.tensor([[0.0], [1.0]]).double())
    curve = family.natural(torch.zeros(3, 1).double(), torch.tensor([[10.0], [40.0], [25.0]]).double().log())
    drawn, at = score_matching._Lessons(family, features, eta, curve).draw(8000, torch.Generator().manual_seed(4))
    assert drawn.dtype == at.dtype == torch.float
    for frame, low in ((0, 5.0), (1, 0.1)):
        mine = at[:, 0] == frame
        assert 3800 < int(mine.sum()) < 4200
        added = drawn[mine].double() - eta[frame]
        precision = family.precisions(added)[:, 0]
        assert kstest((precision / low).log() / np.log(80.0 / low), "uniform").pvalue > 1e-4
        assert kstest((added[:, 0] - precision * frame) / precision.sqrt(), "norm").pvalue > 1e-4


def test_windows_are_held_out_or_there_is_no_training() -> None:
    data, _ = wells(2, 4, 40)
    trainer = NetworkTrainer(DenoiserSettings(network_from=1, network_steps=10))
    told = trainer.fit(data, Cartesian(2), data.eta, seed=1).record.unseen
    assert told is not None
    assert told.windows == 1
    few = Ensembles(WeightedSamples(data.samples.features[:80], data.samples.log_weights[:80]), data.eta[:2], data.counts[:2])
    with pytest.raises(ValueError, match="2 are too few to hold one out"):
        trainer.fit(few, Cartesian(2), few.eta, seed=1)


def test_the_judge_is_zero_for_the_windows_own_means_and_sees_a_shift() -> None:
    data, _ = wells(3, 10, 4000)
    held = torch.arange(10) == 4
    exact = WeightedSamples(data.samples.features, data.samples.log_weights)
    found = unseen(exact, data, held, Cartesian(3))
    assert found.denoiser < 0.03
    assert found.samples > 2.0 * found.denoiser, "it has lost the window"
    shifted = WeightedSamples(data.samples.features + torch.tensor([0.1, 0.0, 0.0, 0.0]), data.samples.log_weights)
    told = unseen(shifted, data, held, Cartesian(3))
    mine = data.samples.features[4 * 4000 : 5 * 4000, :3]
    assert told.denoiser == pytest.approx(0.1 / float(mine.var(0).sum().sqrt()), abs=0.04)


def test_it_serves_every_family_from_so_many_coordinates_on() -> None:
    trainer = NetworkTrainer(DenoiserSettings(network_from=4))
    assert [trainer.handles(f) for f in (VonMises(3), VonMises(4), Cartesian(4), FAMILIES[2])] == [False, True, True, True]
    assert not NetworkTrainer(DenoiserSettings(network_from=0)).handles(Cartesian(40))
    kinds = {
        NetworkTrainer: [VonMises(4), Cartesian(4)],
        MixtureTrainer: [VonMises(1), VonMises(3)],
        type(None): [Cartesian(3), FAMILIES[2]],
    }
    for kind, families in kinds.items():
        settings = DenoiserSettings(network_from=4 if kind is NetworkTrainer else 9)
        assert all(isinstance(trainer_for(family, settings), kind) for family in families)
    assert trainer_for(VonMises(2), DenoiserSettings(components=0, network_from=0)) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_points_beside_windows_have_moved_centers_and_precisions(family: Family) -> None:
    """By u times what `WANDER` and `STRETCH` say, u uniform up to one: u^2 is a third in the mean."""
    groups = len(family.groups)
    level = family.level_of(torch.tensor([30.0, 90.0, 45.0, 60.0, 20.0])[: family.levels].double())
    window = family.natural(0.1 * torch.arange(groups).double(), level)[None]
    eta = beside(family, window, 20_000, torch.Generator().manual_seed(5))
    precision, before = family.precisions(eta), family.precisions(window)
    width = before[:, [of for _, of in family.groups]].rsqrt()
    away = (family.center(eta) - family.center(window)) / width
    torch.testing.assert_close(away.square().mean(0), torch.full((groups,), WANDER**2 / 3.0).double(), rtol=0.06, atol=0.0)
    wider = (precision / before).log()
    torch.testing.assert_close(wider.square().mean(0), torch.full_like(wider[0], STRETCH**2 / 3.0), rtol=0.06, atol=0.0)
    assert float(away.mean(0).abs().max()) < 0.03


def test_beside_windows_on_a_slope_it_has_the_moments_of_the_landscape() -> None:
    """exp(30 cos x), and windows whose centers lie far from their frames: narrower noise on frames never reaches what is beside them."""
    family, steep = VonMises(2), torch.tensor([30.0, 0.0, 30.0, 0.0]).double()
    center = torch.stack([torch.linspace(0.0, 2.4, 16), torch.linspace(0.0, -2.0, 16)], dim=-1).double()
    eta = family.natural(center, torch.full_like(center, 40.0))

    def exact(eta: Tensor) -> tuple[Tensor, Tensor]:
        """psi (K,) and the mean of T (K, 4)."""
        both = (eta + steep).unflatten(-1, (2, 2))
        kappa = both.norm(dim=-1)
        bessel, ratio = log_i0(kappa)[0], torch.from_numpy(ive(1, kappa.numpy()) / ive(0, kappa.numpy()))
        return (bessel - log_i0(steep.new_tensor([30.0]))[0]).sum(-1), (ratio[..., None] * both / kappa[..., None]).flatten(-2)

    each, both = 150, (eta + steep).unflatten(-1, (2, 2))[:, None].expand(-1, 150, -1, -1).numpy()
    x = np.random.default_rng(3).vonmises(np.arctan2(both[..., 1], both[..., 0]), np.linalg.norm(both, axis=-1))
    t = family.features(torch.from_numpy(x).flatten(0, 1))
    data = Ensembles(WeightedSamples(t, -torch.logsumexp(eta @ t.T - exact(eta)[0][:, None], dim=0)), eta, torch.full((16,), each))
    fitted = NetworkTrainer(DenoiserSettings(network_from=1, network_steps=400, lessons=2000)).fit(data, family, eta, seed=1)
    moved = beside(family, eta[2:-2], 200, torch.Generator().manual_seed(9))
    truth = exact(moved)[1]
    spread = (2.0 - truth.unflatten(-1, (2, 2)).square().sum(-1).sum(-1)).sqrt()
    error = (fitted.denoiser.moments(moved).mean - truth).norm(dim=-1) / spread
    assert float(error.median()) < 0.072, "0.080 without what samples say beside the windows"
    assert float(error.quantile(0.9)) < 0.21
