"""What layers of the user's own networks add to the loss: a penalty counts once, however many replicas there are."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo.runtime import replicas

STRENGTH, RATE = 0.3, 0.1


def make(strength, kind):
    regularizer = keras.regularizers.L2(strength) if strength else None
    dense = layers.Dense(2 * by_hand.LATENTS, kernel_regularizer=regularizer)
    encoder = keras.Sequential([layers.Input(by_hand.SHAPE), layers.Flatten(), dense])
    model = by_hand.fix_noise(by_hand.shaken(kind(encoder, by_hand.networks()[1])))
    model.compile(keras.optimizers.SGD(RATE))
    return model


def step(strength, strategy=None, kind=zoo.VAE):
    """The encoder's kernel before and after a step on 8 images."""
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = make(strength, kind)
    before, x = model.encoder.get_weights()[0], by_hand.images(8)

    def batches(context):
        replicas = 1 if context is None else context.num_replicas_in_sync
        return tf.data.Dataset.from_tensor_slices(x).batch(8 // replicas)

    model.fit(replicas.distribute(strategy, batches), steps_per_epoch=1, shuffle=False, verbose=0)
    return before, model.encoder.get_weights()[0]


@pytest.mark.parametrize("kind", [zoo.VAE, zoo.BetaVAE])
def test_a_penalty_moves_the_first_step_by_its_gradient(kind):
    before, plain = step(0.0, kind=kind)
    _, penalised = step(STRENGTH, kind=kind)
    # The gradient of λ Σ w² is 2 λ w.
    np.testing.assert_allclose(penalised - plain, -RATE * 2 * STRENGTH * before, rtol=1e-3, atol=1e-5)


def test_a_penalty_counts_once_on_two_replicas():
    _, alone = step(STRENGTH)
    _, spread = step(STRENGTH, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    np.testing.assert_allclose(spread, alone, atol=1e-5)
