"""The script that trains the judges of samples."""

import json
import math

import keras
import numpy as np
import pytest
import scripts

from zoo import data
from zoo.runtime import files

pytestmark = pytest.mark.usefixtures("samples_read_once")


@pytest.fixture(scope="module")
def classifier():
    return scripts.load("classifier")


@pytest.mark.long
def test_a_run_leaves_the_network_and_a_card_with_its_accuracy(classifier, tmp_path, monkeypatch):
    small = {"widths": (4, 4, 4, 8), "epochs": 3, "shift": 2, "flip": False}
    monkeypatch.setitem(classifier.SETTINGS, "mnist", small)
    card = classifier.main(["--dataset", "mnist", "--sample", "--epochs", "1", "--output", str(tmp_path)])
    assert json.loads((tmp_path / "card.json").read_text()) == card
    path = tmp_path / "classifier.keras"
    assert card["files"] == {path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)}}
    assert (card["name"], card["epochs"], card["features"]) == ("mnist_classifier", 1, 8)
    assert card["training_seconds"] > 0 and card["training_cpu_seconds"] > 0
    model, test = keras.saving.load_model(path, compile=False), data.load("mnist", sample=True).test
    right = model.predict(test.images / np.float32(255), verbose=0).argmax(1) == test.labels
    np.testing.assert_allclose(card["test"]["accuracy"], right.mean())
    p = right.mean()
    np.testing.assert_allclose(card["test"]["standard_error"], math.sqrt(p * (1 - p) / len(test)))
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


@pytest.mark.long
def test_sprites_are_rendered_and_have_their_shape_as_class(classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(
        classifier.SETTINGS, "sprites", {"widths": (4, 4, 4, 8), "epochs": 6, "shift": 0, "flip": False}
    )
    card = classifier.main(["--dataset", "sprites", "--sample", "--epochs", "1", "--output", str(tmp_path)])
    assert (card["name"], card["training_data"]) == ("sprites_classifier", "1000 images of zoo.data.Sprites(32)")
    assert card["images"] == {"train": 1000, "validation": 200, "test": 200}
    model = keras.saving.load_model(tmp_path / "classifier.keras", compile=False)
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 1), (None, 3))


@pytest.mark.parametrize("flip", [False, True])
def test_images_are_shifted_at_random_and_mirrored_if_told(classifier, flip):
    number, shift = 2 * classifier.BATCH_SIZE, 2
    pictures = np.random.default_rng(0).integers(0, 256, (number, 6, 6, 1), dtype=np.uint8)
    labels = np.arange(number, dtype=np.int32)
    batches = classifier.Augmented(data.Images(pictures, labels), shift, flip, seed=0)
    images, order = (np.concatenate(each) for each in zip(batches[0], batches[1]))
    assert sorted(order) == list(range(number)) and list(order) != list(range(number))
    seen = set()
    for image, label in zip(images, order):
        padded = np.pad(pictures[label], ((2, 2), (2, 2), (0, 0)), mode="reflect") / np.float32(255)
        places = [
            (down, right, mirrored)
            for down in range(5)
            for right in range(5)
            for mirrored in (False, True)
            if np.array_equal(image[:, ::-1] if mirrored else image, padded[down : down + 6, right : right + 6])
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == (50 if flip else 25) and {mirrored for *_, mirrored in seen} == (
        {False, True} if flip else {False}
    )


def test_wrong_flags_end_with_status_2(classifier, capsys):
    for argv, message in (
        ([], "--dataset"),
        (["--dataset", "svhn"], "invalid choice"),
        (["--dataset", "mnist", "--epochs", "0"], "Expected `--epochs` to be an integer >= 1"),
        (["--dataset", "mnist", "--seed", "-1"], "Expected `--seed` to be an integer >= 0"),
    ):
        with pytest.raises(SystemExit) as caught:
            classifier.main(argv)
        assert caught.value.code == 2 and message in capsys.readouterr().err
