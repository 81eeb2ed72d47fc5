"""The whole shooting estimator on a circle, where rates, shares of the two ways round and durations are integrals.

Every figure is compared with its exact value, so that a weight, a free energy, a number of shots or an error left out shows. Tolerances are
three standard errors, of bootstrap draws of whole walks of a batch: one figure in 300 fails by chance, and seeds are fixed.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from spacetime_tps.engines.surface.dynamics import Overdamped
from spacetime_tps.engines.surface.frames import route_frames
from spacetime_tps.engines.surface.shooting import SurfaceShooting
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.sampling.bootstrap import resampled
from spacetime_tps.shooting import budget
from spacetime_tps.shooting.allocation import LEAST, behind, neediest
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.free_energies import FreeEnergies
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.shooting.selection import sites_of
from spacetime_tps.shooting.settings import ShootingSettings
from spacetime_tps.shooting.sites import Site
from spacetime_tps.shooting.weights import Estimate, weighted_mean, weighted_statistic
from spacetime_tps.surfaces.states import Discs
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

FAMILY = VonMises(1)
PHI = Angle("phi", 2, 0, 1)
DS = 2e-3
RADIUS = 0.7
DRAWS = 300


@dataclass(frozen=True)
class Circle:
    """U = 2.5 cos 2 phi + tilt cos phi + skew sin 4 phi, kT = 1: wells near -90 (A) and 90 degrees (B), tops near 0 and 180."""

    tilt: float
    skew: float = 0.0
    dimension = 1

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        x = x[..., 0]
        return 2.5 * torch.cos(2 * x) + self.tilt * torch.cos(x) + self.skew * torch.sin(4 * x)

    def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        at = x[..., :1]
        return self.energy(x), -5.0 * torch.sin(2 * at) - self.tilt * torch.sin(at) + 4.0 * self.skew * torch.cos(4 * at)

    def boltzmann(self, x: np.ndarray) -> np.ndarray:
        """exp(-U) (n,)."""
        return np.exp(-self.energy(torch.from_numpy(x)[:, None]).numpy())


A, B = (Discs(((c,),), RADIUS, True) for c in (-0.5 * math.pi, 0.5 * math.pi))  # type: ignore[arg-type]
OVER = np.linspace(-0.5 * math.pi, 0.5 * math.pi, 61)
WAYS = {"over": OVER, "behind": -math.pi - OVER}
"""From A over 0, and from A over 180 degrees"""


@dataclass(frozen=True)
class Exact:
    """Of paths from A to B one way round, per step at equilibrium and relative to the population of A."""

    rate: float
    frames: float
    """Mean number between the states"""


def exact(circle: Circle, way: str) -> Exact:
    """q' is proportional to exp(U), the flux ds/2 exp(-U) q' / Z, and reactive frames have the density exp(-U) q (1 - q) / Z.

    A path is looked at once a step, as if the border of a state lay 0.5826 sqrt(ds) further in (Siegmund 1979).
    """
    inside = RADIUS - 0.5826 * math.sqrt(DS)
    x = np.linspace(-0.5 * math.pi + inside, 0.5 * math.pi - inside, 20_001)
    x = x if way == "over" else x + math.pi
    weight, step = circle.boltzmann(x), x[1] - x[0]
    q = np.concatenate([[0.0], np.cumsum(0.5 * (1 / weight[1:] + 1 / weight[:-1]))]) * step
    in_a = np.linspace(-0.5 * math.pi - RADIUS, -0.5 * math.pi + RADIUS, 20_001)
    population = circle.boltzmann(in_a).mean() * 2 * RADIUS
    rate = 0.5 * DS / q[-1] / population
    q /= q[-1]
    seen = np.abs(np.abs((x + 0.5 * math.pi) % (2 * math.pi) - math.pi) - math.pi) > RADIUS  # of A
    seen &= np.abs((x - 0.5 * math.pi + math.pi) % (2 * math.pi) - math.pi) > RADIUS
    return Exact(rate, float((weight * q * (1 - q))[seen].sum() * step / population / rate))


def psi(circle: Circle, window: Window) -> float:
    """Of a window relative to A, by quadrature."""
    x = np.linspace(-math.pi, math.pi, 40_000, endpoint=False)
    in_a = np.abs(x + 0.5 * math.pi) < RADIUS
    features = FAMILY.features(torch.from_numpy(x)[:, None]).numpy()
    weight = circle.boltzmann(x)
    return float(np.log((weight * np.exp(window.log_factor(features))).sum() / weight[in_a].sum()))


def settings(**changes: int) -> ShootingSettings:
    base = {
        "paths": 300, "budget": 10_000_000, "stiffness": 30.0, "walkers": 20, "points": 8, "gap": 40, "shots": 1, "equilibration": 100,
        "rung_steps": 240, "pilot_shots": 2, "states": 0,
    }  # fmt: skip
    return ShootingSettings.model_validate(base | changes)


def routes(circle: Circle, *ways: str) -> list[RouteFrames[np.ndarray]]:
    """Ways round, with a grid as weighted frames."""
    x = torch.linspace(-math.pi, math.pi, 4001, dtype=torch.double)[:-1, None]
    found = []
    for way in ways:
        center = torch.from_numpy(WAYS[way])[:, None]
        eta = FAMILY.natural(center, torch.full_like(center, 20.0))
        found.append(route_frames(way, eta, circle.energy(center), x, -circle.energy(x), FAMILY, A, seed=2))
    return found


def sampler_on(circle: Circle, o: ShootingSettings, *, seed: int = 1, rates: bool = True) -> ShotSampler[np.ndarray]:
    engine = SurfaceShooting(Overdamped(circle, 1.0, DS), FAMILY, A, B, o, seed=seed, longest=50_000)
    return ShotSampler(engine, o, seed=seed, rates=rates)


def sampled(circle: Circle, o: ShootingSettings, *ways: str, seed: int = 1) -> Ensemble:
    return sampler_on(circle, o, seed=seed).sample(routes(circle, *ways), (PHI,))


def multiplicities(sites: list[Site[np.ndarray]], errors: list[float], seed: int = 3) -> np.ndarray:
    """Bootstrap multiplicities (draws, paths) of whole walks of a batch, each site's times a factor with the error of its ladder."""
    batches = [b for s in sites for b in s.batches]
    first = np.cumsum([0, *(int(b.walk.max()) + 1 for b in batches)])
    cluster = np.concatenate([b.point_walk[b.shot_point[b.path_shot]] + n for b, n in zip(batches, first[:-1], strict=True)])
    rng = np.random.default_rng(seed)
    site_of = np.repeat(np.arange(len(sites)), [s.paths for s in sites])
    ladder = np.exp(rng.normal(size=(DRAWS, len(sites))) * np.nan_to_num(errors))
    return resampled(np.arange(first[-1]), draws=DRAWS, rng=rng)[:, cluster] * ladder[:, site_of]


