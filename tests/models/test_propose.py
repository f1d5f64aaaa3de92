"""`propose` agrees with `log_prob`, and its KL with the closed form."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks, random

X = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)
SEEDS = random.row_seeds(5, 3)


def _cvae():
    return zoo.CVAE(networks.mlp_encoder((8, 8, 3), 2, ()), networks.mlp_decoder((8, 8, 1), 4, ()), num_classes=2)


def _vae():
    return zoo.VAE(networks.mlp_encoder((8, 8, 1), 2, ()), networks.mlp_decoder((8, 8, 1), 2, ()))


def _hierarchical():
    encoder = networks.bottom_up_encoder((8, 8, 1), scales=(4,), width=4)
    return zoo.HierarchicalVAE(encoder, networks.TopDown((8, 8, 1), scales=(4,), width=4))


@pytest.mark.parametrize("make", [_vae, _cvae, _hierarchical], ids=lambda make: make.__name__)
def test_a_proposal_has_the_weight_of_log_prob(make):
    model = make()
    labels = tf.constant([0, 1, 1]) if model.conditional else None
    # With one sample, `log_prob` uses the seeds folded with 0.
    proposal = model.propose(X, random.fold_in(SEEDS, 0), labels)
    weight = model.judge(X, proposal.params) + proposal.log_ratio
    np.testing.assert_allclose(weight, model.log_prob(X, seed=SEEDS, labels=labels), rtol=1e-5)


@pytest.mark.parametrize("make", [_vae, _hierarchical], ids=lambda make: make.__name__)
def test_the_kl_is_the_mean_of_the_log_ratios(make):
    model = make()
    repeated = np.repeat(X[:1], 2000, axis=0)
    proposal = model.propose(repeated, random.row_seeds(0, 2000))
    ratios = -np.asarray(proposal.log_ratio)
    error = ratios.std() / np.sqrt(2000)
    assert abs(ratios.mean() - np.mean(proposal.kl)) < 4 * error + 1e-4


def test_a_vq_vae_without_a_prior_takes_all_codes_as_equally_likely():
    encoder = networks.residual_encoder((8, 8, 1), 2, filters=4, blocks=0)
    decoder = networks.residual_decoder((2, 2, 2), 1, filters=4, blocks=0)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(5, 2))
    proposal = model.propose(X, SEEDS)
    np.testing.assert_allclose(proposal.log_ratio, -4 * np.log(5.0), rtol=1e-6)
    np.testing.assert_allclose(model.likelihood.mean(proposal.params), model.reconstruct(X), atol=1e-6)
    prior = zoo.priors.Transformer(num_codes=5, grid_shape=(2, 2))
    model.prior = prior
    proposal = model.propose(X, SEEDS)
    np.testing.assert_allclose(proposal.log_ratio, prior.log_prob(model.encode(X)), rtol=1e-5)
    np.testing.assert_allclose(model.judge(X, proposal.params) - proposal.kl, model.log_prob(X), rtol=1e-5)
