"""What follows from the weighted paths: averages with bootstrap errors, shares of routes and channels, the rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spacetime_tps.coordinates.naming import read
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.paths.transition import durations
from spacetime_tps.problems.problem import Problem
from spacetime_tps.sampling.bootstrap import resampled
from spacetime_tps.sampling.residence import residence
from spacetime_tps.sampling.thermal import matched_reference
from spacetime_tps.seeds import seed_of
from spacetime_tps.shooting.channels import centre_of, channels, crossing_places
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.mixing import r_hat
from spacetime_tps.shooting.sites import Site
from spacetime_tps.shooting.weights import Estimate, design_effect, heaviest, product, weighted_mean, weighted_statistic
from spacetime_tps.states.ends import met
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.unbiased.verdict import earlier, halves_apart

DRAWS = 1000
BIN = 10.0
"""Degrees, of the density of transition paths"""
BINS = 36
"""For coordinates that are no angles"""
PAIRED = 20


@dataclass(frozen=True)
class Draws:
    """Bootstrap multiplicities of all paths of an ensemble."""

    walkers: np.ndarray
    """(draws, paths): whole walkers of each crossing are drawn, since all that follows from one shares its slow motions, and each
    crossing's weights are times a factor drawn with the error of its free energy relative to A"""
    alone: np.ndarray
    """(draws, paths): path by path, as if they were independent"""

    @staticmethod
    def of(ensemble: Ensemble, walkers: int, *, rng: np.random.Generator) -> "Draws":
        """walkers: in each window, going on from batch to batch. Those without a reactive shot count too: the rate needs them."""
        site_of = np.repeat(np.arange(len(ensemble.sites)), [s.paths for s in ensemble.sites])
        walker_of = np.concatenate([b.point_walk[b.shot_point[b.path_shot]] for b in ensemble.batches])
        return Draws.by_walker(site_of, walker_of, ensemble.ladder_error, walkers, rng=rng)

    @staticmethod
    def by_walker(
        site_of: np.ndarray, walker_of: np.ndarray, ladder_error: Sequence[float], walkers: int, *, rng: np.random.Generator
    ) -> "Draws":
        """site_of, walker_of (paths,): the crossing, and the walker there, that each path is from; ladder_error (sites,), kT."""
        ladder = np.exp(rng.normal(size=(DRAWS, len(ladder_error))) * np.nan_to_num(np.array(ladder_error, dtype=float)))
        walks = resampled(np.arange(len(ladder_error) * walkers), draws=DRAWS, rng=rng)
        times = walks[:, site_of * walkers + walker_of] * ladder[:, site_of]
        return Draws(times, resampled(np.arange(len(site_of)), draws=DRAWS, rng=rng))


def rng_of(seed: int) -> np.random.Generator:
    """What the averages of a run with this seed are drawn with."""
    return np.random.default_rng(seed_of(seed, "averages", 0))


