"""What a system.yaml may say of coordinates and states, and the sentences for what it may not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, bundled_systems, load_system

RING = ["1:C", "2:N", "2:CA", "2:C"]
BOTH = {"B": [{"phi": [30, 100]}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled_systems()["alanine_dipeptide"], tmp_path / "system"))


def changed(folder: Path, entries: dict[str, Any]) -> SystemSpec:
    """The bundled system with these entries; without those that are None."""
    text = {**yaml.safe_load((folder / "system.yaml").read_text()), **entries}
    (folder / "system.yaml").write_text(yaml.safe_dump({k: v for k, v in text.items() if v is not None}))
    return load_system(str(folder))


def prepared(folder: Path, **entries: Any) -> Problem:
    return prepare(changed(folder, entries), DynamicsSettings(platform="Reference"))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"angles": {"a": RING[:3]}}, "angles: Extra inputs are not permitted"),
        ({"coordinates": ["angles"]}, "unknown kind of coordinates 'angles'; there are torsions, distances, positions"),
        ({"coordinates": []}, "coordinates: Tuple should have at least 1 item"),
        ({"torsions": {}}, "torsions: Dictionary should have at least 1 item"),
        ({"torsions": {"phi": RING[:3]}}, "torsions.phi.3: Field required"),
        ({"torsions": {"p/i": RING}}, "torsions.p/i.\\[key\\]: String should match pattern"),
        ({"distances": {"d": RING}}, "distances.d: Tuple should have at most 2 items"),
        ({"positions": []}, "positions: Tuple should have at least 1 item"),
        ({"states": {"A": [{"phi": [0, 1]}]}}, "states must hold A and B"),
        ({"states": {"A": [], **BOTH}}, "state A holds no range"),
        ({"states": {"A": [{"rmsd": [0, 1]}], **BOTH}}, "state A: 'rmsd' wants to, atoms, max_nm, min_nm"),
        ({"states": {"A": [{"rmsd": {"to": "start"}}], **BOTH}}, "state A: rmsd: .*an rmsd wants max_nm or min_nm"),
        ({"states": {"A": [{"rmsd": {"to": "middle", "max_nm": 0.1}}], **BOTH}}, "state A: rmsd: to: Input should be 'start' or 'end'"),
        ({"states": {"A": [{"phi": {"to": "start", "max_nm": 0.1}}], **BOTH}}, "state A: 'phi' wants two limits"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(folder: Path, entries: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpacetimeError, match=sentence):
        changed(folder, entries)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"distances": {"d": ["1:C", "2:X"]}}, "there is no atom '2:X'"),
        ({"states": {"A": [{"chi": [0, 1]}], **BOTH}}, "state A bounds 'chi', which is not one of the named coordinates"),
        ({"states": {"A": [{"phi": [-200, -30]}], **BOTH}}, "the range phi=-200:-30 is not within -180 to 180 degrees"),
        ({"positions": RING, "states": {"A": [{"1.C_x": [0, 1]}], **BOTH}}, "no range can bound '1.C_x': give an rmsd"),
    ],
)
def test_what_the_molecule_has_not_is_a_sentence(folder: Path, entries: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpacetimeError, match=sentence):
        prepared(folder, **entries)


def test_states_are_bounded_by_all_that_is_named_and_by_rmsd(folder: Path) -> None:
    near = {"to": "end", "max_nm": 0.03, "atoms": RING}
    states = {"A": [{"d": [0.25, 0.5], "phi": [-180, -30], "psi": [20, -150]}], "B": [{"phi": [30, 100], "rmsd": near}]}
    problem = prepared(folder, distances={"d": ["1:C", "3:N"]}, coordinates=["torsions"], states=states)
    phi, psi = problem.coordinates.atoms
    assert problem.coordinates.kind == "torsions"
    assert problem.boxes == (
        [{"distances": [[phi[0], psi[3], 0.25, 0.5]], "torsions": [[*phi, -180.0, -30.0], [*psi, 20.0, -150.0]]}],
        [{"torsions": [[*phi, 30.0, 100.0]], "rmsd": {"file": "end.pdb", "atoms": [*phi], "max_nm": 0.03}}],
    )


def test_blocks_are_those_that_are_named_in_the_order_of_their_kinds(folder: Path) -> None:
    problem = prepared(folder, positions=RING, torsions={"phi": RING}, states=None)
    assert [block["kind"] for block in problem.coordinates.to_json()] == ["torsions", "positions"]
    turned = prepared(folder, positions=RING, torsions={"phi": RING}, coordinates=["positions", "torsions"])
    assert [block["kind"] for block in turned.coordinates.to_json()] == ["positions", "torsions"]


def test_a_fingerprint_tells_definitions_apart_and_no_more(folder: Path) -> None:
    before = load_system(str(folder))
    text = yaml.safe_load((folder / "system.yaml").read_text())
    (folder / "system.yaml").write_text(yaml.safe_dump({**dict(reversed(text.items())), "distances": None}, sort_keys=False))
    assert load_system(str(folder)).fingerprint() == before.fingerprint()
    assert SystemSpec.model_validate(before.model_dump()).fingerprint() == before.fingerprint()
    assert changed(folder, {"torsions": {**text["torsions"], "chi": RING}}).fingerprint() != before.fingerprint()
