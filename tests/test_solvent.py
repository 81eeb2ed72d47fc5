"""Explicit water: put about two ends, or brought by them; one topology and box, and everything downstream on it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from openmm import Vec3, app, unit
from scipy.spatial import cKDTree
from typer.testing import CliRunner

from spacetime_tps.cli import app as cli
from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Model, Walk
from spacetime_tps.engines.openmm.equilibration import equilibrated
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.forbidden import bind
from spacetime_tps.exploration.minima import intermediates
from spacetime_tps.exploration.regions import collected, parse_regions
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.ends import one_more, two_ends
from spacetime_tps.molecules.forcefield import build_solvated_system, serialised
from spacetime_tps.molecules.integrity import other_hand
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.room import CLASH, with_solute
from spacetime_tps.molecules.solvent import alike, dry, in_solvent, parted
from spacetime_tps.molecules.structure import Structure, of_quantity, write_pdb
from spacetime_tps.molecules.water import gathered, put_into_water, with_water
from spacetime_tps.problems.problem import Problem, load, prepare, save
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, load_system, two_structures
from spacetime_tps.progress import Silent
from spacetime_tps.storage.memory import Memory

FOLDER = Path(__file__).parent.parent / "systems" / "alanine_dipeptide"
FILES = ("amber96.xml", "tip3p.xml")
CPU = DynamicsSettings(platform="CPU")
SOLUTE = 22


class Told(Silent):
    """What was said, and the evaluations that tasks announced and did."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: list[tuple[str, int, list[int]]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def task(self, title: str, evaluations: int) -> Iterator[Callable[[int], None]]:
        self.tasks.append((title, evaluations, []))
        yield self.tasks[-1][2].append


def spec_of(folder: Path, **keys: object) -> SystemSpec:
    """A system of alanine dipeptide's two ends, its torsions and states, with these keys changed."""
    folder.mkdir(exist_ok=True)
    content = yaml.safe_load((FOLDER / "system.yaml").read_text())
    content |= {"start": str(FOLDER / "c5.pdb"), "end": str(FOLDER / "c7ax.pdb"), **keys}
    (folder / "system.yaml").write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return load_system(folder)


WATER = {"water": "tip3p", "padding_nm": 0.6, "equilibration_ps": 0.2}


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def made(told: Told, tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, list[str]]:
    """Alanine dipeptide in about a hundred waters, and what was said."""
    return prepare(spec_of(tmp_path_factory.mktemp("wet"), solvent=WATER), CPU, told), told.said


@pytest.fixture(scope="module")
def box() -> Structure:
    """C5 in water as it is put in."""
    return put_into_water(load_structure(FOLDER / "c5.pdb"), FILES, "tip3p", padding=0.6)


def to_water(problem: Problem, positions: np.ndarray) -> np.ndarray:
    """Distances of O to both H of each water, (..., waters, 2)."""
    x = positions[..., SOLUTE:, :].reshape(*positions.shape[:-2], -1, 3, 3)
    return np.linalg.norm(x[..., 1:, :] - x[..., :1, :], axis=-1)


def test_both_ends_have_one_box_and_the_same_molecules_in_one_order(made) -> None:
    problem, said = made
    kinds = [[(r.name, len(list(r.atoms()))) for r in s.topology.residues()] for s in (problem.start, problem.end)]
    assert kinds[0] == kinds[1]
    waters = len(kinds[0]) - 3
    assert 60 < waters < 150
    assert kinds[0][3:] == [("HOH", 3)] * waters
    assert f"{waters} water molecules (tip3p)" in said[-2]
    assert "steps of 2 fs" in said[-2]
    assert said[-1].startswith("coordinates: ")
    assert problem.model.timestep == 0.002
    for structure in (problem.start, problem.end):
        np.testing.assert_allclose(np.array(structure.cell), np.array(problem.model.cell), atol=1e-6)


def test_evaluations_about_both_ends_are_announced_and_counted(made, told: Told) -> None:
    """Of each end 1500 steps as it settles and 100 in 0.2 ps; changes of the box cost some more."""
    ((_, announced, spent),) = told.tasks
    assert announced == 2 * (1500 + 100)
    assert announced < sum(spent) < announced + 50
    assert made[0].evaluations > sum(spent)


