"""Systems that Amber, GROMACS and CHARMM prepared: the energy is the one they mean, and what cannot be used is a sentence."""

from pathlib import Path

import four_carbons
import numpy as np
import openmm
import openmmtools
import pytest
import yaml
from openmm import app, unit
from small import SMALL
from typer.testing import CliRunner

from spacetime_tps.cli import app as command_line
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.ends import two_ends_of
from spacetime_tps.molecules.prepared import files_of, read_prepared
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.snapshots import snapshot_of
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, bundled_systems, load_system, two_structures
from spacetime_tps.progress import Silent
from spacetime_tps.results.results import open as open_run

DATA = Path(openmmtools.__file__).parent / "data"
PRMTOP = DATA / "alanine-dipeptide-gbsa" / "alanine-dipeptide.prmtop"
ALANINE = bundled_systems()["alanine_dipeptide"]


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    folder = tmp_path / "chain"
    folder.mkdir()
    four_carbons.write(folder)
    return folder


def prepared(spec: SystemSpec) -> Problem:
    return prepare(spec, DynamicsSettings(platform="Reference"))


def energy(system: openmm.System, positions: np.ndarray) -> float:
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    return float(context.getState(getEnergy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))


@pytest.mark.parametrize(("name", "parameters"), [("chain.top", ()), ("chain.psf", ("chain.prm",))])
def test_the_energy_is_what_the_files_of_gromacs_and_charmm_mean(name: str, parameters: tuple[str, ...], chain: Path) -> None:
    # CHARMM's parameters pass through kcal and degrees: a relative 1e-6 of the terms, which sum to tens of kJ/mol.
    found = read_prepared(chain / name, [chain / p for p in parameters])
    rng = np.random.default_rng(2)
    for torsion in (-100.0, 20.0, 178.0):
        x = four_carbons.placed(torsion) + rng.normal(0.0, 0.004, (4, 3))
        assert energy(found.system, x) == pytest.approx(four_carbons.energy(x), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("system", "parameters", "suffix", "tolerance"),
    [("chain.top", (), "gro", 5e-4), ("chain.psf", ("chain.prm",), "crd", 5e-7), ("chain.top", (), "rst7", 5e-9)],
)
def test_positions_come_from_a_programs_own_files(
    system: str, parameters: tuple[str, ...], suffix: str, tolerance: float, chain: Path
) -> None:
    problem = prepared(
        two_structures(
            chain / f"gauche.{suffix}", chain / f"trans.{suffix}", system=chain / system, parameters=[chain / p for p in parameters]
        )
    )
    assert problem.coordinates.names == ("BUT1_C2_C3",)
    np.testing.assert_allclose(np.degrees(problem.ends), [[70.0], [180.0]], atol=5.0)
    assert problem.zero == pytest.approx(four_carbons.energy(problem.start.positions), abs=1e-5)
    topology = read_prepared(chain / system, [chain / p for p in parameters]).topology
    assert topology is not None
    read = snapshot_of((chain / f"gauche.{suffix}").read_bytes(), f"gauche.{suffix}", topology, system)
    np.testing.assert_allclose(read.positions, four_carbons.placed(62.0), atol=1.01 * tolerance)


def test_an_amber_system_gives_openmms_own_energy_whatever_order_the_structures_are_in() -> None:
    """Both PDB files are in the order of OpenMM's own force field, and Amber's names of hydrogens differ."""
    problem = prepared(two_structures(ALANINE / "c5.pdb", ALANINE / "c7ax.pdb", system=PRMTOP))
    file = app.AmberPrmtopFile(str(PRMTOP))
    own = file.createSystem(nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False, removeCMMotion=False)
    for structure in (problem.start, problem.end):
        assert Potential(problem.model)(structure.positions)[0] == pytest.approx(energy(own, structure.positions), abs=1e-6)
        assert [a.element.symbol for a in structure.topology.atoms()] == [a.element.symbol for a in file.topology.atoms()]
        bonds = [{frozenset((a.index, b.index)) for a, b in t.bonds()} for t in (structure.topology, file.topology)]
        assert bonds[0] == bonds[1]
        lengths = [np.linalg.norm(structure.positions[a] - structure.positions[b]) for a, b in bonds[0]]
        assert 0.09 < min(lengths) < max(lengths) < 0.16
    assert problem.coordinates.names == ("ALA2_N_CA", "ALA2_CA_C")
    assert np.degrees(problem.ends[0][0]) < -100.0
    assert 30.0 < np.degrees(problem.ends[1][0]) < 100.0


