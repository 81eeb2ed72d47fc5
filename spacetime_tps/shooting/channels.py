"""Channels: groups of paths that cross the top at the same place, told apart by their other coordinates there."""

from collections.abc import Callable

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.windows.window import Window

REPRESENTATIVES = 300
MOST = 4
CLOUDS = 20
"""Single clouds that the grouping is compared with"""
MARGIN = 0.02
"""Of the mean silhouette, by which groups must be more distinct than those found in any of the single clouds"""


def crossing_places(paths: list[np.ndarray], window: Window, features: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The coordinates (paths, D) of each path (F, D) at the frame that a window holds most firmly; `features`: T (F, E) of coordinates."""
    return np.array([p[np.argmax(window.log_factor(features(p)))] for p in paths])


def channels(places: np.ndarray, angular: np.ndarray, weight: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The channel (n,) of each of n paths, numbered from the heaviest; all zero where there is one.

    places (n, m): coordinates at which the paths cross, radians where `angular` (m,) says so; weight (n,).
    `REPRESENTATIVES` drawn by weight are joined by average linkage into two to `MOST` groups, as many as have the largest mean silhouette
    (Rousseeuw 1987), or left as one where a single Gaussian cloud of the same means and covariance falls apart as well: in one dimension
    any cloud cut in two has a silhouette above one half. Every path then goes with the nearest group (`nearest`).
    """
    if not places.shape[1] or len(places) < 10:
        return np.zeros(len(places), dtype=int)
    drawn = places[rng.choice(len(places), REPRESENTATIVES, p=weight / weight.sum())]
    best, score = _grouping(_flat(drawn, angular))
    cloud = _centred(drawn, angular)
    shape = np.linalg.cholesky(np.atleast_2d(np.cov(cloud.T)) + 1e-12 * np.eye(cloud.shape[1]))
    singles = (rng.normal(size=cloud.shape) @ shape.T for _ in range(CLOUDS))
    if score < MARGIN + max(_grouping(_flat(single, angular))[1] for single in singles):
        return np.zeros(len(places), dtype=int)
    centres = [_centre(drawn[best == g], angular) for g in np.unique(best)]
    group = nearest(places, np.array(centres), angular)
    order = np.argsort([-weight[group == g].sum() for g in range(len(centres))])
    return np.asarray(np.argsort(order)[group])


def nearest(places: np.ndarray, centres: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """The group (n,) whose centre, of (G, m), is nearest to each of n places (n, m); the short way round for angles."""
    return np.asarray(np.linalg.norm(difference(places[:, None], centres, angular), axis=-1).argmin(axis=1))


def _flat(places: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Places (n, m) where nothing wraps: cosines, sines, and what is no angle."""
    return np.concatenate([np.cos(places[:, angular]), np.sin(places[:, angular]), places[:, ~angular]], axis=1)


def _centred(places: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Differences (n, m) from the mean, the short way round for angles."""
    return difference(_centre(places, angular), places, angular)


def _centre(places: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Mean (m,) of places (n, m), of angles the mean direction."""
    return np.where(angular, np.angle(np.exp(1j * places).mean(axis=0)), places.mean(axis=0))


def _grouping(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The most distinct grouping (n,) of points (n, k) by average linkage into two to `MOST`, and its mean silhouette."""
    distance = pdist(points)
    tree = linkage(distance, "average")
    groupings = [fcluster(tree, count, "maxclust") for count in range(2, MOST + 1)]
    scores = [_silhouette(squareform(distance), g) for g in groupings]
    return groupings[int(np.argmax(scores))], max(scores)


def centre_of(values: np.ndarray, weight: np.ndarray, angular: bool) -> tuple[float, float]:
    """Weighted mean and spread of values (n,): of angles the mean direction and its spread."""
    if not angular:
        mean = float(weight @ values / weight.sum())
        return mean, float(np.sqrt(weight @ (values - mean) ** 2 / weight.sum()))
    z = (weight * np.exp(1j * values)).sum() / weight.sum()
    return float(np.angle(z)), float(np.sqrt(max(-2.0 * np.log(abs(z)), 0.0)))


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
