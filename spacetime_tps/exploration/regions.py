"""Regions that paths are to keep out of, as data: boxes and points with a precision, and how they are written."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.validation import StrictModel, first_error

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
WORD = re.compile(r"\w+\([^)]*\)\S*|\S+")
"""A file in brackets may hold blanks"""
SUFFIX = re.compile(r"\.[a-z0-9]{1,7}(\.gz)?$", re.IGNORECASE)
"""Of a file's name, which says what it is"""


class StructureFile(StrictModel):
    """A structure file, of any kind that an end may be, that a region is about. A run keeps a copy."""

    file: str = Field(min_length=1)
    """As it was given, relative to the working directory"""
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Of its content, once a run has read it"""

    @property
    def kept(self) -> str:
        """Where a run's storage has the copy: a name that follows from the file's and holds nothing of it but of what kind it is."""
        kind = SUFFIX.search(self.file)
        return f"regions/{hashlib.sha256(self.file.encode()).hexdigest()[:12]}{kind[0].lower() if kind else ''}"


AnyFile = TypeVar("AnyFile", bound=StructureFile)
Known = Callable[[AnyFile], AnyFile]


class WithinRmsd(StructureFile):
    """Up to so far from a structure, all atoms but hydrogen, after superposition."""

    max_nm: FiniteFloat = Field(gt=0)


class ForbiddenBox(StrictModel):
    """Ranges of coordinates, and how far from a structure, that all hold. Coordinates not named are free."""

    box: dict[str, tuple[FiniteFloat, FiniteFloat]] = Field(default_factory=dict)
    """Degrees, from one angle up to another, across 180 where the second is smaller; or nm"""
    rmsd: WithinRmsd | None = None

    @property
    def label(self) -> str:
        """As on the command line."""
        words = [f"{name}={low:g}:{high:g}" for name, (low, high) in self.box.items()]
        return " ".join([*words, *([f"rmsd({self.rmsd.file})<{self.rmsd.max_nm:g}"] if self.rmsd else [])])

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinates that it bounds."""
        return tuple(self.box)

    def known(self, read: "Known[WithinRmsd]") -> "ForbiddenBox":
        """With its structure as `read` has it."""
        return self if self.rmsd is None else self.model_copy(update={"rmsd": read(self.rmsd)})

    @model_validator(mode="after")
    def _bounds(self) -> "ForbiddenBox":
        if not self.box and self.rmsd is None:
            raise ValueError("a box wants a range or an rmsd")
        return self


