"""Targets of any dimension whose denoising distributions are known exactly: products of Gaussian mixtures."""

from dataclasses import dataclass

import numpy as np

GROUP = 5
"""Coordinates that cross together in `coupled`"""
AROUND = 24
"""Gaussians that make a ring"""


@dataclass(frozen=True)
class Block:
    """A mixture of Gaussians in a few coordinates, independent of the others."""

    weight: np.ndarray
    """(K,)"""
    mean: np.ndarray
    """(K, d)"""
    covariance: np.ndarray
    """(K, d, d)"""

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (d,) of the component that is A, and of the one that is B: half round where there are many."""
        other = len(self.mean) // 2 if len(self.mean) > 3 else min(1, len(self.mean) - 1)
        return self.mean[0], self.mean[other]

    def seen(self, center: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Through noise about centers (N, d): log densities of the components (N, K), their means (N, K, d), covariances (N, K, d, d)."""
        identity = np.eye(center.shape[1])
        blurred = self.covariance + identity / precision[:, None, None, None]
        gain = self.covariance @ np.linalg.inv(blurred)
        apart = center[:, None] - self.mean
        distance = np.einsum("nki,nkij,nkj->nk", apart, np.linalg.inv(blurred), apart)
        log_density = np.log(self.weight) - 0.5 * distance - 0.5 * np.linalg.slogdet(blurred)[1]
        return log_density, self.mean + np.einsum("nkij,nkj->nki", gain, apart), gain / precision[:, None, None, None]


@dataclass(frozen=True)
class Target:
    """Independent blocks side by side."""

    name: str
    blocks: tuple[Block, ...]

    @property
    def dimension(self) -> int:
        return sum(block.mean.shape[1] for block in self.blocks)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(D,) each."""
        a, b = zip(*(block.ends for block in self.blocks), strict=True)
        return np.concatenate(a), np.concatenate(b)

    def _split(self, center: np.ndarray) -> list[np.ndarray]:
        return np.split(center, np.cumsum([block.mean.shape[1] for block in self.blocks])[:-1], axis=-1)

    def moments(self, center: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of noise about centers (N, D) with precisions (N,): psi (N,) relative to p_0, mean (N, D), and total variance (N,)."""
        psi = 0.5 * (precision * (center**2).sum(axis=1) - self.dimension * np.log(precision))
        means, variance = [], np.zeros(len(center))
        for block, part in zip(self.blocks, self._split(center), strict=True):
            log_density, mean, covariance = block.seen(part, precision)
            top = log_density.max(axis=1, keepdims=True)
            share = np.exp(log_density - top)
            psi += top[:, 0] + np.log(share.sum(axis=1))
            share /= share.sum(axis=1, keepdims=True)
            middle = (share[..., None] * mean).sum(axis=1)
            within = np.trace(covariance, axis1=-2, axis2=-1) + ((mean - middle[:, None]) ** 2).sum(axis=-1)
            variance += (share * within).sum(axis=1)
            means.append(middle)
        return psi, np.concatenate(means, axis=1), variance

    def draw(self, center: np.ndarray, precision: float, count: int, rng: np.random.Generator) -> np.ndarray:
        """Samples (count, D) under noise about one center (D,); of p_0 for a precision that is next to nothing."""
        found = []
        for block, part in zip(self.blocks, self._split(center), strict=True):
            log_density, mean, covariance = block.seen(part[None], np.array([precision]))
            share = np.exp(log_density[0] - log_density.max())
            component = rng.choice(len(share), count, p=share / share.sum())
            root = np.linalg.cholesky(covariance[0])
            noise = rng.standard_normal((count, part.shape[0]))
            found.append(mean[0, component] + np.einsum("nij,nj->ni", root[component], noise))
        return np.concatenate(found, axis=1)


def wells(dimension: int) -> Target:
    """A double well in each coordinate: 2^D basins."""
    one = Block(np.array([0.6, 0.4]), np.array([[-1.0], [1.0]]), np.array([[[0.09]], [[0.05]]]))
    return Target("independent wells", (one,) * dimension)


def coupled(dimension: int) -> Target:
    """Groups of coordinates that cross together, by way of a third basin, correlated in each."""
    rng = np.random.default_rng(5)
    size = min(GROUP, dimension)
    blocks = []
    for _ in range(max(1, dimension // GROUP)):
        mean = np.stack([-np.ones(size), np.ones(size), rng.standard_normal(size)])
        root = rng.standard_normal((3, size, size))
        covariance = 0.06 * (root @ root.swapaxes(1, 2) / size + 0.2 * np.eye(size))
        blocks.append(Block(np.array([0.5, 0.35, 0.15]), mean, covariance))
    return Target("coupled wells", tuple(blocks))


def ring(dimension: int) -> Target:
    """A ring in two coordinates, and wells and harmonic ones beside it."""
    angle = 2.0 * np.pi * np.arange(AROUND) / AROUND
    weight = 1.0 + 0.5 * np.cos(2.0 * angle)
    mean = 1.2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    round_about = Block(weight / weight.sum(), mean, np.broadcast_to(0.03 * np.eye(2), (AROUND, 2, 2)))
    half = (dimension - 2) // 2
    harmonic = Block(np.array([1.0]), np.zeros((1, 1)), np.array([[[0.1]]]))
    return Target("ring", (round_about, *wells(half).blocks, *[harmonic] * (dimension - 2 - half)))
