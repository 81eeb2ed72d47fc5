"""What a run is about: two structures, a force field, coordinates and states, from a system folder or from two structure files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, SerializeAsAny, ValidationError, create_model, field_validator, model_validator

from spacetime_tps.coordinates.automatic import AUTO
from spacetime_tps.coordinates.registry import KINDS, kind_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_yaml
from spacetime_tps.molecules.forcefield import Hydrogens
from spacetime_tps.molecules.prepared import files_of
from spacetime_tps.problems.solvated import Solvent
from spacetime_tps.states.protocol import Definition
from spacetime_tps.states.state import CONDITIONS
from spacetime_tps.validation import Plain, StrictModel, first_error

Range = tuple[float, float]
RIGID_TIMESTEP, HEAVY_TIMESTEP, HEAVY = 2.0, 4.0, 3.0
"""fs, where bonds to hydrogen are rigid, and where hydrogens weigh so many Da besides"""


StateBox = dict[str, Range | SerializeAsAny[Definition]]
"""Conditions that all hold: limits of named coordinates, and `Definition`s under keys of their own"""


def _rigid(solvent: object, constraints: object) -> bool:
    """Whether bonds to hydrogen are: where that is asked for, and in explicit water."""
    return solvent is not None or constraints is not None


class SystemSpec(Plain):
    """A system.yaml. Coordinates and states that are left out are found from the two structures.

    Further keys are kinds of coordinates (`coordinates.registry.KINDS`), each with its `definition`, or a selection of atoms.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    start: Path
    end: Path
    forcefield: tuple[str, ...] = ()
    """OpenMM force-field files; none where `system` is given"""
    system: Path | None = None
    """A prepared system instead of a force field: a serialised openmm.System, an Amber prmtop, a GROMACS top or a CHARMM psf"""
    parameters: tuple[Path, ...] = ()
    """CHARMM's parameter files, or the folder in which a GROMACS top finds what it includes"""
    solvent: Solvent | None = None
    """Explicit water; vacuum, or the force field's implicit solvent, where it is left out"""
    temperature_K: float = Field(300.0, gt=0)
    timestep_fs: float = Field(1.0, gt=0)
    """Left out: 2 fs where bonds to hydrogen are rigid, as they are in explicit water, and 4 fs where hydrogens weigh 3 Da or more too"""
    constraints: Literal["HBonds"] | None = None
    """As OpenMM names them: lengths of bonds to hydrogen. In explicit water these are constrained in any case"""
    hydrogen_mass_Da: float | None = Field(None, ge=1.008, le=4.0)
    """Of each hydrogen, taken from the atom that bears it; nothing that does not depend on time is changed by it"""
    friction_per_ps: float = Field(1.0, gt=0)
    coordinates: tuple[str, ...] | None = Field(None, min_length=1)
    """Kinds of the blocks that the transition is described by, or `AUTO` alone; where it is left out the `defined` ones, or else `AUTO`"""
    selections: dict[str, str] = Field(default_factory=dict)
    """Of atoms, by kind of coordinates, that the transition is described by; states are written in the `defined` ones all the same"""
    states: dict[str, tuple[StateBox, ...]] | None = None
    """A and B: boxes, of which one holds: each name (from, to), in degrees going up or in nm; and an RMSD to a structure"""

    @model_validator(mode="before")
    @classmethod
    def _definitions(cls, data: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in data.items() if key in cls.model_fields}
        if isinstance(own.get("solvent"), str):
            own["solvent"] = {"water": own["solvent"]}
        if _rigid(own.get("solvent"), own.get("constraints")):
            mass = own.get("hydrogen_mass_Da")
            own.setdefault("timestep_fs", HEAVY_TIMESTEP if isinstance(mass, int | float) and mass >= HEAVY else RIGID_TIMESTEP)
        selections = {key: value for key, value in data.items() if key in KINDS and isinstance(value, str)}
        further = {key: value for key, value in data.items() if key not in own and key not in selections}
        types: dict[str, Any] = {key: (kind.definition | None, None) for key, kind in KINDS.items()}
        definitions: type[StrictModel] = create_model("Definitions", __base__=StrictModel, **types)
        if selections:
            own["selections"] = {**selections, **own.get("selections", {})}
        return own | {key: value for key, value in definitions.model_validate(further) if value is not None}

    @field_validator("coordinates")
    @classmethod
    def _kinds(cls, kinds: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if kinds == (AUTO,):
            return kinds
        for kind in kinds or ():
            kind_of(kind)
        return kinds

    @field_validator("states", mode="before")
    @classmethod
    def _conditions(cls, states: Any) -> Any:
        if not isinstance(states, dict):
            return states
        return {
            name: [_box(name, box) if isinstance(box, dict) else box for box in boxes] if isinstance(boxes, list | tuple) else boxes
            for name, boxes in states.items()
        }

    @model_validator(mode="after")
    def _one_energy(self) -> "SystemSpec":
        if bool(self.forcefield) == (self.system is not None):
            raise ValueError("give either a forcefield or a system, and not both")
        if self.solvent is not None and self.system is not None:
            raise ValueError("a prepared system is taken as it is: leave `solvent` out, or give a forcefield instead of the system")
        if self.system is not None and self.hydrogens != Hydrogens():
            raise ValueError("a prepared system is taken as it is: constraints and masses of hydrogens are in it")
        if self.parameters and self.system is None:
            raise ValueError("parameters are of a prepared system: give that too")
        if self.states is not None and set(self.states) != {"A", "B"}:
            raise ValueError("states must hold A and B")
        return self

    @property
    def defined(self) -> dict[str, Any]:
        """The definitions that the system gives by names of atoms, by kind of coordinates."""
        return self.model_extra or {}

    @property
    def hydrogens(self) -> Hydrogens:
        """How hydrogens move in the molecule."""
        return Hydrogens(rigid=_rigid(self.solvent, self.constraints), mass=self.hydrogen_mass_Da)

    @property
    def labelled(self) -> bool:
        """Whether the system names atoms, so that those of one name are one atom even where others are equal to it by symmetry."""
        return bool(self.defined) or self.states is not None

    def inputs(self) -> dict[str, str]:
        """SHA-256 of the content of the two structure files, and of force-field files that are not OpenMM's own."""
        own = [(f"forcefield {k} {Path(name).name}", Path(name)) for k, name in enumerate(self.forcefield, 1) if Path(name).is_file()]
        own += files_of(self.system, self.parameters).items() if self.system is not None else []
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in (("start", self.start), ("end", self.end), *own)}

    def fingerprint(self) -> str:
        """Changes when anything that defines the system does, the content of the two files included, but not where they lie."""
        spec = self.model_dump(mode="json", exclude={"start", "end", "system", "parameters"})
        spec["forcefield"] = [Path(name).name if Path(name).is_file() else name for name in self.forcefield]
        for key in ("solvent", "constraints", "hydrogen_mass_Da"):  # runs of before there was any are still the same
            if not spec[key]:
                del spec[key]
        content = {**self.inputs(), **{f"spec_{k}": v for k, v in spec.items()}}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _box(state: str, box: dict[str, Any]) -> dict[str, Any]:
    """A box of a state, what stands under the key of a condition as its `Definition`."""
    found: dict[str, Any] = {}
    for key, value in box.items():
        definition = CONDITIONS[key].definition if key in CONDITIONS else None
        if definition is None:
            if isinstance(value, dict):
                raise ValueError(f"state {state}: {key!r} wants two limits")
            found[key] = value
        elif isinstance(value, dict):
            try:
                found[key] = definition.model_validate(value)
            except ValidationError as problem:
                raise ValueError(f"state {state}: {key}: {first_error(problem)}") from problem
        elif isinstance(value, definition):
            found[key] = value
        else:
            raise ValueError(f"state {state}: {key!r} wants {', '.join(definition.model_fields)}")
    return found


