"""The problem: a molecule that can be simulated, its coordinates and two states; from two PDB files, or from a folder."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spacetime_tps.coordinates.protocol import Boxes, Coordinates
from spacetime_tps.coordinates.registry import coordinates_of
from spacetime_tps.coordinates.superposition import superposed
from spacetime_tps.engines.openmm import platforms
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json, write_text
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.composition import solute_size
from spacetime_tps.molecules.equals import numbered_alike
from spacetime_tps.molecules.integrity import Integrity
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.solvent import dry
from spacetime_tps.molecules.structure import Structure, write_pdb
from spacetime_tps.problems.building import build
from spacetime_tps.problems.description import boxes_for, coordinates_for, states_for
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.system import SystemSpec, load_system
from spacetime_tps.progress import Progress, Silent
from spacetime_tps.states.state import END, START, State, check_endpoints, states_of
from spacetime_tps.states.transitions import connects

GRADIENT_TOLERANCE = 1.0
"""kJ/mol/nm: a loose one leaves frames on saddles"""
T = TypeVar("T")
NOTES, STATES, COORDINATES = "preparation.json", "states.json", "coordinates.json"
WRITTEN = ("system.xml", "topology.pdb", START, END, STATES, COORDINATES)
"""What a run is prepared with, whose digests are in the notes"""
PLAIN = DynamicsSettings()


@dataclass(frozen=True)
class Problem:
    """A molecule with a way to tell A from B: all that sampling has to know."""

    model: Model
    coordinates: Coordinates
    start: Structure
    end: Structure
    a: State
    b: State
    zero: float
    """Potential energy of start.pdb as stored, kJ/mol: the zero of all reported energies"""
    steps_per_second: float
    """of one process, from the platform's trial"""
    evaluations: int
    labelled: bool
    """Whether atoms of one name are one atom in further structures, even where others are equal to them by symmetry"""

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Values (D,) of the coordinates at start and end."""
        return self.coordinates.values(self.start.positions), self.coordinates.values(self.end.positions)

    @cached_property
    def integrity(self) -> Integrity:
        """What a molecule that is still the same one keeps to."""
        return Integrity.of(self.start, self.end)

    def whole(self, positions: np.ndarray) -> bool:
        """Whether the molecule is the same in all frames (F, atoms, 3) of a path: others are none of its transitions."""
        return bool(self.integrity.holds(positions).all())

    def connects(self, positions: np.ndarray, *, back: bool = False) -> bool:
        """Whether a path, frames (F, atoms, 3), is a hit: the first in A, the last in B (back: the other way), and the molecule the same in
        all of them."""
        ends = (self.b, self.a) if back else (self.a, self.b)
        return connects(positions, *ends) and self.whole(positions)

    def way_of(self, positions: np.ndarray) -> str:
        """The way round that a path, frames (F, atoms, 3), goes from A to B, as `Coordinates.way_of` names it."""
        return self.coordinates.way_of(self.coordinates.values(positions), *self.ends)

    @property
    def moving(self) -> np.ndarray | None:
        """(atoms,) bool: what is minimised, which is the molecule in solvent as it is; None where there is no solvent."""
        return in_solute(self.start)

    @property
    def fingerprint(self) -> str:
        """Changes when anything does that sampling depends on."""
        plain = (asdict(self.model), self.coordinates.to_json(), self.boxes)
        positions = self.start.positions.tobytes() + self.end.positions.tobytes()
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode() + positions).hexdigest()

    def check(self, dynamics: DynamicsSettings) -> None:
        """Raise SpacetimeError where settings ask for other dynamics than the problem was prepared with."""
        has: dict[str, Any] = {
            "friction_per_ps": self.model.friction, "timestep_fs": 1e3 * self.model.timestep, "platform": self.model.platform,
        }  # fmt: skip
        for name, wanted in (dynamics.model_dump() | {"platform": dynamics.named_platform}).items():
            if wanted is not None and (wanted != has[name] if isinstance(wanted, str) else not np.isclose(wanted, has[name])):
                raise SpacetimeError(
                    f"dynamics.{name} is {wanted}, and the problem was prepared with {has[name]}: prepare it with these settings, or in a "
                    "folder begin a new one"
                )

    @property
    def boxes(self) -> tuple[Boxes, Boxes]:
        """A and B as states.json has them."""
        return self.a.to_json(), self.b.to_json()


def prepare(spec: SystemSpec | str | Path, dynamics: DynamicsSettings = PLAIN, progress: Progress | None = None) -> Problem:
    """Check, complete, parametrise, minimise and time; writes nothing, and says what of the files is left out or put in. A system may be
    its name, or its folder. Raises SpacetimeError for what is wrong with the input."""
    spec = spec if isinstance(spec, SystemSpec) else load_system(spec)
    built = build(spec, dynamics, progress or Silent())
    model, start, end = built.model, built.start, built.end
    wanted = dynamics.named_platform
    molecule, periodic = molecule_of(start, end, model.cell), model.cell is not None
    coordinates = coordinates_for(spec, molecule, periodic=periodic).coordinates
    boxes_for(spec, molecule)  # what is wrong with states is said before anything is timed or minimised
    name, rate, evaluations = platforms.fastest(model, coordinates, start.positions, None if wanted is None else [wanted])
    model = replace(model, platform=name)
    potential, solute = Potential(model), in_solute(start)
    minima = [minimise(potential, s.positions, tolerance=GRADIENT_TOLERANCE, moving=solute).positions for s in (start, end)]
    if not spec.labelled:
        minima[1] = _numbered_alike(*(Structure(start.topology, x) for x in minima))
    if model.cell is None:
        minima[1] = superposed(minima[1], minima[0])
    start, end = (_as_stored(Structure(start.topology, x)) for x in minima)
    molecule = molecule_of(start, end, model.cell)
    choice = coordinates_for(spec, molecule, periodic=periodic)  # found from the minima, as is a reference, and as are states
    coordinates = choice.coordinates
    a, b = states_for(boxes_for(spec, molecule), coordinates, start, end, model.cell)
    check_endpoints(a, b, start.positions, end.positions)
    (progress or Silent()).say(f"coordinates: {choice.because}")
    zero, _ = potential(start.positions)
    return Problem(model, coordinates, start, end, a, b, zero, rate, built.evaluations + evaluations + potential.evaluations, spec.labelled)


def _numbered_alike(here: Structure, there: Structure) -> np.ndarray:
    """Positions (atoms, 3) of the other minimum, the molecule's equal atoms numbered as in the first."""
    molecule = numbered_alike(dry(here), dry(there)).positions
    return np.concatenate([molecule, there.positions[len(molecule) :]])


