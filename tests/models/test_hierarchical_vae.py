"""The hierarchical VAE: its bound by hand and by quadrature, what it pays for its KLs, the steps it leaves out."""

import functools
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import distributions, networks

SHAPE = (8, 8, 1)
LAYERS = {"1x1_1": (1, 1, 2), "2x2_2": (2, 2, 2), "2x2_3": (2, 2, 2), "4x4_4": (4, 4, 2)}


def make(shaken=0.2, shape=SHAPE, scales=(8, 4, 2), per_scale=(1, 2, 1), latent_dim=2, width=5, encoder=None, **kwargs):
    """A small model with weights far enough from the initial ones that no layer is silent."""
    keras.utils.set_random_seed(0)
    encoder = encoder or networks.bottom_up_encoder(shape, scales, width, 4, blocks=1, activation="silu")
    decoder = zoo.networks.TopDown(shape, scales, per_scale, latent_dim, width, hidden=4, activation="silu")
    model = zoo.HierarchicalVAE(encoder, decoder, **{"seed": 3, **kwargs})
    draw = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign_add(draw.normal(0, shaken, weight.shape))
    return model


# For all tests that leave a model as it is.
shared = functools.cache(make)


def images(number=4, shape=SHAPE):
    return np.random.default_rng(0).uniform(size=(number, *shape)).round().astype("float32")


def latents(number=3):
    draw = np.random.default_rng(0)
    return [draw.normal(size=(number, *shape)).astype("float32") for shape in LAYERS.values()]


def rows(*seeds):
    return tf.constant(seeds, tf.int32)


# The bound.


def test_a_kl_for_each_layer_is_reported_top_first_and_they_sum_to_the_kl():
    model = shared()
    names = [f"kl_{name}" for name in LAYERS]
    terms = model.compute_terms(images())
    assert list(terms) == ["loss", "reconstruction", "kl", "elbo", *names]
    assert list(model.trackers) == list(terms)
    assert all(np.all(terms[name] > 0.01) for name in names)
    np.testing.assert_allclose(terms["kl"], sum(terms[name] for name in names), rtol=1e-6)


def test_each_kl_and_the_elbo_are_what_many_draws_average_to():
    model = shared()
    number = 3000
    x = np.repeat(images(1), number, axis=0)
    terms = model.compute_terms(x)
    ratios = {}

    def log_normal(z, mean, log_var):
        each = -0.5 * (math.log(2 * math.pi) + log_var + (z - mean) ** 2 / np.exp(log_var))
        return np.sum(each, axis=(1, 2, 3))

    def draw(block, prior, posterior):
        mean, log_var = posterior
        z = mean + tf.exp(0.5 * log_var) * tf.random.stateless_normal(tf.shape(mean), [len(ratios), 1])
        ratios[f"kl_{block.name}"] = log_normal(z, *posterior) - log_normal(z, *prior)
        return z

    model.top_down(draw, model.features(x))
    log_weights = model.weigher(x)(zoo.random.row_seeds(5, number))
    assert set(ratios) == set(model.kl_names)
    for name, draws in {**ratios, "elbo": log_weights}.items():
        # Those of the lower layers depend on what was drawn above them.
        error = math.hypot(np.std(draws), np.std(terms[name])) / math.sqrt(number)
        assert abs(np.mean(draws) - np.mean(terms[name])) < 5 * error, name


def dense_encoder(width=5, shape=(4, 4, 1)):
    """Features for one place alone: `[B,1,1,width]`."""
    x = inputs = keras.Input(shape)
    x = layers.Dense(width)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Reshape((1, 1, width))(x))


def one_place(number_layers, latent_dim):
    """A model whose grids are all of one place, where a convolution is a matrix product."""
    shape = (4, 4, 1)
    return make(
        shape=shape, scales=(4,), per_scale=number_layers, latent_dim=latent_dim, encoder=dense_encoder(shape=shape)
    )


