"""The nearest training images, and how copies show."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.evaluation import nearest, nearest_training
from zoo.evaluation.features import Features
from zoo.runtime import disk


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(nearest, "_ROWS", 16)


def images(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 4, 4, 1), dtype=np.uint8)


def row_means():
    """A network whose features are the means over rows."""
    return Features("rows", "rows features", lambda x: (tf.reduce_mean(x, (2, 3)), None), (4, 4, 1))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_indices_and_distances_are_those_of_the_whole_matrix(k):
    queries, training = images(9), images(30, seed=1)
    found = nearest_training(queries, training, k=k)["pixels"]
    a, b = (each.reshape(len(each), -1) / 255.0 for each in (queries, training))
    whole = np.sqrt(np.square(a[:, None] - b[None]).sum(-1))
    np.testing.assert_array_equal(found.indices, np.argsort(whole, axis=1)[:, :k])
    np.testing.assert_allclose(found.distances, np.sort(whole, axis=1)[:, :k], rtol=1e-5)


def test_copies_are_found_at_no_distance_in_both_spaces(tmp_path):
    training = images(40)
    on_disk = disk.empty(training.shape, np.uint8, tmp_path)
    on_disk[0:40] = training
    copies = training[[31, 2, 17]]
    for where in (training, on_disk):
        found = nearest_training(copies, where, test=images(20, seed=1), features=row_means())
        assert set(found) == {"pixels", "rows features"}
        for each in found.values():
            np.testing.assert_array_equal(each.indices[:, 0], [31, 2, 17])
            np.testing.assert_allclose(each.distances, 0.0, atol=1e-6)
            assert each.test_distances.shape == (20,) and each.test_distances.min() > 0.0
            assert each.summary()["share_nearer"] == 1.0 and each.summary()["distance"] < 1e-6


def test_samples_drawn_as_the_data_are_not_nearer_than_test_images(monkeypatch):
    monkeypatch.setattr(nearest, "_ROWS", 150)
    found = nearest_training(images(200, seed=1), images(300), test=images(200, seed=2))["pixels"]
    summary = found.summary()
    assert summary["share_nearer"] < 0.05
    np.testing.assert_allclose(summary["distance"], summary["test_distance"], rtol=0.05)


def test_without_test_images_there_is_no_comparison():
    assert set(nearest_training(images(3), images(9))["pixels"].summary()) == {"distance"}


def test_images_of_another_shape_and_too_few_are_refused():
    with pytest.raises(ValueError, match=r"Expected `test` to be images of shape \(4, 4, 1\), as `training`"):
        nearest_training(images(3), images(9), test=images(3)[:, :2])
    with pytest.raises(ValueError, match=r"Expected `training` to be at least k=4 images. Received: training=3"):
        nearest_training(images(5), images(3), k=4)


def test_rows_that_are_no_images_and_features_without_a_network_are_refused():
    with pytest.raises(ValueError, match=r"Expected `training` to be images \[N,H,W,C\]. Received: training=\(9, 16\)"):
        nearest_training(images(3).reshape(3, -1), images(9).reshape(9, -1))
    with pytest.raises(ValueError, match="Expected `training_features` to be None without `features`"):
        nearest_training(images(3), images(9), training_features=np.zeros((9, 4), np.float32))