def averages(
    ensemble: Ensemble, paths: Sequence[np.ndarray], problem: Problem, in_a: Sequence[Frames], settings: UnbiasedSettings, *, seed: int
) -> dict[str, Any]:
    """All averages over the weighted paths as plain data: kJ/mol above start.pdb, ps, with standard errors (`Draws`).

    paths: coordinates (F, D) of each; in_a: plain MD that began in A, with frames as far apart as those of paths.
    """
    weight, batches = ensemble.weight, ensemble.batches
    highest = np.concatenate([b.path_max_energy for b in batches])
    frames = np.concatenate([b.path_frames for b in batches])
    way = np.concatenate([b.path_way for b in batches])
    rng = rng_of(seed)
    draws = Draws.of(ensemble, settings.walkers, rng=rng)
    times, timestep = draws.walkers, problem.model.timestep
    duration = durations(frames, stride=settings.stride, timestep=timestep)
    energy, thermal = (
        weighted_mean(highest, weight, times),
        Estimate(*matched_reference(in_a, frames, weight, problem.a, zero=problem.zero)),
    )
    above = Estimate(energy.value - thermal.value, float(np.hypot(energy.error, thermal.error)))
    largest, share = heaviest(weight)
    inside, early = time_in_a(in_a, problem), earlier(ensemble.sites)
    flux = weighted_statistic(lambda w: 1e3 * float(w.sum()) / (2.0 * settings.spacing * timestep), weight, times)
    return {
        "effective_paths": ensemble.effective, "largest_weight_over_mean": largest, "share_of_heaviest_percent": share,
        "share_of_heaviest_path": float(weight.max() / weight.sum()),
        "halves_apart": {
            "highest energies": halves_apart(highest, weight, early, times), "durations": halves_apart(duration, weight, early, times),
        },
        "max_energy_kj_mol": energy.to_json(), "max_energy_std": _spread(highest, weight),
        "thermal_reference_kj_mol": thermal.to_json(), "max_energy_above_thermal_kj_mol": above.to_json(),
        "duration_ps": weighted_mean(duration, weight, times).to_json(), "duration_std": _spread(duration, weight),
        "design_effect": {
            "max_energy": design_effect(highest, weight, times, draws.alone),
            "duration": design_effect(duration, weight, times, draws.alone),
        },
        "rate_per_ns": product(flux, inside).to_json(), "in_A_of_time_from_A": inside.to_json(),
        "routes": {
            name: {"paths": int((way == name).sum()), "share": weighted_mean(way == name, weight, times).to_json()}
            for name in sorted(set(way.tolist()), key=lambda n: -float(weight[way == n].sum()))
        },
        "channels": channel_shares(ensemble, problem.coordinates, paths, times, rng),
    }  # fmt: skip


PURPOSES = "region", "unbiased"
"""Of evaluations: walks in windows, shots"""


def counts(ensemble: Ensemble, settings: UnbiasedSettings, *, committor_evaluations: int) -> dict[str, Any]:
    """What was shot, what became of it and what it cost, as plain data."""
    batches = ensemble.batches
    ends = np.concatenate([np.concatenate([b.shot_forward, b.shot_backward]) for b in batches])
    shots = sum(len(b.shot_point) for b in batches)
    walked = sum(b.walk_evaluations for b in batches) + ensemble.ladder_evaluations
    shot = sum(b.evaluations for b in batches) + committor_evaluations
    evaluations = dict(zip(PURPOSES, (walked, shot), strict=True))
    return {
        "wanted": settings.paths, "stopped_because": ensemble.reason,
        "shots": shots, "paths": len(ensemble.weight), "reactive_fraction": len(ensemble.weight) / shots,
        "evaluations": evaluations, "evaluations_per_effective_path": sum(evaluations.values()) / ensemble.effective,
        "undecided_fraction": float(1.0 - met(ends).mean()), "unstable_shots": int(sum((~b.shot_stable).sum() for b in batches)),
        "longest_steps": settings.longest, "left_out_because_broken": int(sum(b.broken for b in batches)),
        "seen_once": float(np.mean(np.concatenate([b.path_points for b in batches]) <= 1)),
        "separating": ensemble.separating,
        "crossings": [
            {**_crossing(site), "free_energy_error_kT": error}
            for site, error in zip(ensemble.sites, ensemble.ladder_error, strict=True)
        ],
        "not_shot_from": [
            {"route": c.route, "variable": c.window.variable.name, "center": c.window.place, "because": why}
            for c, why in ensemble.left_out
        ],
    }  # fmt: skip


def time_in_a(runs: Sequence[Frames], problem: Problem) -> Estimate:
    """The share of the time that comes from A which is spent in A, by the plain MD there."""
    came = np.array([residence(run, problem.a, problem.b)[0] for run in runs])
    inside = np.array([int(problem.a.contains(run.positions[1:]).sum()) for run in runs])
    share = inside.sum() / came.sum()
    return Estimate(float(share), float(np.sqrt(((inside - share * came) ** 2).sum()) / came.sum()))


