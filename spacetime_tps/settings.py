"""Every setting of a run, with its default; a typo is an error that names the key and the nearest valid one."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import Forbidden
from spacetime_tps.exploration.settings import ExplorationSettings
from spacetime_tps.files import parse_yaml
from spacetime_tps.methods.registry import METHODS
from spacetime_tps.methods.settings import MethodSettings
from spacetime_tps.problems.config import read_config
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.validation import first_error


class Settings(ExplorationSettings, MethodSettings):
    """All settings of a run; those of a stage stand beside it."""

    seed: int = Field(1, ge=0, lt=2**63, description="every random number of sampling follows from it; water that is put in has its own")
    workers: int = Field(0, ge=0, description="processes; 0 takes every core")
    dynamics: DynamicsSettings = DynamicsSettings()
    unbiased: UnbiasedSettings = UnbiasedSettings()

    @model_validator(mode="after")
    def _strides_fit(self) -> "Settings":
        for name, stride in (*((method.name, method.stride(self)) for method in METHODS), ("unbiased", self.unbiased.stride)):
            if stride % self.training.stride:
                raise ValueError(
                    f"{name}.stride must be a multiple of training.stride, which the thermal reference is cut from, got {stride} and "
                    f"{self.training.stride}"
                )
        return self

    @model_validator(mode="after")
    def _both_ways(self) -> "Settings":
        mirrors = [method for method in METHODS if method.mirror_of]
        if self.reverse and not any(method.asked(self) for method in mirrors):
            counts = " and ".join(f"{method.mirror_of}.paths" for method in mirrors)
            raise ValueError(f"reverse asks for paths back along curves that none are walked along: {counts} are 0")
        return self


def parse_settings(assignments: Sequence[str], *, avoid: Sequence[Forbidden] = (), base: Settings | None = None) -> Settings:
    """Settings from words like 'guided.paths=50', over `base` or the defaults. Raises SpacetimeError for an unknown key or a bad value."""
    data = (base or Settings(avoid=tuple(avoid))).model_dump()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SpacetimeError(f"--set wants key=value, got {assignment!r}")
        parts = key.strip().split(".")
        known = list(by_name(Settings().model_dump()))
        if key.strip() not in known:
            nearest = difflib.get_close_matches(key.strip(), known, n=1, cutoff=0.0)
            raise SpacetimeError(f"unknown setting {key.strip()!r}; the nearest is {nearest[0]!r}")
        place = data
        for part in parts[:-1]:
            place = place[part]
        try:
            place[parts[-1]] = parse_yaml(text)
        except SpacetimeError as problem:
            raise SpacetimeError(f"--set {key.strip()} cannot read the value {text!r}, which {problem}") from problem
    return validated(data)


def settings_of(run: Path) -> Settings:
    """The settings of a run folder."""
    return validated(read_config(run)["settings"])


def validated(data: dict[str, Any]) -> Settings:
    """Settings from a nested dictionary; raises SpacetimeError with the first problem in one sentence."""
    try:
        return Settings.model_validate(data)
    except ValidationError as problem:
        raise SpacetimeError(f"setting {first_error(problem)}") from problem


INDIFFERENT = frozenset({"workers"})
"""Settings that decide nothing about what a run gives: they are those of the machine that works on it"""


def decisive(settings: Settings) -> dict[str, Any]:
    """All settings but those that are `INDIFFERENT`, by their names."""
    return by_name(settings.model_dump(mode="json", exclude=set(INDIFFERENT)))


def as_here(settings: Settings, here: Settings) -> Settings:
    """The settings, with those that are `INDIFFERENT` as they are `here`."""
    return settings.model_copy(update={name: getattr(here, name) for name in INDIFFERENT})


def of_preparation(settings: Settings) -> dict[str, Any]:
    """The groups of settings that a problem is prepared with, by their names, as plain data."""
    return {"dynamics": settings.dynamics.model_dump()}


def by_name(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings as plain data, nested, by their names as --set has them: 'guided.paths'."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= by_name(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