def test_the_solutes_are_the_two_ends_and_the_water_is_rigid_and_about_them(made) -> None:
    problem, _ = made
    dry = [problem.coordinates.values(load_structure(FOLDER / f"{name}.pdb").positions) for name in ("c5", "c7ax")]
    for here, there in zip(problem.ends, dry, strict=True):
        assert np.abs(np.degrees(difference(here, there, problem.coordinates.angular))).max() < 30.0
    assert problem.a.contains(problem.start.positions)
    assert problem.b.contains(problem.end.positions)
    edge = problem.model.cell[0][0]
    for structure in (problem.start, problem.end):
        np.testing.assert_allclose(to_water(problem, structure.positions), 0.09572, atol=2e-4, err_msg="a PDB file's third decimal")
        x = structure.positions
        assert np.abs(x[SOLUTE:] - x[:SOLUTE].mean(axis=0)).max() < 0.5 * edge + 0.3


def test_a_folder_gives_the_same_problem_back(made, tmp_path: Path) -> None:
    problem, _ = made
    save(problem, tmp_path)
    again = load(tmp_path)
    assert again.fingerprint == problem.fingerprint
    assert again.zero == pytest.approx(problem.zero, abs=1e-6)


def test_a_walk_along_a_line_of_restraints_turns_the_molecule_in_water(made) -> None:
    """kappa = 150 holds a torsion to 5 degrees; 80 points of 25 steps, the last held for 200."""
    problem, _ = made
    here, there = problem.ends
    way = np.linspace(0.0, 1.0, 80)[:, None]
    angles = np.concatenate([here + way * difference(here, there, problem.coordinates.angular), np.repeat(there[None], 8, axis=0)])
    eta = 150.0 * np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)
    bias = CurveBias(problem.coordinates)
    frames = Dynamics(problem.model, bias).walk(Walk(bias, eta, 25, 25, 3, problem.start.positions))
    assert frames.stable
    assert problem.a.contains(frames.positions[0])
    assert problem.b.contains(frames.positions[-1])
    np.testing.assert_allclose(to_water(problem, frames.positions.astype(float)), 0.09572, atol=2e-6)
    features = problem.coordinates.features(frames.positions)
    assert np.isfinite(features).all()


def test_minima_on_the_way_are_of_the_molecule_in_its_water_as_it_is(made) -> None:
    problem, _ = made
    frames = np.stack([problem.start.positions, problem.end.positions])
    rng = np.random.default_rng(1)
    frames[:, :SOLUTE] += rng.normal(scale=0.002, size=(2, SOLUTE, 3))
    found, evaluations = intermediates(problem, frames, np.zeros((0, 2)), count=2)
    assert len(found) == 2
    assert 10 < evaluations < 2000
    for minimum in found:
        frame = frames[np.argmin([np.abs(minimum.positions[SOLUTE:] - f[SOLUTE:]).max() for f in frames])]
        np.testing.assert_allclose(minimum.positions[SOLUTE:], frame[SOLUTE:], atol=2e-4)
        assert Potential(problem.model)(frame)[0] - problem.zero > minimum.energy


def test_water_that_both_files_bring_is_kept(made, tmp_path: Path) -> None:
    problem, _ = made
    for name, structure in (("start", problem.start), ("end", problem.end)):
        write_pdb(tmp_path / f"{name}.pdb", structure)
    told = Told()
    keys = {"start": str(tmp_path / "start.pdb"), "end": str(tmp_path / "end.pdb"), "solvent": "tip3p"}
    again = prepare(spec_of(tmp_path / "system", **keys), CPU, told)
    assert "of start.pdb and of end.pdb are kept" in told.said[0]
    np.testing.assert_allclose(np.array(again.model.cell), np.array(problem.model.cell), atol=1e-6)
    edge = np.diag(np.array(problem.model.cell))
    for here, there in ((again.start, problem.start), (again.end, problem.end)):
        apart = (here.positions - there.positions)[SOLUTE:]
        np.testing.assert_allclose(apart - np.rint(apart / edge) * edge, 0.0, atol=2e-4)


