"""What denoiser.pt holds, whatever kind of denoiser it is of: tensors and the name of the kind, which load without pickle."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spacetime_tps.errors import SpacetimeError


def content(kind: str, tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file, numbers with a fraction in double."""
    buffer = io.BytesIO()
    plain = {name: value.detach().double() if value.is_floating_point() else value for name, value in tensors.items()}
    torch.save({"kind": kind, **plain}, buffer)
    return buffer.getvalue()


def read(path: Path, kind: str) -> dict[str, Tensor]:
    """The tensors of a file of this kind, without unpickling objects. Raises SpacetimeError for one of another kind."""
    found: dict[str, Tensor] = torch.load(path, weights_only=True)
    if found.pop("kind", None) != kind:
        raise SpacetimeError(f"{path.name} holds no {kind}")
    return found