def bundled_systems() -> dict[str, Path]:
    """Systems that come with the package, by name."""
    package = Path(__file__).parent.parent
    roots = (package / "systems", package.parent / "systems")  # in a wheel, in a checkout
    return {p.parent.name: p.parent for root in roots for p in sorted(root.glob("*/system.yaml"))}


def chosen_coordinates(words: Sequence[str]) -> dict[str, Any]:
    """Entries of a SystemSpec for 'auto', or for kinds of coordinates, each with a selection of atoms or without, as 'torsions' and
    'positions: name CA'; none for no words. Raises SpacetimeError for a kind that is not registered, or that is there twice."""
    found: dict[str, Any] = {}
    for word in words:
        kind, colon, selection = (part.strip() for part in word.partition(":"))
        if word.strip() != AUTO:
            kind_of(kind)
        if colon and not selection:
            raise SpacetimeError(f"coordinates {word!r} want a selection of atoms after the colon, as in '{kind}: name CA'")
        if kind in found:
            raise SpacetimeError(f"{kind} stand twice among the coordinates: join their selections by 'or'")
        found[kind] = selection or None
    if AUTO in found and len(found) > 1:
        raise SpacetimeError("auto chooses all coordinates: give it alone")
    selections = {kind: selection for kind, selection in found.items() if selection}
    return {"coordinates": list(found), "selections": selections} if found else {}


