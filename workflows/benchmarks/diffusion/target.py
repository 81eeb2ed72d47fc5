"""Alanine dipeptide's (phi, psi) as the data of a diffusion model: the exact denoiser, draws, conformers and how high they lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.surface import bundled_surface
from spacetime_tps.denoisers.embedded import Embedded
from spacetime_tps.denoisers.quadrature import periodic_grid, quadrature
from spacetime_tps.denoisers.samples import WeightedSamples
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.geometry.denoiser import confinement_free_energy
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.families.von_mises import VonMises
from spacetime_tps.potentials.tabulated import load_surface

TORSIONS, SPACE = VonMises(2), Cartesian(4)
"""The angles' own family, and the space of their cosines and sines, where noise is added"""
FIRST, LAST, STEPS = -6.0, 6.0, 48
SCHEDULE = torch.linspace(FIRST, LAST, STEPS + 1, dtype=torch.double)
"""log SNR from noise (20 times wider than the circle) to data (0.05 rad)"""
GRID, COARSE = 96, 36
"""Points a torsion: the trapezoid rule is exact to 1e-5 at log SNR 6, and, on the coarse grid, to 1e-5 at kappa 50"""
SEEKING, LATTICE, ITERATIONS, APART = 30.0, 12, 300, 0.2
"""Conformers: modes at this concentration, sought from a lattice; modes closer than this (rad) are one"""
HEIGHT_LEVEL = 50.0
FRAMES = 3000
"""Of a run, at most: every so many of its frames are taken"""


@dataclass(frozen=True)
class Target:
    """The distribution that is known, as weighted points."""

    name: str
    exact: WeightedSamples
    """In the family TORSIONS"""
    coarse: WeightedSamples
    """The same with fewer points, for kappa of 50 at most"""
    cell: float
    """Edge of the square (rad) that a point of `exact` stands for; zero for frames"""

    @property
    def model(self) -> Embedded:
        """The exact denoiser in SPACE."""
        return Embedded(self.exact)

    def draw(self, count: int, generator: torch.Generator, eta: Tensor | None = None) -> Tensor:
        """Independent angles (count, 2) of p_0, or of p_eta at eta (4,): points by their weights, spread evenly over their cells."""
        log_weight = self.exact.log_weights if eta is None else self.exact.log_weights + self.exact.features @ eta
        rows = torch.multinomial(torch.softmax(log_weight, dim=0), count, replacement=True, generator=generator)
        spread = self.cell * (torch.rand(count, 2, generator=generator, dtype=torch.double) - 0.5)
        return TORSIONS.center(self.exact.features[rows]) + spread

    def height(self, angles: Tensor) -> Tensor:
        """KL(p_eta || p_0) (..., ) in kT at angles (..., 2) and kappa 50: what holding the molecule there costs."""
        eta = TORSIONS.natural(angles, torch.full_like(angles, HEIGHT_LEVEL))
        return confinement_free_energy(eta, self.coarse.moments(eta))

    def conformers(self) -> Tensor:
        """Modes (K, 2) of p_0 blurred at kappa 30, by mean shift from a lattice, the lowest first."""
        z = TORSIONS.features(periodic_grid(LATTICE, 2))
        for _ in range(ITERATIONS):
            z = self.exact.moments(SEEKING * z).mean
        found: list[Tensor] = []
        for angles in TORSIONS.center(z):
            if all(float(apart(angles, other)) > APART for other in found):
                found.append(angles)
        modes = torch.stack(found)
        return modes[self.height(modes).argsort()]


def apart(a: Tensor, b: Tensor) -> Tensor:
    """Distance (...) in radians of angles a and b (..., 2) on the torus, the short way round each."""
    return (torch.remainder(a - b + torch.pi, 2.0 * torch.pi) - torch.pi).norm(dim=-1)


def surface_target(kT: float) -> Target:
    """exp(-U/kT) of the bundled surface by quadrature; kT in kJ/mol."""
    surface = load_surface(bundled_surface("alanine_dipeptide_surface"))
    fine, coarse = (quadrature(TORSIONS, periodic_grid(n, 2), surface.energy, kT=kT) for n in (GRID, COARSE))
    return Target(f"the bundled surface at kT = {kT:g} kJ/mol", fine, coarse, 2.0 * np.pi / GRID)


def run_target(folder: Path) -> Target:
    """The weighted frames of the best route of a finished run in two torsions, thinned to 3,000.

    Raises SpacetimeError where the folder holds none, or other coordinates.
    """
    path = folder / "samples" / "weighted_1.npz"
    if not path.is_file():
        raise SpacetimeError(f"{folder} holds no weighted frames (samples/weighted_1.npz): give a finished run")
    with np.load(path) as data:
        features, log_weight = torch.from_numpy(data["features"]), torch.from_numpy(data["log_weight"])
    if features.shape[1] != TORSIONS.dimension or not torch.allclose(features.square().sum(-1), torch.tensor(2.0).double()):
        raise SpacetimeError(f"the frames of {folder} are not in two torsions: features have shape {tuple(features.shape)}")
    every = -(-len(features) // FRAMES)
    samples = WeightedSamples(features[::every], log_weight[::every])
    return Target(f"weighted frames of {folder.name}", samples, samples, 0.0)
