"""Files that are written whole or not at all: under a temporary name, then renamed."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spacetime_tps.errors import SpacetimeError

LARGEST = 100_000
"""Bytes of a YAML file that is read"""
MOST_ALIASES = 20


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("." + path.name)
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write plain data as indented JSON."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises SpacetimeError where it cannot be read, is larger than `LARGEST`, or as `parse_yaml` does."""
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise SpacetimeError(f"{path} has more than {LARGEST} bytes: no such file has")
    try:
        return parse_yaml(content.decode())
    except UnicodeDecodeError as problem:
        raise SpacetimeError(f"{path} is not valid YAML: {problem}") from problem
    except SpacetimeError as problem:
        raise SpacetimeError(f"{path} {problem}") from problem


def parse_yaml(text: str) -> Any:
    """What YAML text holds. Raises SpacetimeError where it is none, or has many aliases: a few lines of them can stand for more than memory
    holds."""
    try:
        aliases = sum(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader))
        if aliases <= MOST_ALIASES:
            return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as problem:
        raise SpacetimeError(f"is not valid YAML: {problem}") from problem
    except RecursionError as problem:
        raise SpacetimeError("is not valid YAML: it is nested too deeply") from problem
    raise SpacetimeError(f"has more than {MOST_ALIASES} aliases (*name): write values out")


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows by column name."""
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))
