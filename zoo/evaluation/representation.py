"""Scores of a representation: how well simple classifiers tell the classes of embeddings."""

import numpy as np

from zoo.runtime import checks
from zoo.runtime.labelled import labelled
from zoo.runtime.types import ArrayLike


def linear_probe(
    train_embeddings: ArrayLike,
    train_labels: ArrayLike,
    test_embeddings: ArrayLike,
    test_labels: ArrayLike,
    regularization: float = 1.0,
) -> dict[str, float]:
    """The accuracy of a logistic regression on embeddings.

    Each dimension is scaled to mean 0 and variance 1 of the training embeddings first.

    Args:
        train_embeddings, test_embeddings: floats `[N,E]`, of `model.embed`.
        train_labels, test_labels: classes `[N]`.
        regularization: float > 0, the weight of half the squared norm of the coefficients in the loss, which is the sum
            over the training examples.

    Returns:
        dict of floats: `accuracy` on the test examples, from 0 to 1, its `standard_error` over them, and the accuracy
        on the training examples, `train_accuracy`.

    Raises:
        ValueError: for embeddings or labels of another shape, labels that are no classes, a single class in training,
            and test labels that training lacks.

    Example:
        >>> embeddings = model.embed(images)
        >>> zoo.evaluation.linear_probe(embeddings[:24], labels[:24], embeddings[24:], labels[24:])
        {'accuracy': …, 'standard_error': …, 'train_accuracy': …}
    """
    from sklearn import linear_model, pipeline, preprocessing  # here, as importing zoo must not import it

    inverse = 1.0 / checks.number("regularization", regularization, 0.0, open_low=True)
    probe = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=inverse, max_iter=1000)
    )
    train, test = _sets(train_embeddings, train_labels, test_embeddings, test_labels)
    probe.fit(*train)
    return _accuracy(probe, test) | {"train_accuracy": float(probe.score(*train))}


def nearest_neighbours(
    train_embeddings: ArrayLike,
    train_labels: ArrayLike,
    test_embeddings: ArrayLike,
    test_labels: ArrayLike,
    k: int = 5,
) -> dict[str, float]:
    """The accuracy of a vote of the k nearest training embeddings, by Euclidean distance.

    Args:
        train_embeddings, train_labels, test_embeddings, test_labels: as in `linear_probe`.
        k: int >= 1, at most the number of training examples.

    Returns:
        dict of floats: `accuracy` on the test examples, from 0 to 1, and its `standard_error` over them.

    Raises:
        ValueError: as `linear_probe`, and for `k` out of range.
    """
    from sklearn import neighbors  # here, as importing zoo must not import it

    train, test = _sets(train_embeddings, train_labels, test_embeddings, test_labels)
    if checks.positive_int("k", k) > len(train[0]):
        checks.fail("k", f"at most {len(train[0])}, the number of training examples", k)
    return _accuracy(neighbors.KNeighborsClassifier(k).fit(*train), test)


def _sets(train_embeddings, train_labels, test_embeddings, test_labels):
    train = labelled("train_embeddings", train_embeddings, "train_labels", train_labels)
    return train, labelled("test_embeddings", test_embeddings, "test_labels", test_labels, train)


def _accuracy(classifier, test):
    """The accuracy p, and its standard error √(p (1 − p) / N)."""
    accuracy = float(classifier.score(*test))
    return {"accuracy": accuracy, "standard_error": float(np.sqrt(accuracy * (1.0 - accuracy) / len(test[1])))}