def load_system(system: str | Path, *, temperature: float | None = None, coordinates: Sequence[str] = ()) -> SystemSpec:
    """From the folder of a system, or the name of a bundled one; `coordinates` as `chosen_coordinates` reads them, instead of its own.
    Raises SpacetimeError."""
    folder = Path(system)
    if not (folder / "system.yaml").is_file():
        if str(system) not in bundled_systems():
            raise SpacetimeError(
                f"there is no system {str(system)!r}: give a folder with a system.yaml, or one of {', '.join(bundled_systems())}"
            )
        folder = bundled_systems()[str(system)]
    data = read_yaml(folder / "system.yaml")
    if not isinstance(data, dict):
        raise SpacetimeError(f"{folder / 'system.yaml'} must hold keys and values")
    for key in ("start", "end", "system"):
        if data.get(key) is not None:
            data[key] = folder / str(data[key])
    if isinstance(data.get("parameters"), list):
        data["parameters"] = [folder / str(name) for name in data["parameters"]]
    if isinstance(data.get("forcefield"), list):
        data["forcefield"] = [str(folder / f) if (folder / str(f)).is_file() else f for f in data["forcefield"]]
    if temperature is not None:
        data["temperature_K"] = temperature
    own = data.get("coordinates")
    if not coordinates and (isinstance(own, str) or (isinstance(own, list) and all(isinstance(word, str) for word in own))):
        coordinates = [own] if isinstance(own, str) else own
    return _spec(data | chosen_coordinates(coordinates), str(folder / "system.yaml"))


def two_structures(
    start: str | Path,
    end: str | Path,
    *,
    forcefield: Sequence[str] = (),
    system: str | Path | None = None,
    parameters: Sequence[str | Path] = (),
    solvent: str | None = None,
    temperature: float | None = None,
    coordinates: Sequence[str] = (),
) -> SystemSpec:
    """A system of two structure files alone, with OpenMM force-field files, in explicit water (`Solvent.water`) where it is named, or a
    prepared system and its parameters, at a temperature in K; states are found when it is prepared, and so are coordinates that
    `chosen_coordinates` does not read. Raises SpacetimeError."""
    start, end = Path(start), Path(end)
    name = "_to_".join(Path(path.name.removesuffix(".gz")).stem for path in (start, end))
    data: dict[str, Any] = {"name": name, "start": start, "end": end, "forcefield": tuple(forcefield), "parameters": tuple(parameters)}
    given = {"system": system, "solvent": solvent, "temperature_K": temperature}
    chosen = chosen_coordinates(coordinates)
    return _spec(data | {key: value for key, value in given.items() if value is not None} | chosen, "the system")


def _spec(data: dict[str, Any], source: str) -> SystemSpec:
    try:
        spec = SystemSpec.model_validate(data)
    except ValidationError as problem:
        raise SpacetimeError(f"{source}: {first_error(problem)}") from problem
    for path in (spec.start, spec.end, *([spec.system] if spec.system else []), *spec.parameters):
        if not (path.is_file() or (path in spec.parameters and path.is_dir())):
            raise SpacetimeError(f"{path}: there is no such file")
    for name, boxes in (spec.states or {}).items():
        if not boxes or not all(boxes):
            raise SpacetimeError(f"{source}: state {name} holds no range: it needs a box with one coordinate at least")
    return spec
