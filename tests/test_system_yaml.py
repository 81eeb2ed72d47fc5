"""What a system.yaml may say of coordinates and states, and the sentences for what it may not."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from openmm import app

from spacetime_tps.engines.openmm import platforms
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.problem import Problem, prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.solvated import Solvent, extent
from spacetime_tps.problems.system import SystemSpec, bundled_systems, load_system
from spacetime_tps.progress import Silent

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
        (
            {"states": {"A": [{"rmsd": {"to": "start", "min_nm": 0.2, "max_nm": 0.1}}], **BOTH}},
            "state A: rmsd: .*nothing is from 0.2 to 0.1 nm: min_nm must be below max_nm",
        ),
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
        (
            {
                "torsions": {"x": RING},
                "distances": {"x": RING[:2]},
                "coordinates": ["distances"],
                "states": {"A": [{"x": [0.1, 0.2]}], **BOTH},
            },
            "two coordinates are called 'x': give one of them another name",
        ),
        ({"positions": RING, "states": {"A": [{"1.C_x": [0, 1]}], **BOTH}}, "no range can bound '1.C_x': give an rmsd"),
    ],
)
def test_what_the_molecule_has_not_is_a_sentence(folder: Path, entries: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpacetimeError, match=sentence):
        prepared(folder, **entries)


TWO = {"name": "x", "start": "a.pdb", "end": "b.pdb", "forcefield": ["amber99sbildn.xml"]}


def test_steps_are_as_long_as_bonds_and_masses_allow_and_hydrogens_as_heavy_as_they_may_be() -> None:
    rigid = {**TWO, "constraints": "HBonds"}
    for mass, steps in ((None, 2.0), (1.008, 2.0), (2.9, 2.0), (3.0, 4.0), (4.0, 4.0)):
        assert SystemSpec.model_validate({**rigid, "hydrogen_mass_Da": mass}).timestep_fs == steps
    for mass in (1.0, 4.1):
        with pytest.raises(ValueError, match="hydrogen_mass_Da"):
            SystemSpec.model_validate({**rigid, "hydrogen_mass_Da": mass})
    Solvent(water="tip3p", padding_nm=0.51)
    with pytest.raises(ValueError, match="padding_nm"):
        Solvent(water="tip3p", padding_nm=0.5)


def test_kinds_and_names_of_a_system_made_in_python_are_looked_at() -> None:
    with pytest.raises(ValueError, match="unknown kind of coordinates 'angles'"):
        SystemSpec.model_validate({**TWO, "coordinates": ("torsions", "angles")})
    assert not SystemSpec.model_validate(TWO).labelled
    assert not SystemSpec.model_validate({**TWO, "torsions": "name CA"}).labelled, "a selection names no atom"
    assert SystemSpec.model_validate({**TWO, "torsions": {"phi": RING}}).labelled


def test_a_fingerprint_tells_masses_and_water_apart(folder: Path) -> None:
    made = [
        changed(folder, {"timestep_fs": 1.0, **entries}).fingerprint()
        for entries in ({}, {"hydrogen_mass_Da": 2.0}, {"hydrogen_mass_Da": 2.5}, {"solvent": "tip3p"}, {"solvent": "tip4pew"})
    ]
    assert len(set(made)) == 3 + 2


def test_states_that_cannot_be_are_said_before_anything_is_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fastest(*_: object) -> None:
        raise AssertionError("platforms are timed")

    monkeypatch.setattr("spacetime_tps.problems.problem.platforms.fastest", fastest)
    with pytest.raises(SpacetimeError, match="state A bounds 'chi'"):
        prepared(folder, states={"A": [{"chi": [0, 1]}], **BOTH})


def test_all_evaluations_of_a_preparation_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, made = platforms.fastest, []

    def fastest(*given: Any) -> tuple[str, float, int]:
        name, rate, evaluations = trial(*given)
        made.append(evaluations)
        return name, rate, evaluations

    class Counted(Potential):
        def __init__(self, model: Model):
            super().__init__(model)
            made.append(self)

    monkeypatch.setattr("spacetime_tps.problems.problem.platforms.fastest", fastest)
    monkeypatch.setattr("spacetime_tps.problems.problem.Potential", Counted)
    found = prepared(folder).evaluations
    timed, potential = made
    assert timed > 0
    assert potential.evaluations > 2
    assert found == timed + potential.evaluations


def test_how_hydrogens_move_is_said_with_the_step_where_it_is_not_as_they_are(folder: Path) -> None:
    said: list[str] = []

    class Listener(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    for entries, dynamics in (({}, {}), ({"constraints": "HBonds", "hydrogen_mass_Da": 3.0}, {}), ({}, {"timestep_fs": 0.5})):
        prepare(changed(folder, entries), DynamicsSettings(platform="Reference", **dynamics), Listener())
    assert [text for text in said if "hydrogen" in text or "steps" in text] == [
        "bonds to hydrogen rigid, hydrogens of 3 Da, steps of 4 fs", "bonds to hydrogen rigid, hydrogens of 3 Da, steps of 0.5 fs"
    ]  # fmt: skip


def test_how_far_a_molecule_reaches_does_not_depend_on_where_it_is() -> None:
    x = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.5, 0.5, 4.0]])
    for shift in (0.0, 7.0):
        assert extent(Structure(app.Topology(), x + shift)) == pytest.approx(3.0), "of 1, 2 and 2 from the middle"


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
