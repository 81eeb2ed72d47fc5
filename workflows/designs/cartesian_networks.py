"""Denoisers of Cartesian coordinates: three networks next to one Gaussian's posterior, and a mixture of Gaussians, convex by construction.

Every network starts from the posterior of a Gaussian with the data's mean and covariance, and sees the center of eta whitened by it:
without that base, 30 dimensions of stiff bonds and loose torsions are a poor input.
"""

import torch
from torch import Tensor, nn

from designs.torsion_networks import layers
from spacetime_tps.denoisers.training import Lessons
from spacetime_tps.geometry.denoiser import Moments

WIDTH, PROBES = 128, 4


class Base(nn.Module):
    """Posterior of N(m, V diag(s2) V^T): with a, b of eta, q = 1 - 2 b s2 per eigenvector, as in denoisers.mixture."""

    def __init__(self, x: Tensor):
        super().__init__()
        variance, vectors = torch.linalg.eigh(torch.cov(x.T))
        self.register_buffer("vectors", vectors)
        self.register_buffer("variance", variance.clamp_min(1e-5))
        self.register_buffer("center", x.mean(0) @ vectors)

    def posterior(self, eta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """psi, E[x0], trace of the covariance, and the features: whitened center and log_snr."""
        a, b = eta[..., :-1] @ self.vectors, eta[..., -1:]
        m, s2 = self.center, self.variance
        q = 1.0 - 2.0 * b * s2
        psi = ((a * m + b * m.square() + 0.5 * a.square() * s2) / q - 0.5 * q.log()).sum(-1)
        mean = (m + a * s2) / q
        white = (a / (-2.0 * b) - m) / (s2 - 0.5 / b).sqrt()
        return psi, mean @ self.vectors.T, (s2 / q).sum(-1), torch.cat([white, torch.log(-2.0 * b) / 2.0 - 1.0], dim=-1)


class Tweedie(nn.Module):
    """E[x0] by a network; E|x0|^2 = |E x0|^2 + sigma^2/alpha div E[x0], the divergence by Hutchinson's estimator on fixed probes."""

    def __init__(self, x: Tensor, probes: int = PROBES):
        super().__init__()
        self.base, self.net = Base(x), layers(x.shape[1] + 1, WIDTH, x.shape[1])
        self.register_buffer("scale", self.base.variance.sqrt().clamp_max(0.3))
        signs = torch.randint(0, 2, (probes, x.shape[1]), generator=torch.Generator().manual_seed(0))
        self.register_buffer("probes", 2.0 * signs.double() - 1.0)

    def denoised(self, eta: Tensor) -> Tensor:
        """E[x0] (..., D)."""
        _, mean, _, seen = self.base.posterior(eta)
        return mean + (self.scale * self.net(seen)) @ self.base.vectors.T

    def traces(self, eta: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
        """E[x0] and one estimate of the covariance's trace a probe, (..., P): probe . d E[x0] / d a . probe."""
        with torch.enable_grad():
            location = eta[..., :-1] if eta.requires_grad else eta[..., :-1].detach().requires_grad_(True)
            first = self.denoised(torch.cat([location, eta[..., -1:]], dim=-1))
            slopes = [torch.autograd.grad((first * v).sum(), location, create_graph=True)[0] @ v for v in probes]
        return first, torch.stack(slopes, dim=-1)

    def moments(self, eta: Tensor) -> Moments:
        first, trace = self.traces(eta.to(self.probes.dtype), self.probes)
        return _without_psi(first, trace.mean(-1))


class TwoHeads(nn.Module):
    """E[x0] and the trace of the covariance, each an output: E|x0|^2 = |E x0|^2 + trace."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.base, self.net = Base(x), layers(x.shape[1] + 1, WIDTH, x.shape[1] + 1)
        self.register_buffer("scale", self.base.variance.sqrt().clamp_max(0.3))

    def moments(self, eta: Tensor) -> Moments:
        _, mean, trace, seen = self.base.posterior(eta.to(self.scale.dtype))
        out = self.net(seen)
        return _without_psi(mean + (self.scale * out[..., :-1]) @ self.base.vectors.T, trace * torch.exp(out[..., -1]))


class Potential(nn.Module):
    """psi = that of the Gaussian + g, mu its gradient: consistent, convex only as far as training makes it so."""

    def __init__(self, x: Tensor, lessons: Lessons):
        super().__init__()
        self.base, self.net = Base(x), layers(x.shape[1] + 1, WIDTH, 1)
        rest = lessons.log_partition - self.base.posterior(lessons.eta)[0]
        self.shift, self.size = float(rest.mean()), float(rest.std())

    def moments(self, eta: Tensor) -> Moments:
        with torch.enable_grad():
            at = eta.to(self.base.center.dtype)
            if not at.requires_grad:
                at = at.detach().requires_grad_(True)
            psi, _, _, seen = self.base.posterior(at)
            psi = psi + self.shift + self.size * self.net(seen)[..., 0]
            (mean,) = torch.autograd.grad(psi.sum(), at, create_graph=True)
        if not torch.is_grad_enabled():
            psi, mean = psi.detach(), mean.detach()
        return Moments(psi, mean, torch.full_like(psi.detach(), torch.inf))


class Mixture(nn.Module):
    """p_0 = sum_k pi_k N(m_k, V_k diag(s2_k) V_k^T): psi in closed form and convex. Means, variances and weights are trained, not V_k."""

    def __init__(self, x: Tensor, log_weights: Tensor, components: int, prior: float = 60.0):
        """Components are the cells of k-means on the frames; each covariance is drawn to the pooled one as by `prior` more frames."""
        super().__init__()
        label = _cells(x, components)
        weights, means, covariances, counts = [], [], [], []
        for k in label.unique():
            inside = label == k
            share = torch.softmax(log_weights[inside], dim=0)
            mean = share @ x[inside]
            away = x[inside] - mean
            weights.append(torch.logsumexp(log_weights[inside], dim=0))
            means.append(mean)
            covariances.append((away * share[:, None]).T @ away)
            counts.append(1.0 / share.square().sum())
        covariance, count = torch.stack(covariances), torch.stack(counts)[:, None, None]
        pooled = (count * covariance).sum(0) / count.sum()
        variance, vectors = torch.linalg.eigh((count * covariance + prior * pooled) / (count + prior))
        self.register_buffer("vectors", vectors)
        self.mean = nn.Parameter(torch.einsum("kd,kde->ke", torch.stack(means), vectors))
        self.log_variance = nn.Parameter(variance.clamp_min(1e-5).log())
        self.logit = nn.Parameter(torch.log_softmax(torch.stack(weights), dim=0))

    def moments(self, eta: Tensor) -> Moments:
        at = eta.to(self.mean.dtype)
        a, b = torch.einsum("...d,kde->...ke", at[..., :-1], self.vectors), at[..., None, -1:]
        m, s2 = self.mean, self.log_variance.exp()
        q = 1.0 - 2.0 * b * s2
        weight = torch.log_softmax(self.logit, dim=0) + ((a * m + b * m.square() + 0.5 * a.square() * s2) / q - 0.5 * q.log()).sum(-1)
        psi, share = torch.logsumexp(weight, dim=-1), torch.softmax(weight, dim=-1)
        mean = (m + a * s2) / q
        first = torch.einsum("...k,...ke,kde->...d", share, mean, self.vectors)
        second = (share * (mean.square() + s2 / q).sum(-1)).sum(-1, keepdim=True)
        return Moments(psi, torch.cat([first, second], dim=-1), torch.full_like(psi.detach(), torch.inf))


def _without_psi(first: Tensor, trace: Tensor) -> Moments:
    second = first.square().sum(-1) + trace
    nothing = torch.full_like(second.detach(), torch.nan)
    return Moments(nothing, torch.cat([first, second[..., None]], dim=-1), torch.full_like(nothing, torch.inf))


def _cells(x: Tensor, count: int, sweeps: int = 12) -> Tensor:
    """k-means from frames that lie farthest apart."""
    chosen, apart = [0], (x - x[0]).norm(dim=1)
    for _ in range(count - 1):
        chosen.append(int(apart.argmax()))
        apart = torch.minimum(apart, (x - x[chosen[-1]]).norm(dim=1))
    centers = x[chosen]
    for _ in range(sweeps):
        label = torch.cdist(x, centers).argmin(1)
        centers = torch.stack([x[label == k].mean(0) if bool((label == k).any()) else centers[k] for k in range(count)])
    return label
