"""Samples of the likelihoods have the distribution that `log_prob` says."""

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo import random
from zoo.likelihoods import Bernoulli, DiscretizedLogistic, DiscretizedLogisticMixture, Gaussian, Masked

NUMBER = 4000
GRID = np.arange(256, dtype=np.float32) / 255


def samples(layer, params, seed=0):
    """Samples at one set of parameters of a pixel, `[NUMBER,C]`."""
    params = tf.constant(np.broadcast_to(np.float32(params), (NUMBER, 1, 1, len(params))))
    x = layer.sample(params, random.row_seeds(seed, NUMBER)).numpy()
    assert x.shape[1:3] == (1, 1)
    return x[:, 0, 0]


@pytest.mark.parametrize(
    ("layer", "params"),
    [
        (DiscretizedLogistic(), [0.3, -2.0]),
        (DiscretizedLogistic(), [-0.9, -1.0]),  # much of it beyond 0
        (DiscretizedLogisticMixture(2, channels=1), [0.5, -0.5, -0.6, 0.8, -3.0, -2.0]),
    ],
)
def test_samples_of_eight_bit_likelihoods_have_their_probabilities(layer, params):
    x = samples(layer, params)[:, 0]
    pixels = tf.constant(GRID[:, None, None, None])
    log_prob = layer.log_prob(pixels, tf.constant(np.broadcast_to(np.float32(params), (256, 1, 1, len(params)))))
    cumulated = np.cumsum(np.exp(log_prob))
    assert abs(cumulated[-1] - 1.0) < 1e-4
    # The largest gap of two distribution functions; beyond 1.63 / √n with a chance of 1 % (Kolmogorov).
    assert np.abs(np.mean(x[:, None] <= GRID + 1e-4, axis=0) - cumulated).max() < 1.63 / math.sqrt(NUMBER)


def test_samples_of_a_mixture_couple_the_channels():
    """Green follows red with the slope tanh(c): the covariance is the slope times the variance of red."""
    coupling = 0.8
    params = [0.0, 0.0, 0.0, 0.0, -3.0, -3.0, -3.0, math.atanh(coupling), 0.0, 0.0]
    x = samples(DiscretizedLogisticMixture(1), params)
    covariance = np.cov(x.T)
    assert abs(covariance[0, 1] / covariance[0, 0] - coupling) < 0.1
    assert abs(covariance[0, 2] / covariance[0, 0]) < 0.1


def test_samples_of_bernoulli_and_gaussian_have_their_moments():
    x = samples(Bernoulli(), [math.log(3.0)])
    assert set(np.unique(x)) == {0.0, 1.0} and abs(x.mean() - 0.75) < 0.03
    x = samples(Gaussian(0.5, range=None), [2.0, -1.0])
    np.testing.assert_allclose(x.mean(axis=0), [2.0, -1.0], atol=0.04)
    np.testing.assert_allclose(x.std(axis=0), 0.5, rtol=0.05)
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.06
    x = samples(Gaussian(5.0), [0.0])
    assert x.min() == 0.0 and x.max() == 1.0


def test_rows_of_samples_depend_on_their_seeds():
    params = tf.zeros((3, 2, 2, 2))
    one = DiscretizedLogistic().sample(params, tf.constant([1, 2, 1]))
    np.testing.assert_array_equal(one[0], one[2])
    assert not np.array_equal(one[0], one[1])


RNG = np.random.default_rng(0)
X = tf.constant(RNG.integers(0, 256, (3, 2, 2, 2)) / 255, tf.float32)
MASK = tf.constant(RNG.integers(0, 2, (3, 2, 2, 2)), tf.float32)


@pytest.mark.parametrize("layer", [Bernoulli(), Gaussian(0.3), DiscretizedLogistic()])
def test_the_observed_part_is_a_sum_over_the_values_that_the_mask_keeps(layer):
    params = tf.constant(RNG.normal(size=(3, 2, 2, layer.params_size(2))), tf.float32)
    ones = tf.ones_like(X)
    whole = layer.log_prob(X, params)
    np.testing.assert_allclose(layer.observed_log_prob(X, params, ones), whole, rtol=1e-4)
    rest = layer.observed_log_prob(X, params, 1.0 - MASK)
    np.testing.assert_allclose(layer.observed_log_prob(X, params, MASK) + rest, whole, rtol=1e-4)
    spoilt = tf.where(MASK > 0, X, 0.77)
    np.testing.assert_array_equal(
        layer.observed_log_prob(spoilt, params, MASK), layer.observed_log_prob(X, params, MASK)
    )
    # One value alone, of the second channel, by its own two parameters.
    only = np.zeros((3, 2, 2, 2), np.float32)
    only[:, 1, 0, 1] = 1.0
    its = tf.reshape(params, (3, 2, 2, -1, 2))[:, 1:, :1, :, 1]
    by_hand = layer.log_prob(X[:, 1:, :1, 1:], its)
    np.testing.assert_allclose(layer.observed_log_prob(X, params, tf.constant(only)), by_hand, rtol=1e-4)


