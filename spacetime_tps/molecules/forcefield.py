"""From a topology and force-field files to an OpenMM System."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openmm
from openmm import app, unit

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import cell_from

CODE = "PythonForce"
ISOLATED: dict[str, Any] = {"nonbondedMethod": app.NoCutoff, "constraints": None, "rigidWater": False, "removeCMMotion": False}
"""How a System is made of a molecule alone, whoever reads its topology"""
CUTOFF = 1.0
"""nm, of what PME leaves to pairs, and of Lennard-Jones"""
WIDEST = 0.45
"""Cutoff over the shortest edge of a box, at most"""


@dataclass(frozen=True)
class Hydrogens:
    """How hydrogens move."""

    rigid: bool = False
    """Whether the lengths of their bonds are constrained"""
    mass: float | None = None
    """Da, what is added to each taken from the atom that bears it; their own where it is left out"""

    @property
    def said(self) -> str:
        """In words; nothing where they move as they are."""
        parts = ["bonds to hydrogen rigid"] if self.rigid else []
        return ", ".join(parts + ([f"hydrogens of {self.mass:g} Da"] if self.mass is not None else []))


FREE, RIGID = Hydrogens(), Hydrogens(rigid=True)


def build_system(topology: app.Topology, files: Sequence[str], hydrogens: Hydrogens = FREE) -> openmm.System:
    """System without cutoff or centre-of-mass motion removal, and without constraints but for those of hydrogens. `files` as OpenMM's
    ForceField takes them.

    Raises SpacetimeError for an unknown file, with the nearest known one, and for residues that the force field does not know.
    """
    return _created(topology, files, {**ISOLATED, **_hydrogens(hydrogens)})


def build_solvated_system(topology: app.Topology, files: Sequence[str], hydrogens: Hydrogens = RIGID) -> openmm.System:
    """System in the topology's periodic box, with PME and rigid water. Otherwise as `build_system`."""
    edges = [vector[k] for k, vector in enumerate(topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer))]
    cutoff = min(CUTOFF, WIDEST * min(edges))
    periodic = {"nonbondedMethod": app.PME, "nonbondedCutoff": cutoff, "rigidWater": True}
    return _created(topology, files, {**ISOLATED, **_hydrogens(hydrogens), **periodic})


def _hydrogens(hydrogens: Hydrogens) -> dict[str, Any]:
    mass = {} if hydrogens.mass is None else {"hydrogenMass": hydrogens.mass * unit.dalton}
    return {"constraints": app.HBonds if hydrogens.rigid else None, **mass}


def _created(topology: app.Topology, files: Sequence[str], how: dict[str, Any]) -> openmm.System:
    field = field_of(files)
    try:
        return field.createSystem(topology, **how)
    except Exception as problem:  # ForceField raises plain ValueError and Exception, with a useful sentence
        raise _misfit(files, problem) from problem


def unmatched(topology: app.Topology, files: Sequence[str]) -> list[app.topology.Residue]:
    """Residues that the force field has no template for, as they are. Raises SpacetimeError for an unknown file."""
    field = field_of(files)
    try:
        return list(field.getUnmatchedResidues(topology))
    except Exception as problem:  # as where two templates fit
        raise _misfit(files, problem) from problem


def field_of(files: Sequence[str]) -> app.ForceField:
    """OpenMM's force field of these files. Raises SpacetimeError for one that is unknown, with the nearest known one, or none."""
    for name in files:
        if not Path(name).is_file() and name not in bundled():
            nearest = difflib.get_close_matches(name, sorted(bundled()), n=1, cutoff=0.3)
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


def cell_of(system: openmm.System) -> Cell | None:
    """Box vectors, nm; None where nothing is periodic."""
    if not system.usesPeriodicBoundaryConditions():
        return None
    return cell_from(system.getDefaultPeriodicBoxVectors())


def bundled() -> set[str]:
    """OpenMM's own force-field files."""
    root = Path(app.__file__).parent / "data"
    return {str(path.relative_to(root)) for path in root.rglob("*.xml")}


def serialised(system: openmm.System) -> str:
    """A system as OpenMM's XML."""
    return str(openmm.XmlSerializer.serialize(system))
