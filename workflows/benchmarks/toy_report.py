"""The toy benchmark from computation to files: table.md, table.json, curves.npz and four figures."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.toy import FAMILY, REFERENCE, FlowAndGeodesic, flows_and_geodesics, time_at
from benchmarks.toy_figures import STYLE, posteriors, pullback, spacetime, trajectories
from benchmarks.toy_plane import PullbackAndSpacetime, largest_departure, pullback_and_spacetime
from benchmarks.toy_sampling import SCHEDULE, Sampling, sampling
from spacetime_tps.files import write_bytes, write_json, write_npz, write_text


def run_toy(out: Path, *, seed: int) -> str:
    """Compute everything, write it into `out`, and return the Markdown of the table."""
    out.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, and tensors this small are slower on two
    try:
        compared, planar, sampled = flows_and_geodesics(), pullback_and_spacetime(), sampling(seed)
    finally:
        torch.set_num_threads(threads)
    values = _values(compared, planar, sampled, seed)
    text = _markdown(values)
    write_json(out / "table.json", values)
    write_text(out / "table.md", text)
    write_npz(out / "curves.npz", _arrays(compared, planar, sampled))
    with mpl.rc_context(STYLE):
        for name, figure in (
            ("spacetime", spacetime(compared)),
            ("posteriors", posteriors(compared)),
            ("pullback", pullback(planar)),
            ("trajectories", trajectories(sampled)),
        ):
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
            write_bytes(out / f"{name}.png", picture.getvalue())
    return text


def _values(compared: list[FlowAndGeodesic], planar: PullbackAndSpacetime, sampled: Sampling, seed: int) -> dict[str, Any]:
    def test(result: Any) -> dict[str, float]:
        return {"energy_distance": result.distance, "null_99_percent": float(result.null.quantile(0.99)), "p_value": result.p_value}

    return {
        "seed": seed,
        "energies": [
            {
                "start": c.start,
                "flow": {"energy": c.flow_energy, "even_energy": float(c.flow_even.segment.sum()), "length": c.flow_even.length},
                "geodesic": {"energy": c.geodesic_energy, "length": c.geodesic.length, "evaluations": len(c.geodesic.trace)},
                "reference": dict(zip(("flow", "geodesic"), REFERENCE[c.start], strict=True)),
            }
            for c in compared
        ],
        "largest_departure_from_straight": {
            "pullback_geodesic_decoded": largest_departure(planar.pullback.decoded),
            "straight_noise_decoded": largest_departure(planar.straight_noise_decoded),
            "spacetime_geodesic_mean": largest_departure(planar.spacetime_mean),
        },
        "samples": {"probability_flow": test(sampled.flow), "reverse_sde": test(sampled.sde)},
        "jumps": [
            {"log_snr": float(at), **test(result)} for at, result in zip(sampled.jump_log_snr, sampled.jumps, strict=True)
        ],
    }  # fmt: skip


def _markdown(values: dict[str, Any]) -> str:
    departures, samples = values["largest_departure_from_straight"], values["samples"]
    lines = [
        "| start x at t = 1 | flow (reference) | geodesic (reference) | flow at constant speed | length of flow | of geodesic |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['start']:g} | {r['flow']['energy']:.4f} ({r['reference']['flow']:.4f}) "
            f"| {r['geodesic']['energy']:.4f} ({r['reference']['geodesic']:.4f}) "
            f"| {r['flow']['even_energy']:.4f} | {r['flow']['length']:.4f} | {r['geodesic']['length']:.4f} |"
            for r in values["energies"]
        ),
        "",
        "Energies are plain sums of d_eta·d_mu from t = 1 to 0.1: of the flow over 512 steps uniform in t, of the others over 512 points "
        "at constant speed. Nearly all that lies between the first two columns is the speed along the curve: compare the lengths.",
        "",
        "| curve between two data points in the plane | largest departure from the straight line, % of its length |",
        "|---|---|",
        f"| pullback geodesic, decoded | {100 * departures['pullback_geodesic_decoded']:.3f} |",
        f"| straight line in noise, decoded | {100 * departures['straight_noise_decoded']:.3f} |",
        f"| spacetime geodesic, its E[x_0] | {100 * departures['spacetime_geodesic_mean']:.3f} |",
        "",
        "| sampler, 500 samples against 500 draws | energy distance | 99 % of relabellings below | p |",
        "|---|---|---|---|",
        *(
            f"| {name} | {r['energy_distance']:.4f} | {r['null_99_percent']:.4f} | {r['p_value']:.2f} |"
            for name, r in (("probability flow", samples["probability_flow"]), ("reverse SDE", samples["reverse_sde"]))
        ),
    ]
    return "\n".join(lines) + "\n"


def _arrays(compared: list[FlowAndGeodesic], planar: PullbackAndSpacetime, sampled: Sampling) -> dict[str, np.ndarray]:
    """Times and x_t of the first mixture's curves; curves in the plane; quantiles (10, 50, 90 %) over trajectories against log_snr."""
    arrays = {}
    for c in compared:
        for name, eta in (("flow", c.flow), ("geodesic", c.geodesic.eta)):
            z = torch.cat(FAMILY.spacetime(eta), -1)
            arrays[f"{name}_{c.start:g}"] = torch.stack([time_at(z[:, 1]), z[:, 0]], dim=-1).numpy()
    arrays |= {
        "pullback_noise": planar.pullback.latent.numpy(),
        "pullback_decoded": planar.pullback.decoded.numpy(),
        "straight_noise_decoded": planar.straight_noise_decoded.numpy(),
        "spacetime_eta": planar.spacetime.eta.numpy(),
        "spacetime_mean": planar.spacetime_mean.numpy(),
        "trajectory_log_snr": SCHEDULE.numpy(),
    }
    for name, values in (("cosine", sampled.cosine), ("gap", sampled.gap), ("to_come", sampled.to_come)):
        arrays[f"trajectory_{name}"] = np.quantile(values.numpy(), [0.1, 0.5, 0.9], axis=1)
    return arrays
