"""First curves on a torus of two torsions: shortest paths over a lattice of denoising distributions, way round by way round."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from torch import Tensor

from spacetime_tps.geometry.denoiser import Denoiser, Moments, confinement_free_energy
from spacetime_tps.geometry.families.von_mises import VonMises

MOVES = [move for move in itertools.product((-1, 0, 1), repeat=2) if any(move)]
ABOVE = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""kT above the lowest possible barrier that are tried as bounds on the cost"""


@dataclass(frozen=True)
class LatticePath:
    """A path over the lattice."""

    center: np.ndarray
    """(N, 2), radians, continuous, from the start to the end"""
    length: float
    """Fisher-Rao length of its hops"""
    barrier: float
    """Largest KL(p_eta || p_0) over its nodes, kT"""
    steepness: float
    """Largest concentration times variance over its nodes"""


def lattice_paths(
    denoiser: Denoiser,
    start: np.ndarray,
    end: np.ndarray,
    *,
    level: float,
    size: int,
    barrier_weight: float,
    allowed: Callable[[Tensor, Moments], Tensor],
) -> list[LatticePath]:
    """The easiest path from start to end (2,) for each way round both torsions, easiest first: the smallest L^2/2 (1 + w max KL).

    Nodes are `size` x `size` centers at concentration `level`; a hop costs sqrt(d_eta . d_mu). For each of several bounds on KL, shortest
    paths through the nodes within it are found by Dijkstra's algorithm. `allowed` (nodes,) leaves nodes out. Classes without a path are
    missing from the result.
    """
    family = VonMises(2)
    axis = np.arange(size) * (2.0 * np.pi / size) - np.pi
    centers = torch.from_numpy(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2))
    eta = family.natural(centers, torch.full_like(centers, level))
    parts = [denoiser.moments(piece) for piece in eta.split(64)]
    moments = Moments(*(torch.cat(values) for values in zip(*parts, strict=True)))
    cost = confinement_free_energy(eta, moments).numpy()
    cost[~allowed(eta, moments).numpy()] = np.inf
    steep = (level * (1.0 - moments.mean.unflatten(-1, (2, 2)).square().sum(-1))).amax(-1).numpy()
    hops = _hops(size, eta.numpy(), moments.mean.numpy())
    first = _node(start, axis)
    change = (end - start + np.pi) % (2 * np.pi) - np.pi
    found = []
    for turn in itertools.product(*[(c, c - np.copysign(2 * np.pi, c)) for c in change]):
        best = _easiest(hops, cost, size, first, _node(start + np.array(turn), axis), barrier_weight)
        if best is None:
            continue
        length, nodes = best
        center = np.stack([axis[0] + (axis[1] - axis[0]) * k for k in (nodes // (3 * size), nodes % (3 * size))], -1) - 2 * np.pi
        center += 2 * np.pi * np.round((start - center[0]) / (2 * np.pi))
        inside = (nodes // (3 * size)) % size * size + (nodes % (3 * size)) % size
        center[0], center[-1] = start, start + np.array(turn)
        found.append(LatticePath(center, length, float(cost[inside].max()), float(steep[inside].max())))
    return sorted(found, key=lambda p: p.length**2 * (1.0 + barrier_weight * p.barrier))


def _node(point: np.ndarray, axis: np.ndarray) -> int:
    """Index in the lattice of three periods of the node nearest to a point within one period of the middle."""
    size = len(axis)
    i, j = (np.rint((point - axis[0]) / (axis[1] - axis[0])).astype(int) + size) % (3 * size)
    return int(i * 3 * size + j)


def _hops(size: int, eta: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From, to and length of all hops over three periods of the lattice each way."""
    wide = 3 * size
    i, j = (k.ravel() for k in np.meshgrid(np.arange(wide), np.arange(wide), indexing="ij"))
    here, there, lengths = [], [], []
    for di, dj in MOVES:
        keep = (i + di >= 0) & (i + di < wide) & (j + dj >= 0) & (j + dj < wide)
        a = (i[keep] % size) * size + j[keep] % size
        b = ((i[keep] + di) % size) * size + (j[keep] + dj) % size
        here.append(i[keep] * wide + j[keep])
        there.append((i[keep] + di) * wide + j[keep] + dj)
        lengths.append(np.sqrt(np.maximum(((eta[b] - eta[a]) * (mean[b] - mean[a])).sum(-1), 1e-12)))
    return np.concatenate(here), np.concatenate(there), np.concatenate(lengths)


def _easiest(
    hops: tuple[np.ndarray, np.ndarray, np.ndarray], cost: np.ndarray, size: int, first: int, last: int, weight: float
) -> tuple[float, np.ndarray] | None:
    wide = 3 * size
    at = (np.arange(wide)[:, None] % size * size + np.arange(wide)[None, :] % size).ravel()
    over = cost[at]
    best: tuple[float, float, np.ndarray] | None = None
    lowest = _bottleneck(hops, over, first, last)
    if not np.isfinite(lowest):
        return None
    for bound in lowest + np.array(ABOVE):
        keep = (over[hops[0]] <= bound) & (over[hops[1]] <= bound)
        graph = coo_matrix((hops[2][keep], (hops[0][keep], hops[1][keep])), shape=(wide**2, wide**2)).tocsr()
        length, before = dijkstra(graph, indices=first, return_predecessors=True)
        nodes = [last]
        while nodes[-1] != first:
            nodes.append(int(before[nodes[-1]]))
        value = length[last] ** 2 * (1.0 + weight * over[nodes].max())
        if best is None or value < best[0]:
            best = (value, float(length[last]), np.array(nodes[::-1]))
    assert best is not None
    return best[1], best[2]


def _bottleneck(hops: tuple[np.ndarray, np.ndarray, np.ndarray], over: np.ndarray, first: int, last: int) -> float:
    """The smallest bound on the cost that leaves a path, to 0.05 kT; infinite if there is none."""
    low, high = max(over[first], over[last]), float(over[np.isfinite(over)].max())
    if not np.isfinite(low) or not _joined(hops, over, high, first, last):
        return float("inf")
    while high - low > 0.05:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _joined(hops, over, middle, first, last) else (middle, high)
    return high


def _joined(hops: tuple[np.ndarray, np.ndarray, np.ndarray], over: np.ndarray, bound: float, first: int, last: int) -> bool:
    keep = (over[hops[0]] <= bound) & (over[hops[1]] <= bound)
    graph = coo_matrix((np.ones(keep.sum()), (hops[0][keep], hops[1][keep])), shape=(len(over), len(over))).tocsr()
    return bool(connected_components(graph, directed=False)[1][[first, last]].std() == 0)