def test_a_mixture_that_couples_channels_counts_whole_places():
    layer = DiscretizedLogisticMixture(2, channels=2)
    params = tf.constant(RNG.normal(size=(3, 2, 2, layer.params_size(2))), tf.float32)
    np.testing.assert_allclose(
        layer.observed_log_prob(X, params, tf.ones_like(X)), layer.log_prob(X, params), rtol=1e-4
    )
    mask = np.zeros((3, 2, 2, 2), np.float32)
    mask[:, 0, 1] = 1.0
    by_hand = layer.log_prob(X[:, :1, 1:], params[:, :1, 1:])
    np.testing.assert_allclose(layer.observed_log_prob(X, params, tf.constant(mask)), by_hand, rtol=1e-4)


def test_observed_values_are_judged_in_graphs_of_any_number_of_rows():
    layer = DiscretizedLogisticMixture(2, channels=2)
    params = tf.constant(RNG.normal(size=(3, 2, 2, layer.params_size(2))), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 2, 2)), tf.TensorSpec((None, 2, 2, params.shape[-1]))])
    def judge(x, params):
        return layer.observed_log_prob(x, params, tf.ones_like(x))

    np.testing.assert_allclose(judge(tf.constant(X, tf.float32), params), layer.log_prob(X, params), rtol=1e-4)


def test_a_masked_likelihood_judges_what_was_observed():
    inner = Gaussian(0.3)
    layer = Masked(inner)
    x = Masked.beside(X, MASK)
    assert x.shape == (3, 2, 2, 4) and layer.params_size(4) == 2 and layer.support == (0.0, 1.0)
    np.testing.assert_array_equal(x[..., :2], X * MASK)
    params = tf.constant(RNG.normal(size=(3, 2, 2, 2)), tf.float32)
    np.testing.assert_allclose(layer.log_prob(x, params), inner.observed_log_prob(X, params, MASK), rtol=1e-5)
    mean = layer.mean(params)
    np.testing.assert_array_equal(mean[..., :2], inner.mean(params))
    np.testing.assert_array_equal(mean[..., 2:], np.ones((3, 2, 2, 2)))
    again = Masked.from_config(layer.get_config())
    assert again.likelihood.scale == 0.3
    nan = np.where(MASK, X, np.nan)
    np.testing.assert_array_equal(Masked.beside(nan, MASK), x)


@pytest.mark.parametrize(
    ("limits", "support"), [((2, 3), (0, 3)), ((-1, -0.5), (-1, 1)), ((-2, 2), (-2, 2)), (None, None)]
)
def test_the_support_of_a_masked_likelihood_holds_the_mask_too(limits, support):
    assert Masked(Gaussian(0.3, range=limits)).support == support


def test_masked_refuses_what_it_cannot_judge():
    with pytest.raises(ValueError, match="Expected `likelihood` to be one whose scale does not follow the batch"):
        Masked(Gaussian("optimal"))
    with pytest.raises(ValueError, match="Expected `likelihood` to be a zoo.likelihoods.Likelihood of the values"):
        Masked("bernoulli")
    with pytest.raises(ValueError, match="an even number of channels"):
        Masked(Bernoulli()).params_size(3)


class Scaled(Bernoulli):
    """Weighs the channels differently, by constants or by weights of its own."""

    def __init__(self, weigh):
        super().__init__()
        self.weigh = weigh

    def log_prob(self, x, params, training=False):
        weights = self.weigh([1.0, 1.0])
        terms = weights * (x * params - tf.math.softplus(params))
        return tf.reduce_sum(tf.reshape(terms, (tf.shape(x)[0], -1)), axis=1)


@pytest.mark.parametrize("weigh", [tf.constant, tf.Variable])
def test_a_likelihood_that_treats_channels_differently_is_asked_for_its_own_observed_part(weigh):
    layer, params = Scaled(weigh), tf.zeros((3, 2, 2, 2))
    message = "Expected Scaled to define `observed_log_prob`, as its `log_prob` of 2 channels is not that of each alone"
    for _ in range(2):  # and again
        with pytest.raises(ValueError, match=message):
            layer.observed_log_prob(X, params, MASK)
        with pytest.raises(ValueError, match=message):
            tf.function(layer.observed_log_prob)(X, params, MASK)
    one = layer.observed_log_prob(X[..., :1], params[..., :1], MASK[..., :1])
    assert one.shape == (3,)
