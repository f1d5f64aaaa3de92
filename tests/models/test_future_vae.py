"""The VAE of next frames: how the past reaches its networks, its objective by hand, and its exports."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import zoo
from zoo import applications, networks

CLIPS = np.random.default_rng(1).uniform(size=(6, 3, 4, 4, 1)).astype("float32")
PAST, NEXT = CLIPS[:, :1], CLIPS[:, 1:]


@pytest.fixture(scope="module")
def model():
    """A model of two frames given one; features of the past are a grid of 2×2, and there are three latents."""
    keras.utils.set_random_seed(0)
    past = networks.clip_features((1, 4, 4, 1), 2, 4, downsamples=1, blocks=0)
    encoder = keras.Sequential([layers.Input((3, 4, 4, 1)), layers.Flatten(), layers.Dense(6)])
    decoder = networks.clip_decoder((2, 2, 5), (2, 4, 4, 1), 4, blocks=0)
    prior = keras.Sequential([layers.Input((1, 4, 4, 1)), layers.Flatten(), layers.Dense(6)])
    made = zoo.FutureVAE(encoder, decoder, past, prior=zoo.priors.ConditionalGaussian(prior), seed=0)
    made.compile("sgd")
    return by_hand.shaken(made, 0.3)


def halves(network, x):
    kernel, bias = network.get_weights()
    mean, raw = np.split(x.reshape(len(x), -1) @ kernel + bias, 2, axis=1)
    return mean, np.asarray(zoo.distributions.bound_log_var(raw))


def test_the_objective_by_hand(model):
    by_hand.fix_noise(model)
    mean, log_var = halves(model.encoder, CLIPS)
    prior_mean, prior_log_var = halves(model.prior.network, PAST)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    features = np.asarray(model.past(PAST))
    joined = np.concatenate([features, np.broadcast_to(z[:, None, None], (6, 2, 2, 3))], axis=-1)
    np.testing.assert_allclose(model.decoder_inputs(z, PAST), joined, rtol=1e-4, atol=1e-5)
    logits = np.asarray(model.decoder(joined), "float64").reshape(6, -1)
    terms = model.compute_terms(NEXT, labels=PAST)
    np.testing.assert_allclose(terms["reconstruction"], -by_hand.log_bernoulli(NEXT, logits), rtol=1e-4)
    ratio = (np.exp(log_var) + (mean - prior_mean) ** 2) / np.exp(prior_log_var)
    kl = 0.5 * (prior_log_var - log_var + ratio - 1).sum(axis=1)
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-3)
    assert model.image_shape == (2, 4, 4, 1) and model.label_spec == ("float32", (1, 4, 4, 1))


@pytest.mark.parametrize("where", ["past", "prior"])
def test_the_networks_of_the_past_are_trained_as_those_of_the_clip(where):
    def trained(norm, penalty, x=slice(None), strategy=None):
        keras.utils.set_random_seed(0)
        with (strategy or tf.distribute.get_strategy()).scope():

            def network(units, is_it):
                own = [layers.BatchNormalization(momentum=0.5)] if norm and is_it else []
                last = layers.Dense(units, activity_regularizer=keras.regularizers.L2(penalty) if is_it else None)
                return keras.Sequential([layers.Input((1, 4, 4, 1)), layers.Flatten(), *own, last])

            encoder = keras.Sequential([layers.Input((3, 4, 4, 1)), layers.Flatten(), layers.Dense(4)])
            prior = zoo.priors.ConditionalGaussian(network(4, where == "prior"))
            decoder = networks.mlp_decoder((2, 4, 4, 1), 7, hidden=())
            model = zoo.FutureVAE(encoder, decoder, network(5, where == "past"), prior=prior, seed=0)
            model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
            model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        return model.fit(NEXT[x], PAST[x], verbose=0, shuffle=False).history["loss"][0], model

    loss, model = trained(False, 0.0)
    network = model.past if where == "past" else model.prior.network
    penalty = 0.3 * np.square(network.predict(PAST, verbose=0)).sum() / len(PAST)
    assert trained(False, 0.3)[0] - loss == pytest.approx(penalty, rel=1e-4)
    normed = trained(True, 0.0)[1]
    norm = (normed.past if where == "past" else normed.prior.network).layers[1]
    np.testing.assert_allclose(norm.moving_mean, 0.5 * PAST.reshape(6, -1).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.5 + 0.5 * PAST.reshape(6, -1).var(axis=0), rtol=1e-4)
    shared = trained(True, 0.0, slice(1), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))[1]  # a share is empty
    norm = (shared.past if where == "past" else shared.prior.network).layers[1]
    np.testing.assert_allclose(norm.moving_mean, 0.5 * PAST[0].ravel(), rtol=1e-4)


def test_fit_trains_all_networks_and_a_saved_model_predicts_the_same(model, tmp_path):
    again = keras.models.clone_model(model)
    before = [weight.numpy() for weight in again.trainable_weights]
    again.compile("sgd")
    again.fit(NEXT, PAST, verbose=0)
    assert all((weight.numpy() != old).any() for weight, old in zip(again.trainable_weights, before))
    networks_of_model = (model.encoder, model.decoder, model.past, model.prior)
    assert len(before) == sum(len(each.trainable_weights) for each in networks_of_model)
    again.save(tmp_path / "m.keras")
    found = applications.futures(keras.models.load_model(tmp_path / "m.keras"), PAST[:2], 3, seed=5)
    assert found.shape == (2, 3, 2, 4, 4, 1) and np.ptp(found, axis=1).max() > 1e-3
    np.testing.assert_allclose(found, applications.futures(again, PAST[:2], 3, seed=5), atol=1e-6)
    # Future j of clip i has the seed of row i · number + j.
    alone = again.sample(1, [zoo.random.fold_in(5, 4)], labels=PAST[1:2])
    np.testing.assert_allclose(alone[0], found[1, 1], atol=1e-5)


def test_at_temperature_zero_all_futures_are_that_of_the_priors_mean(model):
    found = applications.futures(model, PAST, 2, seed=5, temperature=0.0)
    mean, _ = halves(model.prior.network, PAST)
    for future in found.swapaxes(0, 1):
        np.testing.assert_allclose(future, model.decode(mean, PAST), atol=1e-5)


def test_exports_give_the_frames_of_the_same_seeds(model, tmp_path):
    seeds, temperature = np.int32([7, 8]), np.float32([1.0, 0.5])
    expected = np.asarray(model.generate(seeds, temperature, PAST[:2])[0])
    inputs = {"seed": seeds, "temperature": temperature, "labels": PAST[:2]}
    saved = tf.saved_model.load(model.export(tmp_path / "saved"))
    found = saved.signatures["sample"](**{name: tf.constant(value) for name, value in inputs.items()})
    np.testing.assert_allclose(found["x"], expected, atol=1e-5)
    runner = Interpreter(str(model.export(tmp_path / "m.tflite"))).get_signature_runner("sample")
    for row in range(2):
        found = runner(**{name: value[row : row + 1] for name, value in inputs.items()})
        np.testing.assert_allclose(found["x"][0], expected[row], atol=1e-5)


def test_frames_of_other_shapes_and_networks_that_give_no_features_are_refused(model):
    with pytest.raises(ValueError, match=r"`labels` to be float32 of shape \[2, 1, 4, 4, 1\]"):
        model.sample(2, labels=CLIPS[:2, :2])
    with pytest.raises(ValueError, match="`labels` to lie in"):
        model.sample(2, labels=255 * PAST[:2])
    with pytest.raises(ValueError, match=r"`past` to be a keras model from \[B, P, …\]"):
        zoo.FutureVAE(model.encoder, model.decoder, keras.Sequential([keras.Input((4,)), layers.Dense(1)]))
    for clip in ((1, 4, 4, 1), (3, 5, 4, 1), (3, 4, 4, 3), (3, 4, 4)):  # no future, other frames
        encoder = keras.Sequential([keras.Input(clip), layers.Flatten(), layers.Dense(4)])
        with pytest.raises(ValueError, match=r"`encoder` to be one of clips of more than 1 frames \(4, 4, 1\)"):
            zoo.FutureVAE(encoder, model.decoder, model.past)
