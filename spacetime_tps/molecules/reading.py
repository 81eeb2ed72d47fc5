"""A structure file as a topology and positions: PDB or mmCIF, gzipped or not."""

import gzip
import io
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from openmm import app, unit
from scipy.spatial import cKDTree

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.records import cif_records, pdb_records
from spacetime_tps.molecules.structure import Structure, full_name

OVERLAP = 0.01
"""nm, below which two atoms are one too many"""
LARGEST = 1_000_000_000
"""Bytes of a file that was gzipped"""
GZIPPED = b"\x1f\x8b"


@dataclass(frozen=True)
class Read:
    """A structure, and sentences on what of its file was not taken or was put in."""

    structure: Structure
    said: tuple[str, ...] = ()


def load_structure(path: Path) -> Structure:
    """The structure of a file alone: `read_structure`."""
    return read_structure(path).structure


def read_structure(path: Path) -> Read:
    """Read the first model of a PDB or mmCIF file. Raises SpacetimeError where it is missing, and as `structure_of` and `check_apart`."""
    found = structure_of(content_of(path), str(path))
    check_apart(found.structure, str(path))
    return found


def content_of(path: Path) -> bytes:
    """Raises SpacetimeError where there is no such file."""
    if not path.is_file():
        raise SpacetimeError(f"{path}: there is no such file")
    return path.read_bytes()


def check_numbers(structure: Structure, name: str) -> None:
    """Raise SpacetimeError for coordinates that are no numbers; `name` is the file's."""
    whole = np.isfinite(structure.positions).all(axis=1)
    if not whole.all():
        raise SpacetimeError(f"{name}: the coordinates of {full_name(structure.topology, int(np.argmin(whole)))} are no numbers")


def check_apart(structure: Structure, name: str) -> None:
    """Raise SpacetimeError for two atoms in one place."""
    near = cKDTree(structure.positions).query_pairs(OVERLAP)
    if near:
        one, other = (full_name(structure.topology, k) for k in min(near))
        raise SpacetimeError(f"{name}: {one} and {other} lie within {OVERLAP:g} nm of each other")


def structure_of(content: bytes, name: str) -> Read:
    """The first model of what a file called `name` holds. Raises SpacetimeError where it is unreadable or empty."""
    content = _unpacked(content, name)
    form, reader, records = ("an mmCIF", app.PDBxFile, cif_records) if _is_cif(content, name) else ("a PDB", app.PDBFile, pdb_records)
    try:
        text, said = records(content.decode())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = reader(io.StringIO(text))
        topology, positions = file.topology, np.array(file.getPositions(asNumpy=True).value_in_unit(unit.nanometer), dtype=float)
    except SpacetimeError as problem:
        raise SpacetimeError(f"{name}: {problem}") from problem
    except Exception as problem:  # OpenMM's readers raise whatever their parsers meet
        raise SpacetimeError(f"{name} cannot be read as {form} file: {_reason(problem)}") from problem
    if topology.getNumAtoms() == 0:
        raise SpacetimeError(f"{name} holds no atoms")
    check_numbers(Structure(topology, positions), name)
    if reader is app.PDBxFile:  # PDBFile does so itself
        topology.createDisulfideBonds(file.positions)
    name_apart(topology)
    return Read(Structure(topology, positions), tuple(f"{PurePath(name).name} {what}" for what in said))


def name_apart(topology: app.Topology) -> None:
    """OpenMM's standard names may be one for two atoms that the file tells apart, as for H and CHARMM's HT1 of a cap."""
    for residue in topology.residues():
        met: set[str] = set()
        for atom in residue.atoms():
            while atom.name in met:
                atom.name += "'"
            met.add(atom.name)


def _unpacked(content: bytes, name: str) -> bytes:
    if not content.startswith(GZIPPED):
        return content
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise SpacetimeError(f"{name} cannot be unpacked by gzip: {problem}") from problem
    if len(unpacked) > LARGEST:
        raise SpacetimeError(f"{name} unpacks to more than {LARGEST} bytes: no such file has")
    return unpacked


def _is_cif(content: bytes, name: str) -> bool:
    """By the file's suffix, or its first word."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes if suffix.lower() != ".gz"]
    first = next((line for line in content[:10_000].splitlines() if line.strip() and not line.startswith(b"#")), b"")
    return suffixes[-1:] in ([".cif"], [".mmcif"]) or first.lower().startswith(b"data_")


def _reason(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
