"""The Diffusion Edit Distance between data points: the length of the geodesic that joins them at the smallest noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spacetime_tps.geometry.denoiser import Denoiser
from spacetime_tps.geometry.families.protocol import Family
from spacetime_tps.geometry.geodesic import Geodesic, minimise
from spacetime_tps.geometry.penalties import Penalty

POINTS, NODES, EVALUATIONS = 128, 16, 300


def diffusion_edit(
    a: Tensor,
    b: Tensor,
    denoiser: Denoiser,
    *,
    family: Family,
    level: Tensor,
    through: Tensor,
    penalties: Sequence[Penalty] = (),
    points: int = POINTS,
    nodes: int = NODES,
    evaluations: int = EVALUATIONS,
) -> Geodesic:
    """The geodesic from data point a to b (D,) at noise level `level` (L,); its length is the Diffusion Edit Distance.

    The search starts from an arc from `level` to `through` (L,), a noise level where the two points' distributions overlap, and back. The
    distance is a property of two data points AND of `level`: for Gaussian data of any variance it grows by sqrt(D/2) per unit of log_snr at
    either end once the posterior is the noise, so distances are comparable at equal `level` only.
    """
    s = torch.linspace(0.0, 1.0, points, dtype=torch.double)[:, None]
    centers = (1.0 - s) * a.double() + s * b.double()
    levels = level.double() + (through.double() - level.double()) * torch.sin(torch.pi * s)
    start = family.natural(centers, levels)
    return minimise(start, denoiser, penalties, family=family, nodes=nodes, points=points, evaluations=evaluations)
