"""The unbiased stage's shots: routes of the rounds as what a ShotSampler shoots from, and a run's settings as its options."""

from functools import partial
from pathlib import Path

import numpy as np

from spacetime_tps.engines.openmm.workers import Workers
from spacetime_tps.pipeline.artifacts import Curve, read_curves
from spacetime_tps.pipeline.openmm_shooting import OpenMMShooting, Start
from spacetime_tps.pipeline.prepared import Prepared
from spacetime_tps.pipeline.progress import Progress
from spacetime_tps.pipeline.routes import features_of_centers
from spacetime_tps.pipeline.settings import Settings
from spacetime_tps.shooting.ensemble import Ensemble
from spacetime_tps.shooting.ladder import Sampled
from spacetime_tps.shooting.options import ShootingOptions
from spacetime_tps.shooting.sampler import ShotSampler
from spacetime_tps.shooting.sites import RouteFrames


def sample(folder: Path, prepared: Prepared, settings: Settings, workers: Workers, progress: Progress, *, again: int) -> Ensemble:
    """All batches of a run folder, those that are missing made. again: evaluations that trials of committors have taken before."""
    engine = OpenMMShooting(prepared, settings, workers, folder)
    routes = [route_frames(curve, prepared, engine.integrity.holds(curve.positions)) for curve in read_curves(folder)]
    sampler = ShotSampler(engine, options_of(settings), say=progress.say, again=again)
    return sampler.sample(routes, prepared.coordinates.separating(*prepared.boxes))


def options_of(settings: Settings) -> ShootingOptions:
    """The settings that the shooting estimator knows."""
    o = settings.unbiased
    return ShootingOptions(
        seed=settings.seed, paths=o.paths, budget=o.budget, stiffness=o.stiffness, walkers=o.walkers, points=o.points, gap=o.gap,
        shots=o.shots, equilibration=o.equilibration, rung_steps=o.rung_steps, margin_kT=o.margin_kT, states=o.states,
        state_shots=o.state_shots,
    )  # fmt: skip


def route_frames(curve: Curve, prepared: Prepared, whole: np.ndarray) -> RouteFrames[Start]:
    """A curve with its weighted frames; whole (S,): in which of them the molecule is what it was."""
    in_a = prepared.a.contains(curve.positions)
    return RouteFrames(
        curve.route, features_of_centers(curve.eta, prepared.coordinates.family()), curve.cost, curve.statistic, curve.log_weight,
        in_a, whole, np.flatnonzero(whole[: curve.counts[0]]), partial(_start, curve), _along(curve, in_a),
    )  # fmt: skip


def _start(curve: Curve, frame: int) -> Start:
    return curve.positions[frame].astype(float), curve.velocities[frame].astype(float)


def _along(curve: Curve, in_a: np.ndarray) -> list[Sampled]:
    """The windows of a route's curves, each as one walk: they hold all coordinates, and link the top to A with less certainty."""
    ends = np.cumsum(curve.counts)
    pieces = [slice(int(end - count), int(end)) for end, count in zip(ends, curve.counts, strict=True)][2:]
    return [
        Sampled(partial(_tilt, eta), curve.statistic[piece], in_a[piece], np.full(len(curve.statistic[piece]), walk))
        for walk, (eta, piece) in enumerate(zip(curve.ensembles[2:], pieces, strict=True))
    ]


def _tilt(eta: np.ndarray, statistic: np.ndarray) -> np.ndarray:
    return np.asarray(statistic @ eta)
