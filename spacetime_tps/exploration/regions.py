"""Regions of torsion space that paths are to keep out of, as data: boxes and points with a noise level, and how they are written."""

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spacetime_tps.errors import SpacetimeError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"


class ForbiddenBox(BaseModel):
    """A box of torsions, each from one angle up to another, across 180 where the second is smaller. Torsions not named are free."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: dict[str, tuple[float, float]] = Field(min_length=1)
    """degrees"""

    @property
    def label(self) -> str:
        """As on the command line."""
        return " ".join(f"{name}={low:g}:{high:g}" for name, (low, high) in self.box.items())

    @property
    def torsions(self) -> tuple[str, ...]:
        """The torsions that it bounds."""
        return tuple(self.box)

    @model_validator(mode="after")
    def _wide(self) -> "ForbiddenBox":
        for name, (low, high) in self.box.items():
            if not (-180.0 <= low <= 180.0 and -180.0 <= high <= 180.0):
                raise ValueError(f"the range {name}={low:g}:{high:g} is not within -180 to 180 degrees")
            if low == high or (low, high) == (180.0, -180.0):
                raise ValueError(f"the range {name}={low:g}:{high:g} is empty; {name}=-180:180 is the whole circle")
        return self


class ForbiddenPoint(BaseModel):
    """The denoising distribution at a center, with one concentration for all torsions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: dict[str, float] = Field(min_length=1)
    """degrees"""
    kappa: float = Field(gt=0)

    @property
    def label(self) -> str:
        """As on the command line."""
        return " ".join([*(f"{name}={angle:g}" for name, angle in self.point.items()), f"kappa={self.kappa:g}"])

    @property
    def torsions(self) -> tuple[str, ...]:
        """The torsions that it names."""
        return tuple(self.point)


Forbidden = ForbiddenBox | ForbiddenPoint


def parse_regions(texts: Sequence[str]) -> tuple[Forbidden, ...]:
    """Regions from words like 'phi=-20:20 psi=-60:60' (a box) or 'phi=0 psi=0 kappa=50' (a point), angles in degrees.

    Raises SpacetimeError for what is neither, and for a range that is none.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Forbidden:
    ranges: dict[str, tuple[float, float]] = {}
    values: dict[str, float] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        found = re.fullmatch(rf"({NUMBER})(?::({NUMBER}))?", value)
        if not name or not found:
            raise SpacetimeError(f"--avoid cannot read {word!r}: write TORSION=FROM:TO in degrees, as in 'phi=-20:20 psi=-60:60'")
        if name in ranges or name in values:
            raise SpacetimeError(f"--avoid {text!r} names {name} twice")
        if found[2] is None:
            values[name] = float(found[1])
        else:
            ranges[name] = (float(found[1]), float(found[2]))
    try:
        if ranges and not values:
            return ForbiddenBox(box=ranges)
        if "kappa" in values and len(values) > 1 and not ranges:
            return ForbiddenPoint(kappa=values.pop("kappa"), point=values)
    except ValidationError as problem:
        raise SpacetimeError(f"--avoid {text!r}: {problem.errors()[0]['msg'].removeprefix('Value error, ')}") from problem
    raise SpacetimeError(
        f"--avoid {text!r} is neither a box, as 'phi=-20:20 psi=-60:60', nor a point with a noise level, as 'phi=0 psi=0 kappa=50'"
    )
