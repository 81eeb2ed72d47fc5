"""Curves, free energies along them, and the weighted equilibrium frames behind them, as arrays."""

from dataclasses import dataclass, field
from typing import Any

import mdtraj
import numpy as np
import torch

from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule


@dataclass(frozen=True)
class Curve:
    """An optimised curve of N points through the denoising distributions p_eta(x) ~ exp(-U(x)/kT + eta . T(x))."""

    name: str
    """Of its route"""
    eta: np.ndarray = field(repr=False)
    """(N, E)"""
    center: np.ndarray = field(repr=False)
    """(N, D) of the restraint, in units of the coordinates"""
    precision: np.ndarray = field(repr=False)
    """(N, L) of the restraint, per rad^2 or per 0.01 nm^2"""
    mu: np.ndarray = field(repr=False)
    """(N, E) means of T"""
    cost: np.ndarray = field(repr=False)
    """(N,) kT: KL(p_eta || p_0), what confining the molecule to each point costs"""
    effective_samples: np.ndarray = field(repr=False)
    """(N,) independent frames that each point rests on"""
    length: float
    """Fisher-Rao"""

    @staticmethod
    def of(run: RunData, arrays: dict[str, np.ndarray]) -> "Curve":
        """Of one of a run's routes."""
        return Curve(
            str(arrays["name"]), arrays["eta"], run.scaled(arrays["center"]), arrays["precision"], arrays["mu"], arrays["kl_kT"],
            arrays["n_eff"], float(arrays["length"]),
        )  # fmt: skip


@dataclass(frozen=True)
class FreeEnergies:
    """-psi of the W windows exp(-U/kT + eta . T) along the best curve, in kT, the first one's zero."""

    eta: np.ndarray = field(repr=False)
    """(W, E)"""
    center: np.ndarray = field(repr=False)
    """(W, D) of the restraint, in units of the coordinates"""
    value: np.ndarray = field(repr=False)
    """(W,) kT, by MBAR"""
    error: np.ndarray = field(repr=False)
    """(W,) kT, standard errors"""
    forward: np.ndarray = field(repr=False)
    """(W,) kT, by BAR from the windows walked from A alone"""
    backward: np.ndarray = field(repr=False)
    """(W,) kT, from those walked from B alone: where it differs from `forward`, the windows are not equilibrated"""
    deepest: np.ndarray = field(repr=False)
    """(W,) kT: eta . T at the window's center, where its restraint is lowest"""

    @property
    def profile(self) -> np.ndarray:
        """(W,) kT, the first zero: the same with each restraint's energy zero at its center, as harmonic restraints have it. It is the free
        energy along `center`, smoothed by the restraints where they are alike."""
        found = self.value + self.deepest
        return np.asarray(found - found[0])

    @staticmethod
    def of(run: RunData) -> "FreeEnergies":
        """Of a run."""
        arrays = run.free_energy
        family, eta = run.coordinates.family(), torch.from_numpy(arrays["eta"])
        center = family.center(eta)
        deepest = (eta * family.features(center)).sum(-1).numpy()
        value, error, forward, backward = (arrays[key] for key in ("free_energy_kT", "error_kT", "forward_kT", "backward_kT"))
        return FreeEnergies(arrays["eta"], run.scaled(center.numpy()), value, error, forward, backward, deepest)


@dataclass(frozen=True, repr=False)
class Samples:
    """S equilibrium frames with Boltzmann weights: MD in both ends and windows of the best route's class, weighed together by MBAR."""

    positions: np.ndarray = field(repr=False)
    """(S, atoms, 3) float32, nm"""
    velocities: np.ndarray = field(repr=False)
    """(S, atoms, 3) float32, nm/ps, half a step before their frames"""
    values: np.ndarray = field(repr=False)
    """(S, D), in units of the coordinates"""
    log_weight: np.ndarray = field(repr=False)
    """(S,)"""
    _molecule: Molecule = field(repr=False)

    def __repr__(self) -> str:
        return f"<{len(self.log_weight)} equilibrium frames with weights>"

    @property
    def weights(self) -> np.ndarray:
        """(S,) Boltzmann weights that sum to one: `weights @ f` is the average of f (S, ...) at the run's temperature."""
        return np.exp(self.log_weight)

    def mdtraj(self) -> mdtraj.Trajectory:
        """For MDTraj; frames are numbered, not timed."""
        return self._molecule.trajectory(self.positions)

    def universe(self) -> Any:
        """An MDAnalysis.Universe in memory, in Å; `ts.data["weight"]` is the frame's weight."""
        from spacetime_tps.results.universe import universe

        found, numbers = self._molecule, np.arange(len(self.weights), dtype=float)
        return universe(found.topology_file, self.positions, self.velocities, self.weights, times=numbers, cell=found.cell)

    @staticmethod
    def of(run: RunData, molecule: Molecule) -> "Samples":
        """Of a run's best route."""
        positions, velocities, log_weight = run.weighted
        values, _ = run.frames
        return Samples(positions, velocities, values, log_weight, molecule)
