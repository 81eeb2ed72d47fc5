"""Boxes of states as states.json has them: what one of them says of a group of atoms, and several in one."""

from collections.abc import Iterable, Sequence
from typing import Any


def ranges(box: dict[str, Any], key: str, atoms: Sequence[int]) -> list[tuple[float, float]]:
    """The limits that a box sets on a group of n atoms, in the file's unit, where entries of `key` are n atoms, low, high."""
    n = len(atoms)
    return [(entry[n], entry[n + 1]) for entry in box.get(key, []) if tuple(entry[:n]) == tuple(atoms)]


def together(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One box in which the conditions of all parts hold."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, entry in part.items():
            found[key] = [*found[key], *entry] if key in found else entry
    return found
