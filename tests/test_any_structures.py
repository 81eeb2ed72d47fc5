"""Files of a data bank or another program as ends: what is read, left out, put in and matched, against what they were made from."""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from openmm import app
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates.torsions import Torsions, rotatable_torsions
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.bonds import all_bonds
from spacetime_tps.molecules.ends import Ends, two_ends
from spacetime_tps.molecules.equals import numbered_alike
from spacetime_tps.molecules.integrity import hands, neighbours
from spacetime_tps.molecules.order import brought
from spacetime_tps.molecules.reading import load_structure, structure_of
from spacetime_tps.molecules.structure import Structure, atom_index, without, write_pdb
from spacetime_tps.problems.problem import prepare
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import bundled_systems, two_structures
from spacetime_tps.progress import Silent

SYSTEMS = bundled_systems()
FIELD = ["amber14-all.xml"]
Lines = list[str]
Change = Callable[[Lines], Lines]


def is_atom(line: str) -> bool:
    return line.startswith(("ATOM", "HETATM"))


def mutated(text: str, sequence: dict[int, str]) -> str:
    """A peptide of alanines with some of its residues made others, of which it then holds the atoms up to CB; no hydrogens."""
    lines = [line for line in text.splitlines(keepends=True) if is_atom(line) and line[76:78].strip() != "H"]
    return "".join(f"{x[:17]}{sequence.get(int(x[22:26]), x[17:20])}{x[20:]}" for x in lines) + "END\n"


def peptide(folder: Path, *sequence: str) -> tuple[Path, Path]:
    """Ace-X-Y-Z-Nme in the two structures of the tripeptide: files with all of their atoms."""
    chosen = dict(zip((2, 3, 4), sequence, strict=True))
    for name in ("beta", "alpha"):
        (folder / f"bare_{name}.pdb").write_text(mutated((SYSTEMS["alanine_tripeptide"] / f"{name}.pdb").read_text(), chosen))
    made = two_ends(folder / "bare_beta.pdb", folder / "bare_alpha.pdb", FIELD, keep_names=False)
    write_pdb(folder / "beta.pdb", made.start)
    write_pdb(folder / "alpha.pdb", made.end)
    return folder / "beta.pdb", folder / "alpha.pdb"