def test_one_layer_of_one_place_is_a_plain_vae_worked_out_by_hand():
    model = one_place(1, latent_dim=2)
    x = images(3, (4, 4, 1))
    model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
    terms = model.compute_terms(x)

    def silu(h):
        return h / (1 + np.exp(-h))

    def network(h, weights):
        first, bias, second, *last = weights
        return silu(silu(h) @ first[0, 0] + bias) @ second[0, 0] + (last[0] if last else 0)

    block = model.decoder.blocks[0]
    kernel, bias = model.encoder.get_weights()
    features = x.reshape(3, 16) @ kernel + bias
    h = np.repeat(model.decoder.start.numpy()[0, 0], 3, axis=0)
    prior = network(h, block.prior_network.get_weights())
    h = h + prior[:, 4:]
    posterior = prior[:, :4] + network(np.concatenate([h, features], axis=1), block.posterior_network.get_weights())
    (prior_mean, prior_log_var), (mean, log_var) = np.split(prior[:, :4], 2, axis=1), np.split(posterior, 2, axis=1)
    ratio = np.exp(log_var - prior_log_var)
    kl = 0.5 * np.sum(ratio - 1 - np.log(ratio) + (mean - prior_mean) ** 2 / np.exp(prior_log_var), axis=1)
    z = mean + 0.7 * np.exp(0.5 * log_var)
    h = h + z @ block.project.get_weights()[0][0, 0]
    h = h + network(h, block.residual_network.get_weights())
    kernel, bias = model.decoder.output_network.get_weights()
    logits = np.einsum("bw,ijcw->bijc", silu(h), kernel) + bias
    log_likelihood = np.sum(x * logits - np.log1p(np.exp(logits)), axis=(1, 2, 3))

    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["reconstruction"], -log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], log_likelihood - kl, rtol=1e-5)


def test_the_importance_weighted_bound_grows_to_the_log_likelihood_that_quadrature_gives():
    model = one_place(2, latent_dim=1)
    x = images(3, (4, 4, 1))
    # Where the two latents stand in units of their priors: the lower one's depends on the upper.
    axis = np.linspace(-6, 6, 81)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype("float32")
    units = iter(grid.T)

    def draw(block, prior, _):
        mean, log_var = prior
        return mean + tf.exp(0.5 * log_var) * next(units)[:, None, None, None]

    params, _ = model.top_down(draw, batch_size=len(grid))
    log_prior = -0.5 * np.sum(grid**2, axis=1) - math.log(2 * math.pi) + 2 * math.log(axis[1] - axis[0])
    joint = [log_prior + model.likelihood.log_prob(image[None], params) for image in x]
    exact = np.logaddexp.reduce(joint, axis=1)

    log_prob = tf.function(model.log_prob, autograph=False)
    one, many = (np.mean(log_prob(np.repeat(x, 100, axis=0), k).numpy().reshape(3, 100), axis=1) for k in (1, 100))
    assert np.all(one + 0.05 < many)
    np.testing.assert_allclose(many, exact, atol=0.02)


def test_at_first_every_posterior_is_its_prior_and_samples_are_finite():
    model = make(shaken=0.0)
    terms = model.compute_terms(images())
    for name in ("kl", *model.kl_names):
        np.testing.assert_array_equal(terms[name], np.zeros(4))
    for layer, shape in zip(model.encode(images()), LAYERS.values(), strict=True):
        np.testing.assert_allclose(layer["mean"], np.zeros((4, *shape)), atol=1e-5)
        np.testing.assert_allclose(layer["log_var"], np.zeros((4, *shape)), atol=1e-5)
    samples = model.sample(4, seed=0).numpy()
    assert np.all(np.isfinite(samples)) and np.abs(samples[0] - samples[1]).max() > 1e-3


def test_images_need_not_be_square():
    shape = (8, 12, 1)
    model = make(shape=shape, scales=(4, 1), per_scale=1)
    assert [layer["mean"].shape for layer in model.encode(images(2, shape))] == [(2, 2, 3, 2), (2, 8, 12, 2)]
    assert model(images(2, shape)).shape == model.sample(2).shape == (2, *shape)


def test_under_mixed_precision_all_terms_and_posteriors_are_float32():
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
        terms, posteriors = model.compute_terms(images(), training=True), model.encode(images())
        sample = model.sample(2)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert model.decoder.begin(1).dtype == tf.bfloat16
    assert {values.dtype for values in (*terms.values(), sample)} == {tf.float32}
    assert {values.dtype for layer in posteriors for values in layer.values()} == {tf.float32}


