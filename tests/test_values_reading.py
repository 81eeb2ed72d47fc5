"""Structure files line by line, bonds by distance, and what a file may lack: values worked out by hand."""

import gzip
import random
import warnings

import numpy as np
import openmm
import pytest
from openmm import app, unit

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules import reading
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.bonds import all_bonds
from spacetime_tps.molecules.completion import check_chains, with_hydrogens
from spacetime_tps.molecules.forcefield import build_solvated_system
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.molecules.reading import load_structure, structure_of
from spacetime_tps.molecules.records import pdb_records
from spacetime_tps.molecules.residues import listed
from spacetime_tps.molecules.snapshots import snapshot_of
from spacetime_tps.molecules.structure import Structure, pdb_text, without
from spacetime_tps.molecules.water import put_into_water
from spacetime_tps.problems.system import bundled_systems

ALANINE = bundled_systems()["alanine_dipeptide"] / "c5.pdb"


def line(
    name: str = "N", *, residue: str = "GLY", chain: str = "A", number: int = 1, code: str = " ", alternate: str = " ",
    occupancy: float = 1.0, x: float = 0.0,
) -> str:  # fmt: skip
    place = f"{x:8.3f}{0.0:8.3f}{0.0:8.3f}{occupancy:6.2f}"
    return f"ATOM      1 {name:^4}{alternate}{residue:<4}{chain}{number:4d}{code}   {place}{0.0:6.2f}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (line(), line(chain="B")),
        (line(), line(number=2)),
        (line(number=52), line(number=52, code="A")),
        (line(), "TER\n" + line()),
        (line(residue="HOH", name="O"), line(residue="HOH", name="O")),
    ],
    ids=["chain", "number", "insertion code", "TER", "water"],
)
def test_atoms_of_one_name_are_two_where_their_residues_are(first: str, second: str) -> None:
    assert pdb_records(first + second) == (first + second, [])


def test_an_atom_that_stands_twice_is_told_with_its_residue() -> None:
    with pytest.raises(SpacetimeError, match=r"^residue 17 GLY holds N twice$"):
        pdb_records(line(number=17) + line("CA", number=17) + line(number=17, x=5.0))
    with pytest.raises(SpacetimeError, match=r"^residue 1 GLY holds N twice$"):
        pdb_records("TER\n" + line() + line())


def test_the_alternate_of_a_residue_is_that_of_the_highest_mean_occupancy() -> None:
    """A holds one atom to 0.6, B three to 0.4 each: B is no more likely for holding more atoms."""
    rare = [line(name, alternate="B", occupancy=0.4, x=1.0) for name in ("N", "CA", "C")]
    text, said = pdb_records("".join([*rare, line(alternate="A", occupancy=0.6)]))
    assert text == line(occupancy=0.6)
    assert said == ["holds alternate positions of 1 residue: those of the highest occupancy are taken"]
    both = [line(alternate=a, occupancy=0.5, number=n) for n in (1, 2) for a in "AB"]
    text, said = pdb_records("".join(both))
    assert text == line(occupancy=0.5, number=1) + line(occupancy=0.5, number=2), "the first where they are alike"
    assert said == ["holds alternate positions of 2 residues: those of the highest occupancy are taken"]


@pytest.mark.parametrize(("name", "known"), [("HSE", "HIS"), ("HISH", "HIS"), ("CYM", "CYS"), ("LYN", "LYS"), ("LIG", "LIG")])
def test_protonation_states_are_read_under_the_names_of_their_residues(name: str, known: str) -> None:
    assert pdb_records(line("CB", residue=name, x=1.25))[0] == line("CB", residue=known, x=1.25)


