"""What the report shows, read from the files of a run folder alone."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spacetime_tps.coordinates.circle import continuous, to_read
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.coordinates.registry import coordinates_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.trajectories.trr import read_trr

Row = dict[str, str]


@dataclass(frozen=True)
class RunData:
    """A finished run, read as it is asked for."""

    folder: Path

    @staticmethod
    def of(folder: Path) -> "RunData":
        """Raises SpacetimeError where the folder holds no finished run."""
        if not (folder / "summary.json").exists():
            raise SpacetimeError(f"{folder} holds no finished run: there is no summary.json in it")
        return RunData(folder)

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json"""
        return dict(self._json("summary.json"))

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml"""
        return dict(yaml.safe_load((self.folder / "config.yaml").read_text()))

    @cached_property
    def rounds(self) -> dict[str, Any]:
        """samples/rounds.json"""
        return dict(self._json("samples/rounds.json"))

    @cached_property
    def thermal(self) -> np.ndarray:
        """Highest energies of the thermal reference, kJ/mol."""
        return np.array(self.summary["thermal_reference"]["max_energy_kj_mol"])

    @cached_property
    def preparation(self) -> dict[str, Any]:
        """preparation.json"""
        return dict(self._json("preparation.json"))

    @cached_property
    def coordinates(self) -> Coordinates:
        """coordinates.json"""
        cell = self.preparation["cell_nm"]
        return coordinates_of(self._json("coordinates.json")["blocks"], cell and tuple(tuple(v) for v in cell))

    def read(self, values: np.ndarray) -> np.ndarray:
        """Values (..., D) of the coordinates as people read them."""
        return to_read(values, self.coordinates.angular)

    @cached_property
    def states(self) -> dict[str, list[dict[str, Any]]]:
        """Boxes of A and B."""
        return dict(self._json("states.json"))

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
        with np.load(self.folder / name) as data:
            return dict(data)

    @cached_property
    def geodesic(self) -> dict[str, np.ndarray]:
        """geodesic.npz"""
        return self.arrays("geodesic.npz")

    @cached_property
    def routes(self) -> list[dict[str, np.ndarray]]:
        """All optimised routes, best first."""
        count = len(list(self.folder.glob("routes/*.npz")))
        return [self.arrays(f"routes/{rank}.npz") for rank in range(1, count + 1)]

    @cached_property
    def windows(self) -> dict[str, np.ndarray]:
        """samples/windows.npz"""
        return self.arrays("samples/windows.npz")

    @cached_property
    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (S, D), as people read them, of the weighted frames of the best route's class, and their log weights (S,)."""
        positions, _, _ = read_trr(self.folder / "samples/weighted_1.trr")
        return self.read(self.coordinates.values(positions)), self.arrays("samples/weighted_1.npz")["log_weight"]

    @cached_property
    def unbiased(self) -> dict[str, Any]:
        """What summary.json has on unbiased transitions; empty where there are none."""
        return dict(self.summary.get("unbiased") or {})

    @cached_property
    def committors(self) -> dict[str, np.ndarray]:
        """Columns of committor.csv, as text."""
        with open(self.folder / "committor.csv", newline="") as handle:
            rows = list(csv.DictReader(handle))
        return {key: np.array([r[key] for r in rows]) for key in rows[0]}

    @cached_property
    def transitions(self) -> list[Row]:
        """Rows of transitions.csv."""
        with open(self.folder / "transitions.csv", newline="") as handle:
            return list(csv.DictReader(handle))

    def of_stage(self, stage: str) -> list[Row]:
        """The stage's rows."""
        return [r for r in self.transitions if r["stage"] == stage]

    def path_values(self, row: Row) -> np.ndarray:
        """Coordinates (F, D) along a path, as people read them."""
        positions, _, _ = read_trr(self.folder / row["file"])
        return self.read(self.coordinates.values(positions))

    def path_table(self, row: Row) -> dict[str, np.ndarray]:
        """The columns of the file beside a path's trajectory."""
        with open((self.folder / row["file"]).with_suffix(".csv"), newline="") as handle:
            rows = list(csv.DictReader(handle))
        return {key: np.array([float(r[key]) for r in rows]) for key in rows[0]}
