"""A denoiser for many coordinates: a neural network for psi, whose gradient by eta is mu."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from spacetime_tps.denoisers import checkpoint
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_bytes
from spacetime_tps.geometry.denoiser import Moments
from spacetime_tps.geometry.families.protocol import Family

KIND = "potential_network"
INPUTS = 3
"""Of a group: where its noise is centered (two numbers at most), and how narrow it is"""
MIDDLING = 1.5
"""About half the log of precisions, so that the network's input is of order one: a normalisation alone"""
SPREAD = 1.5
"""Of the first layer's biases: the bends of the units lie over the whole range of a group"""


class Mixing(nn.Module):
    """A layer: what each group has of its own, and what all have to say to each other."""

    def __init__(self, groups: int, width: int, common: int):
        super().__init__()
        self.own = nn.Parameter(torch.randn(groups, width, width) / width**0.5)
        self.own_bias = nn.Parameter(torch.zeros(groups, width))
        self.shared = nn.Parameter(torch.randn(groups * width, common) / (groups * width) ** 0.5)
        self.shared_bias = nn.Parameter(torch.zeros(common))
        self.back = nn.Parameter(0.1 * torch.randn(common, groups * width) / common**0.5)

    def forward(self, h: Tensor) -> Tensor:
        """From units (B, groups, width) to as many."""
        common = silu(h.flatten(1) @ self.shared + self.shared_bias)
        return h + silu(torch.einsum("bsw,swv->bsv", h, self.own) + self.own_bias + (common @ self.back).view_as(h))


class PotentialNetwork(nn.Module):
    """psi(eta) = psi_0(eta) + h(eta), with psi_0 the log-partition of a reference (`Family.reference`) and h a network.

    Each group of entries (a torsion, a distance, an atom's x) has a small network of its own; between its layers all groups speak to each
    other through a few common units. What one coordinate does by itself is thus learned from few frames in any number of dimensions, and
    what coordinates do together through the units. mu is the exact gradient of psi, so that second moments follow from the same function
    (Tweedie). The reference makes mu right where there are no data, and h is in units in which it is of order one at every noise level
    (Karras et al. 2022). It is not convex by construction: whether d_eta . d_mu is negative anywhere on a curve has to be looked at.
    """

    center: Tensor
    variance: Tensor
    offset: Tensor
    """Of psi: found after training, from ensembles whose psi is known"""

    def __init__(self, family: Family, center: Tensor, variance: Tensor, *, width: int, common: int, layers: int):
        """center, variance (locations,): of T over the data; width: units of each group; common: units that all groups share."""
        super().__init__()
        self.family = family
        self.register_buffer("center", center.clone())
        self.register_buffer("variance", variance.clone())
        self.register_buffer("offset", torch.zeros((), dtype=torch.double))
        place = {entry: k for k, entry in enumerate(family.locations)}
        self.entries = torch.tensor([[*entries, entries[0]][:2] for entries, _ in family.groups])
        self.where = torch.tensor([[place[int(k)] for k in pair] for pair in self.entries])
        self.level = torch.tensor([level for _, level in family.groups])
        self.single = torch.tensor([len(entries) == 1 for entries, _ in family.groups])
        groups = len(family.groups)
        self.first = nn.Parameter(torch.randn(groups, INPUTS, width))
        self.first_bias = nn.Parameter(SPREAD * torch.randn(groups, width))
        self.mixing = nn.ModuleList(Mixing(groups, width, common) for _ in range(layers))
        self.last = nn.Parameter(torch.zeros(groups, width))
        self.together = nn.Parameter(torch.randn(groups * width, common) / (groups * width) ** 0.5)
        self.last_together = nn.Parameter(torch.zeros(common))

    def psi(self, eta: Tensor) -> Tensor:
        """(B,) at eta (B, E), but for the offset."""
        family, single = self.family, self.single
        center, variance = self.center.to(eta.dtype), self.variance.to(eta.dtype)
        middle, spread = center[self.where], variance[self.where].amax(-1)
        stiff = 1.0 / spread + family.precisions(eta)[:, self.level]
        place = (eta[:, self.entries] - (stiff - 1.0 / spread)[..., None] * middle) / (stiff * spread.sqrt())[..., None]
        place = torch.stack([place[..., 0], place[..., 1].masked_fill(single, 0.0)], dim=-1)
        inputs = torch.cat([place, 0.5 * stiff.log()[..., None] - MIDDLING], dim=-1)
        h = silu(torch.einsum("bsi,siw->bsw", inputs, self.first) + self.first_bias)
        for mixing in self.mixing:
            h = mixing(h)
        scale = (stiff * spread).sqrt()
        alone = (scale * torch.einsum("bsw,sw->bs", h, self.last)).sum(-1)
        together = scale.mean(-1) * (silu(h.flatten(1) @ self.together) @ self.last_together)
        return family.reference(eta, center, variance) + alone + together

    def gradient(self, eta: Tensor, *, differentiable: bool) -> tuple[Tensor, Tensor]:
        """psi (B,) and mu (B, E) at eta (B, E); mu with a graph of its own where it is to be differentiated."""
        with torch.enable_grad():
            point = eta if eta.requires_grad else eta.detach().requires_grad_(True)
            psi = self.psi(point)
            (mean,) = torch.autograd.grad(psi.sum(), point, create_graph=differentiable)
        return psi, mean

    def moments(self, eta: Tensor) -> Moments:
        """Moments at eta (..., E), twice differentiable; `effective_samples` is infinite."""
        points = eta.to(self.first.dtype).reshape(-1, eta.shape[-1])
        psi, mean = self.gradient(points, differentiable=eta.requires_grad)
        psi = (psi + self.offset).reshape(eta.shape[:-1])
        return Moments(psi if eta.requires_grad else psi.detach(), mean.reshape(eta.shape), torch.full_like(psi.detach(), torch.inf))


def to_bytes(denoiser: PotentialNetwork) -> bytes:
    """The content of a file."""
    return checkpoint.content(KIND, denoiser.state_dict())


def save(path: Path, denoiser: PotentialNetwork) -> None:
    """Write a trained denoiser to a file."""
    write_bytes(path, to_bytes(denoiser))


def load(path: Path, family: Family) -> PotentialNetwork:
    """Read what `save` wrote. Raises SpacetimeError for a denoiser of another kind, or of another family."""
    content = checkpoint.read(path, KIND)
    groups, _, width = content["first"].shape
    wanted, found = (len(family.groups), len(family.locations)), (groups, len(content["center"]))
    if found != wanted:
        raise SpacetimeError(
            f"{path.name} is of {found[0]} groups and {found[1]} features, the coordinates have {wanted[0]} and {wanted[1]}"
        )
    layers = sum(name.endswith(".own") for name in content)
    denoiser = PotentialNetwork(
        family, content["center"], content["variance"], width=width, common=content["last_together"].shape[0], layers=layers
    ).double()
    denoiser.load_state_dict(content)
    return denoiser.requires_grad_(False)