def rate(weight: np.ndarray, times: np.ndarray) -> Estimate:
    """Paths from A to B per step, relative to A: half of all that begin."""
    return weighted_statistic(lambda w: float(w.sum()) / 2.0, weight, times)


def frames(sites: list[Site[np.ndarray]]) -> np.ndarray:
    """(paths,) between the states."""
    return np.concatenate([b.path_points for s in sites for b in s.batches]).astype(float)


def close(found: Estimate, value: float, *, within: float) -> None:
    """The estimate agrees, and is good enough for that to mean something."""
    assert abs(found.value - value) < 3.0 * found.error, (found, value)
    assert found.error < within * value, (found, value)


@pytest.fixture(scope="module")
def both() -> Ensemble:
    """Two ways round, the barrier of one 1 kT above the other's."""
    return sampled(Circle(0.5), settings(paths=700, budget=1_300_000), "behind", "over")


def test_rate_and_duration_of_one_way_are_the_exact_ones() -> None:
    # Weights of one, psi of zero, and one shot a window are each off by orders of magnitude in the rate.
    circle = Circle(-2.0)  # shots from the top over 0 never see the way behind, 4 kT higher
    found = sampled(circle, settings(), "over")
    assert found.enough
    assert found.ladder_evaluations > 0
    times, truth = multiplicities(found.sites, found.ladder_error), exact(circle, "over")
    close(rate(found.weight, times), truth.rate, within=0.2)
    close(weighted_mean(frames(found.sites), found.weight, times), truth.frames, within=0.05)
    assert weighted_mean(frames(found.sites), np.ones(len(found.weight)), times).value > 1.1 * truth.frames


