"""The full datasets, where TFDS_DATA_DIR names them: `pytest -m data`."""

import os

import numpy as np
import pytest

from zoo import data

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("TFDS_DATA_DIR" not in os.environ, reason="TFDS_DATA_DIR names no folder"),
]


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("mnist", (28, 28, 1), (55000, 5000, 10000)),
        ("fashion_mnist", (28, 28, 1), (55000, 5000, 10000)),
        ("cifar10", (32, 32, 3), (45000, 5000, 10000)),
    ],
)
def test_official_splits_load_whole(name, shape, sizes):
    splits = data.load(name)
    parts = (splits.train, splits.validation, splits.test)
    assert tuple(len(part) for part in parts) == sizes
    assert all(part.images.shape[1:] == shape for part in parts)
    assert np.bincount(splits.test.labels).min() > 800


def test_cifar10_has_the_published_channel_means():
    splits = data.load("cifar10")
    training = np.concatenate([splits.train.images, splits.validation.images])
    np.testing.assert_allclose(training.mean(axis=(0, 1, 2)), (125.31, 122.95, 113.87), atol=0.01)


@pytest.mark.parametrize("name", data.SAMPLES)
def test_bundled_sample_holds_the_first_images_of_the_official_test_split(name):
    few = data.load(name, sample=True).test
    full = data.load(name).test.take(np.arange(len(few)))
    assert labelled(few) == labelled(full)


def labelled(images):
    return sorted((image.tobytes(), int(label)) for image, label in zip(images.images, images.labels))
