"""The trained denoiser of torsions: a mixture of von Mises distributions, whose log-partition is convex whatever its parameters are."""

from pathlib import Path

import torch
from torch import Tensor, nn

from spacetime_tps.denoisers import checkpoint
from spacetime_tps.files import write_bytes
from spacetime_tps.geometry.bessel import log_i0
from spacetime_tps.geometry.denoiser import Moments

KIND = "von_mises_mixture"
TINY = 1e-12
"""Added to |eta + l|^2: no corner at zero, where a gradient would have no direction"""
NEGLIGIBLE = -40.0
"""Log of a share below which it does not matter how small it is: numbers too small for single precision's normal range are slow"""


class TrainedDenoiser(nn.Module):
    """p_0 = sum_k pi_k prod_i vonMises(theta_i; l_ki), in the family geometry.families.VonMises.

    A von Mises factor with natural parameter l_ki, multiplied by exp(eta_i . T_i), is the one with l_ki + eta_i. Hence

        psi(eta) = log sum_k pi_k prod_i I_0(|eta_i + l_ki|) / I_0(|l_ki|)
        mu_i(eta) = sum_k r_k A(|eta_i + l_ki|) (eta_i + l_ki)/|eta_i + l_ki|,    A = I_1/I_0,    r_k the terms' shares of the sum:

    the log-partition of a probability distribution, so that it is convex and no curve has a negative segment, whatever training did. It has
    no seam, mu is the exact gradient of psi, and its cost does not grow with the samples. What it cannot do: give p_0 a basin narrower than
    its narrowest component. Where there were no samples it says that there is next to nothing, and `effective_samples` does not warn.
    """

    def __init__(self, natural: Tensor, log_weights: Tensor):
        """natural (K, 2n), each row like an eta; log_weights (K,), normalised here. Both become parameters, in double."""
        super().__init__()
        if natural.ndim != 2 or natural.shape[1] % 2 or log_weights.shape != natural.shape[:1]:
            raise ValueError(
                f"natural must have shape (K, 2n) and log_weights (K,), got {tuple(natural.shape)} and {tuple(log_weights.shape)}"
            )
        pairs = natural.double().unflatten(-1, (-1, 2))
        self.angle = nn.Parameter(torch.atan2(pairs[..., 1], pairs[..., 0]))
        self.log_concentration = nn.Parameter(pairs.norm(dim=-1).clamp_min(1e-3).log())
        self.logit = nn.Parameter(torch.log_softmax(log_weights.double(), dim=0))

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., 2n), differentiable, in the dtype of the parameters; `effective_samples` is infinite."""
        concentration, angle = self.log_concentration.exp().T, self.angle.T
        pairs = eta.to(angle.dtype).unflatten(-1, (-1, 2)).unsqueeze(-1)  # components along the last axis, where arithmetic is fastest
        x, y = pairs[..., 0, :] + concentration * torch.cos(angle), pairs[..., 1, :] + concentration * torch.sin(angle)
        size = (x * x + y * y + TINY).sqrt()
        value, slope = log_i0(size)
        weight = torch.log_softmax(self.logit, dim=0) - log_i0(concentration)[0].sum(0) + value.sum(-2)
        top = weight.detach().amax(-1, keepdim=True)
        share = torch.exp((weight - top).clamp_min(NEGLIGIBLE))
        norm = share.sum(-1, keepdim=True)
        psi = (top + norm.log()).squeeze(-1)
        pull = (share / norm).unsqueeze(-2) * (slope / size)
        mean = torch.stack([(pull * x).sum(-1), (pull * y).sum(-1)], dim=-1).flatten(-2)
        return Moments(psi, mean, torch.full_like(psi.detach(), torch.inf))


def to_bytes(denoiser: TrainedDenoiser) -> bytes:
    """The content of a file."""
    return checkpoint.content(KIND, denoiser.state_dict())


def save(path: Path, denoiser: TrainedDenoiser) -> None:
    """Write a trained denoiser to a file."""
    write_bytes(path, to_bytes(denoiser))


def load(path: Path) -> TrainedDenoiser:
    """Read what `save` wrote. Raises SpacetimeError for a denoiser of another kind."""
    content = checkpoint.read(path, KIND)
    components, torsions = content["angle"].shape
    denoiser = TrainedDenoiser(torch.ones(components, 2 * torsions), torch.zeros(components))
    denoiser.load_state_dict(content)
    return denoiser