# What the loss pays for the KLs.


def paid(model, kls):
    """The penalty of KLs `[L,B]`, and its derivative by each of them."""
    kls = [tf.constant(values, tf.float32) for values in kls]
    with tf.GradientTape() as tape:
        tape.watch(kls)
        penalty = model.penalty(kls)
    return penalty.numpy(), np.array(tape.gradient(penalty, kls))


KLS = np.array([[3.0, 0.1], [0.4, 0.5], [0.0, 0.0], [8.0, 2.0]])  # [L,B]


def test_the_loss_is_the_reconstruction_and_the_weighted_kl_of_each_layer_above_its_free_bits():
    model = make(free_bits=0.3)
    model.kl_weight.assign(0.7)
    terms = model.compute_terms(images(16))
    kls = np.array([terms[name] for name in model.kl_names])
    assert 0 < np.mean(kls < 0.3) < 1  # both sides are seen
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + 0.7 * np.maximum(kls, 0.3).sum(0), rtol=1e-5)


def test_a_layer_with_no_more_than_its_free_bits_has_no_gradient_by_example():
    model = make(free_bits=0.45)
    penalty, derivative = paid(model, KLS)
    np.testing.assert_allclose(penalty, [3.0 + 0.45 + 0.45 + 8.0, 0.45 + 0.5 + 0.45 + 2.0], rtol=1e-6)
    np.testing.assert_array_equal(derivative, [[1, 0], [0, 1], [0, 0], [1, 1]])


def balance(kls):
    """γ by hand: mean KL over the number of latents, of mean 1 over the layers."""
    weights = (np.mean(kls, axis=1) + 0.01) / np.array([2, 8, 8, 32])
    return weights / np.mean(weights)


def test_balanced_layers_are_weighed_by_their_mean_kl_for_their_size():
    model = make(kl_balancing=True)
    model.kl_weight.assign(0.5)
    penalty, derivative = paid(model, KLS)
    weights = balance(KLS)
    assert np.mean(weights) == pytest.approx(1.0) and np.ptp(weights) > 1
    np.testing.assert_allclose(penalty, weights @ KLS, rtol=1e-5)
    # No derivative passes through the weights.
    np.testing.assert_allclose(derivative, np.repeat(weights[:, None], 2, axis=1), rtol=1e-5)


def test_balancing_goes_by_the_kl_itself_where_bits_are_free():
    model = make(kl_balancing=True, free_bits=0.45)
    model.kl_weight.assign(0.5)
    np.testing.assert_allclose(paid(model, KLS)[0], balance(KLS) @ np.maximum(KLS, 0.45), rtol=1e-5)


def test_the_loss_is_the_reconstruction_and_the_balanced_kl_of_each_layer_above_its_free_bits():
    model = make(kl_balancing=True, free_bits=0.3)
    model.kl_weight.assign(0.7)
    terms = model.compute_terms(images(16))
    kls = np.array([terms[name] for name in model.kl_names])
    paid = balance(kls) @ np.maximum(kls, 0.3)
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + 0.7 * paid, rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -terms["reconstruction"] - kls.sum(axis=0), rtol=1e-5)


def test_balancing_ends_with_the_warmup():
    model = make(kl_balancing=True)
    np.testing.assert_allclose(paid(model, KLS)[0], KLS.sum(axis=0), rtol=1e-6)


