"""Which records of a structure file are read: those of the first model, and one of an atom's alternate positions."""

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openmm.app.internal.pdbx.reader.PdbxContainers import DataCategory, DataContainer
from openmm.app.internal.pdbx.reader.PdbxReader import PdbxReader
from openmm.app.internal.pdbx.writer.PdbxWriter import PdbxWriter

from spacetime_tps.errors import SpacetimeError

STANDARD = {
    "HSE": "HIS",
    "HIN": "HIS",
    "HISD": "HIS",
    "HISE": "HIS",
    "HISH": "HIS",
    "CYM": "CYS",
    "CYS2": "CYS",
    "LYN": "LYS",
    "LSN": "LYS",
}
"""Names that programs give to protonation states, beyond those that OpenMM knows"""
WATER = {"HOH", "WAT", "TIP3", "TIP4", "TIP5", "TIP", "TP3", "T4P", "SPC", "SPCE", "SOL", "H2O", "DOD"}
BLANK = ("", ".", "?")
CATEGORIES = ("atom_site", "cell", "struct_conn", "chem_comp_bond")
"""Of an mmCIF file, those that OpenMM reads"""
COLUMNS = ("Cartn_x", "Cartn_y", "Cartn_z", "type_symbol")


@dataclass(frozen=True)
class Record:
    """What tells one position of an atom from others."""

    place: tuple[str, ...]
    """Chain, number and insertion code of the residue"""
    residue: str
    """Its name"""
    atom: str
    alternate: str
    """Blank where there is one position"""
    occupancy: float


def pdb_records(text: str) -> tuple[str, list[str]]:
    """A PDB file's text with one model and one position an atom, and what is to be said of that. Raises SpacetimeError for an atom that is
    there twice."""
    lines, models = _first_model(text.splitlines(keepends=True))
    places = [k for k, line in enumerate(lines) if line.startswith(("ATOM  ", "HETATM"))]
    ends = [k for k, line in enumerate(lines) if line.startswith("TER")]
    records, chain = [], 0
    for k in places:
        while chain < len(ends) and ends[chain] < k:
            chain += 1
        line = lines[k]
        place = (str(chain), line[21:22], line[22:26].strip(), line[26:27].strip())
        records.append(Record(place, line[17:21].strip(), line[12:16].strip(), line[16:17].strip(), _number(line[54:60])))
    kept, said = _chosen(records)
    left_out = {k for k, keep in zip(places, kept, strict=True) if not keep}
    for k in places:
        lines[k] = _plain(lines[k])
    return "".join(line for k, line in enumerate(lines) if k not in left_out), [*models, *said]


def cif_records(text: str) -> tuple[str, list[str]]:
    """The same of an mmCIF file."""
    blocks: list[DataContainer] = []
    PdbxReader(io.StringIO(text)).read(blocks)
    table = blocks[0].getObj("atom_site")
    wanting = [name for name in COLUMNS if table.getAttributeIndex(name) < 0]
    if wanting:  # OpenMM would read another column
        raise SpacetimeError(f"it has no column _atom_site.{wanting[0]}")
    rows = table.getRowList()
    for category in filter(None, map(blocks[0].getObj, CATEGORIES)):
        _check_rows(category)

    def column(*names: str) -> list[str]:
        found = next((index for name in names if (index := table.getAttributeIndex(name)) >= 0), None)
        return ["" if found is None else row[found] for row in rows]

    models = column("pdbx_PDB_model_num")
    first = [k for k, model in enumerate(models) if model == models[0]]
    columns = zip(
        column("label_asym_id", "auth_asym_id"),
        column("auth_seq_id", "label_seq_id"),
        column("pdbx_PDB_ins_code"),
        column("auth_comp_id", "label_comp_id"),
        column("auth_atom_id", "label_atom_id"),
        column("label_alt_id"),
        column("occupancy"),
        strict=True,
    )
    records = [Record((c, n, i), r, a, "" if alt in BLANK else alt, _number(o)) for c, n, i, r, a, alt, o in columns]
    kept, said = _chosen([records[k] for k in first])
    held = [list(rows[k]) for k, keep in zip(first, kept, strict=True) if keep]
    for name, change in (("label_alt_id", lambda _: "."), ("auth_comp_id", _standard), ("label_comp_id", _standard)):
        index = table.getAttributeIndex(name)
        for row in held if index >= 0 else ():
            row[index] = change(row[index])
    several = len(dict.fromkeys(models))
    return _written(blocks[0], table, held), [*([_models(several)] if several > 1 else []), *said]


def _check_rows(category: DataCategory) -> None:
    columns = len(category.getAttributeList())
    for number, row in enumerate(category.getRowList(), start=1):
        if len(row) != columns:
            raise SpacetimeError(f"row {number} of its table {category.getName()} has {len(row)} values for {columns} columns")


def _first_model(lines: list[str]) -> tuple[list[str], list[str]]:
    begins = [k for k, line in enumerate(lines) if line.startswith("MODEL ")]
    if len(begins) < 2:
        return lines, []
    last = next((k for k in range(len(lines) - 1, begins[-1], -1) if lines[k].startswith("ENDMDL")), len(lines) - 1)
    return [*lines[: begins[1]], *lines[last + 1 :]], [_models(len(begins))]


def _models(count: int) -> str:
    return f"holds {count} models: the first is taken"


def _chosen(records: Sequence[Record]) -> tuple[list[bool], list[str]]:
    """Of each residue with alternate positions those of the highest occupancy in the mean, the first where they are alike."""
    occupancies: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.alternate:
            occupancies[record.place][record.alternate].append(record.occupancy)
    chosen = {place: max(found, key=lambda alt: sum(found[alt]) / len(found[alt])) for place, found in occupancies.items()}
    kept = [not record.alternate or record.alternate == chosen[record.place] for record in records]
    _check_once(record for record, keep in zip(records, kept, strict=True) if keep)
    several = sum(len(found) > 1 for found in occupancies.values())
    residues = f"{several} residue{'s' if several > 1 else ''}"
    return kept, [f"holds alternate positions of {residues}: those of the highest occupancy are taken"] if several else []


def _check_once(records: Iterable[Record]) -> None:
    met = set()
    for record in records:
        key = (record.place, record.residue, record.atom)
        if key in met and record.residue not in WATER:
            raise SpacetimeError(f"residue {record.place[-2]} {record.residue} holds {record.atom} twice")
        met.add(key)


def _plain(line: str) -> str:
    """An atom's line without its alternate, in a residue of standard name."""
    name = line[17:21].strip()
    return f"{line[:16]} {_standard(name):4}{line[21:]}" if name in STANDARD else f"{line[:16]} {line[17:]}"


def _standard(name: str) -> str:
    return STANDARD.get(name, name)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def _written(block: DataContainer, table: DataCategory, rows: list[list[str]]) -> str:
    found = DataContainer("structure")
    for name in CATEGORIES:
        if name == "atom_site":
            found.append(DataCategory(name, table.getAttributeList(), rows))
        elif (category := block.getObj(name)) is not None:
            found.append(category)
    text = io.StringIO()
    PdbxWriter(text).write([found])
    return text.getvalue()
