"""Reconstruction errors, of models that give what they are told to."""

import math

import keras
import numpy as np
import pytest

import zoo
from zoo.evaluation import reconstruction_error


def constant_model(value):
    """A VAE that gives `value` everywhere, whatever the image."""
    encoder = zoo.networks.mlp_encoder((2, 2, 1), 1, hidden=())
    z = keras.Input((1,))
    dense = keras.layers.Dense(4, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(value - 0.5))
    return zoo.VAE(encoder, keras.Model(z, keras.layers.Reshape((2, 2, 1))(dense(z))), zoo.likelihoods.Gaussian())


def images(*values):
    return np.repeat(np.array(values, "float32"), 4).reshape(-1, 2, 2, 1)


def test_mse_and_psnr_by_hand():
    result = reconstruction_error(constant_model(0.3), [images(0.3, 0.5, 0.1)])
    # Errors 0, 0.2 and −0.2: 0.08 / 3.
    np.testing.assert_allclose(result["mse"], 0.08 / 3, rtol=1e-5)
    np.testing.assert_allclose(result["psnr"], -10 * math.log10(0.08 / 3), rtol=1e-5)
    assert set(result) == {"mse", "psnr"}


def test_every_value_counts_once_whatever_the_batches():
    model = constant_model(0.5)
    batches = [images(0.5, 0.5, 0.5), images(0.9)]
    # 0.16 / 4 for the four images; the mean of the batches' own errors would be 0.08.
    np.testing.assert_allclose(reconstruction_error(model, batches)["mse"], 0.04, rtol=1e-5)


def test_a_model_that_gives_the_mean_everywhere_has_an_error_of_the_variance():
    data = images(0.2, 0.4, 0.9)
    result = reconstruction_error(constant_model(0.5), [data], variance=float(data.var()))
    np.testing.assert_allclose(result["mse_over_variance"], 1.0, rtol=1e-5)
    np.testing.assert_allclose(result["mse"], data.var(), rtol=1e-5)


@pytest.mark.parametrize("cls", [zoo.VAE, zoo.VQVAE])
def test_it_is_the_error_of_reconstruct(cls):
    data = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype("float32")
    if cls is zoo.VQVAE:
        quantizer = zoo.quantizers.VectorQuantizer(4, 3, initialization="uniform", seed=0)
        encoder = zoo.networks.residual_encoder((4, 4, 1), 3, filters=4, downsamples=1, blocks=0)
        decoder = zoo.networks.residual_decoder((2, 2, 3), 1, filters=4, upsamples=1, blocks=0)
        model = zoo.VQVAE(encoder, decoder, quantizer)
    else:
        encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())
        model = zoo.VAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=()))
    expected = np.square(model.reconstruct(data) - data).mean()
    np.testing.assert_allclose(reconstruction_error(model, [data[:3], data[3:]])["mse"], expected, rtol=1e-4)


def test_a_conditional_model_is_given_its_labels():
    encoder = zoo.networks.mlp_encoder((2, 2, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((2, 2, 1), 2 + 3, hidden=()), num_classes=3)
    data, labels = images(0.1, 0.5, 0.8), np.array([0, 1, 2], "int32")
    expected = np.square(model.reconstruct(data, labels) - data).mean()
    np.testing.assert_allclose(reconstruction_error(model, [(data, labels)])["mse"], expected, rtol=1e-4)
    other = reconstruction_error(model, [(data, labels[::-1].copy())])["mse"]
    assert abs(other - expected) > 1e-5
