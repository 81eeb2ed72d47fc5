"""What a way to sample transitions that is not this package's is to the comparison that runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spacetime_tps.problems.problem import Problem
from spacetime_tps.progress import Progress
from spacetime_tps.storage.folder import Folder


@dataclass(frozen=True)
class Contest:
    """The same for every rival: a finished run's molecule, states and paths, and what may be spent."""

    problem: Problem
    run: Folder
    """The run, whose guided paths a rival may begin from"""
    run_state: str
    """A digest of what the run is: what is made for the comparison is made anew where it changes"""
    budget: int
    """Evaluations of sampling, at most by the last move; what comes before is counted apart"""
    seed: int
    stride: int
    """Steps between frames"""
    longest: int
    """Steps of a trajectory, at most"""
    guided_stride: int
    """Steps between frames of the run's guided paths"""
    length: int
    """Frames of a guided path, for paths of a fixed length"""
    progress: Progress


class Rival(Protocol):
    """Register one in `registry.RIVALS`."""

    @property
    def name(self) -> str:
        """As `compare --methods` takes it."""

    @property
    def stage(self) -> str:
        """In transitions.csv."""

    @property
    def fixed(self) -> bool:
        """Whether all of its paths are as long as the run's guided ones: then they are another ensemble."""

    def run(self, contest: Contest, out: Path) -> None:
        """Write a run folder: transitions.csv with its trajectories, moves.csv where it is a chain, and summary.json: `evaluations` of what
        it rests on, `baseline_evaluations` and `wall_seconds` by its stage; of a chain also `moves`, `moves_per_sample`, `acceptance`,
        `renewals`, `moves_with_memory_of_the_initial_path`, `initial_path` and `integrator_steps`.

        Raises SpacetimeError where it cannot run here, in a sentence that says what to do.
        """
