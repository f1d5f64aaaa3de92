"""Large gradients are left out, by any model that is compiled to do so."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.fitting.gradients import SkipLargeGradients


def make():
    encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))])
    return zoo.VAE(encoder, decoder, seed=0)


def images(number=8):
    return np.random.default_rng(0).random((number, 2, 2, 1), np.float32)


def filtered(policy, *gradients, optimizer=None):
    kept = policy([None if gradient is None else tf.constant(gradient) for gradient in gradients], optimizer)
    return [None if gradient is None else gradient.numpy().tolist() for gradient in kept]


def test_a_gradient_is_left_out_and_counted_where_its_norm_passes_the_threshold():
    policy = SkipLargeGradients(5.0)
    assert filtered(policy, [3.0, 0.0], None, [3.9]) == [[3.0, 0.0], None, [pytest.approx(3.9)]]
    assert float(policy.skipped.result()) == 0
    assert filtered(policy, [3.0, 0.0], None, [4.1]) == [[0.0, 0.0], None, [0.0]]
    assert float(policy.skipped.result()) == 0.5


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("threshold", [math.inf, 1e30])
def test_a_gradient_that_is_no_number_is_left_out_under_any_threshold(wrong, threshold):
    policy = SkipLargeGradients(threshold)
    assert filtered(policy, [1.0, wrong], [2.0]) == [[0.0, 0.0], [0.0]]
    assert filtered(policy, [1e6, 1.0], [2.0]) == [[1e6, 1.0], [2.0]]
    assert float(policy.skipped.result()) == 0.5


@pytest.mark.parametrize(("parts", "left_out"), [(([3.0], [3.0]), True), (([9.0], [-8.0]), False)])
def test_the_norm_is_that_of_the_gradient_over_all_replicas(parts, left_out):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        policy = SkipLargeGradients(5.0)
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )
    run = tf.function(lambda grad: strategy.run(lambda part: policy([part], None)[0], [grad]), autograph=False)
    kept = [each.numpy().tolist() for each in strategy.experimental_local_results(run(values))]
    assert kept == ([[0.0], [0.0]] if left_out else list(parts))
    assert float(policy.skipped.result()) == left_out


def test_a_loss_scaling_optimizer_sees_every_gradient():
    policy = SkipLargeGradients(1e-3)
    gradients = [tf.constant([math.nan, 7.0]), tf.constant([1e9])]
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    assert policy(gradients, optimizer) is gradients
    assert float(policy.skipped.result()) == 0


def test_a_step_above_the_threshold_changes_no_weight_and_is_reported_in_training_alone():
    model = make()
    model.compile("adam", skip_threshold=1e-6)
    before = model.get_weights()
    history = model.fit(images(), epochs=1, validation_data=(images(), None), verbose=0).history
    assert history["skipped"] == [1.0] and "val_skipped" not in history
    for old, new in zip(before[:4], model.get_weights()[:4], strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_a_threshold_nothing_is_left_out_or_reported():
    model = make()
    model.compile("adam")
    assert "skipped" not in model.fit(images(), verbose=0).history


def test_the_threshold_is_saved_with_the_model(tmp_path):
    model = make()
    model.compile("adam", skip_threshold=123.0)
    model.fit(images(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.gradient_policy.threshold == 123.0
    assert loaded.fit(images(), verbose=0).history["skipped"] == [0.0]


@pytest.mark.parametrize("threshold", [0, -1.0, math.nan, "large"])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="Expected `skip_threshold` to be a finite number > 0. Received: skip_thr"):
        make().compile("adam", skip_threshold=threshold)