def test_shares_of_two_ways_and_the_rate_over_both_are_the_exact_ones(both: Ensemble) -> None:
    circle = Circle(0.5)
    truth = {way: exact(circle, way).rate for way in WAYS}
    total = sum(truth.values())
    times = multiplicities(both.sites, both.ladder_error)
    assert [s.crossing.route for s in both.sites] == ["behind", "over"]
    assert all(0.0 < error < 0.3 for error in both.ladder_error)
    first = np.arange(len(both.weight)) < both.sites[0].paths
    close(weighted_mean(first, both.weight, times), truth["behind"] / total, within=0.15)
    close(rate(both.weight, times), total, within=0.2)


def test_batches_beyond_the_least_go_where_a_shot_lowers_the_error_most(both: Ensemble) -> None:
    # The way behind carries 0.73 of the flux. With n_k shots of like windows sum w^2 is sum_k c_k^2 / n_k, and needs are even where n_k
    # goes with the flux c_k over the root of a shot's cost, which is the same. To the other site they would go without end.
    assert both.enough
    easy, hard = both.sites
    assert sum(not b.pilot for b in hard.batches) >= LEAST
    assert sum(not b.pilot for b in easy.batches) > LEAST
    assert easy.shots > hard.shots


@pytest.mark.parametrize(("squares", "shots"), [((4.0, 1.0), (100, 100)), ((4.0, 1.0), (1000, 100)), ((1.0, 1.0), (50, 60))])
def test_the_neediest_site_is_the_one_whose_shots_lower_the_sum_of_squares_most(
    both: Ensemble, squares: tuple[float, float], shots: tuple[int, int]
) -> None:
    # Ten more shots at a site with n turn its sum of squares S into S n / (n + 10).
    batch = both.sites[0].batches[0]

    def made(n: int) -> Batch:
        """Seven evaluations a shot, three of the walk it is from."""
        taken = np.full(n, 7)
        return replace(batch, path_shot=np.array([0]), shot_point=np.zeros(n, dtype=int), shot_evaluations=taken, walk_evaluations=3 * n)

    sites = [Site(both.sites[0].crossing, both.sites[0].frames, 0.0, [made(n)]) for n in shots]
    left = [sum(s * n / (n + 10.0 * (k == to)) for k, (s, n) in enumerate(zip(squares, shots, strict=True))) for to in (0, 1)]
    assert neediest(sites, np.sqrt(np.array(squares))) == int(np.argmin(left))


def test_errors_of_ladders_are_what_free_energies_scatter_by() -> None:
    # Psi of the top window relative to A against quadrature, eight ladders of their own seeds. The root mean square of eight normal z
    # lies between 0.48 and 1.57 in 98 of 100 cases; errors are bootstrap ones over twenty walks, good to a fifth.
    circle, z = Circle(0.5), []
    for seed in range(8):
        o = settings(walkers=12)
        sampler = sampler_on(circle, o, seed=seed)
        (site,), _ = sites_of(routes(circle, "over"), (PHI,), stiffness=o.stiffness, margin_kT=o.margin_kT)
        sampler.one_batch(0, site, site.crossing.window, pilot=True)
        free = FreeEnergies(sampler.engine, o, seed=seed, rates=True)
        error = free.error(0, site, linked=True, rng=np.random.default_rng(seed))
        assert 0.0 < error < 0.5
        z.append((free.psi(0, site, linked=True)[-1] - psi(circle, site.latest)) / error)
    assert 0.4 < np.sqrt(np.mean(np.square(z))) < 1.8


