"""Two structures of a molecule in explicit solvent: one topology, one box, and the same water about both."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.superposition import superposed
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.equilibration import GENTLE_STEPS, equilibrated, resized
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.forcefield import Hydrogens, build_solvated_system, serialised
from spacetime_tps.molecules.room import with_solute
from spacetime_tps.molecules.solvent import parted
from spacetime_tps.molecules.structure import Structure, is_hydrogen
from spacetime_tps.molecules.water import gathered, put_into_water
from spacetime_tps.progress import Progress
from spacetime_tps.seeds import seed_of
from spacetime_tps.validation import StrictModel

DECIMALS = 4
"""Of the box's edges, nm: those that a PDB file keeps"""


class Solvent(StrictModel):
    """Explicit water of a system.yaml."""

    water: Literal["tip3p", "tip4pew"]
    padding_nm: float = Field(1.2, gt=0.5, description="by which the box is wider than the larger end, at least")
    equilibration_ps: float = Field(50.0, ge=0, description="of the water about each end")


@dataclass(frozen=True)
class Solvated:
    """Both ends in their box."""

    model: Model
    start: Structure
    end: Structure
    evaluations: int
    said: str


def solvate(
    start: Structure, end: Structure, solvent: Solvent, files: tuple[str, ...], hydrogens: Hydrogens, bare: Callable[[str], Model],
    progress: Progress,
) -> Solvated:  # fmt: skip
    """Water about the larger end, equilibrated at 1 bar, which sets the box; then about the other end in the same box, put where the first
    is. Both solutes keep their shape. bare: the model with a System. Raises SpacetimeError where the force field knows no water.
    """
    ends = [start, end]
    larger = int(extent(end) > extent(start))
    boxed = put_into_water(ends[larger], files, solvent.water, padding=solvent.padding_nm)
    solute = len(start.positions)
    if solute_size(boxed.topology) != solute:
        raise SpacetimeError("ions are part of the solvent in water: a molecule that is or holds one needs a system of its own")
    model = bare(serialised(build_solvated_system(boxed.topology, files, hydrogens)))
    shape = np.array([a.index for a in start.topology.atoms() if not is_hydrogen(a)])
    steps = round(solvent.equilibration_ps / model.timestep)
    with progress.task("water about both ends", 2 * (steps + GENTLE_STEPS)) as advance:
        first = equilibrated(
            model, boxed.positions, shape, steps=steps, constant_volume=False, seed=seed_of(1, "water", 0), advance=advance
        )
        cell = _rounded(first.cell)
        model = replace(model, system_xml=serialised(resized(model.system_xml, cell)))
        here = gathered(Structure(boxed.topology, first.positions), cell)
        there = with_solute(here, superposed(ends[1 - larger].positions, here.positions[:solute]))
        second = equilibrated(model, there, shape, steps=steps, constant_volume=True, seed=seed_of(1, "water", 1), advance=advance)
    both = [here, gathered(Structure(boxed.topology, second.positions), cell)]
    edges, time = " x ".join(f"{cell[k][k]:.2f}" for k in range(3)), solvent.equilibration_ps
    said = (
        f"{parted(boxed, '').told} ({solvent.water}) in a box of {edges} nm, after {time:g} ps about each end at {model.temperature:g} K "
        f"and, for the box, 1 bar; {how(model, hydrogens)}"
    )
    return Solvated(model, both[larger], both[1 - larger], first.evaluations + second.evaluations, said)


def how(model: Model, hydrogens: Hydrogens) -> str:
    """What a model in water is, in words."""
    return f"constant volume, PME, rigid water, {hydrogens.said}, steps of {1e3 * model.timestep:g} fs"


def _rounded(cell: Cell) -> Cell:
    """The cell as a PDB file keeps it."""
    a, b, c = ((round(x, DECIMALS), round(y, DECIMALS), round(z, DECIMALS)) for x, y, z in cell)
    return a, b, c


def extent(structure: Structure) -> float:
    """Radius, nm, about the middle of its ranges."""
    x = structure.positions
    return float(np.linalg.norm(x - 0.5 * (x.min(axis=0) + x.max(axis=0)), axis=1).max())
