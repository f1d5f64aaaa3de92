"""A VQ-VAE and the prior attached to it."""

import functools
import re
import types

import conformance
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import networks

CODES = 3


@keras.saving.register_keras_serializable("tests")
class UnbuiltEncoder(keras.Model):
    """A user's encoder, whose output is not known before it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(6, 4, strides=4)

    def call(self, x):
        return self.convolution(x)


def make_model(encoder=None, quantizer=None, prior=None):
    return zoo.VQVAE(
        encoder or networks.residual_encoder(conformance.SHAPE, 6, 8, blocks=1),
        networks.residual_decoder((2, 2, 6), 1, 8, blocks=1),
        quantizer or zoo.quantizers.VectorQuantizer(CODES, 6, seed=3),
        zoo.likelihoods.Gaussian(0.25),
        prior=prior,
    )


def make_prior(grid_shape=(2, 2), num_codes=CODES, **kwargs):
    prior = zoo.priors.Transformer(num_codes, grid_shape, width=8, depth=1, heads=2, seed=3, **kwargs)
    draw = np.random.default_rng(0)
    for weight in prior.trainable_weights:
        weight.assign_add(draw.normal(0, 0.3, weight.shape))
    return prior


def trained(run_eagerly=True, **kwargs):
    """After a few steps, which take longer to trace than to run."""
    model = make_model(**kwargs)
    # Its weight decay would move all weights that it knows of.
    model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.1), run_eagerly=run_eagerly)
    images, labels = conformance.images()
    model.fit(images, batch_size=8, verbose=0)
    return model, images, labels


@functools.cache
def trained_with_prior():
    """For all the tests that leave it as it is: most of their time would go into its first step."""
    return trained(prior=make_prior())


def same_weights(before, layer):
    return all(np.array_equal(old, new) for old, new in zip(before, layer.get_weights(), strict=True))


def test_the_message_without_a_prior_says_what_gives_one():
    model, images, _ = trained()
    assert not model.can_sample and model.prior is None
    for call in (lambda: model.sample(2), lambda: model.log_prob(images)):
        with pytest.raises(
            NotImplementedError, match="no distribution over its codes until a prior is fitted"
        ) as error:
            call()
    lines = re.findall(r"^    (.*)$", str(error.value), re.MULTILINE)
    assert len(lines) == 5
    # As a user pastes them, but that the prior is a small one: that of the defaults takes ten times as long.
    small = types.SimpleNamespace(Transformer=functools.partial(zoo.priors.Transformer, width=8, depth=1, heads=2))
    exec("\n".join(lines), {"model": model, "images": images, "zoo": types.SimpleNamespace(priors=small)})
    assert isinstance(model.prior, zoo.priors.Transformer)
    assert model.can_sample and model.sample(2, seed=0).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("encoder", (None, UnbuiltEncoder), ids=("functional", "subclassed"))
def test_a_prior_can_be_attached_exchanged_and_taken_off_at_any_time(encoder):
    model, images, _ = trained(encoder=encoder and encoder())
    without = len(model.weights)
    for prior in (make_prior(), zoo.priors.PixelCNN(CODES, (2, 2), width=4, depth=1), None, make_prior()):
        model.prior = prior
        assert model.prior is prior and model.can_sample == (prior is not None)
        weights = [] if prior is None else prior.weights
        assert len(model.weights) == without + len(weights)
        assert {id(weight) for weight in weights} <= {id(weight) for weight in model.non_trainable_weights}
        assert len(model.trainable_variables) + len(model.non_trainable_variables) == len(model.variables)


@pytest.mark.usefixtures("mode")
def test_training_the_model_leaves_the_prior_and_training_the_prior_leaves_the_model():
    model, images, _ = trained(run_eagerly=False)
    model.prior = prior = make_prior()
    before = prior.get_weights()
    model.fit(images, batch_size=8, verbose=0)  # compiled before it was attached
    model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.1))
    model.trainable = True
    model.fit(images, batch_size=8, verbose=0)  # and after
    assert same_weights(before, prior)
    own = [weight.numpy() for weight in model.trainable_weights]
    prior.compile("adam")
    prior.fit(model.encode(images), verbose=0)
    assert not same_weights(before, prior)
    for old, new in zip(own, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.long
@pytest.mark.usefixtures("mode")
def test_both_go_on_after_loading_as_if_they_had_never_stopped(tmp_path):
    model, images, _ = trained(run_eagerly=False, prior=make_prior())
    model.prior.compile(keras.optimizers.Adam(1e-2))
    model.prior.fit(model.encode(images), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.sample(4, seed=1), loaded.sample(4, seed=1))
    np.testing.assert_array_equal(model.log_prob(images), loaded.log_prob(images))
    codes = model.encode(images)
    histories = [either.prior.fit(codes, verbose=0).history["loss"] for either in (model, loaded)]
    assert histories[0] == pytest.approx(histories[1], rel=1e-6)
    histories = [either.fit(images, shuffle=False, verbose=0).history["loss"] for either in (model, loaded)]
    assert histories[0] == pytest.approx(histories[1], rel=1e-6)
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


def test_log_prob_is_one_term_of_the_sum_over_all_codes():
    model, images, _ = trained_with_prior()
    x = images[:3]
    codes = model.encode(x)
    likelihood = zoo.distributions.normal_log_prob(x, model.reconstruct(x), np.float32(2 * np.log(0.25)))
    np.testing.assert_allclose(model.log_prob(x), model.prior.log_prob(codes) + likelihood, rtol=1e-5)
    np.testing.assert_array_equal(model.log_prob(x, num_samples=5, seed=9), model.log_prob(x))
    every = np.stack(np.meshgrid(*[np.arange(CODES, dtype=np.int32)] * 4, indexing="ij"), -1).reshape(-1, 2, 2)
    every_image, prior_log_prob = model.decode(every), model.prior.log_prob(every)
    for image, bound in zip(x, model.log_prob(x)):
        repeated = np.repeat(image[None], len(every), axis=0)
        terms = prior_log_prob + zoo.distributions.normal_log_prob(repeated, every_image, np.float32(2 * np.log(0.25)))
        assert bound <= np.logaddexp.reduce(terms) + 1e-3
        assert np.min(np.abs(terms - bound)) < 1e-3


def test_a_conditional_prior_asks_for_labels_where_it_is_used_and_nowhere_else():
    model, images, labels = trained(prior=make_prior(num_classes=4))
    assert not model.conditional
    assert model.sample(4, seed=0, labels=labels[:4]).shape == (4, 8, 8, 1)
    expected = model.prior.log_prob(model.encode(images), labels) - model.prior.log_prob(
        model.encode(images), labels[::-1]
    )
    actual = model.log_prob(images, labels=labels) - model.log_prob(images, labels=labels[::-1])
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    with pytest.raises(ValueError, match="Expected `labels`, as Transformer is conditional. Received: None"):
        model.sample(2)
    with pytest.raises(ValueError, match="Expected `labels`, as Transformer is conditional. Received: None"):
        model.log_prob(images)
    with pytest.raises(ValueError, match="Expected no `labels`"):
        model.encode(images, labels)
    model.prior = make_prior()
    with pytest.raises(ValueError, match="Expected no `labels`, as Transformer is not conditional"):
        model.sample(2, labels=[0, 1])


def test_samples_are_the_images_of_what_the_prior_draws():
    model, _, _ = trained_with_prior()
    for options in ({}, {"temperature": 0.5}, {"top_k": 2}):
        codes = model.prior.sample(5, seed=7, **options)
        np.testing.assert_allclose(model.sample(5, seed=7, **options), model.decode(codes), atol=1e-6)
    seeds = zoo.random.row_seeds(7, 5)
    drawn, codes = tf.function(model.generate, autograph=False)(seeds, tf.ones(5))
    np.testing.assert_array_equal(codes, model.prior.sample(5, seed=7))
    np.testing.assert_allclose(drawn, model.sample(5, seed=7), atol=1e-6)


@pytest.mark.slow  # tests/export/test_parity.py and test_litert.py export a model of this kind
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_images_of_one_seed_are_the_same_in_tflite():
    model, _, _ = trained_with_prior()
    module = tf.Module()
    module.state = [variable.value for variable in model.variables]
    generate = tf.function(lambda seed, temperature: dict(zip(("image", "codes"), model.generate(seed, temperature))))
    specs = {"seed": tf.TensorSpec([1], tf.int32), "temperature": tf.TensorSpec([1], tf.float32)}
    converter = tf.lite.TFLiteConverter.from_concrete_functions([generate.get_concrete_function(**specs)], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    runner = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    for seed in range(4):
        given = runner(seed=np.int32([seed]), temperature=np.float32([1.0]))
        image, codes = model.generate(np.int32([seed]), np.float32([1.0]))
        np.testing.assert_array_equal(given["codes"], codes)
        np.testing.assert_allclose(given["image"], image, atol=1e-4)


@pytest.mark.slow
def test_a_residual_quantizers_codes_have_a_prior_over_their_own_grid():
    quantizer = zoo.quantizers.ResidualQuantizer(CODES, 6, depth=3, seed=3)
    model, images, _ = trained(quantizer=quantizer, prior=make_prior((2, 6)))
    assert model.sample(2, seed=0).shape == (2, 8, 8, 1) and model.log_prob(images).shape == (32,)
    with pytest.raises(
        ValueError, match=r"Expected `prior` to be over codes of the grid \(2, 6\). Received: .*\(2, 2\)"
    ):
        model.prior = make_prior((2, 2))


def test_a_prior_that_does_not_fit_is_refused_and_the_one_before_stays():
    model = make_model(prior=make_prior())
    kept = model.prior
    for prior, message in (
        (
            layers.Dense(1),
            "Expected `prior` to be a zoo.priors.CodePrior that defines call, step. Received: prior=<De",
        ),
        (make_prior(num_codes=4), "Expected `prior` to be over the quantizer's 3 codes. Received: num_codes=4"),
        (make_prior((4, 1)), r"Expected `prior` to be over codes of the grid \(2, 2\). Received: grid_shape=\(4, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.prior = prior
        assert model.prior is kept
    unknown = make_model(encoder=UnbuiltEncoder(), prior=make_prior((4, 1)))  # only the images will tell
    with pytest.raises(
        ValueError, match=r"Expected `codes` to have the shape \[B, 4, 1\]. Received: shape \(None, 2, 2\)"
    ):
        unknown.log_prob(conformance.images()[0])
