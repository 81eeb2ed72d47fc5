"""A reference for weighted shooting that owes nothing to weights: a long chain of OpenPathSampling's two-way shooting moves."""

import json
import time
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json
from spacetime_tps.paths.transition import Transition, keep_path, read_transitions, write_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.problems.problem import Problem
from spacetime_tps.progress import Progress
from spacetime_tps.sampling.free_energy import statistical_inefficiency
from spacetime_tps.settings import settings_of
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, at_whole_steps, time_reversed
from spacetime_tps.trajectories.trr import read_trr
from spacetime_tps.windows.registry import variable_of
from spacetime_tps.windows.window import Window

if TYPE_CHECKING:
    from benchmarks.open_path_sampling import Selector

STAGE, FROM = "mcmc_two_way", "unbiased"
WALK = 600
"""Steps that a shooting point walks at the crossing before it is shot from"""
SAY_EVERY = 1000
"""Moves after which transitions.csv is written and a line said"""


def run_two_way(folder: Path, out: Path, *, moves: int, every: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Run a chain from an unbiased path of the finished run in `folder`; write a run folder `out` with the path after each `every` moves.

    A chain counts a path as often as it stays. So samples are equally spaced in moves, not in accepted ones, and two rows can hold the same
    path. An accepted move replaces the whole path, shooting point included: with `every` a few times the inverse acceptance, samples
    share nothing but where the chain sticks. What correlation is left is in summary.json, of samples and of accepted paths one by one.
    Paths that ran from B to A are turned in time. Their velocities are those at whole steps.

    Raises SpacetimeError where OpenPathSampling is missing, where `out` is in use, and where the run holds no unbiased path.
    """
    if find_spec("openpathsampling") is None:
        raise SpacetimeError('OpenPathSampling is not here; in an environment with numpy 1, pip install "spacetime_tps[ops]"')
    from benchmarks.open_path_sampling import two_way_chain

    if out.exists() and any(out.iterdir()):
        raise SpacetimeError(f"{out} is not empty; choose another --out")
    begin = time.perf_counter()
    problem, looks = preparation.load(folder), settings_of(folder).unbiased
    selector = _crossing(folder, problem)
    first, velocities = _start(folder, seed)
    preparation.save(problem, out)
    chain = two_way_chain(problem, first, velocities, selector, stride=looks.stride, longest=looks.longest // looks.stride, seed=seed)
    kept = _Kept(problem, out, seed)
    potential = Potential(problem.model)
    path = _path(problem, potential, first, velocities, stride=looks.stride)
    for number, move in enumerate(islice(chain, moves), 1):
        kept.spent(move.evaluations)
        if move.accepted:
            path = _path(problem, potential, move.positions, move.velocities, stride=looks.stride)
            kept.accepted(path)
        if number % every == 0:
            kept.add(path)
        if number % SAY_EVERY == 0:
            kept.write()
            progress.say(f"{number} of {moves} moves, {len(kept.lengths) / number:.2f} accepted, {kept.evaluations:,} evaluations")
    kept.write()
    counted = {"preparation": problem.evaluations}
    summary = {
        "system": json.loads((folder / "summary.json").read_text())["system"],
        "temperature_K": problem.model.temperature, "platform": problem.model.platform, "seed": seed,
        "moves": moves, "acceptance": len(kept.lengths) / moves, "moves_per_sample": every,
        "shooting_points": {
            "variable": selector.window.variable.name, "center": selector.window.place,
            "kappa": selector.window.stiffness, "walk_steps": selector.walk,
        },
        **kept.to_json(),
        "evaluations": {**counted, "total": sum(counted.values())},
        "baseline_evaluations": {STAGE: kept.evaluations + potential.evaluations},
        "wall_seconds": {STAGE: time.perf_counter() - begin},
    }  # fmt: skip
    write_json(out / "summary.json", summary)
    return summary


class _Kept:
    """The samples of a chain, written into a run folder as they come, and what its accepted paths were like."""

    def __init__(self, problem: Problem, out: Path, seed: int):
        self.problem, self.out, self.seed = problem, out, seed
        self.integrity = problem.integrity
        self.rows: list[Transition] = []
        self.lengths: list[float] = []
        self.heights: list[float] = []
        self.broken = self.evaluations = self._since = 0

    def spent(self, evaluations: int) -> None:
        """By one more move."""
        self.evaluations += evaluations
        self._since += evaluations

    def accepted(self, path: Frames) -> None:
        """A path that a move led to."""
        self.lengths.append(float(len(path)))
        self.heights.append(float(path.potential_energy.max()) - self.problem.zero)

    def add(self, path: Frames) -> None:
        """A sample, from A to B; the row counts what was spent since the last one."""
        spent, self._since = self._since, 0
        if not self.integrity.holds(path.positions).all():
            self.broken += 1
            return
        name = f"{STAGE}_{len(self.rows):05d}"
        file, highest = keep_path(Folder(self.out), self.problem, name, path)
        coordinates = self.problem.coordinates
        way = coordinates.way_of(coordinates.values(path.positions), *self.problem.ends)
        self.rows.append(Transition(name, STAGE, "ok", 1, highest, None, len(path), spent, self.seed, 1.0, way, file))

    def write(self) -> None:
        """Write transitions.csv."""
        write_transitions(Folder(self.out), self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain data for summary.json."""
        return {
            "accepted": len(self.lengths), "transitions": len(self.rows), "transitions_of_a_broken_molecule_left_out": self.broken,
            "by_route": {way: sum(r.route == way for r in self.rows) for way in sorted({r.route for r in self.rows})},
            "n_frames": series([float(r.n_frames) for r in self.rows]),
            "max_energy_kj_mol": series([r.max_energy_kj_mol for r in self.rows]),
            "accepted_paths": {"n_frames": series(self.lengths), "max_energy_kj_mol": series(self.heights)},
        }  # fmt: skip


def series(values: list[float]) -> dict[str, float | None]:
    """Mean of a stationary series and its standard error, which allows for its correlation; how many values one independent one is worth
    (Chodera et al. 2007); and rho(1). None where there is too little to tell."""
    x = np.array(values)
    if len(x) < 3 or np.ptp(x) == 0.0:
        return {"mean": float(x.mean()) if len(x) else None, "standard_error": None, "inefficiency": None, "autocorrelation": None}
    away, inefficiency = x - x.mean(), statistical_inefficiency(x)
    return {
        "mean": float(x.mean()),
        "standard_error": float(x.std(ddof=1) * np.sqrt(inefficiency / len(x))),
        "inefficiency": inefficiency,
        "autocorrelation": float((away[:-1] * away[1:]).sum() / (away**2).sum()),
    }


def _crossing(folder: Path, problem: Problem) -> "Selector":
    """Where most of the run's reactive shots were fired, and the window that they were fired from."""
    from benchmarks.open_path_sampling import Selector

    crossings = (json.loads((folder / "summary.json").read_text()).get("unbiased") or {}).get("crossings")
    if not crossings:
        raise SpacetimeError(f"{folder} has no unbiased stage: finish the run with unbiased.paths above zero first")
    best = max(crossings, key=lambda c: float(c["shots"]) * float(c["reactive_fraction"]))
    variable = variable_of(best["of"])
    window = Window.at(variable, float(best["center"]), float(best["stiffness"]))
    return Selector(window, WALK)


def _start(folder: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities (F, atoms, 3) of an unbiased path, drawn by weight."""
    rows = [r for r in read_transitions(Folder(folder)) if r.stage == FROM and r.hit]
    if not rows:
        raise SpacetimeError(f"{folder} holds no path of the stage {FROM}")
    weight = np.array([r.weight for r in rows])
    drawn = np.random.default_rng(seed).choice(len(rows), p=weight / weight.sum())
    positions, velocities, _ = read_trr(folder / rows[drawn].file)
    return positions, velocities


def _path(problem: Problem, potential: Potential, positions: np.ndarray, velocities: np.ndarray, *, stride: int) -> Frames:
    """Frames of a path (F, atoms, 3), from A to B."""
    energies = np.array([potential(x)[0] for x in positions])
    frames = at_whole_steps(positions, velocities, energies, spacing=stride * problem.model.timestep)
    return time_reversed(frames) if problem.b.contains(frames.positions[0]) else frames
