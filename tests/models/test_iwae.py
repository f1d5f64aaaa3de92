"""The IWAE's bound, and the gradients of both kinds, by hand."""

import functools

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import zoo
from zoo.runtime import cores

SAMPLES = 3


class FixedNoise:
    """Noise that differs between rows and is the same at each call, in the place of a model's own."""

    def __init__(self, seed=5):
        self.seed = seed

    def __call__(self, shape):
        return tf.constant(np.random.default_rng(self.seed).normal(size=shape), "float32")  # XLA draws others


def make(number=SAMPLES, seed=5, scale=0.6, **kwargs):
    model = by_hand.shaken(zoo.IWAE(*by_hand.networks(), num_samples=number, **kwargs), scale)
    model.sampling.noise = FixedNoise(seed)
    return model


def worked_out(model, x):
    """Reconstruction and log prior ratio of each sample, `[B,K]`, and the KL of each example, `[B]`."""
    mean, log_var = by_hand.posterior(model, x)
    noise = model.sampling.noise((len(x) * model.num_samples, by_hand.LATENTS)).numpy()
    noise = noise.reshape(len(x), model.num_samples, by_hand.LATENTS)
    reconstructions, ratios = [], []
    for k in range(model.num_samples):
        z = mean + noise[:, k] * np.exp(log_var / 2)
        reconstructions.append(-by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z)))
        ratios.append(by_hand.log_normal(z, 0.0, 0.0) - by_hand.log_normal(z, mean, log_var))
    return np.stack(reconstructions, axis=1), np.stack(ratios, axis=1), by_hand.kl(mean, log_var).sum(axis=1)


@pytest.mark.parametrize("gradient", ["standard", "dreg"])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_loss_is_minus_the_log_of_the_mean_weight_and_the_figures_are_means_over_the_samples(gradient, weight):
    model, x = make(gradient=gradient), by_hand.images(5)
    model.kl_weight.assign(weight)
    terms = model.compute_terms(x, training=True)
    reconstruction, ratio, kl = worked_out(model, x)
    np.testing.assert_allclose(terms["reconstruction"], reconstruction.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction.mean(axis=1) - kl, rtol=1e-5)
    bound = np.log(np.mean(np.exp(-reconstruction + weight * ratio), axis=1))
    np.testing.assert_allclose(terms["loss"], -bound, rtol=1e-5)


def test_with_one_sample_the_loss_is_that_of_a_vae_whose_kl_is_estimated():
    model, x = make(1), by_hand.images(5)
    reconstruction, ratio, _ = worked_out(model, x)
    terms = model.compute_terms(x)
    np.testing.assert_allclose(terms["loss"], (reconstruction - ratio)[:, 0], rtol=1e-5)
    vae = zoo.VAE(model.encoder, model.decoder)
    vae.sampling.noise = model.sampling.noise
    of_vae = vae.compute_terms(x)
    for name in ("reconstruction", "kl", "elbo"):
        np.testing.assert_allclose(terms[name], of_vae[name], rtol=1e-5)


def test_more_samples_make_the_loss_a_tighter_bound():
    x = np.repeat(by_hand.images(4), 2000, axis=0)
    losses = [np.mean(make(number).compute_terms(x)["loss"]) for number in (1, 5, 25)]
    assert losses[0] > losses[1] + 0.1 > losses[2] + 0.1
    terms = make(5).compute_terms(x)
    assert np.mean(terms["loss"]) < -np.mean(terms["elbo"]) - 0.1


def gradients(model, x, function=lambda f: f):
    """Those of the mean loss by the encoder's weights and by the decoder's, each one vector."""

    @function
    def compute():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.compute_terms(tf.constant(x), training=True)["loss"])
        networks = (model.encoder.trainable_variables, model.decoder.trainable_variables)
        return tape.gradient(loss, [[each.value for each in variables] for variables in networks])

    return [np.concatenate([np.ravel(each) for each in of_network]) for of_network in compute()]


def by_equation(model, x):
    """The encoder's gradient, written out: −Σ_k ((1 − w) ŵ_k + w ŵ_k²) (∂ log w_k / ∂z_k) (∂z_k / ∂φ)."""
    weight, number = float(model.kl_weight), model.num_samples
    variables = [each.value for each in model.encoder.trainable_variables]
    with tf.GradientTape() as outer:
        mean, log_var = tf.split(model.encoder(x), 2, axis=1)
        mean, log_var = (tf.repeat(each, number, axis=0) for each in (mean, log_var))
        z = mean + tf.exp(log_var / 2) * model.sampling.noise(mean.shape)
    with tf.GradientTape() as inner:
        inner.watch(z)
        logits = tf.reshape(model.decoder(z), (-1, 6))
        target = tf.repeat(tf.reshape(x, (len(x), 6)), number, axis=0)
        log_p = -tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(target, logits), axis=1)
        log_prior = -0.5 * tf.reduce_sum(z**2 + np.log(2 * np.pi), axis=1)
        square = (z - mean) ** 2 / tf.exp(log_var)
        log_q = -0.5 * tf.reduce_sum(square + log_var + np.log(2 * np.pi), axis=1)
        log_w = log_p + weight * (log_prior - log_q)
    shares = tf.reshape(tf.nn.softmax(tf.reshape(log_w, (-1, number)), axis=1), (-1, 1))
    factor = (1 - weight) * shares + weight * shares**2
    upstream = -factor * inner.gradient(log_w, z) / len(x)
    return np.concatenate([np.ravel(each) for each in outer.gradient(z, variables, output_gradients=upstream)])


