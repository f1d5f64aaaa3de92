"""Feature networks by name: the shipped classifiers, and those that cannot be had."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.evaluation import features
from zoo.runtime import shipped

pytestmark = pytest.mark.usefixtures("samples_read_once")

FOLDERS = [name.removesuffix("_classifier") for name in features.CLASSIFIERS]


def mean_colour(batch_size=3):
    """A network whose features are the mean colours, and whose classes are the strongest ones."""

    def network(x):
        colours = tf.reduce_mean(x, (1, 2))
        return colours, 10.0 * colours

    return features.Features("mean_colour", "mean_colour features", network, (4, 4, 3), batch_size)


def test_embeddings_are_those_of_the_network_whatever_the_type_and_the_batches():
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    expected = images.mean((1, 2)) / 255.0
    for given in (images, images / 255.0, (images / 255.0).astype("float32")):
        found = mean_colour().embed(given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_array_equal(mean_colour().predict_classes(given), expected.argmax(1))


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 4, 4, 1)), r"an array \[N,4,4,3\], N >= 1. Received: images=\(2, 4, 4, 1\)"),
        (np.zeros((0, 4, 4, 3)), r"an array \[N,4,4,3\], N >= 1"),
        (np.zeros((2, 4, 4, 3), int), "uint8 images, or float images"),
        (np.full((2, 4, 4, 3), 255.0), "float images in .0, 1.. Received: images='values from 255 to 255'"),
        (np.full((2, 4, 4, 3), np.nan), "float images in"),
    ],
)
def test_images_of_another_form_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        mean_colour().embed(images)


@pytest.mark.parametrize(
    "network, received",
    [
        (lambda x: tf.reduce_mean(x, (1, 2)), r"network=TensorShape\(\[2, 3\]\)"),  # two rows are no pair
        (lambda x: (x, None), r"network=\(TensorShape\(\[2, 4, 4, 3\]\), None\)"),
    ],
)
def test_networks_that_give_no_pair_of_features_and_logits_are_refused(network, received):
    judge = features.Features("mine", "features of mine", network, (4, 4, 3))
    with pytest.raises(ValueError, match="Expected `network` to be a function to the pair .* Received: " + received):
        judge.embed(np.zeros((2, 4, 4, 3), np.float32))


def test_features_of_fewer_rows_are_refused():
    judge = features.Features("mine", "features of mine", lambda x: (x[1:, 0, 0], None), (4, 4, 3))
    with pytest.raises(ValueError, match=r"Expected network to give a number for each example, \[B\]"):
        judge.embed(np.zeros((2, 4, 4, 3), np.float32))


def test_a_keras_classifier_gives_its_last_features_but_one():
    classifier = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    network = keras.Model(classifier.inputs, [classifier.layers[-2].output, classifier.outputs[0]])
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    judge = features.Features("mine", "features of mine", network, (4, 4, 3))
    np.testing.assert_array_equal(judge.embed(images), images.reshape(2, -1))
    np.testing.assert_array_equal(judge.predict_classes(images), np.argmax(classifier(images), axis=1))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_shipped_classifier_knows_the_test_images_as_its_card_says(name):
    judge = features.load(f"{name}_classifier")
    assert (judge.name, judge.label) == (f"{name}_classifier", f"{name}_classifier features")
    card = json.loads((shipped.folder() / "classifiers" / name / "card.json").read_text())
    sprites = card["dataset"] == "sprites"
    test = data.Sprites(32).splits(1, 1, 500).test if sprites else data.load(card["dataset"], sample=True).test
    assert judge.embed(test.images[:5]).shape == (5, card["features"])
    accuracy = (judge.predict_classes(test.images) == test.labels).mean()
    reached = card["test"]["accuracy"]
    # Four standard errors of so many images; the sample's test images come from the test split.
    assert abs(accuracy - reached) < 4 * np.sqrt(reached * (1 - reached) / len(test)) + 1e-9


@pytest.mark.parametrize("name", FOLDERS)
def test_shipped_classifiers_are_small_and_have_no_batch_normalisation(name):
    path = shipped.folder() / "classifiers" / name / "classifier.keras"
    assert path.stat().st_size <= 3 * 2**20
    model = keras.saving.load_model(path, compile=False)
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {variable.dtype for variable in model.variables} == {"float32"}


def test_the_folder_holds_the_classifiers_that_have_names():
    folders = {path.parent.name for path in (shipped.folder() / "classifiers").glob("*/classifier.keras")}
    assert folders == set(FOLDERS) and "mnist" in folders


def test_names_that_are_unknown_are_refused():
    with pytest.raises(ValueError, match="Expected `name` to be one of 'mnist_classifier', .*Received: name='resnet'"):
        features.load("resnet")
    with pytest.raises(ValueError, match="Expected `name` to be one of 'mnist'.*Received: name='svhn'"):
        features.for_dataset("svhn")


def test_a_missing_and_a_damaged_file_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path)
    features._classifier.cache_clear()
    with pytest.raises(ValueError, match="no classifier.keras or card.json there"):
        features.load("mnist_classifier")
    folder = tmp_path / "classifiers" / "mnist"
    folder.mkdir(parents=True)
    (folder / "classifier.keras").write_bytes(b"not what the card says")
    card = {"name": "mnist_classifier", "files": {"classifier.keras": {"sha256": "0" * 64}}}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="is damaged"):
        features.load("mnist_classifier")
    shutil.rmtree(folder)


def test_inception_without_its_weights_says_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://storage.googleapis.com/…: None -- unreachable")

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    with pytest.raises(RuntimeError, match="ImageNet weights .* URL fetch failure .*Remedies: .*mnist_classifier"):
        features.load("keras_inception_v3")


def test_inception_gets_colour_images_of_its_size_and_range(monkeypatch):
    seen = []

    def network(include_top, weights, pooling):
        assert (include_top, weights, pooling) == (False, "imagenet", "avg")
        seen.append(inputs := keras.Input((299, 299, 3)))
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))

    monkeypatch.setattr(keras.applications, "InceptionV3", network)
    features._inception.cache_clear()
    judge = features.load("keras_inception_v3", (8, 8, 1))
    assert judge.label == "keras InceptionV3 features" and "FID" not in judge.label
    found = judge.embed(np.stack([np.zeros((8, 8, 1)), np.ones((8, 8, 1))]))
    np.testing.assert_allclose(found, [[-1.0] * 3, [1.0] * 3], atol=1e-6)
    with pytest.raises(ValueError, match="Expected a network with classes"):
        judge.predict_classes(np.zeros((1, 8, 8, 1)))
    features._inception.cache_clear()


def test_a_network_does_not_judge_a_model_that_it_trained():
    judge = mean_colour()
    for card in ({}, {"trained_with": None}, {"trained_with": ["other"]}):
        features.require_independent(card, judge)
    for trained_with in (["other", "mean_colour"], "mean_colour"):
        card = {"name": "sharp_vae", "trained_with": trained_with}
        with pytest.raises(ValueError, match="training of sharp_vae. Received: features='mean_colour'"):
            features.require_independent(card, judge)


def test_a_judge_whose_name_is_a_part_of_another_is_independent():
    judge = features.load("mnist_classifier")
    features.require_independent({"trained_with": "fashion_mnist_classifier"}, judge)
    with pytest.raises(ValueError, match="mnist_classifier"):
        features.require_independent({"trained_with": "mnist_classifier"}, judge)
