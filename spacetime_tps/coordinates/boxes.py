"""Boxes of states as states.json has them: what one of them says of a group of atoms, and several in one."""

from collections.abc import Iterable, Sequence
from typing import Any

from spacetime_tps.errors import SpacetimeError


def ranges(box: dict[str, Any], key: str, atoms: Sequence[int]) -> list[tuple[float, float]]:
    """The limits that a box sets on a group of n atoms, in the file's unit, where entries of `key` are n atoms, low, high."""
    n, same = len(atoms), one_way(atoms)
    return [(entry[n], entry[n + 1]) for entry in box.get(key, []) if one_way(entry[:n]) == same]


def one_way(atoms: Sequence[int]) -> tuple[int, ...]:
    """A group of atoms read from the end with the smaller index: a torsion, an angle and a distance are the same from either."""
    return min(tuple(atoms), tuple(atoms[::-1]))


def together(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One box in which the conditions of all parts hold. Raises SpacetimeError where two hold a condition that a box can hold once, as one
    range of a group of atoms."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, entry in part.items():
            if key in found and not isinstance(entry, list):
                raise SpacetimeError(f"a box can hold one {key} only")
            found[key] = [*found[key], *entry] if key in found else entry
    for key, entries in found.items():
        listed = entries if isinstance(entries, list) else []
        groups = [
            one_way(entry[:-2]) for entry in listed if isinstance(entry, list) and all(isinstance(k, int) for k in entry[:-2])
        ]  # as `ranges` reads them
        for group in (group for group in groups if groups.count(group) > 1):
            raise SpacetimeError(f"a box can hold one range of {key} for the atoms {' '.join(str(k + 1) for k in group)} only")
    return found


def rmsd_entry(file: str, atoms: Iterable[int], *, max_nm: float | None = None, min_nm: float | None = None) -> dict[str, Any]:
    """What stands under `rmsd` in a box: the distance of atoms from those of a structure file after superposition, between two limits."""
    limits = {"max_nm": max_nm, "min_nm": min_nm}
    return {"file": file, "atoms": [*atoms], **{key: value for key, value in limits.items() if value is not None}}
