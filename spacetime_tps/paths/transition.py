"""Transition paths: one row of transitions.csv and one trajectory each."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import PurePath

import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.problems.problem import Problem
from spacetime_tps.storage.protocol import Row, Storage
from spacetime_tps.trajectories.frames import Frames, offsets

TABLE, FOLDER, SUMMARY = "transitions.csv", "transitions", "summary.json"
"""In a run folder: the paths' table, their files, and what they amount to"""
TIME, ENERGY, OFFSET = "time_ps", "potential_energy_kj_mol", "velocity_offset_steps"
ENERGIES = ("frame", TIME, ENERGY, "bias_energy_kj_mol", "level", OFFSET)


@dataclass(frozen=True)
class Transition:
    """One row of transitions.csv. The highest energy is over the stored frames, in kJ/mol above start.pdb; nan where no frame is."""

    path: str
    stage: str
    status: str
    hit: int
    max_energy_kj_mol: float
    work_kT: float | None
    """Done on the path by its restraint (sampling.crooks.work); None, an empty cell, for paths without one, or of an older version"""
    n_frames: int
    evaluations: int
    seed: int
    weight: float | None
    """Statistical weight; None, an empty cell, for paths that have none"""
    route: str
    file: str
    """Name of the trajectory in the storage; empty for an unstable path, which has none"""


COLUMNS = [f.name for f in fields(Transition)]


def read_transitions(storage: Storage) -> list[Transition]:
    """All rows; none where there is no table yet. Raises SpacetimeError for a row that is none, or that names a file elsewhere."""
    return [_row(line, cells) for line, cells in enumerate(storage.table(TABLE), 2)] if storage.has(TABLE) else []


def _row(line: int, r: Row) -> Transition:
    try:
        row = Transition(
            r["path"], r["stage"], r["status"], int(r["hit"]), float(r["max_energy_kj_mol"]), _number(r.get("work_kT")),
            int(r["n_frames"]), int(r["evaluations"]), int(r["seed"]), _number(r["weight"]), r["route"], r["file"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as problem:
        raise SpacetimeError(f"{TABLE}, line {line}: {problem!r}; the table is damaged") from problem
    beside = row.file.removeprefix(f"{FOLDER}/")
    if not _plain(row.path) or (row.file and (beside == row.file or not _plain(beside))):
        raise SpacetimeError(f"{TABLE}, line {line}: {row.path!r} with {row.file!r} is no path of this folder")
    return row


def _plain(name: str) -> bool:
    """Whether it names a file of a folder, and nothing above or below it."""
    return name not in ("", ".", "..") and PurePath(name).name == name and "\\" not in name


def _number(cell: str | None) -> float | None:
    return float(cell) if cell else None


def write_transitions(storage: Storage, rows: Sequence[Transition]) -> None:
    """Replace all rows."""
    storage.put_table(TABLE, COLUMNS, [astuple(r) for r in rows])


def replace_transitions(storage: Storage, stage: str, rows: Sequence[Transition], *, route: str | None = None) -> None:
    """Replace the rows of one stage, or of one of its routes, where they stand or after the last row of the stage."""
    before = read_transitions(storage)
    mine = [k for k, r in enumerate(before) if r.stage == stage]
    replaced = [k for k in mine if route in (None, before[k].route)]
    place = replaced[0] if replaced else mine[-1] + 1 if mine else len(before)
    kept = [[before[k] for k in part if k not in replaced] for part in (range(place), range(place, len(before)))]
    write_transitions(storage, [*kept[0], *rows, *kept[1]])


def file_of(name: str) -> str:
    """The trajectory of a path in the storage."""
    return f"{FOLDER}/{name}.trr"


def table_of(file: str) -> str:
    """The table of energies beside a trajectory."""
    return f"{file.removesuffix('.trr')}.csv"


def keep_path(
    storage: Storage, problem: Problem, name: str, frames: Frames, *, bias: np.ndarray | None = None, level: np.ndarray | None = None
) -> tuple[str, float]:
    """Keep a path's trajectory and, beside it, its table of energies; the trajectory's name, and the path's highest energy.

    bias (F,), kJ/mol, and level (F,), mean precision of the restraint; zero where None.
    """
    file = file_of(name)
    storage.put_frames(file, frames, timestep=problem.model.timestep, cell=problem.model.cell)
    energies = frames.potential_energy - problem.zero
    nothing = np.zeros(len(frames))
    columns = (frames.time, energies, nothing if bias is None else bias, nothing if level is None else level, offsets(frames))
    rows = [(k, *(f"{x:.4f}" for x in row)) for k, row in enumerate(zip(*(c.tolist() for c in columns), strict=True))]
    storage.put_table(table_of(file), ENERGIES, rows)
    return file, round(float(energies.max()), 4)


def durations(frames: np.ndarray, *, stride: int, timestep: float) -> np.ndarray:
    """Of paths of so many frames, `stride` steps of `timestep` ps apart; ps."""
    return np.asarray((frames - 1) * stride * timestep)


def read_path(storage: Storage, file: str) -> Frames:
    """The frames of a trajectory that `keep_path` kept, with energies above start.pdb, and without evaluations, which stand in the path's
    row. Raises SpacetimeError where a file is missing or damaged."""
    positions, velocities = storage.frames(file)
    rows = storage.table(table_of(file))
    try:
        time, energy, offset = (np.array([float(row[key]) for row in rows]) for key in (TIME, ENERGY, OFFSET))
    except (KeyError, ValueError) as problem:
        raise SpacetimeError(f"{table_of(file)} is damaged: {problem!r}") from problem
    return Frames(positions, velocities, time, energy, np.zeros(len(rows), dtype=int), 0, True, offset)


def remove_paths(storage: Storage, stage: str) -> None:
    """Remove everything of a stage: its rows, and their trajectories and tables."""
    mine = [row for row in read_transitions(storage) if row.stage == stage]
    for file in (row.file for row in mine if row.file):
        storage.remove(file)
        storage.remove(table_of(file))
    if mine:
        replace_transitions(storage, stage, [])