@pytest.fixture(scope="module")
def fdv(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Phe, Asp, Val: a ring, a carboxylate, a CH2, methyls."""
    return peptide(tmp_path_factory.mktemp("fdv"), "PHE", "ASP", "VAL")


def without_hydrogens(lines: Lines) -> Lines:
    return [x for x in lines if not (is_atom(x) and x[76:78].strip() == "H") and not x.startswith("CONECT")]


def with_water(lines: Lines) -> Lines:
    beside = [
        f"HETATM 9{k:03d} {atom:4} {residue:>3} W{k:4d}    {30 + 4 * k:8.3f}   0.000   0.000  1.00  0.00          {element:>2}\n"
        for k, (atom, residue, element) in enumerate([(" O", "HOH", "O"), (" O", "WAT", "O"), ("NA", "NA", "NA"), ("ZN", "ZN", "ZN")])
    ]
    return [*lines[:-1], *beside, "END\n"]


def with_alternates(lines: Lines) -> Lines:
    """Of residue 3 a rarer position before each."""
    found: Lines = []
    for x in lines:
        if is_atom(x) and int(x[22:26]) == 3:
            found.append(f"{x[:16]}A{x[17:30]}{float(x[30:38]) + 0.7:8.3f}{x[38:54]}  0.30{x[60:]}")
            x = f"{x[:16]}B{x[17:54]}  0.70{x[60:]}"
        found.append(x)
    return found


def shuffled(lines: Lines) -> Lines:
    """The atoms of each residue in another order."""
    rng, found = random.Random(3), {}
    for x in filter(is_atom, lines):
        found.setdefault(int(x[22:26]), []).append(x)
    return [x for number in sorted(found) for x in rng.sample(found[number], len(found[number]))] + ["END\n"]


def renumbered(lines: Lines) -> Lines:
    return [f"{x[:21]}B{int(x[22:26]) + 100:4d}{x[26:]}" if is_atom(x) else x for x in lines]


def renamed(names: dict[str, str]) -> Change:
    """Atoms, and residues of three letters, by other names."""

    def change(lines: Lines) -> Lines:
        return [
            f"{x[:12]}{names.get(x[12:16].strip(), x[12:16].strip()):>4}{x[16:17]}{names.get(x[17:20], x[17:20])}{x[20:]}"
            if is_atom(x)
            else x
            for x in lines
        ]

    return change


def with_models(lines: Lines) -> Lines:
    other = [f"{x[:30]}{float(x[30:38]) * 1.1:8.3f}{x[38:]}" for x in lines if is_atom(x)]
    atoms = [x for x in lines if is_atom(x)]
    return ["MODEL        1\n", *atoms, "ENDMDL\n", "MODEL        2\n", *other, "ENDMDL\n", "END\n"]


CHARMM = {"H": "HN", "HB2": "HB1", "HB3": "HB2", "NME": "NMA"}
OLD = {"HB2": "2HB", "HB3": "1HB", "H": "HN", "HG11": "1HG1", "HG12": "2HG1", "HG13": "3HG1"}
BESIDE = "2 water molecules, 1 NA, 1 ZN left out"
CHANGES: dict[str, tuple[Change, str]] = {
    "as it is": (lambda lines: lines, ""),
    "no hydrogens": (without_hydrogens, "lacks 29 hydrogens: put in"),
    "water and ions": (with_water, BESIDE),
    "alternate positions": (with_alternates, "holds alternate positions of 1 residue: those of the highest occupancy"),
    "another order": (shuffled, ""),
    "other numbers": (renumbered, ""),
    "CHARMM's names": (renamed(CHARMM), ""),
    "older names": (renamed(OLD), ""),
    "two models": (with_models, "holds 2 models: the first is taken"),
    "much at once": (
        lambda lines: with_water(renumbered(with_alternates(without_hydrogens(shuffled(lines))))),
        BESIDE,
    ),
}


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    suffix: str
    write: Callable[[str], bytes]


COLUMNS = """group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id pdbx_PDB_ins_code
Cartn_x Cartn_y Cartn_z occupancy auth_seq_id auth_comp_id auth_asym_id auth_atom_id pdbx_PDB_model_num"""


def as_cif(text: str) -> bytes:
    """The same atoms as an mmCIF file of a data bank, alternates and models included."""
    columns = COLUMNS.split()
    rows, model = [], 1
    for x in text.splitlines():
        model = int(x.split()[1]) if x.startswith("MODEL") else model
        if is_atom(x):
            name, residue, number = x[12:16].strip(), x[17:20].strip(), x[22:26].strip()
            place = (x[30:38], x[38:46], x[46:54], x[54:60])
            rows.append(" ".join([
                x[:6].strip(), str(len(rows) + 1), x[76:78].strip(), name, x[16].strip() or ".", residue, x[21], "1", number, "?",
                *(v.strip() for v in place), number, residue, x[21], name, str(model),
            ]))  # fmt: skip
    head = ["data_TEST", "#", "_entry.id TEST", "_cell.length_a 50.0", "_cell.length_b 50.0", "_cell.length_c 50.0"]
    head += ["_cell.angle_alpha 90", "_cell.angle_beta 90", "_cell.angle_gamma 90", "#", "loop_", *(f"_atom_site.{c}" for c in columns)]
    return "\n".join([*head, *rows, "#", ""]).encode()


FORMS = {
    "pdb": Form(".pdb", str.encode),
    "ent.gz": Form(".ent.gz", lambda text: gzip.compress(text.encode())),
    "cif": Form(".cif", as_cif),
    "cif.gz": Form(".cif.gz", lambda text: gzip.compress(as_cif(text))),
    "no suffix": Form("", as_cif),
}


def heavy(topology: app.Topology) -> list[int]:
    return [a.index for a in topology.atoms() if a.element.symbol != "H"]


def names(topology: app.Topology) -> list[tuple[str, str, str]]:
    return [(a.residue.id, a.residue.name, a.name) for a in topology.atoms()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CHANGES)
def test_an_end_from_elsewhere_is_the_structure_it_was_made_from(name: str, form: str, fdv: tuple[Path, Path], tmp_path: Path) -> None:
    change, sentence = CHANGES[name]
    start, whole = load_structure(fdv[0]), load_structure(fdv[1])
    path = tmp_path / f"end{FORMS[form].suffix}"
    path.write_bytes(FORMS[form].write("".join(change(fdv[1].read_text().splitlines(keepends=True)))))
    found = two_ends(fdv[0], path, FIELD, keep_names=False)
    np.testing.assert_array_equal(found.start.positions, start.positions)
    assert names(found.end.topology) == names(start.topology)
    apart = np.abs(found.end.positions - whole.positions).max(axis=1)
    assert apart[heavy(start.topology)].max() == 0.0
    torsions = rotatable_torsions(molecule_of(found.start, found.end, None))
    np.testing.assert_allclose(torsions.values(found.end.positions), torsions.values(whole.positions), atol=1e-3)
    said = " ".join(found.said)
    assert sentence in said
    assert bool(said) == bool(sentence)
    if "lacks" not in said:
        assert apart.max() == 0.0
    else:  # put in where the force field's minimum has them, to 0.05 nm: methyls are staggered in both
        assert hands_agree(found.end, whole)


def hands_agree(one: Structure, other: Structure) -> bool:
    near, _ = neighbours(one.topology)
    centres = np.array([[a, *around[:3]] for a, around in near.items() if len(around) == 4])
    return bool((hands(one.positions, centres) == hands(other.positions, centres)).all())


@pytest.mark.parametrize("name", [name for name in CHANGES if not name.endswith(" names")])
def test_a_problem_is_the_same_from_an_end_from_elsewhere(name: str, tmp_path: Path) -> None:
    # Hydrogens that were put in lead to the same minimum, of a gradient within 1 kJ/mol/nm: torsions to 0.02 rad, all else to 1e-3.
    folder, field = SYSTEMS["alanine_dipeptide"], ("amber99sbildn.xml",)
    lines = [x for x in (folder / "c7ax.pdb").read_text().splitlines(keepends=True)]
    (tmp_path / "c7ax.pdb").write_text("".join(CHANGES[name][0](lines)))
    said: list[str] = []
    problems = [
        prepare(
            two_structures(folder / "c5.pdb", end, forcefield=field, temperature=300.0),
            DynamicsSettings(platform="Reference"),
            Listener(said),
        )
        for end in (folder / "c7ax.pdb", tmp_path / "c7ax.pdb")
    ]
    assert problems[0].coordinates.names == problems[1].coordinates.names == ("ALA2_N_CA", "ALA2_CA_C")
    assert problems[0].model.system_xml == problems[1].model.system_xml
    tolerance = 0.02 if "hydrogens" in " ".join(said) else 1e-3
    np.testing.assert_allclose(problems[1].ends, problems[0].ends, atol=tolerance)


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self, said: list[str]):
        self.said = said

    def say(self, text: str) -> None:
        self.said.append(text)


SWAPS: dict[str, list[tuple[str, ...]]] = {
    "ring flipped": [("2:CD1", "2:CD2"), ("2:CE1", "2:CE2"), ("2:HD1", "2:HD2"), ("2:HE1", "2:HE2")],
    "carboxylate": [("3:OD1", "3:OD2")],
    "methyl turned": [("4:HG11", "4:HG12", "4:HG13"), ("1:H1", "1:H2", "1:H3")],
    "methyl of the other order": [("5:H1", "5:H2")],
    "methylene of the other order": [("2:HB2", "2:HB3"), ("3:HB2", "3:HB3")],
    "valine's methyls": [("4:CG1", "4:CG2"), ("4:HG11", "4:HG21"), ("4:HG12", "4:HG22"), ("4:HG13", "4:HG23")],
}
SWAPS["all at once"] = [
    *SWAPS["ring flipped"], ("2:HB2", "2:HB3"), ("3:OD1", "3:OD2"), ("1:H1", "1:H2", "1:H3"), ("4:CG1", "4:CG2"), 
    ("4:HG11", "4:HG22", "4:HG12", "4:HG21"), ("4:HG13", "4:HG23"),
]  # fmt: skip


@pytest.mark.parametrize("name", SWAPS)
def test_atoms_equal_by_symmetry_under_other_numbers_change_nothing(name: str, fdv: tuple[Path, Path], tmp_path: Path) -> None:
    whole = load_structure(fdv[1])
    order = np.arange(len(whole.positions))
    for cycle in SWAPS[name]:
        places = [atom_index(whole.topology, label) for label in cycle]
        order[places] = order[[*places[1:], places[0]]]
    assert (order != np.arange(len(order))).sum() == sum(map(len, SWAPS[name]))
    write_pdb(tmp_path / "end.pdb", Structure(whole.topology, whole.positions[order]))
    found = two_ends(fdv[1], tmp_path / "end.pdb", FIELD, keep_names=False)
    np.testing.assert_array_equal(found.end.positions, whole.positions)
    with pytest.raises(SpacetimeError, match="no torsion differs"):
        Torsions.of_molecule(None, molecule_of(found.start, found.end, None))
    kept = two_ends(fdv[1], tmp_path / "end.pdb", FIELD, keep_names=True)
    np.testing.assert_array_equal(kept.end.positions, whole.positions[order])


@pytest.mark.parametrize(
    ("axis", "turning", "fold"),
    [
        (("2:CB", "2:CG"), ("2:CD1", "2:CD2", "2:CE1", "2:CE2", "2:CZ", "2:HD1", "2:HD2", "2:HE1", "2:HE2", "2:HZ"), 180.0),
        (("3:CB", "3:CG"), ("3:OD1", "3:OD2"), 180.0),
        (("4:CB", "4:CG1"), ("4:HG11", "4:HG12", "4:HG13"), 120.0),
        (("4:CA", "4:CB"), ("4:CG1", "4:CG2", "4:HB", "4:HG11", "4:HG12", "4:HG13", "4:HG21", "4:HG22", "4:HG23"), 360.0),
    ],
)
@pytest.mark.parametrize("angle", [50.0, 100.0, 130.0, 170.0, -110.0])
def test_a_group_turns_by_the_least_of_equal_angles(
    axis: tuple[str, str], turning: tuple[str, ...], fold: float, angle: float, fdv: tuple[Path, Path]
) -> None:
    start = load_structure(fdv[1])
    from_, to, *rest = (atom_index(start.topology, label) for label in (*axis, *turning))
    x = start.positions.copy()
    along = (x[to] - x[from_]) / np.linalg.norm(x[to] - x[from_])
    x[rest] = x[to] + Rotation.from_rotvec(np.radians(angle) * along).apply(x[rest] - x[to])
    found = numbered_alike(start, Structure(start.topology, x))
    near, _ = neighbours(start.topology)
    seen = Torsions((), tuple((a, from_, to, b) for a in near[from_] if a != to for b in near[to] if b != from_))
    turned = np.degrees(seen.values(found.positions) - seen.values(start.positions))
    expected = (angle + fold / 2) % fold - fold / 2
    off = (turned - expected + 180.0) % 360.0 - 180.0  # hydrogens of a methyl are not quite 120 degrees apart
    np.testing.assert_allclose([off.mean(), *off], [0.0, *np.zeros_like(off)], atol=8.0)
    assert abs(off.mean()) < 1e-6
    assert hands_agree(found, start)
    others = np.setdiff1d(np.arange(len(x)), rest)
    np.testing.assert_array_equal(found.positions[others], start.positions[others])


@pytest.mark.parametrize(("name", "ends"), [("cyclohexane", ("chair", "inverted")), ("valine_dipeptide", ("trans", "gauche"))])
def test_ends_that_symmetry_or_the_hand_holds_apart_stay_two(name: str, ends: tuple[str, str]) -> None:
    start, end = (load_structure(SYSTEMS[name] / f"{e}.pdb") for e in ends)
    found = numbered_alike(start, end)
    carried = heavy(start.topology) if name == "valine_dipeptide" else list(range(len(start.positions)))
    np.testing.assert_array_equal(found.positions[carried], end.positions[carried])
    assert hands_agree(found, start)


def ligand(structure: Structure, rng: np.random.Generator, *, bonds: bool) -> tuple[Structure, np.ndarray]:
    """The same atoms in another order, in one residue, under names that say nothing; and which is which."""
    order = rng.permutation(len(structure.positions))
    place = {int(k): n for n, k in enumerate(order)}
    made, old = app.Topology(), list(structure.topology.atoms())
    residue = made.addResidue("LIG", made.addChain(), "1")
    new = [made.addAtom(f"{old[k].element.symbol}{n}", old[k].element, residue) for n, k in enumerate(order)]
    for a, b in structure.topology.bonds() if bonds else ():
        made.addBond(new[place[a.index]], new[place[b.index]])
    return Structure(made, structure.positions[order]), order


@pytest.mark.parametrize("bonds", [True, False])
@pytest.mark.parametrize("light", [True, False])
def test_a_molecule_under_other_names_is_matched_by_its_bonds(bonds: bool, light: bool, fdv: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(5)
    start, order = ligand(load_structure(fdv[0]), rng, bonds=True)
    other, _ = ligand(load_structure(fdv[1]), rng, bonds=bonds)
    if not light:
        other = without(other, {a.index for a in other.topology.atoms() if a.element.symbol == "H"})
    found = brought(start, other, start_name="start.pdb", end_name="end.pdb", keep_names=False).structure
    expected = load_structure(fdv[1]).positions[order]
    carried = heavy(start.topology)
    np.testing.assert_array_equal(found.positions[carried], expected[carried])
    assert hands_agree(found, start)
    if light:
        np.testing.assert_array_equal(found.positions, expected)


def capped_within(lines: Lines) -> Lines:
    """Caps as CHARMM has them: atoms of the residue that they are on."""
    caps = {("ACE", "CH3"): "CAY", ("ACE", "C"): "CY", ("ACE", "O"): "OY", ("NME", "N"): "NT", ("NME", "C"): "CAT"}
    light = {"ACE": "HY", "NME": "HT"}
    found = []
    for x in lines:
        residue, name, number = x[17:20], x[12:16].strip(), int(x[22:26]) if is_atom(x) else 0
        if is_atom(x) and residue in light:
            new = caps.get((residue, name), f"{light[residue]}{name[1:]}" if name[1:] else "HNT")
            x = f"ATOM  {x[6:12]}{new:>4} {'PHE' if residue == 'ACE' else 'VAL'}{x[20:22]}{2 if number == 1 else 4:4d}{x[26:]}"
        found.append(x)
    return [x for x in found if not x.startswith("CONECT")]


@pytest.mark.parametrize("light", [True, False])
def test_caps_that_are_no_residues_of_their_own_are_matched(light: bool, fdv: tuple[Path, Path], tmp_path: Path) -> None:
    lines = capped_within(fdv[1].read_text().splitlines(keepends=True))
    (tmp_path / "end.pdb").write_text("".join(lines if light else without_hydrogens(lines)))
    whole = load_structure(fdv[1])
    assert load_structure(tmp_path / "end.pdb").topology.getNumResidues() == 3
    found = two_ends(fdv[0], tmp_path / "end.pdb", FIELD, keep_names=False).end
    carried = list(range(len(whole.positions))) if light else heavy(whole.topology)
    np.testing.assert_array_equal(found.positions[carried], whole.positions[carried])
    assert hands_agree(found, whole)


def test_one_set_of_names_on_other_atoms_is_told_by_the_bonds(fdv: tuple[Path, Path]) -> None:
    start, order = ligand(load_structure(fdv[0]), np.random.default_rng(5), bonds=True)
    other, _ = ligand(load_structure(fdv[1]), np.random.default_rng(6), bonds=False)
    symbols: dict[str, int] = {}
    for structure in (start, other):
        symbols.clear()
        for atom in structure.topology.atoms():
            symbols[atom.element.symbol] = symbols.get(atom.element.symbol, 0) + 1
            atom.name = f"{atom.element.symbol}{symbols[atom.element.symbol]}"
    found = brought(start, other, start_name="start.pdb", end_name="end.pdb", keep_names=False).structure
    np.testing.assert_array_equal(found.positions, load_structure(fdv[1]).positions[order])


def test_an_atom_of_the_backbone_is_not_put_in(fdv: tuple[Path, Path], tmp_path: Path) -> None:
    lines = [x for x in fdv[1].read_text().splitlines(keepends=True) if not (is_atom(x) and x[12:16].strip() == "C" and x[17:20] == "ASP")]
    (tmp_path / "end.pdb").write_text("".join(lines))
    with pytest.raises(SpacetimeError, match=r"residue 3 ASP lacks C, an atom of the backbone, in end.pdb: build it"):
        two_ends(fdv[0], tmp_path / "end.pdb", FIELD, keep_names=False)


def test_atoms_of_a_side_chain_that_are_missing_are_put_in(fdv: tuple[Path, Path], tmp_path: Path) -> None:
    cut = [x for x in fdv[1].read_text().splitlines(keepends=True) if x[12:16].strip() not in ("OD2", "CG2", "HG21", "HG22", "HG23")]
    (tmp_path / "end.pdb").write_text("".join(cut))
    found = two_ends(fdv[0], tmp_path / "end.pdb", FIELD, keep_names=False)
    assert found.said == ("end.pdb lacks HG21, HG22, HG23 of residue 4 VAL and OD2 of residue 3 ASP; CG2 of residue 4 VAL: put in",)
    for label, bearer in (("3:OD2", "3:CG"), ("4:CG2", "4:CB"), ("4:HG22", "4:CG2")):
        one, other = (found.end.positions[atom_index(found.end.topology, x)] for x in (label, bearer))
        assert 0.09 < np.linalg.norm(one - other) < 0.17
    assert hands_agree(found.end, load_structure(fdv[1]))


def leaving_out(names: set[str]) -> Change:
    return lambda lines: [x for x in lines if not (is_atom(x) and x[12:16].strip() in names)]


def test_both_ends_are_of_one_protonation(tmp_path: Path) -> None:
    start, end = peptide(tmp_path, "ALA", "HIS", "ALA")

    def file(name: str, of: Path, change: Change) -> Path:
        (tmp_path / name).write_text("".join(change(of.read_text().splitlines(keepends=True))))
        return tmp_path / name

    def tautomer(found: Ends) -> set[str]:
        both = [{a.name for a in s.topology.atoms()} & {"HD1", "HE2"} for s in (found.start, found.end)]
        assert both[0] == both[1]
        return both[0]

    def of_kind(path: Path, wanted: str) -> Path:
        """With the one hydrogen that is wanted on the ring, in the place of the one that is there."""
        there = "HD1" if " HD1 HIS" in path.read_text() else "HE2"
        if there == wanted:
            return path
        bare = file(f"{wanted}_{path.name}", path, leaving_out({there}))
        structure = load_structure(bare)
        x = {a.name: structure.positions[a.index] for a in structure.topology.atoms() if a.residue.name == "HIS"}
        bearer, near = ("ND1", ("CG", "CE1")) if wanted == "HD1" else ("NE2", ("CD2", "CE1"))
        away = 2 * x[bearer] - x[near[0]] - x[near[1]]
        place = 10.0 * (x[bearer] + 0.101 * away / np.linalg.norm(away))
        line = f"ATOM   9999  {wanted} HIS 1   3    {place[0]:8.3f}{place[1]:8.3f}{place[2]:8.3f}  1.00  0.00           H\n"
        return file(f"{wanted}_{path.name}", bare, lambda lines: put_in(lines, line))

    def put_in(lines: Lines, line: str) -> Lines:
        last = max(k for k, x in enumerate(lines) if is_atom(x) and x[17:20] == "HIS")
        return [*lines[: last + 1], line, *lines[last + 1 :]]

    bare = [file(f"no_{p.name}", p, without_hydrogens) for p in (start, end)]
    for wanted in ("HD1", "HE2"):
        explicit = [of_kind(p, wanted) for p in (start, end)]
        assert tautomer(two_ends(explicit[0], bare[1], FIELD, keep_names=False)) == {wanted}
        assert tautomer(two_ends(bare[0], explicit[1], FIELD, keep_names=False)) == {wanted}
    assert len(tautomer(two_ends(*bare, FIELD, keep_names=False))) == 1
    with pytest.raises(SpacetimeError, match=r"residue 3 HIS has a hydrogen more on NE2 in .* give both the same protonation"):
        two_ends(of_kind(start, "HD1"), of_kind(end, "HE2"), FIELD, keep_names=False)


def test_what_is_put_in_is_the_same_each_time(fdv: tuple[Path, Path], tmp_path: Path) -> None:
    folder = fdv[0].parent
    found = []
    for seed in (11, 12):
        random.seed(seed)
        state = random.getstate()
        found.append(two_ends(folder / "bare_beta.pdb", folder / "bare_alpha.pdb", FIELD, keep_names=False))
        assert random.getstate() == state
    one, other = found
    np.testing.assert_array_equal(one.start.positions, other.start.positions)
    np.testing.assert_array_equal(one.end.positions, other.end.positions)


@pytest.mark.parametrize(("apart", "bonded"), [(0.19, True), (0.21, False)])
def test_a_bond_of_a_hydrogen_that_is_far_too_long_is_none(apart: float, bonded: bool) -> None:
    """Two carbons, and a hydrogen that the topology bonds to the first: it counts up to 0.2 nm. Heavy atoms keep what they are given."""
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    one, other, light = (topology.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in ("C1", "C2", "H1"))
    topology.addBond(one, other)
    topology.addBond(one, light)
    found = all_bonds(Structure(topology, np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, apart, 0.0]])))
    assert (0, 1) in found
    assert ((0, 2) in found) == bonded


def test_a_residue_missing_in_the_middle_is_told(fdv: tuple[Path, Path], tmp_path: Path) -> None:
    text = "".join(x for x in fdv[1].read_text().splitlines(keepends=True) if not (is_atom(x) and int(x[22:26]) == 3))
    (tmp_path / "end.pdb").write_text(text)
    told = r"end.pdb lacks residues between residue 2 PHE and residue 4 VAL, whose C and N lie 0\.\d+ nm apart"
    for ends in ((fdv[0], tmp_path / "end.pdb"), (tmp_path / "end.pdb", fdv[0])):
        with pytest.raises(SpacetimeError, match=told):
            two_ends(*ends, FIELD, keep_names=False)


def test_another_sequence_is_told(fdv: tuple[Path, Path], tmp_path: Path) -> None:
    start = fdv[0]
    _, other = peptide(tmp_path, "PHE", "GLU", "ALA")
    with pytest.raises(
        SpacetimeError, match=r"alpha.pdb lacks residue 3 ASP and holds residue 3 GLU instead; alpha.pdb lacks residue 4 VAL and"
    ):
        two_ends(start, other, FIELD, keep_names=False)
    lines = start.read_text().splitlines(keepends=True)
    (tmp_path / "end.pdb").write_text("".join(x for x in lines if not (is_atom(x) and int(x[22:26]) == 5)))
    with pytest.raises(SpacetimeError, match=r"end.pdb lacks residue 5 NME$"):
        two_ends(start, tmp_path / "end.pdb", FIELD, keep_names=False)


def test_a_disulfide_that_one_lacks_is_told(tmp_path: Path) -> None:
    _, end = peptide(tmp_path, "CYS", "ALA", "CYS")
    lines = without_hydrogens(end.read_text().splitlines(keepends=True))
    (tmp_path / "open.pdb").write_text("".join(lines))
    sulfurs = [x[6:11] for x in lines if is_atom(x) and x[12:16].strip() == "SG"]
    (tmp_path / "bridge.pdb").write_text("".join([*lines[:-1], f"CONECT{sulfurs[0]}{sulfurs[1]}\n", "END\n"]))
    told = "residue 2 CYS and residue 4 CYS are bonded by a disulfide in bridge.pdb and not in open.pdb"
    for ends in (("open", "bridge"), ("bridge", "open")):
        with pytest.raises(SpacetimeError, match=told):
            two_ends(*(tmp_path / f"{name}.pdb" for name in ends), FIELD, keep_names=False)
    whole = two_ends(tmp_path / "bridge.pdb", tmp_path / "bridge.pdb", FIELD, keep_names=False)
    assert "HG" not in {a.name for a in whole.end.topology.atoms()}


def test_files_that_cannot_be_read_are_sentences(fdv: tuple[Path, Path]) -> None:
    whole = as_cif(fdv[1].read_text())
    packed = gzip.compress(whole)
    for name, content, told in (
        ("x.cif", b"data_x\nloop_\n", "x.cif cannot be read as an mmCIF file"),
        ("x.cif", b"", "x.cif cannot be read as an mmCIF file"),
        ("x.cif", whole.replace(b"Cartn_x", b"Cartn_q"), "x.cif: it has no column _atom_site.Cartn_x"),
        (
            "x.cif",
            whole.replace(b" PHE A ", b" PHE ").replace(b" PHE 1 ", b" PHE ", 1),
            "x.cif: row .* of its table atom_site has .* values for 19 columns",
        ),
        ("x.pdb.gz", packed[: len(packed) // 2], "x.pdb.gz cannot be unpacked by gzip"),
        ("x.pdb.gz", packed[:-8] + b"12345678", "x.pdb.gz cannot be unpacked by gzip"),
    ):
        with pytest.raises(SpacetimeError, match=told):
            structure_of(content, name)