class ForbiddenPoint(StrictModel):
    """The denoising distribution at a center, with one precision for all coordinates."""

    point: dict[str, FiniteFloat] = Field(min_length=1)
    """degrees, or nm"""
    kappa: FiniteFloat = Field(gt=0)
    """per rad^2, or per 0.01 nm^2"""

    @property
    def label(self) -> str:
        """As on the command line."""
        return " ".join([*(f"{name}={value:g}" for name, value in self.point.items()), f"kappa={self.kappa:g}"])

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinates that it names."""
        return tuple(self.point)

    def known(self, read: "Known[StructureFile]") -> "ForbiddenPoint":
        """Itself: it has no structure."""
        return self


class ForbiddenStructure(StrictModel):
    """The denoising distribution at the values that a structure has, with one precision for all coordinates."""

    near: StructureFile
    kappa: FiniteFloat = Field(gt=0)
    """per rad^2, or per 0.01 nm^2"""

    @property
    def label(self) -> str:
        """As on the command line."""
        return f"near({self.near.file}) kappa={self.kappa:g}"

    @property
    def names(self) -> tuple[str, ...]:
        """None: all coordinates are meant."""
        return ()

    def known(self, read: "Known[StructureFile]") -> "ForbiddenStructure":
        """With its structure as `read` has it."""
        return self.model_copy(update={"near": read(self.near)})


Forbidden = ForbiddenBox | ForbiddenPoint | ForbiddenStructure


ReadBytes = Callable[[str], bytes]
"""The content of the copy of a structure by its name (`StructureFile.kept`), as `Storage.content`"""


def reader(structures: Mapping[str, bytes], storage: Storage) -> ReadBytes:
    """Of what `collected` has read, and what the storage keeps."""
    return lambda name: structures[name] if name in structures else storage.content(name)


def collected(forbidden: Sequence[Forbidden], storage: Storage) -> tuple[tuple[Forbidden, ...], dict[str, bytes]]:
    """The regions with their structures read, and what the storage is to keep of these; writes nothing.

    One that a run has read is its copy, whatever has become of the file. A file that is gone is read from the copy of an earlier run.
    Raises SpacetimeError where that is missing too.
    """
    contents: dict[str, bytes] = {}

    def read(structure: AnyFile) -> AnyFile:
        if storage.has(structure.kept) and structure.sha256 == hashlib.sha256(storage.content(structure.kept)).hexdigest():
            return structure
        path = Path(structure.file)
        if not path.is_file() and not storage.has(structure.kept):
            raise SpacetimeError(f"--avoid {structure.file}: there is no such file")
        content = path.read_bytes() if path.is_file() else storage.content(structure.kept)
        contents[structure.kept] = content
        return structure.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})

    return tuple(region.known(read) for region in forbidden), contents


def parse_regions(texts: Sequence[str]) -> tuple[Forbidden, ...]:
    """Regions from words like 'phi=-20:20 d=0.4:0.5', 'rmsd(boat.pdb)<0.05' (boxes), 'phi=0 psi=0 kappa=50' or 'near(boat.pdb) kappa=50'
    (points), in degrees and nm.

    Raises SpacetimeError for what is neither.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Forbidden:
    ranges: dict[str, tuple[float, float]] = {}
    values: dict[str, float] = {}
    files: dict[str, dict[str, str | float]] = {}
    for word in WORD.findall(text):
        name = re.split(r"[=(]", word)[0]
        if name in {*ranges, *values, *files}:
            raise SpacetimeError(f"--avoid {text!r} names {name} twice")
        if found := re.fullmatch(rf"rmsd\(([^)]+)\)<({NUMBER})", word):
            files[name] = {"file": found[1], "max_nm": float(found[2])}
        elif found := re.fullmatch(r"near\(([^)]+)\)", word):
            files[name] = {"file": found[1]}
        elif found := re.fullmatch(rf"([^=()]+)=({NUMBER}):({NUMBER})", word):
            ranges[name] = float(found[2]), float(found[3])
        elif found := re.fullmatch(rf"([^=()]+)=({NUMBER})", word):
            values[name] = float(found[2])
        else:
            raise SpacetimeError(
                f"--avoid cannot read {word!r}: write NAME=FROM:TO in degrees or nm, as in 'phi=-20:20 psi=-60:60', or rmsd(FILE)<NM, as "
                "in 'rmsd(boat.pdb)<0.05'"
            )
    try:
        if (ranges or "rmsd" in files) and not values and "near" not in files:
            return ForbiddenBox.model_validate({"box": ranges, "rmsd": files.get("rmsd")})
        if "kappa" in values and len(values) > 1 and not ranges and not files:
            return ForbiddenPoint(kappa=values.pop("kappa"), point=values)
        if [*files] == ["near"] and [*values] == ["kappa"] and not ranges:
            return ForbiddenStructure.model_validate({"near": files["near"], "kappa": values["kappa"]})
    except ValidationError as problem:
        raise SpacetimeError(f"--avoid {text!r}: {first_error(problem)}") from problem
    raise SpacetimeError(
        f"--avoid {text!r} is neither a box, as 'phi=-20:20 psi=-60:60' or 'rmsd(boat.pdb)<0.05', nor a point with a precision, as "
        "'phi=0 psi=0 kappa=50' or 'near(boat.pdb) kappa=50'"
    )
