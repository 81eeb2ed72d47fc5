"""What CONTRIBUTING promises: a kind of coordinates with the condition of its states, a window variable, denoiser, penalty, method and
stage from outside the package, each in one small class. All run on a real molecule, as they would in a notebook.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openmm
import pytest
import yaml
from hinge import Here
from openmm import app
from torch import Tensor

from spacetime_tps import Memory, Problem, Settings, Simulation, run_stages, summarise
from spacetime_tps.coordinates import registry as kinds
from spacetime_tps.coordinates.boxes import ranges
from spacetime_tps.coordinates.molecule import Cell, Molecule, Name
from spacetime_tps.coordinates.naming import place
from spacetime_tps.coordinates.protocol import Boxes, HeldFrame, Term
from spacetime_tps.coordinates.straight import Straight
from spacetime_tps.denoisers import registry as trainers
from spacetime_tps.denoisers.protocol import Ensembles, Fitted
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import Trained
from spacetime_tps.engines.openmm.bias import WindowBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Walk
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import penalties
from spacetime_tps.exploration.forbidden import bind
from spacetime_tps.exploration.regions import ReadBytes, parse_regions
from spacetime_tps.exploration.sampled import Curve
from spacetime_tps.exploration.settings import FLOOR
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.methods.driving import Driven, drive
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.description import coordinates_for
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import load_system
from spacetime_tps.report.data import RunData
from spacetime_tps.settings import parse_settings
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.paths import Paths
from spacetime_tps.stages.protocol import Given
from spacetime_tps.stages.registry import after
from spacetime_tps.states import state as states
from spacetime_tps.states.protocol import Condition, Read
from spacetime_tps.unbiased.committors import committor_columns
from spacetime_tps.windows import registry as variables
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.window import Window

SMALL = parse_settings([
    "workers=1", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=10", "windows.steps=600", "windows.discard=200", "windows.stride=20", "rounds.min_rounds=1", "rounds.max_rounds=1",
    "rounds.quenches=0", "rounds.max_routes=2", "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=2",
    "guided.points=47", "denoiser.lessons=300", "denoiser.steps=60", "geodesic.min_effective_samples=2",
    "geodesic.steepest=10",
])  # fmt: skip


def bend(positions: np.ndarray, atoms: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Angles (..., n) in radians at the middle atoms."""
    i, j, k = (np.asarray(positions, dtype=float)[..., column, :] for column in np.array(atoms).T)
    cosine = ((i - j) * (k - j)).sum(-1) / np.linalg.norm(i - j, axis=-1) / np.linalg.norm(k - j, axis=-1)
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))


@dataclass(frozen=True)
class Angles(Straight):
    """A kind of coordinates: angles of three atoms, radians, which do not wrap; T = (angles, sum of squares)."""

    names: tuple[str, ...]
    atoms: tuple[tuple[int, int, int], ...]

    kind = "angles"
    definition: ClassVar[Any] = dict[Name, tuple[str, str, str]]
    frame: ClassVar[HeldFrame | None] = None

    @property
    def unit(self) -> tuple[str, ...]:
        return ("degrees",) * len(self.atoms)

    @property
    def scale(self) -> np.ndarray:
        return np.full(len(self.atoms), np.degrees(1.0))

    @property
    def dimension(self) -> int:
        return len(self.atoms) + 1

    @property
    def bounded(self) -> np.ndarray:
        return np.ones(len(self.atoms), dtype=bool)

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(Term(three, (k, len(self.atoms)), ("theta", "theta^2")) for k, three in enumerate(self.atoms))

    def family(self) -> Family:
        return Cartesian(len(self.atoms))

    def values(self, positions: np.ndarray) -> np.ndarray:
        return bend(positions, self.atoms)

    def changed(self, a: np.ndarray, b: np.ndarray) -> bool:
        return bool(np.abs(b - a).max() > 0.3)

    def variable(self, name: str) -> Linear:
        return Linear(name, (*(float(own == name) for own in self.names), 0.0), float(np.degrees(1.0)))

    def separating(self, a: Boxes, b: Boxes) -> tuple[Linear, ...]:
        return (self.variable(self.names[0]),)

    def box_around(self, here: np.ndarray, there: np.ndarray, file: str) -> dict[str, Any]:
        return {}

    def condition(self, name: str, low: float, high: float) -> dict[str, Any]:
        return {"angles": [[*self.atoms[self.names.index(name)], low, high]]}

    def bounds(self, box: dict[str, Any]) -> list[tuple[float, float] | None]:
        found = (ranges(box, "angles", three) for three in self.atoms)
        return [r[0] if r else None for r in found]

    def to_json(self) -> list[dict[str, Any]]:
        return [{"kind": self.kind, "names": [*self.names], "atoms": [[*a] for a in self.atoms]}]

    @property
    def told(self) -> str:
        return f"angles {', '.join(self.names)}"

    @staticmethod
    def of_selection(selection: str, molecule: Molecule) -> "Angles":
        found = molecule.select(selection)
        return Angles(("bend",), ((found[0], found[1], found[2]),))

    @staticmethod
    def of_molecule(definition: dict[str, tuple[str, str, str]] | None, molecule: Molecule) -> "Angles":
        if definition is None:
            raise SpacetimeError("name the angles in system.yaml")
        return Angles(tuple(definition), tuple(molecule.chosen(labels) for labels in definition.values()))

    @staticmethod
    def from_json(block: dict[str, Any], cell: object) -> "Angles":
        return Angles(tuple(block["names"]), tuple(tuple(a) for a in block["atoms"]))


