"""Channels: groups of paths that cross the top at the same place, told apart by their other coordinates there."""

from collections.abc import Callable

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from spacetime_tps.windows.window import Window

REPRESENTATIVES = 300
MOST = 4
DISTINCT = 0.5
"""Mean silhouette, at least, for groups to be told apart: one where they are points far from each other, zero where they are one cloud"""


def crossing_places(paths: list[np.ndarray], window: Window, features: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The coordinates (paths, D) of each path (F, D) at the frame that a window holds most firmly; `features`: T (F, E) of coordinates."""
    return np.array([p[np.argmax(window.log_factor(features(p)))] for p in paths])


def channels(places: np.ndarray, angular: np.ndarray, weight: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The channel (n,) of each of n paths, numbered from the heaviest; all zero where there is one.

    places (n, m): coordinates at which the paths cross, radians where `angular` (m,) says so; weight (n,).
    `REPRESENTATIVES` drawn by weight are joined by average linkage into two to `MOST` groups, as many as have the largest mean silhouette
    (Rousseeuw 1987), or left as one where that is below `DISTINCT`; every path then goes with the nearest group's mean direction.
    """
    if not places.shape[1] or len(places) < 10:
        return np.zeros(len(places), dtype=int)
    flat = np.concatenate([np.cos(places[:, angular]), np.sin(places[:, angular]), places[:, ~angular]], axis=1)
    drawn = flat[rng.choice(len(flat), REPRESENTATIVES, p=weight / weight.sum())]
    distance = pdist(drawn)
    tree = linkage(distance, "average")
    groupings = [fcluster(tree, count, "maxclust") for count in range(2, MOST + 1)]
    scores = [_silhouette(squareform(distance), g) for g in groupings]
    best = groupings[int(np.argmax(scores))]
    if max(scores) < DISTINCT:
        return np.zeros(len(places), dtype=int)
    means = np.array([drawn[best == g].mean(axis=0) for g in np.unique(best)])
    nearest = np.linalg.norm(flat[:, None] - means, axis=-1).argmin(axis=1)
    order = np.argsort([-weight[nearest == g].sum() for g in range(len(means))])
    return np.asarray(np.argsort(order)[nearest])


def centre_of(values: np.ndarray, weight: np.ndarray, angular: bool) -> tuple[float, float]:
    """Weighted mean and spread of values (n,): of angles in radians the mean direction and its spread, in degrees."""
    if not angular:
        mean = float(weight @ values / weight.sum())
        return mean, float(np.sqrt(weight @ (values - mean) ** 2 / weight.sum()))
    z = (weight * np.exp(1j * values)).sum() / weight.sum()
    return float(np.degrees(np.angle(z))), float(np.degrees(np.sqrt(max(-2.0 * np.log(abs(z)), 0.0))))


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    """Mean over points of (b - a) / max(a, b): a the mean distance within the own group, b to the nearest other; zero for single points."""
    labels = np.unique(group)
    if len(labels) < 2:
        return -1.0
    to = np.stack([distance[:, group == g].sum(axis=1) for g in labels], axis=1)
    size = np.array([(group == g).sum() for g in labels])
    own = np.searchsorted(labels, group)
    rows = np.arange(len(group))
    within = to[rows, own] / np.maximum(size[own] - 1, 1)
    to = to / size
    to[rows, own] = np.inf
    other = to.min(axis=1)
    score = (other - within) / np.maximum(np.maximum(within, other), 1e-12)
    return float(np.where(size[own] > 1, score, 0.0).mean())
