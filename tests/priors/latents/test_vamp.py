"""The mixture of the model's own posteriors, by hand."""

import keras
import latent_entries as entries
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo.priors import VampPrior


def encoded(model, x):
    """Means and log-variances of an encoder of one dense layer: `[K,D]` each."""
    kernel, bias = model.encoder.layers[-1].get_weights()
    return np.split(np.reshape(x, (len(x), -1)) @ kernel + bias, 2, axis=1)


def attached(components=3, likelihood="bernoulli", **kwargs):
    prior = VampPrior(2, entries.SHAPE, components, seed=1, **kwargs)
    model = entries.vae(prior=prior, likelihood=likelihood)
    entries.shaken(model.encoder, 0.5)
    return prior, model


def test_the_density_is_the_mean_of_the_posteriors_of_the_pseudo_inputs():
    prior, model = attached()
    z = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    means, log_vars = encoded(model, prior.pseudo_inputs.numpy())
    expected = np.log(np.mean([np.exp(entries.log_normal(z, m, v)) for m, v in zip(means, log_vars)], axis=0))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-4, atol=1e-5)


def test_samples_are_of_each_posterior_alike():
    prior, model = attached()
    cold = prior.sample(9_000, seed=0, temperature=0.0).numpy()
    means, log_vars = encoded(model, prior.pseudo_inputs.numpy())
    which = np.argmin(np.sum((cold[:, None] - means) ** 2, axis=2), axis=1)
    np.testing.assert_allclose(cold, means[which], atol=1e-5)
    np.testing.assert_allclose(np.bincount(which) / 9_000, 1 / 3, atol=0.025)
    noise = (prior.sample(9_000, seed=0).numpy() - cold) / np.exp(0.5 * log_vars[which])
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.04)


def test_pseudo_inputs_start_from_images_and_stay_within_the_support():
    prior, model = attached()
    x = entries.images(12)
    prior.initialize(x)
    rows = [np.flatnonzero((x == one).all(axis=(1, 2, 3))) for one in prior.pseudo_inputs.numpy()]
    assert all(len(row) == 1 for row in rows) and len({int(row[0]) for row in rows}) == 3
    assert [int(row[0]) for row in rows] != [0, 1, 2]
    model.compile(keras.optimizers.SGD(5.0))
    before = prior.pseudo_inputs.numpy()
    model.fit(x, epochs=3, verbose=0)
    after = prior.pseudo_inputs.numpy()
    assert after.min() >= 0 and after.max() <= 1 and np.abs(after - before).max() > 0.01


def test_pseudo_inputs_that_start_from_as_many_images_are_those_images():
    x = np.random.default_rng(0).uniform(size=(20, *entries.SHAPE)).astype("float32")
    prior, _ = attached(components=20)
    prior.initialize(x)
    np.testing.assert_array_equal(np.sort(prior.pseudo_inputs.numpy(), axis=0), np.sort(x, axis=0))


@pytest.mark.parametrize("limits", (None, (-1.0, 1.0)))
def test_the_support_is_that_of_the_likelihood(limits):
    prior = VampPrior(2, entries.SHAPE, 3, seed=1)
    prior.pseudo_inputs.assign(np.full((3, *entries.SHAPE), -7.0))
    entries.vae(prior=prior, likelihood=zoo.likelihoods.Gaussian(range=limits))
    np.testing.assert_array_equal(prior.pseudo_inputs, np.full((3, *entries.SHAPE), -7.0 if limits is None else -1.0))


def test_a_training_step_moves_pseudo_inputs_and_the_encoder_by_the_prior():
    prior, model = attached()
    z = tf.constant(np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = -tf.reduce_sum(prior.log_density(z))
    for gradient in tape.gradient(loss, [prior.pseudo_inputs.value, model.encoder.trainable_weights[0].value]):
        assert np.abs(gradient).max() > 1e-3


def test_what_layers_add_to_the_loss_counts_once():
    """An activity penalty of the encoder is of the batch alone: the same with a VampPrior as without one."""

    def added(prior):
        keras.utils.set_random_seed(0)
        penalised = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.5))
        encoder = keras.Sequential([layers.Input(entries.SHAPE), layers.Flatten(), penalised])
        model = zoo.VAE(encoder, entries.vae().decoder, seed=3, prior=prior)
        model.compile("adam")
        figures = model.test_on_batch(entries.images(8), return_dict=True)
        return figures["loss"] + figures["elbo"]

    plain = added(None)
    assert plain > 0.01
    assert added(VampPrior(2, entries.SHAPE, 3, seed=1)) == pytest.approx(plain, rel=1e-3)


def test_batch_statistics_are_of_the_batch_alone():
    """Pseudo-inputs are encoded with the moving averages, and leave them as they are."""

    def averages(prior):
        keras.utils.set_random_seed(0)
        middle = [layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5, seed=1), layers.Dense(4)]
        encoder = keras.Sequential([layers.Input(entries.SHAPE), layers.Flatten(), *middle])
        model = zoo.VAE(encoder, entries.vae().decoder, seed=3, prior=prior)
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(entries.images(8), batch_size=8, verbose=0)
        return encoder.layers[2].moving_mean.numpy()

    plain = averages(None)
    assert np.abs(plain).max() > 1e-4
    np.testing.assert_allclose(averages(VampPrior(2, entries.SHAPE, 3, seed=1)), plain, rtol=1e-5)


