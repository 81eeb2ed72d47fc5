"""What users bring that cannot be used: one sentence, exit code 2, nothing written."""

import base64
import pickle
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import openmm
import pytest
import yaml
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


XML: dict[str, tuple[Change, str]] = {
    "cut short": (lambda t: t[: len(t) // 2], "cannot be read as a serialised OpenMM System"),
    "empty": (lambda t: "", "cannot be read as a serialised OpenMM System"),
    "a state": (lambda t: "<State/>", "cannot be read as a serialised OpenMM System"),
    "one particle less": (lambda t: re.sub(r"<Particle mass[^>]*/>", "", t, count=1), "particles, and"),
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
