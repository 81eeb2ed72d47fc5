"""What the geometry asks of a denoiser: the log-partition of the posterior family and its first derivative."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Of the denoising distributions p_eta at points (..., E)."""

    log_partition: Tensor
    """psi(eta) (...), with psi(0) = 0: p_0 is the Boltzmann distribution."""
    mean: Tensor
    """mu = E[T] (..., E), the gradient of psi."""
    effective_samples: Tensor
    """How many samples support the estimate (...); infinite where it does not rest on samples."""


class Denoiser(Protocol):
    """Anything that knows psi and its gradient. Differentiable in eta."""

    def moments(self, eta: Tensor) -> Moments:
        """Moments at natural parameters eta (..., E)."""


def confinement_free_energy(eta: Tensor, moments: Moments) -> Tensor:
    """KL(p_eta || p_0) = eta . mu - psi(eta) + psi(0), in kT: the free energy of confining the molecule to p_eta; (...)."""
    return (eta * moments.mean).sum(-1) - moments.log_partition


def kl_divergence(eta_p: Tensor, p: Moments, eta_q: Tensor, q: Moments) -> Tensor:
    """KL(p || q) = psi(eta_q) - psi(eta_p) - mu_p . (eta_q - eta_p) for two members of the family; (...)."""
    return q.log_partition - p.log_partition - (p.mean * (eta_q - eta_p)).sum(-1)


def hessian_vector_product(denoiser: Denoiser, eta: Tensor, vector: Tensor) -> Tensor:
    """The Fisher-Rao metric, the Hessian of psi at eta (..., E), applied to vectors (..., E): the covariance of T with vector . T."""
    with torch.enable_grad():
        point = eta.detach().requires_grad_(True)
        (product,) = torch.autograd.grad(denoiser.moments(point).mean, point, grad_outputs=vector)
    return product
