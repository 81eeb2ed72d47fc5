"""The pullback geometry of a decoder g: latent distances are lengths of decoded curves, the metric is J^T J with J the Jacobian of g.

Where g can be inverted, as the probability flow of a diffusion model can, its geodesics decode to straight segments whatever the data
(arXiv 2505.17517): the reason to look for another geometry than this one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.geometry.relax import relax


@dataclass(frozen=True)
class PullbackGeodesic:
    """A curve of N latent points and what it decodes to."""

    latent: Tensor
    """(N, D)."""
    decoded: Tensor
    """(N, D'), g of the latent points."""
    energy: float
    length: float
    """Both in data space, where the decoder's unit of length holds."""
    trace: tuple[float, ...]
    """Energy at each evaluation of the optimiser."""


def decoded_energy(decoded: Tensor) -> Tensor:
    """(N-1)/2 sum |dx|^2 of a decoded curve (..., N, D), which tends to the integral of v^T J^T J v / 2 over unit time; (...)."""
    steps = decoded.diff(dim=-2)
    return 0.5 * steps.shape[-2] * steps.square().sum((-2, -1))


def decoded_length(decoded: Tensor) -> Tensor:
    """sum |dx| of a decoded curve (..., N, D), which tends to the integral of sqrt(v^T J^T J v); (...)."""
    return decoded.diff(dim=-2).norm(dim=-1).sum(-1)


def pullback_geodesic(start: Tensor, decoder: Callable[[Tensor], Tensor], *, nodes: int, points: int, evaluations: int) -> PullbackGeodesic:
    """The geodesic of the pullback metric reached from the latent curve `start` (N, D), whose ends stay fixed.

    `decoder` maps (points, D) to (points, D') and is differentiated through; `nodes` spline nodes in latent space are moved.
    """
    relaxed = relax(start, lambda z: decoded_energy(decoder(z)), nodes=nodes, points=points, evaluations=evaluations)
    with torch.no_grad():
        decoded = decoder(relaxed.curve)
    return PullbackGeodesic(
        latent=relaxed.curve,
        decoded=decoded,
        energy=float(decoded_energy(decoded)),
        length=float(decoded_length(decoded)),
        trace=relaxed.trace,
    )
