"""Futures by a VQ-VAE over space and time, and frames side by side."""

import keras
import numpy as np
import pytest
import tiny_models

import zoo
from zoo import applications, networks

CLIPS = np.random.default_rng(0).random((2, 6, 4, 4, 1), np.float32)


@pytest.fixture(scope="module")
def model():
    """A model of clips of 6 frames with a row of 4 codes for every two of them."""
    keras.utils.set_random_seed(0)
    networks_of_clips = (make((6, 4, 4, 1), 2, 3, 4, 1, 0) for make in (networks.chunk_encoder, networks.chunk_decoder))
    quantizer = zoo.quantizers.VectorQuantizer(8, 3, seed=0)
    made = tiny_models.moved(zoo.VQVAE(*networks_of_clips, quantizer, "bernoulli"))
    quantizer.embeddings.assign(0.3 * np.random.default_rng(1).normal(size=quantizer.embeddings.shape))
    made.prior = tiny_models.moved(zoo.priors.Transformer(8, (3, 4), width=4, depth=1, heads=1))
    return made


def test_a_future_has_the_codes_of_the_past_and_those_that_the_prior_samples_after_them(model):
    found = applications.futures(model, CLIPS[:, :2], number=2, seed=3)
    given = np.repeat(np.asarray(model.encode(CLIPS))[:, :1], 2, axis=0)
    codes = np.asarray(model.prior.sample(4, seed=3, given=given))
    np.testing.assert_array_equal(codes[:, :1], given)
    np.testing.assert_allclose(found.reshape(4, 4, 4, 4, 1), np.asarray(model.decode(codes))[:, 2:], atol=1e-6)
    assert found.shape == (2, 2, 4, 4, 4, 1) and (codes[0, 1:] != codes[1, 1:]).any()


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"top_k": 1}])
def test_codes_of_futures_are_the_likeliest_where_that_is_asked_for(model, settings):
    given = np.asarray(model.encode(CLIPS))[:, :1]
    expected = model.decode(model.prior.sample(2, seed=0, temperature=0.0, given=given))[:, 2:]
    found = applications.futures(model, CLIPS[:, :2], number=2, seed=3, **settings)
    for future in found.swapaxes(0, 1):
        np.testing.assert_allclose(future, expected, atol=1e-6)


def test_a_past_that_does_not_fill_rows_and_models_of_images_are_refused(model):
    with pytest.raises(ValueError, match="P a multiple of 2 below 6"):
        applications.futures(model, CLIPS[:, :3])
    with pytest.raises(ValueError, match="`model` to be a FutureVAE"):
        applications.futures(tiny_models.vae(), CLIPS)


def test_an_encoder_that_looks_ahead_is_refused(model):
    clip = keras.Input((6, 4, 4, 1))
    x = keras.layers.Reshape((3, 4, 8))(keras.layers.Permute((4, 2, 3, 1))(clip))
    ahead = zoo.VQVAE(keras.Model(clip, keras.layers.Dense(3)(x)), model.decoder, model.quantizer, "bernoulli")
    ahead.prior = model.prior
    with pytest.raises(ValueError, match="encodes the past without the future"):
        applications.futures(ahead, CLIPS[:, :2], seed=0)


def test_frames_side_by_side():
    truth, other = CLIPS, np.zeros((2, 4, 4, 4, 1), np.float32)
    frames = applications.side_by_side(truth, other, past=2)
    assert frames.shape == (6, 11, 11, 1)
    np.testing.assert_array_equal(frames[1, 1:5, 1:5], truth[0, 1])
    np.testing.assert_array_equal(frames[1, 6:10, 6:10], 0.5 * truth[1, 1])
    np.testing.assert_array_equal(frames[4, 1:5, 6:10], 0.0)
    with pytest.raises(ValueError, match=r"Expected `others` to be of shape \(2, 4, 4, 4, 1\)"):
        applications.side_by_side(truth, other[:1], past=2)
    with pytest.raises(
        ValueError, match=r"Expected `truth` to be of shape \[B, T, H, W, C\]. Received: .*\(6, 4, 4, 1"
    ):
        applications.side_by_side(truth[0], other[0])
    with pytest.raises(ValueError, match="Expected `past` to be at most the 6 frames of truth"):
        applications.side_by_side(truth, other, past=7)


@pytest.mark.parametrize("change", [lambda x: x.astype(np.uint8), lambda x: np.ma.masked_less(x, 2.0)])
def test_a_past_of_integers_or_masked_values_is_refused(model, change):
    with pytest.raises(ValueError, match="Expected `past` to be (floating-point|an array without a mask)"):
        applications.futures(model, change(CLIPS[:, :2]), seed=0)
