"""What the exploration gives to later stages, the report and other tools: curves with weighted frames, windows, the denoiser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from spacetime_tps.denoisers import checkpoint
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.ends import kept_walks, walk_files
from spacetime_tps.exploration.rounds import Explored
from spacetime_tps.exploration.route import Route, Winding
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.free_energy import profile
from spacetime_tps.sampling.pool import ENDS
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.trajectories.frames import Frames, snapshots

PREPARATION, PLAIN_MD, IN_WINDOWS, ON_GEODESIC = PREPARED = ("preparation", "training_md", "windows", "geodesic")
"""What paths rest on, as summary.json counts evaluations"""
ROUTES, WEIGHTED = "routes", "samples/weighted"
GEODESIC, FREE_ENERGY, DENOISER = "geodesic.npz", "free_energy.npz", "denoiser.pt"
WINDOWS, ROUNDS = "samples/windows.npz", "samples/rounds.json"
FILES = (
    f"{ROUTES}/*.npz", f"{WEIGHTED}_*", GEODESIC, FREE_ENERGY, DENOISER, WINDOWS, ROUNDS,
)  # fmt: skip
"""Names of all that is saved"""
FRAMES = ("features", "log_weight", "ensembles", "counts")


def set_up(evaluations: Mapping[str, int], parts: Sequence[str] = PREPARED) -> dict[str, int]:
    """The parts of summary.json's evaluations that were spent before any path. Raises SpacetimeError where one is missing."""
    missing = [part for part in parts if part not in evaluations]
    if missing:
        raise SpacetimeError(f"summary.json does not say how many evaluations {missing[0]} took: call run again")
    return {part: int(evaluations[part]) for part in parts}


def frames_file(rank: int) -> str:
    """Positions and velocities of the weighted frames of a route's class, by its rank from 1 on."""
    return f"{WEIGHTED}_{rank}.trr"


def weights_file(rank: int | str) -> str:
    """Features and weights of those frames."""
    return f"{WEIGHTED}_{rank}.npz"


def routes_in(storage: Storage) -> list[dict[str, np.ndarray]]:
    """All optimised routes, best first."""
    return [storage.arrays(f"{ROUTES}/{rank}.npz") for rank in range(1, len(storage.names(f"{ROUTES}/*.npz")) + 1)]


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
    features: np.ndarray
    """(S, E)"""
    log_weight: np.ndarray
    """(S,) Boltzmann"""
    ensembles: np.ndarray
    """(K, E) eta of the ensembles that the frames are from, in their order: MD in A, MD in B, windows"""
    counts: np.ndarray
    """(K,) frames of each"""

    @property
    def parts(self) -> list[slice]:
        """(K,) where the frames of each are"""
        ends = np.cumsum(self.counts).tolist()
        return [slice(end - count, end) for end, count in zip(ends, self.counts.tolist(), strict=True)]


