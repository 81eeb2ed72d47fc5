"""What the report shows, read from the files of a run folder alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.coordinates.circle import continuous
from spacetime_tps.coordinates.molecule import Cell
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.registry import coordinates_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration import sampled
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.paths.transition import SUMMARY, TABLE, read_transitions, table_of
from spacetime_tps.problems.config import read_config
from spacetime_tps.problems.problem import COORDINATES, NOTES, STATES, as_prepared
from spacetime_tps.settings import Settings, settings_of
from spacetime_tps.storage.folder import Folder
from spacetime_tps.unbiased.committors import STATE_FRAME
from spacetime_tps.unbiased.ensemble import COMMITTORS

Row = dict[str, str]


@dataclass(frozen=True)
class RunData:
    """A finished run, read as it is asked for."""

    folder: Path

    @staticmethod
    def of(folder: str | Path) -> "RunData":
        """Raises SpacetimeError where the folder holds no finished run."""
        folder = Path(folder)
        if not (folder / SUMMARY).exists():
            raise SpacetimeError(f"{folder} holds no finished run: there is no summary.json in it")
        return RunData(folder)

    @property
    def storage(self) -> Folder:
        """The folder, read with a sentence for what is damaged."""
        return Folder(self.folder)

    def _record(self, name: str, *keys: str) -> dict[str, Any]:
        found = self.storage.record(name)
        if not isinstance(found, dict) or not set(keys) <= set(found):
            raise SpacetimeError(f"{self.folder / name} is damaged: it lacks {', '.join(keys) or 'keys'}")
        return found

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json"""
        return self._record(SUMMARY, "stages", "evaluations", "temperature_K")

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml"""
        return read_config(self.folder)

    @cached_property
    def settings(self) -> Settings:
        """Those of config.yaml, checked, with defaults where it has none."""
        return settings_of(self.folder)

    @cached_property
    def rounds(self) -> dict[str, Any]:
        """samples/rounds.json"""
        return self._record(sampled.ROUNDS, "routes", "kappa_floor")

    @cached_property
    def thermal(self) -> np.ndarray:
        """Highest energies of the thermal reference, kJ/mol."""
        return np.array(self.summary["thermal_reference"]["max_energy_kj_mol"])

    @cached_property
    def thermal_stretches(self) -> str:
        """What it is of, in a legend; older runs do not say how long their stretches are."""
        frames = self.summary["thermal_reference"].get("frames")
        return f"runs of {frames} frames in A" if frames else "equally long runs in A"

    @cached_property
    def preparation(self) -> dict[str, Any]:
        """preparation.json"""
        return self._record(NOTES, "cell_nm", "platform")

    @cached_property
    def cell(self) -> Cell | None:
        """Box vectors, nm; None where nothing is periodic."""
        found = self.preparation["cell_nm"]
        return found and tuple(tuple(vector) for vector in found)

    @cached_property
    def coordinates(self) -> Coordinates:
        """coordinates.json"""
        return as_prepared(self.folder, COORDINATES, lambda _: coordinates_of(self._record(COORDINATES, "blocks")["blocks"], self.cell))

    def structure(self, name: str) -> Structure:
        """topology.pdb, start.pdb or end.pdb."""
        return as_prepared(self.folder, name, load_structure)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values (..., D) in the units of the coordinates, nothing wrapped: a curve stays whole."""
        return np.asarray(self.coordinates.scale * values)

    @cached_property
    def states(self) -> dict[str, list[dict[str, Any]]]:
        """Boxes of A and B."""
        return as_prepared(self.folder, STATES, lambda _: self._record(STATES, "A", "B"))

    def ranges(self, state: str, k: int) -> list[tuple[float, float] | None]:
        """For each box of a state, the range of coordinate k that it sets, as people read it; None where it sets none."""
        return [self.coordinates.bounds(box)[k] for box in self.states[state]]

    @cached_property
    def forbidden(self) -> list[dict[str, Any]]:
        """Regions that the run was told to keep out of, as summary.json has them: `ranges` as people read them, none where the coordinates do
        not tell; `round` where the region is the ellipsoid within."""
        avoid = self.summary.get("avoid")
        return list(avoid["regions"]) if avoid else []

    @cached_property
    def shown(self) -> tuple[int, int]:
        """The two coordinates that change most along the best route: the axes of the map. Twice the same where there is one."""
        center = continuous(self.geodesic["center"], self.coordinates.angular)
        order = np.argsort(-np.ptp(center, axis=0), kind="stable")
        pair = sorted(int(k) for k in order[:2])
        return pair[0], pair[-1]

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """An npz file of the folder."""
        return self.storage.arrays(name)

    @cached_property
    def geodesic(self) -> dict[str, np.ndarray]:
        """geodesic.npz"""
        return self.arrays(sampled.GEODESIC)

    @cached_property
    def routes(self) -> list[dict[str, np.ndarray]]:
        """All optimised routes, best first."""
        return sampled.routes_in(self.storage)

    @cached_property
    def windows(self) -> dict[str, np.ndarray]:
        """samples/windows.npz"""
        return self.arrays(sampled.WINDOWS)

    @cached_property
    def free_energy(self) -> dict[str, np.ndarray]:
        """free_energy.npz"""
        return self.arrays(sampled.FREE_ENERGY)

    @cached_property
    def weighted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (S, atoms, 3), nm, and velocities, nm/ps, of the weighted frames of the best route's class, and their log weights (S,)."""
        return *self.storage.frames(sampled.frames_file(1)), self.arrays(sampled.weights_file(1))["log_weight"]

    @cached_property
    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (S, D), as people read them, of those frames, and their log weights (S,)."""
        positions, _, log_weight = self.weighted
        return self.scaled(self.coordinates.values(positions)), log_weight

    @cached_property
    def unbiased(self) -> dict[str, Any]:
        """What summary.json has on unbiased transitions; empty where there are none."""
        return dict(self.summary.get("unbiased") or {})

    @cached_property
    def committors(self) -> dict[str, np.ndarray]:
        """Columns of committor.csv."""
        found = self.columns(COMMITTORS, text=("walk",))
        if (older := found.pop("transition_state", None)) is not None:  # of version 0.1.0: empty where a point is none
            found[STATE_FRAME] = np.nan_to_num(older, nan=-1.0).astype(int)
        return found

    @cached_property
    def transitions(self) -> list[Row]:
        """Rows of transitions.csv."""
        read_transitions(self.storage)  # what is no row of a run is said
        return [dict(row) for row in self.storage.table(TABLE)]

    def of_stage(self, stage: str) -> list[Row]:
        """The stage's rows."""
        return [r for r in self.transitions if r["stage"] == stage]

    def path_values(self, row: Row) -> np.ndarray:
        """Coordinates (F, D) along a path, as people read them."""
        positions, _ = self.storage.frames(row["file"])
        return self.scaled(self.coordinates.values(positions))

    def path_table(self, row: Row) -> dict[str, np.ndarray]:
        """The columns of the file beside a path's trajectory."""
        return self.columns(table_of(row["file"]))

    def columns(self, name: str, *, text: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """The columns of a CSV file of the folder: those named in `text`, whole numbers, and numbers, nan where a cell is empty."""
        rows = self.storage.table(name)
        try:
            return {key: np.array([r[key] for r in rows]) if key in text else _numbers([r[key] for r in rows]) for key in rows[0]}
        except (IndexError, TypeError, ValueError) as problem:
            raise SpacetimeError(f"{self.folder / name} is damaged: {problem}") from problem


def _numbers(cells: Sequence[str]) -> np.ndarray:
    whole = all(cell.lstrip("+-").isdigit() for cell in cells)
    return np.array([int(cell) if whole else float(cell or "nan") for cell in cells])
