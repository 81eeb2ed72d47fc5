"""A molecule put into a box of water."""

import random
from collections.abc import Sequence
from pathlib import PurePath

import mdtraj
import numpy as np
from openmm import app, unit

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.forcefield import bundled, field_of
from spacetime_tps.molecules.structure import Structure, of_quantity

OWN = {"charmm36": {"tip3p": "charmm36/water.xml"}}
"""Files of a force field's own water that are not called after it"""
KNOWN = ("tip", "spc", "opc", "water", "swm")
"""How files begin that hold water"""


def with_water(files: Sequence[str], water: str) -> tuple[str, ...]:
    """Force-field files and, where none of them is of water, the file of this one that belongs to them. Raises SpacetimeError where an
    implicit solvent is among them."""
    implicit = [name for name in files if name.startswith("implicit/") or PurePath(name).stem.endswith("_obc")]
    if implicit:
        raise SpacetimeError(f"{implicit[0]} is an implicit solvent, and {water} an explicit one: leave one of them out")
    if any(PurePath(name).stem.startswith(KNOWN) for name in files):
        return tuple(files)
    families = [PurePath(name).parts[0].removesuffix(".xml").removesuffix("-all") for name in files]
    candidates = [OWN.get(family, {}).get(water, f"{family}/{water}.xml") for family in families]
    return (*files, next((name for name in candidates if name in bundled()), f"{water}.xml"))


def put_into_water(structure: Structure, files: Sequence[str], water: str, *, padding: float) -> Structure:
    """In a cube at least `padding` (nm) wider than the molecule, with ions that make it neutral. The same each time. Raises SpacetimeError
    where the force field does not know the molecule or the water."""
    field = field_of(files)
    modeller = app.Modeller(structure.topology, structure.quantity)
    before = random.getstate()
    random.seed(1)  # OpenMM chooses by it which waters become ions
    try:
        modeller.addSolvent(field, model=water, padding=padding * unit.nanometer, neutralize=True)
    except Exception as problem:  # ForceField raises plain ValueError and Exception, with a useful sentence
        raise SpacetimeError(f"the force field {', '.join(files)} cannot put the molecule into {water}: {problem}") from problem
    finally:
        random.setstate(before)
    return of_quantity(modeller.topology, modeller.positions)


def gathered(structure: Structure, cell: Cell) -> Structure:
    """In a periodic cell: every molecule whole, those that were parted by its walls too, and the solvent about the solute.
    The topology has that cell from then on."""
    box = np.array(cell)
    frame = mdtraj.Trajectory(structure.positions[None], mdtraj.Topology.from_openmm(structure.topology))
    frame.unitcell_vectors = box[None].astype(np.float32)
    solute = solute_size(structure.topology)
    if solute == len(structure.positions):
        frame.make_molecules_whole(inplace=True)
    else:
        anchors = [m for m in frame.topology.find_molecules() if min(a.index for a in m) < solute]
        frame.image_molecules(inplace=True, anchor_molecules=anchors, make_whole=True)
    images = np.rint((frame.xyz[0] - structure.positions) @ np.linalg.inv(box))  # MDTraj counts in float32
    structure.topology.setPeriodicBoxVectors(box * unit.nanometer)
    return Structure(structure.topology, structure.positions + images @ box)
