"""Systems that another program has prepared: OpenMM's own System XML, topologies of Amber, GROMACS and CHARMM as OpenMM reads them."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.forcefield import ISOLATED, deserialised
from spacetime_tps.molecules.reading import name_apart, structure_of
from spacetime_tps.molecules.records import WATER
from spacetime_tps.molecules.structure import Structure, is_hydrogen, pdb_text

ROUNDS = 4
"""Of renaming, at most: of an atom that no longer bears a name, another may be taken for it"""
HEAD = 100_000
"""Bytes of a file that tell what it is"""
SIDE = 100
"""Of a cube of atoms 1 nm apart, of which a PDB file tells no bonds by distance"""
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
Make = Callable[[], openmm.System]


@dataclass(frozen=True)
class Prepared:
    """A molecule's energy, and its atoms where the file names them."""

    name: str
    """Of the file"""
    system: openmm.System
    topology: app.Topology | None
    """None where the file is a System alone: the atoms are then the start structure's"""

    def of(self, structure: Structure) -> openmm.System:
        """The System. Raises SpacetimeError where it is of another number of particles than the structure has atoms."""
        particles, atoms = self.system.getNumParticles(), len(structure.positions)
        if particles != atoms:
            raise SpacetimeError(f"{self.name} has {particles} particles, and the structure {atoms} atoms")
        return self.system