FUNCTIONS = {
    "eager": lambda f: f,
    "graph": functools.partial(tf.function, autograph=False),
    "xla": tf.function(jit_compile=True, autograph=False),
}


@pytest.mark.parametrize(
    ("how", "weight"), [("eager", 1.0), ("eager", 0.4), ("eager", 0.0), ("graph", 0.4), ("xla", 0.4)]
)
def test_the_encoders_dreg_gradient_is_that_of_the_paper_and_the_decoders_the_standard_one(how, weight):
    x = by_hand.images(5)
    model, standard = make(gradient="dreg"), make()
    for each in (model, standard):
        each.kl_weight.assign(weight)
    of_encoder, of_decoder = gradients(model, x, FUNCTIONS[how])
    np.testing.assert_allclose(of_encoder, by_equation(model, x), rtol=1e-4, atol=1e-6)
    other_encoder, other_decoder = gradients(standard, x, FUNCTIONS[how])
    np.testing.assert_allclose(of_decoder, other_decoder, rtol=1e-5, atol=1e-7)
    if weight:
        assert np.abs(of_encoder - other_encoder).max() > 1e-3
    else:  # log q is not in the loss, and both differentiate it as it is
        np.testing.assert_allclose(of_encoder, other_encoder, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_both_encoder_gradients_have_one_mean_and_the_dreg_one_a_smaller_variance(weight):
    """Over 20,000 draws of 8 samples: one gradient for each, as the example is repeated and the encoder is its bias."""
    draws, x = 20_000, by_hand.images(1)
    found = {}
    for gradient in ("standard", "dreg"):
        model = make(8, gradient=gradient, scale=0.4)
        model.kl_weight.assign(weight)
        mean, log_var = (tf.constant(each, "float32") for each in by_hand.posterior(model, x))
        shifts = tf.zeros((draws, 2 * by_hand.LATENTS))  # what is differentiated: the posterior of each draw
        with tf.GradientTape() as tape:
            tape.watch(shifts)
            moved = tf.concat([mean, log_var], axis=1) + shifts
            model.posterior = lambda x, labels=None, training=False, moved=moved: tuple(tf.split(moved, 2, axis=1))
            loss = tf.reduce_sum(model.compute_terms(tf.repeat(x, draws, axis=0))["loss"])
        found[gradient] = tape.gradient(loss, shifts).numpy()
    standard, dreg = found["standard"], found["dreg"]
    error = np.sqrt((standard.var(axis=0) + dreg.var(axis=0)) / draws)
    assert np.all(np.abs(standard.mean(axis=0) - dreg.mean(axis=0)) < 4.5 * error)
    assert np.abs(standard.mean(axis=0)).max() > 20 * error.max()  # there is something to agree about
    assert dreg.var(axis=0).sum() < 0.7 * standard.var(axis=0).sum()


@pytest.mark.long
@pytest.mark.parametrize("gradient", [pytest.param("standard", marks=pytest.mark.slow), "dreg"])
def test_a_step_is_the_same_by_xla_in_parts_and_on_two_replicas(gradient):
    x = np.repeat(by_hand.images(1), 10, axis=0)  # as replicas draw their own noise, which is the same here

    def train(strategy=None, parts=1, **kwargs):
        keras.utils.set_random_seed(0)
        with (strategy or tf.distribute.get_strategy()).scope():
            model = by_hand.shaken(zoo.IWAE(*by_hand.networks(), num_samples=2, gradient=gradient, seed=0))
            model.compile(keras.optimizers.SGD(0.05), **kwargs)
        model.sampling.noise = lambda shape: tf.tile([[0.7], [-1.2]], [shape[0] // 2, 3])
        with cores.parts(parts):
            model.fit(x, batch_size=10, epochs=3, verbose=0)
        return model.get_weights()

    expected = train()
    replicas = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for received in (train(jit_compile=True), train(parts=2), train(replicas)):
        for one, other in zip(expected, received, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_dreg_trains_under_float16():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = zoo.IWAE(*by_hand.networks(), num_samples=4, gradient="dreg", seed=0)
        model.compile(keras.optimizers.Adam(1e-2))
        history = model.fit(by_hand.images(64), epochs=10, verbose=0).history["loss"]
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert np.all(np.isfinite(history)) and history[-1] < history[0]


def test_the_prior_is_trained_by_the_same_gradient_in_both():
    found = []
    for gradient in ("standard", "dreg"):
        prior = ShiftedNormal(by_hand.LATENTS)
        model = make(gradient=gradient, prior=prior)
        with tf.GradientTape() as tape:
            loss = ops.mean(model.compute_terms(by_hand.images(5), training=True)["loss"])
        found.append(tape.gradient(loss, prior.shift.value))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    assert np.abs(found[0]).max() > 1e-2


class ShiftedNormal(zoo.priors.LatentPrior):
    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.shift = self.add_weight(shape=(latent_dim,), initializer="zeros", name="shift")
        self.built = True

    def log_density(self, z, labels=None):
        return -0.5 * ops.sum(ops.square(z - self.shift), axis=1)

    def draw(self, seeds, temperature, labels=None):
        return self.shift + zoo.random.normal(seeds, (self.latent_dim,)) * temperature[:, None]


@pytest.mark.parametrize(
    ("name", "value"), [("num_samples", 0), ("num_samples", 2.0), ("gradient", "other"), ("free_bits", 0.5)]
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* Received: {name}="):
        zoo.IWAE(*by_hand.networks(), **{name: value})
