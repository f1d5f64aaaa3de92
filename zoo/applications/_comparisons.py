"""Comparisons with normal examples: distances and densities, of NumPy arrays and, for exports, of tensors."""

import math

import numpy as np
from keras import ops
from sklearn import covariance, neighbors
from sklearn.mixture import GaussianMixture

from zoo.runtime import checks
from zoo.runtime.types import Tensor

_TINY = 1e-10  # what scikit-learn adds to a mean distance, so that equal examples have a density


class LatentDistance:
    """The distance of an embedding from those of normal examples.

    Args:
        embeddings: float `[N,E]`, of normal examples.
        num_neighbors: int >= 1: the mean distance to that many nearest neighbours. None: the Mahalanobis distance, with
            the covariance of Ledoit & Wolf 2004.
    """

    def __init__(self, embeddings: np.ndarray, num_neighbors: int | None) -> None:
        self.known = np.asarray(embeddings)
        if num_neighbors is None:
            self.estimator = covariance.LedoitWolf().fit(embeddings)
        else:
            if num_neighbors > len(embeddings):
                checks.fail("num_neighbors", f"at most the {len(embeddings)} examples to compare with", num_neighbors)
            self.estimator = neighbors.NearestNeighbors(n_neighbors=num_neighbors).fit(embeddings)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Distances, float64 `[N]`."""
        if hasattr(self.estimator, "mahalanobis"):
            return np.sqrt(self.estimator.mahalanobis(embeddings))
        return self.estimator.kneighbors(embeddings)[0].mean(axis=1)

    def tensor(self, embeddings: Tensor) -> Tensor:
        """The same of a tensor, float32 `[N]`."""
        if hasattr(self.estimator, "mahalanobis"):
            root = np.linalg.cholesky(self.estimator.precision_)
            centred = embeddings - _constant(self.estimator.location_)
            return ops.sqrt(ops.sum(ops.square(ops.matmul(centred, _constant(root))), axis=1))
        distances, _ = _nearest(self.known, embeddings, self.estimator.n_neighbors)
        return ops.mean(distances, axis=1)


class LocalOutlier:
    """The local outlier factor of an embedding among those of normal examples: about 1 in their midst.

    It compares the density at the embedding with that at its neighbours (Breunig et al. 2000, "LOF: Identifying
    Density-Based Local Outliers", definitions 5 to 7; as in scikit-learn, with exactly `num_neighbors` of them).

    Args:
        embeddings: float `[N,E]`, of normal examples.
        num_neighbors: int >= 1 and < N.
    """

    def __init__(self, embeddings: np.ndarray, num_neighbors: int) -> None:
        if num_neighbors >= len(embeddings):
            expected = f"below the number of examples to compare with, {len(embeddings)}"
            checks.fail("num_neighbors", expected, num_neighbors)
        self.known = np.asarray(embeddings)
        self.estimator = neighbors.LocalOutlierFactor(n_neighbors=num_neighbors, novelty=True).fit(embeddings)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Factors, float64 `[N]`."""
        return -self.estimator.score_samples(embeddings)

    def tensor(self, embeddings: Tensor) -> Tensor:
        """The same of a tensor, float32 `[N]`."""
        own_distances, own_nearest = self.estimator.kneighbors()  # of each normal example to the others
        radii = own_distances[:, -1]
        densities = 1.0 / (np.maximum(own_distances, radii[own_nearest]).mean(axis=1) + _TINY)
        distances, nearest = _nearest(self.known, embeddings, self.estimator.n_neighbors)
        reach = ops.mean(ops.maximum(distances, ops.take(_constant(radii), nearest)), axis=1) + _TINY
        return reach * ops.mean(ops.take(_constant(densities), nearest), axis=1)


class Density:
    """−log of a density of statistics: a mixture of Gaussians, fitted to those of normal examples.

    Args:
        statistics: float `[N,S]`, of normal examples.
        num_components: int >= 1, Gaussians.
        seed: int, of their first means.
        minimum: float > 0, added to the variances, in units of those of the statistics.
    """

    def __init__(self, statistics: np.ndarray, num_components: int, seed: int, minimum: float = 1e-3) -> None:
        if len(statistics) < num_components:
            checks.fail("num_components", f"at most the {len(statistics)} examples to compare with", num_components)
        self.mean, self.scale = statistics.mean(axis=0), statistics.std(axis=0) + 1e-12
        self.mixture = GaussianMixture(num_components, reg_covar=minimum, random_state=seed % 2**32)
        self.mixture.fit((statistics - self.mean) / self.scale)

    def __call__(self, statistics: np.ndarray) -> np.ndarray:
        """float64 `[N]`, nats."""
        return -self.mixture.score_samples((statistics - self.mean) / self.scale)

    def tensor(self, statistics: Tensor) -> Tensor:
        """The same of a tensor, float32 `[N]`: −log Σ_k π_k N(s; μ_k, Σ_k), where Σ_k⁻¹ = R_k R_kᵀ."""
        mixture, (components, size) = self.mixture, self.mixture.means_.shape
        roots = mixture.precisions_cholesky_  # [K,S,S]
        scaled = (statistics - _constant(self.mean)) / _constant(self.scale)
        whitened = ops.matmul(scaled, _constant(roots.transpose(1, 0, 2).reshape(size, -1)))
        whitened = whitened - _constant(np.einsum("ks,kst->kt", mixture.means_, roots).reshape(-1))
        squared = ops.sum(ops.square(ops.reshape(whitened, (-1, components, size))), axis=2)
        log_determinant = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        log_weights = np.log(mixture.weights_) + log_determinant - 0.5 * size * math.log(2.0 * math.pi)
        return -ops.logsumexp(_constant(log_weights) - 0.5 * squared, axis=1)


def _nearest(known, embeddings, number):
    """Distances to the nearest of the known embeddings, and their places: tensors `[N,number]`."""
    centre = known.mean(axis=0)
    known, centred = _constant(known - centre), embeddings - _constant(centre)
    squared = ops.sum(ops.square(centred), axis=1, keepdims=True) + np.square(known).sum(axis=1)
    squared = squared - 2.0 * ops.matmul(centred, known.T)
    _, nearest = ops.top_k(-squared, number)
    # The differences again, as small distances are lost in those of large squares.
    differences = ops.expand_dims(centred, 1) - ops.take(known, nearest, axis=0)
    return ops.sqrt(ops.sum(ops.square(differences), axis=2)), nearest


def _constant(values):
    return np.asarray(values, np.float32)
