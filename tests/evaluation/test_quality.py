"""The figures of samples and reconstructions, of models that give what they are told to."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.evaluation import frechet_distance, precision_recall, quality, sample_quality
from zoo.evaluation.features import Features


def judge():
    """A network whose features are the 2×2 quarters of an image."""

    def network(x):
        return tf.reshape(tf.nn.avg_pool2d(x, 2, 2, "VALID"), (-1, 4)), None

    return Features("quarters", "quarters features", network, (4, 4, 1))


class Copies:
    """Samples training images and reconstructs test images as they are, but for `noise`."""

    conditional = False

    def __init__(self, training, noise=0.0):
        self.training, self.noise, self.seeds = training, noise, []

    def label_source(self):
        return None

    def sample(self, num_samples, seed, labels=None):
        self.seeds.append(np.asarray(seed))
        return self.training[np.abs(seed) % len(self.training)] / 255.0 * (1 - self.noise)

    def reconstruct(self, x, labels=None):
        return x * (1 - self.noise)


def images(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 4, 4, 1), dtype=np.uint8)


def by_name(figures):
    assert all(figure.name.endswith(" (quarters features)") for figure in figures)
    return {figure.name.removesuffix(" (quarters features)"): figure for figure in figures}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(quality, "_ROWS", 32)


def test_samples_beyond_the_range_of_images_are_clipped_to_it():
    training = np.tile(np.uint8([0, 255]).reshape(2, 1, 1, 1), (40, 4, 4, 1))
    within, beyond = (
        by_name(sample_quality(Copies(training, noise), training, training, judge(), num_samples=60))
        for noise in (0.0, -0.5)
    )
    for name, figure in within.items():
        assert beyond[name].value == pytest.approx(figure.value, abs=1e-6)


def test_labels_of_samples_are_as_frequent_as_in_training_in_whatever_order_these_come():
    model = zoo.CVAE(networks.mlp_encoder((4, 4, 5), 2, ()), networks.mlp_decoder((4, 4, 1), 6, ()), num_classes=4)
    labels = quality._labels(model, np.repeat(np.arange(4), [100, 100, 600, 200]), 500, seed=0)
    np.testing.assert_allclose(np.bincount(labels, minlength=4) / 500, [0.1, 0.1, 0.6, 0.2], atol=0.08)


def test_each_figure_is_of_the_sets_that_it_names():
    training, test = images(300), images(80, seed=1)
    model = Copies(training, noise=0.2)
    figures = by_name(sample_quality(model, training, test, judge(), num_samples=100, seed=3))
    assert list(figures) == [
        "frechet_distance",
        "frechet_distance of reconstructions",
        "frechet_distance of test images",
        "precision",
        "recall",
        "density",
        "coverage",
    ]
    seeds = zoo.random.row_seeds(3, 100).numpy()
    np.testing.assert_array_equal(np.concatenate(model.seeds), seeds)
    embed, all_training = judge().embed, judge().embed(training)
    sampled = embed(model.sample(100, seeds))
    for name, found in {
        "frechet_distance": sampled,
        "frechet_distance of reconstructions": embed(test / 255.0 * 0.8),
        "frechet_distance of test images": embed(test),
    }.items():
        expected = frechet_distance(found, all_training)
        np.testing.assert_allclose(figures[name].value, expected["frechet_distance"], rtol=1e-4)
        np.testing.assert_allclose(figures[name].error, expected["standard_error"], rtol=1e-3)
        assert figures[name].num_examples == len(found)
    assert figures["frechet_distance of test images"].value < 0.1 * figures["frechet_distance"].value
    rows = np.sort(np.random.default_rng(3).choice(300, 100, replace=False))
    expected = precision_recall(all_training[rows], sampled)
    assert (figures["precision"].value, figures["recall"].value) == (expected["precision"], expected["recall"])
    assert all(figure.seed == 3 and figure.seconds >= 0.0 and figure.error > 0.0 for figure in figures.values())


def test_progress_is_told_for_each_set():
    told = []
    sample_quality(Copies(images(70)), images(70), images(40, 1), judge(), 33, progress=lambda *each: told.append(each))
    assert told[:3] == [("training images", 32, 70), ("training images", 64, 70), ("training images", 70, 70)]
    assert told[3:] == [
        ("samples", 32, 33), ("samples", 33, 33), ("reconstructions", 32, 33), ("reconstructions", 33, 33),
        ("test images", 32, 33), ("test images", 33, 33),
    ]  # fmt: skip


def test_a_model_with_labels_samples_those_of_training():
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2 + 3, hidden=()), num_classes=3, seed=0)
    training, test, labels = images(50), images(20, 1), np.full(50, 2, "int32")
    figures = by_name(
        sample_quality(model, training, test, judge(), 40, training_labels=labels, test_labels=labels[:20])
    )
    samples = model.sample(40, 0, labels=np.full(40, 2, "int32")).numpy()
    expected = frechet_distance(judge().embed(samples), judge().embed(training), groups=0)["frechet_distance"]
    np.testing.assert_allclose(figures["frechet_distance"].value, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="Expected `training_labels` to be the labels of the training images"):
        sample_quality(model, training, test, judge(), 40, test_labels=labels[:20])
    with pytest.raises(ValueError, match="Expected `test_labels` to be the labels of the test images"):
        sample_quality(model, training, test, judge(), 40, training_labels=labels)


def test_labels_are_drawn_as_often_as_in_training():
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2 + 3, hidden=()), num_classes=3, seed=0)
    drawn = quality._labels(model, np.repeat(np.int32([0, 2]), [45, 5]), 400, 0)
    assert set(drawn) == {0, 2} and 0.06 < np.mean(drawn == 2) < 0.14


def test_a_network_that_trained_the_model_is_refused():
    with pytest.raises(ValueError, match="took no part in the training of vae"):
        card = {"name": "vae", "trained_with": ["quarters"]}
        sample_quality(Copies(images(20)), images(20), images(20, 1), judge(), 10, card=card)


@pytest.mark.parametrize("wrong", [np.float32, np.int32, lambda x: x / 127.5 - 1])
def test_training_images_of_another_range_are_refused(wrong):
    model = Copies(images(50))
    with pytest.raises(ValueError, match="Expected `images` to be (uint8 images, or )?float images in"):
        sample_quality(model, wrong(images(50)), images(40, 1), judge(), 33)
    with pytest.raises(ValueError, match="Expected `images` to be (uint8 images, or )?float images in"):
        sample_quality(model, images(50), wrong(images(40, 1)), judge(), 33)


def test_features_of_other_training_images_are_refused():
    with pytest.raises(ValueError, match="Expected `training_features` to be those of the 50 training images"):
        sample_quality(
            Copies(images(50)), images(50), images(40, 1), judge(), 33, training_features=judge().embed(images(20))
        )
