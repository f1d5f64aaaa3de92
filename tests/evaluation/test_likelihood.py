"""Bounds of the likelihood, on a linear Gaussian model whose log p(x) is known in closed form.

    z ~ N(0, I),   x = W z + c + noise of variance σ²:   x ~ N(c, W Wᵀ + σ² I)

The columns of W are orthogonal, so that the posterior's covariance is diagonal, as an encoder's is.
"""

import math

import keras
import numpy as np
import pytest

import zoo
from zoo.evaluation import log_prob

SIGMA = 0.5
W = np.array([[0.6, 0.2], [-0.4, 0.3], [0.2, 0.6], [0.8, -0.15]])
CENTRE = np.array([0.4, 0.5, 0.6, 0.7])
POSTERIOR_VAR = 1 / (1 + (W**2).sum(axis=0) / SIGMA**2)
IMAGES = (CENTRE + np.random.default_rng(0).normal(size=(6, 4))).astype("float32").reshape(-1, 2, 2, 1)


def model(shift=0.0, stretch=1.0):
    """The VAE of that model; its posterior is the true one, moved by `shift`, its variance times `stretch`."""
    x = keras.Input((2, 2, 1))
    dense = keras.layers.Dense(4, name="posterior")
    encoder = keras.Model(x, dense(keras.layers.Flatten()(x)))
    projection = POSTERIOR_VAR * W / SIGMA**2  # [4,2]: the posterior's mean is (x − c) of it
    log_var = np.log(stretch * POSTERIOR_VAR)
    bias = np.concatenate([-CENTRE @ projection + shift, log_var])
    dense.set_weights([np.concatenate([projection, np.zeros((4, 2))], axis=1), bias])

    z = keras.Input((2,))
    dense = keras.layers.Dense(4)
    decoder = keras.Model(z, keras.layers.Reshape((2, 2, 1))(dense(z)))
    dense.set_weights([W.T, CENTRE])
    return zoo.VAE(encoder, decoder, zoo.likelihoods.Gaussian(scale=SIGMA, range=None))


def exact_log_prob(images):
    difference = images.reshape(-1, 4).astype("float64") - CENTRE
    covariance = W @ W.T + SIGMA**2 * np.eye(4)
    mahalanobis = (difference @ np.linalg.inv(covariance) * difference).sum(axis=1)
    return -0.5 * (4 * math.log(2 * math.pi) + np.linalg.slogdet(covariance)[1] + mahalanobis)


def exact_elbo(images, shift=0.0, stretch=1.0):
    """E_q log p(x|z) − KL(q ‖ p), for q of mean m and diagonal variance s."""
    x = images.reshape(-1, 4).astype("float64")
    m = (x - CENTRE) @ (POSTERIOR_VAR * W / SIGMA**2) + shift
    s = stretch * POSTERIOR_VAR
    squared = ((x - CENTRE - m @ W.T) ** 2).sum(axis=1) + ((W**2) * s).sum()
    reconstruction = 0.5 * (4 * math.log(2 * math.pi * SIGMA**2) + squared / SIGMA**2)
    kl = 0.5 * (s.sum() + (m**2).sum(axis=1) - 2 - np.log(s).sum())
    return -(reconstruction + kl)


def test_the_columns_are_orthogonal_and_the_elbo_of_the_true_posterior_is_the_likelihood():
    assert abs(W[:, 0] @ W[:, 1]) < 1e-12
    np.testing.assert_allclose(exact_elbo(IMAGES), exact_log_prob(IMAGES))


@pytest.mark.parametrize("num_samples", [1, 3])
def test_under_the_true_posterior_any_number_of_samples_gives_the_likelihood(num_samples):
    for seed in (0, 1):
        bound = model().log_prob(IMAGES, num_samples=num_samples, seed=seed)
        np.testing.assert_allclose(bound, exact_log_prob(IMAGES), rtol=1e-3, atol=2e-3)


def test_the_mean_of_one_sample_is_the_elbo():
    shift, stretch = 0.4, 1.5
    batches = [np.repeat(IMAGES[:1], 500, axis=0) for _ in range(8)]
    result = log_prob(model(shift, stretch), batches)
    elbo = exact_elbo(IMAGES[:1], shift, stretch)[0]
    assert 0.0 < result["standard_error"] < 0.05
    assert abs(result["log_prob"] - elbo) < 4 * result["standard_error"]
    assert exact_log_prob(IMAGES[:1])[0] - elbo > 0.3  # so that the two could be told apart


def test_the_bound_converges_to_the_likelihood_from_below():
    shift, stretch = 0.4, 1.5
    batches = [np.repeat(IMAGES, 20, axis=0)] * 2
    exact = exact_log_prob(IMAGES).mean()
    few, more, many = (log_prob(model(shift, stretch), batches, number)["log_prob"] for number in (1, 5, 400))
    assert few < more < many + 0.01
    assert exact - few > 0.3
    np.testing.assert_allclose(many, exact, rtol=0, atol=0.02)


def test_mean_and_standard_error_are_over_all_images():
    network = model(0.4)
    batches = [IMAGES[:4], IMAGES[4:]]  # of different length: each image counts once
    values = np.concatenate([network.log_prob(batch, 2, seed=7 + i).numpy() for i, batch in enumerate(batches)])
    result = log_prob(network, batches, num_samples=2, seed=7)
    np.testing.assert_allclose(result["log_prob"], values.mean(), rtol=1e-5)
    np.testing.assert_allclose(result["standard_error"], values.std(ddof=1) / math.sqrt(6), rtol=1e-4)


def test_one_image_has_no_standard_error():
    result = log_prob(model(0.4), [IMAGES[:1]])
    assert np.isfinite(result["log_prob"]) and np.isnan(result["standard_error"])


def test_the_seed_decides_and_batches_do_not_share_their_noise():
    network, batch = model(0.4), IMAGES[:2]
    alone = log_prob(network, [batch], seed=1)["log_prob"]
    assert alone == log_prob(network, [batch], seed=1)["log_prob"]
    assert alone != log_prob(network, [batch], seed=2)["log_prob"]
    assert abs(alone - log_prob(network, [batch, batch], seed=1)["log_prob"]) > 1e-4


def test_a_conditional_model_is_given_its_labels():
    encoder = zoo.networks.mlp_encoder((2, 2, 1 + 3), 2, hidden=())
    decoder = zoo.networks.mlp_decoder((2, 2, 1), 2 + 3, hidden=())
    network = zoo.CVAE(encoder, decoder, num_classes=3)
    images, labels = np.clip(IMAGES, 0, 1), np.array([0, 1, 2, 0, 1, 2], "int32")
    result = log_prob(network, [(images, labels)], seed=3)
    expected = network.log_prob(images, seed=3, labels=labels).numpy().mean()
    np.testing.assert_allclose(result["log_prob"], expected, rtol=1e-5)
    assert abs(log_prob(network, [(images, labels[::-1])], seed=3)["log_prob"] - expected) > 1e-4
