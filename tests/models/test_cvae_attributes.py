"""A CVAE whose labels are attributes: how they reach the networks, Keras's verbs, exports, and what is refused."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import zoo

ATTRIBUTES = 2
X = by_hand.images(12)
LABELS = np.random.default_rng(3).normal(size=(12, ATTRIBUTES)).astype("float32")


def make(**kwargs):
    networks = by_hand.networks(conditions=ATTRIBUTES)
    model = by_hand.shaken(zoo.CVAE(*networks, num_attributes=ATTRIBUTES, seed=0, **kwargs), 0.3)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def with_planes(x, labels):
    planes = np.ones((*x.shape[:3], ATTRIBUTES), "float32") * labels[:, None, None, :]
    return np.concatenate([x, planes], axis=-1)


def test_attributes_are_planes_behind_the_channels_and_numbers_behind_the_latents():
    model = by_hand.fix_noise(make())
    np.testing.assert_array_equal(model.encoder_inputs(X, LABELS), with_planes(X, LABELS))
    mean, log_var = by_hand.posterior(model, with_planes(X, LABELS))
    np.testing.assert_allclose(model.encode(X, LABELS)["mean"], mean, rtol=1e-4, atol=1e-5)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    logits = by_hand.dense(model.decoder, np.concatenate([z, LABELS], axis=1))
    terms = model.compute_terms(X, labels=LABELS)
    np.testing.assert_allclose(terms["reconstruction"], -by_hand.log_bernoulli(X, logits.astype("float64")), rtol=1e-4)
    np.testing.assert_allclose(terms["kl"], by_hand.kl(mean, log_var).sum(axis=1), rtol=1e-4)
    decoded = np.reshape(model.decode(z.astype("float32"), LABELS), (12, -1))
    np.testing.assert_allclose(decoded, 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert model.conditional and model.num_conditions == ATTRIBUTES and model.label_spec == ("float32", (ATTRIBUTES,))


def test_labels_of_fit_are_attributes_in_every_form_and_float64_will_do():
    dataset = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(4)
    histories = []
    for data in ((X, LABELS), ((X, LABELS),), (X, LABELS.astype("float64")), (dataset,)):
        model = make()
        how = {} if data[0] is dataset else {"batch_size": 4}
        histories.append(model.fit(*data, shuffle=False, verbose=0, **how).history["loss"])
    for history in histories[1:]:
        assert history == pytest.approx(histories[0], rel=1e-5)
    assert model.evaluate(X, LABELS, verbose=0, return_dict=True).keys() == {"loss", "reconstruction", "kl", "elbo"}


def test_y_is_the_labels_and_a_target_comes_with_labels_beside_x():
    """The attributes are float [B,d] here, which for another model would be a target."""
    model, denoising = make(), make()
    with pytest.raises(
        ValueError, match=r"Expected `labels` to be float32 of shape \[12, 2\], the attributes. Received"
    ):
        model.fit(X, X, verbose=0)
    history = denoising.fit((X, LABELS), np.clip(X + 0.1, 0, 1), verbose=0).history
    assert np.isfinite(history["loss"][0]) and denoising.denoises and not model.denoises


def test_what_the_other_methods_give_with_attributes():
    model = make()
    assert model.reconstruct(X, LABELS).shape == X.shape
    one = model.log_prob(X, 3, seed=1, labels=LABELS)
    assert one.shape == (12,) and np.abs(one - model.log_prob(X, 3, seed=1, labels=-LABELS)).max() > 1e-3
    sample = model.sample(12, seed=0, labels=LABELS)
    assert sample.shape == X.shape and np.abs(sample - model.sample(12, seed=0, labels=-LABELS)).max() > 1e-3
    e = model.embed(X, LABELS)
    np.testing.assert_allclose(model.decode_embedding(e, LABELS), model.reconstruct(X, LABELS), atol=1e-6)


@pytest.mark.parametrize("target", ["saved_model", "model.tflite"])
def test_exports_take_attributes_as_float32(target, tmp_path):
    model = make()
    path = model.export(tmp_path / target)
    seeds, temperatures = np.int32([1, 2, 3]), np.ones(3, "float32")
    expected = model.sample(3, seed=seeds, labels=LABELS[:3])
    if path.is_dir():
        sample = tf.saved_model.load(str(path)).signatures["sample"]
        given = {"seed": seeds, "temperature": temperatures, "labels": LABELS[:3]}
        received = sample(**{name: tf.constant(value) for name, value in given.items()})["image"]
    else:
        runner = Interpreter(str(path)).get_signature_runner("sample")
        rows = [
            runner(seed=seeds[i : i + 1], temperature=temperatures[:1], labels=LABELS[i : i + 1])["image"]
            for i in range(3)
        ]
        received = np.concatenate(rows)
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_attributes_survive_saving(tmp_path):
    model = make()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.num_attributes, loaded.num_classes) == (ATTRIBUTES, None)
    np.testing.assert_array_equal(loaded.reconstruct(X, LABELS), model.reconstruct(X, LABELS))


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        (np.zeros((12, 3), "float32"), r"float32 of shape \[12, 3\]"),
        (np.zeros((12, ATTRIBUTES), "int32"), r"int32 of shape \[12, 2\]"),
        (np.zeros((11, ATTRIBUTES), "float32"), r"float32 of shape \[11, 2\]"),
        (np.zeros(12, "float32"), r"float32 of shape \[12\]"),
    ],
)
def test_attributes_of_another_type_or_shape_are_refused_by_name(labels, received):
    model = make()
    message = rf"Expected `labels` to be float32 of shape \[\w+, 2\], the attributes. Received: {received}"
    for call in (model.encode, model.reconstruct, model.fit):
        with pytest.raises(ValueError, match=message):
            call(X, labels)


def test_missing_attributes_nan_and_weights_of_classes_are_refused():
    model = make()
    for call in (lambda: model.encode(X), lambda: model.sample(2), lambda: model.fit(X, verbose=0)):
        with pytest.raises(ValueError, match="Expected `labels`, as CVAE is conditional. Received: None"):
            call()
    bad = LABELS.copy()
    bad[5, 1] = np.nan
    for call in (model.encode, model.fit):
        with pytest.raises(ValueError, match="Expected `labels` to be finite numbers.* the first in row 5"):
            call(X, bad)
    with pytest.raises(
        ValueError, match="Expected `class_weight` to be None, as CVAE has no classes; use sample_weight"
    ):
        model.fit(X, LABELS, class_weight={0: 1.0}, verbose=0)
    encoder, decoder = by_hand.networks(conditions=ATTRIBUTES)
    with pytest.raises(ValueError, match="Expected `num_attributes` to be None beside num_classes"):
        zoo.CVAE(encoder, decoder, num_classes=2, num_attributes=2)
    with pytest.raises(ValueError, match="Expected `num_attributes` to be an integer >= 1. Received: num_attributes=0"):
        zoo.CVAE(encoder, decoder, num_attributes=0)
    with pytest.raises(ValueError, match="Expected `num_classes` to be an integer >= 1, unless num_attributes is one"):
        zoo.CVAE(encoder, decoder)
