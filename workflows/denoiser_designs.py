"""Which denoiser can be trusted as geometry: run `python workflows/denoiser_designs.py --out DIR`; seven minutes of one core's time.

Trains every design on three problems (the phi-psi surface at two temperatures, alanine dipeptide in torsions and in heavy-atom Cartesians)
and writes table.md, table.json and the two figures of docs/denoisers.md. Two short runs of alanine dipeptide are made in DIR first, seeds 1
and 2, the second with four times the windows' length; give --run and --truth to use others. All seeds are in table.json.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib
import torch

from designs import figures, molecule_problem, surface_problem
from spacetime_tps.files import write_json, write_text
from spacetime_tps.report.figures import STYLE

COLD, WARM = 1.0, 2.494
FEWER = (2**10, 2**12, 2**14)


def make_run(folder: Path, seed: int, *extra: str) -> Path:
    command = [sys.executable, "-m", "spacetime_tps", "run", "alanine_dipeptide", "--out", str(folder), "--guided", "10"]
    subprocess.run([*command, "--seed", str(seed), *extra], check=True, stdout=subprocess.DEVNULL)
    return folder


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)) + "\n"


def surface_table(results: list[surface_problem.Result], best: surface_problem.measures.Route) -> str:
    header = ["design", "error of mu", "95 %", "seam", *(f"κ {a:.0f}–{b:.0f}" for a, b in surface_problem.BINS)]
    header += ["psi, kT", "on the geodesic"]
    header += ["negative: lines / own curve", "objective, energy from straight", "objective, energy from exact"]
    header += ["held-out loss", "training, s", "64 points, ms"]
    rows = [
        [r.name, f"{r.mean:.4f}", f"{r.top:.3f}", f"{r.seam:.4f}", *(f"{e:.4f}" for e in r.by_level), f"{r.psi:.2f}"]
        + [f"{r.on_route[0]:.4f}", f"{100 * r.negative:.1f} % / {100 * r.route.negative:.0f} %"]
        + [f"{way.objective / best.objective:.3f}, {way.energy / best.energy:.3f}" for way in (r.route, r.stayed)]
        + [f"{r.held_out:.2f}", f"{r.seconds:.0f}", f"{r.milliseconds:.1f}"]
        for r in results
    ]
    return table(header, rows)


def molecule_table(results: list[molecule_problem.Result], bins: Sequence[tuple[float, float]], symbol: str) -> str:
    header = ["design", "error of mu", *(f"{symbol} {a:g}–{b:g}" for a, b in bins), "along the curve", "95 %", "of E\\|x0\\|²"]
    header += ["negative: lines / curve", "held-out loss", "training, s", "64 points, ms"]
    rows = []
    for r in results:
        errors = [r.mean, *r.by_level, r.on_route]
        share = f"{100 * r.negative:.1f} % / {100 * r.on_route_negative:.0f} %"
        rows.append([r.name, *(f"{e:.4f}" for e in errors), f"{r.top:.3f}", f"{r.second:.3f}" if r.second else "–", share])
        rows[-1] += [f"{r.held_out:.3f}", f"{r.seconds:.0f}", f"{r.milliseconds:.1f}"]
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare denoisers as geometry.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="run folder to learn from")
    parser.add_argument("--truth", type=Path, help="independent, longer run folder to judge by")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - begin:4.0f} s  {text}", flush=True)

    run = options.run or make_run(options.out / "run", 1)
    truth = options.truth or make_run(options.out / "truth", 2, "--set", "windows.steps=12000")
    text, data = [], {"seeds": {"surface": surface_problem.SEEDS, "molecule": molecule_problem.SEEDS}}
    solved = {}
    for kT in (COLD, WARM):
        problem, results, best = surface_problem.solve(kT, say)
        solved[kT] = (problem, results, best)
        text.append(f"\nSurface, kT = {kT}; the exact geodesic has energy {best.energy:.1f} and barrier {best.barrier:.2f} kT\n\n")
        text.append(surface_table(results, best))
        data[f"surface_kT_{kT}"] = [_plain(r) for r in results]
    fewer = surface_problem.by_samples(WARM, FEWER, say)
    full = {r.name: r.mean for r in solved[WARM][1]}
    fewer.append((surface_problem.POINTS, full["weighted samples"], full["von Mises mixture"]))
    text.append(f"\nFewer samples, kT = {WARM}\n\n")
    text.append(table(["samples", "weighted samples", "mixture"], [[str(n), f"{a:.4f}", f"{b:.4f}"] for n, a, b in fewer]))
    data["fewer_samples"] = fewer
    for title, problem, symbol in (
        ("Alanine dipeptide, torsions, another seed's run", molecule_problem.torsions(run, truth), "κ"),
        ("Alanine dipeptide, 30 Cartesians, another seed's run", molecule_problem.cartesian(run, truth), "σ/α, Å"),
        ("Alanine dipeptide, 30 Cartesians, a tenth of a run's frames against the rest", molecule_problem.thinned(truth), "σ/α, Å"),
    ):
        say(title)
        found = molecule_problem.solve(problem, say)
        text.append(f"\n{title}: {len(problem.training.features)} frames, judged at {len(problem.judged)} points\n\n")
        text.append(molecule_table(found, problem.bins, symbol))
        data[title] = [asdict(r) for r in found]
    write_text(options.out / "table.md", "".join(text))
    write_json(options.out / "table.json", data)
    with matplotlib.rc_context(STYLE):
        route = solved[COLD][2].eta
        figures.error_figure(solved[COLD][:2], solved[WARM][:2], route).savefig(options.out / "denoiser_error.png")
        figures.learning_figure(solved[COLD][1], solved[WARM][1], fewer, WARM).savefig(options.out / "denoiser_learning.png")
    say("done")


def _plain(result: surface_problem.Result) -> dict[str, object]:
    curves = {"route": result.route, "stayed": result.stayed}
    plain = {key: value for key, value in vars(result).items() if key not in ("denoiser", *curves)}
    for key, found in curves.items():
        plain[key] = {name: value for name, value in vars(found).items() if name != "eta"}
    return plain


if __name__ == "__main__":
    main()
