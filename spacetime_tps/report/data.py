"""What the report shows, read from the files of a run folder alone."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.coordinates import Torsions
from spacetime_tps.molecules.states import State
from spacetime_tps.molecules.trajectory import read_trr

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
        return np.array(self.rounds["thermal_max_energy_kj_mol"])

    @cached_property
    def torsions(self) -> Torsions:
        """All torsions of the coordinates."""
        listed = self._json("coordinates.json")["torsions"]
        return Torsions(tuple(t["name"] for t in listed), tuple(tuple(t["atoms"]) for t in listed))

    @cached_property
    def states(self) -> dict[str, State]:
        """A and B."""
        return {name: State.from_json(boxes) for name, boxes in self._json("states.json").items()}

    @cached_property
    def forbidden(self) -> list[dict[str, Any]]:
        """Regions that the run was told to keep out of, as config.yaml has them: boxes, or points with a kappa."""
        return list(self.config["settings"].get("avoid", []))

    @cached_property
    def shown(self) -> tuple[int, int]:
        """The two torsions that turn most along the best route: the axes of the map. Twice the same where there is one."""
        center = np.unwrap(self.geodesic["center"], axis=0)
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
        """Torsions (S, n) in degrees of the weighted frames of the best route's class, and their log weights (S,)."""
        data = self.arrays("samples/weighted_1.npz")
        pairs = data["statistic"].reshape(len(data["statistic"]), -1, 2)
        return np.degrees(np.arctan2(pairs[..., 1], pairs[..., 0])), data["log_weight"]

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

    def path_angles(self, row: Row) -> np.ndarray:
        """Torsions (F, n) in degrees along a path."""
        positions, _, _ = read_trr(self.folder / row["file"])
        return np.degrees(self.torsions.angles(positions))

    def path_table(self, row: Row) -> dict[str, np.ndarray]:
        """The columns of the file beside a path's trajectory."""
        with open((self.folder / row["file"]).with_suffix(".csv"), newline="") as handle:
            rows = list(csv.DictReader(handle))
        return {key: np.array([float(r[key]) for r in rows]) for key in rows[0]}
