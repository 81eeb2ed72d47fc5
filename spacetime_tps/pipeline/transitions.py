"""Third stage: paths along curves, judged by their ends, one trajectory and one row of transitions.csv each."""

from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.files import read_csv, write_csv, write_text
from spacetime_tps.pipeline.artifacts import Curve
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.sampling.guided import guided_walks, is_hit, schedule
from spacetime_tps.sampling.starts import draw_starts
from spacetime_tps.seeds import seed_of
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import write_trr

FILE = "transitions.csv"


@dataclass(frozen=True)
class Transition:
    """One row of transitions.csv. The highest energy is over the stored frames, in kJ/mol above start.pdb; nan where no frame is."""

    path: str
    stage: str
    status: str
    hit: int
    max_energy_kj_mol: float
    n_frames: int
    evaluations: int
    seed: int
    weight: float | None
    """Statistical weight; None for paths that have none, an empty cell"""
    route: str
    file: str


COLUMNS = [f.name for f in fields(Transition)]


def read_transitions(folder: Path) -> list[Transition]:
    """All rows of a run folder's transitions.csv; none where there is no such file."""
    if not (folder / FILE).exists():
        return []
    return [
        Transition(
            r["path"], r["stage"], r["status"], int(r["hit"]), float(r["max_energy_kj_mol"]), int(r["n_frames"]), int(r["evaluations"]),
            int(r["seed"]), float(r["weight"]) if r["weight"] else None, r["route"], r["file"],
        )
        for r in read_csv(folder / FILE)
    ]  # fmt: skip


def write_transitions(folder: Path, rows: list[Transition]) -> None:
    """Write transitions.csv."""
    write_csv(folder / FILE, COLUMNS, (astuple(r) for r in rows))


class PathSampler:
    """Samples paths along curves into a run folder, each as soon as it is done, so that an interruption loses none."""

    def __init__(self, prepared: Prepared, settings: Settings, workers: Workers, folder: Path, progress: Progress):
        self.prepared, self.settings, self.workers, self.folder, self.progress = prepared, settings, workers, folder, progress

    def sample(self, stage: str, curve: Curve, count: int, others: list[Transition], done: list[Transition]) -> list[Transition]:
        """Paths 0 to count-1 of a curve; `done` are those among them that exist. `others` are written beside them."""
        have = {row.path: row for row in done}
        missing = [i for i in range(count) if _name(stage, curve, i) not in have]
        seeds = [seed_of(self.settings.seed, f"{stage}_{curve.route}", i) for i in missing]
        in_a = self.prepared.a.contains(curve.positions)
        guided = self.settings.guided
        curve = replace(curve, eta=schedule(curve.eta, guided.points, guided.steps_per_point))
        starts = draw_starts(curve.log_weight + curve.statistic @ curve.eta[0], in_a, seeds)
        walks = guided_walks(
            self.prepared.coordinates, curve.eta, steps_per_point=guided.steps_per_point, stride=guided.stride, seeds=seeds,
            positions=curve.positions[starts], velocities=curve.velocities[starts],
        )  # fmt: skip
        rows = {i: have[_name(stage, curve, i)] for i in range(count) if _name(stage, curve, i) in have}
        try:
            with self.progress.task(f"{stage} {curve.route}", len(missing) * self.settings.path_steps) as advance:
                for index, seed, frames in zip(missing, seeds, self.workers.walks(walks), strict=True):
                    rows[index] = store_path(self.folder, self.prepared, stage, curve, index, seed, frames)
                    advance(frames.evaluations)
        finally:
            write_transitions(self.folder, [*others, *(rows[i] for i in sorted(rows))])
        return [rows[i] for i in sorted(rows)]


def store_path(folder: Path, prepared: Prepared, stage: str, curve: Curve, index: int, seed: int, frames: Frames) -> Transition:
    """Judge a path, write its trajectory and its table of energies into transitions/, and return its row. Unstable paths have no file."""
    name = _name(stage, curve, index)
    if not frames.stable:
        return Transition(name, stage, "unstable", 0, float("nan"), 0, frames.evaluations, seed, None, curve.route, "")
    eta = curve.eta[frames.point]
    bias = -prepared.model.kT * (eta * prepared.coordinates.features(frames.positions)).sum(-1)
    level = prepared.coordinates.family().precisions(torch.from_numpy(eta)).mean(-1).numpy()
    file, highest = write_path(folder, prepared, name, frames, bias=bias, level=level)
    hit = int(is_hit(frames, prepared.a, prepared.b))
    return Transition(name, stage, "ok", hit, highest, len(frames), frames.evaluations, seed, None, curve.route, file)


def write_path(
    folder: Path, prepared: Prepared, name: str, frames: Frames, *, bias: np.ndarray | None = None, level: np.ndarray | None = None
) -> tuple[str, float]:
    """Write a path's trajectory and its table of energies into transitions/; the trajectory's name there, and the path's highest energy.

    bias (F,), kJ/mol, and level (F,), mean precision of the restraint; zero where None.
    """
    file = f"transitions/{name}.trr"
    (folder / "transitions").mkdir(parents=True, exist_ok=True)
    write_trr(folder / file, frames, timestep=prepared.model.timestep, cell=prepared.model.cell)
    energies = frames.potential_energy - prepared.zero
    nothing = np.zeros(len(frames))
    columns = (frames.time, energies, nothing if bias is None else bias, nothing if level is None else level)
    table = zip(range(len(frames)), *(c.tolist() for c in columns), strict=True)
    rows = "\n".join("{:d},{:.4f},{:.4f},{:.4f},{:.4f}".format(*row) for row in table)
    write_text(folder / f"transitions/{name}.csv", f"frame,time_ps,potential_energy_kj_mol,bias_energy_kj_mol,level\n{rows}\n")
    return file, round(float(energies.max()), 4)


def _name(stage: str, curve: Curve, index: int) -> str:
    return f"{stage}_{curve.route}_{index:04d}"
