"""The weighted-sample posterior: psi in closed form, convex by construction, from samples with Boltzmann weights."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spacetime_tps.geometry.denoiser import Moments


class WeightedSamples:
    """psi(eta) = log sum_i w_i exp(eta . T(x_i)), with sum_i w_i = 1.

    A log-sum-exp of linear functions is convex, so every segment of every curve has d_eta . d_mu >= 0. It cannot see beyond its samples:
    `effective_samples`, the Kish number (sum p)^2 / sum g p^2 of the posterior weights p_i, says where it can be believed.
    """

    def __init__(self, features: Tensor, log_weights: Tensor, *, inefficiency: Tensor | None = None, marks: Tensor | None = None):
        """features (S, E); log_weights (S,), normalised here; inefficiency g (S,): how many samples are worth one independent one, one
        where None; marks (S, M) bool: sets that samples belong to, none where None."""
        if features.ndim != 2 or log_weights.shape != features.shape[:1]:
            raise ValueError(
                f"features must have shape (S, E) and log_weights (S,), got {tuple(features.shape)} and {tuple(log_weights.shape)}"
            )
        self.features = features.double()
        self.log_weights = torch.log_softmax(log_weights.double(), dim=0)
        self.inefficiency = torch.ones_like(self.log_weights) if inefficiency is None else inefficiency.double()
        self.marks = torch.zeros((len(features), 0), dtype=torch.bool) if marks is None else marks

    def restricted(self, inside: Tensor) -> "WeightedSamples":
        """The samples where `inside` (S,) is true, with the weights they have here: psi_in(eta) - psi(eta) is log P_eta(inside)."""
        part = WeightedSamples(
            self.features[inside], self.log_weights[inside], inefficiency=self.inefficiency[inside], marks=self.marks[inside]
        )
        part.log_weights = self.log_weights[inside]
        return part

    def supporting(self, eta: Tensor, *, breadth: float = 0.25, negligible: float = 1e-9) -> "WeightedSamples":
        """The samples that matter around a curve eta (N, E): those with more than `negligible` of the weight at breadth * eta anywhere."""
        wide = breadth * eta
        share = torch.addmm(self.log_weights, wide, self.features.T) - self.moments(wide).log_partition[:, None]
        return self.restricted((share > math.log(negligible)).any(dim=0))

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., E), once differentiable."""
        points = eta.double().reshape(-1, eta.shape[-1])
        psi, mean, effective = _Moments.apply(points, self.features, self.log_weights, self.inefficiency)
        return Moments(psi.reshape(eta.shape[:-1]), mean.reshape(eta.shape), effective.reshape(eta.shape[:-1]))


class _Moments(torch.autograd.Function):
    """psi, mu and n_eff at eta (N, E) with their gradients in closed form, a quarter of the time that recording each step takes.

    grad psi = mu; grad mu = the covariance of T; grad log n_eff = 2 (mu - mu_2), with mu_2 the mean of T under the weights g p^2.
    """

    @staticmethod
    def forward(ctx: Any, eta: Tensor, features: Tensor, log_weights: Tensor, inefficiency: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight = torch.addmm(log_weights, eta, features.T)
        top = weight.max(dim=1, keepdim=True).values
        weight.sub_(top).exp_()
        norm = weight.sum(dim=1, keepdim=True)
        weight.div_(norm)
        mean = weight @ features
        effective = 1.0 / (weight.square() @ inefficiency)
        ctx.save_for_backward(weight, features, mean, effective, inefficiency)
        return (top + norm.log()).squeeze(1), mean, effective

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_psi: Tensor, to_mean: Tensor, to_effective: Tensor) -> tuple[Tensor, None, None, None]:
        weight, features, mean, effective, inefficiency = ctx.saved_tensors
        gradient = to_psi[:, None] * mean
        along = torch.mm(to_mean, features.T).mul_(weight)
        gradient += along @ features - mean * torch.linalg.vecdot(mean, to_mean)[:, None]
        if to_effective.any():
            squared = (weight.square() * inefficiency) @ features * effective[:, None]
            gradient += (2.0 * effective * to_effective)[:, None] * (mean - squared)
        return gradient, None, None, None