@dataclass(frozen=True)
class Sampled:
    """The value of the exploration."""

    curves: list[Curve]
    """Those that paths can be walked along, best rank first: the first routes, and the best of each other class that was sampled"""
    routes: list[dict[str, np.ndarray]]
    """Every optimised route as arrays (`_arrays`), best rank first"""
    ranks: list[int]
    """Which of the routes each curve is, from 1"""
    windows: dict[str, np.ndarray]
    """One entry a window: eta (W, E), round, route, frames, overlap with the next of its set, MBAR and BAR free energies in kT"""
    free_energy: dict[str, np.ndarray]
    """Along the best route's last windows, forward and backward alone, errors and overlaps; kT"""
    denoiser: bytes
    """What denoiser.pt holds"""
    record: dict[str, Any]
    """Routes, rounds, the denoiser's training and what it took, as plain data"""
    in_a: list[Frames]
    """Plain MD that began in A, every `training.stride` steps: the thermal reference is cut from it"""
    in_b: list[Frames]
    """The same in B"""

    def save(self, storage: Storage, problem: Problem) -> None:
        """routes/RANK.npz, geodesic.npz, free_energy.npz, denoiser.pt, samples/windows.npz, samples/rounds.json, samples/weighted_RANK;
        the walks in A and B are there."""
        for pattern in FILES:
            storage.remove(pattern)
        for rank, route in enumerate(self.routes, 1):
            storage.put_arrays(f"{ROUTES}/{rank}.npz", route)
        for rank, curve in zip(self.ranks, self.curves, strict=True):
            frames = snapshots(curve.positions, curve.velocities)
            storage.put_frames(frames_file(rank), frames, timestep=1.0, cell=problem.model.cell)
            storage.put_arrays(weights_file(rank), {key: getattr(curve, key) for key in FRAMES})
        storage.put_arrays(GEODESIC, self.routes[0])
        storage.put_bytes(DENOISER, self.denoiser)
        storage.put_arrays(WINDOWS, self.windows)
        storage.put_arrays(FREE_ENERGY, self.free_energy)
        storage.put_record(ROUNDS, self.record)

    @staticmethod
    def load(simulation: Simulation) -> "Sampled":
        """Read what `save` wrote. Raises SpacetimeError where a file is missing or damaged."""
        storage = simulation.storage
        record = storage.record(ROUNDS)
        if not isinstance(record, dict) or "routes" not in record:
            raise SpacetimeError(f"{ROUNDS} is damaged: it names no routes")
        ranks = sorted(int(name.split("_")[1].removesuffix(".npz")) for name in storage.names(weights_file("*")))
        routes = routes_in(storage)
        if not ranks or ranks[-1] > len(routes):
            raise _missing("files in routes/, or weighted frames in samples/")
        curves = []
        for rank in ranks:
            route, frames = routes[rank - 1], storage.arrays(weights_file(rank))
            positions, velocities = storage.frames(frames_file(rank))
            if missing := {key for key in FRAMES if key not in frames}:
                raise SpacetimeError(f"{weights_file(rank)} lacks {', '.join(sorted(missing))}: it is damaged, or of an older version")
            curves.append(Curve(str(route["name"]), route["eta"], route["kl_kT"], positions, velocities, *(frames[key] for key in FRAMES)))
        windows, free_energy = storage.arrays(WINDOWS), storage.arrays(FREE_ENERGY)
        ends = [kept_walks(simulation, state) for state in "AB"]
        if lost := [state for state, walks in zip("AB", ends, strict=True) if not walks]:
            raise _missing(f"the trajectories of plain MD in {lost[0]}, {walk_files(lost[0])},")
        return Sampled(curves, routes, ranks, windows, free_energy, storage.content(DENOISER), record, *ends)

    @staticmethod
    def of(explored: Explored, problem: Problem, *, routes: int) -> "Sampled":
        """From what the rounds leave. routes: along how many paths are wanted."""
        family = problem.coordinates.family()
        optimised = [r for r in explored.routes if r.geodesic is not None]
        arrays = [_arrays(route, explored, family) for route in optimised]
        ranks = list(_ranks(optimised, routes))
        return Sampled(
            curves=[_curve(arrays[rank - 1], explored, optimised[rank - 1].winding) for rank in ranks],
            routes=arrays, ranks=ranks, windows=_windows(explored), free_energy=_profile(explored, problem),
            denoiser=_denoiser(explored), record=_record(explored, problem), in_a=explored.ends.in_a, in_b=explored.ends.in_b,
        )  # fmt: skip


def _missing(what: str) -> SpacetimeError:
    return SpacetimeError(
        f"{what} are missing: remove stages.json and call run again: all stages are made anew, from the walks that are there"
    )


def _ranks(optimised: list[Route], routes: int) -> Iterator[int]:
    """Ranks, from 1, of the first routes that were sampled, and of the best one of each other class."""
    shown: list[Winding] = []
    for rank, route in enumerate(optimised, 1):
        if route.rounds and (len(shown) < routes or route.winding not in shown):
            shown.append(route.winding)
            yield rank


def _curve(arrays: dict[str, np.ndarray], explored: Explored, kind: Winding) -> Curve:
    samples = explored.classes.of[kind]
    pool = samples.pool
    positions, velocities = np.concatenate(pool.positions), np.concatenate(pool.velocities)
    return Curve(
        str(arrays["name"]),
        arrays["eta"],
        arrays["kl_kT"],
        positions,
        velocities,
        pool.features,
        samples.log_weight,
        pool.eta,
        pool.counts,
    )


def _arrays(route: Route, explored: Explored, family: Family) -> dict[str, np.ndarray]:
    """`mu`, and all that follows from it, is of the weighted samples; `mu_denoiser` of what was trained on them, if anything was."""
    g = route.geodesic
    assert g is not None
    with torch.no_grad():
        mu = explored.classes.denoiser(route.winding).moments(g.eta).mean
        learned = explored.trained[route.winding].denoiser.moments(g.eta).mean if route.winding in explored.trained else mu
    return {
        "name": np.array(route.name),
        "eta": g.eta.numpy(),
        "level": family.level(g.eta).numpy(),
        "precision": family.precisions(g.eta).numpy(),
        "center": family.center(g.eta).numpy(),
        "mu": mu.numpy(),
        "mu_denoiser": learned.numpy(),
        "segment": g.segment.numpy(),
        "n_eff": g.effective_samples.numpy(),
        "kl_kT": g.cost.numpy(),
        "energy": np.array(g.energy),
        "length": np.array(g.length),
        "trace": np.array(g.trace),
    }


