"""What a run is about: two structures, a force field, torsions and states, from a system folder or from two structure files."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from spacetime_tps.coordinates.molecule import Molecule
from spacetime_tps.coordinates.registry import KINDS, kind_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_yaml
from spacetime_tps.validation import Plain, StrictModel, first_error

Range = tuple[float, float]


class RmsdSpec(StrictModel):
    """A distance from one of the two structures after superposition."""

    to: Literal["start", "end"]
    atoms: tuple[str, ...] | None = Field(None, min_length=1)
    """'residue number:atom name'; all but hydrogen where it is left out"""
    max_nm: float | None = Field(None, gt=0)
    min_nm: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _bounded(self) -> "RmsdSpec":
        if self.max_nm is None and self.min_nm is None:
            raise ValueError("an rmsd wants max_nm or min_nm")
        return self

    def condition(self, molecule: Molecule) -> dict[str, Any]:
        """What a box of states.json holds for it. Raises SpacetimeError for atoms that there are not."""
        limits = {"max_nm": self.max_nm, "min_nm": self.min_nm}
        return {"rmsd": {"file": f"{self.to}.pdb", "atoms": [*molecule.chosen(self.atoms)], **{k: v for k, v in limits.items() if v}}}


StateBox = dict[str, Range | RmsdSpec]
"""Conditions that all hold: the names of coordinates, and 'rmsd'"""


class SystemSpec(Plain):
    """A system.yaml. Coordinates and states that are left out are found from the two structures.

    Further keys are kinds of coordinates (`coordinates.registry.KINDS`), each with its `definition`.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    start: Path
    end: Path
    forcefield: tuple[str, ...] = ()
    """OpenMM force-field files; none where `system` is given"""
    system: Path | None = None
    """A serialised openmm.System, instead of a force field"""
    temperature_K: float = Field(300.0, gt=0)
    timestep_fs: float = Field(1.0, gt=0)
    friction_per_ps: float = Field(1.0, gt=0)
    coordinates: tuple[str, ...] | None = Field(None, min_length=1)
    """Kinds of the blocks that the transition is described by; the `defined` ones where it is left out, or else torsions that change"""
    states: dict[str, tuple[StateBox, ...]] | None = None
    """A and B: boxes, of which one holds: each name (from, to), in degrees going up or in nm; and an RMSD to a structure"""

    @model_validator(mode="before")
    @classmethod
    def _definitions(cls, data: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in data.items() if key in cls.model_fields}
        further = {key: value for key, value in data.items() if key not in own}
        types: dict[str, Any] = {key: (kind.definition | None, None) for key, kind in KINDS.items()}
        definitions: type[StrictModel] = create_model("Definitions", __base__=StrictModel, **types)
        return own | {key: value for key, value in definitions.model_validate(further) if value is not None}

    @field_validator("coordinates")
    @classmethod
    def _kinds(cls, kinds: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for kind in kinds or ():
            kind_of(kind)
        return kinds

    @model_validator(mode="after")
    def _one_energy(self) -> "SystemSpec":
        if bool(self.forcefield) == (self.system is not None):
            raise ValueError("give either a forcefield or a system, and not both")
        if self.states is not None and set(self.states) != {"A", "B"}:
            raise ValueError("states must hold A and B")
        return self

    @property
    def defined(self) -> dict[str, Any]:
        """The definitions that the system gives, by kind of coordinates."""
        return self.model_extra or {}

    @property
    def labelled(self) -> bool:
        """Whether the system names atoms, so that those of one name are one atom even where others are equal to it by symmetry."""
        return bool(self.defined) or self.states is not None

    def inputs(self) -> dict[str, str]:
        """SHA-256 of the content of the two structure files, and of force-field files that are not OpenMM's own."""
        own = [(Path(name).name, Path(name)) for name in self.forcefield if Path(name).is_file()]
        own += [("system", self.system)] if self.system is not None else []
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in (("start", self.start), ("end", self.end), *own)}

    def fingerprint(self) -> str:
        """Changes when anything that defines the system does, the content of the two files included, but not where they lie."""
        spec = self.model_dump(mode="json", exclude={"start", "end", "system"})
        spec["forcefield"] = [Path(name).name if Path(name).is_file() else name for name in self.forcefield]
        content = {**self.inputs(), **{f"spec_{k}": v for k, v in spec.items()}}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def bundled_systems() -> dict[str, Path]:
    """Systems that come with the package, by name."""
    package = Path(__file__).parent.parent
    roots = (package / "systems", package.parent / "systems")  # in a wheel, in a checkout
    return {p.parent.name: p.parent for root in roots for p in sorted(root.glob("*/system.yaml"))}


def load_system(system: str, *, temperature: float | None = None) -> SystemSpec:
    """From the folder of a system, or the name of a bundled one. Raises SpacetimeError."""
    folder = Path(system)
    if not (folder / "system.yaml").is_file():
        if system not in bundled_systems():
            raise SpacetimeError(
                f"there is no system {system!r}: give a folder with a system.yaml, or one of {', '.join(bundled_systems())}"
            )
        folder = bundled_systems()[system]
    data = read_yaml(folder / "system.yaml")
    if not isinstance(data, dict):
        raise SpacetimeError(f"{folder / 'system.yaml'} must hold keys and values")
    for key in ("start", "end", "system"):
        if data.get(key) is not None:
            data[key] = folder / str(data[key])
    if isinstance(data.get("forcefield"), list):
        data["forcefield"] = [str(folder / f) if (folder / str(f)).is_file() else f for f in data["forcefield"]]
    if temperature is not None:
        data["temperature_K"] = temperature
    return _spec(data, str(folder / "system.yaml"))


def two_structures(start: Path, end: Path, *, forcefield: tuple[str, ...], temperature: float) -> SystemSpec:
    """A system of two PDB or mmCIF files alone; torsions and states are found when it is prepared."""
    name = "_to_".join(Path(path.name.removesuffix(".gz")).stem for path in (start, end))
    return _spec({"name": name, "start": start, "end": end, "forcefield": forcefield, "temperature_K": temperature}, "the system")


def _spec(data: dict[str, Any], source: str) -> SystemSpec:
    try:
        spec = SystemSpec.model_validate(data)
    except ValidationError as problem:
        raise SpacetimeError(f"{source}: {first_error(problem)}") from problem
    for path in (spec.start, spec.end, *([spec.system] if spec.system else [])):
        if not path.is_file():
            raise SpacetimeError(f"{path}: there is no such file")
    for name, boxes in (spec.states or {}).items():
        if not boxes or not all(boxes):
            raise SpacetimeError(f"{source}: state {name} holds no range: it needs a box with one coordinate at least")
        for box in boxes:
            for key, limits in box.items():
                if isinstance(limits, RmsdSpec) != (key == "rmsd"):
                    raise SpacetimeError(
                        f"{source}: state {name}: {key!r} wants {'to, max_nm or min_nm' if key == 'rmsd' else 'two limits'}"
                    )
    return spec
