"""How labels reach the encoder and the decoder of a CVAE: trained and exported models depend on it."""

import by_hand
import numpy as np
import pytest

import zoo

CLASSES = 4
LABELS = np.int32([2, 0, 3, 3, 1])


def make(**kwargs):
    networks = by_hand.networks(conditions=CLASSES)
    return by_hand.fix_noise(by_hand.shaken(zoo.CVAE(*networks, num_classes=CLASSES, **kwargs)))


def with_planes(x, labels):
    """Images with a plane for each class behind their channels, of ones where it is the label."""
    planes = np.zeros((*x.shape[:3], CLASSES), np.float32)
    for row, label in enumerate(labels):
        planes[row, :, :, label] = 1.0
    return np.concatenate([x, planes], axis=-1)


def with_one_hot(z, labels):
    return np.concatenate([z, np.eye(CLASSES, dtype=np.float32)[labels]], axis=1)


def test_the_encoder_has_the_planes_of_the_classes_behind_the_channels():
    model, x = make(), by_hand.images(5)
    np.testing.assert_array_equal(model.encoder_inputs(x, LABELS), with_planes(x, LABELS))
    encoded = model.encode(x, labels=LABELS)
    mean, log_var = by_hand.posterior(model, with_planes(x, LABELS))
    np.testing.assert_allclose(encoded["mean"], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encoded["log_var"], log_var, rtol=1e-4, atol=1e-5)


def test_the_decoder_has_the_one_hot_vector_behind_the_latents():
    model = make()
    z = np.random.default_rng(0).normal(size=(5, by_hand.LATENTS)).astype("float32")
    np.testing.assert_array_equal(model.decoder_inputs(z, LABELS), with_one_hot(z, LABELS))
    logits = by_hand.dense(model.decoder, with_one_hot(z, LABELS))
    np.testing.assert_allclose(
        np.reshape(model.decode(z, labels=LABELS), (5, -1)), 1 / (1 + np.exp(-logits)), atol=1e-6
    )


def test_another_label_is_another_posterior_and_another_image():
    model, x = make(), by_hand.images(5)
    zeros, ones = np.zeros(5, np.int32), np.ones(5, np.int32)
    for key in ("mean", "log_var"):
        assert np.all(np.abs(model.encode(x, labels=zeros)[key] - model.encode(x, labels=ones)[key]) > 1e-3)
    z = np.zeros((5, by_hand.LATENTS), np.float32)
    assert np.all(np.abs(model.decode(z, labels=zeros) - model.decode(z, labels=ones)) > 1e-3)


def test_the_objective_is_the_vaes_with_labels_on_both_sides():
    model, x = make(free_bits=0.4), by_hand.images(5)
    terms = model.compute_terms(x, labels=LABELS)
    mean, log_var = by_hand.posterior(model, with_planes(x, LABELS))
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    reconstruction = -by_hand.log_bernoulli(x, by_hand.dense(model.decoder, with_one_hot(z, LABELS)))
    kl = by_hand.kl(mean, log_var)
    assert 0 < np.mean(kl < 0.4) < 1
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], reconstruction + np.maximum(kl, 0.4).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_an_encoder_without_the_channels_of_the_classes_is_refused(channels):
    encoder, decoder = zoo.networks.mlp_encoder((8, 8, channels), 2, ()), zoo.networks.mlp_decoder((8, 8, 1), 6, ())
    message = f"Expected `encoder` .*channels and 4, a channel for each class. Received: encoder='{channels} channels'"
    with pytest.raises(ValueError, match=message):
        zoo.CVAE(encoder, decoder, num_classes=4)
