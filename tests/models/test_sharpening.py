"""The training of a decoder for sharp images: both losses by hand, what is trained, resuming, and going back."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import networks
from zoo.training.checkpoints import Checkpoints

X = by_hand.images(16)
VALUES = 6
NOTHING = [0.5, 0.5, 0.9, 0.5]  # no shift, no mirror image, no change of brightness


def shaken(network, seed):
    draw = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(draw.normal(0, 0.5, weight.shape))
    return network


def make(strategy=None, rate=1e-2, **kwargs):
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = by_hand.shaken(zoo.VAE(*by_hand.networks(), zoo.likelihoods.Gaussian(0.3), seed=3))
        image = keras.Input((None, None, 1))
        features = shaken(keras.Model(image, layers.Conv2D(3, 1)(image)), 1)
        critic = shaken(keras.Model(image, layers.Conv2D(1, 1)(image)), 2)
        arguments = {"perceptual_weight": 0.7, "adversarial_weight": 0.4, "critic_steps": 0, "seed": 5, **kwargs}
        stage = zoo.Sharpening(model, zoo.layers.PerceptualDistance(features), critic, **arguments)
        stage.compile(keras.optimizers.Adam(rate), critic_optimizer=keras.optimizers.Adam(2e-2, beta_1=0.5))
        stage.build_optimizers()
    return stage


def still(stage):
    """The stage without a random transform, and with fixed noise of z."""
    by_hand.fix_noise(stage.model)
    object.__setattr__(stage, "_transform", lambda: tf.constant(NOTHING))
    return stage


def logits(stage, images):
    kernel, bias = stage.critic.get_weights()
    return (images * kernel[0, 0] + bias).reshape(len(images), -1)


def reconstructed(stage):
    mean, log_var = by_hand.posterior(stage.model, X)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    return np.clip(by_hand.dense(stage.model.decoder, z).reshape(X.shape) + 0.5, 0, 1), mean, log_var, z


def unit(stage, images):
    kernel, bias = stage.perceptual.network.get_weights()
    features = images * kernel[0, 0] + bias
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


@pytest.mark.parametrize("freeze", [True, False])
def test_the_prior_of_a_frozen_model_stands_still(freeze):
    shape, norm = X.shape[1:], layers.BatchNormalization()
    prior = zoo.priors.ConditionalGaussian(keras.Sequential([keras.Input((2,)), norm, layers.Dense(6)]))
    encoder = networks.mlp_encoder((*shape[:2], shape[2] + 2), 3, ())
    model = zoo.CVAE(encoder, networks.mlp_decoder(shape, 5, ()), num_attributes=2, prior=prior, seed=0)
    critic = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(1, 1)])
    stage = zoo.Sharpening(model, critic=critic, perceptual_weight=0.0, freeze=freeze, seed=0)
    stage.compile("sgd", run_eagerly=True)
    stage.fit(X, np.ones((len(X), 2), "float32"), verbose=0)
    assert (norm.moving_mean.numpy() == 0.0).all() == freeze


@pytest.mark.parametrize("freeze", [True, False])
def test_the_loss_is_likelihood_perceptual_and_adversarial(freeze):
    stage = still(make(freeze=freeze))
    assert stage.image_shape == stage.example_shape == X.shape[1:]
    stage.model.kl_weight.assign(0.6)
    terms = stage.compute_terms(tf.constant(X), training=True)
    images, mean, log_var, z = reconstructed(stage)
    raw = by_hand.dense(stage.model.decoder, z).reshape(X.shape) + 0.5  # the middle of the range
    reconstruction = (0.5 * ((X - raw) / 0.3) ** 2 + np.log(0.3 * np.sqrt(2 * np.pi))).reshape(len(X), -1).sum(axis=1)
    perceptual = np.square(unit(stage, X) - unit(stage, images)).sum(axis=-1).mean(axis=(1, 2))
    adversarial = -logits(stage, images).mean(axis=1)
    others = 0.0 if freeze else 0.6 * by_hand.kl(mean, log_var).sum(axis=1)
    np.testing.assert_allclose(terms["reconstruction"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(terms["squared_error"], np.square(X - images).mean(axis=(1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(terms["perceptual"], perceptual, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(terms["adversarial"], adversarial, rtol=1e-4, atol=1e-5)
    expected = (reconstruction + others) / VALUES + 0.7 * perceptual + 0.4 * adversarial
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4, atol=1e-5)


def test_the_adversarial_loss_begins_after_the_critics_first_steps():
    stage = still(make(critic_steps=2))
    for step, weight in enumerate((0.0, 0.0, 0.4)):
        terms = stage.compute_terms(tf.constant(X), training=True)
        rest = terms["reconstruction"] / VALUES + 0.7 * terms["perceptual"]
        np.testing.assert_allclose(terms["loss"] - rest, weight * terms["adversarial"], atol=1e-5)
        stage.after_step(terms)
        assert int(stage.steps.value) == step + 1


def test_the_critics_loss_is_the_hinge_loss_with_lecam():
    stage = still(make(lecam_weight=0.3))
    stage.averages.assign([0.2, -0.1])
    terms = stage.compute_terms(tf.constant(X), training=True)
    real, fake = logits(stage, X), logits(stage, np.array(terms["images"]))
    hinge = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    lecam = np.square(real + 0.1).mean() + np.square(fake - 0.2).mean()
    assert float(stage.critic_share(terms)) == pytest.approx(hinge + 0.3 * lecam, rel=1e-4)
    expected = 0.99 * np.array([0.2, -0.1]) + 0.01 * np.array([real.mean(), fake.mean()])
    np.testing.assert_allclose(stage.averages.value, expected, rtol=1e-4)


def test_the_transform_shifts_mirrors_and_brightens():
    image = np.zeros((1, 16, 8, 1), "float32")
    image[0, 7, 1] = 1.0

    def place(*numbers):
        changed = np.array(zoo.models.sharpening._transformed(tf.constant(image), tf.constant(numbers)))
        return [int(each[0]) for each in np.nonzero(changed[0, :, :, 0] > 0.5)], float(changed.min())

    assert place(0.5, 0.5, 0.9, 0.5) == ([7, 1], 0.0)
    assert place(0.0, 0.99, 0.9, 0.5) == ([9, 0], 0.0)  # a window that begins higher shows the image lower
    assert place(0.5, 0.5, 0.1, 0.5) == ([7, 6], 0.0)
    assert place(0.5, 0.5, 0.9, 1.0) == ([7, 1], pytest.approx(0.1))


def train(stage, epochs=1, **kwargs):
    return stage.fit(X, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **kwargs)


def weights(stage):
    named = {"encoder": stage.model.encoder, "decoder": stage.model.decoder, "critic": stage.critic}
    return {name: network.get_weights() for name, network in named.items()}


@pytest.mark.parametrize("freeze", [True, False])
def test_decoder_and_critic_are_trained_and_the_encoder_if_told(freeze):
    stage = make(freeze=freeze)
    before = weights(stage)
    train(stage)
    after = weights(stage)
    changed = {name: not all(map(np.array_equal, before[name], after[name])) for name in before}
    assert changed == {"encoder": not freeze, "decoder": True, "critic": True}
    trained = {id(weight) for weight in stage.trainable_weights}
    assert not trained & {id(weight) for weight in stage.perceptual.network.weights}


@pytest.mark.long
def test_training_resumes_to_the_bit_and_the_stage_is_saved_whole(tmp_path):
    straight = make(critic_steps=3)
    train(straight, 2)
    first = make(critic_steps=3)
    train(first)
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(first, 2, [])
    second = make(critic_steps=3)
    assert checkpoints.restore(second) == (2, [])
    train(second)
    for one, other in zip(straight.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    second.save(tmp_path / "stage.keras")
    loaded = keras.saving.load_model(tmp_path / "stage.keras")
    by_hand.fix_noise(second.model), by_hand.fix_noise(loaded.model)
    expected = second.compute_terms(tf.constant(X))["loss"]
    np.testing.assert_allclose(loaded.compute_terms(tf.constant(X))["loss"], expected, rtol=1e-6)
    assert (loaded.critic_steps, loaded.adversarial_weight, loaded.seed) == (3, 0.4, 5)


@pytest.mark.long
def test_two_replicas_end_with_the_weights_of_one():
    ended = []
    for strategy in (None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        stage = make(strategy)
        by_hand.fix_noise(stage.model)  # replicas have noise of their own
        train(stage)
        ended.append(stage.get_weights())
    for one, other in zip(*ended, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_vq_vae_keeps_its_codes_and_trains_them_if_told():
    encoder = zoo.networks.residual_encoder((8, 8, 3), 2, 4, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 2), 3, 4, blocks=0)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(4, 2, seed=0), commitment_cost=0.3)
    x = np.random.default_rng(0).random((8, 8, 8, 3)).astype("float32")
    codes = np.array(model.encode(x))
    for freeze in (True, False):
        stage = zoo.Sharpening(model, freeze=freeze, critic_steps=0, seed=0)
        terms = stage.compute_terms(tf.constant(x), training=False)
        own = model.compute_terms(tf.constant(x), training=False)["loss"]
        expected = (terms["reconstruction"] if freeze else own) / x[0].size + 0.01 * terms["adversarial"]
        np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    stage = zoo.Sharpening(model, critic_steps=0, seed=0)
    stage.compile(keras.optimizers.Adam(1e-2))
    stage.fit(x, batch_size=4, verbose=0)
    np.testing.assert_array_equal(model.encode(x), codes)


def test_an_error_above_the_bound_brings_the_last_good_weights_back():
    stage = make(rate=5.0)
    seen = []
    guard = zoo.callbacks.GoBack(X, bound=1.01, every=1)
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_, **__: seen.append(guard.last_good))
    with pytest.raises(zoo.callbacks.Diverged, match=r"at step \d+, more than 1.01 times .* weights of step \d+ are b"):
        train(stage, 20, callbacks=[note, guard])
    step, kept = seen[-1]
    for weight, value in zip(stage.trainable_weights, kept, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert int(stage.steps.value) == step + 1


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (255 * X, None, r"Expected `x` to lie in \[0, 1\]"),
        (np.uint8(255 * X), None, "Expected `x` to be floating-point"),
        (X * np.nan, None, "Expected `x` to be finite numbers"),
        (X[:, :1], None, "Expected `x` to have the shape"),
        (X, np.zeros(len(X), np.int32), "Expected no `labels`"),
    ],
)
def test_images_that_the_model_does_not_take_cannot_guard_it(images, labels, message):
    with pytest.raises(ValueError, match=message):
        train(make(), 1, callbacks=[zoo.callbacks.GoBack(images, labels)])


def test_healthy_training_is_left_alone_and_nan_is_not():
    stage = make(rate=1e-4)
    guard = zoo.callbacks.GoBack(X, every=2)
    train(stage, 2, callbacks=[guard])
    assert guard.last_good[0] == 4 and float(stage.start_error.value) > 0
    stage.model.decoder.weights[0].assign(tf.fill(stage.model.decoder.weights[0].shape, np.nan))
    object.__setattr__(guard, "last_good", (2, guard.last_good[1]))
    with pytest.raises(zoo.callbacks.Diverged, match="The squared error was nan at step 4"):
        guard.on_train_batch_end(0)
    assert np.isfinite(stage.model.decoder.weights[0]).all()


def test_the_error_is_measured_without_dropout():
    encoder, decoder = by_hand.networks()
    forgetful = keras.Sequential([layers.Input((by_hand.LATENTS,)), layers.Dropout(0.9), decoder])
    model = by_hand.fix_noise(zoo.VAE(encoder, forgetful, zoo.likelihoods.Gaussian(0.3), seed=3))
    stage = zoo.Sharpening(by_hand.shaken(model), critic_steps=0)
    stage.compile("adam")
    guard = zoo.callbacks.GoBack(X)
    guard.set_model(stage)
    guard.on_train_begin()
    expected = np.mean(stage.compute_terms(tf.constant(X), training=False)["squared_error"])
    np.testing.assert_allclose(stage.start_error.value, expected, rtol=1e-5)


def test_a_resumed_training_is_judged_by_the_error_before_the_first_step():
    stage = make()
    train(stage, 1, callbacks=[zoo.callbacks.GoBack(X, bound=100.0)])
    first = float(stage.start_error.value)
    train(stage, 1, callbacks=[zoo.callbacks.GoBack(X, bound=100.0)])
    assert first == float(stage.start_error.value) > 0


def test_models_that_it_cannot_train_are_refused():
    encoder, decoder = by_hand.networks()
    with pytest.raises(ValueError, match="Expected `model` to be a model of the zoo with a decoder that takes latents"):
        zoo.Sharpening(decoder)
    with pytest.raises(ValueError, match="Expected `freeze` to be True for a IWAE"):
        zoo.Sharpening(zoo.IWAE(encoder, decoder), freeze=False)
    given = zoo.networks.mlp_encoder((*X.shape[1:3], 2), 2, ())
    size = int(np.prod(given.input_shape[1:])) + 2
    vaeac = zoo.VAEAC(given, zoo.networks.mlp_decoder((*X.shape[1:3], 1), size, ()))
    with pytest.raises(ValueError, match="one that judges whole images, such as a VQVAE or VAE. Received: .*VAEAC"):
        zoo.Sharpening(vaeac)
    masked = zoo.likelihoods.Masked(zoo.likelihoods.Bernoulli())
    with pytest.raises(ValueError, match="Expected `model` to be one that judges whole images"):
        zoo.Sharpening(zoo.VAE(given, zoo.networks.mlp_decoder((*X.shape[1:3], 1), 2, ()), masked))
    inputs = keras.Input((None, None, 3))
    colours = zoo.layers.PerceptualDistance(keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs)))
    with pytest.raises(ValueError, match="a distance of images with 1 channels. Received: .*one of 3 channels"):
        zoo.Sharpening(zoo.VAE(encoder, decoder), colours)
    with pytest.raises(ValueError, match="Expected `perceptual` to be a zoo.layers.PerceptualDistance or None"):
        zoo.Sharpening(zoo.VAE(encoder, decoder), perceptual=decoder)
    flat = zoo.networks.mlp_encoder((4,), 2, ()), zoo.networks.mlp_decoder((4,), 2, ())
    with pytest.raises(ValueError, match="Expected `model` to be a model of images"):
        zoo.Sharpening(zoo.VAE(*flat))
    model = zoo.VAE(encoder, decoder)
    model.compile("adam")
    with pytest.raises(ValueError, match="Expected `model` to be a zoo.Sharpening"):
        model.fit(X, verbose=0, callbacks=[zoo.callbacks.GoBack(X)])
