"""Poisson and negative binomial: their log-probabilities are SciPy's, and samples follow them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from zoo import likelihoods, random
from zoo.likelihoods import Masked, NegativeBinomial, Poisson, _draws, _terms

NUMBER = 4000


def bounded(value, low, high):
    """`soft_bound` in float64."""
    value = high - np.logaddexp(0.0, high - value)
    return low + np.logaddexp(0.0, value - low)


@pytest.mark.parametrize("log_rate", (-3.0, 0.0, 2.0, 6.0))
def test_poisson_is_that_of_scipy(log_rate):
    rate = np.exp(bounded(log_rate, -14.0, 14.0))
    counts = np.float32([[0], [1], [2], [7], [8], [40], [400], [403]])
    log_prob = Poisson().log_prob(counts, tf.fill((8, 1), log_rate))
    np.testing.assert_allclose(log_prob, stats.poisson.logpmf(counts[:, 0], rate), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(Poisson().mean(tf.constant([[log_rate]])), [[rate]], rtol=1e-5)


def test_large_counts_keep_their_digits():
    """x log m and log x! are near 1e7 here, and float32 has seven digits."""
    terms = _terms.poisson_terms(tf.constant([1e6, 1.001e6]), tf.constant([1e6, 1e6]))
    np.testing.assert_allclose(terms, stats.poisson.logpmf([1e6, 1.001e6], 1e6), atol=2e-3)


@pytest.mark.parametrize("mean, concentration", [(0.5, 0.1), (3.0, 2.0), (50.0, 7.5), (20.0, 3e4)])
def test_negative_binomial_is_that_of_scipy(mean, concentration):
    counts = np.float32([0, 1, 2, 5, 9, 30, 80, 300])
    terms = _terms.negative_binomial_terms(counts, tf.fill((8,), mean), tf.fill((8,), concentration))
    expected = stats.nbinom.logpmf(counts, concentration, concentration / (concentration + mean))
    np.testing.assert_allclose(terms, expected, rtol=2e-5, atol=2e-5)


def test_parameters_of_a_negative_binomial_are_log_mean_and_log_concentration():
    params = tf.constant([[1.0, 0.5, -0.5, 2.0]])  # two channels
    mean = np.exp(bounded(np.array([1.0, 0.5]), -14.0, 14.0))
    concentration = np.exp(bounded(np.array([-0.5, 2.0]), -7.0, 12.0))
    expected = stats.nbinom.logpmf([3, 0], concentration, concentration / (concentration + mean)).sum()
    np.testing.assert_allclose(NegativeBinomial().log_prob(tf.constant([[3.0, 0.0]]), params), [expected], rtol=1e-5)
    np.testing.assert_allclose(NegativeBinomial().mean(params), [mean], rtol=1e-5)
    assert NegativeBinomial().params_size(3) == 6


def test_gradients_are_finite_and_those_of_the_formula():
    """d/dm of the Poisson is x/m − 1, also at x = 0."""
    mean = tf.constant([0.5, 2.0, 30.0])
    counts = tf.constant([0.0, 5.0, 12.0])
    with tf.GradientTape() as tape:
        tape.watch(mean)
        terms = _terms.poisson_terms(counts, mean)
    np.testing.assert_allclose(tape.gradient(terms, mean), counts / mean - 1.0, rtol=1e-4)
    concentration = tf.constant([1e-3, 2.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(concentration)
        terms = _terms.negative_binomial_terms(counts, mean, concentration)

    def of_scipy(r):
        return stats.nbinom.logpmf(counts, r, r / (r + mean.numpy()))

    r = concentration.numpy().astype(np.float64)
    numeric = (of_scipy(r * 1.0001) - of_scipy(r / 1.0001)) / (r * 1.0001 - r / 1.0001)
    np.testing.assert_allclose(tape.gradient(terms, concentration), numeric, rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("rate", (0.3, 6.0, 9.99, 10.01, 25.0, 900.0))
def test_poisson_samples_follow_the_distribution(rate):
    x = _draws.poisson(random.row_seeds(1, NUMBER), tf.fill((NUMBER, 1), rate)).numpy()[:, 0]
    assert np.array_equal(x, np.round(x)) and x.min() >= 0
    values = np.unique(x)
    gap = np.abs((x[:, None] <= values).mean(axis=0) - stats.poisson.cdf(values, rate)).max()
    assert gap < 1.63 / np.sqrt(NUMBER)  # Kolmogorov, beyond with a chance of 1 %


@pytest.mark.parametrize("concentration", (0.05, 0.9, 1.0, 4.0, 300.0))
def test_gamma_samples_follow_the_distribution(concentration):
    x = _draws.gamma(random.row_seeds(2, NUMBER), tf.fill((NUMBER, 1), concentration)).numpy()[:, 0]
    assert stats.kstest(x, stats.gamma(concentration).cdf).statistic < 1.63 / np.sqrt(NUMBER)


def test_negative_binomial_samples_follow_the_distribution():
    params = tf.tile([[np.float32(2.0), np.float32(0.3)]], (NUMBER, 1))
    x = NegativeBinomial().sample(params, random.row_seeds(3, NUMBER)).numpy()[:, 0]
    mean, r = np.exp(bounded(2.0, -14.0, 14.0)), np.exp(bounded(0.3, -7.0, 12.0))
    values = np.unique(x)
    gap = np.abs((x[:, None] <= values).mean(axis=0) - stats.nbinom.cdf(values, r, r / (r + mean))).max()
    assert gap < 1.63 / np.sqrt(NUMBER)


def test_a_row_of_samples_depends_on_its_own_seed_alone():
    params = tf.zeros((3, 4, 2)) + 3.0
    for layer in (Poisson(), NegativeBinomial()):
        one = layer.sample(params, tf.constant([1, 2, 1]))
        np.testing.assert_array_equal(one[0], one[2])
        assert not np.array_equal(one[0], one[1])


@pytest.mark.parametrize("name, kind", [("poisson", Poisson), ("negative_binomial", NegativeBinomial)])
def test_counts_by_name_and_config(name, kind):
    assert type(likelihoods.get(name)) is kind
    config = keras.saving.serialize_keras_object(kind())
    assert config["registered_name"] == f"zoo>{kind.__name__}"
    assert type(likelihoods.get(config)) is kind
    assert kind().support[0] == 0.0 and np.isfinite(kind().support[1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("source", ["array", "dataset"])
def test_training_takes_whole_numbers_alone(masked, source):
    size = 6 if masked else 3
    likelihood = Masked(Poisson()) if masked else Poisson()
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model = zoo.VAE(keras.Sequential([keras.Input((size,)), keras.layers.Dense(4)]), decoder, likelihood)
    model.compile("sgd")
    counts = np.random.default_rng(0).poisson(2.0, (8, 3)).astype("float32")

    def given(x):
        x = np.asarray(Masked.beside(x, np.ones_like(x))) if masked else x
        return x if source == "array" else tf.data.Dataset.from_tensor_slices(x).batch(4)

    model.fit(given(counts), verbose=0)
    for verb in (model.fit, model.evaluate):
        with pytest.raises(
            ValueError, match="Expected `x` to be counts, which are whole numbers. Received: .* such as"
        ):
            verb(given(np.log1p(counts)), verbose=0)
    # The means that it gives are no counts, and may be looked at.
    assert np.isfinite(model.encode(np.asarray(model.sample(4, seed=0)))["mean"]).all()
