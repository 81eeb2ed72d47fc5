"""Markov chains of shooting moves, by OpenPathSampling."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacetime_tps.engines.openmm.minimisation import Potential
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.paths.transition import SUMMARY, Transition, keep_path, write_transitions
from spacetime_tps.problems import problem as preparation
from spacetime_tps.rivals.protocol import Contest
from spacetime_tps.rivals.starts import InitialPath, Start
from spacetime_tps.seeds import seed_of
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames, at_whole_steps, time_reversed

if TYPE_CHECKING:
    from spacetime_tps.engines.openmm.open_path_sampling import Move, Scheme

EVERY = 10
"""Moves from one path that is kept to the next"""
MOVES = "moves.csv"
COLUMNS = ("move", "accepted", "renewed", "n_frames", "max_energy_kj_mol", "evaluations")


def one_way() -> "Scheme":
    """The scheme of one-way moves."""
    from spacetime_tps.engines.openmm import open_path_sampling

    return open_path_sampling.one_way


def two_way() -> "Scheme":
    """The scheme of two-way moves."""
    from spacetime_tps.engines.openmm import open_path_sampling

    return open_path_sampling.two_way


@dataclass(frozen=True)
class Chain:
    """Shooting with OpenPathSampling's uniform selector, as its tutorials do; from the initial path until the budget is spent.

    A path that stays counts as often as it does. While the chain holds a frame of its initial path nothing of it is kept.
    """

    name: str
    scheme: Callable[[], "Scheme"]
    start: Start
    fixed: bool = False
    """Whether all paths are as long as the run's guided ones"""

    @property
    def stage(self) -> str:
        return self.name.replace("-", "_")

    def run(self, contest: Contest, out: Path) -> None:
        if find_spec("openpathsampling") is None:
            raise SpacetimeError(
                "OpenPathSampling is not here, and it needs numpy 1: give the same command, with the same --out, in an environment with "
                'pip install "spacetime_tps[ops]"; what is done stays'
            )
        begin = time.perf_counter()
        problem = contest.problem
        length = contest.length if self.fixed else None
        initial = self.start(contest, length)
        preparation.save(problem, out)
        kept = _Kept(contest, self.stage, out)
        with contest.progress.task(f"{self.name}, from {initial.told['from']}", contest.budget) as advance:
            for move in self._moves(contest, initial, length):
                kept.take(move)
                advance(move.evaluations)
                if kept.evaluations >= contest.budget:
                    break
        Folder(out).put_record(SUMMARY, {
            "temperature_K": problem.model.temperature, "platform": problem.model.platform, "seed": contest.seed,
            "initial_path": initial.told, "frames_of_a_path": length, **kept.write(),
            "evaluations": {**initial.evaluations, "total": sum(initial.evaluations.values())},
            "wall_seconds": {kept.stage: round(time.perf_counter() - begin, 2)},
        })  # fmt: skip

    def _moves(self, contest: Contest, initial: InitialPath, length: int | None) -> "Iterator[Move]":
        from spacetime_tps.engines.openmm.open_path_sampling import chain, volumes

        problem = contest.problem
        ends = volumes(problem.boxes, problem.model.cell, problem.start.positions, problem.end.positions)
        return chain(
            problem.model, problem.start.topology, ends, initial.positions, initial.velocities, self.scheme(),
            length=length, stride=contest.stride, longest=max(contest.longest // contest.stride, length or 0),
            seed=seed_of(contest.seed, self.name, 0),
        )  # fmt: skip


class _Kept:
    """What is kept of a chain: a line of moves.csv a move, and the path after each `EVERY` of them."""

    def __init__(self, contest: Contest, stage: str, out: Path):
        self.problem, self.contest, self.stage, self.storage = contest.problem, contest, stage, Folder(out)
        self.potential = Potential(self.problem.model)
        self.path: Frames | None = None
        self.whole = True
        self.table: list[tuple[int, int, int, int, float | None, int]] = []
        self.rows: list[Transition] = []
        self.memory: int | None = None
        """Moves until nothing of the initial path was left"""
        self.broken = self.evaluations = self.steps = self._since = 0

    def take(self, move: "Move") -> None:
        """One more move."""
        self.evaluations += move.evaluations
        self._since += move.evaluations
        self.steps = move.integrator_steps
        number = len(self.table) + 1
        if move.accepted or self.path is None:
            self.path = self._path(move)
            self.whole = self.problem.whole(self.path.positions)
        if move.renewed and self.memory is None:
            self.memory = number
        energy = round(float(self.path.potential_energy.max()) - self.problem.zero, 4)
        self.table.append((number, int(move.accepted), int(move.renewed), len(self.path), energy, move.evaluations))
        if self.memory is not None and (number - self.memory) % EVERY == 0:
            self._keep(self.path)

    def _keep(self, path: Frames) -> None:
        """A row counts what was spent since the last one."""
        if not self.whole:
            self.broken += 1
            return
        name = f"{self.stage}_{len(self.rows):05d}"
        file, highest = keep_path(self.storage, self.problem, name, path)
        way = self.problem.way_of(path.positions)
        spent, self._since = self._since, 0
        self.rows.append(Transition(name, self.stage, "ok", 1, highest, None, len(path), spent, self.contest.seed, 1.0, way, file))

    def _path(self, move: "Move") -> Frames:
        """From A to B."""
        energies = np.array([self.potential(x)[0] for x in move.positions])
        spacing = self.contest.stride * self.problem.model.timestep
        frames = at_whole_steps(move.positions, move.velocities, energies, spacing=spacing)
        return time_reversed(frames) if self.problem.b.contains(frames.positions[0]) else frames

    def write(self) -> dict[str, Any]:
        """Write the tables; what summary.json says of the chain."""
        write_transitions(self.storage, self.rows)
        self.storage.put_table(MOVES, COLUMNS, self.table)
        accepted = sum(row[1] for row in self.table)
        return {
            "moves": len(self.table), "accepted": accepted, "acceptance": accepted / len(self.table), "moves_per_sample": EVERY,
            "moves_with_memory_of_the_initial_path": self.memory, "renewals": sum(row[2] for row in self.table),
            "transitions": len(self.rows), "transitions_of_a_broken_molecule_left_out": self.broken,
            "integrator_steps": self.steps, "baseline_evaluations": {self.stage: self.evaluations},
        }  # fmt: skip