def channel_shares(
    ensemble: Ensemble, coordinates: Coordinates, paths: Sequence[np.ndarray], times: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Groups of paths at each crossing, by where their other coordinates are as they cross; shares are of all transitions."""
    found, first, names, angular = [], 0, coordinates.names, coordinates.angular
    family = coordinates.family()
    for number, site in enumerate(ensemble.sites):
        mine = np.arange(first, first + site.paths)
        first += len(mine)
        if not len(mine):
            continue
        window = site.settled or site.latest
        places = crossing_places([paths[k] for k in mine.tolist()], window, lambda p: family.features(torch.from_numpy(p)).numpy())
        others = [k for k in range(len(names)) if coordinates.variable(names[k]) != window.variable]
        channel = channels(places[:, others], angular[others], ensemble.weight[mine], rng=rng)
        for group in np.unique(channel):
            member = np.zeros(len(ensemble.weight))
            member[mine[channel == group]] = 1.0
            mass = ensemble.weight * member
            at = {names[k]: coordinates.scale[k] * np.array(centre_of(places[:, k], mass[mine], bool(angular[k]))) for k in others}
            found.append({
                "crossing": number, "paths": int(member.sum()), "share": weighted_mean(member, ensemble.weight, times).to_json(),
                **{key: {name: float(pair[k]) for name, pair in at.items()} for k, key in enumerate(("center", "spread"))},
            })  # fmt: skip
    return found


def path_density(paths: Sequence[np.ndarray], weight: np.ndarray, coordinates: Coordinates) -> dict[str, np.ndarray]:
    """Weighted histograms of each coordinate, and of each pair of them, over the stored frames of all paths.

    paths: coordinates (F, D), weight (paths,). density_I_J (bins, bins) sums to one over the frames of the ensemble between the
    states; edges_I as people read the coordinate. Pairs are left out where there are more than `PAIRED` coordinates.
    """
    values, mass = between_states(paths, weight)
    at = read(coordinates, values)
    edges = [
        np.arange(-180.0, 180.0 + BIN, BIN) if angular else np.linspace(at[:, k].min(), at[:, k].max() + 1e-6, BINS + 1)
        for k, angular in enumerate(coordinates.angular)
    ]
    arrays = {f"edges_{k}": e for k, e in enumerate(edges)}
    for i in range(at.shape[1]):
        arrays[f"density_{i}"] = density(at[:, [i]], [edges[i]], mass)
        for j in range(i + 1, at.shape[1]) if at.shape[1] <= PAIRED else ():
            arrays[f"density_{i}_{j}"] = density(at[:, [i, j]], [edges[i], edges[j]], mass)
    return arrays


def between_states(paths: Sequence[np.ndarray], weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames (n, D) of paths (F, D) that are between the states, all but the first and the last, and of each its path's weight (n,)."""
    return np.concatenate([p[1:-1] for p in paths]), np.repeat(weight, [len(p) - 2 for p in paths])


def density(at: np.ndarray, edges: Sequence[np.ndarray], mass: np.ndarray) -> np.ndarray:
    """Histogram of points (n, k) with masses (n,) over bins with these edges; it sums to one where they hold all points."""
    return np.asarray(np.histogramdd(at, edges, weights=mass)[0] / mass.sum())


def _crossing(site: Site[Any]) -> dict[str, Any]:
    """Of the window that a crossing is shot from, or the last that was tried."""
    batches, route = site.batches, site.crossing.route
    most = site.settled or site.latest
    mine = [b for b in batches if b.window == most]
    shots, paths = sum(len(b.shot_point) for b in mine), sum(len(b.path_shot) for b in mine)
    return {
        "route": route, "variable": most.variable.name, "center": most.place, "stiffness": most.stiffness,
        "of": most.variable.to_json(),
        "windows_tried": len({b.window for b in batches}), "shots": shots, "reactive_fraction": paths / max(shots, 1),
        "r_hat": r_hat(np.concatenate([b.features for b in mine]), np.concatenate([b.walk for b in mine])) if mine else None,
    }  # fmt: skip


def _spread(values: np.ndarray, weight: np.ndarray) -> float:
    mean = weight @ values / weight.sum()
    return float(np.sqrt(weight @ (values - mean) ** 2 / weight.sum()))
