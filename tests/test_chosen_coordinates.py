"""Coordinates that are found from what separates two structures, and those chosen in MDAnalysis' selection language."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import openmmtools
import pytest
import yaml
from openmm import app, unit

from spacetime_tps.coordinates.automatic import FEW, Choice, automatic, torsion_name
from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.molecule import Atom, Molecule
from spacetime_tps.coordinates.positions import Positions
from spacetime_tps.coordinates.rotatable import Four, turned
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.coordinates.torsions import Torsions, rotatable_torsions
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.prepared import read_prepared
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.problem import prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import bundled_systems, load_system, two_structures
from spacetime_tps.progress import Silent

LYSOZYME = Path(openmmtools.__file__).parent / "data" / "T4-lysozyme-L99A-implicit"


@cache
def lysozyme() -> Structure:
    """162 residues."""
    topology = read_prepared(LYSOZYME / "receptor.prmtop").topology
    positions = app.AmberInpcrdFile(str(LYSOZYME / "receptor.crd")).getPositions(asNumpy=True)
    assert topology is not None
    return Structure(topology, np.array(positions.value_in_unit(unit.nanometer)))


@cache
def whole() -> tuple[Molecule, tuple[Four, ...]]:
    molecule = molecule_of(lysozyme(), lysozyme(), None)
    return molecule, rotatable_torsions(molecule).atoms


def about(one: str, other: str, numbers: Sequence[int]) -> list[Four]:
    """Torsions about bonds between atoms of these names, in residues of these numbers."""
    molecule, fours = whole()
    bonds = [(four, molecule.atoms[four[1]], molecule.atoms[four[2]]) for four in fours]
    return [four for four, j, k in bonds if {j.name, k.name} == {one, other} and int(j.number) in numbers]


def chosen(turns: Sequence[tuple[Four, float]]) -> Choice:
    """For the protein and itself with some torsions turned, degrees."""
    molecule, _ = whole()
    end = molecule.start
    for four, angle in turns:
        end = turned(molecule, end, four, np.radians(angle))
    return automatic(molecule_of(lysozyme(), Structure(lysozyme().topology, end), None))


ALL = range(1, 163)


def test_a_torsion_that_is_turned_has_turned_and_no_other() -> None:
    molecule, fours = whole()
    torsions = Torsions(("",) * len(fours), fours)
    four = about("N", "CA", [80])[0]
    end = turned(molecule, molecule.start, four, 0.7)
    apart = (torsions.values(end) - torsions.values(molecule.start) + np.pi) % (2 * np.pi) - np.pi
    expected = np.zeros(len(fours))
    expected[fours.index(four)] = 0.7
    np.testing.assert_allclose(apart, expected, atol=1e-9)
    pairs = np.array(molecule.bonds)
    lengths = [np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1) for x in (molecule.start, end)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)


def test_a_hinge_is_told_by_its_torsions_whatever_side_chains_do() -> None:
    hinge = [(four, 60.0) for four in (*about("N", "CA", [80]), *about("CA", "C", [80]))]
    found = chosen(hinge)
    assert sorted(found.coordinates.atoms) == sorted(four for four, _ in hinge)
    assert found.because == "phi of ARG 80 and psi of ARG 80, the torsions that differ by more than 30 degrees"
    sides = [(four, 120.0) for four in about("CA", "CB", range(1, 60))]
    again = chosen([*hinge, *sides])
    assert again.coordinates == found.coordinates
    assert again.because.startswith(
        "phi of ARG 80 and psi of ARG 80, those of the backbone, which account for how it moves, of 51 torsions"
    )


def test_side_chains_alone_are_told_by_those_that_turn_most() -> None:
    sides = about("CA", "CB", range(1, 60))
    few = chosen([(four, 120.0) for four in sides[:3]])
    assert sorted(few.coordinates.atoms) == sorted(sides[:3])
    turns = np.random.default_rng(3).permutation(np.linspace(40.0, 170.0, len(sides)))
    many = chosen([*zip(sides, turns, strict=True)])
    most = {sides[k] for k in np.argsort(-turns)[:FEW]}
    assert set(many.coordinates.atoms) == most


@pytest.mark.parametrize(("spread", "why"), [(8.0, "no torsion differs by"), (60.0, "too many to be followed one by one")])
def test_what_no_few_torsions_account_for_is_told_by_positions(spread: float, why: str) -> None:
    angles = np.random.default_rng(1).normal(0.0, spread, 400)
    fours = [*about("N", "CA", ALL), *about("CA", "C", ALL)]
    found = chosen([(four, min(max(angle, -28.0), 28.0) if spread < 10 else angle) for four, angle in zip(fours, angles, strict=False)])
    molecule, _ = whole()
    assert isinstance(found.coordinates, Positions)
    assert [molecule.atoms[k].name for k in found.coordinates.atoms] == ["CA"] * 162
    assert why in found.because


def test_a_molecule_of_few_residues_with_many_torsions_is_told_by_positions() -> None:
    """A chain of 20 carbons, all of whose 17 torsions turn."""
    topology = app.Topology()
    residue = topology.addResidue("CHN", topology.addChain())
    atoms = [topology.addAtom(f"C{k}", app.element.carbon, residue) for k in range(20)]
    for one, other in pairwise(atoms):
        topology.addBond(one, other)
    zigzag = np.array([[0.125 * k, 0.09 * (k % 2), 0.0] for k in range(20)])
    start = Structure(topology, zigzag)
    molecule = molecule_of(start, start, None)
    end = zigzag
    for four in rotatable_torsions(molecule).atoms:
        end = turned(molecule, end, four, np.radians(70.0))
    found = automatic(molecule_of(start, Structure(topology, end), None))
    assert isinstance(found.coordinates, Positions)
    assert len(found.coordinates.atoms) == 20
    apart = float(rmsd(end, zigzag))
    why = "17 torsions differ by more than 30 degrees, too many to be followed one by one"
    assert found.because == f"positions of 20 atoms but hydrogen, {apart:.2f} nm apart (RMSD): {why}"
    with pytest.raises(SpacetimeError, match="they are in the same state"):
        automatic(molecule)


def stretched_peptide(count: int) -> Molecule:
    """N, CA, C of each residue in a zigzag, and on CA a side chain CB, CG, CD, which has two torsions."""
    atoms, bonds, places = [], [], []
    side = ((0.0, 0.09, 0.12), (0.08, 0.2, 0.15), (0.08, 0.3, 0.27))
    for k in range(count):
        n, alpha, c = ([0.12 * j, 0.08 * (j % 2), 0.0] for j in range(3 * k, 3 * k + 3))
        up = 1.0 if alpha[1] else -1.0
        places += [n, alpha, c, *([alpha[0] + x, alpha[1] + up * y, z] for x, y, z in side)]
        atoms += [Atom(name, "RES", str(k + 1), name[0]) for name in ("N", "CA", "C", "CB", "CG", "CD")]
        first = 6 * k
        bonds += [(first, first + 1), (first + 1, first + 2), (first + 1, first + 3), (first + 3, first + 4), (first + 4, first + 5)]
        bonds += [(first + 2, first + 6)] if k + 1 < count else []
    x = np.array(places)
    return Molecule(tuple(atoms), tuple(bonds), x, x, None, select=lambda words: ())


def with_end(molecule: Molecule, turns: Sequence[tuple[str, float]]) -> Molecule:
    """Torsions called so turned, degrees."""
    fours = {torsion_name(molecule, four): four for four in rotatable_torsions(molecule).atoms}
    end = molecule.start
    for name, angle in turns:
        end = turned(molecule, end, fours[name], np.radians(angle))
    return replace(molecule, end=end)


def sides(count: int) -> list[tuple[str, float]]:
    return [(f"chi{k} of RES {number}", 50.0 + number + 20.0 * k) for number in range(1, count + 1) for k in (1, 2)]


def test_side_chains_of_a_chain_of_eight_residues_are_told_by_those_that_turn_most_and_of_seven_by_positions() -> None:
    assert automatic(with_end(stretched_peptide(8), sides(8))).because == (
        "chi2 of RES 1, chi2 of RES 2, chi2 of RES 3, chi2 of RES 4 and 8 more, those that turn most, while the backbone stays, of 16 "
        "torsions that differ by more than 30 degrees"
    )
    assert isinstance(automatic(with_end(stretched_peptide(7), sides(7))).coordinates, Positions)


@pytest.mark.parametrize(("number", "moved"), [(12, True), (19, False)])
def test_a_backbone_has_moved_by_more_than_heat_moves_it(number: int, moved: bool) -> None:
    """A turn in the middle moves CA by some tenths of a nanometre, root mean square; one near the end moves a residue or two."""
    molecule = with_end(stretched_peptide(20), [*sides(20), (f"psi of RES {number}", 35.0)])
    trace = [k for k, atom in enumerate(molecule.atoms) if atom.name == "CA"]
    assert (0.15 < rmsd(molecule.end[trace], molecule.start[trace]) < 0.8) == moved
    found = automatic(molecule)
    if moved:
        assert found.because == (
            f"psi of RES {number}, those of the backbone, which account for how it moves, of 41 torsions that differ by more than "
            "30 degrees"
        )
    else:
        assert "those that turn most, while the backbone stays, of 41 torsions" in found.because


def test_one_torsion_is_told_as_one_where_it_accounts_for_what_moves() -> None:
    hinge = with_end(stretched_peptide(20), [("phi of RES 10", 70.0)])
    assert automatic(hinge).because == "phi of RES 10, the torsion that differs by more than 30 degrees"
    swollen = replace(hinge, end=1.3 * hinge.end)
    found = automatic(swollen)
    assert isinstance(found.coordinates, Positions)
    assert found.because.endswith("nm apart (RMSD): 1 torsion differs by more than 30 degrees, which do not account for it")


def test_a_bond_within_a_residue_is_no_peptide_bond() -> None:
    atoms = tuple(Atom(name, "LIG", "1", name[0]) for name in ("C1", "C", "N", "C2"))
    x = np.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, 0.1, 0.03]])
    molecule = Molecule(atoms, ((0, 1), (1, 2), (2, 3)), x, x, None, select=lambda words: ())
    assert torsion_name(molecule, (0, 1, 2, 3)) == "C-N of LIG 1"
    two = replace(molecule, atoms=(*atoms[:2], *(Atom(a.name, "LIG", "2", a.element) for a in atoms[2:])))
    assert torsion_name(two, (0, 1, 2, 3)) == torsion_name(two, (3, 2, 1, 0)) == "omega of LIG 1"


def test_torsions_have_the_names_that_people_give_them() -> None:
    molecule, fours = whole()
    names = [torsion_name(molecule, four) for four in fours]
    assert {"phi of ASN 2", "psi of MET 1", "omega of MET 1", "chi1 of MET 1", "chi2 of MET 1", "chi3 of MET 1", "chi1 of VAL 57"} <= set(
        names
    )
    assert len(set(names)) == len(names)
    butane = load_structure(bundled_systems()["butane"] / "gauche.pdb")
    found = rotatable_torsions(chain := molecule_of(butane, butane, None))
    assert [torsion_name(chain, four) for four in found.atoms] == ["C2-C3 of BUT 1"]


def tripeptide() -> Molecule:
    folder = bundled_systems()["alanine_tripeptide"]
    return molecule_of(load_structure(folder / "beta.pdb"), load_structure(folder / "alpha.pdb"), None)


def test_a_selection_chooses_the_atoms_of_each_kind() -> None:
    molecule = tripeptide()
    alphas = [k for k, atom in enumerate(molecule.atoms) if atom.name == "CA"]
    assert [*Positions.of_selection("name CA", molecule).atoms] == alphas
    assert len(Positions.of_selection("not element H", molecule).atoms) == 20
    phi_psi = Torsions.of_selection("backbone and resid 3", molecule)
    assert [torsion_name(molecule, four) for four in phi_psi.atoms] == ["phi of ALA 3", "psi of ALA 3"]
    pairs = Distances.of_selection("name CA CH3", molecule)
    ends = [k for k, atom in enumerate(molecule.atoms) if atom.name in ("CA", "CH3", "C") and atom.residue in ("ALA", "ACE", "NME")]
    assert all(i in ends and j in ends for i, j in pairs.atoms)
    assert (np.abs(pairs.values(molecule.end) - pairs.values(molecule.start)) > 0.5).all()
    assert molecule.select("around 1.3 index 8")  # angstroms, as MDAnalysis has them
    assert not set(molecule.select("around 1.3 index 8")) - set(range(len(molecule.atoms)))


def test_a_ring_is_selected_as_one() -> None:
    folder = bundled_systems()["cyclohexane"]
    ring = molecule_of(load_structure(folder / "chair.pdb"), load_structure(folder / "inverted.pdb"), None)
    found = Torsions.of_selection("element C", ring)
    assert found.closed == (True,) * 6
    named = Torsions.of_molecule({"a": ("1:C1", "1:C2", "1:C3", "1:C4"), "b": ("1:H11", "1:C1", "1:C2", "1:H21")}, ring)
    assert named.closed == (True, True), "by the bond that they are about"
    assert len(named.ways(named.values(ring.start), named.values(ring.end), 8)) == 1
    butane = bundled_systems()["butane"]
    chain = molecule_of(load_structure(butane / "gauche.pdb"), load_structure(butane / "trans.pdb"), None)
    tags = [f"{a.number}:{a.name}" for a in chain.atoms if a.element == "C"]
    assert Torsions.of_molecule({"a": tuple(tags)}, chain).closed == ()


@pytest.mark.parametrize(
    ("kind", "selection", "sentence"),
    [
        (Positions, "name CA and resid 2", "positions want three atoms .* and 'name CA and resid 2' selects 1 atom$"),
        (Positions, "resid 2 and name CA CB", "selects 2 atoms"),
        (Positions, "name XX", "'name XX' selects no atom; a selection is in MDAnalysis' language"),
        (Positions, "name CA and", "'name CA and' cannot be read as a selection of MDAnalysis: Unknown selection token"),
        (Positions, "(" * 2000, "cannot be read as a selection of MDAnalysis"),
        (Torsions, "name CB", "'name CB' holds no bond between two atoms but hydrogen that a torsion is of"),
        (Distances, "resid 2 and name CA", "no distance between two atoms of 'resid 2 and name CA' differs by more than 0.05 nm"),
        (Distances, "all", "476 distances differ by more than 0.05 nm, and 200 can be followed: select fewer atoms"),
    ],
)
def test_a_selection_that_chooses_nothing_of_use_is_a_sentence(
    kind: type[Positions] | type[Torsions] | type[Distances], selection: str, sentence: str
) -> None:
    with pytest.raises(SpacetimeError, match=sentence):
        kind.of_selection(selection, tripeptide())


def test_atoms_on_a_line_are_nothing_to_superpose_on() -> None:
    topology = app.Topology()
    residue = topology.addResidue("LIN", topology.addChain())
    for k in range(4):
        topology.addAtom(f"C{k}", app.element.carbon, residue)
    line, bent = (
        np.array([[0.13 * k, 0.0, 0.0] for k in range(4)]),
        np.array([[0.0, 0.0, 0.0], [0.13, 0.0, 0.0], [0.2, 0.1, 0.0], [0.2, 0.2, 0.1]]),
    )
    with pytest.raises(SpacetimeError, match="and these are atoms on a line"):
        Positions.of_molecule(None, molecule_of(Structure(topology, bent), Structure(topology, line), None))
    stretched = molecule_of(Structure(topology, line), Structure(topology, 1.5 * line), None)
    with pytest.raises(SpacetimeError, match="and the atoms but hydrogen are atoms on a line"):
        automatic(stretched)
    with pytest.raises(SpacetimeError, match="'name C0 C1 C2' selects atoms on a line"):
        Positions.of_selection("name C0 C1 C2", molecule_of(Structure(topology, line), Structure(topology, line), None))


class Listener(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("system", "words", "names", "said"),
    [
        ("alanine_dipeptide", (), ("phi", "psi"), "coordinates: torsions phi and psi"),
        ("alanine_dipeptide", ("auto",), ("ALA2_N_CA", "ALA2_CA_C"), "coordinates: phi of ALA 2 and psi of ALA 2, the torsions"),
        ("butane", ("distances: name C1 C4",), ("d_1.C1_1.C4",), "coordinates: distances d_1.C1_1.C4"),
        ("butane", ("torsions", "distances: name C1 C4"), ("BUT1_C2_C3", "d_1.C1_1.C4"), "coordinates: torsions BUT1_C2_C3; distances"),
        ("cyclohexane", ("positions: element C",), None, "coordinates: positions 1.C1, 1.C2, 1.C3, 1.C4 and 2 more"),
    ],
)  # fmt: skip
def test_a_problem_has_the_coordinates_that_were_asked_for_and_says_so(
    system: str, words: Sequence[str], names: tuple[str, ...] | None, said: str
) -> None:
    listener = Listener()
    problem = prepare(load_system(system, coordinates=words), DynamicsSettings(platform="Reference"), listener)
    assert names is None or problem.coordinates.names == names
    assert any(text.startswith(said) for text in listener.said), listener.said


def test_system_yaml_takes_the_words_of_the_command_line(tmp_path: Path) -> None:
    folder = bundled_systems()["butane"]
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    own = yaml.safe_load((folder / "system.yaml").read_text())

    def spec(entries: dict[str, object], words: Sequence[str] = ()) -> str:
        (tmp_path / "system.yaml").write_text(yaml.safe_dump({**own, **entries}))
        return load_system(tmp_path, coordinates=words).fingerprint()

    asked = spec({}, ["positions: element C"])
    assert spec({"coordinates": "positions: element C"}) == asked
    assert spec({"coordinates": ["positions: element C"]}) == asked
    assert spec({"coordinates": ["positions"], "positions": "element C"}) == asked
    assert spec({"coordinates": ["torsions"]}, ["positions: element C"]) == asked
    assert spec({}) != asked


def test_states_keep_the_names_of_a_system_whose_coordinates_are_chosen_anew() -> None:
    spec, own = load_system("alanine_dipeptide", coordinates=["torsions: all"]), load_system("alanine_dipeptide")
    problem = prepare(spec)
    assert {"phi", "psi"}.isdisjoint(problem.coordinates.names)
    assert problem.boxes == prepare(own).boxes
    assert spec.labelled
    assert own.labelled
    assert spec.fingerprint() != own.fingerprint()
    tripeptide = load_system("alanine_tripeptide", coordinates=["torsions: all"])
    assert tripeptide.labelled, "it names atoms all the same"


def test_files_of_one_name_and_their_order_are_part_of_what_a_run_is_of(tmp_path: Path) -> None:
    files = [tmp_path / folder / "lig.xml" for folder in "ab"]
    for k, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(f"<ForceField><!-- {k} --></ForceField>")
    for name in ("x.pdb", "y.pdb"):
        (tmp_path / name).write_text("")
    ends = tmp_path / "x.pdb", tmp_path / "y.pdb"

    def fingerprint(*order: Path) -> str:
        return two_structures(*ends, forcefield=[str(file) for file in order]).fingerprint()

    before = fingerprint(*files)
    assert fingerprint(*files[::-1]) != before
    files[0].write_text("<ForceField/>")
    assert fingerprint(*files) != before
