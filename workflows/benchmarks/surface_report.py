"""The surface benchmark from computation to files: paths as .npz, table.md, table.json, curves.npz and figures."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from benchmarks import surface as experiments
from benchmarks import surface_figures as figures
from benchmarks.surface import FAMILY, Guided, Learned, Unbiased
from benchmarks.torus import relaxed, sobol
from spacetime_tps.files import write_bytes, write_json, write_npz, write_text
from spacetime_tps.geometry import curve
from spacetime_tps.potentials.tabulated import load_surface
from spacetime_tps.sampling.comparison import Agreement, agreement

NAMES = {"guided": "geodesic", "low_variance": "geodesic, low variance", "region_avoiding": "geodesic, region avoiding"}
MOVES = 30
CHECKED = 2000
"""Random points of the denoiser's error map"""


def run_surface(
    file: Path, out: Path, *, kT: float, paths: int, chains: int, seed: int, say: Callable[[str], None] = lambda text: None
) -> str:
    """Compute everything, write each part into `out` when it is there, and return the Markdown of the table. Raises SpacetimeError."""
    surface = load_surface(file)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = torch.Generator().manual_seed(seed)
        learned = experiments.learn(surface, kT, seed)
        begin = time.process_time()
        *found, limit = experiments.geodesics(learned)
        seconds = time.process_time() - begin
        say(f"geodesics: {', '.join(f'{f.best.name} at kappa {f.floor:g}' for f in found)}, {seconds:.0f} s")
        walked = {}
        for name, f in zip(NAMES, found, strict=True):
            walked[name] = experiments.guided(learned, f, paths, limit, generator)
            every_step = walked[name].walked.paths.numpy().astype(np.float32)
            write_npz(out / f"{name}.npz", {"paths": every_step, "evaluations": np.array(walked[name].evaluations)})
            say(f"{NAMES[name]}: {paths} paths")
        unbiased = experiments.unbiased(learned, found[0], paths, seed)
        _write_unbiased(out / "unbiased.npz", unbiased.paths, learned.evaluations + unbiased.ensemble.evaluations, unbiased.weight)
        say(f"unbiased: {len(unbiased.paths)} paths, {unbiased.ensemble.effective:.0f} effective")
        shot = experiments.long_shooting(learned, unbiased, chains, MOVES, generator) if chains else None
    finally:
        torch.set_num_threads(threads)
    values: dict[str, Any] = {
        "surface": file.name, "kT": kT, "seed": seed, "paths": paths, "geodesics_cpu_seconds": round(seconds, 1),
        "geodesic": _geodesic_values(learned, walked["guided"]),
        "experiments": {name: _values(learned, result) for name, result in walked.items()},
        "unbiased": _unbiased_values(learned, unbiased),
        "denoiser": _denoiser_error(learned, seed),
    }  # fmt: skip
    if shot is not None:
        _write_unbiased(out / "shooting.npz", shot[0], shot[1], None)
        values["long_shooting"] = _comparison(learned, unbiased, shot[0], seed) | {"evaluations": shot[1], "accepted": shot[2]}
    text = markdown(values)
    write_json(out / "table.json", values)
    write_text(out / "table.md", text)
    write_npz(out / "curves.npz", {f"{name}_eta": result.found.geodesic.eta.numpy() for name, result in walked.items()})
    with mpl.rc_context(figures.STYLE):
        for name, figure in (
            ("paths", figures.paths_on_surface(learned, walked, unbiased, limit)),
            ("energies", figures.energies(learned, walked, unbiased)),
            ("faithfulness", figures.faithfulness(walked)),
        ):
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
            write_bytes(out / f"{name}.png", picture.getvalue())
    return text


def _write_unbiased(path: Path, paths: list[np.ndarray], evaluations: int, weight: np.ndarray | None) -> None:
    padded = np.full((len(paths), max(map(len, paths)), 2), np.nan, dtype=np.float32)
    for row, x in zip(padded, paths, strict=True):
        row[: len(x)] = x
    weights = {} if weight is None else {"weights": weight}
    write_npz(path, {"paths": padded, "evaluations": np.array(evaluations), **weights})


