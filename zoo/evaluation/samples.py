"""Measures of sets of samples, on features `[N,F]` of the samples and of real images.

All are computed in chunks of bounded memory. A set with fewer examples than features, or two sets of very different
sizes, give figures that compare with nothing: measure sets of as many examples wherever two figures are compared.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from zoo.evaluation.rows import standard_error
from zoo.runtime import checks

_ROWS = 4096  # in float64 at once
_CHUNK_MIB = 64
_LARGEST = 1e15  # of a feature, whose squares are summed
# Distances may differ by so much, relatively, where they are equal.
_ROUNDING = {"float32": 4 * float(np.finfo(np.float32).eps), "float64": 1e-9}


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray, groups: int = 20) -> dict[str, float]:
    """The Fréchet distance of two sets of features, taken for Gaussian.

        d² = |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½)

    The figure is d², as is usual. Its estimate is too large for small sets, by an amount that falls as 1/N, so compare
    figures of sets of equal sizes only, and see it beside the figure of real images against real images.

    Args:
        features_a, features_b: float `[N,F]` and `[M,F]`, N and M >= 3.
        groups: int, at least 2: the groups of examples of each set that are left out in turn for the standard error; or
            0, which leaves the error out.

    Returns:
        dict of floats: `frechet_distance`, in squared units of the features; and `standard_error`, over the examples of
        both sets, by the jackknife that deletes a group at a time. It does not measure the excess that is due to the
        size of the sets.

    Raises:
        ValueError: for arrays of another form, or with values that are not finite.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(200, 3))
        >>> round(zoo.evaluation.frechet_distance(features, features + 2.0)["frechet_distance"], 6)
        12.0

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", for the
    measure; Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions", for the formula.
    Deviation: the trace of (Σ_a Σ_b)^½ is computed as the sum of the singular values of Σ_a^½ Σ_b^½. The two are equal,
    and the latter stays real where covariances are singular.
    """
    a, b = _pair("features_a", features_a, "features_b", features_b, 3)
    if checks.integer("groups", groups, 0) == 1:
        checks.fail("groups", "0, or an integer >= 2", groups)
    fewest = min(len(a), len(b))
    if groups and fewest - -(-fewest // groups) < 2:
        checks.fail("groups", f"0, or larger, as {fewest} examples without one group are too few", groups)
    sums_a, sums_b = _Sums.of(a), _Sums.of(b)
    gaussian_a, gaussian_b = sums_a.gaussian(), sums_b.gaussian()
    result = {"frechet_distance": _frechet(gaussian_a, gaussian_b)}
    if groups:
        variance = _jackknife([_frechet(each, gaussian_b) for each in sums_a.without_groups(a, groups)])
        variance += _jackknife([_frechet(gaussian_a, each) for each in sums_b.without_groups(b, groups)])
        result["standard_error"] = float(np.sqrt(variance))
    return result


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> dict[str, float]:
    """The share of samples that lie among the real examples, and the share of real examples among the samples.

    An example lies among a set if it is in the ball of an element of the set; the radius of an element's ball is its
    distance to its k-th nearest neighbour in the set.

    Args:
        real, fake: float `[N,F]` and `[M,F]`, N and M > k.
        k: int >= 1.

    Returns:
        dict of floats in [0, 1]: `precision` and `recall`; and `precision_error` and `recall_error`, their standard
        errors over the examples that are counted, with the balls held fixed.

    Raises:
        ValueError: for arrays of another form, or with values that are not finite.

    Example:
        >>> real = np.random.default_rng(0).normal(size=(100, 3))
        >>> result = zoo.evaluation.precision_recall(real, real)
        >>> result["precision"], result["recall"]
        (1.0, 1.0)

    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models". Balls are closed.
    """
    real, fake = _centred(*_pair("real", real, "fake", fake, checks.positive_int("k", k) + 1))
    closed = 1 + _ROUNDING[real.dtype.name]
    real_radii, fake_radii = _radii(real, k) * closed, _radii(fake, k) * closed
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, distances in _distances(fake, real):
        precise[rows] = (distances <= real_radii).any(axis=1)
        recalled |= (distances <= fake_radii[rows, None]).any(axis=0)
    return {**_mean("precision", precise), **_mean("recall", recalled)}


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """How many balls of real examples a sample lies in, and the share of real examples with a sample in their ball.

    The radius of a real example's ball is its distance to its k-th nearest real neighbour. Compared with precision and
    recall, a single outlier among the real examples or the samples counts for little.

    Args:
        real, fake: float `[N,F]` and `[M,F]`, N > k and M >= 1.
        k: int >= 1.

    Returns:
        dict of floats: `density`, the mean number of balls divided by k: 1 is expected of real examples, and it can be
        larger; `coverage`, in [0, 1]; and `density_error` and `coverage_error`, their standard errors over the samples
        and over the real examples, with the balls held fixed.

    Raises:
        ValueError: for arrays of another form, or with values that are not finite.

    Example:
        >>> real = np.random.default_rng(0).normal(size=(100, 3))
        >>> result = zoo.evaluation.density_coverage(real, real)
        >>> result["density"], result["coverage"]
        (1.0, 1.0)

    Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models". Balls are open, as in the
    authors' code, and the density of a set in itself is 1. A real example that is there more than k times has an empty
    ball, and counts as not covered.
    """
    real, fake = _centred(*_pair("real", real, "fake", fake, checks.positive_int("k", k) + 1, 1))
    radii = _radii(real, k) * (1 - _ROUNDING[real.dtype.name])
    balls, covered = np.zeros(len(fake)), np.zeros(len(real), bool)
    for rows, distances in _distances(fake, real):
        inside = distances < radii
        balls[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
    return {**_mean("density", balls / k), **_mean("coverage", covered)}


def _mean(name, values):
    values = values.astype(np.float64)
    return {name: float(values.mean()), f"{name}_error": standard_error(values)}


def _pair(name_a, a, name_b, b, least_a, least_b=None):
    """The two sets as float arrays `[N,F]` with at least so many rows: both float32, or both float64."""
    a, b = _features(name_a, a, least_a), _features(name_b, b, least_a if least_b is None else least_b)
    if a.shape[1] != b.shape[1]:
        checks.fail(name_b, f"an array of {a.shape[1]} features, as `{name_a}`", b.shape)
    dtype = np.promote_types(np.promote_types(a.dtype, b.dtype), np.float32)
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def _features(name, value, least):
    value = checks.numpy_array(name, value)
    if value.ndim != 2 or len(value) < least or value.dtype.kind != "f":
        checks.fail(name, f"a float array [N,F] with N >= {least}", f"{value.dtype} of shape {value.shape}")
    for part in _parts(value):
        largest = np.abs(value[part]).max().astype(np.float64)
        if not largest <= _LARGEST:  # NaN neither
            checks.fail(name, f"an array of finite values of at most {_LARGEST:g}", f"values up to {largest:g}")
    return value


def _centred(real, fake):
    """The features about the mean of the real ones, where it is large: distances come from sums of squares."""
    centre = real.mean(axis=0, dtype=np.float64)
    if np.abs(centre).max() < 100.0 * real.std(axis=0, dtype=np.float64).max():
        return real, fake
    return (real - centre).astype(real.dtype), (fake - centre).astype(fake.dtype)


def _parts(array):
    return (slice(start, start + _ROWS) for start in range(0, len(array), _ROWS))


class _Sums(NamedTuple):
    """Sums over examples, in float64, from which the mean and the covariance follow."""

    number: int
    centre: np.ndarray  # [F], subtracted from the features
    first: np.ndarray  # [F]
    second: np.ndarray  # [F,F]

    @classmethod
    def of(cls, features, centre=None):
        """Those of features `[N,F]`, about their mean if no centre is given."""
        if centre is None:
            centre = sum(features[part].sum(axis=0, dtype=np.float64) for part in _parts(features)) / len(features)
        first, second = np.zeros(features.shape[1]), np.zeros((features.shape[1],) * 2)
        for part in _parts(features):
            centred = features[part].astype(np.float64) - centre
            first += centred.sum(axis=0)
            second += centred.T @ centred
        return cls(len(features), centre, first, second)

    def gaussian(self):
        """The mean `[F]`, and the symmetric root `[F,F]` of the covariance, which is divided by N − 1."""
        shift = self.first / self.number
        covariance = (self.second - self.number * np.outer(shift, shift)) / (self.number - 1)
        values, vectors = np.linalg.eigh(covariance)
        return self.centre + shift, (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T

    def without_groups(self, features, groups):
        """Yields the `gaussian` of all examples but those of one group, for each group."""
        groups = min(groups, len(features))
        for group in range(groups):
            left_out = _Sums.of(features[group::groups], self.centre)
            first, second = self.first - left_out.first, self.second - left_out.second
            yield _Sums(self.number - left_out.number, self.centre, first, second).gaussian()


def _jackknife(values):
    """The variance of a figure, from its values without each of the groups."""
    return (len(values) - 1) / len(values) * np.square(np.array(values) - np.mean(values)).sum()


def _frechet(gaussian_a, gaussian_b):
    (mean_a, root_a), (mean_b, root_b) = gaussian_a, gaussian_b
    traces = np.square(root_a).sum() + np.square(root_b).sum()
    product = np.linalg.norm(root_a @ root_b, "nuc")
    return float(max(0.0, np.square(mean_a - mean_b).sum() + traces - 2.0 * product))


def _radii(features, k):
    """The distance of each example to its k-th nearest other example: `[N]`."""
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features).kneighbors()
    return distances[:, -1]


def _distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the Euclidean distances `[n,M]` of some rows to all columns, with the slice of these rows."""
    from sklearn.metrics import pairwise_distances_chunked

    start = 0
    for distances in pairwise_distances_chunked(rows, columns, working_memory=_CHUNK_MIB):
        yield slice(start, start + len(distances)), distances
        start += len(distances)