def test_few_of_many_differences_are_listed() -> None:
    assert listed(["a", "b", "c"]) == "a; b; c"
    assert listed(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = ALANINE.read_bytes()
    monkeypatch.setattr(reading, "LARGEST", len(content))
    assert len(structure_of(gzip.compress(content), "x.pdb.gz").structure.positions) == 22
    with pytest.raises(SpacetimeError, match=f"x.pdb.gz unpacks to more than {len(content)} bytes"):
        structure_of(gzip.compress(content + b"\n"), "x.pdb.gz")


def test_an_mmcif_file_is_known_by_its_first_word_after_comments_and_empty_lines() -> None:
    columns = "group_PDB id type_symbol label_atom_id label_comp_id label_asym_id label_seq_id Cartn_x Cartn_y Cartn_z"
    text = "data_x\nloop_\n" + "".join(f"_atom_site.{c}\n" for c in columns.split()) + "HETATM 1 C C1 LIG A 1 1.0 2.0 3.0\n"
    for before in ("", "# made by hand\n", "\n  \n#\n\n"):
        found = structure_of((before + text).encode(), "no suffix").structure
        np.testing.assert_allclose(found.positions, [[0.1, 0.2, 0.3]])


def test_why_a_file_cannot_be_read_is_in_the_readers_own_words() -> None:
    text = ALANINE.read_text().replace(" -", " x", 1)
    with pytest.raises(SpacetimeError, match=r"x.pdb cannot be read as a PDB file: .*\bx\d"):
        structure_of(text.encode(), "x.pdb")
    topology = load_structure(ALANINE).topology
    with pytest.raises(SpacetimeError, match=r"x.gro cannot be read as a GROMACS gro file: .*\btwo\b"):
        snapshot_of(b"title\none two\n", "x.gro", topology, "x.top")


def test_amber_coordinates_may_be_called_crd() -> None:
    structure = load_structure(ALANINE)
    numbers = [f"{x:12.7f}" for x in (10.0 * structure.positions).ravel()]
    text = "title\n    22\n" + "".join("".join(numbers[k : k + 6]) + "\n" for k in range(0, len(numbers), 6))
    np.testing.assert_allclose(snapshot_of(text.encode(), "x.crd", structure.topology, "x").positions, structure.positions, atol=1e-8)


def molecule(symbols: list[str], positions: list[list[float]], *, residues: list[int] | None = None) -> Structure:
    """Without bonds."""
    topology = app.Topology()
    chain = topology.addChain()
    numbers = residues or [0] * len(symbols)
    places = [topology.addResidue("LIG", chain) for _ in range(max(numbers) + 1)]
    for k, (symbol, number) in enumerate(zip(symbols, numbers, strict=True)):
        topology.addAtom(f"{symbol}{k}", app.Element.getBySymbol(symbol), places[number])
    return Structure(topology, np.array(positions))


LENGTHS = {
    "H": 0.109, "D": 0.109, "B": 0.156, "C": 0.154, "N": 0.147, "O": 0.143, "F": 0.135, "Si": 0.187, "P": 0.184, "S": 0.182, "Cl": 0.177,
    "Se": 0.195, "Br": 0.194, "I": 0.214,
}  # fmt: skip
"""nm, of single bonds to carbon"""


@pytest.mark.parametrize("symbol", LENGTHS)
def test_bonds_by_distance_are_those_of_the_known_lengths(symbol: str) -> None:
    """To the carbon, and not to what the carbon bears: half as far again."""
    length = LENGTHS[symbol]
    for apart, bonded in ((0.96 * length, True), (1.04 * length, True), (1.5 * length, False)):
        assert all_bonds(molecule(["C", symbol], [[0.0, 0.0, 0.0], [apart, 0.0, 0.0]])) == ({(0, 1)} if bonded else set())


def test_what_is_never_bonded_by_distance() -> None:
    near = [[0.0, 0.0, 0.0], [0.06, 0.0, 0.0]]
    assert all_bonds(molecule(["H", "H"], near)) == set(), "hydrogens"
    assert all_bonds(molecule(["C", "H"], near, residues=[0, 1])) == set(), "another residue's"
    given = molecule(["C", "C", "C", "O"], [[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.1, 0.08, 0.0], [0.1, 0.16, 0.1]])
    atoms = list(given.topology.atoms())
    given.topology.addBond(atoms[1], atoms[0])
    given.topology.addBond(atoms[2], atoms[3])
    assert all_bonds(given) == {(0, 1), (2, 3)}, "atoms that have their bonds"
    light = molecule(["C", "C", "H"], [[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    light.topology.addBond(*list(light.topology.atoms())[:2])
    assert all_bonds(light) == {(0, 1), (0, 2)}, "one that has none to one that has"
    site = molecule(["O"], [[0.0, 0.0, 0.0]])
    site.topology.addAtom("M", None, next(site.topology.residues()))
    assert all_bonds(Structure(site.topology, np.array([[0.0, 0.0, 0.0], [0.0125, 0.0, 0.0]]))) == set(), "a particle of no element"


def bonded(symbols: list[str], pairs: list[tuple[int, int]]) -> Structure:
    found = molecule(symbols, np.random.default_rng(1).normal(size=(len(symbols), 3)).tolist())
    atoms = list(found.topology.atoms())
    for i, j in pairs:
        found.topology.addBond(atoms[i], atoms[j])
    return found


@pytest.mark.parametrize(
    ("symbols", "pairs", "amides"),
    [
        # Each carbon and nitrogen that matters first; N-methylacetamide, acetamide, ethylmethylamine, a urea, an imine.
        ("CCONCH", [(0, 1), (1, 2), (1, 3), (3, 5), (3, 4)], [(0, 1, 3, 4)]),
        ("CCONHH", [(0, 1), (1, 2), (1, 3), (3, 4), (3, 5)], []),
        ("CCHHNC", [(0, 1), (1, 2), (1, 3), (1, 4), (4, 5)], []),
        ("NCONC", [(0, 1), (1, 2), (1, 3), (3, 4)], []),
        ("CCOCNC", [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5)], []),
    ],
)
def test_amides_have_a_carbonyl_and_carbons_on_both_sides(
    symbols: str, pairs: list[tuple[int, int]], amides: list[tuple[int, int, int, int]]
) -> None:
    assert list(Integrity.of(bonded([*symbols], pairs)).amides.atoms) == amides


def test_a_long_disulfide_is_no_gap_in_a_chain() -> None:
    topology = app.Topology()
    chain = topology.addChain()
    atoms = [topology.addAtom("SG", app.element.sulfur, topology.addResidue("CYS", chain)) for _ in range(2)]
    topology.addBond(*atoms)
    check_chains(Structure(topology, np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])), "x.pdb")


def test_bonds_that_names_tell_are_not_written() -> None:
    """Those of a peptide's residue; a ligand's are."""
    capped = load_structure(ALANINE)
    alone = without(capped, {a.index for a in capped.topology.atoms() if a.residue.name != "ALA"})
    assert "CONECT" not in pdb_text(alone)
    assert pdb_text(bonded(["C", "O"], [(0, 1)])).count("CONECT") == 2


def test_a_lysine_bears_three_hydrogens_at_ph_7() -> None:
    structure = load_structure(ALANINE)
    amine = app.Topology()
    residue = amine.addResidue("LYS", amine.addChain())
    names = ("N", "CA", "C", "O", "CB", "CG", "CD", "CE", "NZ")
    atoms = {name: amine.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in names}
    amine.createStandardBonds()
    x = {a.name: structure.positions[a.index] for a in structure.topology.atoms() if a.residue.name == "ALA"}
    away = x["CB"] - x["CA"]
    side = np.cross(away, [0.0, 0.0, 1.0]) * 0.5
    for k, name in enumerate(("CG", "CD", "CE", "NZ"), 1):
        x[name] = x["CB"] + 0.8 * k * away + (k % 2) * side
    found = with_hydrogens(Structure(amine, np.array([x[name] for name in atoms])), [None], "x.pdb")
    assert {a.name for a in found.topology.atoms() if a.name.startswith("HZ")} == {"HZ1", "HZ2", "HZ3"}


def small_box() -> Structure:
    """A sodium ion in a little water."""
    ion = app.Topology()
    residue = ion.addResidue("NA", ion.addChain())
    ion.addAtom("NA", app.element.sodium, residue)
    return put_into_water(Structure(ion, np.zeros((1, 3))), ("amber96.xml", "tip3p.xml"), "tip3p", padding=0.75)


def test_the_cutoff_fits_into_a_small_box_and_pythons_own_generator_is_left_alone() -> None:
    random.seed(4)
    before = random.getstate()
    box = small_box()
    assert random.getstate() == before
    edge = min(np.diag(np.array(box.cell)))
    assert 1.3 < edge < 2.0
    system = build_solvated_system(box.topology, ("amber96.xml", "tip3p.xml"))
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    assert 0.4 * edge < cutoff < 0.5 * edge


def test_a_selection_follows_the_bonds_and_warns_of_nothing() -> None:
    chain = bonded(["C", "O", "N", "S"], [(0, 1), (0, 2), (2, 3)])
    for positions in (0.1 * chain.positions, 10.0 * chain.positions):
        structure = Structure(chain.topology, positions)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            molecule = molecule_of(structure, structure, None)
            assert molecule.select("bonded name C0") == (1, 2)
            assert molecule.select("bonded name S3") == (2,)
            assert molecule.select("all") == (0, 1, 2, 3)
