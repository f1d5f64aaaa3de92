"""Representation: embeddings as features of other methods."""

from typing import Self

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from zoo.applications._examples import examples_of, require_unconditional
from zoo.runtime import checks
from zoo.runtime.labelled import labelled
from zoo.runtime.types import ArrayLike

_LEAST_DEVIATION = 1e-6  # below it lies rounding


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer from examples to their embeddings, `model.embed`.

    Args:
        model: a trained model of the zoo, not a conditional one. `fit` does not train it.
        standardize: bool, whether each number of the embeddings is shifted and scaled to mean 0 and variance 1 over the
            examples of `fit`; one that is the same for all of them is shifted alone.
        batch_size: int >= 1, examples at once; None for a number that suits their size.

    Attributes:
        n_features_in_: int, the numbers in an example.

    Example:
        >>> from sklearn import linear_model, pipeline
        >>> features = zoo.applications.FeatureExtractor(model, standardize=True)
        >>> classifier = pipeline.make_pipeline(features, linear_model.LogisticRegression())
        >>> classifier.fit(images, labels).predict(images[:3]).shape
        (3,)
    """

    def __init__(self, model: keras.Model, standardize: bool = False, batch_size: int | None = None) -> None:
        self.model = model
        self.standardize = standardize
        self.batch_size = batch_size

    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Checks the model, and measures the embeddings if `standardize` asks for it: float `[N,…]` or `[N,F]`."""
        require_unconditional(self.model, "a FeatureExtractor")
        standardize = checks.boolean("standardize", self.standardize)
        self.mean_, self.scale_ = np.zeros(1, np.float32), np.ones(1, np.float32)
        x = examples_of(self, x, first=True)
        if standardize:
            e = self._embed(x)
            deviation = e.std(axis=0)
            self.mean_ = e.mean(axis=0)
            self.scale_ = np.where(deviation > _LEAST_DEVIATION, deviation, np.ones(1, np.float32))
        self.n_features_in_ = int(np.prod(x.shape[1:]))
        return self

    def transform(self, x: ArrayLike) -> np.ndarray:
        """Embeddings, float32 `[N,E]`."""
        check_is_fitted(self)
        return ((self._embed(examples_of(self, x)) - self.mean_) / self.scale_).astype(np.float32)

    def _embed(self, x):
        return np.asarray(self.model.embed(x, batch_size=self.batch_size))

    @property
    def _n_features_out(self):  # scikit-learn asks for it, to name the features
        return self.model.embedding_dim

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


def cluster(
    model: keras.Model, x: ArrayLike, num_clusters: int, labels: ArrayLike | None = None, seed: int = 0
) -> dict[str, np.ndarray | float]:
    """Clusters examples by k-means on their embeddings.

    Args:
        model: a model of the zoo.
        x: float `[N,…]` or `[N,F]`.
        num_clusters: int >= 1.
        labels: integers `[N]`, to compare the clusters with; or None.
        seed: int, of the first centres.

    Returns:
        dict of `clusters`, int32 `[N]`; `centers`, float32 `[num_clusters,E]`, which `model.decode_embedding` turns
        into data; and with labels the `adjusted_rand_index`, a float: 1 if the clusters are the labels, 0 by chance.

    Example:
        >>> found = zoo.applications.cluster(model, images, num_clusters=4, labels=labels)
        >>> found["clusters"].shape, found["centers"].shape
        ((32,), (4, 16))
    """
    from sklearn import cluster as clustering
    from sklearn import metrics

    e = FeatureExtractor(model).fit_transform(x)
    if checks.positive_int("num_clusters", num_clusters) > len(e):
        checks.fail("num_clusters", f"at most the number of examples, {len(e)}", num_clusters)
    k_means = clustering.KMeans(num_clusters, n_init=10, random_state=checks.fixed_seed("seed", seed)).fit(e)
    result: dict[str, np.ndarray | float] = {
        "clusters": k_means.labels_.astype(np.int32),
        "centers": k_means.cluster_centers_.astype(np.float32),
    }
    if labels is not None:
        result["adjusted_rand_index"] = float(metrics.adjusted_rand_score(np.asarray(labels), k_means.labels_))
    return result


def few_label_accuracy(
    features: np.ndarray,
    labels: ArrayLike,
    test_features: np.ndarray,
    test_labels: ArrayLike,
    per_class: int = 10,
    num_draws: int = 5,
    seed: int = 0,
) -> dict[str, float]:
    """The accuracy of classifiers that see a few labels of each class.

    Args:
        features, test_features: float `[N,E]`, such as embeddings.
        labels, test_labels: classes `[N]`, integers or texts.
        per_class: int >= 1, labels of each class.
        num_draws: int >= 1, how often they are drawn.
        seed: int, of the draws.

    Returns:
        dict of floats: `nearest`, the mean accuracy of the nearest neighbour, `linear`, that of logistic regression on
        standardised features, and `nearest_deviation`, `linear_deviation`, their standard deviations over the draws.

    Raises:
        ValueError: if a class has fewer than `per_class` examples, or training lacks a class of the test examples.

    Example:
        >>> e = model.embed(images).numpy()
        >>> sorted(zoo.applications.few_label_accuracy(e, labels % 2, e, labels % 2, per_class=3))
        ['linear', 'linear_deviation', 'nearest', 'nearest_deviation']
    """
    from sklearn import linear_model, neighbors, pipeline, preprocessing

    features, labels = training = labelled("features", features, "labels", labels)
    test = labelled("test_features", test_features, "test_labels", test_labels, training)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < checks.positive_int("per_class", per_class):
        checks.fail("per_class", f"at most {counts.min()}, the examples of the smallest class", per_class)
    rng = np.random.default_rng(checks.fixed_seed("seed", seed))
    found: dict[str, list[float]] = {"nearest": [], "linear": []}
    for _ in range(checks.positive_int("num_draws", num_draws)):
        rows = np.concatenate([rng.choice(np.flatnonzero(labels == each), per_class, False) for each in classes])
        linear = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=2000))
        for name, classifier in (("nearest", neighbors.KNeighborsClassifier(1)), ("linear", linear)):
            fitted = classifier.fit(features[rows], labels[rows])
            found[name].append(fitted.score(*test))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | {f"{name}_deviation": float(np.std(values)) for name, values in found.items()}
