"""The path of a hierarchical VAE: by hand on a grid of one place, its shapes elsewhere, and what it refuses."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks import TopDown

CONFIG = {
    "image_shape": (8, 12, 2),
    "scales": (4, 2),
    "layers": (1, 2),
    "latent_dim": (3, 2),
    "width": (6, 5),
    "hidden": (4, 3),
    "activation": "silu",
}


def make(shaken=0.3, **changes):
    """A decoder with weights far enough from the initial ones that no network is silent."""
    decoder = TopDown(**{**CONFIG, **changes})
    draw = np.random.default_rng(1)
    for weight in decoder.trainable_weights:
        weight.assign_add(draw.normal(0, shaken, weight.shape))
    return decoder


def latents(decoder, number=2):
    draw = np.random.default_rng(0)
    return [draw.normal(size=(number, *block.latent_shape)).astype("float32") for block in decoder.blocks]


def silu(x):
    return x / (1 + np.exp(-x))


# Shapes.


@pytest.mark.parametrize(
    ("image_shape", "scales", "layers", "names"),
    [
        ((32, 32, 100), (32, 8, 2), (1, 2, 1), ["1x1_1", "4x4_2", "4x4_3", "16x16_4"]),
        ((12, 6, 1), (6, 2, 1), 1, ["2x1_1", "6x3_2", "12x6_3"]),  # tripled, doubled, and as fine as the image
        ((6, 9, 2), (3,), 2, ["2x3_1", "2x3_2"]),
        ((4, 6, 3), (1,), (1,), ["4x6_1"]),
    ],
)
def test_grids_are_the_image_divided_by_each_scale_and_the_result_is_of_its_size(image_shape, scales, layers, names):
    decoder = TopDown(image_shape, scales, layers, latent_dim=2, width=4, hidden=3)
    assert [block.name for block in decoder.blocks] == names
    for block, name in zip(decoder.blocks, names):
        assert block.latent_shape == (*map(int, name.split("_")[0].split("x")), 2)
    assert decoder(latents(decoder)).shape == (2, *image_shape)


def test_one_int_stands_for_every_scale():
    decoder = TopDown((8, 8, 1), (4, 2), layers=3, latent_dim=5, width=7, hidden=6)
    assert (decoder.layers, decoder.latent_dim) == ((3, 3), (5, 5))
    assert (decoder.width, decoder.hidden) == ((7, 7), (6, 6))
    assert [block.latent_shape for block in decoder.blocks] == [(2, 2, 5)] * 3 + [(4, 4, 5)] * 3


# What is computed.


def on_one_place(h, weights):
    """Activation, layer, activation, layer: what a block's networks are on a grid of one place."""
    first, bias, second, *last = weights
    return silu(silu(h) @ first[0, 0] + bias) @ second[0, 0] + (last[0] if last else 0)


def test_one_place_by_hand():
    decoder = make(image_shape=(4, 4, 2), scales=(4,), layers=2, latent_dim=3, width=5, hidden=4)
    z = latents(decoder)
    h = decoder.start.numpy()[:, 0, 0]
    for block, values in zip(decoder.blocks, z):
        h = h + on_one_place(h, block.prior_network.get_weights())[:, 6:]  # beyond three means and three log-variances
        h = h + values[:, 0, 0] @ block.project.get_weights()[0][0, 0]
        h = h + on_one_place(h, block.residual_network.get_weights())
    kernel, bias = decoder.output_network.get_weights()  # [4,4,2,5]: all of the image from the one place
    expected = np.einsum("bw,ijcw->bijc", silu(h), kernel) + bias
    np.testing.assert_allclose(decoder(z), expected, rtol=1e-4, atol=1e-5)


