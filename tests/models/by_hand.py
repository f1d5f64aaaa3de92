"""Objectives in NumPy, without zoo.distributions, and networks of one dense layer, which are matrix products.

All images are `[B,2,3,1]`, and there are three latents.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

SHAPE = (2, 3, 1)
LATENTS = 3
NOISE = 0.7  # what every number of the noise in training is, after `fix_noise`


def networks(conditions=0):
    """Encoder and decoder of a model that is told `conditions` numbers beside its data."""
    inputs = (*SHAPE[:2], SHAPE[2] + conditions)
    encoder = keras.Sequential([layers.Input(inputs), layers.Flatten(), layers.Dense(2 * LATENTS)])
    decoder = keras.Sequential([layers.Input((LATENTS + conditions,)), layers.Dense(6), layers.Reshape(SHAPE)])
    return encoder, decoder


def shaken(model, scale=0.6):
    """The model with weights whose KLs are of all sizes from a few hundredths of a nat to several."""
    draw = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(draw.normal(0, scale, weight.shape))
    return model


def fix_noise(model):
    model.sampling.noise = lambda shape: tf.fill(shape, NOISE)
    return model


def images(number=16, shape=SHAPE):
    return np.random.default_rng(1).uniform(size=(number, *shape)).astype("float32")


def dense(network, x):
    kernel, bias = network.get_weights()
    return np.reshape(x, (len(x), -1)) @ kernel + bias


def posterior(model, inputs):
    """Mean and log-variance that the encoder gives for its inputs: `[B,D]` each."""
    return np.split(dense(model.encoder, inputs), 2, axis=1)


def kl(mean, log_var):
    """KL( N(mean, e^log_var) ‖ N(0, 1) ) of each latent: `[B,D]`."""
    return 0.5 * (mean**2 + np.exp(log_var) - log_var - 1)


def log_normal(z, mean, log_var):
    return np.sum(-0.5 * (np.log(2 * np.pi) + log_var + (z - mean) ** 2 / np.exp(log_var)), axis=1)


def log_bernoulli(x, logits):
    """log p(x|z) of each example: `[B]`."""
    x, probabilities = np.reshape(x, (len(x), -1)), 1 / (1 + np.exp(-logits))
    return np.sum(x * np.log(probabilities) + (1 - x) * np.log(1 - probabilities), axis=1)


def check_two_replicas(make):
    """Asserts that two replicas, with shares of unequal length, train a model of `make()` as one does."""
    x = images(13)

    def train(strategy):
        with strategy.scope():
            model = make()
            model.compile(keras.optimizers.SGD(0.05))
        history = model.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0).history  # at last 3 and 2
        return model.get_weights(), history

    weights, history = train(tf.distribute.get_strategy())
    other_weights, other_history = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for one, two in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    for name, values in history.items():
        assert other_history[name] == pytest.approx(values, rel=1e-4), name
