"""Walks in windows on a surface: Metropolis-adjusted Langevin steps on exp(-U/kT) times a window's factor of T."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.potentials.surface import Surface
from spacetime_tps.surfaces.langevin import Tilt, metropolis_step, placed
from spacetime_tps.windows.window import Window

MOBILITY = 1.0
"""Variance of a step's noise times the window's stiffness"""


def tilt_of(window: Window, family: Family) -> Tilt:
    """log f (n,) of a window and its gradient (n, D) at x (n, D): the window's slope in T, pulled back as eta of a family is."""

    def tilt(x: Tensor) -> tuple[Tensor, Tensor]:
        features = family.features(x).numpy()
        slope = torch.from_numpy(window.slope(features))
        return torch.from_numpy(window.log_factor(features)), family.bias(slope, x)[1]

    return tilt


def walk(
    surface: Surface, kT: float, family: Family, windows: Sequence[Window], start: np.ndarray, *, steps: int, generator: torch.Generator
) -> np.ndarray:
    """Frames (K, steps, W, D) of W walks from start (W, D), `steps` of them in each of K windows, one window after the other.

    A step has noise of variance `MOBILITY` / stiffness: for variables that change by about one per unit of the coordinates. Takes
    W (1 + K steps) evaluations.
    """
    walkers = placed(surface, torch.from_numpy(start).double())
    found = []
    for window in windows:
        tilt, ds = tilt_of(window, family), MOBILITY / window.stiffness
        for _ in range(steps):
            walkers, _ = metropolis_step(surface, kT, tilt, walkers, ds=ds, generator=generator)
            found.append(walkers.x)
    frames = torch.stack(found) if found else torch.zeros(0, *start.shape, dtype=torch.double)
    return frames.numpy().reshape(len(windows), steps, *start.shape)
