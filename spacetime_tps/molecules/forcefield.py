"""From a topology and force-field files to an OpenMM System in vacuum or implicit solvent."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import openmm
from openmm import app

from spacetime_tps.errors import SpacetimeError

CODE = "PythonForce"


def build_system(topology: app.Topology, files: Sequence[str]) -> openmm.System:
    """System without cutoff, constraints or centre-of-mass motion removal. `files` as OpenMM's ForceField takes them.

    Raises SpacetimeError for an unknown file, with the nearest known one, and for residues that the force field does not know.
    """
    try:
        return _field(files).createSystem(topology, nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False, removeCMMotion=False)
    except SpacetimeError:
        raise
    except Exception as problem:  # ForceField raises plain ValueError and Exception, with a useful sentence
        raise _misfit(files, problem) from problem


def unmatched(topology: app.Topology, files: Sequence[str]) -> list[app.topology.Residue]:
    """Residues that the force field has no template for, as they are. Raises SpacetimeError for an unknown file."""
    field = _field(files)
    try:
        return list(field.getUnmatchedResidues(topology))
    except Exception as problem:  # as where two templates fit
        raise _misfit(files, problem) from problem


def _field(files: Sequence[str]) -> app.ForceField:
    for name in files:
        if not Path(name).is_file() and name not in _bundled():
            nearest = difflib.get_close_matches(name, sorted(_bundled()), n=1, cutoff=0.3)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise SpacetimeError(f"unknown force field {name!r}{hint}")
    try:
        return app.ForceField(*files)
    except Exception as problem:  # whatever OpenMM's parser meets
        raise _misfit(files, problem) from problem


def _misfit(files: Sequence[str], problem: Exception) -> SpacetimeError:
    return SpacetimeError(f"the force field {', '.join(files)} does not fit the molecule: {problem}")


def deserialised(xml: str, name: str) -> openmm.System:
    """A System from OpenMM's XML; `name` is for sentences. Raises SpacetimeError where it is none, or where reading it would run code: a
    PythonForce is a pickled function."""
    try:
        held = {value for element in ElementTree.fromstring(xml).iter() for value in element.attrib.values()}
    except ElementTree.ParseError as problem:
        raise SpacetimeError(f"{name} cannot be read as a serialised OpenMM System: {problem}") from problem
    if CODE in xml or CODE in held:
        raise SpacetimeError(f"{name} holds a {CODE}, which is code that would run when it is read: such systems are not taken")
    try:
        system = openmm.XmlSerializer.deserialize(xml)
    except Exception as problem:  # whatever OpenMM's parser meets
        raise SpacetimeError(f"{name} cannot be read as a serialised OpenMM System: {problem}") from problem
    if not isinstance(system, openmm.System):
        raise SpacetimeError(f"{name} holds a {type(system).__name__}, not a System")
    return system


def _bundled() -> set[str]:
    root = Path(app.__file__).parent / "data"
    return {str(path.relative_to(root)) for path in root.rglob("*.xml")}


def serialised(system: openmm.System) -> str:
    """A system as OpenMM's XML."""
    return str(openmm.XmlSerializer.serialize(system))
