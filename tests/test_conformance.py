"""One suite a protocol, over everything that is registered: window variables, trainers of denoisers, penalties, methods and stages.

Coordinates, conditions of states and storages have theirs in test_coordinates, test_states and test_storage.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from spacetime_tps import Memory, Problem, Simulation, run_stages
from spacetime_tps.denoisers.protocol import Ensembles, Trainer
from spacetime_tps.denoisers.registry import TRAINERS
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.penalties import PENALTIES, PenaltyInputs
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.exploration.settings import GeodesicSettings
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.geometry.penalties import Penalty
from spacetime_tps.methods.protocol import Method
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.progress import Silent
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.protocol import Stage
from spacetime_tps.stages.registry import STAGES
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable
from spacetime_tps.windows.registry import VARIABLES, variable_of

FAMILY = VonMises(2)
EXAMPLES: dict[str, Variable] = {"angle": Angle("psi", 4, 2, 3), "linear": Linear("way", (0.5, -1.0, 0.25, 2.0))}
"""One of each registered kind"""


def angles(count: int, seed: int = 3) -> torch.Tensor:
    return 2.0 * torch.pi * torch.rand((count, 2), dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def samples(count: int = 400) -> WeightedSamples:
    """Of exp(-U), by importance."""
    return samples_of(angles(count))


def samples_of(x: torch.Tensor) -> WeightedSamples:
    """With weights exp(-U), U = 1.5 cos(phi) + cos(2 psi - phi)."""
    return WeightedSamples(FAMILY.features(x), -(1.5 * torch.cos(x[:, 0]) + torch.cos(2.0 * x[:, 1] - x[:, 0])))


def curve(points: int = 12, kappa: float = 6.0) -> torch.Tensor:
    s = torch.linspace(0.0, 1.0, points, dtype=torch.double)[:, None]
    return FAMILY.natural(torch.tensor([-2.0, 1.0]) + s * torch.tensor([2.5, -1.0]), FAMILY.level_of(torch.full((points, 2), kappa)))


def ensembles(each: int = 200) -> Ensembles:
    """Frames of exp(-U) and of six windows along a curve of twice the width, drawn exactly, with the weights that MBAR would give them."""
    dense, path = angles(40_000, seed=8), curve(6, kappa=3.0)
    eta = torch.cat([torch.zeros(1, 4, dtype=torch.double), path])
    log_density = samples_of(dense).log_weights + eta @ FAMILY.features(dense).T
    psi = torch.logsumexp(log_density, dim=1)
    rows = torch.multinomial((log_density - psi[:, None]).exp(), each, replacement=True, generator=torch.Generator().manual_seed(9))
    t = FAMILY.features(dense[rows.flatten()])
    return Ensembles(WeightedSamples(t, -torch.logsumexp(eta @ t.T - psi[:, None], dim=0)), eta, torch.full((7,), each))


# ---- window variables


def test_every_registered_variable_has_an_example() -> None:
    assert set(EXAMPLES) == set(VARIABLES)


@pytest.fixture(params=sorted(VARIABLES))
def variable(request: pytest.FixtureRequest) -> Variable:
    return EXAMPLES[request.param]


def test_a_variable_comes_back_from_plain_data_and_is_a_key(variable: Variable) -> None:
    again = variable_of(json.loads(json.dumps(variable.to_json())))
    assert again == variable
    assert hash(again) == hash(variable)


def test_the_slope_is_the_gradient_of_the_log_factor(variable: Variable) -> None:
    t = FAMILY.features(angles(5)).numpy()
    slope = variable.slope(t, 0.4, 7.0)
    assert slope.shape == t.shape
    for k in range(t.shape[1]):
        step = np.zeros(4)
        step[k] = 1e-6
        rise = variable.log_factor(t + step, 0.4, 7.0) - variable.log_factor(t - step, 0.4, 7.0)
        np.testing.assert_allclose(slope[:, k], rise / 2e-6, atol=1e-6)


def test_the_log_factor_is_highest_where_the_variable_is_at_the_center(variable: Variable) -> None:
    t = FAMILY.features(angles(4000)).numpy()
    values = variable.value(t)
    assert values.shape == (4000,)
    center = float(np.median(values))
    apart = values - center
    if variable.period is not None:
        assert np.ptp(values) <= variable.period
        apart = (apart + 0.5 * variable.period) % variable.period - 0.5 * variable.period
    factor = variable.log_factor(t, center, 50.0)
    order = np.argsort(np.abs(apart))
    assert (np.diff(factor[order]) <= 1e-9).all()
    # a narrow window is a Gaussian of variance one over its stiffness
    near = np.abs(apart) < 0.05
    np.testing.assert_allclose(factor[near] - factor.max(), -25.0 * apart[near] ** 2, atol=25.0 * 0.05**4 + 25.0 * np.abs(apart).min() ** 2)


def test_mean_and_variance_are_those_of_the_values(variable: Variable) -> None:
    x = torch.tensor([1.0, 3.0], dtype=torch.double) + 0.05 * torch.randn(
        (4000, 2), dtype=torch.double, generator=torch.Generator().manual_seed(1)
    )
    t = FAMILY.features(x).numpy()
    mean, variance = variable.mean(t)
    values = variable.value(t)
    if variable.period is not None:
        values = mean + (values - mean + 0.5 * variable.period) % variable.period - 0.5 * variable.period
    assert mean == pytest.approx(values.mean(), abs=1e-3)
    assert variance == pytest.approx(values.var(), rel=0.02)


def test_embedded_in_a_longer_statistic_it_is_the_same_scalar(variable: Variable) -> None:
    t = FAMILY.features(angles(6)).numpy()
    longer = np.concatenate([np.full((6, 3), 9.0), t, np.full((6, 2), -4.0)], axis=1)
    put = variable.embedded(3, 9)
    np.testing.assert_array_equal(put.value(longer), variable.value(t))
    np.testing.assert_array_equal(put.slope(longer, 0.1, 2.0)[:, 3:7], variable.slope(t, 0.1, 2.0))
    assert (np.delete(put.slope(longer, 0.1, 2.0), range(3, 7), axis=1) == 0.0).all()
    assert all(len(row) == 9 for row in put.functionals)


# ---- denoisers


@pytest.fixture(params=TRAINERS, ids=lambda make: make.__name__)
def trainer(request: pytest.FixtureRequest) -> Trainer:
    made: Trainer = request.param(DenoiserSettings(components=16, lessons=800, steps=150, network_from=1, network_steps=150))
    return made


def test_a_trained_denoiser_is_the_gradient_of_a_convex_function_near_its_samples(trainer: Trainer) -> None:
    assert trainer.handles(FAMILY)
    data, path, exact = ensembles(), curve(), samples_of(angles(40_000, seed=8))
    fitted = trainer.fit(data, FAMILY, path, seed=5)
    eta = path.clone().requires_grad_(True)
    moments = fitted.denoiser.moments(eta)
    (gradient,) = torch.autograd.grad(moments.log_partition.sum(), eta)
    torch.testing.assert_close(gradient, moments.mean.detach(), atol=1e-6, rtol=1e-6)
    assert ((path[1:] - path[:-1]) * (moments.mean[1:] - moments.mean[:-1])).sum(-1).min() >= 0.0
    truth = exact.moments(path)
    # mu lies within the unit square of cosines and sines; a sixth of it is what 150 steps of training leave at most
    assert float((moments.mean.detach() - truth.mean).abs().max()) < 0.33
    assert float((moments.log_partition.detach() - truth.log_partition).abs().max()) < 0.5, "kT, relative to the Boltzmann distribution"
    assert fitted.record.held_out_loss == fitted.record.curve[-1][2] > 0.0


def test_training_follows_from_its_seed_and_its_file_holds_no_objects(trainer: Trainer) -> None:
    first, again, other = (trainer.fit(ensembles(), FAMILY, curve(), seed=seed) for seed in (5, 5, 6))
    assert first.content == again.content
    assert first.content != other.content
    assert "kind" in torch.load(io.BytesIO(first.content), weights_only=True)


# ---- penalties


@pytest.fixture(params=range(len(PENALTIES)))
def penalty(request: pytest.FixtureRequest) -> Callable[..., Penalty]:
    def made(unit: float = 10.0, floor: float = 20.0) -> Penalty:
        return PENALTIES[request.param](PenaltyInputs(FAMILY, GeodesicSettings(min_effective_samples=150.0), unit, floor, 1.01))

    return made


def poor() -> tuple[torch.Tensor, WeightedSamples]:
    """A curve that every penalty of a run has something against: noise below the floor, a barrier, two basins at once, few samples."""
    data = samples(120)
    return curve(kappa=4.0), data


def test_a_penalty_acts_where_it_should_and_in_units_of_the_straight_curve(penalty: Callable[..., Penalty]) -> None:
    eta, data = poor()
    moments = data.moments(eta)
    value = penalty()(eta, moments)
    assert value.shape == ()
    assert float(value) > 0.0
    assert float(penalty(20.0)(eta, moments)) == pytest.approx(2.0 * float(value), rel=1e-9)


def test_a_penaltys_gradient_is_that_of_finite_differences(penalty: Callable[..., Penalty]) -> None:
    eta, data = poor()
    made = penalty()

    def value(at: torch.Tensor) -> torch.Tensor:
        return made(at, data.moments(at))

    direction = torch.randn(eta.shape, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    direction[0] = direction[-1] = 0.0  # a penalty may take the fixed ends for constant
    variable = eta.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(value(variable), variable)
    h = 1e-5
    rise = float(value(eta + h * direction) - value(eta - h * direction)) / (2.0 * h)
    assert float((gradient * direction).sum()) == pytest.approx(rise, rel=1e-4, abs=1e-8)


def test_a_penalty_does_not_grow_with_the_number_of_points(penalty: Callable[..., Penalty]) -> None:
    _, data = poor()
    few, many = (float(penalty()(eta, data.moments(eta))) for eta in (curve(24, 4.0), curve(96, 4.0)))
    assert many == pytest.approx(few, rel=0.1)


def test_every_penalty_is_finite_where_nothing_is_wrong(penalty: Callable[..., Penalty]) -> None:
    eta = curve(kappa=60.0)
    free = Moments(torch.zeros(12, dtype=torch.double), torch.zeros_like(eta), torch.full((12,), torch.inf, dtype=torch.double))
    assert torch.isfinite(penalty()(eta, free))


# ---- methods and stages


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method(request: pytest.FixtureRequest) -> Method:
    made: Method = request.param
    return made


def some_curve(problem: Problem) -> Curve:
    """The second way round of alanine dipeptide, with a frame in A and one in B to start from."""
    precision = np.full((24, 2), 30.0)
    route = lines.straight_routes(problem.coordinates, *problem.ends, precision, 4)[1]
    x = np.stack([problem.start.positions, problem.end.positions]).astype(np.float32)
    return Curve(
        route.name,
        route.eta,
        np.zeros(24),
        x,
        np.zeros_like(x),
        problem.coordinates.features(x),
        np.zeros(2),
        np.zeros((1, 4)),
        np.array([2]),
    )


def test_names_are_told_apart() -> None:
    for registered in (METHODS, STAGES):
        names = [entry.name for entry in registered]
        assert len(set(names)) == len(names)


def test_how_many_paths_are_asked_for_changes_no_path(method: Method) -> None:
    few, many = (parse_settings([f"{key}={n}" for key in ("guided.paths", "steered.paths", "reverse")]) for n in (1, 7))
    assert method.asked(few) < method.asked(many)
    assert method.made_from(few) == method.made_from(many)
    assert json.loads(json.dumps(method.made_from(few))) == method.made_from(few)
    assert method.asked(parse_settings(["guided.paths=0", "steered.paths=0"])) == 0


def test_a_methods_paths_start_where_they_should_and_cost_what_it_says(method: Method, alanine: Problem) -> None:
    settings = parse_settings(["guided.points=5"])
    found = method.along(alanine, [some_curve(alanine)])
    assert len({c.route for c in found}) == len(found) >= 1
    here, there = alanine.ends
    family = alanine.coordinates.family()
    with Simulation(alanine.model, processes=1) as simulation:
        for along in found:
            centers = lines.centers(along.eta, family)
            np.testing.assert_allclose(np.cos(centers[[0, -1]]), np.cos([here, there]), atol=1e-9)
            paths = list(method.paths(alanine, simulation, along, settings, [3, 5]))
            assert [p.seed for p in paths] == [3, 5]
            for path in paths:
                assert path.frames.evaluations == method.steps(settings)
                assert path.eta.shape == (len(path.frames), 4)
                assert (alanine.b if method.mirror_of else alanine.a).contains(path.frames.positions[0])
                np.testing.assert_allclose(path.eta[[0, -1]], along.eta[[-1, 0] if method.mirror_of else [0, -1]], atol=1e-9)
            again = next(iter(method.paths(alanine, simulation, along, settings, [3])))
            np.testing.assert_array_equal(again.frames.positions, paths[0].frames.positions)


@pytest.fixture(params=STAGES, ids=lambda stage: stage.name)
def stage(request: pytest.FixtureRequest) -> Stage:
    made: Stage = request.param
    return made


def test_a_stage_needs_only_what_runs_before_it_and_depends_on_plain_data(stage: Stage, alanine: Problem) -> None:
    before = [s.name for s in STAGES[: [s.name for s in STAGES].index(stage.name)]]
    assert set(stage.needs) <= set(before)
    settings = Settings()
    assert json.loads(json.dumps(stage.made_from(settings))) is not None
    what, evaluations = stage.cost(alanine, settings)
    assert what
    assert evaluations >= 0


class Counting(Silent):
    """Adds up the evaluations of all tasks."""

    def __init__(self) -> None:
        self.done = 0

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        def advance(done: int) -> None:
            self.done += done

        yield advance


SMALL = parse_settings([
    "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500", "windows.count=16",
    "windows.steps=900", "windows.discard=300", "rounds.min_rounds=1", "rounds.max_rounds=1", "rounds.quenches=0", "rounds.max_routes=4",
    "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=2", "guided.points=47", "steered.paths=1",
    "reverse=2",
    "denoiser.components=0", "unbiased.paths=5", "unbiased.walkers=4", "unbiased.equilibration=600", "unbiased.points=4",
    "unbiased.rung_steps=600", "unbiased.states=2", "unbiased.state_shots=2",
])  # fmt: skip


def test_values_come_back_from_storage_without_a_single_step(alanine: Problem) -> None:
    storage, progress = Memory(), Counting()
    with Simulation(alanine.model, processes=1, storage=storage, progress=progress) as simulation:
        values = run_stages(alanine, simulation, SMALL)
        spent = progress.done
    assert spent > 0
    with Simulation(alanine.model, processes=1, storage=storage, progress=progress) as simulation:
        again = run_stages(alanine, simulation, SMALL)
    assert progress.done == spent
    assert list(again) == list(values) == [s.name for s in STAGES]
    for name in (m.name for m in METHODS):
        assert again[name] == values[name]
        assert len(values[name]) > 0
    sampled, read = values["exploration"], again["exploration"]
    assert read.record == sampled.record
    assert read.denoiser == sampled.denoiser != b""
    for before, after in zip(sampled.curves, read.curves, strict=True):
        np.testing.assert_array_equal(after.eta, before.eta)
        np.testing.assert_array_equal(after.positions, before.positions)
        np.testing.assert_array_equal(after.log_weight, before.log_weight)
    assert again["unbiased"].record == values["unbiased"].record
    assert [r.weight for r in again["unbiased"].rows] == pytest.approx([r.weight for r in values["unbiased"].rows])
    assert again["unbiased"].walker.tolist() == values["unbiased"].walker.tolist()
