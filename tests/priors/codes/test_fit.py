"""What holds for the training of every prior over codes, and for its saving."""

import math

import entries
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

every_kind = pytest.mark.parametrize("kind", entries.KINDS)
# They train by the same steps, which their base class makes.
one_kind = pytest.mark.parametrize(
    "kind", [pytest.param(zoo.priors.Transformer, marks=pytest.mark.slow), zoo.priors.PixelCNN]
)


@one_kind
def test_fit_reaches_the_entropy_of_a_known_source(kind):
    keras.utils.set_random_seed(0)
    prior = kind(4, entries.GRID, entries.CLASSES, **entries.OPTIONS[kind])
    prior.compile(keras.optimizers.Adam(1e-2))
    history = prior.fit(*entries.walk(2048, num_classes=3), batch_size=64, epochs=6, verbose=0).history
    assert set(history) == {"loss", "nats_per_code"}
    np.testing.assert_allclose(np.divide(history["loss"], history["nats_per_code"]), 6.0, rtol=1e-5)
    fresh = entries.walk(2048, seed=1, num_classes=3)
    loss = prior.evaluate(*fresh, batch_size=512, verbose=0, return_dict=True)["loss"]
    assert abs(loss - entries.WALK_ENTROPY) < 0.15
    assert loss == pytest.approx(-np.mean(prior.log_prob(*fresh)), rel=1e-5)
    # What it draws is of the source: no code is two steps on from the one before.
    steps = np.diff(prior.sample(256, seed=0, labels=entries.labels(256)).numpy().reshape(256, -1)) % 4
    assert np.mean(steps > 1) < 0.01 and 0.2 < np.mean(steps == 1) < 0.3


def trained(kind, num_classes=None, number=32, epochs=2, **kwargs):
    prior = entries.make(kind, num_classes, **kwargs)
    prior.compile(keras.optimizers.Adam(1e-2))
    fit(prior, number, epochs)
    return prior


def fit(prior, number=32, epochs=2):
    codes, labels = entries.walk(number, num_classes=prior.num_classes)
    data = tf.data.Dataset.from_tensor_slices((codes, labels) if prior.conditional else codes).batch(8)
    return prior.fit(data, epochs=epochs, shuffle=False, verbose=0).history


@pytest.mark.long
@one_kind
def test_two_replicas_end_with_the_weights_of_one(kind):
    alone = trained(kind, entries.CLASSES, number=27)  # a last batch of three
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        spread = entries.make(kind, entries.CLASSES)
        spread.compile(keras.optimizers.Adam(1e-2))
    fit(spread, 27)
    for one, two in zip(alone.weights, spread.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-3, atol=1e-5, err_msg=one.path)


@one_kind  # tests/conformance and tests/models/test_vq_vae_prior.py save a Transformer
def test_every_argument_survives_saving_and_training_goes_on_as_if_it_had_never_stopped(kind, tmp_path):
    prior = trained(kind, entries.CLASSES, dropout=0.2, seed=7, name="other")
    prior.save(tmp_path / "prior.keras")
    loaded = keras.models.load_model(tmp_path / "prior.keras")
    expected = {
        "num_codes": 4, "grid_shape": (2, 3), "num_classes": 3, "dropout": 0.2, "seed": 7, "name": "other",
        **entries.OPTIONS[kind],
    }  # fmt: skip
    assert {name: getattr(loaded, name) for name in expected} == expected
    assert set(prior.get_config()) == {*expected, "trainable", "dtype"}
    codes, labels = entries.codes(), entries.labels()
    np.testing.assert_array_equal(prior.log_prob(codes, labels), loaded.log_prob(codes, labels))
    np.testing.assert_array_equal(prior.sample(6, 0, labels=labels), loaded.sample(6, 0, labels=labels))
    assert fit(prior)["loss"] == pytest.approx(fit(loaded)["loss"], rel=1e-6)
    for before, after in zip(prior.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


@one_kind
def test_dropout_acts_in_training_alone_and_repeats_with_the_seed(kind):
    codes = entries.codes()
    one, two = (entries.make(kind, dropout=0.5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.logits(codes), one.logits(codes))
    drawn = one.logits(codes, training=True)
    np.testing.assert_array_equal(drawn, two.logits(codes, training=True))
    assert np.abs(drawn - one.logits(codes, training=True)).max() > 1e-3
    assert np.abs(drawn - one.logits(codes)).max() > 1e-3


@pytest.mark.parametrize(
    "kind, policy",
    [
        (zoo.priors.Transformer, "mixed_bfloat16"),
        pytest.param(zoo.priors.PixelCNN, "mixed_float16", marks=pytest.mark.slow),
        pytest.param(zoo.priors.Transformer, "mixed_float16", marks=pytest.mark.slow),
        pytest.param(zoo.priors.PixelCNN, "mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_mixed_precision_trains_and_samples_with_logits_in_float32(kind, policy):
    prior = entries.make(kind, dtype=policy)
    prior.compile(keras.optimizers.Adam(1e-2))
    losses = fit(prior, 64, 6)["loss"]
    assert all(math.isfinite(loss) for loss in losses) and losses[-1] < losses[0]
    codes = prior.sample(6, seed=0)
    assert prior.logits(codes).dtype == prior.log_prob(codes).dtype == tf.float32
    step, _ = prior.step(tf.constant(0), tf.zeros((6, 6), tf.int32), None, prior.start(6))
    assert step.dtype == tf.float32
    np.testing.assert_allclose(step, prior.logits(codes)[:, 0, 0], atol=0.05)


@every_kind
def test_predict_gives_logits(kind):
    prior, codes = entries.make(kind), entries.codes()
    np.testing.assert_allclose(prior.predict(codes, verbose=0), prior.logits(codes), atol=1e-5)


@every_kind
def test_the_gradient_of_a_vector_is_dense_however_often_its_code_occurs(kind):
    # Keras's Adam would square what each occurrence adds by itself, so that its step depends on how they are split.
    prior = entries.make(kind)
    seen = []

    class Recording(keras.optimizers.Adam):
        def apply_gradients(self, pairs):
            pairs = list(pairs)
            seen.extend(gradient for gradient, _ in pairs)
            return super().apply_gradients(pairs)

    prior.compile(Recording(), run_eagerly=True)
    prior.fit(np.ones((2, *entries.GRID), np.int32), verbose=0)
    assert len(seen) == len(prior.trainable_variables) and all(isinstance(gradient, tf.Tensor) for gradient in seen)