def test_prior_and_posterior_by_hand_the_posterior_relative_to_the_prior():
    block = make(image_shape=(4, 4, 2), scales=(4,), layers=1, latent_dim=3, width=5, hidden=4).blocks[0]
    h, features = np.random.default_rng(0).normal(size=(2, 2, 5)).astype("float32")
    path, mean, log_var = block.prior(tf.constant(h[:, None, None]))
    output = on_one_place(h, block.prior_network.get_weights())
    np.testing.assert_allclose(mean[:, 0, 0], output[:, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_var[:, 0, 0], output[:, 3:6], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(path[:, 0, 0], h + output[:, 6:], rtol=1e-4, atol=1e-5)
    shifted, stretched = block.posterior(path, tf.constant(features[:, None, None]), mean, log_var)
    both = np.concatenate([h + output[:, 6:], features], axis=1)
    change = on_one_place(both, block.posterior_network.get_weights())
    np.testing.assert_allclose(shifted[:, 0, 0], output[:, :3] + change[:, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stretched[:, 0, 0], output[:, 3:6] + change[:, 3:], rtol=1e-4, atol=1e-5)


def test_at_first_every_prior_is_standard_normal_and_every_posterior_its_prior_whatever_comes_in():
    decoder = make(shaken=0.0)
    draw = np.random.default_rng(0)
    for block in decoder.blocks:
        h, features = tf.constant(draw.normal(size=(2, 2, *block.latent_shape[:2], block.width)), tf.float32)
        path, mean, log_var = block.prior(h)
        np.testing.assert_array_equal(path, h)
        np.testing.assert_array_equal(mean, np.zeros((2, *block.latent_shape)))
        np.testing.assert_array_equal(log_var, np.zeros((2, *block.latent_shape)))
        for given, wanted in zip(block.posterior(path, features, mean, log_var), (mean, log_var)):
            np.testing.assert_array_equal(given, wanted)


def test_the_path_keeps_its_size_at_first_however_many_layers_add_to_it():
    sizes = []
    for layers in (1, 12):
        decoder = make(shaken=0.0, image_shape=(8, 8, 1), scales=(2,), layers=layers, latent_dim=8, width=32, hidden=16)
        decoder.start.assign(np.random.default_rng(0).normal(size=decoder.start.shape))
        h = decoder.begin(8)
        for block, z in zip(decoder.blocks, latents(decoder, 8)):
            h = block.merge(h, z)
        sizes.append(float(tf.math.reduce_variance(h)))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.5)


def test_every_latent_moves_the_image_and_only_that_of_its_row():
    decoder = make()
    z = latents(decoder)
    before = decoder(z).numpy()
    for number in range(len(z)):
        moved = [values.copy() for values in z]
        moved[number][1] += 1.0
        after = decoder(moved).numpy()
        np.testing.assert_allclose(after[0], before[0], rtol=1e-4, atol=1e-5)
        assert np.abs(after[1] - before[1]).max() > 1e-3


def test_under_mixed_precision_the_path_is_narrow_and_the_distributions_are_float32():
    decoder = make(dtype="mixed_bfloat16")
    z = latents(decoder)
    exact = make()
    exact.set_weights(decoder.get_weights())
    assert decoder(z).dtype == tf.bfloat16 and decoder.start.dtype == "float32"
    np.testing.assert_allclose(tf.cast(decoder(z), tf.float32), exact(z), atol=0.1 * np.abs(exact(z)).max())
    h, mean, log_var = decoder.blocks[0].prior(decoder.begin(2))
    assert h.dtype == tf.bfloat16 and mean.dtype == log_var.dtype == tf.float32


# Saving.


def test_config_keeps_every_argument_also_by_way_of_json():
    decoder = make(name="path", dtype="mixed_bfloat16")
    config = decoder.get_config()
    assert {name: config[name] for name in CONFIG} == CONFIG
    restored = TopDown.from_config(json.loads(json.dumps(keras.saving.serialize_keras_object(decoder)["config"])))
    assert {name: getattr(restored, name) for name in CONFIG} == CONFIG
    assert restored.name == "path" and restored.dtype_policy.name == "mixed_bfloat16"


def test_a_restored_layer_with_the_same_weights_gives_the_same():
    decoder = make()
    restored = TopDown.from_config(decoder.get_config())
    restored.set_weights(decoder.get_weights())
    np.testing.assert_array_equal(restored(latents(decoder)), decoder(latents(decoder)))


def test_sizes_may_be_numbers_of_numpy():
    decoder = make(image_shape=np.array([8, 12, 2]), scales=np.array([4, 2]), layers=np.int64(1))
    assert decoder.layers == (1, 1) and type(decoder.scales[0]) is type(decoder.image_shape[0]) is int


# Refusals.


@pytest.mark.parametrize(
    "scales", [(), (2, 4), (4, 4), (4, 3), (6, 4, 2), (4, 0), (0,), (-4,), (4.0, 2), (True,), 4, None, "42"]
)
def test_scales_are_refused_unless_each_is_a_multiple_of_the_next(scales):
    message = f"Expected `scales` to be one or more integers >= 1, each a multiple of the next. Received: {scales=}"
    with pytest.raises(ValueError, match=re.escape(message)):
        make(scales=scales)


@pytest.mark.parametrize("shape", [(8, 10, 2), (10, 8, 2), (8, 8), (8, 8, 2, 1), (8, 8, 0), (8.0, 8, 1), 8, None])
def test_images_that_the_coarsest_scale_does_not_divide_are_refused(shape):
    message = f"Expected `image_shape` to be (H, W, C) with H and W divisible by 4. Received: image_shape={shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        make(image_shape=shape)


@pytest.mark.parametrize("name", ["layers", "latent_dim", "width", "hidden"])
def test_sizes_are_refused_unless_they_are_one_int_or_one_for_each_scale(name):
    for value, wrong in ((0, 0), ((2, -1), -1), (1.5, 1.5), ((2, None), None), (None, None), (True, True), ("2", "2")):
        message = f"Expected `{name}` to be an integer >= 1. Received: {name}={wrong!r}"
        with pytest.raises(ValueError, match=re.escape(message)):
            make(**{name: value})
    for value in ((2,), (2, 2, 2), ()):
        message = f"Expected `{name}` to be an int or one for each of the 2 scales. Received: {name}={value}"
        with pytest.raises(ValueError, match=re.escape(message)):
            make(**{name: value})


@pytest.mark.parametrize("activation", ["nope", None, 3, tf.nn.relu])
def test_an_activation_is_refused_unless_it_is_the_name_of_one(activation):
    with pytest.raises(
        ValueError, match="Expected `activation` to be the name of an activation.*Received: activation="
    ):
        make(activation=activation)


def test_latents_are_refused_unless_there_is_one_array_of_its_shape_for_each_layer():
    decoder = make()
    z = latents(decoder)
    thin = [*z[:2], z[2][:, :1, :1]]  # it would be broadcast
    for wrong in (z[:2], [*z, z[-1]], [z[0], z[2], z[1][..., :1]], thin):
        with pytest.raises(ValueError, match=r"Expected `z` to be a list of latents of shapes \[\(2, 3, 3\), .* Rec"):
            decoder(wrong)


def test_output_blocks_work_at_the_size_of_the_image_and_bottlenecks_narrow_the_networks():
    def decoder(**settings):
        return TopDown((8, 8, 3), scales=(4, 2), layers=1, latent_dim=2, width=16, hidden=4, **settings)

    plain, both = decoder(), decoder(bottleneck=True, output_blocks=2, output_width=6)
    shapes = [block.latent_shape for block in both.blocks]
    assert shapes == [block.latent_shape for block in plain.blocks]
    assert both([np.zeros((1, *shape), np.float32) for shape in shapes]).shape == (1, 8, 8, 3)
    # 3×3 from 32 channels to 4 becomes 1×1 from 32 to 4 and 3×3 from 4 to 4; biases beside.
    posterior, narrow = (model.blocks[0].posterior_network.count_params() for model in (plain, both))
    assert posterior - narrow == 9 * 32 * 4 - (32 * 4 + 4 + 9 * 4 * 4)
    # Transposed 4×4 from 16 to 6; two blocks, 3×3 with biases and 1×1 without; 1×1 to 3.
    assert both.output_network.count_params() == 16 * 16 * 6 + 6 + 2 * (9 * 36 + 6 + 36) + 6 * 3 + 3
    assert TopDown.from_config(both.get_config()).get_config() == both.get_config()
    with pytest.raises(ValueError, match="Expected `output_blocks`"):
        decoder(output_blocks=-1)


def test_a_saved_decoder_is_built_again_in_its_own_dtype():
    config = make().get_config()
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float16")
        again = TopDown.from_config(config)
    finally:
        keras.config.set_floatx(before)
    parts = [again.output_network]
    for block in again.blocks:
        parts += [part for part in (block.enlarge, block.prior_network, block.residual_network) if part is not None]
    assert {each.dtype for part in parts for each in part.inputs} == {"float32"}


def test_a_bottleneck_is_a_boolean():
    with pytest.raises(ValueError, match="Expected `bottleneck` to be"):
        make(bottleneck="no")
