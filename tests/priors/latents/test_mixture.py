"""The mixture of Gaussians, by hand."""

import keras
import latent_entries as entries
import numpy as np
import pytest

import zoo
from zoo.priors import MixtureOfGaussians


def by_hand(logits, means, log_vars, z):
    """log Σ_k w_k N(z; μ_k, σ²_k), of parameters `[K]` and `[K,D]`."""
    weights = np.exp(logits) / np.sum(np.exp(logits))
    return np.log(sum(w * np.exp(entries.log_normal(z, m, v)) for w, m, v in zip(weights, means, log_vars)))


def parameters(prior):
    return [layer.bias.numpy() for layer in (prior.logits, prior.means, prior.log_vars)]


def test_the_density_of_a_mixture():
    prior = entries.make(MixtureOfGaussians, 3, components=4)
    z = np.random.default_rng(0).normal(0, 1.5, (20, 3)).astype(np.float32)
    np.testing.assert_allclose(prior.log_prob(z), by_hand(*parameters(prior), z), rtol=1e-5)


def test_classes_and_attributes_add_to_the_parameters():
    z = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    cases = (
        ({"num_classes": 3}, np.int32([0, 1, 2, 1]), np.eye(3)[[0, 1, 2, 1]]),
        ({"num_attributes": 2}, np.float32([[0, 1], [2, 0.5], [-1, 3], [0, 0]]), None),
    )
    for arguments, labels, condition in cases:
        prior = entries.make(MixtureOfGaussians, **arguments)
        condition = labels if condition is None else condition
        received = prior.log_prob(z, labels).numpy()
        layers = (prior.logits, prior.means, prior.log_vars)
        for row in range(4):
            of_row = [
                layer.bias.numpy() + (condition[row] @ layer.slope.numpy()).reshape(layer.shape) for layer in layers
            ]
            assert received[row] == pytest.approx(by_hand(*of_row, z[row]), rel=1e-5)


def test_components_are_drawn_by_their_weights():
    prior = MixtureOfGaussians(2, 3, seed=0)
    prior.logits.bias.assign(np.log([0.5, 0.3, 0.2]))
    cold = prior.sample(20_000, seed=1, temperature=0.0).numpy()
    means = prior.means.bias.numpy()
    which = np.argmin(np.sum((cold[:, None] - means) ** 2, axis=2), axis=1)
    np.testing.assert_allclose(cold, means[which], atol=1e-6)
    np.testing.assert_allclose(np.bincount(which) / 20_000, [0.5, 0.3, 0.2], atol=0.015)


def test_the_first_means_are_apart_and_the_whole_is_about_standard_normal():
    prior = MixtureOfGaussians(50, 40, seed=0)
    means, log_vars = prior.means.bias.numpy(), prior.log_vars.bias.numpy()
    distances = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(40, 1)]
    assert distances.min() > 2
    assert np.mean(means**2) + np.mean(np.exp(log_vars)) == pytest.approx(1, abs=0.03)
    assert np.mean(means) == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(prior.mixture().log_weights, np.full((1, 40), -np.log(40)), rtol=1e-5)


def test_variances_stay_bounded():
    prior = MixtureOfGaussians(2, 2, seed=0)
    prior.log_vars.bias.assign(np.full((2, 2), 1e4))
    assert np.all(np.isfinite(prior.log_prob(np.zeros((1, 2), np.float32))))
    np.testing.assert_allclose(prior.mixture().log_vars, 14, atol=1e-4)


def test_fit_reaches_the_entropy_of_a_known_mixture():
    """Per class too, whose blobs are elsewhere."""
    prior = MixtureOfGaussians(2, 4, num_classes=2, seed=0)
    prior.compile(keras.optimizers.Adam(0.05))
    labels = np.random.default_rng(3).integers(0, 2, 4096).astype(np.int32)
    loss = prior.fit(entries.blobs(4096, labels=3 * labels), labels, batch_size=256, epochs=12, verbose=0)
    fresh = entries.blobs(4096, seed=1, labels=3 * labels)
    nats = -prior.log_prob(fresh, labels).numpy()
    assert loss.history["loss"][0] > nats.mean() + 0.3
    assert entries.BLOBS_ENTROPY - 0.06 < nats.mean() < entries.BLOBS_ENTROPY + 0.06


def test_without_a_seed_each_prior_starts_elsewhere():
    one, other = (MixtureOfGaussians(2, 3).means.bias.numpy() for _ in range(2))
    assert np.abs(one - other).max() > 1e-3
    assert zoo.priors.MixtureOfGaussians(2).components == 10