def on_two_replicas(make_model, run, parts):
    """What `run(model, part)` gives on each of two replicas, and the model."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make_model()
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group], tf.float32)
    )
    results = tf.function(lambda: strategy.run(lambda part: run(model, part), (parts,)), autograph=False)()
    return [values.numpy() for values in strategy.experimental_local_results(results)], model


def test_balancing_on_two_replicas_goes_by_the_whole_batch_also_where_its_parts_differ_in_length():
    kls = np.random.default_rng(0).gamma(1.0, 2.0, (4, 8))

    def make_model():
        model = make(kl_balancing=True)
        model.kl_weight.assign(0.5)
        return model

    run = lambda model, part: model.penalty(tf.unstack(part, axis=1, num=4))  # noqa: E731
    parts, _ = on_two_replicas(make_model, run, [kls.T[:5], kls.T[5:]])
    assert [len(part) for part in parts] == [5, 3]
    np.testing.assert_allclose(np.concatenate(parts), balance(kls) @ kls, rtol=1e-5)


# Steps that are left out.


def compiled(optimizer="sgd", skip_threshold=math.inf, **kwargs):
    model = make(**kwargs)
    model.compile(optimizer, skip_threshold=skip_threshold)
    return model


@pytest.mark.parametrize(("before", "threshold"), [(None, math.inf), (300.0, 300.0)])
def test_a_model_of_0_1_0_is_compiled_with_the_threshold_that_it_had(before, threshold):
    made = zoo.HierarchicalVAE.from_config({**shared().get_config(), "skip_threshold": before})
    made.compile_from_config({"optimizer": keras.saving.serialize_keras_object(keras.optimizers.SGD())})
    assert made.gradient_policy.threshold == threshold


def test_a_batch_of_nan_leaves_the_momentum_alone_and_training_goes_on():
    model = compiled(keras.optimizers.SGD(1e-4, momentum=0.5), scales=(4,), per_scale=1)

    def step(x):
        model.reset_metrics()
        logs = model.train_step(tf.constant(x))  # where no batch is looked at: NaN may also come of the networks
        return logs, [weight.numpy() for weight in model.trainable_weights]

    broken = images()
    broken[1, 3:5] = np.nan
    logs, weights = zip(*map(step, (images(), broken, broken, images())))
    assert [each["skipped"] for each in logs] == [0, 1, 1, 0]
    assert [math.isfinite(each["loss"]) for each in logs] == [True, False, False, True]
    first, second, third, fourth = weights
    moved = [after - before for before, after in zip(first, second)]
    for one, change, two, three in zip(first, moved, second, third):
        np.testing.assert_allclose(three - two, 0.5 * change, rtol=1e-2, atol=2e-7)
        assert np.all(np.isfinite(one))
    assert max(np.abs(change).max() for change in moved) > 1e-4
    assert all(np.all(np.isfinite(weight)) for weight in fourth)
    assert max(np.abs(after - before).max() for before, after in zip(third, fourth)) > 1e-4
    model.reset_metrics()
    assert "skipped" not in model.test_step(tf.constant(images()))


def test_a_first_step_that_is_left_out_changes_no_weight():
    model = compiled("adam", skip_threshold=1e-6)
    before = [weight.numpy() for weight in model.trainable_weights]
    logs = model.train_step(tf.constant(images()))
    assert float(logs["skipped"]) == 1 and int(model.optimizer.iterations) == 1
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)


# Latents in and out.


def test_encode_gives_the_posteriors_given_the_means_above_top_first():
    model = make()
    x = images(3)
    posteriors = model.encode(x)
    assert isinstance(posteriors, list) and [set(layer) for layer in posteriors] == [{"mean", "log_var"}] * 4
    for layer, shape in zip(posteriors, LAYERS.values()):
        assert layer["mean"].shape == layer["log_var"].shape == (3, *shape)
    # Without noise, what training draws is what encode walks along.
    model.sampling.noise = tf.zeros
    reconstruction = model.compute_terms(x)["reconstruction"]
    kls = sum(
        distributions.sum_per_example(distributions.normal_kl(**layer, prior_mean=prior[0], prior_log_var=prior[1]))
        for layer, prior in zip(posteriors, priors(model, [layer["mean"] for layer in posteriors]))
    )
    np.testing.assert_allclose(model.compute_terms(x)["kl"], kls, rtol=1e-4)
    np.testing.assert_allclose(model.decode([layer["mean"] for layer in posteriors]), model.reconstruct(x), atol=1e-6)
    logits = keras.ops.log(model.reconstruct(x)) - keras.ops.log1p(-model.reconstruct(x))
    np.testing.assert_allclose(reconstruction, -distributions.bernoulli_log_prob(x, logits), rtol=1e-4)


def priors(model, z):
    """Mean and log-variance of each layer's prior along the latents `z`."""
    met, given = [], iter(z)

    def draw(block, prior, _):
        met.append(prior)
        return next(given)

    model.top_down(draw, batch_size=len(z[0]))
    return met


