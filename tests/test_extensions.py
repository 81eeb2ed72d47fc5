"""What CONTRIBUTING promises: a window variable, denoiser, penalty, method and stage from outside the package, each in one small class.

Coordinates and conditions of states have theirs in test_coordinates and test_states. All run on a real molecule without a folder, as they
would in a notebook.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from spacetime_tps import Memory, Problem, Settings, Simulation, run_stages, summarise
from spacetime_tps.denoisers import registry as trainers
from spacetime_tps.denoisers.protocol import Fitted
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import Trained
from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Walk
from spacetime_tps.exploration import penalties
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families import Family, VonMises
from spacetime_tps.methods.driving import Driven, drive
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.paths import Paths
from spacetime_tps.stages.protocol import Given
from spacetime_tps.stages.settings import parse_settings
from spacetime_tps.windows import registry as variables
from spacetime_tps.windows.window import Window

SMALL = parse_settings([
    "workers=1", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=10", "windows.steps=600", "windows.discard=200", "windows.stride=20", "rounds.min_rounds=1", "rounds.max_rounds=1",
    "rounds.quenches=0", "rounds.max_routes=2", "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=2",
    "guided.points=47", "denoiser.lessons=300", "denoiser.steps=60", "geodesic.min_effective_samples=2",
    "geodesic.steepest=10",
])  # fmt: skip


@dataclass(frozen=True)
class Pull:
    """A window that pulls along one entry of T, without a minimum: log factor = stiffness * (T_k - center)."""

    index: int
    dimension: int
    name: str = "pull"
    kind: str = "pull"
    period: float | None = None
    energy: str = "-stiffness*(f0-center)"

    @property
    def functionals(self) -> tuple[tuple[float, ...], ...]:
        return (tuple(float(k == self.index) for k in range(self.dimension)),)

    def value(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features[..., self.index])

    def log_factor(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        return stiffness * (self.value(features) - center)

    def slope(self, features: np.ndarray, center: float, stiffness: float) -> np.ndarray:
        return np.full(features.shape, stiffness * np.array(self.functionals[0]))

    def mean(self, features: np.ndarray) -> tuple[float, float]:
        return float(self.value(features).mean()), float(self.value(features).var())

    def embedded(self, first: int, dimension: int) -> "Pull":
        return Pull(self.index + first, dimension)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "index": self.index, "dimension": self.dimension}


def test_a_window_variable_from_outside(alanine: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(variables.VARIABLES, "pull", lambda data: Pull(data["index"], data["dimension"]))
    pull = Pull(0, 4)
    assert variables.variable_of(pull.to_json()) == pull
    window = Window(pull, 0.0, 30.0)
    walk = Walk(
        WindowBias(alanine.coordinates, pull), np.array([[window.center, window.stiffness]]), 4000, 25, 3, alanine.start.positions,
        discard=1000,
    )  # fmt: skip
    frames = Dynamics(alanine.model, walk.bias).walk(walk)
    # 30 kT per unit of cos(phi) leave a spread of about 1/30: the walk ends with phi near zero, wherever it began
    assert pull.value(alanine.coordinates.features(frames.positions[-40:])).mean() > 0.8


@dataclass(frozen=True)
class Remembers:
    """The samples themselves, with a note of every point that they were asked about."""

    samples: WeightedSamples
    asked: list[Tensor]

    def moments(self, eta: Tensor) -> Moments:
        self.asked.append(eta.detach())
        return self.samples.moments(eta)


ASKED: list[Tensor] = []


@dataclass(frozen=True)
class Flat:
    """Trains nothing."""

    settings: DenoiserSettings

    def handles(self, family: Family) -> bool:
        return isinstance(family, VonMises)

    def fit(self, samples: WeightedSamples, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        return Fitted(Remembers(samples, ASKED), b"flat", Trained([(1, 0.5, 0.25)], 0.25))


class Counts:
    """A penalty of no effect that knows how often it was asked."""

    asked = 0

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        Counts.asked += 1
        return 0.0 * eta.sum()


def floor_of(setting: penalties.PenaltyInputs) -> Counts:
    assert setting.floor == SMALL.geodesic.floor
    assert setting.unit > 0.0
    return Counts()


class Slow:
    """A method: the geodesic, held at each point twice as long."""

    name = "slow"
    baseline = False

    def asked(self, settings: MethodSettings) -> int:
        return 1

    def made_from(self, settings: MethodSettings) -> Any:
        return settings.guided.model_dump()

    def along(self, problem: Problem, curves: Sequence[Curve]) -> list[Curve]:
        return [replace(curves[0], route="slowly")]

    def most_curves(self, routes: int) -> int:
        return 1

    def steps(self, settings: MethodSettings) -> int:
        return 2 * settings.guided.steps

    def frames(self, settings: MethodSettings) -> int:
        return 2 * settings.guided.steps // settings.guided.stride + 1

    def stride(self, settings: MethodSettings) -> int:
        return settings.guided.stride

    def paths(
        self, problem: Problem, simulation: Simulation, curve: Curve, settings: MethodSettings, seeds: Sequence[int]
    ) -> Iterator[Driven]:
        slow = settings.guided.model_copy(update={"steps_per_point": 2 * settings.guided.steps_per_point})
        return drive(problem, simulation, curve, slow, seeds)


class MeanPhi:
    """A stage: the mean direction of phi along the slow paths."""

    name, needs = "mean_phi", ("slow",)

    def made_from(self, settings: Settings) -> Any:
        return {}

    def asked(self, settings: Settings) -> Any:
        return {}

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        return "nothing", 0

    def run(self, given: Given) -> float:
        rows = given.values["slow"]
        phi = np.concatenate([given.problem.coordinates.values(given.simulation.storage.frames(r.file)[0])[:, 0] for r in rows])
        return float(np.angle(np.exp(1j * phi).mean()))

    def save(self, value: float, given: Given) -> None:
        given.simulation.storage.put_record("mean_phi.json", value)

    def load(self, given: Given) -> float:
        return float(given.simulation.storage.record("mean_phi.json"))

    def clear(self, given: Given) -> bool:
        given.simulation.storage.remove("mean_phi.json")
        return False


def test_a_denoiser_a_penalty_a_method_and_a_stage_from_outside(alanine: Problem, request: pytest.FixtureRequest) -> None:
    trainers.TRAINERS.insert(0, Flat)
    request.addfinalizer(lambda: trainers.TRAINERS.remove(Flat))
    penalties.PENALTIES.append(floor_of)
    request.addfinalizer(lambda: penalties.PENALTIES.remove(floor_of))
    storage = Memory()
    stages = (Exploration(), Paths(Slow()), MeanPhi())
    with Simulation(alanine.model, processes=1, storage=storage) as simulation:
        values = run_stages(alanine, simulation, SMALL, stages=stages)
        again = run_stages(alanine, simulation, SMALL, stages=stages)
    assert Counts.asked > 10
    (path,) = values["slow"]
    assert (path.path, path.stage, path.route) == ("slow_slowly_0000", "slow", "slowly")
    assert path.evaluations == 2 * 47 * 50
    assert -math.pi <= values["mean_phi"] <= math.pi
    assert again["mean_phi"] == values["mean_phi"]
    assert again["slow"] == values["slow"]
    sampled = values["exploration"]
    assert sampled.denoiser == b"flat"
    assert sampled.record["training"][0]["held_out_loss"] == 0.25
    assert any(eta.shape == (24, 4) and np.allclose(eta, sampled.curves[0].eta) for eta in ASKED), "the last curve is the put-in one's"
    summary = summarise("alanine", alanine, storage, SMALL, values, methods=[Slow()])
    assert summary["evaluations"]["slow"] == path.evaluations
    assert summary["evaluations"]["total"] == sum(v for k, v in summary["evaluations"].items() if k != "total")
