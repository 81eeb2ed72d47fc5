"""The one-dimensional mixture of arXiv 2505.17517: paths of the probability flow against spacetime geodesics with the same ends."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spacetime_tps.denoisers.diffusion import probability_flow
from spacetime_tps.denoisers.mixture import GaussianMixture
from spacetime_tps.geometry import curve
from spacetime_tps.geometry.families.cartesian import Cartesian
from spacetime_tps.geometry.geodesic import Geodesic, evaluate, minimise

MIXTURE = GaussianMixture(torch.tensor([[-2.5], [0.5], [2.5]]), torch.full((3, 1), 0.75**2), torch.tensor([0.275, 0.45, 0.275]))
FAMILY = Cartesian(1)
NOISIEST, CLEANEST = -10.0, 10.0
LAST_TIME = 0.1
STEPS, POINTS, NODES, EVALUATIONS = 512, 512, 32, 600
REFERENCE = {1.0: (0.1477, 0.0990), 0.0: (0.1404, 0.0864), -1.0: (0.1502, 0.1020)}
"""Start x at t = 1 to the energies that the paper's code prints: flow (512 Euler steps), geodesic (512 points)."""


def log_snr_at(t: Tensor) -> Tensor:
    """The paper's schedule, linear in time: 10 at t = 0, -10 at t = 1."""
    return CLEANEST + (NOISIEST - CLEANEST) * t


def time_at(log_snr: Tensor) -> Tensor:
    """The inverse of `log_snr_at`."""
    return (CLEANEST - log_snr) / (CLEANEST - NOISIEST)


@dataclass(frozen=True)
class FlowAndGeodesic:
    """A path of the probability flow from t = 1 to t = 0.1 and the geodesic between its ends."""

    start: float
    """x_t at t = 1."""
    flow: Tensor
    """eta (513, 2), uniform in t."""
    flow_energy: float
    """Plain sum of d_eta . d_mu, without the factor (N-1)/2, as the paper's code has it. Depends on how the path is cut into pieces."""
    flow_even: Geodesic
    """The flow's path at the geodesic's number of points and constant speed: what is left to the geodesic is its shape."""
    geodesic: Geodesic

    @property
    def geodesic_energy(self) -> float:
        """The same sum for the geodesic, 512 points."""
        return float(self.geodesic.segment.sum())


def flows_and_geodesics(starts: tuple[float, ...] = tuple(REFERENCE)) -> list[FlowAndGeodesic]:
    """One comparison for each start; the optimiser sets out from the flow's path at constant speed."""
    log_snr = log_snr_at(torch.linspace(1.0, LAST_TIME, STEPS + 1, dtype=torch.double))
    paths = probability_flow(torch.tensor(starts, dtype=torch.double)[:, None], log_snr, MIXTURE, family=FAMILY)
    return [_compare(start, FAMILY.at(path, log_snr[:, None])) for start, path in zip(starts, paths.unbind(1), strict=True)]


def _compare(start: float, flow: Tensor) -> FlowAndGeodesic:
    even = evaluate(flow, MIXTURE, family=FAMILY, points=POINTS)
    return FlowAndGeodesic(
        start=start,
        flow=flow,
        flow_energy=float(curve.segments(flow, MIXTURE.moments(flow).mean).sum()),
        flow_even=even,
        geodesic=minimise(even.eta, MIXTURE, [], family=FAMILY, nodes=NODES, points=POINTS, evaluations=EVALUATIONS),
    )


def density(x: Tensor, t: Tensor) -> Tensor:
    """p(x_t, t) of the noised mixture at x (...) and t (...)."""
    alpha, sigma = FAMILY.schedule.alpha(log_snr_at(t)), FAMILY.schedule.sigma(log_snr_at(t))
    deviation = (alpha.square() * MIXTURE.variances[0, 0] + sigma.square()).sqrt()
    component = torch.distributions.Normal(alpha[..., None] * MIXTURE.means[:, 0], deviation[..., None])
    return torch.logsumexp(MIXTURE.log_weights + component.log_prob(x[..., None]), dim=-1).exp()
