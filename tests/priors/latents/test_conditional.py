"""A Gaussian whose moments a network gives: by hand, and what is refused."""

import keras
import numpy as np
import pytest

import zoo

LABELS = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
Z = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")


@pytest.fixture(scope="module")
def prior():
    network = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    for weight in network.weights:
        weight.assign(np.random.default_rng(2).normal(0, 0.5, weight.shape))
    return zoo.priors.ConditionalGaussian(network)


def moments(prior):
    kernel, bias = prior.network.get_weights()
    mean, raw = np.split(LABELS.reshape(5, -1) @ kernel + bias, 2, axis=1)
    return mean, np.asarray(zoo.distributions.bound_log_var(raw))


def test_the_density_the_kl_and_the_samples_by_hand(prior):
    mean, log_var = moments(prior)
    assert (prior.latent_dim, prior.num_attributes, prior.label_spec) == (2, 6, ("float32", (2, 3)))
    expected = -0.5 * (np.log(2 * np.pi) + log_var + (Z - mean) ** 2 / np.exp(log_var)).sum(axis=1)
    np.testing.assert_allclose(prior.log_prob(Z, LABELS), expected, rtol=1e-4)
    kl = 0.5 * (log_var + (0.25 + (Z - mean) ** 2) / np.exp(log_var) - 1 - np.log(0.25))
    np.testing.assert_allclose(prior.kl(Z, np.full_like(Z, np.log(0.25)), Z, LABELS), kl, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(prior.sample(5, seed=0, temperature=0.0, labels=LABELS), mean, atol=1e-5)
    half, whole = (prior.sample(5, seed=0, temperature=t, labels=LABELS) for t in (0.5, 1.0))
    noise = zoo.random.normal(zoo.random.row_seeds(0, 5), (2,))
    np.testing.assert_allclose(whole, mean + np.exp(log_var / 2) * noise, atol=1e-5)
    np.testing.assert_allclose(half - mean, (whole - mean) / 2, atol=1e-5)


def test_it_comes_back_from_its_config(prior):
    again = type(prior).from_config(prior.get_config())
    again.network.set_weights(prior.network.get_weights())
    np.testing.assert_allclose(again.log_prob(Z, LABELS), prior.log_prob(Z, LABELS), rtol=1e-6)


def test_other_networks_and_labels_are_refused(prior):
    with pytest.raises(ValueError, match=r"`network` to be a keras model from \[B, …\] to \[B, 2·latent_dim\]"):
        zoo.priors.ConditionalGaussian(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match=r"`labels` to be float32 of shape \[5, 2, 3\], the attributes"):
        prior.log_prob(Z, LABELS[:, :1])