def test_the_pseudo_inputs_are_encoded_once_for_all_samples_of_log_prob(monkeypatch):
    prior, model = attached()
    x, calls = entries.images(3), []
    encode = prior._encode
    monkeypatch.setattr(prior, "_encode", lambda x: calls.append(tf.inside_function()) or encode(x))
    graph = tf.function(lambda: model.log_prob(x, 50), autograph=False).get_concrete_function().graph
    assert len(calls) == 1  # while the loop is traced apart, with what is outside of it
    assert any("while" in operation.type.lower() for operation in graph.get_operations())


def test_the_encoders_weights_are_saved_once(tmp_path):
    prior, model = attached()
    assert [weight.path.split("/")[-1] for weight in prior.trainable_weights] == ["pseudo_inputs"]
    paths = [id(weight) for weight in model.weights]
    assert len(paths) == len(set(paths))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    z = np.zeros((2, 2), np.float32)
    np.testing.assert_array_equal(loaded.prior.log_prob(z), prior.log_prob(z))
    loaded.encoder.layers[-1].bias.assign_add(np.ones(4))  # it follows the encoder of its own model
    assert np.abs(loaded.prior.log_prob(z) - prior.log_prob(z)).max() > 0.01


@pytest.mark.parametrize("scale", [255.0, -1.0])
def test_images_of_another_range_are_refused_before_and_after_it_is_attached(scale):
    prior, _ = attached()
    x = scale * np.random.default_rng(0).uniform(size=(40, *entries.SHAPE)).astype(np.float32)
    with pytest.raises(ValueError, match=r"Expected `images` to lie in \[0, 1\]"):
        prior.initialize(x)
    other = zoo.priors.VampPrior.from_config(prior.get_config())
    other.initialize(x)
    with pytest.raises(ValueError, match=r"Expected `images` to lie in \[0, 1\]"):
        entries.vae(prior=other)


def test_a_prior_that_is_attached_elsewhere_follows_the_other_model():
    prior, model = attached()
    z = np.zeros((2, 2), np.float32)
    before = prior.log_prob(z).numpy()
    other = entries.shaken(entries.vae(), 0.5, seed=9)
    with pytest.warns(UserWarning, match="The VampPrior is that of another model"):
        other.prior = prior
    assert np.abs(prior.log_prob(z) - before).max() > 0.01
    means, log_vars = encoded(other, prior.pseudo_inputs.numpy())
    expected = np.log(np.mean([np.exp(entries.log_normal(z, m, v)) for m, v in zip(means, log_vars)], axis=0))
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-4, atol=1e-5)


def test_a_prior_follows_an_encoder_that_is_exchanged():
    prior, model = attached()
    z = np.zeros((2, 2), np.float32)
    before = prior.log_prob(z).numpy()
    model.encoder = entries.shaken(entries.vae(), 0.5, seed=9).encoder
    np.testing.assert_allclose(prior.log_prob(z), prior.log_density(tf.constant(z)), rtol=1e-5)
    assert np.abs(prior.log_prob(z) - before).max() > 0.01


def test_fit_moves_the_pseudo_inputs_alone_towards_the_latents():
    prior, model = attached(components=6)
    x = np.tile(np.repeat(np.float32([0, 1]), 32)[:, None, None, None], (1, *entries.SHAPE))
    model.encoder.layers[-1].bias.assign([0.0, 0.0, -4.0, -4.0])
    latents = {key: value.numpy() for key, value in model.encode(x).items()}
    encoder = model.encoder.get_weights()
    prior.compile(keras.optimizers.Adam(0.05))
    noise = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    z = latents["mean"] + np.exp(0.5 * latents["log_var"]) * noise
    before_fit = np.mean(prior.log_prob(z))
    prior.fit(latents, epochs=10, batch_size=16, verbose=0)
    assert np.mean(prior.log_prob(z)) > before_fit + 1.0
    for before, after in zip(encoder, model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_it_is_refused_where_it_cannot_work():
    z = np.zeros((2, 2), np.float32)
    for call in (lambda prior: prior.log_prob(z), lambda prior: prior.sample(2)):
        with pytest.raises(ValueError, match="Expected a VampPrior that is the prior of a model"):
            call(VampPrior(2, entries.SHAPE, 3))
    with pytest.raises(ValueError, match="Expected `prior` to be one of another kind, as CVAE encodes"):
        entries.cvae(VampPrior(2, entries.SHAPE, 3), num_classes=3)
    with pytest.raises(ValueError, match=r"data_shape=\(2, 3, 1\). Received: prior='one with data_shape=\(3, 2, 1\)'"):
        entries.vae(VampPrior(2, (3, 2, 1), 3))
    prior = VampPrior(2, entries.SHAPE, 3)
    for images, message in (
        (entries.images(2), "Expected `images` to be at least 3, one for each component. Received: images='2 images'"),
        (entries.images(4)[..., 0], r"Expected `images` to have the shape \[B, 2, 3, 1\]"),
        ((255 * entries.images(4)).astype(np.uint8), "Expected `images` to be floating-point"),
        (np.full((4, *entries.SHAPE), np.nan, np.float32), "Expected `images` to be finite numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            prior.initialize(images)
