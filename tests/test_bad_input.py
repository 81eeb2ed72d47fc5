"""What users bring that cannot be used: one sentence, exit code 2, nothing written."""

import base64
import pickle
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import four_carbons
import openmm
import openmmtools
import pytest
import yaml
from four_carbons import gro, placed
from typer.testing import CliRunner

from spacetime_tps.cli import app
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.forcefield import deserialised
from spacetime_tps.problems.system import bundled_systems

FOLDER = bundled_systems()["alanine_dipeptide"]
RING = bundled_systems()["cyclohexane"]
Change = Callable[[str], str]


def told(words: list[str], out: Path, *, code: int = 2) -> str:
    """What a command that fails says, in one line; nothing is left behind."""
    result = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert not out.exists()
    text = " ".join(result.output.split())
    assert text.startswith("error: "), text
    assert "Traceback" not in text
    return text


def replaced(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def at(atom: str, place: str) -> Change:
    """An atom's coordinates, 24 columns, replaced."""

    def change(text: str) -> str:
        lines = text.splitlines(keepends=True)
        k = next(k for k, line in enumerate(lines) if line.startswith(("ATOM", "HETATM")) and line[12:16].strip() == atom)
        lines[k] = lines[k][:30] + place + lines[k][54:]
        return "".join(lines)

    return change


def upon(atom: str, other: str) -> Change:
    """An atom at the place of another."""

    def change(text: str) -> str:
        line = next(x for x in text.splitlines() if x.startswith(("ATOM", "HETATM")) and x[12:16].strip() == other)
        return at(atom, line[30:54])(text)

    return change


def mirrored(text: str) -> str:
    """x to -x: every chiral centre of the other hand."""
    return "".join(
        f"{line[:30]}{-float(line[30:38]):8.3f}{line[38:]}" if line.startswith(("ATOM", "HETATM")) else line
        for line in text.splitlines(keepends=True)
    )


STRUCTURES: dict[str, tuple[Change, str]] = {
    "empty": (lambda t: "", "cannot be read as a PDB file"),
    "cut short": (lambda t: t[: len(t) // 2], "atoms and"),
    "a line cut short": (lambda t: t[: t.index("\n", 200) - 50] + "\n", "cannot be read as a PDB file"),
    "not a number": (at("CA", "     nan     nan     nan"), "ALA 2 CA are no numbers"),
    "infinite": (at("CA", "     inf     0.0     0.0"), "ALA 2 CA are no numbers"),
    "blank coordinates": (at("CA", " " * 24), "cannot be read as a PDB file"),
    "letters": (at("CA", "     one     two   three"), "cannot be read as a PDB file"),
    "one atom upon another": (upon("HB1", "CB"), "lie within 0.01 nm of each other"),
    "other hand": (mirrored, "are not one molecule: ALA 2 CA is of the other hand"),
    "an atom twice": (replaced(" HB2 ALA", " HB1 ALA"), ""),
    "another residue": (lambda t: t.replace(" ALA ", " GLY "), "lacks"),
    "water": (lambda t: t.replace(" ALA ", " HOH "), "lacks residue 2 ALA"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_that_cannot_be_used_is_a_sentence(name: str, tmp_path: Path) -> None:
    change, sentence = STRUCTURES[name]
    (tmp_path / "bad.pdb").write_text(change((FOLDER / "c7ax.pdb").read_text()))
    words = ["run", "--start", str(FOLDER / "c5.pdb"), "--end", str(tmp_path / "bad.pdb"), "--forcefield", "amber99sbildn.xml"]
    assert sentence in told(words, tmp_path / "out")


@pytest.mark.parametrize("content", [b"\x00\x01\x02" * 100, b"\xff\xfe" * 50, b"HEADER\n" * 3, b"data_x\nloop_\n"])
def test_a_file_that_is_no_pdb_file_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.pdb").write_bytes(content)
    words = ["run", "--start", str(tmp_path / "bad.pdb"), "--end", str(FOLDER / "c7ax.pdb"), "--forcefield", "amber99sbildn.xml"]
    assert "bad.pdb" in told(words, tmp_path / "out")


def test_a_folder_is_no_structure(tmp_path: Path) -> None:
    words = ["run", "--start", str(tmp_path), "--end", str(FOLDER / "c7ax.pdb"), "--forcefield", "amber99sbildn.xml"]
    assert "there is no such file" in told(words, tmp_path / "out")


def system(tmp_path: Path, content: str | bytes) -> list[str]:
    folder = tmp_path / "system"
    folder.mkdir()
    for name in ("c5.pdb", "c7ax.pdb"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    (folder / "system.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    return ["run", str(folder)]


GOOD = yaml.safe_load((FOLDER / "system.yaml").read_text())
VALUES = {
    "temperature_K: true": ({"temperature_K": True}, "temperature_K"),
    "temperature_K: .inf": ({"temperature_K": float("inf")}, "temperature_K"),
    "temperature_K: .nan": ({"temperature_K": float("nan")}, "temperature_K"),
    "temperature_K: 0": ({"temperature_K": 0}, "temperature_K"),
    "temperature_K: a word": ({"temperature_K": "warm"}, "temperature_K"),
    "friction .inf": ({"friction_per_ps": float("inf")}, "friction_per_ps"),
    "timestep -1": ({"timestep_fs": -1}, "timestep_fs"),
    "an empty box": ({"states": {"A": [{}], "B": [{"phi": [30, 100]}]}}, "state A holds no range"),
    "no box": ({"states": {"A": [], "B": [{"phi": [30, 100]}]}}, "state A holds no range"),
    "one state": ({"states": {"A": [{"phi": [30, 100]}]}}, "states must hold A and B"),
    "a range with nan": ({"states": {"A": [{"phi": [float("nan"), 0]}], "B": [{"phi": [30, 100]}]}}, "states"),
    "a range with true": ({"states": {"A": [{"phi": [True, 0]}], "B": [{"phi": [30, 100]}]}}, ""),
    "an unknown coordinate": ({"states": {"A": [{"omega": [-180, 0]}], "B": [{"phi": [30, 100]}]}}, "omega"),
    "an unknown key": ({"temperature": 300}, "temperature"),
    "an unknown kind": ({"coordinates": ["angles"]}, "angles"),
    "no start": ({"start": None}, "start"),
    "a start that is not there": ({"start": "gone.pdb"}, "there is no such file"),
    "no energy": ({"forcefield": []}, "give either a forcefield or a system"),
    "a number for a name": ({"name": 3}, "name"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_system_that_cannot_be_used_is_a_sentence(name: str, tmp_path: Path) -> None:
    changed, sentence = VALUES[name]
    assert sentence in told(system(tmp_path, yaml.safe_dump({**GOOD, **changed})), tmp_path / "out")


BILLION = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 10)}]\n" for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "a list": ("- 1\n- 2\n", "must hold keys and values"),
    "nothing": ("", "must hold keys and values"),
    "not YAML": ("name: [1, 2\n", "is not valid YAML"),
    "not UTF-8": (b"name: \xff\xfe\n", "is not valid YAML"),
    "nested a million times": ("[" * 5_000, "is nested too deeply"),
    "a million brackets": ("[" * 1_000_000, "has more than 100000 bytes"),
    "aliases of aliases": (BILLION, "has more than 20 aliases"),
    "a tag": ("name: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
    "a date that is none": ("name: 2026-99-99\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_system_is_a_sentence(name: str, tmp_path: Path) -> None:
    content, sentence = TEXTS[name]
    assert sentence in told(system(tmp_path, content), tmp_path / "out")


SETTINGS = {
    "seed=99999999999999999999999": "setting seed",
    "seed=-1": "setting seed",
    "seed=true": "setting seed",
    "guided.paths=1.5": "setting guided.paths",
    "dynamics.friction_per_ps=.inf": "setting dynamics.friction_per_ps",
    "dynamics.timestep_fs=.nan": "setting dynamics.timestep_fs",
    "windows.count=[1]": "setting windows.count",
    "unbiased.budget=-4": "setting unbiased.budget",
    "geodesic={}": "unknown setting 'geodesic'",
}


@pytest.mark.parametrize("assignment", SETTINGS)
def test_a_setting_that_cannot_be_is_a_sentence(assignment: str, tmp_path: Path) -> None:
    assert SETTINGS[assignment] in told(["run", "alanine_dipeptide", "--set", assignment], tmp_path / "out")


RAN: list[str] = []


def _code() -> object:
    RAN.append("code of the file")
    return None


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return (_code, ())


def xml_with_code() -> str:
    """A System whose PythonForce holds a pickle that runs code."""
    text = (RING / "system.xml").read_text()
    pickled = base64.b64encode(pickle.dumps(Payload())).decode()
    force = f'<Force type="PythonForce" version="1" computation="{pickled}" forceGroup="0" name="x" usesPeriodic="0"/>'
    return text.replace("</Forces>", force + "\n</Forces>", 1)


def with_force(text: str, force: openmm.Force) -> str:
    """A System with one more force."""
    system = openmm.XmlSerializer.deserialize(text)
    system.addForce(force)
    return openmm.XmlSerializer.serialize(system)


XML: dict[str, tuple[Change, str]] = {
    "cut short": (lambda t: t[: len(t) // 2], "cannot be read as a serialised OpenMM System"),
    "empty": (lambda t: "", "cannot be read as a serialised OpenMM System"),
    "a state": (lambda t: "<State/>", "cannot be read as a serialised OpenMM System"),
    "one particle less": (lambda t: re.sub(r"<Particle mass[^>]*/>", "", t, count=1), "particles, and"),
    "a barostat": (lambda t: with_force(t, openmm.MonteCarloBarostat(1.0, 300.0)), "holds a MonteCarloBarostat: take it out"),
    "a thermostat": (lambda t: with_force(t, openmm.AndersenThermostat(300.0, 1.0)), "holds a AndersenThermostat: take it out"),
    "code": (lambda t: xml_with_code(), "holds a PythonForce"),
    "code, by entities": (lambda t: xml_with_code().replace('"PythonForce"', '"&#80;ythonForce"'), "holds a PythonForce"),
}  # fmt: skip


@pytest.mark.parametrize("name", XML)
def test_a_system_xml_that_cannot_be_used_is_a_sentence(name: str, tmp_path: Path) -> None:
    change, sentence = XML[name]
    folder = tmp_path / "system"
    folder.mkdir()
    for file in RING.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "system.xml").write_text(change((RING / "system.xml").read_text()))
    assert sentence in told(["run", str(folder)], tmp_path / "out")
    assert not RAN


def test_code_is_not_run_when_a_finished_runs_system_is_read() -> None:
    with pytest.raises(SpacetimeError, match="code that would run"):
        deserialised(xml_with_code(), "system.xml")
    assert not RAN
    assert isinstance(deserialised((RING / "system.xml").read_text(), "system.xml"), openmm.System)


def test_a_few_bytes_changed_give_no_traceback() -> None:
    fuzz = runpy.run_path(str(Path(__file__).parent.parent / "workflows" / "fuzz.py"))["fuzz"]
    assert fuzz(240, 11) == []


PREPARED = Path(openmmtools.__file__).parent / "data"
AMBER = PREPARED / "alanine-dipeptide-gbsa" / "alanine-dipeptide.prmtop"
WET = PREPARED / "alanine-dipeptide-explicit" / "alanine-dipeptide.prmtop"
FOUR = {"--start": "gauche.gro", "--end": "trans.gro", "--system": "chain.top"}
CHARMM = {"--start": "gauche.crd", "--end": "trans.crd", "--system": "chain.psf", "--parameters": "chain.prm"}
Files = dict[str, Change]
SYSTEMS_OF_OTHERS: dict[str, tuple[dict[str, str], Files, str]] = {
    "no parameters": ({**CHARMM, "--parameters": ""}, {}, "chain.psf wants CHARMM's parameter files: give them by --parameters"),
    "parameters that are not there": ({**CHARMM, "--parameters": "gone.prm"}, {}, "gone.prm: there is no such file"),
    "parameters of no use": ({**FOUR, "--parameters": "chain.prm"}, {}, "--parameters wants the one folder that holds what it includes"),
    "parameters of an Amber file": ({**FOUR, "--system": str(AMBER), "--parameters": "chain.prm"}, {}, "holds its parameters itself"),
    "parameters of a force field": (
        {**FOUR, "--system": "", "--forcefield": "amber99sbildn.xml", "--parameters": "chain.prm"},
        {},
        "parameters are of a prepared system: give that too",
    ),
    "parameters that lack a type": (CHARMM, {"chain.prm": lambda t: t.replace("CT CT CT ", "CX CX CX ")}, "a system of with chain.prm"),
    "parameters cut short": (CHARMM, {"chain.prm": lambda t: t[:60]}, "a system of with chain.prm"),
    "parameters that are none": (CHARMM, {"chain.prm": lambda t: "\0\1" * 90}, "a system of with chain.prm"),
    "a psf cut short": (CHARMM, {"chain.psf": lambda t: t[: len(t) // 2]}, "chain.psf cannot be read as a CHARMM psf file"),
    "a psf that is empty": (CHARMM, {"chain.psf": lambda t: ""}, "chain.psf cannot be read as a CHARMM psf file"),
    "a prmtop that is none": ({**FOUR, "--system": "x.prmtop"}, {"x.prmtop": lambda t: "ATOM\n"}, "cannot be read as an Amber prmtop file"),
    "a prmtop cut short": (
        {**FOUR, "--system": "x.prmtop"},
        {"x.prmtop": lambda t: AMBER.read_text()[:9_000]},
        "cannot be read as an Amber prmtop file",
    ),
    "a topology that is none": ({**FOUR, "--system": "gauche.pdb"}, {}, "gauche.pdb is no prepared system; what is taken is"),
    "a top cut short": (FOUR, {"chain.itp": lambda t: t[:150]}, "chain.top cannot be read as a GROMACS topology"),
    "a top that lacks a file": (FOUR, {"chain.top": replaced("chain.itp", "gone.itp")}, "give the folder that holds it by --parameters"),
    "a top with water": (FOUR, {"chain.itp": lambda t: t.replace(" BUT C", " SOL C")}, "chain.top holds 1 water molecule, and a topology"),
    "a prmtop with water": ({**FOUR, "--system": str(WET)}, {}, "holds 749 water molecules, and a topology is taken without: make it"),
    "both": ({**FOUR, "--forcefield": "amber99sbildn.xml"}, {}, "give either a forcefield or a system, and not both"),
    "positions alone": ({**FOUR, "--system": "", "--forcefield": "amber99sbildn.xml"}, {}, "gauche.gro holds positions alone"),
    "another number of atoms": ({**FOUR, "--system": str(AMBER)}, {}, "gauche.gro has 4 atoms and alanine-dipeptide.prmtop 22"),
    "a structure of another molecule": (
        {"--start": "gauche.pdb", "--end": "trans.pdb", "--system": str(AMBER)},
        {},
        "alanine-dipeptide.prmtop has 22 atoms and gauche.pdb 4: ",
    ),
    "positions cut short": (FOUR, {"trans.gro": lambda t: t[:90]}, "trans.gro cannot be read as a GROMACS gro file"),
    "a restart cut short": ({**FOUR, "--end": "trans.rst7"}, {"trans.rst7": lambda t: t[:60]}, "cannot be read as an Amber restart"),
    "a restart of binary": ({**FOUR, "--end": "trans.rst7"}, {"trans.rst7": lambda t: "\0\1" * 90}, "cannot be read as an Amber restart"),
    "cards cut short": (CHARMM, {"trans.crd": lambda t: t[:90]}, "cannot be read as a CHARMM or Amber coordinate file"),
    "a title alone": (CHARMM, {"trans.crd": lambda t: "* four carbons\n*\n\n"}, "cannot be read as a CHARMM or Amber coordinate file"),
    "nothing": (CHARMM, {"trans.crd": lambda t: ""}, "cannot be read as a CHARMM or Amber coordinate file"),
    "positions in another order": (
        FOUR,
        {"trans.gro": lambda t: gro(placed(178.0)[[0, 3, 1, 2]])},
        "bonded in chain.top, lie 0.39 nm apart: its atoms are in another order",
    ),
    "positions that are no numbers": ({**FOUR, "--end": "trans.rst7"}, {"trans.rst7": replaced("8.5", "nan")}, "trans.rst7"),
    "one atom upon another": (FOUR, {"trans.gro": lambda t: gro(placed(178.0)[[0, 1, 2, 2]])}, "lie within 0.01 nm of each other"),
}  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS_OF_OTHERS)
def test_a_system_of_another_program_that_cannot_be_used_is_a_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, changes, sentence = SYSTEMS_OF_OTHERS[name]
    four_carbons.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for file, change in changes.items():
        (tmp_path / file).write_text(change((tmp_path / file).read_text() if (tmp_path / file).exists() else ""))
    words = [word for option, value in options.items() if value for word in (option, value)]
    assert sentence in told(["run", *words], tmp_path / "out")


CHOICES = {
    ("angles",): "unknown kind of coordinates 'angles'; there are torsions, distances, positions",
    ("angles: name CA",): "unknown kind of coordinates 'angles'",
    ("",): "unknown kind of coordinates ''",
    ("positions:",): "coordinates 'positions:' want a selection of atoms after the colon, as in 'positions: name CA'",
    ("auto: name CA",): "unknown kind of coordinates 'auto'",
    ("auto", "torsions"): "auto chooses all coordinates: give it alone",
    ("positions: name CA", "positions: name CB"): "positions stand twice among the coordinates: join their selections by 'or'",
    ("positions: name CA",): "positions want three atoms that are not on a line to be superposed on, and 'name CA' selects 1 atom",
    ("positions: name QQ",): "'name QQ' selects no atom",
    ("positions: name CA or",): "cannot be read as a selection of MDAnalysis",
    ("positions: 2:CA",): "cannot be read as a selection of MDAnalysis",
    ("torsions: name CA",): "'name CA' holds no bond between two atoms but hydrogen that a torsion is of",
    ("torsions: \0",): "cannot be read as a selection of MDAnalysis",
    ("distances",): "no bonded distance differs by more than 0.05 nm between the two structures",
    ("distances: name N CA and resid 2",): "differs by more than 0.05 nm between the two structures",
    ("distances: around",): "cannot be read as a selection of MDAnalysis",
}


@pytest.mark.parametrize("words", CHOICES)
def test_coordinates_that_cannot_be_chosen_are_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    chosen = [word for text in words for word in ("--coordinates", text)]
    assert CHOICES[words] in told(["run", "alanine_dipeptide", *chosen, "--set", "dynamics.platform=Reference"], tmp_path / "out")
