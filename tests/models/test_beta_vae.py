"""What the β-VAE's loss asks for the KL, by hand."""

import by_hand
import numpy as np
import pytest

import zoo


def make(**kwargs):
    return by_hand.fix_noise(by_hand.shaken(zoo.BetaVAE(*by_hand.networks(), **kwargs)))


def penalty(model):
    """What the loss has beside the reconstruction, and the KL of each latent by hand, of the same examples."""
    x = by_hand.images()
    terms = model.compute_terms(x)
    mean, log_var = by_hand.posterior(model, x)
    kl = by_hand.kl(mean, log_var)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    reconstruction = -by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z))
    # Neither is weighed, whatever the loss has of them.
    np.testing.assert_allclose(terms["kl"], kl.sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)
    return terms["loss"] - reconstruction, kl


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_multiplies_the_kl(beta):
    received, kl = penalty(make(beta=beta))
    np.testing.assert_allclose(received, beta * kl.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_beta_multiplies_the_free_bits_too_and_the_kl_weight_both():
    model = make(beta=2.5, free_bits=0.4)
    model.kl_weight.assign(0.3)
    received, kl = penalty(model)
    assert 0 < np.mean(kl < 0.4) < 1
    np.testing.assert_allclose(received, 0.3 * 2.5 * np.maximum(kl, 0.4).sum(axis=1), rtol=1e-4)


def test_with_a_capacity_gamma_multiplies_the_distance_from_it_and_beta_is_left_out():
    received, kl = penalty(make(beta=9.0, capacity=2.0, gamma=7.0))
    distance = kl.sum(axis=1) - 2.0
    assert distance.min() < 0 < distance.max()
    np.testing.assert_allclose(received, 7.0 * np.abs(distance), rtol=1e-4, atol=1e-4)


def test_the_capacity_in_force_is_the_one_that_counts():
    model = make(capacity=5.0, gamma=7.0, free_bits=0.4)
    received, kl = penalty(model)
    paid = np.maximum(kl, 0.4).sum(axis=1)
    np.testing.assert_allclose(received, 7.0 * np.abs(paid - 5.0), rtol=1e-4, atol=1e-4)
    model.capacity_in_force.assign(1.5)
    np.testing.assert_allclose(penalty(model)[0], 7.0 * np.abs(paid - 1.5), rtol=1e-4, atol=1e-4)
