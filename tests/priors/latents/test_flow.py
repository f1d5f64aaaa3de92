"""RealNVP: its density against the Jacobian, and its inverse."""

import keras
import latent_entries as entries
import numpy as np
import pytest
import tensorflow as tf

from zoo.priors import Flow
from zoo.priors.latents import flow as flows


def latents(number=6, latent_dim=5, seed=0):
    return np.random.default_rng(seed).normal(size=(number, latent_dim)).astype(np.float32)


def test_a_coupling_by_hand():
    """y_b = x_b · exp(s) + t, with s and t of x_a by two ReLU layers and one without."""
    for first in (False, True):
        coupling = entries.shaken(flows.Coupling(5, first, 4, 0, seed=0), 0.5)
        x = latents()
        kept, moved = (x[:, 2:], x[:, :2]) if first else (x[:, :2], x[:, 2:])
        hidden = kept
        for number, layer in enumerate(coupling.layers):
            kernel, bias = layer.get_weights()
            hidden = hidden @ kernel + bias
            hidden = np.maximum(hidden, 0) if number < 2 else hidden
        raw, shift = np.split(hidden, 2, axis=1)
        scale = 2 * np.tanh(raw / 2)
        moved = moved * np.exp(scale) + shift
        received, log_determinant = coupling(x)
        np.testing.assert_allclose(received, np.concatenate([moved, kept] if first else [kept, moved], 1), rtol=1e-4)
        np.testing.assert_allclose(log_determinant, scale.sum(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("labels", (None, np.int32([0, 1, 2, 0, 1, 2])))
@pytest.mark.parametrize("latent_dim", (2, 5))
def test_the_log_determinant_is_that_of_the_jacobian(labels, latent_dim):
    num_classes = None if labels is None else entries.CLASSES
    prior = entries.make(Flow, latent_dim, couplings=4, num_classes=num_classes)
    z = tf.constant(latents(latent_dim=latent_dim))
    with tf.GradientTape() as tape:
        tape.watch(z)
        u, log_determinant = prior.normalize(z, labels)
    jacobian = tape.batch_jacobian(u, z).numpy()
    np.testing.assert_allclose(log_determinant, np.linalg.slogdet(jacobian)[1], rtol=1e-3, atol=1e-4)
    assert np.abs(log_determinant).max() > 0.1
    expected = entries.log_normal(u.numpy(), 0.0, np.zeros(latent_dim)) + log_determinant
    np.testing.assert_allclose(prior.log_prob(z, labels), expected, rtol=1e-5)
    step = 1e-2  # and by differences, without the tape
    moved = [
        prior.normalize(z + step * np.eye(latent_dim, dtype=np.float32)[i], labels)[0] - u for i in range(latent_dim)
    ]
    by_differences = np.stack([each.numpy() for each in moved], axis=2) / step
    np.testing.assert_allclose(by_differences, jacobian, atol=0.1 * np.abs(jacobian).max())


def test_the_inverse_of_the_inverse_is_the_point():
    prior = entries.make(Flow, 5, couplings=6, num_attributes=2)
    z, labels = latents(), np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    u, _ = prior.normalize(z, labels)
    assert np.abs(u - z).max() > 0.1
    np.testing.assert_allclose(prior.invert(u, labels), z, atol=1e-4)
    np.testing.assert_allclose(prior.normalize(prior.invert(z, labels), labels)[0], z, atol=1e-4)


def test_it_starts_as_the_standard_normal():
    prior, z = Flow(5, seed=0), latents()
    np.testing.assert_allclose(prior.log_prob(z), entries.log_normal(z, 0.0, np.zeros(5)), rtol=1e-5)
    standard = zero = np.zeros((6, 5), np.float32)
    np.testing.assert_allclose(prior.sample(6, seed=1, temperature=0.0), zero, atol=1e-6)
    np.testing.assert_allclose(prior.normalize(standard)[0], standard, atol=1e-6)


def test_every_latent_is_moved_and_depends_on_every_other():
    prior = entries.make(Flow, 5, couplings=4)
    z = tf.constant(latents())
    with tf.GradientTape() as tape:
        tape.watch(z)
        u, _ = prior.normalize(z)
    assert np.all(np.abs(tape.batch_jacobian(u, z).numpy()).max(axis=0) > 1e-4)


def test_log_scales_stay_within_two():
    coupling = entries.shaken(flows.Coupling(4, False, 4, 0, seed=0), 100.0)
    _, log_determinant = coupling(latents(latent_dim=4))
    np.testing.assert_allclose(np.abs(log_determinant), 4, atol=4.001)
    assert np.all(np.abs(log_determinant) <= 4) and np.abs(log_determinant).max() > 1.9


def test_the_seed_is_that_of_the_first_weights_and_couplings_differ():
    one, same = (Flow(4, 2, 8, seed=3) for _ in range(2))
    for a, b in zip(one.weights, same.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    first, second = (coupling.layers[0].kernel.numpy() for coupling in one.chain)
    assert np.abs(first - second).max() > 0.01


def test_fit_reaches_the_entropy_of_a_curved_distribution():
    """Per class too: each has its own place."""
    prior = Flow(2, couplings=4, hidden=32, num_classes=2, seed=0)
    prior.compile(keras.optimizers.Adam(5e-3))
    labels = np.random.default_rng(3).integers(0, 2, 4096).astype(np.int32)
    prior.fit(entries.banana(4096, labels=labels), labels, batch_size=128, epochs=15, verbose=0)
    fresh = entries.banana(4096, seed=1, labels=labels)
    nats = -prior.log_prob(fresh, labels).numpy().mean()
    assert entries.BANANA_ENTROPY - 0.06 < nats < entries.BANANA_ENTROPY + 0.08
