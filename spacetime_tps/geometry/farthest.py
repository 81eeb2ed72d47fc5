"""Points that lie far from each other, to stand for many."""

import torch
from torch import Tensor


def farthest(points: Tensor, known: Tensor, count: int) -> list[int]:
    """Indices of `count` of the points (P, E), all where there are fewer, each the farthest from those in `known` (K, E) and from those
    before it."""
    apart = torch.stack([(points - k).norm(dim=1) for k in known]).amin(0)
    chosen: list[int] = []
    for _ in range(min(count, len(points))):
        chosen.append(int(apart.argmax()))
        apart = torch.minimum(apart, (points - points[chosen[-1]]).norm(dim=1))
    return chosen
