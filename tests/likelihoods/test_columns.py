"""Gaussian and ordinal columns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from zoo import likelihoods, networks, random
from zoo.likelihoods import Gaussian, GaussianColumns, Ordinal


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.float64(x)))


def test_each_column_has_its_own_scale():
    layer = GaussianColumns(2, minimum=0.05)
    layer.log_var.assign([np.log(0.25), np.log(4.0)])
    x, mean = np.float32([[1.0, -2.0], [0.5, 3.0]]), np.float32([[0.5, -1.0], [0.5, 0.0]])
    expected = stats.norm.logpdf(x, mean, [0.5, 2.0])
    np.testing.assert_allclose(layer.log_prob(x, mean), expected.sum(axis=1), rtol=1e-4)
    mask = np.float32([[1, 0], [0, 1]])
    np.testing.assert_allclose(layer.observed_log_prob(x, mean, mask), expected[[0, 1], [0, 1]], rtol=1e-4)
    params = tf.zeros((4000, 2)) + [3.0, -1.0]
    drawn = layer.sample(params, random.row_seeds(0, 4000)).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [3.0, -1.0], atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), [0.5, 2.0], rtol=0.05)
    layer.log_var.assign([-20.0, 0.0])  # the density stays below that of the minimum
    np.testing.assert_allclose(layer.log_prob(mean, mean)[0], stats.norm.logpdf(0, 0, [0.05, 1.0]).sum(), rtol=1e-3)


def test_scales_begin_where_they_are_told():
    zeros = np.zeros((1, 2), np.float32)
    for sigma, layer in ((1.0, GaussianColumns(2)), (0.3, GaussianColumns(2, initial_sigma=0.3))):
        expected = 2 * stats.norm.logpdf(0, 0, sigma)
        np.testing.assert_allclose(layer.log_prob(zeros, zeros)[0], expected, rtol=1e-4)


def test_a_scale_that_begins_below_the_minimum_learns():
    layer = GaussianColumns(1, minimum=0.5, initial_sigma=0.1)
    np.testing.assert_allclose(layer.log_var, [2 * np.log(0.5)], rtol=1e-6)
    with tf.GradientTape() as tape:
        loss = -layer.log_prob(tf.constant([[2.0]]), tf.constant([[0.0]]))
    assert tape.gradient(loss, layer.log_var.value) < 0


@pytest.mark.parametrize("minimum", [0.01, 0.5, 1.0, 30.0])
def test_a_scale_that_was_driven_to_the_minimum_grows_again(minimum):
    layer, optimizer = GaussianColumns(1, minimum=minimum, initial_sigma=2 * minimum), keras.optimizers.SGD(3.0)
    optimizer.build([layer.log_var])
    reached = []
    for value in (0.0, 0.0, 3.0 * minimum):
        with tf.GradientTape() as tape:
            loss = -layer.log_prob(tf.constant([[value]]), tf.constant([[0.0]]))[0]
        optimizer.apply([tape.gradient(loss, layer.log_var.value)], [layer.log_var])
        reached.append(float(layer.log_var.numpy()[0]))
    assert reached[:2] == pytest.approx([2 * np.log(minimum)] * 2, abs=1e-6) and reached[2] > reached[1] + 1.0


def by_hand(layer, column, level, location, scale):
    """P(level) from the thresholds that the layer says, in float64."""
    thresholds = np.float64(layer._thresholds())[column]
    ends = np.concatenate([[-np.inf], thresholds[: layer.levels[column] - 1], [np.inf]])
    return sigmoid((ends[level + 1] - location) / scale) - sigmoid((ends[level] - location) / scale)


@pytest.mark.parametrize("levels", [(4, 2, 3), (2, 2), (1, 5)])
def test_probabilities_of_the_levels_are_differences_of_the_logistic_and_sum_to_one(levels):
    layer, draw = Ordinal(levels), np.random.default_rng(0)
    layer.first.assign_add(draw.normal(0, 0.3, layer.first.shape))
    layer.steps.assign_add(draw.normal(0, 0.3, layer.steps.shape))
    location, log_scale = draw.normal(size=(2, 1, len(levels)))
    params = tf.constant(np.concatenate([location, log_scale], axis=-1), tf.float32)
    scale = np.exp(np.float64(layer._split(params)[1]))
    for column, number in enumerate(levels):
        found = []
        for level in range(number):
            x = np.zeros((1, len(levels)), np.float32)
            x[0, column] = level / max(number - 1, 1)
            only = np.zeros_like(x)
            only[0, column] = 1.0
            found.append(float(np.exp(layer.observed_log_prob(x, params, only)[0])))
            expected = by_hand(layer, column, level, location[0, column], scale[0, column])
            np.testing.assert_allclose(found[-1], expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(sum(found), 1.0, atol=1e-5)
        mean = np.dot(found, np.arange(number)) / max(number - 1, 1)
        np.testing.assert_allclose(layer.mean(params)[0, column], mean, atol=1e-5)


def test_levels_are_about_equally_likely_at_first():
    layer = Ordinal(5)
    params = tf.constant([[0.0, -float(np.log(np.expm1(8.0)) - 8.0)]])  # s = 1, but for the soft bound
    probabilities = [float(np.exp(layer.log_prob(tf.constant([[k / 4]]), params)[0])) for k in range(5)]
    np.testing.assert_allclose(probabilities, 0.2, atol=0.01)
    assert layer.params_size(3) == 6


def test_samples_of_levels_have_their_probabilities():
    layer = Ordinal((4, 2))
    params = np.float32([[0.4, -0.2, -0.5, 0.1]])
    x = layer.sample(tf.tile(params, (4000, 1)), random.row_seeds(0, 4000)).numpy()
    scale = np.exp(np.float64(layer._split(tf.constant(params))[1]))[0]
    for column, number in enumerate((4, 2)):
        shares = [(np.abs(x[:, column] - k / (number - 1)) < 1e-6).mean() for k in range(number)]
        expected = [by_hand(layer, column, k, params[0, column], scale[column]) for k in range(number)]
        np.testing.assert_allclose(shares, expected, atol=0.03)
        assert sum(shares) == 1.0


def test_training_moves_the_thresholds_to_the_shares_of_the_levels():
    layer = Ordinal((3,))
    x = tf.constant([[0.0]] * 10 + [[0.5]] * 20 + [[1.0]] * 70)
    params = tf.zeros((100, 2))
    adam = keras.optimizers.Adam(0.1)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer.log_prob(x, params))
        adam.apply_gradients(zip(tape.gradient(loss, layer.trainable_weights), layer.trainable_weights))
    shares = [float(np.exp(layer.log_prob(tf.constant([[k / 2]]), params[:1])[0])) for k in range(3)]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.7], atol=0.01)


@pytest.mark.parametrize("layer", [GaussianColumns(3, minimum=0.02, initial_sigma=0.3), Ordinal((3, 2, 4)), Ordinal(6)])
def test_columns_survive_saving(layer):
    config = keras.saving.serialize_keras_object(layer)
    again = likelihoods.get(config)
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    assert config["registered_name"] == f"zoo>{type(layer).__name__}"
    again.set_weights(layer.get_weights())
    x = tf.constant([[0.0, 1.0, 1.0]])
    params = tf.constant([[0.1] * layer.params_size(3)])
    np.testing.assert_array_equal(again.log_prob(x, params), layer.log_prob(x, params))


def test_columns_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="Expected `x` to be of 3 channels"):
        GaussianColumns(3).params_size(2)
    with pytest.raises(ValueError, match="Expected `x` to be of 2 channels"):
        Ordinal((3, 3)).params_size(3)
    with pytest.raises(ValueError, match="Expected `levels` to be an integer >= 1. Received: levels=0"):
        Ordinal((3, 0))
    with pytest.raises(ValueError, match="Expected `minimum` to be a finite number > 0"):
        GaussianColumns(3, minimum=0.0)
    with pytest.raises(ValueError, match="Expected `initial_sigma` to be a finite number > 0"):
        GaussianColumns(3, initial_sigma=0.0)
    for name in ("minimum", "initial_sigma"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be a finite number > 0 and < 1096.63"):
            GaussianColumns(3, **{name: 1100.0})


@pytest.mark.parametrize("masked", [False, True])
def test_training_refuses_values_between_the_levels(masked):
    likelihood, channels = Ordinal((4, 1, 5)), 6 if masked else 3
    encoder, decoder = networks.mlp_encoder((2, channels), 2, ()), networks.mlp_decoder((2, 6), 2, ())
    model = zoo.VAE(encoder, decoder, likelihoods.Masked(likelihood) if masked else likelihood, seed=0)
    model.compile("adam", run_eagerly=True)

    def data(x):
        x = np.float32(x)[:, None].repeat(2, axis=1)
        return likelihoods.Masked.beside(x, np.ones_like(x)) if masked else x

    good = data([[1 / 3, 0, 0.25], [2 / 3, 0, 0.75]])
    model.fit(good, verbose=0)
    message = "on the levels of the likelihood, multiples of 1 or 1/3 or 1/4. Received: x='2 values such as"
    for bad in ([[1 / 3, 0, 0.25], [0.5, 0, 0.75]], [[0, 0, 1 / 3], [0, 0, 0]]):
        with pytest.raises(ValueError, match=message):
            model.fit(data(bad), verbose=0)
        with pytest.raises(ValueError, match=message):
            model.evaluate(data(bad), verbose=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("levels", [2, 4, 11, 101])
def test_levels_are_taken_in_every_precision(levels, dtype):
    model = zoo.VAE(networks.mlp_encoder((2,), 2, ()), networks.mlp_decoder((4,), 2, ()), Ordinal(levels), seed=0)
    model.compile("adam", run_eagerly=True)
    x = tf.cast(np.random.default_rng(0).integers(0, levels, (8, 2)) / (levels - 1), dtype)
    assert np.isfinite(model.train_on_batch(x, return_dict=True)["loss"])
    if dtype == "float32":
        model.train_on_batch(0.9995 * x)  # the range takes as much
        with pytest.raises(ValueError, match="on the levels of the likelihood"):
            model.train_on_batch(x + 0.5 / (levels - 1) * (1.0 - 2.0 * x))


def test_a_mixed_likelihood_refuses_values_between_the_levels_of_its_parts():
    parts = [Ordinal((4, 2)), GaussianColumns(1), likelihoods.Poisson()]
    model = zoo.VAE(
        networks.mlp_encoder((4,), 2, ()),
        networks.mlp_decoder((6,), 2, ()),
        likelihoods.Mixed(parts, [2, 1, 1]),
        seed=0,
    )
    model.compile("adam", run_eagerly=True)
    good = np.float32([[1 / 3, 1.0, 0.37, 2.0]])
    model.train_on_batch(good)
    for column in (0, 1, 3):
        with pytest.raises(ValueError, match="on the levels of the likelihood, multiples of 1 or 1/3"):
            model.train_on_batch(good - np.float32(0.5) * np.eye(4, dtype="float32")[[column]])


@pytest.mark.parametrize("make", [lambda: Ordinal(4), lambda: GaussianColumns(2), lambda: Gaussian("optimal")])
def test_weights_are_not_rounded_in_a_model_of_mixed_precision(make):
    class Model(keras.Model):
        def call(self, x):
            return [0.0 + weight for weight in layer.weights]

    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer, model = make(), Model()
    finally:
        keras.config.set_dtype_policy("float32")
    weights = model(np.zeros((1, 1), "float32"))
    assert weights and all(weight.dtype == tf.float32 for weight in weights)
