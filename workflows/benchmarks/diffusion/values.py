"""All that the diffusion benchmark measures, and its figures as plain data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.diffusion.deviation import Deviations
from benchmarks.diffusion.distance import BINS, Distances
from benchmarks.diffusion.interpolation import Interpolated
from benchmarks.diffusion.mean_shift import Shifted
from benchmarks.diffusion.memory import Memory
from benchmarks.diffusion.solvers import Solved
from benchmarks.diffusion.target import SCHEDULE
from benchmarks.diffusion.trajectories import Trajectories
from spacetime_tps.denoisers.diagnostics import TwoSampleTest

LEVELS = (-6.0, -3.0, 0.0, 1.5, 3.0, 4.5, 5.75)
"""log SNR that tables show"""


@dataclass(frozen=True)
class Measured:
    """Everything."""

    conformers: Tensor
    """(K, 2) radians, the lowest first"""
    heights: Tensor
    """(K,) kT above the lowest"""
    sampled: Trajectories
    shift: Shifted
    deviations: Deviations
    remembered: Memory
    interpolated: Interpolated
    solved: list[Solved]
    distances: Distances


def values_of(m: Measured) -> dict[str, Any]:
    """Everything as plain data, by section."""
    return {
        "conformers": {
            "phi_psi_degrees": np.degrees(m.conformers.numpy()).round(1).tolist(),
            "height_kT": m.heights.tolist(),
            "share": {name: row.tolist() for name, row in zip(("data", "flow", "mean_shift_from_noise"), m.shift.shares, strict=True)},
        },
        "levels": list(LEVELS),
        "trajectories": _trajectories(m.sampled),
        "mean_shift": {
            "largest_difference": m.shift.largest_difference,
            "largest_after_euler": m.shift.largest_after_euler,
            "spread": dict(zip(("flow", "mean_shift_from_noise"), m.shift.spread, strict=True)),
            "log_snr": m.shift.from_log_snr.tolist(),
            "decided": m.shift.decided.tolist(),
        },
        "deviation": _deviation(m.deviations),
        "memory": _memory(m.remembered),
        "interpolation": {
            "pairs": m.interpolated.pairs,
            "round_trip": m.interpolated.round_trip,
            "highest_kT": [{name: c.highest for name, c in curves.items()} for curves in m.interpolated.curves],
            "leap": [{name: c.leap for name, c in curves.items()} for curves in m.interpolated.curves],
            "midpoints": {name: _test(test) for name, test in m.interpolated.midpoints.items()},
        },
        "solvers": [
            {
                "variables": s.variables, "step": s.step, "grid": s.grid, "order": s.order,
                "error": s.error.tolist(), "astray": s.astray.tolist(),
            }
            for s in m.solved
        ],
        "distance": _distance(m.distances),
    }  # fmt: skip


def _at_levels() -> list[int]:
    return [int((SCHEDULE - level).abs().argmin()) for level in LEVELS]


def _trajectories(t: Trajectories) -> dict[str, Any]:
    at = _at_levels()
    cosines = {"step": t.step_cosine, "score": t.score_cosine, "x_t": t.preserving_cosine}
    return {
        "quasi_linearity": {name: _quantiles(values)[:, at].tolist() for name, values in cosines.items()},
        "least_median": float(t.step_cosine.median(-1).values.min()),
        "to_sample": {name: row[at].tolist() for name, row in zip(("center", "denoised"), t.gap.median(-1).values, strict=True)},
        "schedules_differ": t.schedules_differ,
        "flow": _test(t.flow),
        "jumps": [{"log_snr": float(x), **_test(test)} for x, test in zip(t.jump_log_snr, t.jumps, strict=True)],
    }


def _deviation(d: Deviations) -> dict[str, Any]:
    at = _at_levels()
    of = {
        name: {
            "denoised": x.denoised[at].tolist(), "score": x.score[at].tolist(),
            "from_optimal": x.from_optimal[at].tolist(), "samples": _test(x.samples),
            "ends_apart": x.ends_apart, "to_frames": x.to_frames,
        }
        for name, x in d.of.items()
    }  # fmt: skip
    return {"frames": d.frames, "fresh_to_frames": d.fresh_to_frames, "of": of}


def _memory(m: Memory) -> dict[str, Any]:
    at = _at_levels()
    return {
        "information": m.information[at].tolist(),
        "standard_error": m.standard_error[at].tolist(),
        "by_error": m.by_error[at].tolist(),
        "displaced": m.displaced[at].tolist(),
        "turn_log_snr": m.turn_log_snr.tolist(),
        "returned": m.returned.tolist(),
        "chance": m.chance.tolist(),
        "one_start": _test(m.stochastic),
    }


def _distance(d: Distances) -> dict[str, Any]:
    off, mixture = (d.held_out.length[: len(d.fine)] / d.fine - 1.0).abs(), (d.under_mixture / d.fine - 1.0).abs()
    return {
        "conformations": np.degrees(d.shown.numpy()).round(1).tolist(),
        "matrix": d.matrix.tolist(),
        "rmsd_nm": d.rmsd.tolist(),
        "triangle_excess": d.triangle,
        "spearman": d.correlations,
        "lowest_kappa": [{"degrees": bounds, "median": value} for bounds, value in zip(BINS, d.noise_by_distance, strict=True)],
        "spearman_of_distance_and_noise": d.noise_with_distance,
        "range": [float(d.learned.length.min()), float(d.learned.length.max())],
        "error_of_geodesics": float(off.max()),
        "under_mixture": {"median": float(mixture.median()), "largest": float(mixture.max())},
        "pairs": {"learned": len(d.learned.length), "held_out": len(d.held_out.length)},
        "relative_error": {
            "network": d.relative_error(d.predicted),
            "network without correction": d.relative_error(d.hyperbolic),
            "cubic": d.relative_error(d.cubic),
            "constant": d.relative_error(d.learned.length.mean()),
        },
        "largest_relative_error": float((d.predicted / d.held_out.length - 1.0).abs().max()),
        "seconds": dict(zip(("geodesic", "training", "predicted"), d.seconds, strict=True)),
    }


def _quantiles(values: Tensor) -> np.ndarray:
    """10, 50 and 90 % over trajectories (3, N)."""
    return np.quantile(values.numpy(), [0.1, 0.5, 0.9], axis=1)


def _test(result: TwoSampleTest) -> dict[str, float]:
    return {"energy_distance": result.distance, "null_99_percent": float(result.null.quantile(0.99)), "p_value": result.p_value}
