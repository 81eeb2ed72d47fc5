"""Transition paths of a run, read one by one as they are asked for."""

import html
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import mdtraj
import numpy as np

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.paths.representative import representative
from spacetime_tps.paths.transition import ENERGY, OFFSET, TIME, Transition, table_of
from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule
from spacetime_tps.results.public import Public
from spacetime_tps.states.ends import NAMES
from spacetime_tps.states.transitions import places

SHOWN = 12


class TransitionPath(Public):
    """One path. F frames at even times; arrays are read when they are first asked for."""

    def __init__(self, row: Transition, run: RunData, molecule: Molecule):
        self.row: Transition = row
        """The row of transitions.csv: status, evaluations, seed, work_kT, file and so on"""
        self._run, self._molecule = run, molecule

    def __repr__(self) -> str:
        how = "hit" if self.hit else self.row.status if self.row.status != "ok" else "miss"
        return f"<path {self.name}: {self.row.n_frames} frames, {self.route}, {how}, weight {self.weight:.4g}>"

    @property
    def name(self) -> str:
        """As in transitions.csv, and the name of its files."""
        return self.row.path

    @property
    def stage(self) -> str:
        """guided, steered, guided_reverse, steered_reverse or unbiased."""
        return self.row.stage

    @property
    def route(self) -> str:
        """The way round that it goes."""
        return self.row.route

    @property
    def hit(self) -> bool:
        """Whether it connects the states, its first frame in the one and its last in the other."""
        return bool(self.row.hit)

    @property
    def weight(self) -> float:
        """Statistical weight, one on average over the stage; nan for paths of a stage without weights."""
        return float("nan") if self.row.weight is None else self.row.weight

    @cached_property
    def _frames(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.row.file:
            raise SpacetimeError(f"the path {self.name} was unstable: it has no frames")
        return self._run.storage.frames(self.row.file)

    @cached_property
    def _table(self) -> dict[str, np.ndarray]:
        return self._run.columns(table_of(self.row.file))

    @property
    def positions(self) -> np.ndarray:
        """(F, atoms, 3) float32, nm."""
        return self._frames[0]

    @property
    def velocities(self) -> np.ndarray:
        """(F, atoms, 3) float32, nm/ps, `velocity_offsets` steps off their frames."""
        return self._frames[1]

    @property
    def velocity_offsets(self) -> np.ndarray:
        """(F,) steps from each frame to the time of its velocities: -1/2 as OpenMM keeps them, 1/2 in a motion turned in time, 0."""
        found = self._table.get(OFFSET)
        return np.full(len(self.positions), -0.5) if found is None else found

    @property
    def times(self) -> np.ndarray:
        """(F,) ps."""
        return self._table[TIME].astype(float)

    @property
    def energies(self) -> np.ndarray:
        """(F,) potential energy without any restraint, kJ/mol above start.pdb."""
        return self._table[ENERGY]

    @cached_property
    def values(self) -> np.ndarray:
        """(F, D) of the run's coordinates, each in its `unit`."""
        return self._run.scaled(self._run.coordinates.values(self.positions))

    @cached_property
    def places(self) -> np.ndarray:
        """(F,) states.ends.IN_A, IN_B or NOWHERE."""
        return places(self.positions, *self._molecule.states)

    @property
    def states(self) -> np.ndarray:
        """(F,) text: "A", "B", or "" between them."""
        return np.asarray(NAMES[self.places])

    def mdtraj(self) -> mdtraj.Trajectory:
        """For MDTraj, in nm and ps; it keeps no velocities."""
        return self._molecule.trajectory(self.positions, self.times)

    def universe(self) -> Any:
        """An MDAnalysis.Universe in memory, in Å and ps, with velocities; `ts.data["weight"]` is the path's weight."""
        return Paths([self.row], self._run, self._molecule).universe()


class Paths(Public, Sequence[TransitionPath]):
    """Some paths of a run, in the order of transitions.csv: `paths[0]`, `paths["guided_ROUTE_0000"]`, `for path in paths`."""

    def __init__(self, rows: Sequence[Transition], run: RunData, molecule: Molecule):
        self._rows, self._run, self._molecule = tuple(rows), run, molecule

    @overload
    def __getitem__(self, which: int | str) -> TransitionPath: ...
    @overload
    def __getitem__(self, which: slice) -> "Paths": ...
    def __getitem__(self, which: int | str | slice) -> "TransitionPath | Paths":
        if isinstance(which, slice):
            return Paths(self._rows[which], self._run, self._molecule)
        if isinstance(which, str):
            found = [row for row in self._rows if row.path == which]
            if not found:
                raise SpacetimeError(f"there is no path {which!r} here; the first is {self.names[0] if self._rows else 'missing too'}")
            return TransitionPath(found[0], self._run, self._molecule)
        return TransitionPath(self._rows[which], self._run, self._molecule)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[TransitionPath]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        stages = list(dict.fromkeys(row.stage for row in self._rows))
        counts = ", ".join(f"{sum(row.stage == stage for row in self._rows)} {stage}" for stage in stages)
        return f"<{len(self)} paths{': ' + counts if counts else ''}>"

    def _repr_html_(self) -> str:
        cells = [
            (row.path, row.route, "yes" if row.hit else "no", str(row.n_frames), f"{row.max_energy_kj_mol:.1f}",
             "" if row.weight is None else f"{row.weight:.3g}")
            for row in self._rows[:SHOWN]
        ]  # fmt: skip
        head = ("path", "route", "connects", "frames", "highest energy, kJ/mol", "weight")
        return f"<p>{html.escape(repr(self)[1:-1])}</p>" + rows_html(head, cells) + ("<p>…</p>" if len(self) > SHOWN else "")

    def select(self, *, stage: str | None = None, route: str | None = None, hit: bool | None = None) -> "Paths":
        """Those of a stage, along a route, that connect or do not; what is None does not matter."""
        rows = [
            row for row in self._rows
            if stage in (None, row.stage) and route in (None, row.route) and (hit is None or bool(row.hit) == hit)
        ]  # fmt: skip
        return Paths(rows, self._run, self._molecule)

    def representative(self) -> TransitionPath | None:
        """One that connects, to look at: of weighted paths that whose highest energy is the weighted median, else the lowest one of the
        first stage that has any; None where none connects."""
        found = representative(self._rows)
        return found and TransitionPath(found[0], self._run, self._molecule)

    @property
    def names(self) -> list[str]:
        """One a path."""
        return [row.path for row in self._rows]

    @property
    def weights(self) -> np.ndarray:
        """(paths,) statistical weights, one on average over a stage; nan where a path has none."""
        return np.array([np.nan if row.weight is None else row.weight for row in self._rows])

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of transitions.csv for these paths, (paths,) each, as `pandas.DataFrame` takes them."""
        names = Transition.__dataclass_fields__
        found = {name: [getattr(row, name) for row in self._rows] for name in names}
        return {name: np.array([np.nan if x is None else x for x in column]) for name, column in found.items()}

    @property
    def frame_weights(self) -> np.ndarray:
        """(sum of F,) the weight of each frame's path, for the frames of `mdtraj()` and `universe()`."""
        return np.concatenate([np.full(path.row.n_frames, path.weight) for path in self._with_frames()])

    def mdtraj(self) -> mdtraj.Trajectory:
        """All frames of all stable paths one after another, for MDTraj; `frame_weights` beside."""
        return self._molecule.trajectory(*self._joined("positions", "times"))

    def universe(self) -> Any:
        """All frames of all stable paths one after another as an MDAnalysis.Universe in memory, in Å and ps, with velocities;
        `ts.data["weight"]` is the weight of the frame's path. Times begin anew with each path."""
        from spacetime_tps.results.universe import universe

        positions, velocities, times = self._joined("positions", "velocities", "times")
        return universe(
            self._molecule.topology_file, positions, velocities, self.frame_weights, times=times, cell=self._molecule.cell,
        )  # fmt: skip

    def _with_frames(self) -> "list[TransitionPath]":
        """Those that are not unstable. Raises SpacetimeError where none is."""
        found = [path for path in self if path.row.file]
        if not found:
            raise SpacetimeError("none of these paths has frames")
        return found

    def _joined(self, *arrays: str) -> list[np.ndarray]:
        """Their arrays, one path after another."""
        return [np.concatenate([getattr(path, of) for path in self._with_frames()]) for of in arrays]


def rows_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A small HTML table."""
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
