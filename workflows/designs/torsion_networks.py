"""Networks for torsions, besides the convex one of the package: one predicts mu, one predicts psi."""

import torch
from torch import Tensor, nn

from spacetime_tps.denoisers.training import Lessons
from spacetime_tps.geometry.bessel import log_i0
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.von_mises import VonMises

ORDER, WIDTH = 4, 96
MIDDLE, SPREAD = 4.0, 1.5
"""log kappa from 5 to 600 becomes a number of order one"""


def layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    between = [nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    return nn.Sequential(*between, nn.Linear(width, outputs))


def features(eta: Tensor, torsions: int) -> Tensor:
    """Fourier features of the centers up to ORDER, which have no seam, and the log concentrations."""
    family = VonMises(torsions)
    center = family.center(eta)
    waves = [f(order * center) for order in range(1, ORDER + 1) for f in (torch.cos, torch.sin)]
    return torch.cat([*waves, (family.level(eta).log() - MIDDLE) / SPREAD], dim=-1)


def free(eta: Tensor, torsions: int) -> tuple[Tensor, Tensor]:
    """psi and mu of a flat energy: sum_i log I_0(kappa_i), A(kappa_i) (cos c_i, sin c_i)."""
    kappa = VonMises(torsions).level(eta)
    value, slope = log_i0(kappa)
    return value.sum(-1), (eta.unflatten(-1, (torsions, 2)) * (slope / kappa).unsqueeze(-1)).flatten(-2)


class Plain(nn.Module):
    """E[T] and psi as outputs of their own, next to those of a flat energy: nothing makes one the gradient of the other."""

    def __init__(self, torsions: int, lessons: Lessons):
        super().__init__()
        self.torsions = torsions
        self.net = layers(torsions * (2 * ORDER + 1), WIDTH, 2 * torsions + 1)
        rest = lessons.log_partition - free(lessons.eta, torsions)[0]
        self.shift, self.size = float(rest.mean()), float(rest.std())

    def moments(self, eta: Tensor) -> Moments:
        at = eta.to(next(self.parameters()).dtype)
        psi, mean = free(at, self.torsions)
        out = self.net(features(at, self.torsions))
        # the pull of the energy moves a posterior by about its width
        width = VonMises(self.torsions).level(at).repeat_interleave(2, dim=-1).rsqrt()
        psi = psi + self.shift + self.size * out[..., -1]
        return Moments(psi, mean + width * out[..., :-1], torch.full_like(psi.detach(), torch.inf))


class Potential(nn.Module):
    """psi = sum_i log I_0(kappa_i) + g(c, log kappa), mu its gradient: consistent, but convex only as far as training makes it so."""

    def __init__(self, torsions: int, lessons: Lessons):
        super().__init__()
        self.torsions = torsions
        self.net = layers(torsions * (2 * ORDER + 1), WIDTH, 1)
        rest = lessons.log_partition - free(lessons.eta, torsions)[0]
        self.shift, self.size = float(rest.mean()), float(rest.std())

    def moments(self, eta: Tensor) -> Moments:
        with torch.enable_grad():
            at = eta.to(next(self.parameters()).dtype)
            if not at.requires_grad:
                at = at.detach().requires_grad_(True)
            psi = free(at, self.torsions)[0] + self.shift + self.size * self.net(features(at, self.torsions))[..., 0]
            (mean,) = torch.autograd.grad(psi.sum(), at, create_graph=True)
        if not torch.is_grad_enabled():
            psi, mean = psi.detach(), mean.detach()
        return Moments(psi, mean, torch.full_like(psi.detach(), torch.inf))
