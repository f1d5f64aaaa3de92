"""The schedule, the clipping, and the averages of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.training import optimizer


def rate(adam, step):
    return float(adam._learning_rate(step))


def test_rate_falls_on_a_cosine_to_a_hundredth():
    adam = optimizer.make(0.5, 100)
    assert [rate(adam, step) for step in (0, 50, 100)] == pytest.approx([0.5, 0.5 * 0.505, 0.005])
    assert adam.global_clipnorm is None and not adam.use_ema


def test_rate_first_rises():
    adam = optimizer.make(0.5, 1000, warmup_steps=50)
    assert [rate(adam, step) for step in (0, 1, 25, 50, 525, 1000)] == pytest.approx(
        [0.0, 0.01, 0.25, 0.5, 0.5 * 0.505, 0.005]
    )


@pytest.mark.parametrize("total, top", [(1000, 100), (12, 1), (9, 0), (1, 0)])
def test_rise_takes_a_tenth_of_a_short_run_at_most(total, top):
    adam = optimizer.make(0.5, total, warmup_steps=10_000)
    assert rate(adam, top) == pytest.approx(0.5)
    assert max(rate(adam, step) for step in range(total)) == pytest.approx(0.5)
    assert rate(adam, total) == pytest.approx(0.005)


@pytest.mark.parametrize("total, momentum", [(1_000_000, 0.999), (10_000, 0.999), (1000, 0.99), (12, 1 / 6), (5, 0.0)])
def test_average_reaches_back_over_a_tenth_of_the_run_at_most(total, momentum):
    assert optimizer.make(0.5, total, ema=0.999).ema_momentum == pytest.approx(momentum)


def model_with(adam):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(1)])
    model.compile(adam, "mse", steps_per_execution=2)
    model.optimizer.build(model.trainable_variables)
    return model


X = np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4)
Y = X.sum(axis=1, keepdims=True)


def fit(model, epochs=3, initial_epoch=0, callbacks=(), **kwargs):
    callbacks = list(callbacks)
    model.fit(X, Y, 4, epochs, 0, callbacks, initial_epoch=initial_epoch, shuffle=False, **kwargs)


class EachStep(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


def all_equal(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second))


def average_of(steps, momentum):
    average = steps[0]
    for weights in steps[1:]:
        average = [momentum * a + (1 - momentum) * b for a, b in zip(average, weights)]
    return average


def test_average_is_that_of_the_weights_after_each_step():
    """It begins with those after the first: not with zeros, nor with the initial ones."""
    steps = EachStep()
    model = model_with(optimizer.make(0.05, 40, ema=0.99))
    model.compile(model.optimizer, "mse", steps_per_execution=1)
    averages = optimizer.Averages(model)
    fit(model, epochs=10, callbacks=[averages, steps])
    assert all_equal(model.get_weights(), steps.weights[-1])  # and not the average, which `fit` leaves there
    averages.apply()
    for a, b in zip(model.get_weights(), average_of(steps.weights, momentum=0.75)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    averages.apply()  # once more does nothing
    averages.undo()
    assert all_equal(model.get_weights(), steps.weights[-1])
    averages.undo()
    assert all_equal(model.get_weights(), steps.weights[-1])


@pytest.mark.parametrize("loss_scale", [False, True])
def test_validation_sees_the_average_and_training_does_not_notice(loss_scale):
    def make():
        adam = optimizer.make(0.05, 100, ema=0.99)
        return model_with(keras.optimizers.LossScaleOptimizer(adam) if loss_scale else adam)

    alone, validated = make(), make()
    fit(alone, callbacks=[optimizer.Averages(alone)])
    averages = optimizer.Averages(validated)
    fit(validated, callbacks=[averages], validation_data=(X, Y))
    assert all_equal(alone.get_weights(), validated.get_weights())
    last = validated.history.history["val_loss"][-1]
    own = validated.evaluate(X, Y, verbose=0)
    averages.apply()
    assert validated.evaluate(X, Y, verbose=0) == pytest.approx(last, rel=1e-6)
    assert abs(own - last) > 1e-4 * last


def test_two_fits_are_as_one():
    once, twice = (model_with(optimizer.make(0.05, 100, ema=0.99)) for _ in range(2))
    fit(once, callbacks=[optimizer.Averages(once)])
    averages = optimizer.Averages(twice)
    fit(twice, epochs=1, callbacks=[averages])
    fit(twice, epochs=3, initial_epoch=1, callbacks=[averages])
    assert all_equal(once.get_weights(), twice.get_weights())


def test_average_before_the_first_step_is_the_model_itself():
    model = model_with(optimizer.make(0.05, 100, ema=0.99))
    before = model.get_weights()
    optimizer.Averages(model).apply()
    assert all_equal(model.get_weights(), before)


def test_without_averages_nothing_happens():
    model = model_with(optimizer.make(0.05, 12))
    averages = optimizer.Averages(model)
    fit(model, callbacks=[averages], validation_data=(X, Y))
    weights = model.get_weights()
    averages.apply()
    assert all_equal(model.get_weights(), weights)


@pytest.mark.parametrize("clip", [0.01, pytest.param(1e6, marks=pytest.mark.slow)])
def test_clipped_replicas_end_with_the_weights_of_one(clip):
    alone = model_with(optimizer.make(0.05, 100, gradient_clip=clip))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        mirrored = model_with(optimizer.make(0.05, 100, gradient_clip=clip))
    mirrored.steps_per_execution = 1
    for model in (alone, mirrored):
        fit(model)
    for a, b in zip(alone.get_weights(), mirrored.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_replicas_keep_the_same_average():
    alone = model_with(optimizer.make(0.05, 100, ema=0.99))
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        mirrored = model_with(optimizer.make(0.05, 100, ema=0.99))
    mirrored.steps_per_execution = 1
    for model in (alone, mirrored):
        averages = optimizer.Averages(model)
        fit(model, callbacks=[averages], validation_data=(X, Y))
        averages.apply()
    for a, b in zip(alone.get_weights(), mirrored.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
