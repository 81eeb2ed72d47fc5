"""Build systems/alanine_dipeptide_tip3p: run `python workflows/build_alanine_dipeptide_tip3p.py` (ten minutes on one core).

Topology and first positions are those of systems/alanine_dipeptide; phi and psi are turned to either state under a stiff restraint in
vacuum, ff96 (`amber96.xml`); `problems.solvated` puts both into one box of TIP3P, as many as in OpenPathSampling's example; then each runs
freely until it is equilibrated too, and the last frame in its state is kept.
"""

from pathlib import Path

import numpy as np

from build_alanine_dipeptide import STIFF
from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm import platforms
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Model, Walk
from spacetime_tps.molecules.forcefield import build_system, serialised
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure, atom_index, write_pdb
from spacetime_tps.molecules.water import gathered, put_into_water
from spacetime_tps.problems.solvated import Solvent, extent, solvate
from spacetime_tps.terminal import ConsoleProgress

FILES = ("amber96.xml", "tip3p.xml")
TARGETS = {"c7eq": (-80.0, 145.0), "alpha_r": (-75.0, -45.0)}
STATES = {"c7eq": (100.0, 200.0), "alpha_r": (-100.0, 0.0)}
"""Degrees of psi"""
ATOMS = 2269
"""Of OpenPathSampling's example: 749 water molecules"""
TEMPERATURE, FRICTION, TIMESTEP = 300.0, 1.0, 0.002
EQUILIBRATION = 20.0
FREELY = 4_000
SYSTEMS = Path(__file__).parent.parent / "systems"


def held_at(structure: Structure, torsions: Torsions, target: np.ndarray) -> Structure:
    """Turned to the target in small steps, in vacuum, and held there."""
    model = Model(serialised(build_system(structure.topology, FILES[:1])), TEMPERATURE, 100.0, 0.001, "Reference")
    here = torsions.values(structure.positions)
    change = difference(here, target, torsions.angular)
    angles = here + np.linspace(0.0, 1.0, 41)[:, None] * change
    schedule = STIFF * np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)
    frames = Dynamics(model, CurveBias(torsions)).walk(Walk(CurveBias(torsions), schedule, 200, 200, 1, structure.positions))
    return Structure(structure.topology, frames.positions[-1].astype(float))


def padding_for(structure: Structure, atoms: int) -> float:
    """nm, with which there are so many atoms in the box; each 0.002 nm are some ten of them."""
    for padding in np.arange(1.438, 1.445, 0.0002):
        if len(put_into_water(structure, FILES, "tip3p", padding=float(padding)).positions) == atoms:
            return float(padding)
    raise SystemExit(f"no padding gives {atoms} atoms")


def freely(model: Model, structure: Structure, torsions: Torsions, limits: tuple[float, float]) -> Structure:
    """The last frame with psi within the limits, of dynamics without restraint."""
    frames = Dynamics(model).walk(Walk(None, FREE, FREELY, 100, 1, structure.positions))
    psi = np.degrees(torsions.values(frames.positions))[:, 1]
    last = np.flatnonzero((psi - limits[0]) % 360.0 < limits[1] - limits[0])[-1]
    assert model.cell is not None
    return gathered(Structure(structure.topology, frames.positions[last].astype(float)), model.cell)


def main() -> None:
    first = load_structure(SYSTEMS / "alanine_dipeptide" / "c5.pdb")
    four = (("1:C", "2:N", "2:CA", "2:C"), ("2:N", "2:CA", "2:C", "3:N"))
    phi, psi = (tuple(atom_index(first.topology, label) for label in labels) for labels in four)
    torsions = Torsions(("phi", "psi"), (phi, psi))
    ends = [held_at(first, torsions, np.radians(target)) for target in TARGETS.values()]
    larger = max(ends, key=extent)
    solvent = Solvent(water="tip3p", padding_nm=padding_for(larger, ATOMS), equilibration_ps=EQUILIBRATION)
    water = solvate(*ends, solvent, FILES, _model, ConsoleProgress())
    print(water.said)
    folder = SYSTEMS / "alanine_dipeptide_tip3p"
    folder.mkdir(exist_ok=True)
    for name, structure in zip(TARGETS, (water.start, water.end), strict=True):
        found = freely(water.model, structure, torsions, STATES[name])
        print(name, np.degrees(torsions.values(found.positions)).round(1))
        write_pdb(folder / f"{name}.pdb", found)


def _model(system_xml: str) -> Model:
    return Model(system_xml, TEMPERATURE, FRICTION, TIMESTEP, platforms.likely(system_xml))


if __name__ == "__main__":
    main()