def _denoiser(explored: Explored) -> bytes:
    best = explored.routes[0]
    if best.winding in explored.trained:
        return explored.trained[best.winding].content
    samples = explored.classes.of[best.winding]
    frames = {"features": torch.from_numpy(samples.pool.features), "log_weights": torch.from_numpy(samples.log_weight)}
    return checkpoint.content("weighted_samples", frames)


def _record(explored: Explored, problem: Problem) -> dict[str, Any]:
    """Plain data. "along_curve" of a trained denoiser: how far it is from the weighted samples, over the thermal spread."""
    family, trained = problem.coordinates.family(), []
    for kind, t in explored.trained.items():
        route, differ = explored.along_curve(kind, family)
        trained.append({
            "route": route.name,
            "held_out_loss": t.record.held_out_loss,
            "unseen_windows": None if t.record.unseen is None else asdict(t.record.unseen),
            "along_curve": {"median": float(differ.median()), "largest": float(differ.max())},
            "curve": t.record.curve,
        })  # fmt: skip
    return {
        "kappa_floor": explored.floor,
        "length": explored.lengths,
        "windows": [
            {"round": s.round, "route": s.route, "lowest_overlap": s.lowest_overlap, "forward_backward_kT": s.disagreement}
            for s in explored.sets
        ],
        "routes": [_describe(r, problem.coordinates.scale) for r in explored.routes],
        "denoisers": trained,
        "evaluations": {PLAIN_MD: explored.ends.evaluations, IN_WINDOWS: explored.evaluations, ON_GEODESIC: 0},
    }


def _describe(route: Route, scale: np.ndarray) -> dict[str, Any]:
    g = route.geodesic
    return {
        "name": route.name,
        "winding": list(route.winding),
        "rounds": route.rounds,
        "twins": route.twins,
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
                "center": None if n.center is None else (scale * n.center).round(4).tolist(),
                "crosses": n.crosses, "margin_share": n.margin,
            }
            for n in route.nearness
        ],
    }  # fmt: skip


def _windows(explored: Explored) -> dict[str, np.ndarray]:
    """The frames' own weights, per class of routes, are those of the curves."""
    columns: dict[str, list[np.ndarray]] = {
        key: [] for key in ("eta", "round", "route", "frames", "overlap", "free_energy", "forward", "backward", "weight")
    }
    for samples in explored.classes.of.values():
        assert samples.weights is not None
        pool, free_energy, weight = samples.pool, samples.weights.free_energy[ENDS:], np.exp(samples.log_weight)
        totals = np.add.reduceat(weight, np.concatenate([[0], np.cumsum(pool.counts)[:-1]]))[ENDS:]
        first = 0
        for (count, name), windows in zip(samples.sets, pool.windows, strict=True):
            size = len(windows.eta)
            columns["eta"].append(windows.eta)
            columns["round"].append(np.full(size, count))
            columns["route"].append(np.full(size, name))
            columns["frames"].append(pool.counts[ENDS + first : ENDS + first + size])
            columns["overlap"].append(np.append(windows.overlap, np.nan))
            columns["free_energy"].append(free_energy[first : first + size])
            columns["forward"].append(windows.forward_profile)
            columns["backward"].append(windows.backward_profile)
            columns["weight"].append(totals[first : first + size])
            first += size
    return {key: np.concatenate(values) for key, values in columns.items()}


def _profile(explored: Explored, problem: Problem) -> dict[str, np.ndarray]:
    last = explored.classes.latest[explored.routes[0].name]
    ways = (last.forward, last.backward)
    walked = [[problem.coordinates.features(f.positions[f.point == k]) for f in ways] for k in range(len(last.eta))]
    found = profile(walked, last.eta)
    return {
        "eta": last.eta, "free_energy_kT": found.free_energy, "error_kT": found.error, "forward_kT": last.forward_profile,
        "backward_kT": last.backward_profile, "overlap": found.overlap, "independent_frames": found.independent,
    }  # fmt: skip
