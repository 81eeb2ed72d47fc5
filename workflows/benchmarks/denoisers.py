"""Which denoiser is right where a run has not looked: network, mixture and weighted samples at windows that none of them has seen."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from designs import cartesian_networks
from designs.molecule_problem import GAUSSIAN_RATES, GAUSSIAN_STEPS, GAUSSIANS, cartesian_loss
from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.denoisers.protocol import Ensembles
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.denoisers.score_matching import NetworkTrainer, beside, held_out, is_window, unseen
from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.denoisers.training import Lessons, Unseen, from_samples, supported, train
from spacetime_tps.engines.openmm.simulation import Simulation
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.files import write_json, write_text
from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.problems import problem as preparation
from spacetime_tps.report.table import markdown
from spacetime_tps.settings import validated
from spacetime_tps.storage.folder import Folder

NETWORK, MIXTURE, SAMPLES = "network", "mixture", "weighted samples"
HEAD = ("run", "coordinates", "frames", "unseen windows", "effective samples there", *(f"{name}" for name in (NETWORK, MIXTURE, SAMPLES)),
        "a window's standard error", "training, s: network", "mixture")  # fmt: skip


def mixture(samples: WeightedSamples, lessons: Lessons, family: Family, settings: DenoiserSettings, *, seed: int) -> Denoiser | None:
    """A mixture fitted to the moments of weighted samples at the lessons: von Mises for torsions, Gaussians for lengths; None for both at
    once."""
    if isinstance(family, VonMises):
        torsional = from_samples(samples, settings.components)
        train(torsional, lessons, lessons, steps=settings.steps, seed=seed)
        return torsional.requires_grad_(False)
    if isinstance(family, Cartesian):
        gaussian = cartesian_networks.Mixture(samples.features[:, list(family.locations)], samples.log_weights, GAUSSIANS)
        train(gaussian, lessons, lessons, steps=GAUSSIAN_STEPS, seed=seed, loss=cartesian_loss, rates=GAUSSIAN_RATES)
        return gaussian.requires_grad_(False)
    return None


def compared(data: Ensembles, family: Family, curve: torch.Tensor, settings: DenoiserSettings, *, seed: int) -> dict[str, Any]:
    """Errors of mu over the thermal spread, medians over the windows that are held out, and what training took.

    All learn from the same frames; network and mixture are told the weighted samples' moments at as many points beside the windows.
    Raises ValueError where there are too few windows to hold one out.
    """
    held = held_out(data.eta)
    begin = time.perf_counter()
    fitted = NetworkTrainer(settings).fit(data, family, curve, seed=seed)
    trained = time.perf_counter()
    kept = data.samples.restricted(~torch.repeat_interleave(held, data.counts))
    near = beside(family, data.eta[is_window(data.eta) & ~held], settings.lessons, torch.Generator().manual_seed(seed))
    rival = mixture(kept, supported(kept, near, family=family), family, settings, seed=seed)
    told: Unseen | None = fitted.record.unseen
    assert told is not None
    return {
        "coordinates": len(family.angular), "frames": len(data.samples.features), "windows": told.windows,
        "effective_samples": float(kept.moments(data.eta[held]).effective_samples.median()),
        NETWORK: told.denoiser, MIXTURE: None if rival is None else unseen(rival, data, held, family).denoiser, SAMPLES: told.samples,
        "standard_error": told.standard_error, "network_s": trained - begin, "mixture_s": time.perf_counter() - trained,
    }  # fmt: skip


def ensembles(run: Path) -> tuple[Ensembles, Coordinates, torch.Tensor, DenoiserSettings]:
    """Of the best route's class: its frames by the windows that they are from, the coordinates, the curve (N, E), the denoiser's settings.

    Raises SpacetimeError where there is no finished run.
    """
    if not (run / "geodesic.npz").exists():
        raise SpacetimeError(f"{run} holds no finished run")
    problem = preparation.load(run)
    with Simulation(problem.model, processes=1, storage=Folder(run)) as simulation:
        best = Sampled.load(simulation).curves[0]
    samples = WeightedSamples(torch.from_numpy(best.features), torch.from_numpy(best.log_weight))
    data = Ensembles(samples, torch.from_numpy(best.ensembles), torch.from_numpy(best.counts))
    settings = validated(yaml.safe_load((run / "config.yaml").read_text())["settings"]).denoiser
    return data, problem.coordinates, torch.from_numpy(best.eta), settings


def run_denoisers(runs: Sequence[Path], out: Path, *, seed: int) -> str:
    """One row a run folder; table.md's content."""
    rows = []
    for run in runs:
        data, coordinates, curve, settings = ensembles(run)
        rows.append({"run": run.name, **compared(data, coordinates.family(), curve, settings, seed=seed)})
        write_json(out / "table.json", {"seed": seed, "rows": rows})
        write_text(out / "table.md", told(rows))
    return told(rows)


def told(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table."""
    return markdown(HEAD, [
        (
            row["run"], str(row["coordinates"]), str(row["frames"]), str(row["windows"]), f"{row['effective_samples']:.0f}",
            *(f"{row[key]:.3f}" if row[key] is not None else "–" for key in (NETWORK, MIXTURE, SAMPLES, "standard_error")),
            f"{row['network_s']:.0f}", f"{row['mixture_s']:.0f}",
        )
        for row in rows
    ])  # fmt: skip