def test_decode_is_the_mean_image_of_the_decoder_called_on_the_same_latents():
    model = shared()
    z = latents()
    np.testing.assert_allclose(model.decode(z), tf.sigmoid(model.decoder(z)), atol=1e-6)


@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_of_layers_left_out_decode_takes_the_prior_means(number):
    model = shared()
    z = latents()[:number]
    while len(z) < len(LAYERS):
        filled = [*z, *latents()[len(z) :]]
        z = [*z, priors(model, filled)[len(z)][0]]
    np.testing.assert_allclose(model.decode(latents()[:number]), model.decode(z), atol=1e-6)
    assert np.abs(model.decode(latents()) - model.decode(z)).max() > 1e-3


def test_given_latents_are_those_of_the_top_layers_and_the_others_are_drawn_below_them():
    model = shared()
    seeds, ones = rows(7, -8, 9), tf.ones(3)
    image, drawn = model.generate(seeds, ones)
    assert [z.shape for z in drawn] == [(3, *shape) for shape in LAYERS.values()]
    np.testing.assert_allclose(model.decode(drawn), image, atol=1e-6)
    np.testing.assert_array_equal(model.sample(3, seed=seeds), image)
    before = [(z - mean) / tf.exp(0.5 * log_var) for z, (mean, log_var) in zip(drawn, priors(model, drawn))]
    for number in range(len(LAYERS) + 1):
        fixed = latents()[:number]
        image, z = model.generate(seeds, ones, given=fixed)
        for one, other in zip(z, fixed):
            np.testing.assert_array_equal(one, other)
        # The noise of the layers below is as it was: z = μ + σ ε.
        noise = [(z - mean) / tf.exp(0.5 * log_var) for z, (mean, log_var) in zip(z, priors(model, z))][number:]
        for one, other in zip(noise, before[number:], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(model.sample(3, seed=seeds, given=fixed), image)
    np.testing.assert_allclose(model.sample(3, seed=0, given=latents()), model.decode(latents()), atol=1e-6)


def test_each_layer_has_noise_of_its_own():
    model = shared()
    _, z = model.generate(rows(*range(500)), tf.ones(500))
    noise = [(z - mean) / tf.exp(0.5 * log_var) for z, (mean, log_var) in zip(z, priors(model, z))]
    flat = np.concatenate([np.reshape(values, (500, -1)) for values in noise], axis=1)
    assert np.abs(flat.mean(axis=0)).max() < 5 / math.sqrt(500)
    assert np.abs(np.cov(flat, rowvar=False) - np.eye(flat.shape[1])).max() < 5 * math.sqrt(2 / 500)


def test_each_row_has_its_own_temperature():
    model = shared()
    seeds = rows(4, 4, 4, 5)
    image, z = model.generate(seeds, tf.constant([0.0, 0.5, 1.0, 0.0]))
    for row, temperature in enumerate((0.0, 0.5, 1.0, 0.0)):
        alone = model.sample(1, seed=seeds[row : row + 1], temperature=temperature)
        np.testing.assert_allclose(image[row], alone[0], atol=1e-6)
    np.testing.assert_allclose(image[0], image[3], atol=1e-6)
    top = [values.numpy() for values in z[0]]
    np.testing.assert_allclose(top[1] - top[0], (top[2] - top[0]) / 2, rtol=1e-4, atol=1e-5)


BAD_LATENTS = {
    "an array": (latents()[0], r"a list of at most 4 arrays of latents, top first. Received: {}=\(3, 1, 1, 2\)"),
    "a dict": ({"mean": latents()[0]}, r"a list of at most 4 arrays .*Received: {}="),
    "too many": ([*latents(), latents()[3]], r"a list of at most 4 arrays .*Received: {}=.*\(3, 1, 1, 2\)"),
    "another shape": (
        [latents()[0], latents()[0]], r"latents of shape \(3, 2, 2, 2\) for layer 2x2_2. Received: {}=\(3, 1, 1, 2\)",
    ),
    "another rank": ([latents()[0][:, 0, 0]], r"latents of shape \(.*, 1, 1, 2\) for layer 1x1_1. Received: {}=\(3, 2"),
    "fewer rows": (
        [latents()[0], latents()[1][:1]], r"latents of shape \(3, 2, 2, 2\) for layer 2x2_2. Received: {}=\(1, 2, 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LATENTS)
def test_latents_that_do_not_fit_the_layers_are_refused(case):
    model = shared()
    wrong, message = BAD_LATENTS[case]
    with pytest.raises(ValueError, match="Expected `z` to be " + message.format("z")):
        model.decode(wrong)
    with pytest.raises(ValueError, match="Expected `given` to be " + message.format("given")):
        model.sample(3, given=wrong)


def test_other_bad_latents_are_refused():
    model = shared()
    whole = [np.zeros((3, 1, 1, 2), "int32")]
    with pytest.raises(ValueError, match="Expected `z` to be a list of latents, that of the top layer first"):
        model.decode([])
    with pytest.raises(ValueError, match="Expected `z` to be floating-point. Received: dtype=int32"):
        model.decode(whole)
    with pytest.raises(ValueError, match="Expected `given` to be floating-point. Received: dtype=int32"):
        model.sample(3, given=whole)
    with pytest.raises(
        ValueError, match=r"Expected `given` to be latents of shape \(2, 1, 1, 2\).*Received: given=\(3"
    ):
        model.sample(2, given=latents()[:1])
    for call in (lambda: model.decode(latents(), labels=[0]), lambda: model.sample(1, labels=[0])):
        with pytest.raises(ValueError, match="Expected no `labels`"):
            call()


# The networks.


@keras.saving.register_keras_serializable("tests")
class OwnFeatures(keras.Model):
    """A user's encoder: built by its first call, fine first, with a grid and a weight that nobody asked for."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fine = layers.Conv2D(5, 4, strides=2, padding="same")
        self.coarse = layers.Conv2D(5, 4, strides=4)
        self.idle = layers.Dense(2)

    def call(self, x):
        fine = self.fine(x)
        return fine, self.idle(fine[:, ::2, ::2]), self.coarse(fine)


@pytest.mark.usefixtures("mode")
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
def test_an_encoder_of_the_users_own_trains_and_is_saved(tmp_path):
    model = make(encoder=OwnFeatures(), scales=(8, 2), per_scale=1)
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(images(16), batch_size=8, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images()), model(images()))


def test_a_model_of_one_scale_works_and_loads(tmp_path):
    model = make(scales=(4,), per_scale=2)
    assert [layer["mean"].shape for layer in model.encode(images())] == [(4, 2, 2, 2)] * 2
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images()), model(images()))


@pytest.mark.parametrize(
    ("scales", "width", "given"),
    [((8, 2), 5, "(1, 1, 5), (4, 4, 5)"), ((8, 4, 2), (5, 5, 6), "(1, 1, 5), (2, 2, 5), (4, 4, 6)")],
)
def test_features_that_do_not_fit_the_decoder_are_refused(scales, width, given):
    model = make(encoder=networks.bottom_up_encoder(SHAPE, scales, width, 4, blocks=1))
    message = (
        "Expected the encoder to give a list of features of shapes [(1, 1, 5), (2, 2, 5), (4, 4, 5)], as the decoder's "
        f"grids and widths are. Received: features of shapes [{given}]"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        model.encode(images())


def test_a_decoder_of_too_few_parameters_a_pixel_is_refused():
    model = make(likelihood="discretized_logistic")
    message = "Expected a decoder of 2 parameters a pixel for this likelihood. Received: one of 1"
    with pytest.raises(ValueError, match=message):
        model.compute_terms(images())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"free_bits": -1}, "Expected `free_bits` to be a finite number >= 0. Received: free_bits=-1"),
        ({"encoder": len}, "Expected `encoder` to be a keras layer or model. Received: encoder="),
        ({"likelihood": "nope"}, "Expected `likelihood` to be .*Received: likelihood='nope'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_a_decoder_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="Expected `decoder` to be a zoo.networks.TopDown. Received: decoder=<"):
        zoo.HierarchicalVAE(dense_encoder(), networks.mlp_decoder(SHAPE, 2, hidden=()))


# On a phone.


@pytest.mark.slow  # tests/export/test_parity.py and test_litert.py export a model of two layers
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_same_images_in_tflite_by_builtin_operators_alone():
    model = shared()
    module = tf.Module()
    module.state = [variable.value for variable in model.variables]
    specs = {"seeds": tf.TensorSpec([1], tf.int32), "temperature": tf.TensorSpec([1])}
    sample = tf.function(lambda seeds, temperature: {"image": model.generate(seeds, temperature)[0]})
    converter = tf.lite.TFLiteConverter.from_concrete_functions([sample.get_concrete_function(**specs)], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    runner = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    for seed, temperature in ((0, 1.0), (-5, 1.0), (2**31 - 1, 0.7), (3, 0.0)):
        given = runner(seeds=np.int32([seed]), temperature=np.float32([temperature]))["image"]
        expected = model.sample(1, seed=rows(seed), temperature=temperature)
        np.testing.assert_allclose(given, expected, atol=1e-4)


# The bound of the log-variances.


def drawn_from(model, x):
    """Prior and posterior of each layer, as the objective has them: dicts of block names to (mean, log-variance)."""
    priors, posteriors = {}, {}

    def draw(block, prior, posterior):
        priors[block.name], posteriors[block.name] = prior, posterior
        return posterior[0]

    model.top_down(draw, model.features(x))
    return priors, posteriors


def set_raw_log_var(model, prior, posterior):
    """Makes each network of the layers give these log-variances, the posterior's relative to the prior's."""
    for block in model.decoder.blocks:
        for network, raw in ((block.prior_network, prior), (block.posterior_network, posterior)):
            bias = network.weights[-1]  # of means, log-variances, and what is added to the path
            values = bias.numpy()
            values[block.latent_dim : 2 * block.latent_dim] = raw
            bias.assign(values)


@pytest.mark.parametrize(
    ("raw", "bound"),
    [
        (1e4, 3.0),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in ((-1e4, 14.0), (-1e4, 3.0), (1e4, 14.0))),
    ],
)
def test_log_variances_of_prior_and_posterior_stay_within_the_bound(raw, bound):
    model = make() if bound == 14.0 else make(max_log_var=bound)
    assert model.max_log_var == bound  # 14 is the default
    set_raw_log_var(model, raw, 0.0)
    priors, posteriors = drawn_from(model, images())
    for name in LAYERS:
        for _, log_var in (priors[name], posteriors[name]):
            np.testing.assert_allclose(log_var, np.full(log_var.shape, math.copysign(bound, raw)), rtol=0.02)
    for layer in model.encode(images()):
        # By softplus(−2 · bound) more, at most: the bound from below lifts that from above.
        assert np.all(np.abs(layer["log_var"]) <= bound + math.log1p(math.exp(-2 * bound)) + 1e-5)
    terms = model.compute_terms(images())
    assert all(np.all(np.isfinite(values)) for values in terms.values())
    assert np.all(np.isfinite(model.sample(2, seed=0)))


def test_a_posterior_wide_over_a_narrow_prior_has_the_kl_of_the_bounds():
    model = make(max_log_var=2.0)
    set_raw_log_var(model, -1e4, 2e4)
    priors, posteriors = drawn_from(model, images())
    model.sampling.noise = tf.zeros  # the layers below depend on what is drawn above
    terms = model.compute_terms(images())
    for name in LAYERS:
        difference = np.square(posteriors[name][0] - priors[name][0])
        # softplus(−4) = 0.018 short of the bounds, at most
        kl = 0.5 * (math.exp(4) - 1 - 4 + difference * math.exp(2))
        np.testing.assert_allclose(terms[f"kl_{name}"], np.sum(kl, axis=(1, 2, 3)), rtol=0.05)


def test_the_bound_of_the_log_variances_survives_saving(tmp_path):
    model = make(max_log_var=3.0)
    set_raw_log_var(model, 1e4, 0.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.max_log_var == 3.0
    for before, after in zip(drawn_from(model, images()), drawn_from(loaded, images()), strict=True):
        for name in LAYERS:
            np.testing.assert_allclose(after[name], before[name], rtol=1e-6, atol=1e-6)
