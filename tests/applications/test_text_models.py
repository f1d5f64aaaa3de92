"""Lines in, lines out."""

import json

import keras
import numpy as np
import pytest

import zoo
from zoo import data
from zoo.applications import TextModel

LINES = ["red car", "blue car", "red dog", "a cat"]


@pytest.fixture(scope="module")
def text():
    keras.utils.set_random_seed(0)
    made = TextModel.build(data.Vocabulary(length=10), latent_dim=2, width=8, depth=1, heads=2, free_bits=0.5, seed=0)
    made.history = made.fit(LINES * 8, epochs=20, batch_size=16, learning_rate=1e-2).history
    return made


def test_training_lowers_the_loss_with_a_weight_that_comes_back_to_one(text):
    assert text.history["elbo"][-1] > text.history["elbo"][0]
    assert text.history["kl_weight"][0] < 1.0 and text.history["kl_weight"][-1] == 1.0
    assert float(text.model.kl_weight.numpy()) == 1.0 and text.model.free_bits == 0.5


def test_lines_are_those_of_the_models_tokens(text):
    tokens = text.vocabulary.encode(LINES)
    assert text.reconstruct(LINES) == text.vocabulary.decode(text.model.reconstruct(tokens))
    assert text.sample(3, seed=7) == text.vocabulary.decode(text.model.sample(3, seed=7, observe=True))
    assert text.sample(3, seed=7, greedy=True) == text.vocabulary.decode(text.model.sample(3, seed=7))
    np.testing.assert_array_equal(text.embed(LINES), text.model.encode(tokens)["mean"])
    scores = text.score(LINES, num_samples=4)
    assert scores.shape == (4,) and scores.dtype == np.float64
    assert text.score(["zqxj"], num_samples=4)[0] / 5 > scores[0] / 8  # nats per token


def test_the_ends_of_an_interpolation_are_the_reconstructions(text):
    paths = text.interpolate(LINES[:2], LINES[2:], num_steps=3)
    assert [len(path) for path in paths] == [3, 3]
    assert [path[0] for path in paths] == text.reconstruct(LINES[:2])
    assert [path[-1] for path in paths] == text.reconstruct(LINES[2:])


def test_the_vocabulary_is_kept_with_the_model(text, tmp_path):
    text.save(tmp_path / "model.keras")
    loaded = TextModel.load(tmp_path / "model.keras")
    assert loaded.vocabulary.get_config() == {"length": 10, "subwords": None}
    assert loaded.reconstruct(LINES) == text.reconstruct(LINES)


@pytest.mark.slow
@pytest.mark.parametrize("name, beside", [("text", "assets.extra/text.json"), ("text.tflite", "text.text.json")])
def test_an_export_has_the_vocabulary_beside_it(text, tmp_path, name, beside):
    written = text.export(tmp_path / name)
    folder = tmp_path if written.is_file() else written
    assert json.loads((folder / beside).read_text()) == {"length": 10, "subwords": None}


def test_other_models_are_refused(text):
    bare = zoo.TextVAE(text.model.encoder, text.model.decoder)
    with pytest.raises(ValueError, match="Expected `model` to be a zoo.TextVAE with a vocabulary"):
        TextModel(bare)
    other = zoo.TextVAE(text.model.encoder, text.model.decoder, vocabulary={"length": 11, "subwords": None})
    with pytest.raises(ValueError, match=r"Expected `vocabulary` to be of 10 of 259 tokens"):
        TextModel(other)
