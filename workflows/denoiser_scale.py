"""Which denoiser holds in many dimensions: targets with exact answers at D = 2 to 100, errors along curves off the windows.

    python workflows/denoiser_scale.py --out runs/denoiser_scale --seed 1

Every rival learns from the same frames: windows on the straight line from A to B and samples of p_0. They are judged on curves bent away
from that line, by the error of mu over the thermal spread. Writes table.md and table.json.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from designs.exact_targets import Target, coupled, ring, wells
from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.score_matching import NetworkTrainer
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.cartesian import Cartesian

PRECISION = 20.0
WINDOWS, EACH, PLAIN = 24, 160, 2000
CURVES, POINTS, BEND = 6, 33, 0.12
TARGETS: tuple[Callable[[int], Target], ...] = (wells, coupled, ring)


def frames(target: Target, rng: np.random.Generator) -> Ensembles:
    """Exact samples of p_0 and of windows, with the weights that converged MBAR would give them."""
    family, (a, b) = Cartesian(target.dimension), target.ends
    centers = a + np.linspace(0.0, 1.0, WINDOWS)[:, None] * (b - a)
    x = [target.draw(0.0 * a, 1e-9, PLAIN, rng), *(target.draw(c, PRECISION, EACH, rng) for c in centers)]
    level = torch.full((WINDOWS, 1), PRECISION, dtype=torch.double).log()
    eta = torch.cat([torch.zeros(1, family.dimension, dtype=torch.double), family.natural(torch.from_numpy(centers), level)])
    psi = np.concatenate([[0.0], target.moments(centers, np.full(WINDOWS, PRECISION))[0]])
    counts = torch.tensor([len(part) for part in x])
    t = family.features(torch.from_numpy(np.concatenate(x)))
    density = eta @ t.T + (counts.double().log() - torch.from_numpy(psi))[:, None]
    return Ensembles(WeightedSamples(t, -torch.logsumexp(density, dim=0)), eta, counts)


def bent(target: Target, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centers (N, D) and precisions (N,) of curves from A to B that leave the straight line by BEND in each coordinate and harmonic."""
    a, b = target.ends
    s = np.linspace(0.0, 1.0, POINTS)[:, None]
    centers, precisions = [], []
    for _ in range(CURVES):
        away = sum(np.sin(np.pi * k * s) * rng.standard_normal(target.dimension) / k for k in (1, 2, 3))
        centers.append(a + s * (b - a) + BEND * away)
        precisions.append(PRECISION * (1.0 + rng.random() * np.abs(2.0 * s[:, 0] - 1.0)))
    return np.concatenate(centers), np.concatenate(precisions)


def errors(denoiser: Denoiser, target: Target, centers: np.ndarray, precision: np.ndarray) -> tuple[float, float, float]:
    """Median and 90 % of the error of mu over the thermal spread, and the median effective samples."""
    _, mean, variance = target.moments(centers, precision)
    family = Cartesian(target.dimension)
    eta = family.natural(torch.from_numpy(centers), torch.from_numpy(precision).log()[:, None])
    found = denoiser.moments(eta)
    error = np.sqrt(((found.mean[:, :-1].numpy() - mean) ** 2).sum(axis=1) / variance)
    return float(np.median(error)), float(np.quantile(error, 0.9)), float(found.effective_samples.median())


def measured(target: Target, seed: int) -> dict[str, float | str | int]:
    """A row of the table."""
    rng = np.random.default_rng(seed)
    data = frames(target, rng)
    centers, precision = bent(target, rng)
    family = Cartesian(target.dimension)
    begin = time.perf_counter()
    fitted = NetworkTrainer(DenoiserSettings(network_from=1)).fit(data, family, data.eta[1:], seed=seed)
    seconds = time.perf_counter() - begin
    network, samples = (errors(d, target, centers, precision) for d in (fitted.denoiser, data.samples))
    return {
        "target": target.name, "D": target.dimension, "seed": seed, "network": network[0], "network 90 %": network[1],
        "weighted samples": samples[0], "samples 90 %": samples[1], "effective samples": samples[2], "training s": seconds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 10, 40, 100])
    args = parser.parse_args()
    rows = []
    args.out.mkdir(parents=True, exist_ok=True)
    for make in TARGETS:
        for dimension in args.dimensions:
            rows.append(measured(make(dimension), args.seed))
            (args.out / "table.json").write_text(json.dumps(rows, indent=1))
            text = [
                "| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0]),
                *("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |" for row in rows),
            ]  # fmt: skip
            (args.out / "table.md").write_text("\n".join(text) + "\n")
            print(text[-1], flush=True)


if __name__ == "__main__":
    main()
