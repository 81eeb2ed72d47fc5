"""A finished run, as arrays: what it found, read from its folder as it is asked for."""

import html
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.paths.transition import read_transitions
from spacetime_tps.report.data import RunData
from spacetime_tps.results import show
from spacetime_tps.results.average import Average, average
from spacetime_tps.results.curve import Curve, FreeEnergies, Samples
from spacetime_tps.results.molecule import Molecule
from spacetime_tps.results.paths import Paths, TransitionPath, rows_html
from spacetime_tps.results.public import Public
from spacetime_tps.settings import Settings
from spacetime_tps.unbiased.ensemble import SHOT_TEXT, SHOTS_TABLE, STATES


def open(folder: str | Path) -> "Results":
    """The results of a finished run.

    >>> import spacetime_tps
    >>> ala = spacetime_tps.open("runs/ala")                      # doctest: +SKIP
    >>> ala.paths[0].positions                                    # (F, atoms, 3), nm; doctest: +SKIP
    >>> ala.average(lambda path: path.times[-1])                  # mean duration, ps, with its error; doctest: +SKIP

    Nothing is read before it is asked for, and nothing is written. Raises SpacetimeError where the folder holds no finished run.
    """
    return Results(RunData.of(folder))


class Results(Public):
    """A finished run. Lengths are nm, times ps, energies kJ/mol above start.pdb, angles degrees; free energies kT."""

    def __init__(self, run: RunData):
        self._run, self._molecule = run, Molecule(run)

    def __repr__(self) -> str:
        return f"<{self.summary['system']} at {self.summary['temperature_K']:g} K in {self.folder}: {repr(self.paths)[1:-1]}>"

    def _repr_html_(self) -> str:
        rows = [
            (stage, route, f"{s['hits']} of {s['paths']}", _plus_minus(s["max_energy_kj_mol"]))
            for stage, routes in self.summary["by_route"].items() for route, s in routes.items()
        ]  # fmt: skip
        if u := self._run.unbiased:
            energy = u["max_energy_kj_mol"]
            told = f"{energy['value']:.1f} ± {energy['standard_error']:.1f}"
            rows.append(("unbiased", "all, with weights", f"{u['effective_paths']:.0f} effective of {u['paths']}", told))
        failed = f"<p>{html.escape(self.summary['failed'])}</p>" if self.summary["failed"] else ""
        title = f"<p><b>{html.escape(self.summary['system'])}</b>, {self.summary['temperature_K']:g} K, {html.escape(str(self.folder))}</p>"
        return title + failed + rows_html(("stage", "route", "paths that connect", "highest energy, kJ/mol"), rows)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._run.folder

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json: counts, averages with errors, rates, costs."""
        return self._run.summary

    @property
    def settings(self) -> Settings:
        """Every setting of the run, by stage: `settings.guided.points`."""
        return self._run.settings

    @property
    def coordinates(self) -> Coordinates:
        """What the transition is described by: D `names` with a `unit` each; `values(positions)` are those over `scale`."""
        return self._run.coordinates

    @property
    def topology(self) -> mdtraj.Topology:
        """Atoms and bonds, for MDTraj."""
        return self._molecule.topology

    @cached_property
    def samples(self) -> Samples:
        """Equilibrium frames with Boltzmann weights."""
        return Samples.of(self._run, self._molecule)

    @cached_property
    def curve(self) -> Curve:
        """The best curve, a geodesic."""
        return Curve.of(self._run, self._run.geodesic)

    @cached_property
    def routes(self) -> list[Curve]:
        """All optimised curves, best first."""
        return [Curve.of(self._run, arrays) for arrays in self._run.routes]

    @cached_property
    def free_energies(self) -> FreeEnergies:
        """Of the windows along the best curve, with errors."""
        return FreeEnergies.of(self._run)

    @cached_property
    def paths(self) -> Paths:
        """All paths of all stages; `paths.select(stage="unbiased")`."""
        return Paths(read_transitions(self._run.storage), self._run, self._molecule)

    @property
    def weights(self) -> np.ndarray:
        """(paths,) statistical weights of the unbiased paths, one on average; none where there are none."""
        return self.paths.select(stage="unbiased").weights

    @property
    def committor(self) -> dict[str, np.ndarray]:
        """The columns of committor.csv, a shooting point each: its coordinates, trials, committor with a 95 % interval, and the same of
        fresh trials. nan without a trial; transition_state_frame is -1 where a point is no transition state. Raises SpacetimeError
        where the run has no unbiased paths."""
        return self._run.committors

    @property
    def shots(self) -> dict[str, np.ndarray]:
        """The columns of shots.csv, a shot each. Raises SpacetimeError where the run has no unbiased paths."""
        return self._run.columns(SHOTS_TABLE, text=SHOT_TEXT)

    @property
    def transition_states(self) -> mdtraj.Trajectory:
        """Structures from which half of fresh trajectories reach B, nearest to one half first; of no frames where there are none."""
        storage, none = self._run.storage, np.zeros((0, self.topology.n_atoms, 3))
        return self._molecule.trajectory(storage.frames(STATES)[0] if storage.has(STATES) else none)

    def average(self, of: Callable[[TransitionPath], object], *, stage: str = "unbiased") -> Average:
        """The weighted average of a function over the paths of a stage that connect, with its standard error.

        of: takes a `TransitionPath`, gives a number or an array of one shape. Guided and steered paths have no weights: each counts once,
        and what comes out is about them and not about the molecule. Errors are of a bootstrap over the walkers that unbiased paths were
        shot from, the free energies of their crossings included, with the draws that summary.json's have. Raises SpacetimeError where the
        stage has no path.
        """
        return average(self._run, self.paths.select(stage=stage, hit=True), of)

    def show(self, path: str | None = None) -> None:
        """In a notebook, the map and a path in three dimensions (with NGLView or py3Dmol): the one named, or
        `Paths.representative`. Elsewhere, where the pictures are."""
        show.show(self._run, self.paths, path)


def _plus_minus(moments: dict[str, Any]) -> str:
    return f"{moments['value']:.1f} ± {moments['standard_error'] or 0.0:.1f}" if moments["count"] else "–"
