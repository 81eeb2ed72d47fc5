"""config.yaml of a run folder: the system, checksums of its files, and every setting."""

from pathlib import Path
from typing import Any

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import read_yaml

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