def read_prepared(path: Path, parameters: Sequence[Path] = ()) -> Prepared:
    """What a file holds, by its suffix or else its first words. `parameters` are CHARMM's parameter files, or the folder in which a GROMACS
    topology finds what it includes. Raises SpacetimeError where it cannot be read, lacks parameters, or holds water or a periodic box."""
    kind = _kind(path)
    if kind.read is None:
        return Prepared(str(path), _system_xml(path, parameters), None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            topology, make = kind.read(path, parameters)
            _check_isolated(topology, path)
            return Prepared(str(path), make(), _as_in_pdb(topology))
    except SpacetimeError:
        raise
    except Exception as problem:  # OpenMM's readers raise whatever their parsers meet
        raise SpacetimeError(f"{path} cannot be read as {kind.called}: {_reason(problem)}") from problem


def files_of(path: Path, parameters: Sequence[Path]) -> dict[str, Path]:
    """All files that a prepared system is made from, by what they are called in a run's config: parameters and what a GROMACS topology
    includes, as far as it is found."""
    found = {"system": path, **{f"parameters {k} {file.name}": file for k, file in enumerate(parameters, 1) if file.is_file()}}
    folders = [folder for folder in parameters if folder.is_dir()]
    waiting = [path] if _kind(path).read is _gromacs else []
    while waiting:
        file = waiting.pop()
        for name in INCLUDE.findall(file.read_text(errors="replace")):
            places = (place / name for place in (file.parent, *folders) if (place / name).is_file())
            if (included := next(places, None)) is not None and included not in found.values():
                found[f"included {name}"] = included
                waiting.append(included)
    return found


Read = Callable[[Path, Sequence[Path]], tuple[app.Topology, Make]]


def _amber(path: Path, parameters: Sequence[Path]) -> tuple[app.Topology, Make]:
    _check_none(path, parameters)
    file = app.AmberPrmtopFile(str(path))
    return file.topology, lambda: file.createSystem(**ISOLATED)


def _gromacs(path: Path, parameters: Sequence[Path]) -> tuple[app.Topology, Make]:
    for place in parameters:
        if not place.is_dir() or len(parameters) > 1:
            raise SpacetimeError(f"{path} is a GROMACS topology: --parameters wants the one folder that holds what it includes")
    try:
        file = app.GromacsTopFile(str(path), includeDir=str(parameters[0]) if parameters else None)
    except ValueError as problem:
        if "Could not locate #include" not in str(problem):
            raise
        raise SpacetimeError(f"{path}: {problem}; give the folder that holds it by --parameters") from problem
    return file.topology, lambda: file.createSystem(**ISOLATED)


def _charmm(path: Path, parameters: Sequence[Path]) -> tuple[app.Topology, Make]:
    if not parameters:
        raise SpacetimeError(f"{path} wants CHARMM's parameter files: give them by --parameters, as par_all36m_prot.prm")
    file = app.CharmmPsfFile(str(path))

    def make() -> openmm.System:
        try:
            return file.createSystem(app.CharmmParameterSet(*map(str, parameters)), **ISOLATED)
        except Exception as problem:  # as for atom types that the files do not hold
            named = ", ".join(place.name for place in parameters)
            raise SpacetimeError(f"{path} cannot be made a system of with {named}: {_reason(problem)}") from problem

    return file.topology, make


@dataclass(frozen=True)
class Kind:
    """Files of one program."""

    called: str
    """In a sentence"""
    read: Read | None
    """None for a System alone"""
    suffixes: tuple[str, ...]
    begins: re.Pattern[bytes]
    """What it holds within its first lines, where the suffix does not tell: a .top may be Amber's or GROMACS's"""


KINDS = (
    Kind("a serialised OpenMM System", None, (".xml",), re.compile(rb"\A\s*<")),
    Kind("an Amber prmtop file", _amber, (".prmtop", ".parm7"), re.compile(rb"\A\s*%(VERSION|FLAG)")),
    Kind("a CHARMM psf file", _charmm, (".psf",), re.compile(rb"\A\s*PSF\b")),
    Kind("a GROMACS topology", _gromacs, (), re.compile(rb"(?m)^\s*(\[\s*\w+\s*\]|#\s*include\b)")),
)


def _kind(path: Path) -> Kind:
    with open(path, "rb") as file:
        head = file.read(HEAD)
    by_suffix = (kind for kind in KINDS if path.suffix.lower() in kind.suffixes)
    by_words = (kind for kind in KINDS if kind.begins.search(head))
    found = next(by_suffix, None) or next(by_words, None)
    if found is None:
        raise SpacetimeError(f"{path} is no prepared system; what is taken is {', '.join(kind.called for kind in KINDS)}")
    return found


def _system_xml(path: Path, parameters: Sequence[Path]) -> openmm.System:
    _check_none(path, parameters)
    try:
        found = deserialised(path.read_text(), str(path))
    except UnicodeDecodeError as problem:
        raise SpacetimeError(f"{path} cannot be read as a serialised OpenMM System: {problem}") from problem
    for kind in (type(force).__name__ for force in found.getForces()):
        if kind.endswith(("Barostat", "Thermostat")):
            raise SpacetimeError(f"{path} holds a {kind}: take it out, runs are Langevin dynamics at constant volume")
    return found


def _check_none(path: Path, parameters: Sequence[Path]) -> None:
    if parameters:
        raise SpacetimeError(f"{path} holds its parameters itself: leave out {parameters[0].name}")


def _check_isolated(topology: app.Topology, path: Path) -> None:
    if topology.getNumAtoms() == 0:
        raise SpacetimeError(f"{path} holds no atoms")
    water = sum(residue.name in WATER for residue in topology.residues())
    if water or topology.getPeriodicBoxVectors() is not None:
        what = "a periodic box" if not water else f"{water} water molecule{'s' if water > 1 else ''}"
        raise SpacetimeError(
            f"{path} holds {what}, and a topology is taken without: make it again without solvent and box, or give its System as XML"
        )


def _as_in_pdb(topology: app.Topology) -> app.Topology:
    """With the names that its atoms and residues have once they were in a PDB file, as those of a run are and of structures it meets;
    where a name would tell a bond that is none, as of a cap that CHARMM's patches put into a residue, with another."""
    name_apart(topology)
    bonds, atoms = _bonds(topology), list(topology.atoms())
    apart = np.stack([np.arange(len(atoms)) // n % SIDE for n in (1, SIDE, SIDE**2)], axis=-1) * 1.0
    for _ in range(ROUNDS):
        read = structure_of(pdb_text(Structure(topology, apart)).encode(), "the topology").structure.topology
        for atom, known in zip(atoms, read.atoms(), strict=True):
            atom.name, atom.residue.name = known.name, known.residue.name
        told = _bonds(read) - bonds
        if not told:
            break
        for pair in told:
            atom = min((atoms[k] for k in pair), key=lambda a: (not is_hydrogen(a), a.index))
            taken = {other.name for other in atom.residue.atoms()}
            atom.name = next(name for k in range(len(taken) + 1) if (name := f"{atom.name[:2]}{k or ''}'") not in taken)
    return topology


def _bonds(topology: app.Topology) -> set[frozenset[int]]:
    return {frozenset((a.index, b.index)) for a, b in topology.bonds()}


def _reason(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
