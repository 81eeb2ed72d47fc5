"""Regions in every kind of coordinates: how they are written, what is wrong with one, what lies in them, and that curves keep away.

The molecule is the hinge: its distance between the first and the fourth atom is 0.15 sqrt(3 - 2 cos phi) nm, that between the second and
the fifth the same of psi.
"""

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hinge import BOND, PLANE, Here, frames, hinge, letters, placed
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.product import Product
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import lines
from spacetime_tps.exploration.avoidance import Avoidance
from spacetime_tps.exploration.detours import detours, passable
from spacetime_tps.exploration.ends import Ends
from spacetime_tps.exploration.forbidden import ForbiddenRegion, Point, bind
from spacetime_tps.exploration.regions import ForbiddenBox, ForbiddenPoint, ForbiddenStructure, StructureFile, collected, parse_regions
from spacetime_tps.exploration.rounds import Rounds
from spacetime_tps.exploration.route import Nearness, Route
from spacetime_tps.exploration.settings import ExplorationSettings
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.geodesic import minimise
from spacetime_tps.geometry.penalties import LowVariance
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.pipeline.avoidance_summary import avoidance_summary, cannot_be_met
from spacetime_tps.problems.problem import Problem
from spacetime_tps.report import figures, page
from spacetime_tps.settings import parse_settings, validated
from spacetime_tps.stages.driver import run_stages
from spacetime_tps.storage.memory import Memory

HINGE = hinge()
PAIRS = Distances(("d", "e"), ((0, 3), (1, 4)))
MIXED = Product((Torsions(("phi",), (PLANE.atoms[0],)), Distances(("e",), ((1, 4),))))
PLACES = Positions(tuple("abcde"), (0, 1, 2, 3, 4), tuple((float(x), float(y), float(z)) for x, y, z in placed(0.0, 20.0)[0]))


def of(coordinates: Coordinates) -> Problem:
    return replace(HINGE, coordinates=coordinates)


def away(degrees: Any) -> Any:
    """The distance, nm, that a torsion makes."""
    return BOND * np.sqrt(3.0 - 2.0 * np.cos(np.radians(degrees)))


