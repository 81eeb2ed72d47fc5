"""From a topology and force-field files to an OpenMM System in vacuum or implicit solvent."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import openmm
from openmm import app

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.structure import Structure


def build_system(topology: app.Topology, files: Sequence[str]) -> openmm.System:
    """System without cutoff, constraints or centre-of-mass motion removal. `files` as OpenMM's ForceField takes them.

    Raises SpacetimeError for an unknown file, with the nearest known one, and for residues that the force field does not know.
    """
    for name in files:
        if not Path(name).is_file() and name not in _bundled():
            nearest = difflib.get_close_matches(name, sorted(_bundled()), n=1, cutoff=0.3)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise SpacetimeError(f"unknown force field {name!r}{hint}")
    try:
        field = app.ForceField(*files)
        return field.createSystem(topology, nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False, removeCMMotion=False)
    except Exception as problem:  # ForceField raises plain ValueError and Exception, with a useful sentence
        raise SpacetimeError(f"the force field {', '.join(files)} does not fit the molecule: {problem}") from problem


def read_system(path: Path, structure: Structure) -> openmm.System:
    """A serialised System. Raises SpacetimeError where the file is none, or is of another number of particles."""
    try:
        system = openmm.XmlSerializer.deserialize(path.read_text())
    except Exception as problem:  # whatever OpenMM's parser meets
        raise SpacetimeError(f"{path} cannot be read as a serialised OpenMM System: {problem}") from problem
    if not isinstance(system, openmm.System):
        raise SpacetimeError(f"{path} holds a {type(system).__name__}, not a System")
    if system.getNumParticles() != len(structure.positions):
        raise SpacetimeError(f"{path} has {system.getNumParticles()} particles, and the structure {len(structure.positions)} atoms")
    return system


def _bundled() -> set[str]:
    root = Path(app.__file__).parent / "data"
    return {str(path.relative_to(root)) for path in root.rglob("*.xml")}


def serialised(system: openmm.System) -> str:
    """A system as OpenMM's XML."""
    return str(openmm.XmlSerializer.serialize(system))
