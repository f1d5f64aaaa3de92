"""The training images that are nearest to samples: a model that memorises would be seen."""

import dataclasses

import numpy as np

from zoo.evaluation.features import Features, as_floats, require_features_of
from zoo.runtime import checks

_ROWS = 2048  # images of each side in float32 at once


@dataclasses.dataclass(frozen=True)
class Nearest:
    """The nearest training images of samples, in one space.

    Args:
        space: str, "pixels" or the label of the feature network.
        indices: int64 `[N,k]`, rows of the training images, the nearest first.
        distances: float64 `[N,k]`, Euclidean; of pixels in [0, 1].
        test_distances: float64 `[M]`, of each test image to its nearest training image; None without test images.
    """

    space: str
    indices: np.ndarray
    distances: np.ndarray
    test_distances: np.ndarray | None = None

    def summary(self) -> dict[str, float]:
        """The figures that show whether samples lie nearer to the training images than test images do.

        Returns:
            dict of floats: `distance`, the median over samples; with test images also `test_distance`, their median,
            and `share_nearer`, the share of samples that are nearer to a training image than 99 % of the test images.
            A model that draws as the data are gets 0.01, one that memorises far more. Blurred samples are near to
            training images in the space of pixels whether or not they are copies, so look at both spaces.
        """
        nearest = self.distances[:, 0]
        result = {"distance": float(np.median(nearest))}
        if self.test_distances is not None:
            result["test_distance"] = float(np.median(self.test_distances))
            result["share_nearer"] = float(np.mean(nearest < np.quantile(self.test_distances, 0.01)))
        return result


def nearest_training(
    samples: np.ndarray,
    training: np.ndarray,
    test: np.ndarray | None = None,
    features: Features | None = None,
    k: int = 1,
    training_features: np.ndarray | None = None,
) -> dict[str, Nearest]:
    """The nearest training images of each sample, by pixels and by features, with their distances.

    Args:
        samples: images `[N,H,W,C]`, uint8 or float in [0, 1].
        training: images `[T,H,W,C]` likewise, T >= k; in memory or a `zoo.runtime.disk.DiskArray`.
        test: images `[M,H,W,C]` that the model has not seen, to compare with; None leaves them out.
        features: `zoo.evaluation.features.Features`; None leaves this space out.
        k: int >= 1, neighbours of each sample.
        training_features: `[T,F]`, of `features.embed(training)`; None computes them.

    Returns:
        dict of `Nearest`, by space: "pixels", and the label of `features`.

    Raises:
        ValueError: for arrays of another form.

    Example:
        >>> near = zoo.evaluation.nearest_training(images[:4], images, test=images[16:])["pixels"]
        >>> near.indices[:, 0], near.distances.shape
        (array([0, 1, 2, 3]), (4, 1))
    """
    checks.positive_int("k", k)
    if len(training) < k:
        checks.fail("training", f"at least k={k} images", len(training))
    for name, images in (("training", training), ("samples", samples), ("test", test)):
        if images is not None and len(images.shape) != 4:
            checks.fail(name, "images [N,H,W,C]", images.shape)
        if images is not None and tuple(images.shape[1:]) != tuple(training.shape[1:]):
            checks.fail(name, f"images of shape {tuple(training.shape[1:])}, as `training`", images.shape)
    found = {"pixels": _nearest("pixels", samples, training, test, k)}
    if features is None and training_features is not None:
        checks.fail("training_features", "None without `features`", training_features.shape)
    if features is not None:
        embedded = features.embed(training) if training_features is None else training_features
        require_features_of(training, embedded)
        of_test = None if test is None else features.embed(test)
        found[features.label] = _nearest(features.label, features.embed(samples), embedded, of_test, k)
    return found


def _nearest(space, samples, training, test, k):
    indices, distances = _neighbours(samples, training, k)
    return Nearest(space, indices, distances, None if test is None else _neighbours(test, training, 1)[1][:, 0])


def _neighbours(queries, training, k):
    """Indices and distances `[N,k]` of the nearest rows of `training`, a block of each at a time."""
    from sklearn.neighbors import NearestNeighbors

    indices: np.ndarray = np.zeros((len(queries), 0), np.int64)
    distances: np.ndarray = np.zeros((len(queries), 0))
    for start in range(0, len(training), _ROWS):
        block = _flat(training[start : start + _ROWS])
        search = NearestNeighbors(n_neighbors=min(k, len(block)), algorithm="brute").fit(block)
        parts = [search.kneighbors(_flat(queries[i : i + _ROWS])) for i in range(0, len(queries), _ROWS)]
        distances = np.concatenate([distances, np.concatenate([each for each, _ in parts])], axis=1)
        indices = np.concatenate([indices, np.concatenate([start + rows for _, rows in parts])], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        distances, indices = (np.take_along_axis(each, order, axis=1) for each in (distances, indices))
    return indices, distances


def _flat(rows):
    """Images or features as float32 `[n, values]`."""
    return (as_floats(rows) if rows.ndim == 4 else rows).reshape(len(rows), -1)
