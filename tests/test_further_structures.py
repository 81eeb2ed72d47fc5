"""A structure that a region to keep out of names is brought to the run's molecule as its end is."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.forbidden import Box, Point, bind
from spacetime_tps.exploration.regions import collected, parse_regions
from spacetime_tps.molecules.ends import one_more, two_ends
from spacetime_tps.problems.problem import Problem, load, prepare, save
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import bundled_systems, load_system
from spacetime_tps.storage.memory import Memory

ALANINE, VALINE = (bundled_systems()[name] for name in ("alanine_dipeptide", "valine_dipeptide"))
FIELD = ("amber99sbildn.xml",)
Change = Callable[[list[str]], list[str]]


def atoms(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("ATOM", "HETATM"))]


def symbol(line: str) -> str:
    return line[76:78].strip()


def turned(lines: list[str]) -> list[str]:
    """Each residue's atoms from the last to the first."""
    found = []
    for number in dict.fromkeys(line[22:26] for line in atoms(lines)):
        found += [line for line in atoms(lines) if line[22:26] == number][::-1]
    return found


WATER = "HETATM  999  O   HOH B   9      30.000  30.000  30.000  1.00  0.00           O  \n"
CHANGES: dict[str, tuple[Change, float]] = {
    "as it is": (lambda lines: lines, 0.0),
    "another order": (turned, 0.0),
    "water": (lambda lines: [*atoms(lines), WATER], 0.0),
    "no hydrogens": (lambda lines: [line for line in atoms(lines) if symbol(line) != "H"], 0.0),
    "a methyl missing": (lambda lines: [line for line in atoms(lines) if line[12:16].strip() not in ("CB", "HB1", "HB2", "HB3")], 0.08),
}
"""And by how much, nm, atoms but hydrogen may lie elsewhere"""


def brought(text: str, problem: Problem, name: str, content: bytes) -> Box | Point:
    """The region of a text that names a file."""
    Path(name).write_bytes(content)
    asked, contents = collected(parse_regions([text]), Memory())
    (found,) = bind(asked, problem, contents.__getitem__)
    assert isinstance(found, Box | Point)
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_a_structure_from_elsewhere_makes_the_region_that_the_whole_one_makes(
    name: str, alanine: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change, tolerance = CHANGES[name]
    lines = (ALANINE / "c7ax.pdb").read_text().splitlines(keepends=True)
    apart = replace(alanine, end=alanine.start)  # whose end does not lie in the region
    expected = two_ends(ALANINE / "c5.pdb", ALANINE / "c7ax.pdb", FIELD, keep_names=True).end.positions
    for file, content in (("x.pdb", "".join(change(lines)).encode()), ("x.pdb.gz", gzip.compress("".join(change(lines)).encode()))):
        region = brought(f"rmsd({file})<0.03", apart, file, content)
        assert isinstance(region, Box)
        ((condition,),) = region.state.boxes
        np.testing.assert_allclose(condition.reference, expected[list(condition.atoms)], atol=tolerance)
        np.testing.assert_array_equal(region.contains(np.array([expected, alanine.start.positions])), [True, False])


def exchanged(lines: list[str]) -> list[str]:
    """The two methyls of a valine under each other's names, CG1 and CG2 with what they bear."""
    other = {"CG1": "CG2", **{f"HG1{k}": f"HG2{k}" for k in "123"}}
    other |= {b: a for a, b in other.items()}
    return [f"{line[:12]} {other[line[12:16].strip()]:3}{line[16:]}" if len(other.get(line[12:16].strip(), "")) == 3
            else f"{line[:12]}{other.get(line[12:16].strip(), line[12:16])}{line[16:]}" for line in atoms(lines)]  # fmt: skip


@pytest.fixture(scope="module")
def valine() -> Problem:
    return prepare(load_system(VALINE), DynamicsSettings(platform="Reference"))


def test_atoms_that_are_equal_are_numbered_as_those_of_an_end_are(valine: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under exchanged names chi1 lies 120 degrees or so elsewhere, though the molecule is the same; where atoms were named it is meant."""
    monkeypatch.chdir(tmp_path)
    apart = replace(valine, end=valine.start)
    lines = (VALINE / "gauche.pdb").read_text().splitlines(keepends=True)
    as_it_is = brought("near(x.pdb) kappa=50", apart, "x.pdb", "".join(lines).encode())
    other_names = brought("near(y.pdb) kappa=50", apart, "y.pdb", "".join(exchanged(lines)).encode())
    assert isinstance(as_it_is, Point)
    assert isinstance(other_names, Point)
    np.testing.assert_allclose(np.degrees(other_names.center - as_it_is.center), 0.0, atol=1e-9)
    kept = brought("near(y.pdb) kappa=50", replace(apart, labelled=True), "y.pdb", "".join(exchanged(lines)).encode())
    assert isinstance(kept, Point)
    assert 100.0 < abs((np.degrees(kept.center - as_it_is.center)[0] + 180.0) % 360.0 - 180.0) < 140.0


def test_a_folder_keeps_whether_atoms_were_named(valine: Problem, alanine: Problem, tmp_path: Path) -> None:
    assert (valine.labelled, alanine.labelled) == (False, True)
    for name, problem in (("valine", valine), ("alanine", alanine)):
        save(problem, tmp_path / name)
        assert load(tmp_path / name).labelled == problem.labelled


def test_positions_alone_are_those_of_the_molecules_atoms_in_their_order(alanine: Problem) -> None:
    x = alanine.end.positions
    numbers = [f"{v:12.7f}" for v in (10.0 * x).ravel()]
    text = f"x\n{len(x):6d}\n" + "".join("".join(numbers[k : k + 6]) + "\n" for k in range(0, len(numbers), 6))
    found = one_more(text.encode(), "x.rst7", alanine.start, keep_names=True)
    np.testing.assert_allclose(found.positions, x, atol=1e-8)
    with pytest.raises(SpacetimeError, match=r"x.rst7 has 2 atoms and start.pdb 22"):
        one_more(b"x\n     2\n" + "".join(numbers[:6]).encode() + b"\n", "x.rst7", alanine.start, keep_names=True)


def test_the_mirror_image_is_another_molecule(alanine: Problem) -> None:
    lines = (ALANINE / "c7ax.pdb").read_text().splitlines(keepends=True)
    mirrored = [f"{line[:30]}{-float(line[30:38]):8.3f}{line[38:]}" for line in atoms(lines)]
    with pytest.raises(SpacetimeError, match=r"start.pdb and x.pdb are not one molecule: ALA 2 CA is of the other hand"):
        one_more("".join(mirrored).encode(), "x.pdb", alanine.start, keep_names=True)
