"""The likelihood of rows: groups of channels, each with a likelihood of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import likelihoods, random
from zoo.likelihoods import Categorical, Gaussian, GaussianColumns, Masked, Mixed, Ordinal, Poisson

PARTS = (GaussianColumns(2), Ordinal((3,)), Categorical(), Poisson())
CHANNELS = (2, 1, 3, 1)
X = np.float32([[0.3, -1.0, 0.5, 0, 1, 0, 4], [1.2, 0.1, 1.0, 1, 0, 0, 0]])
RNG = np.random.default_rng(0)
PARAMS = tf.constant(RNG.normal(size=(2, 8)), tf.float32)
SLICES = [(0, 2), (2, 3), (3, 6), (6, 7)]
OF_PARAMS = [(0, 2), (2, 4), (4, 7), (7, 8)]


def mixed(**kwargs):
    return Mixed(list(PARTS), CHANNELS, **kwargs)


def test_log_prob_is_the_sum_over_the_groups():
    expected = sum(part.log_prob(X[:, a:b], PARAMS[:, c:d]) for part, (a, b), (c, d) in zip(PARTS, SLICES, OF_PARAMS))
    assert mixed().params_size(7) == 8
    np.testing.assert_allclose(mixed().log_prob(X, PARAMS), expected, rtol=1e-6)
    np.testing.assert_allclose(mixed().observed_log_prob(X, PARAMS, np.ones_like(X)), expected, rtol=1e-5)


def test_a_scale_that_follows_the_batch_does_so_within_a_group():
    alone, within = Gaussian("optimal", range=None), Gaussian("optimal", range=None)
    expected = alone.log_prob(X[:, :2], PARAMS[:, :2], training=True) + Poisson().log_prob(X[:, 6:], PARAMS[:, 7:])
    x, params = np.hstack([X[:, :2], X[:, 6:]]), tf.concat([PARAMS[:, :2], PARAMS[:, 7:]], axis=1)
    np.testing.assert_allclose(Mixed([within, Poisson()], (2, 1)).log_prob(x, params, training=True), expected)
    np.testing.assert_array_equal(within.log_var, alone.log_var)


def test_a_mask_drops_groups():
    mask = np.ones_like(X)
    mask[:, 3:6] = mask[:, 1] = 0.0
    spoilt = np.where(mask > 0, X, 0.7).astype(np.float32)
    gaussian = GaussianColumns(1).log_prob(X[:, :1], PARAMS[:, :1])
    expected = gaussian + PARTS[1].log_prob(X[:, 2:3], PARAMS[:, 2:4]) + PARTS[3].log_prob(X[:, 6:], PARAMS[:, 7:])
    np.testing.assert_allclose(mixed().observed_log_prob(spoilt, PARAMS, mask), expected, rtol=1e-5)
    masked = Masked(mixed())
    np.testing.assert_allclose(masked.log_prob(Masked.beside(spoilt, mask), PARAMS), expected, rtol=1e-5)


def test_means_and_samples_are_those_of_the_groups_with_their_own_seeds():
    seeds = random.row_seeds(0, 2)
    mean, sample = mixed().mean(PARAMS), mixed().sample(PARAMS, seeds)
    for number, (part, (a, b), (c, d)) in enumerate(zip(PARTS, SLICES, OF_PARAMS)):
        np.testing.assert_array_equal(mean[:, a:b], part.mean(PARAMS[:, c:d]))
        its = part.sample(PARAMS[:, c:d], random.fold_in(seeds, number))
        np.testing.assert_array_equal(sample[:, a:b], its)


def test_it_is_saved_with_its_columns_and_weights():
    layer = mixed(columns={"columns": [{"name": "a"}]})
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "zoo>Mixed"
    again = likelihoods.get(config)
    assert again.columns == {"columns": [{"name": "a"}]} and again.channels == CHANNELS
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again.log_prob(X, PARAMS), layer.log_prob(X, PARAMS))
    assert [weight.path for weight in layer.trainable_weights]


def test_the_support_holds_that_of_every_group():
    assert mixed().support is None
    assert Mixed([Categorical(), Gaussian(range=(-1, 1))], (2, 1)).support == (-1.0, 1.0)
    assert Mixed([Categorical(), Poisson()], (2, 1)).support[1] > 1e38


def test_it_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="Expected `channels` to be 2 ints, one for each likelihood"):
        Mixed([Categorical(), Poisson()], (2,))
    with pytest.raises(ValueError, match="Expected `likelihoods` to be a list of one"):
        Mixed([], ())
    with pytest.raises(ValueError, match=r"Expected `x` to be of 7 channels"):
        mixed().params_size(6)
