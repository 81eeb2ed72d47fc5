"""What a run is about: two structures, a force field, torsions and states, from a system folder or from two PDB files."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.pipeline.settings import first_error

Range = tuple[float, float]
TorsionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.'-]+$")]
"""Torsion names become part of file names"""


class SystemSpec(BaseModel):
    """A system.yaml. Torsions and states that are left out are found from the two structures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    start: Path
    end: Path
    forcefield: tuple[str, ...] = Field(min_length=1)
    temperature_K: float = Field(300.0, gt=0)
    torsions: dict[TorsionName, tuple[str, str, str, str]] | None = Field(None, min_length=1)
    """name: four atoms, each 'residue number:atom name'"""
    states: dict[str, tuple[dict[str, Range], ...]] | None = None
    """A and B: boxes, each torsion name: (from, to) in degrees, going up"""

    def inputs(self) -> dict[str, str]:
        """SHA-256 of the content of the two structure files, and of force-field files that are not OpenMM's own."""
        own = [(name, Path(name)) for name in self.forcefield if Path(name).is_file()]
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in (("start", self.start), ("end", self.end), *own)}

    def fingerprint(self) -> str:
        """Changes when anything that defines the system does, the content of the two files included, but not where they lie."""
        content = {**self.inputs(), **{f"spec_{k}": v for k, v in self.model_dump(mode="json", exclude={"start", "end"}).items()}}
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
    try:
        data = yaml.safe_load((folder / "system.yaml").read_text())
    except yaml.YAMLError as problem:
        raise SpacetimeError(f"{folder / 'system.yaml'} is not valid YAML: {problem}") from problem
    if not isinstance(data, dict):
        raise SpacetimeError(f"{folder / 'system.yaml'} must hold keys and values")
    for key in ("start", "end"):
        if key in data:
            data[key] = folder / str(data[key])
    if isinstance(data.get("forcefield"), list):
        data["forcefield"] = [str(folder / f) if (folder / str(f)).is_file() else f for f in data["forcefield"]]
    if temperature is not None:
        data["temperature_K"] = temperature
    return _spec(data, str(folder / "system.yaml"))


def two_structures(start: Path, end: Path, *, forcefield: tuple[str, ...], temperature: float) -> SystemSpec:
    """A system of two PDB files alone; torsions and states are found when it is prepared."""
    name = f"{start.stem}_to_{end.stem}"
    return _spec({"name": name, "start": start, "end": end, "forcefield": forcefield, "temperature_K": temperature}, "the system")


def _spec(data: dict[str, Any], source: str) -> SystemSpec:
    try:
        spec = SystemSpec.model_validate(data)
    except ValidationError as problem:
        raise SpacetimeError(f"{source}: {first_error(problem)}") from problem
    for path in (spec.start, spec.end):
        if not path.is_file():
            raise SpacetimeError(f"{path}: there is no such file")
    if spec.states is not None:
        if set(spec.states) != {"A", "B"}:
            raise SpacetimeError(f"{source}: states must be A and B, got {', '.join(spec.states)}")
        named = set(spec.torsions or {})
        unknown = sorted({t for boxes in spec.states.values() for box in boxes for t in box} - named)
        if unknown:
            raise SpacetimeError(f"{source}: the states bound {unknown[0]!r}, which is none of the torsions {', '.join(sorted(named))}")
    return spec