def in_solute(structure: Structure) -> np.ndarray | None:
    """(atoms,) bool: which belong to the molecule; None where there is no solvent."""
    size, count = solute_size(structure.topology), len(structure.positions)
    return None if size == count else np.arange(count) < size


def _as_stored(structure: Structure) -> Structure:
    """As it comes back from a PDB file: the same problem, to the last bit, with a folder and without."""
    with tempfile.TemporaryDirectory() as folder:
        write_pdb(Path(folder) / "x.pdb", structure)
        return load_structure(Path(folder) / "x.pdb")


def save(problem: Problem, folder: Path) -> None:
    """Write system.xml, topology.pdb, start.pdb, end.pdb, states.json, coordinates.json and preparation.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "system.xml", problem.model.system_xml)
    for name, structure in (("topology.pdb", problem.start), (START, problem.start), (END, problem.end)):
        write_pdb(folder / name, structure)
    write_json(folder / STATES, dict(zip("AB", problem.boxes, strict=True)))
    write_json(folder / COORDINATES, {"blocks": problem.coordinates.to_json(), "reference": START})
    model = problem.model
    write_json(folder / NOTES, {
        "platform": model.platform, "temperature_K": model.temperature, "friction_per_ps": model.friction, "timestep_ps": model.timestep,
        "cell_nm": model.cell, "labelled": problem.labelled,
        "steps_per_second": problem.steps_per_second, "evaluations": problem.evaluations,
        "sha256": {name: _digest(folder / name) for name in WRITTEN},
    })  # fmt: skip


def load(folder: Path) -> Problem:
    """Read what `save` wrote; positions and energy are those of the files. Raises SpacetimeError where a file is missing."""
    read = partial(as_prepared, folder)
    read("topology.pdb", Path.exists)
    system = as_prepared(folder, "system.xml", Path.read_text)
    model, steps_per_second, evaluations = read(NOTES, lambda file: _model(json.loads(file.read_text()), system))
    labelled = read(NOTES, lambda file: bool(json.loads(file.read_text()).get("labelled", True)))
    start, end = (as_prepared(folder, name, load_structure) for name in (START, END))
    zero, _ = Potential(model)(start.positions)
    a, b = read(STATES, lambda file: states_of(json.loads(file.read_text()), cell=model.cell, start=start.positions, end=end.positions))
    coordinates = read(COORDINATES, lambda file: coordinates_of(json.loads(file.read_text())["blocks"], model.cell))
    return Problem(model, coordinates, start, end, a, b, zero, steps_per_second, evaluations, labelled)


def as_prepared(folder: Path, name: str, parse: Callable[[Path], T]) -> T:
    """What `parse` reads from one of the files that `save` wrote. Raises SpacetimeError where it is missing, cannot be read, or is not what
    the run was prepared with."""
    known = _read(folder, NOTES, lambda file: json.loads(file.read_text()).get("sha256", {}).get(name))
    if known not in (None, _read(folder, name, _digest)):
        raise SpacetimeError(f"{folder / name} is not what the run was prepared with: it was changed or damaged")
    return _read(folder, name, parse)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read(folder: Path, name: str, parse: Callable[[Path], T]) -> T:
    try:
        return parse(folder / name)
    except FileNotFoundError as missing:
        raise SpacetimeError(f"{folder} is not a complete run folder: {Path(missing.filename).name} is missing") from missing
    except (ValueError, TypeError, LookupError, AttributeError) as problem:
        raise SpacetimeError(f"{folder / name} is damaged: {problem!r}") from problem


def _model(notes: dict[str, Any], system_xml: str) -> tuple[Model, float, int]:
    model = Model(system_xml, notes["temperature_K"], notes["friction_per_ps"], notes["timestep_ps"], platforms.check(notes["platform"]))
    return model, float(notes["steps_per_second"]), int(notes["evaluations"])