def region(text: str, problem: Problem, storage: Memory | None = None) -> ForbiddenRegion:
    storage = storage or Memory()
    asked, contents = collected(parse_regions([text]), storage)
    (found,) = bind(asked, problem, contents.__getitem__)
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the hinge at phi = psi = 0."""
    monkeypatch.chdir(tmp_path)
    write_pdb(tmp_path / "flat.pdb", Structure(HINGE.start.topology, placed(0.0, 0.0)[0]))
    return tmp_path


# What is written ----------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_region_is_read_and_written_alike() -> None:
    texts = ["phi=-25:25 d_1.Ar_2.Ar=0.45:0.5", "phi=-25:25 rmsd(a/my boat.pdb)<0.05", "rmsd(boat.pdb)<0.05", "phi=0 d=0.3 kappa=50",
             "near(my boat.pdb) kappa=50"]  # fmt: skip
    found = parse_regions(texts)
    assert found[0] == ForbiddenBox(box={"phi": (-25.0, 25.0), "d_1.Ar_2.Ar": (0.45, 0.5)})
    assert found[2] == ForbiddenBox.model_validate({"rmsd": {"file": "boat.pdb", "max_nm": 0.05}})
    assert found[3] == ForbiddenPoint(point={"phi": 0.0, "d": 0.3}, kappa=50.0)
    assert found[4] == ForbiddenStructure(near=StructureFile(file="my boat.pdb"), kappa=50.0)
    assert [r.label for r in found] == texts
    chosen = parse_settings([], avoid=found)
    assert validated(yaml.safe_load(yaml.safe_dump(chosen.model_dump(mode="json")))) == chosen


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("d=near", "cannot read 'd=near'"),
        ("d=0.4:0.5nm", "cannot read 'd=0.4:0.5nm'"),
        ("d=nan:0.5", "cannot read 'd=nan:0.5'"),
        ("d=0.4:inf", "cannot read 'd=0.4:inf'"),
        ("phi=0 kappa=nan", "cannot read 'kappa=nan'"),
        ("rmsd(flat.pdb)", r"cannot read 'rmsd(flat.pdb)'"),
        ("rmsd(flat.pdb)<", r"cannot read 'rmsd(flat.pdb)<'"),
        ("rmsd(flat.pdb)<nan", r"cannot read 'rmsd(flat.pdb)<nan'"),
        ("rmsd(flat.pdb)=0:0.1", r"cannot read 'rmsd(flat.pdb)=0:0.1'"),
        ("rmsd()<0.05", r"cannot read 'rmsd()<0.05'"),
        ("far(flat.pdb)<0.05", r"cannot read 'far(flat.pdb)<0.05'"),
        ("rmsd(flat.pdb)<0", "rmsd.max_nm: Input should be greater than 0"),
        ("rmsd(flat.pdb)<-0.1", "rmsd.max_nm: Input should be greater than 0"),
        ("rmsd(flat.pdb)<0.1 rmsd(flat.pdb)<0.2", "names rmsd twice"),
        ("d=0.4:0.5 d=0.6:0.7", "names d twice"),
        ("d=0.4:0.5 d=0.6", "names d twice"),
        ("near(flat.pdb)", "neither a box"),
        ("near(flat.pdb) near(flat.pdb) kappa=5", "names near twice"),
        ("near(flat.pdb) kappa=0", "kappa: Input should be greater than 0"),
        ("near(flat.pdb) kappa=-5", "kappa: Input should be greater than 0"),
        ("near(flat.pdb) phi=0 kappa=5", "neither a box"),
        ("near(flat.pdb) rmsd(flat.pdb)<0.05", "neither a box"),
        ("rmsd(flat.pdb)<0.05 kappa=5", "neither a box"),
        ("phi=0 psi=0", "neither a box"),
        ("kappa=5", "neither a box"),
        ("phi=0:5 kappa=5", "neither a box"),
    ],
)
def test_a_region_that_is_none_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SpacetimeError, match="--avoid") as raised:
        parse_regions([text])
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"box": {"d": [0.4, float("inf")]}},
        {"box": {"d": [float("nan"), 0.5]}},
        {"box": {}},
        {"point": {"d": float("nan")}, "kappa": 50.0},
        {"point": {"d": 0.4}, "kappa": float("inf")},
        {"point": {"d": 0.4}},
        {"rmsd": {"file": "flat.pdb"}},
        {"rmsd": {"file": "flat.pdb", "max_nm": float("inf")}},
        {"rmsd": {"file": "", "max_nm": 0.1}},
        {"near": {"file": "flat.pdb", "sha256": "../../etc/passwd"}, "kappa": 50.0},
        {"near": {"file": "flat.pdb"}, "kappa": 50.0, "box": {"d": [0.4, 0.5]}},
    ],
)
def test_a_region_that_is_none_in_a_settings_file_is_one_sentence(entry: dict[str, Any]) -> None:
    data = parse_settings([]).model_dump()
    with pytest.raises(SpacetimeError, match="setting avoid"):
        validated({**data, "avoid": [entry]})


@pytest.mark.parametrize(
    ("coordinates", "text", "sentence"),
    [
        (PLANE, "omega=0:10", "names 'omega', which is none of the coordinates phi, psi"),
        (PLANE, "phi=0 psi=0 chi=0 kappa=5", "names 'chi', which is none of the coordinates phi, psi"),
        (PLANE, "phi=0 kappa=5", "'phi=0 kappa=5': a point wants every coordinate, and psi is left out"),
        (PLANE, "phi=-20:200", "'phi=-20:200': the range phi=-20:200 is not within -180 to 180 degrees"),
        (PLANE, "phi=20:20", "is empty; phi=-180:180 is the whole circle"),
        (PLANE, "phi=180:-180", "is empty"),
        (MIXED, "phi=-20:20 e=0.3:0.3", "the range e=0.3:0.3 is empty; it goes up from one distance to another, in nm"),
        (PAIRS, "d=0.3:0.2", "is empty"),
        (PAIRS, "d=-2:-1", "is empty"),
        (PLACES, "a_x=0:0.1", "no range can bound 'a_x': give an rmsd"),
        (PAIRS, f"d={away(90) - 0.01:.4f}:{away(90) + 0.01:.4f}", "the start structure lies in the forbidden region 'd="),
        (PLANE, "rmsd(none.pdb)<0.05", "--avoid none.pdb: there is no such file"),
        (PLANE, "near(.) kappa=5", "--avoid .: there is no such file"),
        (PLANE, "rmsd(other.pdb)<0.05", "'rmsd(other.pdb)<0.05': start.pdb has 5 atoms and other.pdb 4: residue 1 X lacks C4 in other.pdb"),
        (PLANE, "near(note.txt) kappa=5", "'near(note.txt) kappa=5': note.txt"),
        (PLANE, "rmsd(flat.pdb)<0.5", "the start structure lies in the forbidden region 'rmsd(flat.pdb)<0.5'"),
        (PLANE, "near(end.pdb) kappa=50", "the end structure lies in the forbidden region 'near(end.pdb) kappa=50'"),
    ],
)
def test_a_region_that_does_not_fit_the_molecule_is_one_sentence(here: Path, coordinates: Coordinates, text: str, sentence: str) -> None:
    lines = (here / "flat.pdb").read_text().splitlines()
    (here / "other.pdb").write_text("\n".join(line for line in lines if " C4 " not in line and not line.startswith("CONECT")))
    (here / "note.txt").write_text("ATOM of nothing")
    write_pdb(here / "end.pdb", HINGE.end)
    with pytest.raises(SpacetimeError) as raised:
        region(text, of(coordinates))
    assert sentence in str(raised.value)


def test_a_structure_is_kept_under_a_name_that_its_own_is_not_part_of(here: Path) -> None:
    storage, name = Memory(), "../" * 4 + "etc/passwd"
    kept = StructureFile(file=name).kept
    assert Path(kept).parent == Path("regions")
    assert kept == f"regions/{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    assert StructureFile(file="../x.cif.GZ").kept.endswith(".cif.gz")
    assert StructureFile(file="a.b/c").kept == f"regions/{hashlib.sha256(b'a.b/c').hexdigest()[:12]}"
    (box, near), contents = collected(parse_regions(["rmsd(flat.pdb)<0.03", "near(flat.pdb) kappa=9"]), storage)
    content = (here / "flat.pdb").read_bytes()
    assert contents == {StructureFile(file="flat.pdb").kept: content}
    assert isinstance(box, ForbiddenBox)
    assert isinstance(near, ForbiddenStructure)
    assert box.rmsd is not None
    assert box.rmsd.sha256 == near.near.sha256 == hashlib.sha256(content).hexdigest()
    for path, kept_content in contents.items():
        storage.put_bytes(path, kept_content)
    (here / "flat.pdb").unlink()
    assert collected(parse_regions(["rmsd(flat.pdb)<0.03", "near(flat.pdb) kappa=9"]), storage) == ((box, near), contents)
    (here / "flat.pdb").write_bytes(content + b"REMARK\n")
    assert collected(parse_regions(["rmsd(flat.pdb)<0.03"]), storage)[0] != (box,), "another content is another region"
    assert collected([box], storage) == ((box,), {}), "what was read once is its copy"
    (other,), fresh = collected(parse_regions(["rmsd(flat.pdb)<0.03"]), storage)
    assert collected([other], storage) == ((other,), fresh), "another one's copy is not"


def test_stages_in_memory_read_the_structures_that_regions_name(here: Path) -> None:
    with Here(HINGE) as simulation:
        run_stages(HINGE, simulation, parse_settings([], avoid=parse_regions(["near(flat.pdb) kappa=9"])), stages=())
        assert simulation.storage.content(StructureFile(file="flat.pdb").kept) == (here / "flat.pdb").read_bytes()


# What lies in it ----------------------------------------------------------------------------------------------------------------------

DEGREES = np.array([-175.0, -100.0, -60.0, -31.0, -29.0, 0.0, 29.0, 31.0, 60.0, 100.0, 175.0])


def test_ranges_of_torsions_and_distances_are_those_of_a_state() -> None:
    low, high = float(away(30.0)), float(away(70.0))
    held = region(f"phi=150:-20 e={low!r}:{high!r}", of(MIXED))
    phi, psi = (x.ravel() for x in np.meshgrid(DEGREES, DEGREES))
    expected = ((phi >= 150.0) | (phi <= -20.0)) & (np.abs(psi) >= 30.0) & (np.abs(psi) <= 70.0)
    assert 0 < expected.sum() < expected.size
    x = placed(phi, psi)
    np.testing.assert_array_equal(held.contains(x), expected)
    np.testing.assert_array_equal(held.holds(MIXED.values(x)), expected)
    assert held.ranges == ((0, 150.0, -20.0), (1, pytest.approx(low), pytest.approx(high)))
    assert not held.round
    wide = held.wider(0.2)
    more = math.degrees(0.2)
    around = ((phi >= 150.0 - more) | (phi <= -20.0 + more)) & (away(psi) >= low - 0.02) & (away(psi) <= high + 0.02)
    assert around.sum() > expected.sum()
    np.testing.assert_array_equal(wide.contains(x), around)


def independent_rmsd(x: np.ndarray, reference: np.ndarray) -> float:
    _, apart = Rotation.align_vectors(reference - reference.mean(axis=0), x - x.mean(axis=0))
    return float(apart) / math.sqrt(len(x))


@pytest.mark.parametrize("coordinates", [PLANE, PAIRS, PLACES])
def test_an_rmsd_region_holds_frames_whatever_the_coordinates_are(here: Path, coordinates: Coordinates) -> None:
    held = region("rmsd(flat.pdb)<0.03", of(coordinates))
    phi, psi = (x.ravel() for x in np.meshgrid(np.linspace(-60.0, 60.0, 13), np.linspace(-60.0, 60.0, 13)))
    turn = Rotation.from_euler("xyz", [0.4, 1.0, -2.0])
    x = turn.apply(placed(phi, psi).reshape(-1, 3)).reshape(-1, 5, 3) + np.array([1.0, -2.0, 3.0])
    apart = np.array([independent_rmsd(f, placed(0.0, 0.0)[0]) for f in x])
    assert 0 < (apart <= 0.03).sum() < (apart <= 0.04).sum() < len(x)
    np.testing.assert_array_equal(held.contains(x), apart <= 0.03)
    np.testing.assert_array_equal(held.wider(0.1).contains(x), apart <= 0.04)
    assert held.ranges == ()
    assert not held.holds(coordinates.values(x)).any(), "values alone do not tell"
    both = region("rmsd(flat.pdb)<0.03 phi=5:90", of(PLANE))
    np.testing.assert_array_equal(both.contains(x), (apart <= 0.03) & (phi >= 5.0))
    assert both.ranges == (), "a range that is a part of what it asks is not where it is"


def test_an_rmsd_is_of_all_atoms_but_hydrogen_in_any_order(here: Path) -> None:
    text = (here / "flat.pdb").read_text().splitlines()
    atoms = [line for line in text if line.startswith(("ATOM", "HETATM"))]
    assert len(atoms) == 5
    (here / "shuffled.pdb").write_text("\n".join([*atoms[::-1], "END"]))
    one, other = (region(f"rmsd({file}.pdb)<0.03", HINGE) for file in ("flat", "shuffled"))
    x = placed(np.linspace(-60.0, 60.0, 25), 0.0)
    np.testing.assert_array_equal(one.contains(x), other.contains(x))
    assert 0 < one.contains(x).sum() < 25
    residue = next(HINGE.start.topology.residues())
    assert [a.name for a in residue.atoms()] == [f"C{k}" for k in range(5)]


def test_a_point_near_a_structure_is_at_its_values(here: Path) -> None:
    held = region("near(flat.pdb) kappa=50", of(MIXED))
    assert isinstance(held, Point)
    np.testing.assert_allclose(held.center, [0.0, 10.0 * away(0.0)], atol=2e-2)
    assert (held.kappa, held.round) == (50.0, True)
    same = region(f"phi=0 e={away(0.0):.8f} kappa=50", of(MIXED))
    assert isinstance(same, Point)
    np.testing.assert_allclose(same.center, [0.0, 10.0 * away(0.0)], atol=1e-12)
    # 2 D / kappa of 0.08: 0.2828 rad or 0.1 nm each way
    np.testing.assert_allclose([r[1:] for r in same.ranges], [[-16.2057, 16.2057], [0.15 - 0.028284, 0.15 + 0.028284]], atol=1e-4)
    at = same.center + np.array([[0.0, 0.282], [0.0, 0.284], [0.282, 0.0], [0.285, 0.0], [0.2, 0.19], [0.21, 0.21]])
    np.testing.assert_array_equal(same.holds(at), [True, False, True, False, True, False])
    phi = np.array([0.0, 15.0, 17.0, 90.0])
    np.testing.assert_array_equal(same.contains(placed(phi, 0.0)), [True, True, False, False])


def test_of_positions_a_point_holds_what_its_noise_leaves(here: Path) -> None:
    """Of Gaussian noise with precision kappa in 15 displacements a chi-square of 15 below 30: 98.8 %."""
    held = region("near(flat.pdb) kappa=80", of(PLACES))
    assert isinstance(held, Point)
    noise = np.random.default_rng(3).normal(size=(4000, 15)) / math.sqrt(80.0)
    assert held.holds(held.center + noise).mean() == pytest.approx(0.988, abs=0.006)
    assert not held.holds(held.center + 2.0 * noise).mean() > 0.1
    x = placed(0.0, 0.0)[0] @ Rotation.from_euler("xyz", [0.3, -1.0, 2.0]).as_matrix() + 0.7
    assert held.contains(x), "a molecule that is turned is where it was"
    assert passable(held, PLACES) == [], "no displacement alone leaves it"
    precision = np.full((32, 1), 25.0)
    through = lines.line(PLACES.family(), held.center - 1.0, np.full(15, 2.0), precision)
    assert held.holds(lines.center_line(through, PLACES.family())).any()
    assert detours(Route("r", (0,) * 15, through), [held], precision, PLACES) == []
    assert len(passable(region("near(flat.pdb) kappa=80", of(PAIRS)), PAIRS)) == 2


def test_frames_of_paths_are_counted_by_what_they_are(here: Path) -> None:
    storage = Memory()
    for k, phi in enumerate(([-90.0, 0.0, 10.0, 90.0], [-90.0, -150.0, 150.0, 90.0], [-90.0, 15.0])):
        storage.put_frames(f"g{k}.trr", frames(phi, 20.0), timestep=0.002, cell=None)
    asked, contents = collected(
        parse_regions([f"d={away(5.0):.8f}:{away(12.0):.8f}", "rmsd(flat.pdb)<0.02", "near(flat.pdb) kappa=30"]), storage
    )
    for name, content in contents.items():
        storage.put_bytes(name, content)
    near = [
        {"region": r.label, "lack_nats": 0.0, "divergence_nats": 3.0, "floor_nats": 10.0, "p_eta": 0.01, "center": None, "crosses": False}
        for r in asked
    ]
    rows = [type("Row", (), {"file": f"g{k}.trr"})() for k in range(3)]
    got = avoidance_summary(storage, asked, of(PAIRS), {"name": "r", "nearness": near}, rows)
    assert got is not None
    x = [placed(phi, 20.0) for phi in ([-90.0, 0.0, 10.0, 90.0], [-90.0, -150.0, 150.0, 90.0], [-90.0, 15.0])]
    by_hand = [
        [
            sum(away(5.0) <= d <= away(12.0) for d in away(phi))
            for phi in ([-90.0, 0.0, 10.0, 90.0], [-90.0, -150.0, 150.0, 90.0], [-90.0, 15.0])
        ],
        [sum(independent_rmsd(f, placed(0.0, 0.0)[0]) <= 0.02 for f in path) for path in x],
        [
            sum(100.0 * ((away(p) - away(0.0)) ** 2 + (away(20.0) - away(0.0)) ** 2) <= 4.0 / 30.0 for p in phi)
            for phi in ([-90.0, 0.0, 10.0, 90.0], [-90.0, -150.0, 150.0, 90.0], [-90.0, 15.0])
        ],
    ]
    assert [r["frames_inside"] for r in got["regions"]] == [sum(row) for row in by_hand]
    assert [r["paths_entering"] for r in got["regions"]] == [np.count_nonzero(row) for row in by_hand]
    assert by_hand[0] == [1, 0, 0]
    assert sum(by_hand[1]) > 0
    assert [set(r["ranges"]) for r in got["regions"]] == [{"d"}, set(), {"d", "e"}]
    assert [r["round"] for r in got["regions"]] == [False, False, True]
    assert got["regions"][0]["ranges"]["d"] == pytest.approx((away(5.0), away(12.0)))


# What keeps a curve away --------------------------------------------------------------------------------------------------------------

AXIS = np.linspace(-180.0, 180.0, 91)[:-1]
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)
TORUS = placed(*GRID.T)
FLAT = torch.from_numpy(PLANE.features(TORUS))


def kept(held: ForbiddenRegion, margin: float, floor: float = 7.0) -> tuple[Avoidance, WeightedSamples]:
    """What keeps out of a region on a flat torus, and samples of that."""
    avoidance = Avoidance([held], PLANE.family(), margin=margin, floor=floor)
    return avoidance, WeightedSamples(FLAT, torch.zeros(len(FLAT)), marks=torch.from_numpy(avoidance.marks(TORUS)))


def across(psi: float, kappa: float = 30.0) -> torch.Tensor:
    """The line from phi = -120 to 120 degrees."""
    s = torch.linspace(-120.0, 120.0, 33, dtype=torch.double)
    center = torch.deg2rad(torch.stack([s, torch.full_like(s, psi)], dim=-1))
    return PLANE.family().natural(center, torch.full_like(center, kappa))


def test_nearness_to_an_rmsd_region_agrees_with_sums_over_the_frames(here: Path) -> None:
    held = region("rmsd(flat.pdb)<0.03", HINGE)
    avoidance, samples = kept(held, 0.1)
    curve = across(50.0)
    (near,) = avoidance.nearness(curve.numpy(), samples)
    apart = np.array([independent_rmsd(x, placed(0.0, 0.0)[0]) for x in TORUS])
    weight = torch.softmax(FLAT @ curve.T, dim=0).numpy()
    assert near.probability == pytest.approx(weight[apart <= 0.03].sum(0).max())
    assert near.divergence == pytest.approx(-math.log(weight[apart <= 0.04].sum(0).max()))
    assert not near.crosses
    assert near.lack == pytest.approx(0.9 * 7.0 - near.divergence)
    (inside,) = avoidance.nearness(across(0.0).numpy(), samples)
    assert inside.probability == pytest.approx(torch.softmax(FLAT @ across(0.0).T, dim=0).numpy()[apart <= 0.03].sum(0).max())
    wide = kept(held.wider(0.4), 0.0)
    assert wide[0].nearness(across(0.0).numpy(), wide[1])[0].probability > 0.5
    assert wide[0].nearness(across(0.0).numpy(), wide[1])[0].crosses, "most of p_eta is in it"
    assert wide[0].crossed(across(0.0).numpy(), wide[1])
    assert not avoidance.crossed(curve.numpy(), samples)


@pytest.mark.parametrize(("text", "inside"), [("rmsd(flat.pdb)<0.04", 0.04), (f"d=0.1:{away(20.0):.8f} e=0.1:{away(40.0):.8f}", None)])
def test_the_penalty_takes_a_curve_out(here: Path, text: str, inside: float | None) -> None:
    """Of an RMSD, in torsions, and of a box of distances that torsions make."""
    held = region(text, HINGE if inside else of(PAIRS))
    avoidance, samples = kept(held, 0.02)
    curve = across(4.0)
    (before,) = avoidance.nearness(curve.numpy(), samples)
    unit = lines.straight_energy(curve, samples, PLANE.family())
    assert before.lack > 4.0
    for weight in (0.3, 3.0, 30.0):
        penalties = [LowVariance(PLANE.family(), 30.0, weight=1e4), *avoidance.penalties(samples, curve[[0, -1]], weight=weight * unit)]
        assert len(penalties) == 2
        curve = minimise(curve, samples, penalties, family=PLANE.family(), nodes=10, points=33, evaluations=60).eta
    (near,) = avoidance.nearness(curve.numpy(), samples)
    assert near.lack == 0.0
    assert near.probability < math.exp(-0.9 * 7.0)
    center = np.degrees(lines.centers(curve.numpy(), PLANE.family()))
    assert not held.contains(placed(*center.T)).any()


def test_a_penalty_acts_up_to_the_margin_and_not_without_samples(here: Path) -> None:
    """Of points that stay at phi = 0 and 60, mean over both; -log of the weight within the margin."""
    held = region(f"d=0.1:{away(20.5):.8f}", of(PAIRS))
    avoidance, samples = kept(held, 0.05, floor=9.0)
    curve, ends = across(10.0)[[16, 24]], across(10.0)[[0, -1]]
    weight = torch.softmax(FLAT @ curve.T, dim=0).numpy()
    around = away(GRID[:, 0]) <= away(20.5) + 0.005
    assert (weight[around].sum(0) > 1.02 * weight[away(GRID[:, 0]) <= away(20.5)].sum(0)).all(), "the margin holds weight"
    lack = np.maximum(1.0 + np.log(weight[around].sum(0)) / 9.0, 0.0)
    assert (lack > 0.1).all()
    (penalty,) = avoidance.penalties(samples, ends, weight=2.0)
    assert float(penalty(curve, samples.moments(curve))) == pytest.approx(2.0 * (lack**2).mean())
    outside = samples.restricted(torch.from_numpy(~around))
    assert avoidance.penalties(outside, ends, weight=2.0) == []
    near = samples.supporting(curve)
    assert len(near.features) < len(FLAT)
    np.testing.assert_array_equal(near.marks, avoidance.marks(placed(*np.degrees(PLANE.family().center(near.features).numpy()).T)))


def test_a_point_of_distances_is_as_far_as_gaussians_are() -> None:
    """On a flat line p_eta is normal: KL of two is closed."""
    line = Distances(("d",), ((0, 3),))
    grid = np.linspace(-2.0, 12.0, 2801)[:, None]
    samples = WeightedSamples(torch.from_numpy(np.concatenate([grid, grid**2], axis=1)), torch.zeros(len(grid)))
    point = Point("p", np.array([4.0]), 40.0, line)
    eta = lines.at_precision(Cartesian(1), np.array([[4.5], [6.0]]), np.array([[10.0], [20.0]]))
    divergence = point.divergence(samples, torch.ones(len(grid), dtype=torch.bool))
    curve = torch.from_numpy(eta)
    closed = [0.5 * (k * ((c - 4.0) ** 2 + 1.0 / 40.0) - 1.0 + math.log(40.0 / k)) for c, k in ((4.5, 10.0), (6.0, 20.0))]
    np.testing.assert_allclose(divergence(curve, samples.moments(curve)), closed, rtol=1e-6)


@pytest.mark.parametrize("wanted", [0.0, 20.0, 55.0, 90.0, 200.0, 450.0, 900.0])
def test_as_much_of_a_margin_counts_as_the_ends_of_a_curve_keep(here: Path, wanted: float) -> None:
    """From phi = -120 to 120, past phi from -20.5 to 20.5: of the shares 1, 1/2, 1/4, 1/8 and 0 the first that leaves 0.9 of 5 nats."""
    avoidance, samples = kept(region("phi=-20.5:20.5", HINGE), math.radians(wanted), floor=5.0)
    curve = across(20.0)
    weight = torch.softmax(FLAT @ curve.T, dim=0).numpy()

    def nats(share: float) -> np.ndarray:
        return -np.log(weight[np.abs(GRID[:, 0]) <= 20.5 + share * wanted].sum(0))

    share = next(s for s in (1.0, 0.5, 0.25, 0.125, 0.0) if s == 0.0 or nats(s)[[0, -1]].min() >= 4.5)
    (near,) = avoidance.nearness(curve.numpy(), samples)
    assert near.margin == share
    assert near.divergence == pytest.approx(nats(share).min(), abs=1e-9)
    (penalty,) = avoidance.penalties(samples, curve[[0, -1]], weight=1.0)
    assert float(penalty(curve, samples.moments(curve))) == pytest.approx((np.maximum(1.0 - nats(share) / 5.0, 0.0) ** 2).mean())
    assert share == {0.0: 1.0, 20.0: 1.0, 55.0: 1.0, 90.0: 0.5, 200.0: 0.25, 450.0: 0.125, 900.0: 0.0}[wanted]


def test_a_point_has_no_margin_that_could_be_cut(here: Path) -> None:
    avoidance, samples = kept(region("phi=0 psi=0 kappa=9", HINGE), 0.2, floor=1e4)
    (near,) = avoidance.nearness(across(20.0).numpy(), samples)
    assert near.margin == 1.0
    (cut,) = kept(region("rmsd(flat.pdb)<0.03", HINGE), 3.0)[0].nearness(
        across(20.0).numpy(), kept(region("rmsd(flat.pdb)<0.03", HINGE), 3.0)[1]
    )
    assert cut.margin < 1.0


def test_the_run_says_which_region_has_no_detours(here: Path) -> None:
    storage = Memory()
    asked, contents = collected(parse_regions(["phi=-52:-40", "rmsd(flat.pdb)<0.03"]), storage)
    for name, content in contents.items():
        storage.put_bytes(name, content)
    with Here(HINGE, storage=storage) as simulation:
        work = Rounds(HINGE, simulation, ExplorationSettings(avoid=asked), Ends(HINGE, [letters("aa")], [letters("bb")]), seed=1)
        through = lines.line(PLANE.family(), np.radians([-90.0, 20.0]), np.radians([180.0, 0.0]), work.precisions())
        work.past_regions([Route("clear", (0, 0), through)])
        assert simulation.told.lines == []
        work.past_regions([Route("in", (0, 0), through, nearness=(Nearness("x", None, 10.0, 0.0, None, True),))])
        assert simulation.told.lines == ["  no detours are tried past the region 'rmsd(flat.pdb)<0.03': no range of a coordinate bounds it"]


def test_detours_pass_a_box_of_distances_on_either_side() -> None:
    """d from 2 to 6 at e = 3, 64 points; a box of d 3.5 to 4.5, e 2 to 3.5; 3 / sqrt(25) is 0.6."""
    precision = np.full((64, 1), 25.0)
    curve = lines.line(PAIRS.family(), np.array([2.0, 3.0]), np.array([4.0, 0.0]), precision)
    held = region("d=0.35:0.45 e=0.2:0.35", of(PAIRS))
    found = detours(Route("r", (0, 0), curve), [held], precision, PAIRS)
    assert [r.name for r in found] == ["r_past_e+0.14", "r_past_e+0.41"]
    for route, way in zip(found, (-1.6, 1.1), strict=True):
        center = lines.centers(route.eta, PAIRS.family())
        np.testing.assert_allclose(center[:, 0], np.linspace(2.0, 6.0, 64), atol=1e-9)
        np.testing.assert_allclose(center[[0, 10, 24, 32, 39, 53, 63], 1] - 3.0, [0.0, 0.0, way, way, way, 0.0, 0.0], atol=1e-9)


# What is told of it -------------------------------------------------------------------------------------------------------------------


def shapes(ranges: dict[str, list[float]], *, ball: bool = False, coordinates: Coordinates = MIXED) -> list[np.ndarray]:
    """Outlines in the plane of the two coordinates, phi from -180 to 180 and e from 1 to 4."""
    axes, run = Figure().subplots(), SimpleNamespace(coordinates=coordinates)
    limits = [(-180.0, 180.0), (1.0, 4.0)]
    figures._draw_forbidden(axes, run, {"region": "r", "ranges": ranges, "round": ball}, 0, 1, limits)
    return [np.asarray(patch.get_path().vertices)[:-1] for patch in axes.patches]


def test_regions_are_drawn_where_they_are_and_what_bounds_nothing_is_not() -> None:
    (box,) = shapes({"phi": [-25.0, 25.0], "e": [2.0, 3.0]})
    np.testing.assert_allclose(box, [[-25.0, 2.0], [25.0, 2.0], [25.0, 3.0], [-25.0, 3.0]])
    across = shapes({"phi": [150.0, -160.0]})
    assert len(across) == 2
    np.testing.assert_allclose(across[0], [[-180.0, 1.0], [-160.0, 1.0], [-160.0, 4.0], [-180.0, 4.0]])
    np.testing.assert_allclose(across[1], [[150.0, 1.0], [180.0, 1.0], [180.0, 4.0], [150.0, 4.0]])
    assert shapes({}) == []
    assert shapes({"psi": [0.0, 20.0]}) == []
    round_ = shapes({"phi": [-200.0, -160.0], "e": [2.0, 3.0]}, ball=True)
    assert {int(outline[:, 0].mean().round()) for outline in round_} >= {-180, 180}, "again on the other side"
    for outline in round_:
        apart = np.hypot((outline[:, 0] - outline[:, 0].mean().round()) / 20.0, (outline[:, 1] - 2.5) / 0.5)
        np.testing.assert_allclose(apart, 1.0, atol=0.05)


def test_the_report_lists_every_region_and_says_which_it_does_not_draw() -> None:
    counts = {"paths": 4, "paths_entering": 1, "frames": 40, "frames_inside": 3, "p_eta": 0.01, "divergence_nats": 3.0, "floor_nats": 10.0,
              "lack_nats": 6.0, "crosses": False, "margin_share": 0.25}  # fmt: skip
    avoid = {"regions": [
        {"region": "d=0.4:0.5", "ranges": {"d": [4.0, 5.0]}, **counts}, {"region": "rmsd(a.pdb)<0.05", "ranges": {}, **counts},
    ]}  # fmt: skip
    text = page._forbidden(avoid)
    assert "<td>d=0.4:0.5</td><td>1 of 4</td><td>3 of 40</td>" in text
    assert "<td>rmsd(a.pdb)&lt;0.05</td><td>1 of 4</td>" in text
    assert "Not drawn, since no coordinate bounds it: rmsd(a.pdb)&lt;0.05." in text
    assert "Not drawn" not in page._forbidden({"regions": avoid["regions"][:1]})


@pytest.mark.parametrize(
    ("coordinates", "place"), [(PAIRS, ", nearest at d 0.30, e 0.21: 3.0 nats"), (PLACES, ", at its nearest 3.0 nats")]
)
def test_the_sentence_on_a_region_has_the_units_of_its_place(coordinates: Coordinates, place: str) -> None:
    near = {"region": "r", "lack_nats": 6.0, "divergence_nats": 3.0, "floor_nats": 10.0, "p_eta": 0.05, "crosses": False,
            "center": (0.304, 0.206, *[0.0] * 13)[: len(coordinates.names)]}  # fmt: skip
    assert f"up to 0.05{place} from it and its margin, 10 are wanted" in str(cannot_be_met({"name": "q", "nearness": [near]}, coordinates))
