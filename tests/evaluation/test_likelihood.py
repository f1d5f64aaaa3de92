"""Bounds of the likelihood, on a linear Gaussian model whose log p(x) is known in closed form.

    z ~ N(0, I),   x = W z + c + noise of variance σ²:   x ~ N(c, W Wᵀ + σ² I)

The columns of W are orthogonal, so that the posterior's covariance is diagonal, as an encoder's is.
"""

import math
import time

import keras
import numpy as np
import pytest

import zoo
from zoo.evaluation import importance_bound, likelihood, likelihood_figures, log_prob

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


def test_samples_in_chunks_converge_to_the_likelihood(monkeypatch):
    network = model(0.4, 1.5)
    monkeypatch.setattr(likelihood, "_SAMPLES_AT_ONCE", 300)
    steps = []
    bound = importance_bound(network, IMAGES, num_samples=1000, seed=2, progress=lambda *each: steps.append(each))
    np.testing.assert_allclose(bound, exact_log_prob(IMAGES), rtol=0, atol=0.15)
    assert steps == [(1800, 6000), (3600, 6000), (5400, 6000), (6000, 6000)]


def test_chunks_draw_their_own_noise(monkeypatch):
    """Two chunks of one sample are a bound with two samples: not the bound of one sample twice."""
    network = model(0.4, 1.5)
    monkeypatch.setattr(likelihood, "_SAMPLES_AT_ONCE", 1)
    one, two = (importance_bound(network, IMAGES, num_samples=number) for number in (1, 2))
    seeds = zoo.random.row_seeds(0, 6)
    parts = [network.bound(IMAGES, zoo.random.fold_in(seeds, k), num_samples=1).numpy() for k in (0, 1)]
    np.testing.assert_allclose(one, parts[0], rtol=1e-5)
    np.testing.assert_allclose(two, np.logaddexp(*np.float64(parts)) - math.log(2), rtol=1e-5)
    assert np.abs(parts[0] - parts[1]).min() > 1e-5


def test_figures_of_continuous_latents():
    images = np.repeat(IMAGES, 40, axis=0)
    figures = {figure.name: figure for figure in likelihood_figures(model(0.4), images, num_samples=20, split="val")}
    assert list(figures) == ["elbo", "rate", "distortion", "active_units", "log_prob"]
    elbo, bound = figures["elbo"], figures["log_prob"]
    m = (images.reshape(-1, 4) - CENTRE) @ (POSTERIOR_VAR * W / SIGMA**2) + 0.4
    kl = 0.5 * (POSTERIOR_VAR + m**2 - 1 - np.log(POSTERIOR_VAR)).sum(axis=1)
    np.testing.assert_allclose(figures["rate"].value, kl.mean(), rtol=1e-4)
    assert abs(elbo.value - exact_elbo(images, 0.4).mean()) < 4 * elbo.error < 0.8
    assert elbo.value < bound.value < exact_log_prob(images).mean() + 0.05
    np.testing.assert_allclose(elbo.value, -(figures["rate"].value + figures["distortion"].value), rtol=1e-6)
    assert (elbo.unit, elbo.split, elbo.num_examples, elbo.seed) == ("nats", "val", 240, 0)
    assert bound.about == "20 importance samples" and bound.error > 0
    assert figures["active_units"].value == 2 and figures["active_units"].about == "of 2 latents"


def test_the_seconds_of_the_figures_add_up_to_no_more_than_those_that_passed():
    start = time.perf_counter()
    figures = likelihood_figures(model(), IMAGES, num_samples=2)
    assert 0.0 < sum(figure.seconds for figure in figures) <= time.perf_counter() - start


def test_bits_per_dim_of_eight_bit_values_and_the_kl_of_layers(hierarchical):
    encoder = zoo.networks.mlp_encoder((2, 2, 1), 2, hidden=())
    decoder = zoo.networks.mlp_decoder((2, 2, 2), 2, hidden=())
    network = zoo.VAE(encoder, decoder, "discretized_logistic")
    images = np.round(np.clip(IMAGES, 0, 1) * 255) / np.float32(255)
    figures = {figure.name: figure.value for figure in likelihood_figures(network, images, num_samples=2)}
    np.testing.assert_allclose(figures["bits_per_dim"], -figures["elbo"] / (4 * math.log(2)), rtol=1e-6)
    np.testing.assert_allclose(figures["log_prob_bits_per_dim"], -figures["log_prob"] / (4 * math.log(2)), rtol=1e-6)
    x = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype("float32")
    figures = {figure.name: figure.value for figure in likelihood_figures(hierarchical, x, num_samples=2)}
    layers = [value for name, value in figures.items() if name.startswith("kl_")]
    assert len(layers) == 2
    np.testing.assert_allclose(sum(layers), figures["rate"], rtol=1e-4)


def test_a_single_image_has_no_active_units():
    encoder, decoder = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    model = zoo.VAE(encoder, decoder, seed=0)
    x = np.random.default_rng(0).random((9, 4, 4, 1), np.float32)
    for number, expected in ((1, False), (9, True)):
        figures = zoo.evaluation.likelihood_figures(model, x[:number], num_samples=2)
        assert ("active_units" in {figure.name for figure in figures}) == expected
    with pytest.raises(ValueError, match="Expected `seed` to be an integer of 32 bits. Received: seed=None"):
        zoo.evaluation.likelihood_figures(model, x, num_samples=2, seed=None)
    with pytest.raises(ValueError, match="Expected `seed` to be an integer of 32 bits. Received: seed=None"):
        zoo.evaluation.log_prob(model, [x], seed=None)
    with pytest.raises(ValueError, match="Expected `batches` to be arrays, as the model takes no labels"):
        zoo.evaluation.log_prob(model, [(x, x)])
    with pytest.raises(ValueError, match="Expected `labels` to be one for each of the 9 images. Received: labels=5"):
        zoo.evaluation.Part(x, np.zeros(5, np.int32))
    with pytest.raises(ValueError, match="Expected `factors` to be a zoo.evaluation.FactorData, such as"):
        zoo.evaluation.evaluate(model, x, factors=x)
