"""The VAE's objective, bound and latents by hand."""

import by_hand
import numpy as np
import pytest
import tensorflow as tf

import zoo


def make(**kwargs):
    return by_hand.fix_noise(by_hand.shaken(zoo.VAE(*by_hand.networks(), **kwargs)))


def worked_out(model, x):
    """−log p(x|z) of the draw in training, `[B]`, and the KL of each latent, `[B,D]`."""
    mean, log_var = by_hand.posterior(model, x)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    return -by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z)), by_hand.kl(mean, log_var)


@pytest.mark.parametrize("training", [False, True])
def test_the_loss_is_the_reconstruction_and_the_kl_summed_over_pixels_and_latents(training):
    model, x = make(), by_hand.images()
    terms = model.compute_terms(x, training=training)
    reconstruction, kl = worked_out(model, x)
    np.testing.assert_allclose(terms["reconstruction"], reconstruction, rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], kl.sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], reconstruction + kl.sum(axis=1), rtol=1e-5)


def test_a_latent_of_an_example_costs_its_free_bits_at_least():
    model, x = make(free_bits=0.4), by_hand.images()
    terms = model.compute_terms(x)
    reconstruction, kl = worked_out(model, x)
    below = kl < 0.4
    # Both sides are seen, also within one example and within one latent.
    assert np.any(below.any(axis=1) & ~below.all(axis=1)) and np.any(below.any(axis=0) & ~below.all(axis=0))
    np.testing.assert_allclose(terms["loss"], reconstruction + np.maximum(kl, 0.4).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)


def test_the_kl_weight_multiplies_what_the_loss_asks_for_the_kl_and_nothing_else():
    model, x = make(free_bits=0.4), by_hand.images()
    model.kl_weight.assign(0.3)
    terms = model.compute_terms(x)
    reconstruction, kl = worked_out(model, x)
    np.testing.assert_allclose(terms["loss"], reconstruction + 0.3 * np.maximum(kl, 0.4).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], kl.sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("number", [1, 3])
def test_log_prob_is_the_log_of_the_mean_importance_weight(number):
    model, x = make(), by_hand.images(5)
    mean, log_var = by_hand.posterior(model, x)
    seeds = zoo.random.fold_in(11, np.arange(5, dtype=np.int32))
    weights = []
    for k in range(number):
        noise = zoo.random.normal(zoo.random.fold_in(seeds, k), (by_hand.LATENTS,)).numpy()
        z = mean + noise * np.exp(log_var / 2)
        log_joint = by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z)) + by_hand.log_normal(z, 0.0, 0.0)
        weights.append(np.exp(log_joint - by_hand.log_normal(z, mean, log_var)))
    received = model.log_prob(x, num_samples=number, seed=11)
    np.testing.assert_allclose(received, np.log(np.mean(weights, axis=0)), rtol=1e-5)


def test_the_temperature_multiplies_the_latents():
    model = make()
    seeds = tf.constant([5, 6, 7, 8], tf.int32)
    warm = model.latents(seeds, tf.ones(4)).numpy()
    np.testing.assert_allclose(warm, zoo.random.normal(seeds, (by_hand.LATENTS,)), rtol=1e-6)
    for temperature in (0.5, 2.0, 0.0):
        np.testing.assert_allclose(model.latents(seeds, tf.fill((4,), temperature)), temperature * warm, rtol=1e-6)
    each = np.float32([0.0, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(model.latents(seeds, tf.constant(each)), each[:, None] * warm, rtol=1e-6)
    half = model.sample(4, seed=seeds, temperature=0.5)
    np.testing.assert_allclose(half, model.decode(0.5 * warm), atol=1e-6)
    logits = by_hand.dense(model.decoder, 0.5 * warm)
    np.testing.assert_allclose(np.reshape(half, (4, -1)), 1 / (1 + np.exp(-logits)), atol=1e-6)