def test_a_system_of_its_own_brings_its_water_and_a_solute_parted_by_the_walls_is_made_whole(made, tmp_path: Path) -> None:
    problem, _ = made
    box = np.array(problem.model.cell)
    for name, structure in (("start", problem.start), ("end", problem.end)):
        write_pdb(tmp_path / f"{name}.pdb", Structure(structure.topology, structure.positions % np.diag(box)))
    (tmp_path / "system.xml").write_text(problem.model.system_xml)
    keys = {
        "start": str(tmp_path / "start.pdb"),
        "end": str(tmp_path / "end.pdb"),
        "forcefield": None,
        "system": str(tmp_path / "system.xml"),
    }
    again = prepare(spec_of(tmp_path / "system", timestep_fs=2.0, **keys), CPU)
    for here, there in zip(again.ends, problem.ends, strict=True):
        np.testing.assert_allclose(here, there, atol=0.12, err_msg="the minimum is flat")
    bonds = [(a.index, b.index) for a, b in again.start.topology.bonds()]
    for structure in (again.start, again.end):
        lengths = [np.linalg.norm(structure.positions[a] - structure.positions[b]) for a, b in bonds]
        assert max(lengths) < 0.2
    wider = app.Modeller(copy.deepcopy(problem.end.topology), problem.end.quantity)
    wider.topology.setPeriodicBoxVectors(1.05 * box * unit.nanometer)
    write_pdb(tmp_path / "end.pdb", of_quantity(wider.topology, wider.positions))
    with pytest.raises(SpacetimeError, match=r"end.pdb is in another box \(CRYST1\) than the system"):
        prepare(load_system(tmp_path / "system"), CPU)
    fewer = list(problem.end.topology.residues())[-1]
    modeller = app.Modeller(problem.end.topology, problem.end.quantity)
    modeller.delete([fewer])
    write_pdb(tmp_path / "end.pdb", of_quantity(modeller.topology, modeller.positions))
    with pytest.raises(SpacetimeError, match=r"start.pdb holds .* and end.pdb .*: with a system they must be the same"):
        prepare(load_system(tmp_path / "system"), CPU)


def test_gathered_molecules_are_whole_and_about_the_solute(box: Structure) -> None:
    edge = np.diag(np.array(box.cell))
    rng = np.random.default_rng(2)
    scattered = Structure(box.topology, box.positions + rng.integers(-2, 3, size=box.positions.shape) * edge)
    found = gathered(scattered, box.cell)
    bonds = np.array([(a.index, b.index) for a, b in box.topology.bonds()])
    before, after = (np.linalg.norm(np.diff(x[bonds], axis=1)[:, 0], axis=-1) for x in (box.positions, found.positions))
    np.testing.assert_allclose(after, before, atol=1e-6)
    whole = found.positions - scattered.positions
    np.testing.assert_allclose(whole / edge, np.rint(whole / edge), atol=1e-6, err_msg="moved by whole boxes alone")
    middle = found.positions[:SOLUTE].mean(axis=0)
    oxygens = found.positions[SOLUTE::3]
    assert np.abs(oxygens - middle).max() < 0.5 * edge.max() + 0.3


def test_room_is_made_for_another_shape(box: Structure) -> None:
    """C5 moved by 0.4 nm in x lies in water; afterwards nothing is within CLASH of it, and each water is as it was, or moved as a whole."""
    there = box.positions[:SOLUTE] + np.array([0.4, 0.0, 0.0])
    found = with_solute(box, there)
    np.testing.assert_array_equal(found[:SOLUTE], there)
    edge = np.diag(np.array(box.cell))

    def nearest(x: np.ndarray) -> float:
        apart = x[SOLUTE:, None] - there[None]
        return float(np.linalg.norm(apart - np.rint(apart / edge) * edge, axis=-1).min())

    assert nearest(np.concatenate([there, box.positions[SOLUTE:]])) < 0.15
    assert nearest(found) > 0.15
    before, after = (x[SOLUTE:].reshape(-1, 3, 3) for x in (box.positions, found))
    np.testing.assert_allclose(after - after[:, :1], before - before[:, :1], atol=1e-9)
    moved = np.abs(after - before).max(axis=(1, 2)) > 0.0
    assert 0 < moved.sum() < 30
    assert CLASH > 0.15


def test_the_box_ends_near_its_mean_volume_and_the_solute_keeps_its_shape(box: Structure) -> None:
    """Water as it is put in leaves a gap about the solute; at 1 bar that closes, by some percent of the volume within a few ps."""
    model = Model(serialised(build_solvated_system(box.topology, FILES)), 300.0, 1.0, 0.002, "CPU")
    shape = np.array([a.index for a in box.topology.atoms() if a.index < SOLUTE and a.element.symbol != "H"])
    spent: list[int] = []
    found = equilibrated(model, box.positions, shape, steps=500, constant_volume=False, seed=3, advance=spent.append)
    assert sum(spent) == found.evaluations
    waited, rest = divmod(found.evaluations - (1500 + 500 + 2 * 20), 25 + 2)
    assert (0 <= waited <= 20, rest) == (True, 0), "two energies a change of the box, which is tried every 25 steps"
    assert 0.7 < np.linalg.det(found.cell) / np.linalg.det(box.cell) < 1.1
    assert np.linalg.det(found.cell) != np.linalg.det(box.cell)
    before, after = (np.linalg.norm(x[shape][:, None] - x[shape][None], axis=-1) for x in (box.positions, found.positions))
    assert np.abs(after - before).max() < 0.08
    held = equilibrated(model, box.positions, shape, steps=25, constant_volume=True, seed=3, advance=spent.append)
    np.testing.assert_allclose(np.array(held.cell), np.array(box.cell), atol=1e-9)
    assert held.evaluations == 1500 + 25


