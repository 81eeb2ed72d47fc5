"""Two-way shooting chains on a surface: a baseline that needs no density of its points."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from spacetime_tps.engines.surface.dynamics import Overdamped, shoot
from spacetime_tps.surfaces.states import Discs


def two_way_chains(
    dynamics: Overdamped,
    paths: list[np.ndarray],
    a: Discs,
    b: Discs,
    *,
    eligible: Callable[[Tensor], Tensor],
    moves: int,
    longest: int,
    generator: torch.Generator,
) -> tuple[list[np.ndarray], int, float]:
    """Markov chains in path space by two-way shooting, one chain from each of `paths`.

    The shooting point is chosen uniformly among a path's frames that are `eligible` (frames,), a shooting range, and a new path is accepted
    with probability min(1, eligible before / eligible after), which keeps the transition path ensemble (Dellago, Bolhuis, Chandler 1998;
    Jung, Okazaki, Hummer 2017). A path with no eligible frame stays, at no cost. Returns the last path of each chain, the evaluations, and
    the fraction of moves accepted.
    """
    current, evaluations, accepted = list(paths), 0, 0
    for _ in range(moves):
        chance = torch.rand(2, len(current), generator=generator).numpy()
        frames = [_eligible(path, eligible) for path in current]
        movable = [k for k, f in enumerate(frames) if len(f)]
        picked = [frames[k][int(chance[0, k] * len(frames[k]))] for k in movable]
        points = torch.from_numpy(np.stack([current[k][i] for k, i in zip(movable, picked, strict=True)]))
        shots = shoot(dynamics, points, a, b, longest=longest, generator=generator)
        evaluations += shots.evaluations
        for source, path in zip(shots.source.tolist(), shots.paths, strict=True):
            k = movable[source]
            if chance[1, k] < len(frames[k]) / len(_eligible(path, eligible)):
                current[k] = path
                accepted += 1
    return current, evaluations, accepted / (moves * len(current))


def _eligible(path: np.ndarray, eligible: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Indices of a path's eligible frames, its two ends left out."""
    return 1 + np.flatnonzero(eligible(torch.from_numpy(path[1:-1])).numpy())
