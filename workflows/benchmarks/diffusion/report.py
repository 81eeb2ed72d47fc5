"""The diffusion benchmark from computation to files: table.md, table.json and two figures."""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch

from benchmarks.diffusion import figures
from benchmarks.diffusion.deviation import deviations
from benchmarks.diffusion.distance import distances
from benchmarks.diffusion.interpolation import interpolated
from benchmarks.diffusion.mean_shift import shifted
from benchmarks.diffusion.memory import memory
from benchmarks.diffusion.solvers import solvers
from benchmarks.diffusion.tables import tables
from benchmarks.diffusion.target import Target
from benchmarks.diffusion.trajectories import trajectories
from benchmarks.diffusion.values import Measured, values_of
from spacetime_tps.files import write_bytes, write_json, write_text
from spacetime_tps.report.figures import STYLE
from spacetime_tps.seeds import seed_of


def run_diffusion(target: Target, out: Path, *, seed: int, say: Callable[[str], None]) -> str:
    """Measure everything, write it into `out`, and return the Markdown of the tables."""
    out.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, and tensors this small are slower on two
    try:
        measured = measure(target, seed, say)
    finally:
        torch.set_num_threads(threads)
    values = values_of(measured) | {"target": target.name, "seed": seed}
    text = tables(values)
    write_json(out / "table.json", values)
    write_text(out / "table.md", text)
    with mpl.rc_context(STYLE):
        m = measured
        for name, figure in (
            ("diffusion", figures.sampling(target, m.sampled, m.shift, m.deviations, m.remembered, m.solved)),
            ("diffusion_distance", figures.distance(target, m.interpolated, m.distances)),
        ):
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
            write_bytes(out / f"{name}.png", picture.getvalue())
    return text


def measure(target: Target, seed: int, say: Callable[[str], None]) -> Measured:
    """Each part from a seed of its own."""
    conformers = target.conformers()
    heights = target.height(conformers)
    say("sampling trajectories")
    sampled = trajectories(target, seed_of(seed, "trajectories", 0))
    shift = shifted(target, sampled, conformers)
    say("training two denoisers")
    trained = deviations(target, sampled, seed_of(seed, "deviation", 0))
    say("memory, interpolation, solvers")
    remembered = memory(target, conformers, seed_of(seed, "memory", 0))
    between = interpolated(target, conformers, seed_of(seed, "interpolation", 0))
    solved = solvers(trained.models["mixture"], seed_of(seed, "solvers", 0))
    say("Diffusion Edit Distances")
    edits = distances(target, conformers, trained.models["mixture"], seed_of(seed, "distance", 0))
    return Measured(conformers, heights - heights.min(), sampled, shift, trained, remembered, between, solved, edits)
