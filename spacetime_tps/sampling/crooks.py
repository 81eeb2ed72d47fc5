"""What driven paths say of free energies: the work of each, what both directions dissipate, and the difference between A and B.

A restraint is driven along eta_0 ... eta_N, natural parameters of p_eta(x) ~ exp(-U(x)/kT + eta . T(x)); reverse paths walk the same
schedule backwards. All energies are in kT.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.sampling.free_energy import Difference, bar, common_statistical_inefficiency

LEAST = 1.0
"""Paths that both directions must share for BAR: its standard error is sqrt(2) kT then. Below, the error itself means nothing"""
FEWEST_FRAMES = 5.0
"""Independent frames of plain MD under the restraint that paths begin in, at least"""


def work(features: np.ndarray, eta: np.ndarray) -> float:
    """W = -sum_n (eta_{n+1} - eta_n) . T(x_n), the work (kT) on one path, x_n where the molecule is when the restraint changes (Jarzynski
    1997, doi:10.1103/PhysRevLett.78.2690; Crooks 1998, doi:10.1023/A:1023208217925).

    features: T (F, E) of the frames of a path; eta (F, E): of the restraint that each was made under. The last frame before each change
    must be among them. Holding the restraint costs nothing.
    """
    return float(-(np.diff(eta, axis=0) * features[:-1]).sum())


@dataclass(frozen=True)
class Drive:
    """P paths driven one way, and MD in the state that they begin in."""

    work: np.ndarray
    """(P,)"""
    hit: np.ndarray
    """(P,) bool: whether the last frame is in the other state"""
    plain: Sequence[np.ndarray]
    """(F,) a walk: eta . T of the frames of MD without a restraint that are in the state, eta that of the first point"""


def dissipated_work(forward: np.ndarray, reverse: np.ndarray) -> tuple[float, float]:
    """<W_F> + <W_R> and its standard error, kT, of all paths (P,) and (Q,), hits or not.

    Never negative in the mean. For slow drives it is the Fisher-Rao energy of the schedule times relaxation time over duration (Crooks
    2007, doi:10.1103/PhysRevLett.99.100602; Sivak, Crooks 2012, doi:10.1103/PhysRevLett.108.190602).
    """
    (forth, error), (back, other) = mean(forward), mean(reverse)
    return forth + back, float(np.hypot(error, other))


def mean(x: np.ndarray) -> tuple[float, float]:
    """Mean of independent draws (P,), two or more, and its standard error."""
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))


@dataclass(frozen=True)
class FreeEnergy:
    """F_B - F_A, kT, and what it rests on."""

    value: float
    error: float
    paths: Difference
    """Between the restrained ends, from hits alone: where the densities of W_F and -W_R cross"""
    in_a: "Restrained"
    """From A to A under eta_0"""
    in_b: "Restrained"
    """From B to B under eta_N"""


@dataclass(frozen=True)
class Restrained:
    """What a restraint within a state costs, kT."""

    value: float
    error: float
    frames: float
    """Independent frames of plain MD that have the restraint's weight"""

    @staticmethod
    def of(plain: Sequence[np.ndarray]) -> "Restrained":
        """g = -log <exp(eta . T)> over walks, (F,) each as Drive.plain (Zwanzig 1954, doi:10.1063/1.1740409); its error by the statistical
        inefficiency of exp(eta . T) itself about the mean of all."""
        highest = max(walk.max() for walk in plain if len(walk))
        factor = [np.exp(walk - highest) for walk in plain]
        every, slow = np.concatenate(factor), common_statistical_inefficiency(factor)
        error = float(every.std() / every.mean() * np.sqrt(slow / len(every)))
        return Restrained(-float(np.log(every.mean()) + highest), error, effective_number(every) / slow)


def free_energy_difference(forward: Drive, reverse: Drive) -> FreeEnergy:
    """F_B - F_A = -log(Z_B / Z_A), with Z_A the integral of exp(-U/kT) over A.

    Forward paths begin in equilibrium under eta_0 restricted to A, Z_A0 = integral over A of exp(-U/kT + eta_0 . T); reverse ones under
    eta_N restricted to B, Z_BN. A path from A to B and its mirror image obey Crooks' theorem (1999, doi:10.1103/PhysRevE.60.2721)

        h_F p_F(W) exp(-W) = h_R p_R(-W) exp(-f),    f = -log(Z_BN / Z_A0),

    with h the share of hits and p the density of their works. So BAR over the hits alone gives f + log(h_F / h_R). To free ends it is

        F_B - F_A = f + g_A - g_B,    g_A = -log <exp(eta_0 . T)>_A = -log(Z_A0 / Z_A),    g_B = -log <exp(eta_N . T)>_B,

    g over all frames of plain MD in the state: the starts of the paths are draws from these and windows, and know no more. Needs a hit
    either way and frames in both states. Errors of BAR, of both g and of the shares of hits (binomial) are added as if independent.
    """
    paths = bar(forward.work[forward.hit], reverse.work[reverse.hit])
    in_a, in_b = (Restrained.of(drive.plain) for drive in (forward, reverse))
    shares = [drive.hit.mean() for drive in (forward, reverse)]
    variance = sum(error**2 for error in (paths.error, in_a.error, in_b.error))
    variance += sum((1.0 - h) / (h * len(drive.hit)) for h, drive in zip(shares, (forward, reverse), strict=True))
    value = paths.value - float(np.log(shares[0] / shares[1])) + in_a.value - in_b.value
    return FreeEnergy(value, float(np.sqrt(variance)), paths, in_a, in_b)
