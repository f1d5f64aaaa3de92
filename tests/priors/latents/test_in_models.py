"""Priors as a part of a model: trained with it, frozen, exchanged, fitted to its latents, and a user's own."""

import keras
import latent_entries as entries
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import ops

import zoo

every_kind = pytest.mark.parametrize("kind", entries.KINDS)


@keras.saving.register_keras_serializable("tests")
class Laplace(zoo.priors.LatentPrior):
    """A user's own: ½ e^(−|z|) in each dimension, by log_density and draw alone."""

    def log_density(self, z, labels=None):
        return -ops.sum(ops.abs(z) + np.log(2.0), axis=1)

    def draw(self, seeds, temperature, labels=None):
        u = 2.0 * zoo.random.uniform(seeds, (self.latent_dim,)) - 1.0
        return -ops.sign(u) * ops.log(1.0 - ops.abs(u)) * ops.expand_dims(temperature, 1)


@pytest.mark.filterwarnings("ignore:The VampPrior is that of another model")  # of `entries.make`
@every_kind
def test_elbo_and_log_prob_are_with_the_priors_density(kind):
    """log p(x, z) − log q(z|x) by hand, with the noise fixed."""
    prior = entries.make(kind)
    model = entries.shaken(entries.vae(prior=prior), 0.3)
    model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
    x = entries.images(5)
    mean, log_var = (model.encode(x)[key].numpy() for key in ("mean", "log_var"))
    z = mean + np.exp(0.5 * log_var) * np.float32(0.7)
    log_ratio = entries.log_normal(z, mean, log_var) - prior.log_prob(z)
    terms = model.compute_terms(x)
    np.testing.assert_allclose(terms["kl"], log_ratio, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -(terms["reconstruction"] + terms["kl"]), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], -terms["elbo"], rtol=1e-5)  # below 0 or not, the estimate counts
    seeds = np.arange(5, dtype=np.int32)
    z = mean + np.exp(0.5 * log_var) * zoo.random.normal(zoo.random.fold_in(seeds, 0), (2,)).numpy()
    log_likelihood = -np.sum(np.reshape(keras.ops.binary_crossentropy(x, model.decode(z)), (5, -1)), axis=1)
    expected = log_likelihood + prior.log_prob(z) - entries.log_normal(z, mean, log_var)
    np.testing.assert_allclose(model.log_prob(x, 1, seeds), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore:The VampPrior is that of another model")
@pytest.mark.parametrize("kind", [zoo.priors.MixtureOfGaussians, zoo.priors.Flow])
def test_a_frozen_prior_is_frozen_after_loading_too(kind, tmp_path):
    prior = entries.make(kind)
    prior.trainable = False
    model = entries.vae(prior=prior)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(entries.images(), batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    before = [weight.numpy() for weight in loaded.prior.weights if "draws" not in weight.path]
    loaded.fit(entries.images(), batch_size=16, verbose=0)
    after = [weight.numpy() for weight in loaded.prior.weights if "draws" not in weight.path]
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("mode")
@pytest.mark.filterwarnings("ignore:The VampPrior is that of another model")
@every_kind
def test_a_prior_is_trained_with_the_model_unless_it_is_frozen(kind):
    for trainable in (True, False):
        prior = entries.make(kind)
        prior.trainable = trainable
        model = entries.vae(prior=prior)
        before = [weight.numpy() for weight in prior.weights if "draws" not in weight.path]
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(entries.images(), batch_size=16, verbose=0)
        after = [weight.numpy() for weight in prior.weights if "draws" not in weight.path]
        moved = [np.abs(a - b).max() > 1e-5 for a, b in zip(before, after, strict=True)]
        assert all(moved) if trainable else not any(moved)


@pytest.mark.usefixtures("mode")
def test_after_an_exchange_compile_is_due_and_the_error_says_so():
    model = entries.vae()
    model.compile("adam")
    model.fit(entries.images(), verbose=0)
    before = model.evaluate(entries.images(), verbose=0, return_dict=True)
    prior = entries.make(zoo.priors.Flow)
    model.prior = prior
    assert model.prior is prior
    assert model.evaluate(entries.images(), verbose=0, return_dict=True)["kl"] != pytest.approx(before["kl"], rel=1e-3)
    weight = prior.trainable_weights[0].path
    message = f"Expected an optimizer made for the weights that the model trains now: call `compile` once.*{weight}"
    with pytest.raises(ValueError, match=message):
        model.fit(entries.images(), verbose=0)
    model.compile("adam")
    model.fit(entries.images(), verbose=0)
    model.prior = None  # the standard normal needs no weights, so that the optimizer knows all there are
    assert isinstance(model.prior, zoo.priors.StandardNormal)
    model.fit(entries.images(), verbose=0)


def test_the_error_is_the_same_under_a_scaled_loss():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = entries.vae()
        model.compile("adam")
        assert hasattr(model.optimizer, "inner_optimizer")
        model.fit(entries.images(), verbose=0)
        model.prior = zoo.priors.Flow(2, 2, 4)
        with pytest.raises(ValueError, match="call `compile` once more"):
            model.train_on_batch(entries.images())
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "kind", (*(pytest.param(kind, marks=pytest.mark.slow) for kind in entries.KINDS[:-1]), entries.KINDS[-1])
)
def test_a_prior_fitted_to_the_latents_of_a_trained_model_raises_its_elbo(kind):
    x = np.tile(np.repeat(np.float32([0, 1]), 32)[:, None, None, None], (30, *entries.SHAPE))
    model = entries.vae()
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(x, batch_size=32, verbose=0)
    before = model.evaluate(x, verbose=0, return_dict=True)
    prior = kind(2, **entries.OPTIONS[kind], seed=1)
    if kind is zoo.priors.VampPrior:
        prior.attach(model)
        prior.initialize(x)
    prior.compile(keras.optimizers.Adam(0.02))
    prior.fit(model.encode(x), epochs=2, batch_size=32, verbose=0)
    model.prior = prior
    after = model.evaluate(x, verbose=0, return_dict=True)
    assert after["elbo"] > before["elbo"] + 0.2
    assert after["reconstruction"] == pytest.approx(before["reconstruction"], abs=0.1)


@pytest.mark.usefixtures("mode")
def test_what_encode_gives_may_come_as_a_dataset_and_must_fit():
    prior, latents = zoo.priors.Flow(2, 2, 4, seed=0), entries.vae().encode(entries.images())
    prior.compile("adam")
    dataset = tf.data.Dataset.from_tensor_slices(latents).batch(8)
    assert np.isfinite(prior.fit(dataset, shuffle=False, verbose=0).history["loss"]).all()
    assert np.isfinite(
        prior.fit({key: value.numpy() for key, value in latents.items()}, verbose=0).history["loss"]
    ).all()
    with pytest.raises(ValueError, match=r"Expected `log_var` to be of the shape of the means"):
        prior.fit({"mean": latents["mean"], "log_var": latents["log_var"][:, :1]}, verbose=0)
    with pytest.raises(ValueError, match=r"Expected `z` to be of shape \[B, 2\]"):
        prior.fit(np.zeros((4, 3), np.float32), verbose=0)


@pytest.mark.parametrize(
    "kind, labels",
    [(zoo.priors.Flow, {"num_classes": 3}), (zoo.priors.MixtureOfGaussians, {"num_attributes": 2})],
)
def test_the_prior_of_a_cvae_may_depend_on_its_labels(kind, labels):
    prior = entries.make(kind, **labels)
    model = entries.cvae(prior, **labels)
    kinds = np.int32([0, 2]) if "num_classes" in labels else np.float32([[1, 0], [0, 2]])
    many = np.repeat(kinds, 100, axis=0)
    seeds = np.tile(np.arange(100, dtype=np.int32), 2)
    _, z = model.generate(seeds, np.ones(200, np.float32), many)
    np.testing.assert_allclose(z, prior.sample(200, seed=seeds, labels=many), atol=1e-5)
    assert np.abs(np.mean(z[:100], axis=0) - np.mean(z[100:], axis=0)).max() > 0.05
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(entries.images(200), many, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    with pytest.raises(ValueError, match="Expected `prior` to be one without labels, or with num_classes="):
        entries.vae(prior)


def test_a_users_own_prior_trains_saves_and_exports(tmp_path):
    model = entries.vae(prior=Laplace(2))
    model.compile(keras.optimizers.Adam(1e-2))
    before = model.encoder.get_weights()
    assert np.isfinite(model.fit(entries.images(), verbose=0).history["loss"]).all()
    assert np.abs(model.encoder.get_weights()[0] - before[0]).max() > 1e-3
    z = model.prior.sample(20_000, seed=0).numpy()
    assert np.mean(np.abs(z)) == pytest.approx(1, abs=0.03)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.prior) is Laplace
    expected = model.sample(3, seed=4).numpy()
    np.testing.assert_array_equal(loaded.sample(3, seed=4), expected)
    seeds = zoo.random.fold_in(4, np.arange(3, dtype=np.int32)).numpy()
    model.export(tmp_path / "served", "tf_saved_model")
    (served,) = (tmp_path / "served").iterdir()
    sample = tf.saved_model.load(str(served)).signatures["sample"]
    images = sample(seed=tf.constant(seeds), temperature=tf.ones(3))["image"]
    np.testing.assert_allclose(images, expected, atol=1e-5)
    model.export(tmp_path / "model.tflite", "litert")
    runner = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("sample")
    for row in range(3):
        image = runner(seed=seeds[row : row + 1], temperature=np.ones(1, np.float32))["image"]
        np.testing.assert_allclose(image[0], expected[row], atol=1e-5)


def test_a_prior_that_lacks_a_part_is_named():
    class Half(zoo.priors.LatentPrior):
        def log_density(self, z, labels=None):
            return ops.sum(z, axis=1)

    message = (
        "Expected `prior` to be a zoo.priors.LatentPrior that defines log_density, draw. Received: a Half, without"
    )
    with pytest.raises(ValueError, match=f"{message} draw"):
        entries.vae(prior=Half(2))
    with pytest.raises(ValueError, match="Expected `prior` to be a zoo.priors.LatentPrior"):
        entries.vae(prior="flow")
    with pytest.raises(ValueError, match="Expected `prior` to be over 2 latents"):
        entries.vae(prior=zoo.priors.Flow(3))
