"""The prior of a hierarchical VAE: its log-density by hand and against `weigher`, and its samples."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def model():
    decoder = networks.TopDown(SHAPE, scales=(4, 2), layers=(1, 1), latent_dim=(2, 3), width=4, hidden=4)
    made = zoo.HierarchicalVAE(networks.bottom_up_encoder(SHAPE, (4, 2), 4, 4, blocks=1), decoder, seed=0)
    draw = np.random.default_rng(1)
    for weight in made.trainable_weights:
        weight.assign(draw.normal(0, 0.3, weight.shape))
    return made


def conditionals(model, z):
    """Mean and log-variance of each layer's prior, given the latents above: NumPy."""
    found = []
    latents = iter(z)

    def draw(block, prior, _):
        found.append([np.array(each) for each in prior])
        return next(latents)

    model.top_down(draw, batch_size=len(z[0]))
    return found


def test_log_prob_is_the_sum_over_layers_and_latents_by_hand(model):
    z = [
        np.random.default_rng(2).normal(size=(5, *block.latent_shape)).astype("float32")
        for block in model.decoder.blocks
    ]
    expected = 0.0
    for value, (mean, log_var) in zip(z, conditionals(model, z), strict=True):
        log_density = -0.5 * (np.log(2 * np.pi) + log_var + (value - mean) ** 2 / np.exp(log_var))
        expected = expected + log_density.reshape(5, -1).sum(axis=1)
    received = model.prior.log_prob(z)
    assert received.shape == (5,) and received.dtype == tf.float32
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_its_weights_are_the_likelihood_and_the_prior_less_the_posterior(model):
    seeds = tf.range(5)
    z, log_q = [], []

    def draw(block, prior, posterior):
        mean, log_var = posterior
        noise = zoo.random.normal(zoo.random.fold_in(seeds, len(z)), block.latent_shape)
        z.append(mean + tf.exp(log_var / 2) * noise)
        log_q.append(zoo.distributions.normal_log_prob(z[-1], mean, log_var))
        return z[-1]

    params, _ = model.top_down(draw, model.features(X))
    expected = model.judge(X, params) + model.prior.log_prob(z) - sum(log_q)
    np.testing.assert_allclose(model.weigher(X)(seeds), expected, rtol=1e-4)


def test_samples_are_those_that_the_model_decodes(model):
    z = model.prior.sample(4, seed=7)
    assert [tuple(each.shape) for each in z] == [(4, *block.latent_shape) for block in model.decoder.blocks]
    seeds = zoo.random.fold_in(7, np.arange(4, dtype="int32"))
    images, latents = model.generate(seeds, tf.ones(4))
    for one, other in zip(z, latents, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.decode(z), images, atol=1e-6)
    np.testing.assert_allclose(model.sample(4, seed=7), images, atol=1e-6)
    (mean, _), *_ = conditionals(model, z)
    np.testing.assert_allclose(model.prior.sample(4, seed=7, temperature=0.0)[0], mean, atol=1e-6)


def test_latents_of_fewer_layers_or_of_another_shape_are_refused(model):
    z = model.prior.sample(4, seed=7)
    with pytest.raises(ValueError, match="Expected `z` to be the latents of all 2 layers. Received: z='those of 1'"):
        model.prior.log_prob(z[:1])
    with pytest.raises(ValueError, match="Expected `z` to be latents of shape"):
        model.prior.log_prob(z[::-1])