def test_without_a_ladder_windows_are_weighed_against_each_other() -> None:
    # A skewed top, many shots from a window on its flank and few from another: where psi or the numbers of shots are left out, the
    # mean number of frames is off by more than five standard errors.
    circle, o = Circle(-2.0, skew=0.6), settings(walkers=40)
    sampler = sampler_on(circle, o, rates=False)
    (site,), _ = sites_of(routes(circle, "over"), (PHI,), stiffness=o.stiffness, margin_kT=o.margin_kT)
    for center, stiffness, count in ((-0.45, 30.0, 6), (0.35, 60.0, 2)):
        for _ in range(count):
            sampler.one_batch(0, site, Window(PHI, center, stiffness), pilot=False)
    weight = sampler.weights([site])
    times, truth = multiplicities([site], [0.0]), exact(circle, "over")
    close(weighted_mean(frames([site]), weight, times), truth.frames, within=0.05)
    found = sampler.free_energies.psi(0, site, linked=False)
    high, low = (psi(circle, w) for w in site.windows)
    assert found[1] - found[0] == pytest.approx(low - high, abs=0.15)
    assert sampler.free_energies.evaluations == 0


def test_a_budget_is_kept_and_used() -> None:
    # What a batch costs is known within its statistical margin: so much is not left over, and the wanted number is reached where the
    # budget holds it.
    circle = Circle(-2.0)
    enough = sampled(circle, settings(paths=100), "over")
    assert enough.enough
    for limit in (enough.evaluations, 2 * enough.evaluations):
        found = sampled(circle, settings(paths=10**6, budget=limit, states=4, state_shots=10), "over")
        assert not found.enough
        assert 0.6 * limit < found.evaluations <= limit
    assert sampled(circle, settings(paths=100, budget=2 * enough.evaluations), "over").enough


def test_costs_are_those_of_the_next_batch() -> None:
    # Ten batches of known cost: hardly any takes more than was estimated, and the estimate is not twice what they take.
    circle, o = Circle(-2.0), settings()
    sampler = sampler_on(circle, o, rates=False)
    (site,), _ = sites_of(routes(circle, "over"), (PHI,), stiffness=o.stiffness, margin_kT=o.margin_kT)
    window = site.crossing.window
    sampler.one_batch(0, site, window, pilot=False)
    guess, taken = [], []
    for _ in range(10):
        guess.append(budget.batch_cost([site], o, points=o.points))
        sampler.one_batch(0, site, window, pilot=False)
        taken.append(site.batches[-1].evaluations + site.batches[-1].walk_evaluations)
    assert (np.array(taken) <= guess).all()
    assert np.mean(guess) < 1.6 * np.mean(taken)
    known = site.batches[-1].shot_evaluations
    count = budget.affordable(20 * known.mean(), known, 100)
    assert 0 < count < 20
    assert budget.shots_cost(count, known) <= 20 * known.mean() < budget.shots_cost(count + 1, known)
    assert budget.affordable(1e9, known, 100) == 100


def test_evaluations_are_those_of_the_surface() -> None:
    @dataclass(frozen=True)
    class Counting(Circle):
        count: ClassVar[list[int]] = [0]

        def energy_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            self.count[0] += len(x)
            return super().energy_and_gradient(x)

    circle = Counting(-6.0)
    found = sampled(circle, settings(paths=20), "over")
    assert found.evaluations == circle.count[0]


def test_one_seed_gives_the_same_weights_and_another_does_not() -> None:
    first, again, other = (sampled(Circle(-2.0), settings(paths=20), "over", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weight, again.weight)
    assert not np.array_equal(first.weight[:5], other.weight[:5])


def test_sites_that_nothing_links_to_a_are_a_sentence() -> None:
    # No frames in A to meet: with two sites there is no share to tell.
    circle, o = Circle(0.5), settings(paths=10)
    none = [replace(r, plain=r.plain[:10]) for r in routes(circle, "behind", "over")]
    with pytest.raises(SpacetimeError, match="at behind is not known: no ladder of windows leads from there down to A"):
        sampler_on(circle, o).sample(none, (PHI,))


def test_minor_ways_get_the_least_number_of_batches_first(both: Ensemble) -> None:
    easy, hard = both.sites
    share = np.arange(len(both.weight)) < easy.paths
    assert behind([easy, hard], both.weight) is None
    few = Site(hard.crossing, hard.frames, hard.log_population, [*hard.pilots, *[b for b in hard.batches if not b.pilot][: LEAST - 1]])
    assert behind([easy, few], np.concatenate([both.weight[share], np.ones(few.paths)])) == 1, "its weights made the larger"