def test_dynamics_that_breaks_down_is_said(box: Structure) -> None:
    model = Model(serialised(build_solvated_system(box.topology, FILES)), 300.0, 1.0, 0.05, "CPU")
    with pytest.raises(SpacetimeError, match="the solvent cannot be equilibrated about the molecule"):
        equilibrated(model, box.positions, np.arange(3), steps=500, constant_volume=True, seed=3, advance=lambda evaluations: None)


@pytest.mark.parametrize(
    ("files", "water", "expected"),
    [
        (("amber96.xml",), "tip3p", "tip3p.xml"),
        (("amber99sbildn.xml",), "tip4pew", "tip4pew.xml"),
        (("amber14-all.xml",), "tip3p", "amber14/tip3p.xml"),
        (("amber14/protein.ff14SB.xml",), "tip4pew", "amber14/tip4pew.xml"),
        (("charmm36.xml",), "tip3p", "charmm36/water.xml"),
        (("amber14-all.xml", "amber14/spce.xml"), "tip3p", None),
    ],
)  # fmt: skip
def test_the_water_is_of_the_force_fields_family(files: tuple[str, ...], water: str, expected: str | None) -> None:
    found = with_water(files, water)
    assert found == (files if expected is None else (*files, expected))
    methane = app.Topology()
    modeller = app.Modeller(methane, [])
    modeller.addSolvent(app.ForceField(*found), model=water if expected else "spce", boxSize=Vec3(2.1, 2.1, 2.1))
    assert build_solvated_system(modeller.topology, found).getNumConstraints() > 0


def test_ions_make_it_neutral_the_same_each_time() -> None:
    ion = app.Topology()
    residue = ion.addResidue("NA", ion.addChain())
    ion.addAtom("NA", app.element.sodium, residue)
    boxes = [put_into_water(Structure(ion, np.zeros((1, 3))), FILES, "tip3p", padding=1.0) for _ in range(2)]
    np.testing.assert_array_equal(boxes[0].positions, boxes[1].positions)
    assert sum(r.name == "CL" for r in boxes[0].topology.residues()) == 1


def test_solvents_are_parted_from_the_molecule(box: Structure) -> None:
    parts = parted(box, "c5.pdb")
    assert len(parts.molecule.positions) == SOLUTE == solute_size(box.topology)
    assert parts.told == f"{(len(box.positions) - SOLUTE) // 3} water molecules"


def test_virtual_sites_of_water_lie_where_they_belong(tmp_path: Path) -> None:
    wet = put_into_water(load_structure(FOLDER / "c5.pdb"), ("amber96.xml", "tip4pew.xml"), "tip4pew", padding=0.6)
    system = build_solvated_system(wet.topology, ("amber96.xml", "tip4pew.xml"))
    model = Model(serialised(system), 300.0, 1.0, 0.002, "CPU")
    scattered = wet.positions.copy()
    scattered[SOLUTE + 3 :: 4] += 0.01
    frames = Dynamics(replace(model, timestep=0.0002)).walk(Walk(None, FREE, 40, 20, 1, scattered, friction=100.0))
    x = frames.positions[:, SOLUTE:].reshape(len(frames), -1, 4, 3).astype(float)
    bisector = x[:, :, 1] + x[:, :, 2] - 2.0 * x[:, :, 0]
    expected = x[:, :, 0] + 0.0125 * bisector / np.linalg.norm(bisector, axis=-1, keepdims=True)
    np.testing.assert_allclose(x[:, :, 3], expected, atol=1e-5)


