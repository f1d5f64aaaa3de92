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