@dataclass(frozen=True)
class AngleRange:
    """A condition of a state: an angle between two limits, degrees."""

    atoms: tuple[int, int, int]
    low: float
    high: float
    key, listed, definition = "angles", True, None

    @staticmethod
    def of_entry(entry: Any, cell: Cell | None, read: Read) -> "list[AngleRange]":
        return [AngleRange((e[0], e[1], e[2]), float(e[3]), float(e[4])) for e in entry]

    def holds(self, positions: np.ndarray) -> np.ndarray:
        degrees = np.degrees(bend(positions, [self.atoms])[..., 0])
        return np.asarray((degrees >= self.low) & (degrees <= self.high))

    def to_json(self) -> Any:
        return [*self.atoms, self.low, self.high]

    def wider(self, margin: float) -> "AngleRange":
        return replace(self, low=self.low - float(np.degrees(margin)), high=self.high + float(np.degrees(margin)))

    def apart(self, other: Condition) -> bool:
        return isinstance(other, AngleRange) and (other.low > self.high or other.high < self.low)


@pytest.fixture
def scissors(tmp_path: Path) -> Path:
    """A system of three atoms whose angle has minima at 1.3 and 2.1 rad, 74 and 120 degrees, with 10 kJ/mol between them."""
    system, topology, bonds = openmm.System(), app.Topology(), openmm.HarmonicBondForce()
    angle = openmm.CustomAngleForce("10*(((theta-1.7)/0.4)^2-1)^2")
    residue = topology.addResidue("X", topology.addChain())
    for k in range(3):
        system.addParticle(12.0)
        topology.addAtom(f"C{k}", app.Element.getBySymbol("C"), residue)
    for k in range(2):
        bonds.addBond(k, k + 1, 0.15, 1e5)
    angle.addAngle(0, 1, 2, [])
    for force in (bonds, angle):
        system.addForce(force)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    for name, theta in (("shut", 1.2), ("open", 2.2)):
        x = 0.15 * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [math.cos(theta), math.sin(theta), 0.0]])
        write_pdb(tmp_path / f"{name}.pdb", Structure(topology, x))
    (tmp_path / "system.yaml").write_text(yaml.safe_dump({
        "name": "scissors", "start": "shut.pdb", "end": "open.pdb", "system": "system.xml", "timestep_fs": 2.0, "friction_per_ps": 10.0,
        "angles": {"blades": ["1:C0", "1:C1", "1:C2"]}, "states": {"A": [{"blades": [50, 85]}], "B": [{"blades": [110, 150]}]},
    }))  # fmt: skip
    return tmp_path


