"""Exponential families: the features T that a restraint acts on, and how its natural parameter eta reads as center and noise level."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.geometry.bessel import log_i0
from spacetime_tps.geometry.schedule import Schedule, VariancePreserving

TINY = 1e-12
"""Added to kappa^2: no corner at zero, where a gradient would have no direction"""


class Family(Protocol):
    """What geometry and denoisers need to know of coordinates: p_eta(x) is proportional to exp(-U(x)/kT + eta . T(x))."""

    @property
    def dimension(self) -> int:
        """Length E of eta and of T."""

    @property
    def locations(self) -> tuple[int, ...]:
        """Which entries of T move with the coordinates; the others are their squares."""

    @property
    def angular(self) -> np.ndarray:
        """(D,) bool: which coordinates are angles."""

    def features(self, x: Tensor) -> Tensor:
        """T (..., E) of coordinates (..., D)."""

    def level(self, eta: Tensor) -> Tensor:
        """Noise level of eta (..., E), as (..., L): the larger, the narrower p_eta."""

    def precision(self, eta: Tensor) -> Tensor:
        """Largest second derivative of -eta . T over the coordinates (...): the inverse variance that the noise alone would leave."""

    def precisions(self, eta: Tensor) -> Tensor:
        """The inverse variance that the noise alone would leave, for each noise level, (..., L)."""

    def level_of(self, precision: Tensor) -> Tensor:
        """The noise levels (..., L) with precisions (..., L)."""

    def spread(self, mean: Tensor) -> Tensor:
        """The variance of all that one noise level is of, (..., L), from the mean of T (..., E)."""

    def center(self, eta: Tensor) -> Tensor:
        """Where p_eta is drawn to, eta (..., E) to coordinates (..., D)."""

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """The eta (..., E) with this center (..., D) and level (..., L)."""

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T(x) (...) and its gradient with respect to the coordinates x (..., D)."""

    @property
    def sites(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """What moves by itself: the one or two entries of T that belong together, and which of the noise levels is theirs."""

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """A log-partition (...) for want of a better: with T of this center and variance (locations,), or T unknown but for its size."""

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """What an observation of T (..., E) under noise of precision (..., L) adds to eta (..., E); normal (..., E): standard numbers.

        With x from p_eta and y = T + noise, x given y is from p of eta plus this: Bayes' rule.
        """

    def chart(self, eta: Tensor) -> Tensor:
        """A curve eta (N, E) in the coordinates that splines run in and the optimiser moves, (N, E): all of comparable size."""

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""


class VonMises:
    """Torsion angles: T = (cos theta_1, sin theta_1, cos theta_2, ...), so that nothing wraps.

    eta_i = kappa_i (cos c_i, sin c_i), and exp(eta . T) is a product of von Mises factors with centers c_i and concentrations
    kappa_i = |eta_i|. Since |T| is constant, kappa is the noise level: a separate log_snr would be a gauge.
    """

    def __init__(self, torsions: int):
        if torsions < 1:
            raise ValueError(f"torsions must be at least 1, got {torsions}")
        self.torsions = torsions

    @property
    def dimension(self) -> int:
        return 2 * self.torsions

    @property
    def locations(self) -> tuple[int, ...]:
        return tuple(range(2 * self.torsions))

    @property
    def angular(self) -> np.ndarray:
        return np.ones(self.torsions, dtype=bool)

    def features(self, angles: Tensor) -> Tensor:
        """T of angles (..., n) in radians, as (..., 2n)."""
        return torch.stack([torch.cos(angles), torch.sin(angles)], dim=-1).flatten(-2)

    def level(self, eta: Tensor) -> Tensor:
        """Concentrations kappa (..., n)."""
        return eta.unflatten(-1, (self.torsions, 2)).norm(dim=-1)

    def precision(self, eta: Tensor) -> Tensor:
        """The largest concentration (...)."""
        return self.level(eta).amax(-1)

    def precisions(self, eta: Tensor) -> Tensor:
        """Concentrations (..., n)."""
        return self.level(eta)

    def level_of(self, precision: Tensor) -> Tensor:
        """Concentrations themselves."""
        return precision

    def spread(self, mean: Tensor) -> Tensor:
        """1 - |mu_i|^2 (..., n)."""
        return 1.0 - mean.unflatten(-1, (self.torsions, 2)).square().sum(-1)

    def center(self, eta: Tensor) -> Tensor:
        """Mean directions (..., n) in (-pi, pi]."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        return torch.atan2(pairs[..., 1], pairs[..., 0])

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., 2n) from angles (..., n) in radians and concentrations (..., n)."""
        return (level.unsqueeze(-1) * self.features(center).unflatten(-1, (self.torsions, 2))).flatten(-2)

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T (...) and its gradient (..., n) per radian, at angles x (..., n)."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        cosine, sine = torch.cos(x), torch.sin(x)
        return (pairs[..., 0] * cosine + pairs[..., 1] * sine).sum(-1), pairs[..., 1] * cosine - pairs[..., 0] * sine

    @property
    def sites(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """A torsion each."""
        return tuple(((2 * k, 2 * k + 1), k) for k in range(self.torsions))

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """That of free rotation, sum log I_0(kappa_i) (...)."""
        pairs = eta.unflatten(-1, (self.torsions, 2))
        return log_i0((pairs.square().sum(-1) + TINY).sqrt())[0].sum(-1)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """precision * (T + normal / sqrt(precision)), torsion by torsion: |T| is constant, and its square drops out."""
        wide = precision.repeat_interleave(2, dim=-1)
        return wide * features + wide.sqrt() * normal

    def chart(self, eta: Tensor) -> Tensor:
        """eta itself: polar coordinates would tear at kappa = 0, where a curve may pass."""
        return eta

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return z


class VonMisesAbove(VonMises):
    """Torsion angles whose concentrations stay above a floor by construction: the low-variance constraint, met exactly.

    The chart is polar, (c_i, u_i) with kappa_i = floor (1 + u_i^2). Above a floor kappa = 0 is out of reach, so a curve cannot slip
    through it to the other side of the circle, and an optimiser cannot change the winding of a route.
    """

    def __init__(self, torsions: int, *, floor: float):
        super().__init__(torsions)
        if floor <= 0:
            raise ValueError(f"floor must be positive, got {floor}")
        self.floor = floor

    def chart(self, eta: Tensor) -> Tensor:
        """(c, u) of a curve (N, 2n), the centers c continuous along it; concentrations below the floor are raised to it."""
        center = torch.from_numpy(np.unwrap(self.center(eta).detach().numpy(), axis=-2))
        return torch.cat([center, (self.level(eta) / self.floor - 1.0).clamp_min(0.0).sqrt()], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        center, above = z.chunk(2, dim=-1)
        return self.natural(center, self.floor * (1.0 + above.square()))


class Cartesian:
    """Coordinates x in R^D under Gaussian noise x_t = alpha x + sigma eps: T = (x, |x|^2), eta = (alpha/sigma^2 x_t, -SNR/2).

    exp(eta . T) is, up to a constant, exp(-SNR/2 |x - x_t/alpha|^2): the center is x_t/alpha and the noise level log_snr. The schedule only
    decides which x_t stands for a center; the distributions, and with them the geometry, depend on eta alone.
    """

    def __init__(self, coordinates: int, schedule: Schedule | None = None):
        if coordinates < 1:
            raise ValueError(f"coordinates must be at least 1, got {coordinates}")
        self.coordinates = coordinates
        self.schedule = schedule or VariancePreserving()

    @property
    def dimension(self) -> int:
        return self.coordinates + 1

    @property
    def locations(self) -> tuple[int, ...]:
        return tuple(range(self.coordinates))

    @property
    def angular(self) -> np.ndarray:
        return np.zeros(self.coordinates, dtype=bool)

    def features(self, x: Tensor) -> Tensor:
        """T of x (..., D), as (..., D+1)."""
        return torch.cat([x, x.square().sum(-1, keepdim=True)], dim=-1)

    def level(self, eta: Tensor) -> Tensor:
        """log_snr (..., 1)."""
        return torch.log(-2.0 * eta[..., -1:])

    def precision(self, eta: Tensor) -> Tensor:
        """The signal-to-noise ratio (...)."""
        return -2.0 * eta[..., -1]

    def precisions(self, eta: Tensor) -> Tensor:
        """The signal-to-noise ratio (..., 1)."""
        return -2.0 * eta[..., -1:]

    def level_of(self, precision: Tensor) -> Tensor:
        """log_snr (..., 1)."""
        return precision.log()

    def spread(self, mean: Tensor) -> Tensor:
        """E|x|^2 - |E x|^2 (..., 1)."""
        return mean[..., -1:] - mean[..., :-1].square().sum(-1, keepdim=True)

    def center(self, eta: Tensor) -> Tensor:
        """x_t / alpha (..., D)."""
        return eta[..., :-1] / (-2.0 * eta[..., -1:])

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., D+1) from x_t / alpha (..., D) and log_snr (..., 1)."""
        snr = level.exp()
        return torch.cat([snr * center, -0.5 * snr], dim=-1)

    def at(self, x_t: Tensor, log_snr: Tensor) -> Tensor:
        """eta (..., D+1) of the spacetime point x_t (..., D), log_snr (..., 1)."""
        return self.natural(x_t / self.schedule.alpha(log_snr), log_snr)

    def spacetime(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """x_t (..., D) and log_snr (..., 1) of eta (..., D+1): the inverse of `at`."""
        log_snr = self.level(eta)
        return self.schedule.alpha(log_snr) * self.center(eta), log_snr

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T (...) and its gradient (..., D) at x (..., D)."""
        a, b = eta[..., :-1], eta[..., -1:]
        return (a * x).sum(-1) + b[..., 0] * x.square().sum(-1), a + 2.0 * b * x

    @property
    def sites(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """A coordinate each, all of one noise level."""
        return tuple(((k,), 0) for k in range(self.coordinates))

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """That of independent normal coordinates (...)."""
        a, snr = eta[..., :-1], -2.0 * eta[..., -1:]
        stiff = 1.0 / variance + snr
        pulled = a + center / variance
        return 0.5 * (pulled.square() / stiff - center.square() / variance - (variance * stiff).log()).sum(-1)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """precision * (x + normal / sqrt(precision)), and -precision / 2 for the square."""
        place = precision * features[..., :-1] + precision.sqrt() * normal[..., :-1]
        return torch.cat([place, -0.5 * precision], dim=-1)

    def chart(self, eta: Tensor) -> Tensor:
        """(m, log q), mean and log precision of the posterior of standard normal data: q = 1 + SNR, m = SNR x_t / (alpha q).

        Where noise rules these are eta up to factors, where the data do they are (x_t/alpha, log_snr). Out of pure noise a geodesic runs
        straight in eta, while (x_t, log_snr) change without limit in next to no length, which a spline cannot follow with few nodes.
        Meant for data of unit size, within a factor of ten.
        """
        q = 1.0 - 2.0 * eta[..., -1:]
        return torch.cat([eta[..., :-1] / q, q.log()], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`; SNR > 0 wherever log q > 0."""
        return torch.cat([z[..., :-1] * z[..., -1:].exp(), -0.5 * torch.expm1(z[..., -1:])], dim=-1)


class ProductFamily:
    """Independent noise in each of several blocks: eta, T, coordinates and levels are those of the blocks side by side."""

    def __init__(self, blocks: Sequence[Family]):
        if not blocks:
            raise ValueError("a product needs at least one family")
        self.blocks = tuple(blocks)
        self._sizes = [block.dimension for block in self.blocks]
        self._widths = [len(block.angular) for block in self.blocks]
        self._levels = [block.precisions(torch.ones(block.dimension, dtype=torch.double)).shape[-1] for block in self.blocks]

    @property
    def dimension(self) -> int:
        return sum(self._sizes)

    @property
    def locations(self) -> tuple[int, ...]:
        firsts = np.cumsum([0, *self._sizes[:-1]]).tolist()
        return tuple(first + k for first, block in zip(firsts, self.blocks, strict=True) for k in block.locations)

    @property
    def angular(self) -> np.ndarray:
        return np.concatenate([block.angular for block in self.blocks])

    def features(self, x: Tensor) -> Tensor:
        """T (..., E) of coordinates (..., D)."""
        return torch.cat([b.features(part) for b, part in zip(self.blocks, x.split(self._widths, -1), strict=True)], dim=-1)

    def level(self, eta: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.level(part) for b, part in self._parts(eta)], dim=-1)

    def precision(self, eta: Tensor) -> Tensor:
        """The largest of the blocks' (...)."""
        return torch.stack([b.precision(part) for b, part in self._parts(eta)]).amax(0)

    def precisions(self, eta: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.precisions(part) for b, part in self._parts(eta)], dim=-1)

    def level_of(self, precision: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.level_of(p) for b, p in zip(self.blocks, precision.split(self._levels, -1), strict=True)], dim=-1)

    def spread(self, mean: Tensor) -> Tensor:
        """(..., L)."""
        return torch.cat([b.spread(part) for b, part in self._parts(mean)], dim=-1)

    def center(self, eta: Tensor) -> Tensor:
        """(..., D)."""
        return torch.cat([b.center(part) for b, part in self._parts(eta)], dim=-1)

    def natural(self, center: Tensor, level: Tensor) -> Tensor:
        """eta (..., E) from centers (..., D) and levels (..., L)."""
        parts = zip(self.blocks, center.split(self._widths, -1), level.split(self._levels, -1), strict=True)
        return torch.cat([b.natural(c, v) for b, c, v in parts], dim=-1)

    def bias(self, eta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """eta . T(x) (...) and its gradient (..., D)."""
        found = [b.bias(e, part) for (b, e), part in zip(self._parts(eta), x.split(self._widths, -1), strict=True)]
        return torch.stack([value for value, _ in found]).sum(0), torch.cat([slope for _, slope in found], dim=-1)

    @property
    def sites(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """The blocks' sites, one after the other."""
        entry = np.cumsum([0, *self._sizes[:-1]]).tolist()
        level = np.cumsum([0, *self._levels[:-1]]).tolist()
        blocks = zip(self.blocks, entry, level, strict=True)
        return tuple((tuple(k + e for k in site), n + v) for block, e, v in blocks for site, n in block.sites)

    def reference(self, eta: Tensor, center: Tensor, variance: Tensor) -> Tensor:
        """The sum of the blocks'."""
        sizes = [len(block.locations) for block in self.blocks]
        parts = zip(self._parts(eta), center.split(sizes, -1), variance.split(sizes, -1), strict=True)
        return torch.stack([b.reference(part, c, v) for (b, part), c, v in parts]).sum(0)

    def noised(self, features: Tensor, precision: Tensor, normal: Tensor) -> Tensor:
        """The blocks' side by side."""
        parts = zip(self._parts(features), precision.split(self._levels, -1), normal.split(self._sizes, -1), strict=True)
        return torch.cat([b.noised(part, p, n) for (b, part), p, n in parts], dim=-1)

    def chart(self, eta: Tensor) -> Tensor:
        """The blocks' charts side by side."""
        return torch.cat([b.chart(part) for b, part in self._parts(eta)], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`."""
        return torch.cat([b.from_chart(part) for b, part in self._parts(z)], dim=-1)

    def _parts(self, eta: Tensor) -> list[tuple[Family, Tensor]]:
        return list(zip(self.blocks, eta.split(self._sizes, -1), strict=True))


def values_of(features: np.ndarray, family: Family) -> np.ndarray:
    """Values (S, D) of the coordinates behind features T (S, E)."""
    moving = features[..., list(family.locations)]
    if not family.angular.any():
        return moving
    eta = torch.from_numpy(features).clone()
    squares = [k for k in range(family.dimension) if k not in family.locations]
    eta[..., squares] = -0.5  # unit precision, so that the center is the location itself
    return family.center(eta).numpy()


def features_of_centers(eta: np.ndarray, family: Family) -> np.ndarray:
    """T (N, E) at the centers of a curve (N, E), its squares left at zero."""
    at = family.features(family.center(torch.from_numpy(eta))).numpy()
    moving = np.zeros(family.dimension)
    moving[list(family.locations)] = 1.0
    return np.asarray(at * moving)