def test_hydrogens_that_an_end_lacks_are_put_in_and_water_is_left_out(tmp_path: Path) -> None:
    lines = (ALANINE / "c7ax.pdb").read_text().splitlines(keepends=True)
    heavy = [x for x in lines if x.startswith(("ATOM", "HETATM")) and x[76:78].strip() != "H"]
    water = "HETATM   99  O   HOH B   9      30.000  30.000  30.000  1.00  0.00           O\n"
    (tmp_path / "bare.pdb").write_text("".join([*heavy, water]))
    whole = prepared(two_structures(ALANINE / "c5.pdb", ALANINE / "c7ax.pdb", system=PRMTOP))
    said: list[str] = []

    class Listener(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    bare = prepare(
        two_structures(ALANINE / "c5.pdb", tmp_path / "bare.pdb", system=PRMTOP), DynamicsSettings(platform="Reference"), Listener()
    )
    np.testing.assert_allclose(bare.ends, whole.ends, atol=0.02)
    assert any("bare.pdb: 1 water molecule left out: alanine-dipeptide.prmtop has none" in text for text in said)
    assert any("bare.pdb lacks 12 hydrogens" in text or "bare.pdb lacks" in text for text in said)


def test_a_run_from_a_gromacs_topology_keeps_a_system_of_its_own(chain: Path, tmp_path: Path) -> None:
    words = ["--start", str(chain / "gauche.gro"), "--end", str(chain / "trans.gro"), "--system", str(chain / "chain.top")]
    settings = [word for assignment in SMALL for word in ("--set", assignment)]
    command = ["run", *words, "--out", str(tmp_path / "out"), *settings]
    result = CliRunner().invoke(command_line, command)
    assert result.exit_code == 0, result.output
    for file in chain.iterdir():
        file.unlink()
    found = open_run(tmp_path / "out")
    assert len(found.paths) == 2
    kept = openmm.XmlSerializer.deserialize((tmp_path / "out" / "system.xml").read_text())
    x = four_carbons.placed(50.0)
    assert energy(kept, x) == pytest.approx(four_carbons.energy(x), rel=1e-6)


def test_a_system_yaml_names_a_prepared_system_and_its_files_beside_it(chain: Path) -> None:
    def written(**entries: object) -> SystemSpec:
        (chain / "system.yaml").write_text(yaml.safe_dump({"name": "chain", "start": "gauche.crd", "end": "trans.crd", **entries}))
        return load_system(chain)

    spec = written(system="chain.psf", parameters=["chain.prm"])
    problem = prepared(spec)
    assert problem.zero == pytest.approx(four_carbons.energy(problem.start.positions), abs=1e-5)
    assert set(spec.inputs()) == {"start", "end", "system", "parameters 1 chain.prm"}
    before = spec.fingerprint()
    (chain / "chain.prm").write_text(four_carbons.PRM.replace(" 3 0.0", " 1 0.0"))
    assert spec.fingerprint() != before


def test_what_a_gromacs_topology_includes_is_part_of_what_a_run_is_of(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "field").mkdir()
    (chain / "chain.itp").rename(tmp_path / "field" / "chain.itp")
    with pytest.raises(
        SpacetimeError, match=r"chain.top: Could not locate #include file: chain.itp; give the folder that holds it by --para"
    ):
        read_prepared(chain / "chain.top")
    given = {"system": chain / "chain.top", "parameters": [tmp_path / "field"]}
    assert files_of(*given.values()) == {"system": chain / "chain.top", "included chain.itp": tmp_path / "field" / "chain.itp"}
    spec = two_structures(chain / "gauche.gro", chain / "trans.gro", **given)
    x = four_carbons.placed(80.0)
    assert energy(read_prepared(*given.values()).system, x) == pytest.approx(four_carbons.energy(x), rel=1e-6)
    before = spec.fingerprint()
    (tmp_path / "field" / "chain.itp").write_text(four_carbons.ITP.replace(" 3\n[ pairs ]", " 1\n[ pairs ]"))
    assert spec.fingerprint() != before


def test_structure_files_are_brought_to_a_topologys_order(chain: Path) -> None:
    (chain / "turned.pdb").write_text(four_carbons.pdb(four_carbons.placed(178.0), order=(3, 1, 4, 2)))
    system = {"system": chain / "chain.psf", "parameters": [chain / "chain.prm"]}
    one, other = (prepared(two_structures(chain / "gauche.crd", chain / end, **system)) for end in ("trans.pdb", "turned.pdb"))
    np.testing.assert_array_equal(one.end.positions, other.end.positions)


CAPS = {"ACE": {"C": "CY", "O": "OY", "CH3": "CAY", "H1": "HY1", "H2": "HY2", "H3": "HY3"},
        "NME": {"N": "NT", "H": "HNT", "C": "CAT", "H1": "HT1", "H2": "HT2", "H3": "HT3"},
        "ALA": {"H": "HN"}}  # fmt: skip
"""As CHARMM's patches ACE and CT3 name them, in the residue that they are put on"""


def patched(structure: Structure) -> str:
    """A psf of alanine dipeptide with its caps in one residue, bonds and charges alone."""
    atoms = [(a.element.symbol, CAPS[a.residue.name].get(a.name, a.name), a.element.mass._value) for a in structure.topology.atoms()]
    rows = [f"{k:8d} P    1    ALA  {name:4s} {symbol:4s} {0.0:10.6f}     {mass:9.4f}           0\n"
            for k, (symbol, name, mass) in enumerate(atoms, start=1)]  # fmt: skip
    ends = [k for a, b in structure.topology.bonds() for k in (a.index + 1, b.index + 1)]
    bonds = "".join("".join(f"{k:8d}" for k in ends[i : i + 8]) + "\n" for i in range(0, len(ends), 8))
    none = "".join(f"       0 !{name}\n\n" for name in ("NTHETA: angles", "NPHI: dihedrals", "NIMPHI: impropers", "NDON", "NACC", "NNB"))
    head = f"PSF\n\n       1 !NTITLE\n REMARKS x\n\n{len(rows):8d} !NATOM\n"
    return f"{head}{''.join(rows)}\n{len(ends) // 2:8d} !NBOND: bonds\n{bonds}\n{none}"


def test_caps_that_charmm_puts_into_a_residue_keep_their_bonds_in_a_pdb_file(tmp_path: Path) -> None:
    """OpenMM's PDB reader bonds HT1, HT2 and HT3 of a methylamide to the nitrogen of the residue, and CAY to nothing."""
    structure = load_structure(ALANINE / "c5.pdb")
    pairs = [(a, b) for k, a in enumerate("HCNO") for b in "HCNO"[k:]]
    (tmp_path / "x.psf").write_text(patched(structure))
    (tmp_path / "x.prm").write_text(
        "* x\n*\nATOMS\n" + "".join(f"MASS -1 {a} {m}\n" for a, m in zip("HCNO", (1.008, 12.011, 14.007, 15.999), strict=True))
        + "BONDS\n" + "".join(f"{a} {b} 300.0 1.2\n" for a, b in pairs)
        + "NONBONDED\n" + "".join(f"{a} 0.0 -0.1 1.5\n" for a in "HCNO") + "END\n"
    )  # fmt: skip
    topology = read_prepared(tmp_path / "x.psf", [tmp_path / "x.prm"]).topology
    assert topology is not None
    ends = two_ends_of(topology, "x.psf", ALANINE / "c5.pdb", ALANINE / "c7ax.pdb", keep_names=False)
    write_pdb(tmp_path / "x.pdb", ends.end)
    bonds = [
        {frozenset((a.index, b.index)) for a, b in t.bonds()} for t in (load_structure(tmp_path / "x.pdb").topology, structure.topology)
    ]
    assert bonds[0] == bonds[1]
    lengths = [np.linalg.norm(s.positions[a] - s.positions[b]) for s in (ends.start, ends.end) for a, b in bonds[0]]
    assert 0.09 < min(lengths) < max(lengths) < 0.16
