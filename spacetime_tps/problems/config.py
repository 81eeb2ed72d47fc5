"""config.yaml of a run folder: the system, checksums of its files, and every setting."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_yaml, write_text
from spacetime_tps.problems.system import SystemSpec

CONFIG = "config.yaml"
KEYS = {"system", "inputs", "settings"}


def read_config(folder: Path) -> dict[str, Any]:
    """What it holds. Raises SpacetimeError where there is none, or it is not of a run."""
    file = folder / CONFIG
    if not file.exists():
        raise SpacetimeError(f"{folder} holds no run: there is no {CONFIG} in it")
    found = read_yaml(file)
    if not isinstance(found, dict) or not set(found) >= KEYS or not isinstance(found["system"], dict) or "name" not in found["system"]:
        raise SpacetimeError(f"{folder} holds a {CONFIG} that is not of a run, or damaged")
    return found


def write_config(folder: Path, spec: SystemSpec, settings: BaseModel) -> None:
    """Write it."""
    _write(folder, {"system": spec.model_dump(mode="json"), "inputs": spec.inputs()}, settings)


def change_settings(folder: Path, settings: BaseModel) -> None:
    """Write it with other settings. Raises as `read_config`."""
    _write(folder, read_config(folder), settings)


def _write(folder: Path, content: dict[str, Any], settings: BaseModel) -> None:
    write_text(folder / CONFIG, yaml.safe_dump({**content, "settings": settings.model_dump(mode="json")}, sort_keys=False))
