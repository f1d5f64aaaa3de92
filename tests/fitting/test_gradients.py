"""Large gradients are left out, by any model that is compiled to do so."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.fitting.gradients import SkipLargeGradients, only_finite


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


def test_the_norm_is_that_before_the_loss_is_scaled():
    policy = SkipLargeGradients(5.0)
    scaling = keras.optimizers.SGD(loss_scale_factor=1024.0)
    assert filtered(policy, [3072.0], [3.9 * 1024], optimizer=scaling) == [[3072.0], [pytest.approx(3.9 * 1024)]]
    assert filtered(policy, [3072.0], [4.1 * 1024], optimizer=scaling) == [[0.0], [0.0]]


def of_codes():
    encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Conv2D(3, 1)])
    decoder = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Conv2D(1, 1)])
    return zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(4, 3, seed=0), "bernoulli")


def of_optimal_scale():
    model = make()
    return zoo.VAE(model.encoder, model.decoder, zoo.likelihoods.Gaussian("optimal"), seed=0)


@pytest.mark.parametrize("kind", [of_codes, of_optimal_scale])
def test_what_is_not_a_number_stays_in_no_weight(kind):
    keras.utils.set_random_seed(0)
    model, x = kind(), images(24)
    model.compile("adam", skip_threshold=math.inf)
    x[12, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="The loss is NaN or infinite"):
        history = model.fit(tf.data.Dataset.from_tensor_slices(x).batch(8), verbose=0).history
    assert history["skipped"] == [pytest.approx(1 / 3)]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    model.fit(images(24), verbose=0)
    assert np.isfinite(model.evaluate(images(24), verbose=0, return_dict=True)["loss"])


def test_codes_of_vectors_that_are_no_numbers_count_for_none():
    quantizer = zoo.quantizers.VectorQuantizer(4, 3, seed=0)
    z = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    quantizer(z, training=True)
    other = zoo.quantizers.VectorQuantizer(4, 3, seed=0)
    other(z, training=True)
    quantizer.embeddings.assign(other.embeddings)
    wrong = np.concatenate([z, np.full((2, 3), np.nan, np.float32)])
    quantizer(wrong, training=True)
    other(z, training=True)
    np.testing.assert_allclose(quantizer.counts, other.counts, rtol=1e-6)
    np.testing.assert_allclose(quantizer.sums, other.sums, rtol=1e-5, atol=1e-6)


def test_a_loss_scaling_optimizer_sees_every_gradient():
    policy = SkipLargeGradients(1e-3)
    gradients = [tf.constant([math.nan, 7.0]), tf.constant([1e9])]
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    assert policy(gradients, optimizer) is gradients
    assert float(policy.skipped.result()) == 0
    assert only_finite(gradients, optimizer) is gradients  # or it would never lower its scale


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
