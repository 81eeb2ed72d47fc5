"""A mixture in the plane: the pullback geodesic of the probability flow against the spacetime geodesic between the same data points."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from spacetime_tps.denoisers.diagnostics import departure
from spacetime_tps.denoisers.diffusion import jump, probability_flow
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.geometry.distance import diffusion_edit
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.geodesic import Geodesic
from spacetime_tps.geometry.pullback import PullbackGeodesic, pullback_geodesic

PLANE = GaussianMixture(torch.tensor([[-2.0, 0.0], [0.0, 2.2], [2.0, 0.0]]), torch.full((3, 2), 0.6**2), torch.tensor([0.1, 0.8, 0.1]))
FAMILY = Cartesian(2)
ENDS = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.double)
LEVEL, THROUGH = torch.tensor([6.0], dtype=torch.double), torch.tensor([-1.0], dtype=torch.double)
SCHEDULE = torch.linspace(-10.0, float(LEVEL), 25, dtype=torch.double)
POINTS, NODES, EVALUATIONS = 64, 12, 200
SPACETIME_POINTS, SPACETIME_EVALUATIONS = 256, 1000


@dataclass(frozen=True)
class PullbackAndSpacetime:
    """Two geodesics between the same data points, both as curves in the plane."""

    pullback: PullbackGeodesic
    straight_noise: Tensor
    """(64, 2), the straight line between the ends' noise: where the optimiser sets out."""
    straight_noise_decoded: Tensor
    """(64, 2), what it decodes to."""
    spacetime: Geodesic
    spacetime_mean: Tensor
    """E[x_0] along the spacetime geodesic (256, 2)."""


def pullback_and_spacetime() -> PullbackAndSpacetime:
    """Both geodesics; the decoder is the probability flow from log_snr -10 to 6 in 24 Heun steps and the jump from there."""
    decode = partial(jump, log_snr=SCHEDULE, denoiser=PLANE, family=FAMILY)
    clean = FAMILY.schedule.alpha(LEVEL) * ENDS
    ends = probability_flow(clean, SCHEDULE.flip(0), PLANE, family=FAMILY)[-1]
    share = torch.linspace(0.0, 1.0, POINTS, dtype=torch.double)[:, None]
    straight = (1.0 - share) * ends[0] + share * ends[1]
    spacetime = diffusion_edit(
        ENDS[0], ENDS[1], PLANE, family=FAMILY, level=LEVEL, through=THROUGH, points=SPACETIME_POINTS, evaluations=SPACETIME_EVALUATIONS
    )
    return PullbackAndSpacetime(
        pullback=pullback_geodesic(straight, decode, nodes=NODES, points=POINTS, evaluations=EVALUATIONS),
        straight_noise=straight,
        straight_noise_decoded=decode(straight),
        spacetime=spacetime,
        spacetime_mean=PLANE.moments(spacetime.eta).mean[:, :2],
    )


def largest_departure(path: Tensor) -> float:
    """The largest distance of a curve (N, D) from the straight line between its ends, as a share of their distance."""
    return float(departure(path).max() / (path[-1] - path[0]).norm())
