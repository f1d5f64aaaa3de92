"""Accuracies of simple classifiers on embeddings, by hand."""

import math

import numpy as np
import pytest

from zoo.evaluation import linear_probe, nearest_neighbours


def clusters(number, seed=0):
    """Embeddings around (0, 0), (10, 0) and (0, 1000), and their classes 4, 5 and 9."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=number)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 1000.0]])
    return centres[labels] + rng.normal(size=(number, 2)), np.array([4, 5, 9])[labels]


@pytest.mark.parametrize("score", [linear_probe, nearest_neighbours])
def test_separate_clusters_are_told_apart(score):
    result = score(*clusters(60), *clusters(40, seed=1))
    assert result["accuracy"] == 1.0 and result["standard_error"] == 0.0


@pytest.mark.parametrize("score", [linear_probe, nearest_neighbours])
def test_noise_is_at_chance_within_its_error(score):
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(1000, 3)), rng.integers(2, size=1000)
    result = score(embeddings[:500], labels[:500], embeddings[500:], labels[500:])
    assert abs(result["accuracy"] - 0.5) < 4 * result["standard_error"]
    assert result["standard_error"] == pytest.approx(math.sqrt(0.25 / 500), rel=0.02)


def test_standard_error_is_that_of_a_share():
    """Three of four are right: √(¾ · ¼ / 4)."""
    train, labels = np.array([[0.0], [1.0]]), np.array([0, 1])
    result = nearest_neighbours(train, labels, np.array([[0.1], [0.2], [0.9], [0.8]]), np.array([0, 0, 1, 0]), k=1)
    assert result == {"accuracy": 0.75, "standard_error": pytest.approx(math.sqrt(0.1875 / 4))}


def test_a_circle_is_for_neighbours_and_not_for_a_line():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (2000, 2))
    labels = (np.square(points).sum(axis=1) < 2 / math.pi).astype(int)  # half of the square's area
    halves = (points[:1000], labels[:1000], points[1000:], labels[1000:])
    assert nearest_neighbours(*halves)["accuracy"] > 0.95
    assert linear_probe(*halves)["accuracy"] < 0.65


def test_the_number_of_neighbours_counts():
    """The nearest embedding has class 0, two of the three nearest class 1."""
    train, labels = np.array([[0.0], [1.0], [1.1], [9.0]]), np.array([0, 1, 1, 0])
    test = np.array([[0.3]])
    assert nearest_neighbours(train, labels, test, np.array([0]), k=1)["accuracy"] == 1.0
    assert nearest_neighbours(train, labels, test, np.array([1]), k=3)["accuracy"] == 1.0


def test_dimensions_of_any_scale_count_for_the_probe():
    embeddings, labels = clusters(60)
    test, test_labels = clusters(40, seed=1)
    tiny = np.array([1e-6, 1.0])
    assert linear_probe(embeddings * tiny, labels, test * tiny, test_labels)["accuracy"] == 1.0


def test_a_stronger_penalty_fits_less():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(60, 30)), rng.integers(2, size=60)
    free, held = (
        linear_probe(embeddings, labels, embeddings, labels, regularization=weight)["train_accuracy"]
        for weight in (1e-4, 1e4)
    )
    assert free == 1.0 > held


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            (np.zeros(4), np.arange(4), np.zeros((2, 1)), [0, 1]),
            r"`train_embeddings` to be .* of shape \[N,E\]",
        ),
        ((np.zeros((4, 1)), np.arange(3), np.zeros((2, 1)), [0, 1]), r"`train_labels` to be an array of shape \[4\]"),
        ((np.zeros((4, 1)), np.arange(4), np.zeros((2, 1)), [[0, 1]]), r"`test_labels` to be an array of shape \[2\]"),
        ((np.zeros((4, 1)), np.ones(4), np.zeros((2, 1)), [0, 1]), "of at least two classes"),
        ((np.zeros((4, 1)), np.arange(4), np.zeros((2, 2)), [0, 1]), r"`test_embeddings` to be an array .* \[N,1\]"),
        ((np.zeros((4, 1)), np.arange(4), np.zeros((2, 1)), [0, 9]), r"`test_labels` to be of .* Received: .*\[9\]"),
        ((np.zeros((4, 1)), [0, 1, np.nan, 1], np.zeros((2, 1)), [0, 1]), "`train_labels` to be an array of classes"),
        ((np.full((4, 1), np.inf), np.arange(4), np.zeros((2, 1)), [0, 1]), "`train_embeddings` to be .* finite"),
        ((np.full((4, 1), "a"), np.arange(4), np.zeros((2, 1)), [0, 1]), "`train_embeddings` to be .* of numbers"),
        ((np.zeros((4, 1)), np.ma.masked_equal(range(4), 2), np.zeros((2, 1)), [0, 1]), "`train_labels` .* mask"),
        (
            (np.ma.masked_equal(np.eye(4), 1), range(4), np.zeros((2, 4)), [0, 1]),
            "`train_embeddings` .* mask",
        ),
    ],
)
@pytest.mark.parametrize("score", [linear_probe, nearest_neighbours])
def test_wrong_arrays_are_refused(score, arguments, message):
    with pytest.raises(ValueError, match=message):
        score(*arguments)


def test_more_neighbours_than_examples_are_refused():
    with pytest.raises(ValueError, match="`k` to be at most 4, the number of training examples. Received: k=5"):
        nearest_neighbours(np.zeros((4, 1)), np.arange(4), np.zeros((1, 1)), [0])


def test_classes_may_be_texts():
    embeddings, labels = clusters(40)
    names = np.array([f"class {label}" for label in labels], dtype=object)
    assert linear_probe(embeddings, names, embeddings, [*names]) == linear_probe(embeddings, labels, embeddings, labels)
