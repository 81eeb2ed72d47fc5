"""First stage: from two PDB files to a simulable molecule with two states, written to the run folder and read back from it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openmm

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json, write_text
from spacetime_tps.molecules import platforms, rotatable, states
from spacetime_tps.molecules.coordinates import Torsions, shortest_change
from spacetime_tps.molecules.dynamics import Model
from spacetime_tps.molecules.forcefield import build_system
from spacetime_tps.molecules.preparation import Potential, minimise
from spacetime_tps.molecules.states import Interval, State
from spacetime_tps.molecules.structure import Structure, atom_index, load_pdb, same_order, write_pdb
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.system import SystemSpec

STATE_WIDTH = 45.0
GRADIENT_TOLERANCE = 1.0


@dataclass(frozen=True)
class Prepared:
    """A molecule ready to be sampled."""

    model: Model
    start: Structure
    end: Structure
    a: State
    b: State
    zero: float
    """Potential energy of start.pdb as stored, kJ/mol: the zero of all reported energies"""
    steps_per_second: float
    """of one process, from the platform's trial"""
    evaluations: int

    @property
    def torsions(self) -> Torsions:
        return self.model.torsions

    @property
    def end_angles(self) -> tuple[np.ndarray, np.ndarray]:
        """Torsions (n,) of start and end, radians."""
        return self.torsions.angles(self.start.positions), self.torsions.angles(self.end.positions)


def prepare(spec: SystemSpec, settings: Settings) -> Prepared:
    """Check, parametrise, minimise and time; writes nothing. Raises SpacetimeError for what is wrong with the input."""
    start = load_pdb(spec.start)
    end = same_order(start, load_pdb(spec.end), start_name=spec.start.name, end_name=spec.end.name)
    system_xml = openmm.XmlSerializer.serialize(build_system(start.topology, spec.forcefield))
    torsions = _torsions(spec, start, end)
    wanted = settings.dynamics.platform
    model = Model(
        system_xml,
        torsions,
        spec.temperature_K,
        settings.dynamics.friction_per_ps,
        settings.dynamics.timestep_fs * 1e-3,
        "Reference" if wanted == "auto" else platforms.check(wanted),
    )
    name, rate, evaluations = platforms.fastest(model, start.positions, None if wanted == "auto" else [wanted])
    model = replace(model, platform=name)
    potential = Potential(model)
    minima = [minimise(potential, s.positions, tolerance=GRADIENT_TOLERANCE).positions for s in (start, end)]
    start, end = (Structure(start.topology, x) for x in minima)
    a, b = _states(spec, torsions, start, end)
    states.check_endpoints(a, b, start.positions, end.positions)
    return Prepared(model, start, end, a, b, 0.0, rate, evaluations + potential.evaluations)


def save(prepared: Prepared, folder: Path) -> None:
    """Write system.xml, topology.pdb, start.pdb, end.pdb, states.json, coordinates.json and preparation.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "system.xml", prepared.model.system_xml)
    for name, structure in (("topology", prepared.start), ("start", prepared.start), ("end", prepared.end)):
        write_pdb(folder / f"{name}.pdb", structure)
    write_json(folder / "states.json", {"A": prepared.a.to_json(), "B": prepared.b.to_json()})
    torsions = [{"name": n, "atoms": list(a)} for n, a in zip(prepared.torsions.names, prepared.torsions.atoms, strict=True)]
    write_json(folder / "coordinates.json", {"kind": "torsions", "torsions": torsions, "reference": "start.pdb"})
    model = prepared.model
    write_json(folder / "preparation.json", {
        "platform": model.platform, "temperature_K": model.temperature, "friction_per_ps": model.friction, "timestep_ps": model.timestep,
        "steps_per_second": prepared.steps_per_second, "evaluations": prepared.evaluations + 1,  # and the energy of start.pdb below
    })  # fmt: skip


def load(folder: Path) -> Prepared:
    """Read what `save` wrote; positions and energy are those of the files. Raises SpacetimeError where a file is missing."""
    try:
        notes = json.loads((folder / "preparation.json").read_text())
        kinds = json.loads((folder / "coordinates.json").read_text())
        boxes = json.loads((folder / "states.json").read_text())
        system_xml = (folder / "system.xml").read_text()
    except FileNotFoundError as missing:
        raise SpacetimeError(f"{folder} is not a complete run folder: {Path(missing.filename).name} is missing") from missing
    torsions = Torsions(
        tuple(t["name"] for t in kinds["torsions"]),
        tuple((t["atoms"][0], t["atoms"][1], t["atoms"][2], t["atoms"][3]) for t in kinds["torsions"]),
    )
    model = Model(system_xml, torsions, notes["temperature_K"], notes["friction_per_ps"], notes["timestep_ps"], notes["platform"])
    start, end = load_pdb(folder / "start.pdb"), load_pdb(folder / "end.pdb")
    zero, _ = Potential(model)(start.positions)
    return Prepared(
        model, start, end, State.from_json(boxes["A"]), State.from_json(boxes["B"]), zero, notes["steps_per_second"], notes["evaluations"]
    )


def _torsions(spec: SystemSpec, start: Structure, end: Structure) -> Torsions:
    if spec.torsions is None:
        return rotatable.changed_torsions(start, end)
    found = [tuple(atom_index(start.topology, label) for label in labels) for labels in spec.torsions.values()]
    return Torsions(tuple(spec.torsions), tuple((f[0], f[1], f[2], f[3]) for f in found))


def _states(spec: SystemSpec, torsions: Torsions, start: Structure, end: Structure) -> tuple[State, State]:
    here, there = torsions.angles(start.positions), torsions.angles(end.positions)
    if spec.states is None:
        changed = np.flatnonzero(np.abs(shortest_change(here, there)) > rotatable.CHANGED)
        if not len(changed):
            raise SpacetimeError(
                "no torsion differs by more than 30 degrees between the two minimised structures: they are in the same state"
            )
        bound = Torsions(tuple(torsions.names[k] for k in changed), tuple(torsions.atoms[k] for k in changed))
        return (
            states.around(bound, here[changed], there[changed], width=STATE_WIDTH),
            states.around(bound, there[changed], here[changed], width=STATE_WIDTH),
        )
    atoms = dict(zip(torsions.names, torsions.atoms, strict=True))
    a, b = (
        State(tuple(tuple(Interval(atoms[t], *limits) for t, limits in box.items()) for box in spec.states[name])) for name in ("A", "B")
    )
    return a, b
