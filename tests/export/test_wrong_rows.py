"""Rows that the model's methods refuse give NaN, or −1 for codes, and do not change the rows beside them."""

import exports
import numpy as np
import pytest
import tensorflow as tf

every_format = pytest.mark.parametrize("format", exports.FORMATS)
WRONG = slice(2, None)


def assert_nothing_but_the_first_two(path, signature, inputs):
    """`inputs` have wrong rows from the third on."""
    received = exports.run(path, signature, inputs)
    alone = exports.run(path, signature, {name: value[:2] for name, value in inputs.items()})
    for name, values in received.items():
        exports.assert_agree(values[:2], alone[name], f"{name} of {signature}")
        wrong = values[WRONG] == -1 if values.dtype.kind == "i" else np.isnan(values[WRONG])
        assert wrong.all() and not (np.isnan(alone[name]) | (alone[name] == -1)).any(), (signature, name)


def wrong_images(name):
    x, labels = exports.images(name, 5)
    x[2, 0, 0], x[3], x[4, -1, -1] = np.nan, 255 * x[3] + 2, -np.inf
    return x, labels


@every_format
def test_data_out_of_range(format, exported):
    x, labels = wrong_images("cvae")
    for signature, more in (("reconstruct", {}), ("encode", {}), ("log_prob", {"seed": np.arange(5, dtype=np.int32)})):
        assert_nothing_but_the_first_two(exported("cvae", format), signature, {"image": x, "labels": labels, **more})
    x, _ = wrong_images("vq_vae_prior")
    assert_nothing_but_the_first_two(exported("vq_vae_prior", format), "encode", {"image": x})


@every_format
def test_labels_codes_latents_and_temperatures_out_of_range(format, exported):
    seed, ones = np.arange(5, dtype=np.int32), np.ones(5, np.float32)
    labels = np.int32([0, 3, 4, -1, 2**31 - 1])
    assert_nothing_but_the_first_two(
        exported("cvae", format), "sample", {"seed": seed, "temperature": ones, "labels": labels}
    )
    labels = np.int32([0, 2, 3, -1, 99])  # of the prior alone
    assert_nothing_but_the_first_two(
        exported("vq_vae_labels", format), "sample", {"seed": seed, "temperature": ones, "labels": labels}
    )
    codes = np.ones((5, *exports.ENTRIES["vq_vae_prior"].codes_shape), np.int32)
    codes[2, 0, 0], codes[3, 0, 0], codes[4] = -1, 12, 2**31 - 1
    assert_nothing_but_the_first_two(exported("vq_vae_prior", format), "decode", {"codes": codes})
    z = np.zeros((5, exports.latent_width("vae")), np.float32)
    z[2, 0], z[3, 1], z[4, 0] = np.nan, np.inf, -np.inf
    assert_nothing_but_the_first_two(exported("vae", format), "decode", {"z": z})
    temperature = np.float32([1.0, 0.0, -1e-3, np.nan, np.inf])
    assert_nothing_but_the_first_two(exported("vae", format), "sample", {"seed": seed, "temperature": temperature})


def test_a_row_does_not_count_for_several(exported):
    model = tf.saved_model.load(str(exported("vae")))
    x, _ = exports.images("vae", 3)
    for image, seed in ((x, [0]), (x[:1], [0, 1, 2])):
        found = model.signatures["log_prob"](image=tf.constant(image), seed=tf.constant(seed, tf.int32))
        assert np.isnan(found["log_prob"]).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
        model.signatures["log_prob"](image=tf.constant(x), seed=tf.constant([0, 1], tf.int32))