def _values(learned: Learned, result: Guided) -> dict[str, Any]:
    top = learned.surface.energy(result.walked.paths).amax(1)
    ends = [d.contains(result.walked.paths[:, k]) for d, k in ((experiments.A, 0), (experiments.B, -1))]
    lag = np.abs(result.lag).max(axis=1)
    return {
        "route": result.found.best.name, "floor_kappa": result.found.floor, "barrier_kT": result.found.best.barrier,
        "length": result.found.best.length, "steepness": result.found.steepness,
        "max_energy_kj_mol": {"mean": float(top.mean()), "std": float(top.std())},
        "connected": float((ends[0] & ends[1]).double().mean()),
        "largest_step_rad": float(result.walked.paths.diff(dim=1).norm(dim=-1).max()),
        "paths_in_region": float(result.inside.any(1).mean()), "steps_in_region": float(result.inside.mean()),
        "region_kept": bool(result.found.met), "acceptance": result.walked.acceptance, "evaluations": result.evaluations,
        "lag": {"largest_standard_errors": float(lag.max()), "points": len(lag), "points_beyond_3": int((lag > 3).sum()),
                "steps_that_would_close_it": int(result.steps_to_close.sum()),
                "per_point": np.round(result.lag, 2).tolist(), "steps_per_point": result.steps_to_close.tolist()},
    }  # fmt: skip


def _geodesic_values(learned: Learned, result: Guided) -> dict[str, float]:
    """The learned geodesic's energy under the learned and the exact moments, and that of the exact geodesic, relaxed by quadrature."""
    eta = result.found.geodesic.eta
    ours, exact = (float(curve.energy(eta, d.moments(eta).mean)) for d in (learned.denoiser, learned.exact))
    error = (learned.denoiser.moments(eta).mean - learned.exact.moments(eta).mean).norm(dim=-1)
    begin = time.process_time()
    relaxed(result.found, learned.denoiser, end_level=experiments.END_LEVEL)
    seconds = time.process_time() - begin
    best = relaxed(result.found, learned.exact, end_level=experiments.END_LEVEL)
    return {
        "energy": ours, "energy_by_quadrature": exact, "energy_of_the_exact_geodesic": best.energy,
        "mean_error_of_mu": float(error.mean()), "largest_error_of_mu": float(error.max()), "cpu_seconds_of_one": round(seconds, 2),
    }  # fmt: skip


def _denoiser_error(learned: Learned, seed: int) -> dict[str, float]:
    """Error of mu against quadrature: centers uniform on the torus, concentrations log-uniform from 5 to 400; and near the seam."""
    center = sobol(CHECKED, 2, seed + 1)
    level = torch.logspace(np.log10(5.0), np.log10(400.0), CHECKED, dtype=torch.double)[:, None].expand(-1, 2)
    eta = FAMILY.natural(center, level)
    error = torch.cat([(learned.denoiser.moments(e).mean - learned.exact.moments(e).mean).norm(dim=-1) for e in eta.split(100)])
    seam = (center.abs() > np.radians(170)).any(1)
    return {"mean": float(error.mean()), "largest": float(error.max()), "mean_at_seam": float(error[seam].mean())}


def _unbiased_values(learned: Learned, unbiased: Unbiased) -> dict[str, Any]:
    top, length = _tops(learned, unbiased.paths), np.array([float(len(p)) for p in unbiased.paths])
    share = unbiased.weight / unbiased.weight.sum()

    def moments(x: np.ndarray) -> dict[str, float]:
        mean = float(share @ x)
        spread = float(np.sqrt(share @ (x - mean) ** 2))
        return {"mean": mean, "std": spread, "standard_error": spread / unbiased.ensemble.effective**0.5}

    return {
        "paths": len(unbiased.paths), "effective": unbiased.ensemble.effective, "shots": unbiased.shots, "reactive": unbiased.reactive,
        "undecided": unbiased.undecided, "window_variable": unbiased.window.variable.name,
        "window_center_deg": round(float(np.degrees(unbiased.window.center)), 1), "window_stiffness": unbiased.window.stiffness,
        "max_energy_kj_mol": moments(top), "steps": moments(length),
        "evaluations": learned.evaluations + unbiased.ensemble.evaluations, "enough": unbiased.ensemble.enough,
    }  # fmt: skip


