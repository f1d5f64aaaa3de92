"""Adam: the steps of Keras's, and one gradient of all replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.runtime import optimizers, replicas


def test_adam_takes_the_steps_of_keras():
    gradients = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 20, alpha=0.01)
    found = []
    for adam in (optimizers.Adam(schedule), keras.optimizers.Adam(schedule)):
        weight = keras.Variable(np.ones((3, 4), np.float32), name="weight")
        for gradient in gradients:
            adam.apply_gradients([(tf.constant(gradient), weight)])
        found.append([weight, *adam.variables])
    for ours, theirs in zip(*found):
        assert ours.name == theirs.name
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_adam_survives_saving(tmp_path):
    def fit(model):
        x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4)
        model.fit(x, x.sum(axis=1, keepdims=True), epochs=3, verbose=0, shuffle=False)

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(1)])
    model.compile(optimizers.Adam(0.05, beta_1=0.8), "mse")
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizers.Adam and loaded.optimizer.beta_1 == 0.8
    for each in (model, loaded):
        fit(each)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_adam_has_no_amsgrad():
    with pytest.raises(ValueError, match="Expected `amsgrad` to be False. Received: amsgrad=True"):
        optimizers.Adam(amsgrad=True)


def test_gradients_are_clipped_together():
    adam = optimizers.Adam(global_clipnorm=0.25)
    gradients = adam.clip_gradients([tf.constant([3.0]), tf.constant([4.0])])
    np.testing.assert_allclose(gradients, [[0.15], [0.2]], rtol=1e-6)


@pytest.mark.parametrize(
    "how, expected",
    [({"global_clipnorm": 0.25}, (0.15, 0.2)), ({"clipnorm": 3.5}, (3.0, 3.5)), ({"clipvalue": 3.5}, (3.0, 3.5))],
)
def test_replicas_are_clipped_together(how, expected):
    """Shares of (5, −3) and (−2, 7) make a gradient of (3, 4), whose norm is 5."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        adam = optimizers.Adam(**how)

    def shares():
        first = replicas.replica_id() == 0
        return adam.clip_gradients([None, tf.where(first, 5.0, -2.0), tf.where(first, -3.0, 7.0)])[1:]

    whole = [strategy.reduce("SUM", share, axis=None) for share in tf.function(lambda: strategy.run(shares))()]
    np.testing.assert_allclose(whole, expected, rtol=1e-6)


def test_adam_accumulates_gradients_as_keras_does():
    x = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    found = []
    for kind in (optimizers.Adam, keras.optimizers.Adam):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(kind(0.05, gradient_accumulation_steps=3), "mse")
        model.fit(x, x.sum(axis=1, keepdims=True), batch_size=4, epochs=2, verbose=0, shuffle=False)
        assert optimizers.steps_taken(model.optimizer) == 4
        found.append(model.get_weights())
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