BAD = {
    "implicit": (
        {"forcefield": ["amber96.xml", "implicit/obc2.xml"], "solvent": "tip3p"},
        "an implicit solvent, and tip3p an explicit one",
    ),
    "unknown": ({"solvent": "tip9p"}, "tip9p"),
    "system": (
        {"forcefield": None, "system": str(FOLDER / "c5.pdb"), "solvent": "tip3p"},
        "a prepared system is taken as it is: leave `solvent` out",
    ),
    "padding": ({"solvent": {"water": "tip3p", "padding_nm": 0.1}}, "padding_nm"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_said(case: str, tmp_path: Path) -> None:
    keys, sentence = BAD[case]
    with pytest.raises(SpacetimeError, match=sentence):
        prepare(spec_of(tmp_path, **keys), CPU)


def test_positions_cannot_be_held_in_a_box(tmp_path: Path, made) -> None:
    problem, _ = made
    write_pdb(tmp_path / "start.pdb", problem.start)
    write_pdb(tmp_path / "end.pdb", problem.end)
    keys = {"start": str(tmp_path / "start.pdb"), "end": str(tmp_path / "end.pdb"), "solvent": "tip3p", "coordinates": ["positions"]}
    with pytest.raises(SpacetimeError, match="positions cannot be held in a periodic box"):
        prepare(spec_of(tmp_path / "system", states=None, torsions=None, **keys), CPU)


@pytest.mark.parametrize(("kind", "why"), [("positions", "positions 1.CH3, "), ("auto", "positions of 10 atoms but hydrogen, ")])
def test_positions_are_refused_before_water_is_equilibrated(kind: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` comes to positions where more torsions turn than are followed; phi and psi are two."""
    monkeypatch.setattr("spacetime_tps.coordinates.automatic.FEW", 1)
    told = Told()
    keys = {"solvent": WATER, "coordinates": [kind], "states": None, "torsions": None}
    with pytest.raises(SpacetimeError, match=rf"coordinates: {why}.*; but positions cannot be held in a periodic box"):
        prepare(spec_of(tmp_path / "system", **keys), CPU, told)
    assert told.said == []


def test_selections_and_coordinates_see_the_molecule_alone(made) -> None:
    problem, _ = made
    molecule = molecule_of(problem.start, problem.end, problem.model.cell)
    assert molecule.select("all") == tuple(range(SOLUTE))
    assert len(molecule.select("name O")) == 2, "of the two amides"
    assert len(molecule.atoms) == len(molecule.start) == len(molecule.end) == SOLUTE
    with pytest.raises(SpacetimeError, match="'resname HOH' selects no atom"):
        molecule.select("resname HOH")


def restart(positions: np.ndarray) -> bytes:
    """As Amber writes it, with as many decimals as it has."""
    numbers = [f"{x:12.7f}" for x in (10.0 * positions).ravel()]
    return (f"x\n{len(positions):6d}\n" + "".join("".join(numbers[k : k + 6]) + "\n" for k in range(0, len(numbers), 6))).encode()


@pytest.mark.parametrize("kind", ["dry.pdb", "wet.pdb", "other_water.pdb", "wet.rst7"])
def test_a_structure_to_keep_away_from_is_the_molecule_whatever_water_is_about_it(
    kind: str, made, box: Structure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C7ax from elsewhere; the region is empty of both ends of a problem that begins and ends at C5."""
    monkeypatch.chdir(tmp_path)
    problem, _ = made
    there = problem.end
    if kind == "dry.pdb":
        write_pdb(Path(kind), dry(there))
    elif kind == "wet.pdb":
        write_pdb(Path(kind), there)
    elif kind == "other_water.pdb":
        write_pdb(Path(kind), in_solvent(dry(there), parted(box, "").solvent))
    else:
        Path(kind).write_bytes(restart(there.positions))
    asked, contents = collected(parse_regions([f"rmsd({kind})<0.03"]), Memory())
    (region,) = bind(asked, replace(problem, end=problem.start), contents.__getitem__)
    ((condition,),) = region.state.boxes
    assert max(condition.atoms) < SOLUTE
    np.testing.assert_allclose(condition.reference, there.positions[list(condition.atoms)], atol=1e-4)
    np.testing.assert_array_equal(region.contains(np.stack([there.positions, problem.start.positions])), [True, False])


def test_positions_alone_are_of_the_whole_box(made) -> None:
    problem, _ = made
    with pytest.raises(SpacetimeError, match=rf"x.rst7 has 22 atoms and start.pdb {len(problem.start.positions)}"):
        one_more(restart(problem.end.positions[:SOLUTE]), "x.rst7", problem.start, keep_names=True)


LEFT_OUT = {
    "vacuum": (False, "left out: --solvent tip3p puts the molecule into water"),
    "other water": (True, "left out: it is kept where both files hold the same molecules in one order and one box"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_water_that_is_left_out_is_said_with_what_to_do(case: str, box: Structure, tmp_path: Path) -> None:
    keep_solvent, sentence = LEFT_OUT[case]
    write_pdb(tmp_path / "c5.pdb", box)
    found = two_ends(tmp_path / "c5.pdb", FOLDER / "c7ax.pdb", FILES, keep_names=True, keep_solvent=keep_solvent)
    waters = (len(box.positions) - SOLUTE) // 3
    assert [s for s in found.said if "left out" in s] == [s for s in found.said if f"c5.pdb: {waters} water molecules {sentence}" in s]
    assert found.solvents is None
    assert len(found.start.positions) == SOLUTE


def test_the_command_line_takes_a_solvent_with_two_files_alone(tmp_path: Path) -> None:
    words = ["run", "alanine_dipeptide", "--solvent", "tip3p", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "--forcefield (and --solvent) or --system, not both" in " ".join(result.output.split())
    two = ["run", "--start", str(FOLDER / "c5.pdb"), "--end", str(FOLDER / "c7ax.pdb"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, [*two, "--system", str(FOLDER / "c5.pdb"), "--solvent", "tip3p"])
    assert result.exit_code == 2
    assert "a prepared system is taken as it is: leave `solvent` out" in " ".join(result.output.split())
    spec = two_structures(FOLDER / "c5.pdb", FOLDER / "c7ax.pdb", forcefield=["amber96.xml"], solvent="tip4pew")
    assert (spec.solvent.water, spec.timestep_fs) == ("tip4pew", 2.0)
    dry = two_structures(FOLDER / "c5.pdb", FOLDER / "c7ax.pdb", forcefield=["amber96.xml"])
    assert (dry.solvent, dry.timestep_fs) == (None, 1.0)


def test_the_shipped_system_is_openpathsamplings_example() -> None:
    """ff96 and TIP3P, 2,269 atoms; C7eq: phi -180..0 and psi 100..200, alpha-R: psi -100..0; L-alanine, and no two atoms overlap."""
    spec = load_system("alanine_dipeptide_tip3p")
    assert (spec.forcefield, spec.timestep_fs, spec.temperature_K, spec.friction_per_ps) == (FILES, 2.0, 300.0, 1.0)
    start, end = load_structure(spec.start), load_structure(spec.end)
    parts = [parted(s, "") for s in (start, end)]
    assert alike(parts[0].solvent, parts[1].solvent)
    assert len(start.positions) == len(end.positions) == 2269
    assert parts[0].told == "749 water molecules"
    density = 749 * 18.015 / 6.022e23 / (np.linalg.det(start.cell) * 1e-21 - 0.13e-21)
    assert 0.94 < density < 1.03, "g/ml, of TIP3P at 1 bar, without the molecule's 0.13 nm^3"
    dry_one = load_structure(FOLDER / "c5.pdb")
    bonds = np.array([(a.index, b.index) for a, b in start.topology.bonds()])
    for structure, low, high in ((start, 100.0, 200.0), (end, -100.0, 0.0)):
        phi, psi = np.degrees(Torsions(("phi", "psi"), ((4, 6, 8, 14), (6, 8, 14, 16))).values(structure.positions))
        assert -180.0 < phi < 0.0
        assert (psi - low) % 360.0 < high - low
        assert np.linalg.norm(np.diff(structure.positions[bonds], axis=1), axis=-1).max() < 0.17
        assert other_hand(dry_one, Structure(dry_one.topology, structure.positions[:SOLUTE])) is None
        edge = np.diag(np.array(structure.cell))
        tree = cKDTree(structure.positions % edge, boxsize=edge)
        assert not tree.query_pairs(0.09)


def test_a_molecule_of_ions_is_refused_before_its_water_is_equilibrated(tmp_path: Path) -> None:
    lines = "HETATM    1 NA    NA A   1       0.000   0.000   0.000  1.00  0.00          NA\n"
    lines += "HETATM    2 CL    CL A   2       {:5.3f}   0.000   0.000  1.00  0.00          CL\nEND\n"
    for name, apart in (("a.pdb", 2.6), ("b.pdb", 6.0)):
        (tmp_path / name).write_text(lines.format(apart))
    spec = two_structures(
        tmp_path / "a.pdb", tmp_path / "b.pdb", forcefield=("amber14-all.xml",), solvent="tip3p", coordinates=["distances: all"]
    )
    with pytest.raises(SpacetimeError, match="ions are part of the solvent in water"):
        prepare(spec, CPU)
