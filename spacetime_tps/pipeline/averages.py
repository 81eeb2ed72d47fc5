"""What follows from the weighted paths: averages with bootstrap errors, shares of routes, the rate, committors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_tps.baselines.brute_force import residence
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_npz
from spacetime_tps.molecules.dynamics import Frames
from spacetime_tps.molecules.shooting import IN_B
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.pipeline.shooting import Ensemble
from spacetime_tps.pipeline.store import WalkStore
from spacetime_tps.sampling.channels import channels, crossing_places
from spacetime_tps.sampling.committor import Committors
from spacetime_tps.sampling.ensemble import Estimate, design_effect, heaviest, product, resampled, weighted_mean, weighted_statistic
from spacetime_tps.sampling.thermal import thermal_maxima

DRAWS = 1000
BIN = 10.0
"""Degrees, of the density of transition paths"""


@dataclass(frozen=True)
class Points:
    """All P points that were shot from."""

    crossing: np.ndarray
    """(P,)"""
    frame: list[tuple[str, int]]
    """Name of the walk in samples/region/, and the frame there"""
    eta: list[np.ndarray]
    """Restraint of the walk, (E,) each"""
    angles: np.ndarray
    """(P, n) degrees"""
    committors: Committors


def shooting_points(ensemble: Ensemble) -> Points:
    """Every shooting point outside the states, with its committor: two trials a shot."""
    crossing, frame, eta, statistic, reached, trials = [], [], [], [], [], []
    for number, site in enumerate(ensemble.sites):
        for count, batch in enumerate(site.batches):
            ends = np.stack([batch.shot_forward, batch.shot_backward], axis=1)
            for point in np.unique(batch.shot_point[batch.shot_evaluations > 0]).tolist():
                mine = ends[batch.shot_point == point]
                crossing.append(number)
                frame.append((f"{number}_{count:04d}_{batch.point_walk[point]}", int(batch.point_frame[point])))
                eta.append(batch.window.eta(batch.point_statistic.shape[1] // 2))
                statistic.append(batch.point_statistic[point])
                reached.append(int((mine == IN_B).sum()))
                trials.append(int((mine >= 0).sum()))
    pairs = np.array(statistic).reshape(len(statistic), -1, 2)
    angles = np.degrees(np.arctan2(pairs[..., 1], pairs[..., 0]))
    return Points(np.array(crossing), frame, eta, angles, Committors(np.array(reached), np.array(trials)))


def averages(
    folder: Path, ensemble: Ensemble, paths: list[np.ndarray], prepared: Prepared, settings: Settings, *, committor_evaluations: int
) -> dict[str, Any]:
    """All averages over the weighted paths, torsions (F, n) each in `paths`, as plain data: kJ/mol above start.pdb, ps.

    Errors are standard deviations over bootstrap draws of whole walks of a batch (shots from one walk share its slow motions), each
    crossing's weights times a factor drawn with the error of its free energy relative to A.
    """
    weight, batches = ensemble.weight, ensemble.batches
    highest = np.concatenate([b.path_max_energy for b in batches])
    frames = np.concatenate([b.path_frames for b in batches])
    way = np.concatenate([b.path_way for b in batches])
    first = np.cumsum([0, *(int(b.walk.max(initial=-1)) + 1 for b in batches)])
    cluster = np.concatenate([b.point_walk[b.shot_point[b.path_shot]] + n for b, n in zip(batches, first[:-1], strict=True)])
    rng = np.random.default_rng(settings.seed)
    site_of = np.repeat(np.arange(len(ensemble.sites)), [sum(len(b.path_shot) for b in s.batches) for s in ensemble.sites])
    link = np.exp(rng.normal(size=(DRAWS, len(ensemble.sites))) * np.nan_to_num(ensemble.link_error))
    walks = resampled(np.arange(first[-1]), draws=DRAWS, rng=rng)  # those without a reactive shot too: the rate needs them
    times = walks[:, cluster] * link[:, site_of]
    alone = resampled(np.arange(len(weight)), draws=DRAWS, rng=rng)
    interval = settings.guided.stride * prepared.model.timestep
    duration = (frames - 1) * interval
    in_a = WalkStore(folder / "samples").stored([f"md_A_{k}" for k in range(settings.training.walks)])
    thermal = _thermal(in_a, prepared, frames, weight)
    energy = weighted_mean(highest, weight, times)
    ends = np.concatenate([np.concatenate([b.shot_forward, b.shot_backward]) for b in batches])
    shots = sum(len(b.shot_point) for b in batches)
    largest, share = heaviest(weight)
    inside = _inside(in_a, prepared)
    flux = weighted_statistic(lambda w: float(w.sum()) / (2.0 * settings.unbiased.spacing * prepared.model.timestep), weight, times)
    shot = sum(b.evaluations for b in batches) + committor_evaluations
    evaluations = {"region": sum(b.walk_evaluations for b in batches) + ensemble.ladder_evaluations, "unbiased": shot}
    return {
        "wanted": settings.unbiased.paths, "stopped_because": ensemble.reason,
        "shots": shots, "paths": len(weight), "reactive_fraction": len(weight) / shots, "effective_paths": ensemble.effective,
        "evaluations": evaluations, "evaluations_per_effective_path": sum(evaluations.values()) / ensemble.effective,
        "undecided_fraction": float((ends < 0).mean()), "unstable_shots": int(sum((~b.shot_stable).sum() for b in batches)),
        "longest_steps": settings.unbiased.longest, "left_out_because_broken": int(sum(b.broken for b in batches)),
        "largest_weight_over_mean": largest, "share_of_heaviest_percent": share,
        "seen_once": float(np.mean(np.concatenate([b.path_points for b in batches]) <= 1)),
        "max_energy_kj_mol": energy.to_json(), "max_energy_std": _spread(highest, weight),
        "thermal_reference_kj_mol": thermal.to_json(),
        "max_energy_above_thermal_kj_mol": Estimate(energy.value - thermal.value, float(np.hypot(energy.error, thermal.error))).to_json(),
        "duration_ps": weighted_mean(duration, weight, times).to_json(), "duration_std": _spread(duration, weight),
        "design_effect": {
            "max_energy": design_effect(highest, weight, times, alone), "duration": design_effect(duration, weight, times, alone),
        },
        "rate_per_ns": product(Estimate(1e3 * flux.value, 1e3 * flux.error), inside).to_json(), "in_A_of_time_from_A": inside.to_json(),
        "routes": {
            name: {"paths": int((way == name).sum()), "share": weighted_mean(way == name, weight, times).to_json()}
            for name in sorted(set(way.tolist()), key=lambda n: -float(weight[way == n].sum()))
        },
        "channels": _channels(ensemble, prepared, paths, times, rng),
        "separating": ensemble.separating,
        "crossings": [
            {**_crossing(site.batches, prepared, site.crossing.route), "free_energy_error_kT": error}
            for site, error in zip(ensemble.sites, ensemble.link_error, strict=True)
        ],
        "not_shot_from": [
            {
                "route": c.route, "torsion": prepared.torsions.names[c.window.torsion], "degrees": _degrees(c.window.center),
                "because": why,
            }
            for c, why in ensemble.left_out
        ],
    }  # fmt: skip


def _crossing(batches: list[Any], prepared: Prepared, route: str) -> dict[str, Any]:
    """Of the window that a crossing is shot from, or the last that was tried."""
    most = next((b.window for b in batches if not b.pilot), batches[-1].window)
    mine = [b for b in batches if b.window == most]
    shots, paths = sum(len(b.shot_point) for b in mine), sum(len(b.path_shot) for b in mine)
    return {
        "route": route, "torsion": prepared.torsions.names[most.torsion], "degrees": _degrees(most.center), "kappa": most.stiffness,
        "windows_tried": len({b.window for b in batches}), "shots": shots, "reactive_fraction": paths / max(shots, 1),
    }  # fmt: skip


def _degrees(angle: float) -> float:
    return float((np.degrees(angle) + 180.0) % 360.0 - 180.0)


def _spread(values: np.ndarray, weight: np.ndarray) -> float:
    mean = weight @ values / weight.sum()
    return float(np.sqrt(weight @ (values - mean) ** 2 / weight.sum()))


def _thermal(runs: list[Frames], prepared: Prepared, frames: np.ndarray, weight: np.ndarray) -> Estimate:
    """The mean highest energy of stretches of equilibrium MD in A that are as long as the paths, length by length.

    Lengths beyond the longest run count as that. Raises SpacetimeError where every run in A visits B.
    """
    length = np.minimum(frames, max(len(run) for run in runs))
    found = []
    for frames_a_path in np.unique(length).tolist():
        highest = thermal_maxima(runs, frames_a_path, prepared.b) - prepared.zero
        if len(highest):
            found.append((weight[length == frames_a_path].sum(), highest.mean(), highest.std() / np.sqrt(len(highest))))
    if not found:
        raise SpacetimeError("no run from A stays out of B: there is nothing to compare with; use a lower temperature")
    share, mean, error = np.array(found).T
    share /= share.sum()
    return Estimate(float(share @ mean), float(share @ error))


def _inside(runs: list[Frames], prepared: Prepared) -> Estimate:
    """The share of the time that comes from A which is spent in A, by the plain MD there."""
    came = np.array([residence(run, prepared.a, prepared.b)[0] for run in runs])
    inside = np.array([int(prepared.a.contains(run.positions[1:]).sum()) for run in runs])
    share = inside.sum() / came.sum()
    return Estimate(float(share), float(np.sqrt(((inside - share * came) ** 2).sum()) / came.sum()))


def _channels(
    ensemble: Ensemble, prepared: Prepared, paths: list[np.ndarray], times: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Groups of paths at each crossing, by where their other torsions are as they cross; shares are of all transitions."""
    found, first, names = [], 0, prepared.torsions.names
    for number, site in enumerate(ensemble.sites):
        mine = np.arange(first, first + sum(len(b.path_shot) for b in site.batches))
        first += len(mine)
        if not len(mine):
            continue
        window = next((b.window for b in site.batches if not b.pilot), site.batches[-1].window)
        places = crossing_places([paths[k] for k in mine], window.torsion, window.center)
        others = [k for k in range(len(names)) if k != window.torsion]
        channel = channels(places[:, others], ensemble.weight[mine], rng=rng)
        for group in np.unique(channel):
            member = np.zeros(len(ensemble.weight))
            member[mine[channel == group]] = 1.0
            mass = ensemble.weight * member
            directions = {names[k]: (mass[mine] * np.exp(1j * places[:, k])).sum() / mass.sum() for k in others}
            found.append({
                "crossing": number, "paths": int(member.sum()), "share": weighted_mean(member, ensemble.weight, times).to_json(),
                "degrees": {name: float(np.degrees(np.angle(z))) for name, z in directions.items()},
                "spread_degrees": {name: float(np.degrees(np.sqrt(max(-2.0 * np.log(abs(z)), 0.0)))) for name, z in directions.items()},
            })  # fmt: skip
    return found


def write_density(folder: Path, paths: list[np.ndarray], weight: np.ndarray) -> None:
    """samples/path_density.npz: weighted histograms of each torsion, and of each pair of torsions, over the stored frames of all paths.

    paths: torsions (F, n) in radians, weight (paths,). density_I_J (bins, bins) sums to one over the frames of the ensemble between the
    states; edges in degrees.
    """
    at = np.degrees(np.concatenate([p[1:-1] for p in paths]))
    mass = np.repeat(weight, [len(p) - 2 for p in paths])
    edges = np.arange(-180.0, 180.0 + BIN, BIN)
    arrays = {"edges": edges}
    for i in range(at.shape[1]):
        arrays[f"density_{i}"] = np.histogram(at[:, i], edges, weights=mass)[0] / mass.sum()
        for j in range(i + 1, at.shape[1]):
            arrays[f"density_{i}_{j}"] = np.histogram2d(at[:, i], at[:, j], edges, weights=mass)[0] / mass.sum()
    write_npz(folder / "samples/path_density.npz", arrays)