def test_a_kind_of_coordinates_from_outside(scissors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpacetimeError, match="angles: Extra inputs are not permitted"):
        load_system(str(scissors))
    monkeypatch.setitem(kinds.KINDS, "angles", Angles)
    monkeypatch.setitem(states.CONDITIONS, "angles", AngleRange)
    problem = preparation.prepare(load_system(str(scissors)), DynamicsSettings(platform="Reference"))
    assert problem.coordinates == Angles(("blades",), ((0, 1, 2),))
    selected = load_system(str(scissors)).model_copy(update={"coordinates": None, "selections": {"angles": "name C0 C1 C2"}})
    choice = coordinates_for(selected, molecule_of(problem.start, problem.end, None), periodic=False)
    assert choice.coordinates == Angles(("bend",), ((0, 1, 2),))
    assert choice.because == "angles bend"
    assert problem.boxes == ([{"angles": [[0, 1, 2, 50.0, 85.0]]}], [{"angles": [[0, 1, 2, 110.0, 150.0]]}])
    # A PDB file rounds to 0.0001 nm
    np.testing.assert_allclose(problem.ends, [[1.3], [2.1]], atol=2e-3)

    preparation.save(problem, scissors / "run")
    assert preparation.load(scissors / "run").fingerprint == problem.fingerprint
    drawn = RunData(scissors / "run")
    assert drawn.ranges("A", 0) == [(50.0, 85.0)]
    assert drawn.ranges("B", 0) == [(110.0, 150.0)]
    assert "blades_degrees" in committor_columns(problem.coordinates)

    (held,) = bind(parse_regions(["blades=90:100"]), problem, dict[str, bytes]().__getitem__)
    theta = np.radians([89.0, 91.0, 99.0, 101.0, 106.0])
    bent = np.stack(
        [np.stack([np.cos(theta), np.sin(theta), 0.0 * theta], axis=-1), np.zeros((5, 3)), np.tile([1.0, 0.0, 0.0], (5, 1))], axis=1
    )
    np.testing.assert_array_equal(held.contains(bent), [False, True, True, False, False])
    np.testing.assert_array_equal(held.holds(problem.coordinates.values(bent)), [False, True, True, False, False])
    np.testing.assert_array_equal(held.wider(math.radians(5.0)).contains(bent), [True, True, True, True, False])
    (there,) = bind(parse_regions(["blades=95 kappa=150"]), problem, dict[str, bytes]().__getitem__)
    np.testing.assert_array_equal(there.contains(bent), [True, True, True, True, False])  # within sqrt(4 / 150) rad, 9.4 degrees
    assert place(problem.coordinates, np.radians([95.0])) == "blades 95"
    with pytest.raises(SpacetimeError, match="names 'handles', which is none of the coordinates blades"):
        bind(parse_regions(["handles=90:100"]), problem, dict[str, bytes]().__getitem__)

    storage = Memory()
    settings = parse_settings([
        "unbiased.paths=3", "unbiased.walkers=4", "unbiased.equilibration=600", "unbiased.points=4", "unbiased.rung_steps=600",
    ], base=SMALL)  # fmt: skip
    values = run_stages(problem, Here(problem, storage=storage), settings)
    assert [row.hit for row in values["guided"]] == [1, 1]
    (crossing,) = values["unbiased"].record["crossings"]
    assert crossing["variable"] == "blades"
    assert 85.0 < crossing["center"] < 110.0
    for row in values["unbiased"].rows:
        theta = problem.coordinates.values(storage.frames(row.file)[0])[:, 0]
        assert np.degrees(theta[0]) <= 85.0
        assert np.degrees(theta[-1]) >= 110.0


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

    def fit(self, data: Ensembles, family: Family, curve: Tensor, *, seed: int) -> Fitted:
        return Fitted(Remembers(data.samples, ASKED), b"flat", Trained([(1, 0.5, 0.25)], 0.25))


class Counts:
    """A penalty of no effect that knows how often it was asked."""

    asked = 0

    def __call__(self, eta: Tensor, moments: Moments) -> Tensor:
        Counts.asked += 1
        return 0.0 * eta.sum()


def floor_of(setting: penalties.PenaltyInputs) -> Counts:
    assert setting.floor == FLOOR
    assert setting.unit > 0.0
    return Counts()


class Slow:
    """A method: the geodesic, held at each point twice as long."""

    name = "slow"
    baseline = False
    mirror_of = None

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

    name, needs, files = "mean_phi", ("slow",), ("mean_phi.json",)

    def made_from(self, settings: Settings) -> Any:
        return {}

    def asked(self, settings: Settings) -> Any:
        return {}

    def check(self, problem: Problem, settings: Settings, read: ReadBytes) -> None:
        pass

    def cost(self, problem: Problem, settings: Settings) -> tuple[str, int]:
        return "nothing", 0

    def spent(self, value: float | None) -> dict[str, int]:
        return {} if value is None else {"mean_phi": 3}

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
    assert [s.name for s in after("exploration", stages)] == ["slow", "mean_phi"], "one that rests on it by another, too"
    assert after("mean_phi", stages) == []
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
    assert sampled.record["denoisers"][0]["held_out_loss"] == 0.25
    assert any(eta.shape == (24, 4) and np.allclose(eta, sampled.curves[0].eta) for eta in ASKED), "mu_denoiser is the put-in one's"
    summary = summarise("alanine", alanine, storage, SMALL, values, stages=stages, methods=[Slow()])
    assert summary["evaluations"]["slow"] == path.evaluations
    assert summary["evaluations"]["mean_phi"] == 3
    assert summary["evaluations"]["total"] == sum(v for k, v in summary["evaluations"].items() if k != "total")
