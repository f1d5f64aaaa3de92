"""Lines in, lines out."""

import json

import keras
import numpy as np
import pytest

import zoo
from zoo import callbacks, data
from zoo.applications import TextModel

LINES = ["red car", "blue car", "red dog", "a cat"]


def build():
    keras.utils.set_random_seed(0)
    vocabulary = data.Vocabulary(length=10)
    return TextModel.build(vocabulary, latent_dim=2, width=8, depth=1, heads=2, free_bits=0.5, seed=0)


@pytest.fixture(scope="module")
def text():
    """Not trained, for speed, but with a decoder that gives latents different lines."""
    made = build()
    for layer in (made.model.decoder.output_of_z, made.model.decoder.head, made.model.encoder.posterior):
        layer.kernel.assign(20.0 * layer.kernel)
    return made


@pytest.mark.slow
def test_training_lowers_the_loss_with_a_weight_that_comes_back_to_one():
    text = build()
    history = text.fit(LINES * 8, LINES, epochs=20, batch_size=16, learning_rate=1e-2).history
    assert history["val_elbo"][-1] > history["val_elbo"][0]
    assert history["kl_weight"][0] < 1.0 and history["kl_weight"][-1] == 1.0
    assert float(text.model.kl_weight.numpy()) == 1.0 and text.model.free_bits == 0.5
    assert text.score(["zqxj"], num_samples=4)[0] / 5 > text.score(LINES[:1], num_samples=4)[0] / 8  # nats per token


def test_the_weight_of_the_kl_comes_back_to_one_in_the_last_tenth(monkeypatch):
    seen, own = [], callbacks.KLWarmup
    monkeypatch.setattr(
        callbacks, "KLWarmup", lambda *args, **kwargs: seen.append((args, kwargs)) or own(*args, **kwargs)
    )
    build().fit(LINES, epochs=20, batch_size=4)
    assert seen == [((18,), {"cycles": 4, "ratio": 0.5})]


def test_lines_are_those_of_the_models_tokens(text):
    reconstructed = text.reconstruct(LINES)
    assert reconstructed == text.vocabulary.decode(text.model.reconstruct(text.vocabulary.encode(LINES)))
    assert len(set(reconstructed)) > 1
    assert text.sample(3, seed=7) == text.vocabulary.decode(text.model.sample(3, seed=7, observe=True))
    assert len(set(text.sample(3, temperature=0.0, greedy=True))) == 1
    assert text.embed(LINES).shape == (4, 2)
    scores = text.score(LINES, num_samples=4)
    assert scores.shape == (4,) and scores.dtype == np.float64 and np.all(scores > 0.0)


def test_the_ends_of_an_interpolation_are_the_reconstructions(text):
    paths = text.interpolate(LINES[:2], LINES[2:], num_steps=3)
    assert [len(path) for path in paths] == [3, 3]
    assert [path[0] for path in paths] == text.reconstruct(LINES[:2])
    assert [path[-1] for path in paths] == text.reconstruct(LINES[2:])


def test_the_vocabulary_is_kept_with_the_model(text, tmp_path):
    text.save(tmp_path / "model.keras")
    assert TextModel.load(tmp_path / "model.keras").vocabulary.get_config() == {"length": 10, "subwords": None}


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


def test_no_lines_and_no_vocabulary_are_named(text):
    with pytest.raises(ValueError, match=r"Expected `lines` to be one line or more. Received: lines=\[\]"):
        text.fit([])
    with pytest.raises(ValueError, match="Expected `vocabulary` to be a zoo.data.Vocabulary.*Text"):
        TextModel.build(data.Text(["a line"]))
