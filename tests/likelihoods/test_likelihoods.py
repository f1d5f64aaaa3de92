"""The likelihood layers: what they add to `zoo.distributions`, whose own tests hold the formulas."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import distributions, likelihoods
from zoo.likelihoods import Bernoulli, DiscretizedLogistic, DiscretizedLogisticMixture, Gaussian, Likelihood

RNG = np.random.default_rng(0)
IMAGES = tf.constant(RNG.integers(0, 256, size=(4, 3, 2, 3)) / 255, tf.float32)
LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
}


def normal(*shape, scale=1.0):
    return tf.constant(scale * RNG.normal(size=shape), tf.float32)


def gaussian_by_hand(x, mean, var):
    squared = ((np.float64(x) - np.float64(mean)) ** 2).reshape(len(x), -1)
    return -0.5 * (squared.shape[1] * math.log(2 * math.pi * var) + squared.sum(axis=1) / var)


@pytest.mark.parametrize(
    ("layer", "channels", "size"),
    [
        (Bernoulli(), 3, 3),
        (Gaussian(), 1, 1),
        (DiscretizedLogistic(), 3, 6),
        (DiscretizedLogisticMixture(), 3, 100),  # 10 logits, 30 means, 30 log-scales, 30 couplings
        (DiscretizedLogisticMixture(5, channels=1), 1, 15),
    ],
)
def test_params_size(layer, channels, size):
    assert layer.params_size(channels) == size


def test_a_mixture_refuses_images_of_other_channels():
    with pytest.raises(ValueError, match="Expected images of 3 channels. Received: channels=1"):
        DiscretizedLogisticMixture().params_size(1)


def test_only_the_discretised_likelihoods_are_over_eight_bit_values():
    eight_bit = {name for name, kind in LIKELIHOODS.items() if kind().eight_bit}
    assert eight_bit == {"discretized_logistic", "discretized_logistic_mixture"}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_mean_images_lie_within_zero_and_one(name):
    layer = LIKELIHOODS[name]()
    image = layer.mean(normal(4, 3, 2, layer.params_size(3), scale=5.0)).numpy()
    assert image.shape == (4, 3, 2, 3) and image.dtype == np.float32
    assert image.min() >= 0.0 and image.max() <= 1.0
    np.testing.assert_allclose(layer.mean(tf.zeros((1, 1, 1, layer.params_size(3)))), 0.5, atol=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_prob_is_one_number_an_example(name):
    layer = LIKELIHOODS[name]()
    log_prob = layer.log_prob(IMAGES, normal(4, 3, 2, layer.params_size(3)))
    assert log_prob.shape == (4,) and log_prob.dtype == tf.float32


def test_bernoulli_takes_logits():
    logits = normal(4, 3, 2, 3)
    np.testing.assert_array_equal(
        Bernoulli().log_prob(IMAGES, logits), distributions.bernoulli_log_prob(IMAGES, logits)
    )
    np.testing.assert_allclose(Bernoulli().mean(logits), 1 / (1 + np.exp(-logits.numpy())), rtol=1e-5)


def test_discretized_logistic_takes_means_then_log_scales_of_the_range_minus_one_to_one():
    params = normal(4, 3, 2, 6)
    mean, log_scale = params[..., :3], params[..., 3:]
    expected = distributions.discretized_logistic_log_prob(
        IMAGES, (mean + 1) / 2, distributions.soft_bound(log_scale - math.log(2), *distributions.LOG_SCALE_RANGE)
    )
    np.testing.assert_allclose(DiscretizedLogistic().log_prob(IMAGES, params), expected, rtol=1e-5)
    np.testing.assert_allclose(DiscretizedLogistic().mean(params), np.clip((mean + 1) / 2, 0, 1), rtol=1e-5, atol=1e-6)


def test_mixture_delegates():
    layer, params = DiscretizedLogisticMixture(components=2), normal(4, 3, 2, 20)
    log_prob = distributions.discretized_logistic_mixture_log_prob(IMAGES, params, 2)
    np.testing.assert_array_equal(layer.log_prob(IMAGES, params), log_prob)
    np.testing.assert_array_equal(layer.mean(params), distributions.discretized_logistic_mixture_mean(params, 3, 2))


# Gaussian.


def test_gaussian_with_a_fixed_scale_is_the_normal_density_about_params_plus_a_half():
    params, layer = normal(4, 3, 2, 3, scale=0.1), Gaussian(scale=0.2)
    expected = gaussian_by_hand(IMAGES, params + 0.5, 0.04)
    np.testing.assert_allclose(layer.log_prob(IMAGES, params), expected, rtol=1e-4)
    np.testing.assert_allclose(layer.log_prob(IMAGES, params, training=True), expected, rtol=1e-4)
    assert layer.weights == []


def test_gaussian_mean_is_cut_to_the_range_of_images():
    np.testing.assert_allclose(Gaussian().mean(tf.constant([[-3.0, -0.25, 0.0, 0.9]])), [[0.0, 0.25, 0.5, 1.0]])


@pytest.mark.parametrize(("ends", "middle"), [((-1, 1), 0.0), ((0, 255), 127.5), ((2, 3), 2.5), (None, 0.0)], ids=str)
def test_gaussian_is_about_params_plus_the_middle_of_its_range_and_its_mean_is_cut_to_that(ends, middle):
    params, layer = normal(4, 3, 2, 3, scale=100.0), Gaussian(scale=50.0, range=ends)
    np.testing.assert_allclose(
        layer.log_prob(IMAGES, params), gaussian_by_hand(IMAGES, params + middle, 2500.0), rtol=1e-4
    )
    expected = params + middle if ends is None else np.clip(params + middle, *ends)
    np.testing.assert_allclose(layer.mean(params), expected, rtol=1e-6)
    assert layer.support == ends


def test_gaussian_learns_one_log_variance_for_all_pixels():
    params, layer = normal(4, 3, 2, 3, scale=0.1), Gaussian(scale="learned")
    layer.log_var.assign(math.log(0.09))
    with tf.GradientTape() as tape:
        log_prob = layer.log_prob(IMAGES, params, training=True)
    expected = gaussian_by_hand(IMAGES, params + 0.5, 0.09)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-3)
    squared = np.square(IMAGES - params - 0.5).sum()
    by_log_var = tape.gradient(log_prob, layer.log_var.value)
    # d/dv of −½ (n v + S e^−v), for n = 4 · 18 values.
    np.testing.assert_allclose(by_log_var, -0.5 * (72 - squared / 0.09), rtol=1e-3)
    assert [weight.path for weight in layer.trainable_weights] == [layer.log_var.path]


def test_optimal_gaussian_takes_the_variance_of_the_batch_in_training():
    params, layer = normal(4, 3, 2, 3, scale=0.1), Gaussian(scale="optimal")
    var = float(np.square(IMAGES - params - 0.5).mean())
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = layer.log_prob(IMAGES, params, training=True)
    np.testing.assert_allclose(log_prob, gaussian_by_hand(IMAGES, params + 0.5, var), rtol=1e-3)
    # Through the mean alone: the scale is held.
    np.testing.assert_allclose(tape.gradient(log_prob, params), (IMAGES - params - 0.5) / var, rtol=1e-3, atol=1e-4)
    assert layer.trainable_weights == []


def test_a_frozen_optimal_gaussian_keeps_its_scale():
    params, layer = normal(4, 3, 2, 3, scale=0.1), Gaussian(scale="optimal")
    layer.log_prob(IMAGES, params, training=True)
    before = [weight.numpy() for weight in layer.weights]
    layer.trainable = False
    found = layer.log_prob(5 * IMAGES, params, training=True)
    np.testing.assert_array_equal(before, [weight.numpy() for weight in layer.weights])
    np.testing.assert_array_equal(found, layer.log_prob(5 * IMAGES, params))


def test_optimal_gaussian_averages_log_variances_and_its_zero_start_never_counts():
    layer = Gaussian(scale="optimal", momentum=0.6)
    x, expected = tf.fill((2, 4), 0.5), None
    for update, error in enumerate([0.1, 0.2, 0.4, 0.8]):
        layer.log_prob(x, tf.fill((2, 4), error), training=True)
        optimal = math.log(error**2)
        rate = max(1 - 0.6, 1 / (update + 1))  # 1, 1/2, 0.4, 0.4
        expected = optimal if expected is None else expected + rate * (optimal - expected)
        np.testing.assert_allclose(layer.log_var, expected, rtol=1e-4)


def test_optimal_gaussian_judges_by_its_average_outside_training_and_leaves_it_alone():
    layer = Gaussian(scale="optimal")
    layer.log_prob(tf.fill((2, 4), 0.5), tf.fill((2, 4), 0.1), training=True)
    x, params = tf.fill((3, 4), 0.5), tf.fill((3, 4), 0.3)
    np.testing.assert_allclose(layer.log_prob(x, params), gaussian_by_hand(x, params + 0.5, 0.01), rtol=1e-3)
    np.testing.assert_allclose(layer.log_var, math.log(0.01), rtol=1e-4)
    assert float(layer.updates) == 1.0


def test_optimal_gaussian_survives_a_perfect_reconstruction():
    layer = Gaussian(scale="optimal")
    x = tf.fill((2, 4), 0.5)
    assert np.isfinite(layer.log_prob(x, tf.zeros((2, 4)), training=True)).all()
    assert np.isfinite(layer.log_prob(x, tf.zeros((2, 4)))).all()


def test_optimal_gaussian_takes_the_variance_of_all_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = Gaussian(scale="optimal")
    errors = tf.constant([0.1, 0.3])

    @tf.function
    def run():
        params = strategy.experimental_distribute_values_from_function(
            lambda context: tf.fill((2, 4), errors[context.replica_id_in_sync_group])
        )
        return strategy.run(lambda p: layer.log_prob(tf.fill((2, 4), 0.5), p, training=True), (params,))

    first, second = strategy.experimental_local_results(run())
    var = (0.01 + 0.09) / 2
    np.testing.assert_allclose(first, gaussian_by_hand(np.zeros((2, 4)), 0.1, var), rtol=1e-3)
    np.testing.assert_allclose(second, gaussian_by_hand(np.zeros((2, 4)), 0.3, var), rtol=1e-3)
    np.testing.assert_allclose(layer.log_var, math.log(var), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "best"}, "Expected `scale` to be a number > 0, 'learned' or 'optimal'. Received: scale='best'"),
        ({"scale": 0.0}, "Expected `scale` to be a finite number > 0. Received: scale=0.0"),
        ({"scale": -1}, "Expected `scale` to be a finite number > 0. Received: scale=-1"),
        ({"momentum": -0.1}, "Expected `momentum` to be a finite number .* Received: momentum=-0.1"),
        ({"momentum": 1.0}, "Expected `momentum` to be a finite number .* Received: momentum=1.0"),
        ({"range": (1, 1)}, r"Expected `range` to be a pair of numbers, the first below .* Received: range=\(1, 1\)"),
        ({"range": (0, math.inf)}, r"Expected `range` to be a pair of finite numbers .* Received: range=\(0, inf\)"),
        ({"range": (0, 1, 2)}, r"Expected `range` to be a pair of finite numbers .* Received: range=\(0, 1, 2\)"),
        ({"range": 255}, "Expected `range` to be a pair of finite numbers .* Received: range=255"),
    ],
)
def test_gaussian_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(**arguments)


# All of them.


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_get_knows_names_objects_and_configs(name):
    layer = likelihoods.get(name)
    assert type(layer) is LIKELIHOODS[name]
    assert likelihoods.get(layer) is layer
    assert type(likelihoods.get(keras.saving.serialize_keras_object(layer))) is LIKELIHOODS[name]


@pytest.mark.parametrize("identifier", ["student", None, 3])
def test_get_refuses_what_is_no_likelihood(identifier):
    with pytest.raises(
        ValueError, match=r"Expected `likelihood` to be a zoo.likelihoods.Likelihood or one of \['bernoulli'"
    ):
        likelihoods.get(identifier)


@pytest.mark.parametrize(
    ("layer", "config"),
    [
        (Gaussian(scale=0.3, momentum=0.5), {"scale": 0.3, "momentum": 0.5}),
        (Gaussian(scale="optimal", momentum=0.9), {"scale": "optimal", "momentum": 0.9}),
        (DiscretizedLogisticMixture(4, channels=1), {"components": 4, "channels": 1}),
    ],
)
def test_config_round_trip(layer, config):
    restored = likelihoods.get(keras.saving.serialize_keras_object(layer))
    assert isinstance(restored, Likelihood)
    assert {name: getattr(restored, name) for name in config} == config


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods_compute_in_float32_under_mixed_precision(name):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = LIKELIHOODS[name]()
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer.compute_dtype == "float32"