def _comparison(learned: Learned, unbiased: Unbiased, paths: list[np.ndarray], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def entry(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        def told(result: Agreement) -> dict[str, Any]:
            return {"distance": result.distance, "limit": result.limit, "holds": result.holds}

        plain = np.ones(len(x))
        return {"weighted": told(agreement(x, unbiased.weight, y, rng=rng)), "without_weights": told(agreement(x, plain, y, rng=rng))}

    tops = [_tops(learned, p) for p in (unbiased.paths, paths)]
    lengths = [np.array([float(len(x)) for x in p]) for p in (unbiased.paths, paths)]
    return {
        "chains": len(paths), "max_energy_kj_mol": {"mean": float(tops[1].mean()), "std": float(tops[1].std())},
        "max_energy": entry(*tops), "steps": entry(*lengths),
    }  # fmt: skip


def _tops(learned: Learned, paths: list[np.ndarray]) -> np.ndarray:
    return np.array([float(learned.surface.energy(torch.from_numpy(p)).max()) for p in paths])


def markdown(values: dict[str, Any]) -> str:
    """The table of table.json's content."""
    lines = [
        f"Surface {values['surface']}, kT {values['kT']:g} kJ/mol, seed {values['seed']}, {values['paths']} paths.", "",
        "| paths | route | kappa floor | highest energy, kJ/mol | connected | largest step, rad | in region | lag, s.e. | evaluations |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, r in values["experiments"].items():
        top = r["max_energy_kj_mol"]
        kept = "" if name != "region_avoiding" or r["region_kept"] else " (constraint NOT met)"
        lines.append(
            f"| {NAMES[name]}{kept} | {r['route']} | {r['floor_kappa']:g} | {top['mean']:.2f} ± {top['std']:.2f} "
            f"| {r['connected']:.3f} | {r['largest_step_rad']:.3f} | {r['paths_in_region']:.3f} "
            f"| {r['lag']['largest_standard_errors']:.1f} | {r['evaluations']:,} |"
        )
    u, g, d = values["unbiased"], values["geodesic"], values["denoiser"]
    top = u["max_energy_kj_mol"]
    lines += [
        f"| unbiased, weighted | shooting | – | {top['mean']:.2f} ± {top['std']:.2f} | 1.000 | – | – | – | {u['evaluations']:,} |", "",
        "± is the standard deviation over paths. Evaluations include training data and quadrature. In region: share of paths that ever are",
        "in the forbidden region. The lag is the mean of U and of the bias over the paths minus quadrature, where it is largest.", "",
        f"Unbiased: {u['paths']} reactive paths of {u['shots']} shots, {u['effective']:.0f} effective; {u['reactive']:.2f} of shots "
        f"reactive in the window used; {u['steps']['mean']:.0f} ± {u['steps']['std']:.0f} steps long."
        + ("" if u["enough"] else " The budget was spent before the wanted effective number was there."),
        f"Denoiser: error of mu {d['mean']:.4f} (mean), {d['mean_at_seam']:.4f} at the seam; along the geodesic "
        f"{g['mean_error_of_mu']:.4f}. Energy of the learned geodesic {g['energy']:.0f}, by quadrature {g['energy_by_quadrature']:.0f}; "
        f"of the exact geodesic {g['energy_of_the_exact_geodesic']:.0f}.",
        f"One geodesic takes {g['cpu_seconds_of_one']:.1f} s of one core; the three searches, over floors and ways round, "
        f"{values['geodesics_cpu_seconds']:.0f} s.",
    ]  # fmt: skip
    if "long_shooting" in values:
        c = values["long_shooting"]
        lines.append(
            f"Long two-way shooting: {c['chains']} chains, {c['accepted']:.2f} of moves accepted, {c['evaluations']:,} evaluations."
        )
        for key, what in (("max_energy", "highest energy"), ("steps", "length")):
            w, n = c[key]["weighted"], c[key]["without_weights"]
            lines.append(
                f"Weighted KS distance of the {what}: {w['distance']:.3f} (99 % of the null: {w['limit']:.3f}); without weights "
                f"{n['distance']:.3f} ({n['limit']:.3f})."
            )
    return "\n".join(lines) + "\n"
