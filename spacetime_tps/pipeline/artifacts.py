"""What the rounds leave in the run folder for later stages, the report and other tools: written here, read back here."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacetime_tps.denoisers import network
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.files import write_bytes, write_json, write_npz
from spacetime_tps.geometry.families import Family
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.rounds import Sampled, Winding
from spacetime_tps.pipeline.routes import Route
from spacetime_tps.sampling.free_energy import profile
from spacetime_tps.sampling.pool import Pool
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr, write_trr


@dataclass(frozen=True)
class Curve:
    """A curve to sample paths along, with the weighted frames they can start from."""

    route: str
    eta: np.ndarray
    """(N, E)"""
    cost: np.ndarray
    """(N,) kT, of confining the molecule to each of its points"""
    positions: np.ndarray
    """(S, atoms, 3) nm"""
    velocities: np.ndarray
    """(S, atoms, 3) nm/ps"""
    statistic: np.ndarray
    """(S, E)"""
    log_weight: np.ndarray
    """(S,) Boltzmann"""
    ensembles: np.ndarray
    """(K, E) eta of the ensembles that the frames are from, in their order: MD in A, MD in B, windows"""
    counts: np.ndarray
    """(K,) frames of each"""


def write_sampled(folder: Path, sampled: Sampled, prepared: Prepared, *, routes: int) -> None:
    """Write routes/, geodesic.npz, free_energy.npz, denoiser.pt, samples/windows.npz, samples/rounds.json, and weighted frames: those of
    the first routes, and of the best route of each other class that was sampled."""
    family = prepared.coordinates.family()
    optimised = [r for r in sampled.routes if r.geodesic is not None]
    for old in (*folder.glob("routes/*.npz"), *folder.glob("samples/weighted_*")):
        old.unlink()
    for rank, route in enumerate(optimised, 1):
        write_npz(folder / f"routes/{rank}.npz", _arrays(route, family))
    shown: list[Winding] = []
    for rank, route in enumerate(optimised, 1):
        if not route.rounds or (len(shown) >= routes and route.winding in shown):
            continue
        shown.append(route.winding)
        _write_frames(folder, rank, sampled.pools[route.winding], sampled.weights[route.winding].log_weight, prepared.model)
    best = sampled.routes[0]
    write_npz(folder / "geodesic.npz", _arrays(best, family))
    if best.winding in sampled.trained:
        network.save(folder / "denoiser.pt", sampled.trained[best.winding][0])
    else:
        _save_samples(folder / "denoiser.pt", sampled, best)
    write_npz(folder / "samples/windows.npz", _window_arrays(sampled))
    write_npz(folder / "free_energy.npz", _profile_arrays(sampled, best))
    write_json(folder / "samples/rounds.json", {
        "kappa_floor": sampled.floor,
        "length": sampled.lengths,
        "windows": [
            {"round": count, "route": name, "lowest_overlap": overlap, "forward_backward_kT": disagreement}
            for count, name, overlap, disagreement in sampled.window_rounds
        ],
        "routes": [_describe(r) for r in sampled.routes],
        "training": [
            {"route": next(r.name for r in sampled.routes if r.winding == kind), "held_out_loss": t.held_out_loss, "curve": t.curve}
            for kind, (_, t) in sampled.trained.items()
        ],
        "thermal_max_energy_kj_mol": [round(float(e) - prepared.zero, 4) for e in sampled.thermal],
        "evaluations": {"training_md": sampled.training_evaluations, "windows": sampled.window_evaluations, "geodesic": 0},
    })  # fmt: skip


def _save_samples(path: Path, sampled: Sampled, best: Route) -> None:
    buffer = io.BytesIO()
    log_weight = torch.from_numpy(sampled.weights[best.winding].log_weight)
    torch.save(
        {"kind": "weighted_samples", "statistic": torch.from_numpy(sampled.pools[best.winding].statistic), "log_weights": log_weight},
        buffer,
    )
    write_bytes(path, buffer.getvalue())


def read_rounds(folder: Path) -> dict[str, Any]:
    """samples/rounds.json."""
    content: dict[str, Any] = json.loads((folder / "samples/rounds.json").read_text())
    return content


def read_unbiased(folder: Path) -> dict[str, Any] | None:
    """samples/unbiased.json; None where nothing was shot."""
    file = folder / "samples/unbiased.json"
    return dict(json.loads(file.read_text())) if file.exists() else None


def read_curves(folder: Path, *, routes: int | None = None) -> list[Curve]:
    """The curves that come with weighted frames, best barrier first: the first `routes`, or all."""
    curves = []
    for rank in sorted(int(file.stem.split("_")[1]) for file in folder.glob("samples/weighted_*.trr"))[:routes]:
        positions, velocities, _ = read_trr(folder / f"samples/weighted_{rank}.trr")
        with np.load(folder / f"samples/weighted_{rank}.npz") as frames, np.load(folder / f"routes/{rank}.npz") as route:
            arrays = (frames[key] for key in ("statistic", "log_weight", "ensembles", "counts"))
            curves.append(Curve(str(route["name"]), route["eta"], route["kl_kT"], positions, velocities, *arrays))
    return curves


def _arrays(route: Route, family: Family) -> dict[str, np.ndarray]:
    g = route.geodesic
    assert g is not None
    return {
        "name": np.array(route.name),
        "eta": g.eta.numpy(),
        "level": family.level(g.eta).numpy(),
        "precision": family.precisions(g.eta).numpy(),
        "center": family.center(g.eta).numpy(),
        "segment": g.segment.numpy(),
        "n_eff": g.effective_samples.numpy(),
        "kl_kT": g.cost.numpy(),
        "energy": np.array(g.energy),
        "length": np.array(g.length),
        "trace": np.array(g.trace),
    }


def _describe(route: Route) -> dict[str, Any]:
    g = route.geodesic
    return {
        "name": route.name,
        "winding": list(route.winding),
        "rounds": route.rounds,
        "barrier_kT": g.barrier if g else None,
        "length": g.length if g else None,
        "energy": g.energy if g else None,
        "largest_segment": float(g.segment.max()) if g else None,
        "effective_samples": float(g.effective_samples.min()) if g else None,
        "lowest_overlap": route.lowest_overlap if route.rounds else None,
        "forward_backward_kT": route.disagreement if route.rounds else None,
        "nearness": [
            {
                "region": n.region, "divergence_nats": n.divergence, "floor_nats": n.floor, "lack_nats": n.lack, "p_eta": n.probability,
                "center": n.center, "crosses": n.crosses,
            }
            for n in route.nearness
        ],
    }  # fmt: skip


def _write_frames(folder: Path, rank: int, pool: Pool, log_weight: np.ndarray, model: Model) -> None:
    positions, velocities = np.concatenate(pool.positions), np.concatenate(pool.velocities)
    order = np.arange(len(positions))
    nothing = np.zeros(len(order))
    frames = Frames(positions, velocities, order * model.timestep, nothing, order, 0, True)  # frames are numbered, not timed
    write_trr(folder / f"samples/weighted_{rank}.trr", frames, timestep=model.timestep, cell=model.cell)
    write_npz(folder / f"samples/weighted_{rank}.npz", {
        "statistic": pool.statistic, "log_weight": log_weight, "ensembles": pool.eta, "counts": pool.counts,
    })  # fmt: skip


def _window_arrays(sampled: Sampled) -> dict[str, np.ndarray]:
    """One entry a window: eta (W, E), round, route, frames, overlap with the next window of its set, MBAR and BAR free energies in kT.

    The frames' own weights, per class of routes, are in weighted_*.npz.
    """
    columns: dict[str, list[np.ndarray]] = {
        key: [] for key in ("eta", "round", "route", "frames", "overlap", "free_energy", "forward", "backward", "weight")
    }
    names = iter(_sets_by_class(sampled))
    for kind, pool in sampled.pools.items():
        free_energy = sampled.weights[kind].free_energy[2:]
        weight = np.exp(sampled.weights[kind].log_weight)
        totals = np.add.reduceat(weight, np.concatenate([[0], np.cumsum(pool.counts)[:-1]]))[2:]
        first = 0
        for windows in pool.windows:
            count, name = next(names)
            size = len(windows.eta)
            columns["eta"].append(windows.eta)
            columns["round"].append(np.full(size, count))
            columns["route"].append(np.full(size, name))
            columns["frames"].append(pool.counts[2 + first : 2 + first + size])
            columns["overlap"].append(np.append(windows.overlap, np.nan))
            columns["free_energy"].append(free_energy[first : first + size])
            columns["forward"].append(windows.forward_profile)
            columns["backward"].append(windows.backward_profile)
            columns["weight"].append(totals[first : first + size])
            first += size
    return {key: np.concatenate(values) for key, values in columns.items()}


def _profile_arrays(sampled: Sampled, best: Route) -> dict[str, np.ndarray]:
    """The best route's last windows: eta, free energy with error, forward and backward alone, overlaps; kT (sampling.free_energy)."""
    pool = sampled.pools[best.winding]
    last = sampled.latest[best.name]
    ways = (last.forward, last.backward)
    walked = [[pool.coordinates.features(f.positions[f.point == k]) for f in ways] for k in range(len(last.eta))]
    found = profile(walked, last.eta)
    return {
        "eta": last.eta, "free_energy_kT": found.free_energy, "error_kT": found.error, "forward_kT": last.forward_profile,
        "backward_kT": last.backward_profile, "overlap": found.overlap, "independent_frames": found.independent,
    }  # fmt: skip


def _sets_by_class(sampled: Sampled) -> list[tuple[int, str]]:
    """(round, route) of each set of windows, in the order of the pools."""
    return [(count, name) for kind in sampled.pools for count, name in sampled.window_sets[kind]]
