"""The builders: shapes, refusals, and no normalisation over the batch."""

import re

import keras
import numpy as np
import pytest

import zoo
from zoo import networks

NETWORKS = {
    "mlp_encoder": (lambda: networks.mlp_encoder((5, 3, 2), 4, hidden=(8,)), (5, 3, 2), (8,)),
    "mlp_encoder_of_a_table": (lambda: networks.mlp_encoder((7,), 2, hidden=()), (7,), (4,)),
    "mlp_decoder": (lambda: networks.mlp_decoder((5, 3, 2), 4, hidden=(8,)), (4,), (5, 3, 2)),
    "conv_encoder": (lambda: networks.conv_encoder((28, 28, 1), 3, (4, 8), dense=8), (28, 28, 1), (6,)),
    "conv_encoder_with_blocks": (
        lambda: networks.conv_encoder((8, 16, 3), 2, (4, 4, 4), blocks=2, dense=8), (8, 16, 3), (4,),
    ),
    "conv_decoder": (lambda: networks.conv_decoder((28, 28, 1), 3, (8, 4), dense=8), (3,), (28, 28, 1)),
    "conv_decoder_with_blocks": (
        lambda: networks.conv_decoder((8, 16, 6), 2, (4, 6, 8), blocks=1, dense=8), (2,), (8, 16, 6),
    ),
    "conv1d_encoder": (lambda: networks.conv1d_encoder((18, 2), 3, (4, 8), stride=3, dense=8), (18, 2), (6,)),
    "conv1d_decoder": (lambda: networks.conv1d_decoder((18, 4), 3, (8, 4), stride=3, dense=8), (3,), (18, 4)),
    "conv1d_grid_encoder": (lambda: networks.conv1d_grid_encoder((12, 3), 5, 8, blocks=1), (12, 3), (3, 1, 5)),
    "conv1d_grid_decoder": (lambda: networks.conv1d_grid_decoder((3, 1, 5), 4, 8, blocks=1), (3, 1, 5), (12, 4)),
    "residual_encoder": (lambda: networks.residual_encoder((8, 12, 3), 5, filters=8), (8, 12, 3), (2, 3, 5)),
    "residual_encoder_once": (
        lambda: networks.residual_encoder((6, 6, 1), 5, 8, downsamples=1, blocks=0), (6, 6, 1), (3, 3, 5),
    ),
    "residual_decoder": (lambda: networks.residual_decoder((2, 3, 5), 10, filters=8), (2, 3, 5), (8, 12, 10)),
    "residual_decoder_once": (
        lambda: networks.residual_decoder((3, 3, 5), 1, 8, upsamples=1, blocks=0), (3, 3, 5), (6, 6, 1),
    ),
    "residual_decoder_thrice": (
        lambda: networks.residual_decoder((1, 1, 4), 2, 8, upsamples=3, blocks=1), (1, 1, 4), (8, 8, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_and_give_the_promised_shapes(name):
    build, taken, given = NETWORKS[name]
    network = build()
    assert network.input_shape == (None, *taken) and network.output_shape == (None, *given)
    assert network(np.zeros((2, *taken), "float32")).shape == (2, *given)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_network_normalises_over_the_batch(name):
    build, taken, _ = NETWORKS[name]
    network = build()
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    batch = np.random.default_rng(0).normal(size=(3, *taken)).astype("float32")
    together, apart = network(batch, training=True), network(batch[:1], training=True)
    np.testing.assert_allclose(together[:1], apart, rtol=1e-3, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4  # not that it ignores its input


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_end_without_an_activation(name):
    network = NETWORKS[name][0]()
    last = [layer for layer in network.layers if layer.weights][-1]
    assert last.activation is keras.activations.linear
    after = network.layers[network.layers.index(last) + 1 :]
    assert all(isinstance(layer, keras.layers.Reshape) for layer in after)


WITH_ACTIVATION = {
    "mlp_encoder": lambda how: networks.mlp_encoder((4, 4, 1), 2, (4, 4), **how),
    "mlp_decoder": lambda how: networks.mlp_decoder((4, 4, 1), 2, (4, 4), **how),
    "conv_encoder": lambda how: networks.conv_encoder((4, 4, 1), 2, (4, 4), blocks=1, dense=4, **how),
    "conv_decoder": lambda how: networks.conv_decoder((4, 4, 1), 2, (4, 4), blocks=1, dense=4, **how),
    "conv1d_encoder": lambda how: networks.conv1d_encoder((4, 2), 2, (4, 4), dense=4, **how),
    "conv1d_decoder": lambda how: networks.conv1d_decoder((4, 2), 2, (4, 4), dense=4, **how),
    "residual_encoder": lambda how: networks.residual_encoder((4, 4, 1), 2, 4, blocks=1, **how),
    "residual_decoder": lambda how: networks.residual_decoder((1, 1, 2), 1, 4, blocks=1, **how),
    "unet_decoder": lambda how: networks.unet_decoder((4, 4, 1), 2, filters=(4, 4), features=2, **how),
}


@pytest.mark.parametrize("name", WITH_ACTIVATION)
def test_the_activation_is_that_of_all_hidden_layers(name):
    layers = WITH_ACTIVATION[name]({"activation": "silu"})._flatten_layers()
    found = {layer.activation.__name__ for layer in layers if hasattr(layer, "activation")}
    assert "silu" in found and found <= {"silu", "linear"}


def test_conv_encoder_halves_the_image_once_for_each_entry():
    layers = networks.conv_encoder((28, 28, 1), 2, (32, 64)).layers
    shapes = [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert shapes == [(14, 14, 32), (7, 7, 64)]


@pytest.mark.parametrize(
    ("build", "divisor", "shape"),
    [
        (lambda shape: networks.conv_encoder(shape, 2, (4, 4)), 4, (28, 30, 1)),
        (lambda shape: networks.conv_encoder(shape, 2, (4,)), 2, (7, 8, 1)),
        (lambda shape: networks.conv_encoder(shape, 2, (4,)), 2, (8, 8)),
        (lambda shape: networks.conv_decoder(shape, 2, (4, 4, 4)), 8, (28, 28, 1)),
        (lambda shape: networks.residual_encoder(shape, downsamples=2), 4, (30, 32, 3)),
    ],
)
def test_images_that_cannot_be_halved_that_often_are_refused(build, divisor, shape):
    message = re.escape(f"(H, W, C) with H and W divisible by {divisor}. Received: ") + r"(image|output)_shape="
    with pytest.raises(ValueError, match=message + re.escape(str(shape))):
        build(shape)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.conv1d_encoder((30, 2), 2), "`series_shape` to be (T, C) with T divisible by 4 = 2 ** 2"),
        (lambda: networks.conv1d_decoder((10, 2), 2, (4,), 3), "`output_shape` to be (T, C) with T divisible by 3"),
        (lambda: networks.conv1d_grid_encoder((8, 8, 1), 2), "`series_shape` to be (T, C) with T divisible by 4"),
        (lambda: networks.conv1d_grid_decoder((4, 4, 2), 2), "`grid_shape` to be (h, 1, code_dim)"),
    ],
)
def test_series_that_cannot_be_shortened_that_often_are_refused(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize("latent_dim", [0, -2, 1.5])
def test_latent_dim_is_checked(latent_dim):
    with pytest.raises(ValueError, match="Expected `latent_dim` to be an integer >= 1"):
        networks.mlp_encoder((4, 4, 1), latent_dim)


# The encoder of a hierarchical VAE, which gives a list.

BOTTOM_UP = {
    "one_scale": (lambda: networks.bottom_up_encoder((6, 4, 2), (2,), 5, 3, blocks=1), (6, 4, 2), [(3, 2, 5)]),
    "down_to_one_place": (
        lambda: networks.bottom_up_encoder((8, 8, 1), (8, 4, 2), (6, 5, 4), (3, 2, 1), blocks=(1, 2, 1)),
        (8, 8, 1), [(1, 1, 6), (2, 2, 5), (4, 4, 4)],
    ),
    "as_fine_as_the_image": (
        lambda: networks.bottom_up_encoder((6, 12, 3), (6, 2, 1), 4, 4, 1, "silu"),
        (6, 12, 3), [(1, 2, 4), (3, 6, 4), (6, 12, 4)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTTOM_UP)
def test_bottom_up_encoder_gives_features_at_each_scale_coarse_first(name):
    build, taken, given = BOTTOM_UP[name]
    network = build()
    assert network.input_shape == (None, *taken)
    features = network(np.zeros((2, *taken), "float32"))
    assert [feature.shape for feature in (features if len(given) > 1 else [features])] == [(2, *each) for each in given]


def test_residual_networks_normalise_the_channels_of_each_place_before_the_last_activation():
    keras.utils.set_random_seed(0)
    network = networks.residual_encoder((4, 4, 3), 5, 8, 1, blocks=0, activation="silu", normalization="rms")
    halving, _, _, last = network.layers[1:]
    x = 5.0 * np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype("float32")
    halved = halving(x).numpy()
    normal = halved / np.sqrt(np.mean(halved**2, axis=-1, keepdims=True))
    np.testing.assert_allclose(network(x), last(normal / (1.0 + np.exp(-normal))), rtol=1e-4, atol=1e-5)


def test_residual_networks_refuse_a_normalization_that_they_do_not_have():
    with pytest.raises(ValueError, match="`normalization` to be one of None, 'rms'. Received: normalization='batch'"):
        networks.residual_decoder((2, 2, 4), 1, 8, normalization="batch")


def test_bottom_up_encoder_does_not_normalise_over_the_batch_and_every_scale_sees_the_image():
    network = BOTTOM_UP["down_to_one_place"][0]()
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    batch = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    for together, apart in zip(network(batch, training=True), network(batch[:1], training=True)):
        np.testing.assert_allclose(together[:1], apart, rtol=1e-3, atol=1e-5)
        assert np.abs(together[0] - together[1]).max() > 1e-4


def test_bottom_up_encoder_has_as_many_residual_blocks_at_each_scale_as_it_is_told():
    network = networks.bottom_up_encoder((8, 8, 1), (4, 2), (6, 5), blocks=(3, 1))
    sums = [layer.output.shape[1:] for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert sums == [(4, 4, 5), (2, 2, 6), (2, 2, 6), (2, 2, 6)]


def test_bottom_up_encoder_sees_images_about_zero():
    network = networks.bottom_up_encoder((2, 3, 1), (1,), 4, 4, 1)
    (scaled,) = (layer for layer in network.layers if isinstance(layer, keras.layers.Rescaling))
    assert network.layers[1] is scaled
    np.testing.assert_allclose(scaled(np.float32([0.0, 0.5, 1.0])), [-1.0, 0.0, 1.0])


def test_bottom_up_encoder_fits_the_decoder_of_the_same_arguments():
    arguments = {"scales": (8, 4, 2), "width": (6, 5, 4), "hidden": (3, 2, 1)}
    decoder = zoo.networks.TopDown((8, 16, 1), layers=1, latent_dim=2, **arguments)
    features = networks.bottom_up_encoder((8, 16, 3), **arguments).output_shape
    assert [shape[1:] for shape in features] == [(*block.latent_shape[:2], block.width) for block in decoder.blocks]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (8, 6, 1)}, "`image_shape` to be (H, W, C) with H and W divisible by 4"),
        ({"image_shape": (8, 8)}, "`image_shape` to be (H, W, C) with H and W divisible by 4"),
        ({"scales": (2, 4)}, "`scales` to be one or more integers >= 1, each a multiple of the next"),
        ({"scales": 4}, "`scales` to be one or more integers >= 1, each a multiple of the next"),
        ({"width": 0}, "`width` to be an integer >= 1"),
        ({"width": (8, 8, 8)}, "`width` to be an int or one for each of the 2 scales"),
        ({"hidden": "8"}, "`hidden` to be an integer >= 1"),
        ({"blocks": (2, 0)}, "`blocks` to be an integer >= 1"),
        ({"blocks": 1.5}, "`blocks` to be an integer >= 1"),
    ],
)
def test_bottom_up_encoder_refuses_what_does_not_fit(arguments, message):
    name = next(iter(arguments))
    with pytest.raises(ValueError, match=re.escape(f"Expected {message}. Received: {name}=")):
        networks.bottom_up_encoder(**{"image_shape": (8, 8, 1), **arguments})


def test_gated_layers_multiply_a_dense_layer_by_the_sigmoid_of_another():
    network = networks.mlp_decoder((2, 3), 4, hidden=(5,), activation="gated")
    (kernel, bias), (gate_kernel, gate_bias), (last, last_bias) = (
        [np.asarray(weight) for weight in layer.weights] for layer in network.layers if layer.weights
    )
    z = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    hidden = (z @ kernel + bias) / (1.0 + np.exp(-(z @ gate_kernel + gate_bias)))
    expected = (hidden @ last + last_bias).reshape(7, 2, 3)
    np.testing.assert_allclose(network(z), expected, atol=1e-5)
    encoder = networks.mlp_encoder((2, 3), 4, hidden=(5, 6), activation="gated")
    assert encoder.count_params() == 2 * (6 * 5 + 5) + 2 * (5 * 6 + 6) + (6 * 8 + 8)


@pytest.mark.parametrize("hidden", [16, "16", (16, 0), (16, 1.5)])
def test_units_of_dense_layers_are_whole_numbers(hidden):
    for make in (networks.mlp_encoder, networks.mlp_decoder):
        with pytest.raises(ValueError, match="Expected `hidden` to be an? "):
            make((8, 8, 1), 2, hidden)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: networks.conv_encoder((8, 8, 1), 2, blocks=-1), "Expected `blocks` to be an integer >= 0"),
        (lambda: networks.conv_decoder((8, 8, 1), 2, blocks=-1), "Expected `blocks` to be an integer >= 0"),
        (lambda: networks.residual_encoder((8, 8, 1), 4, blocks=-1), "Expected `blocks` to be an integer >= 0"),
        (lambda: networks.conv1d_grid_encoder((8, 1), 4, blocks=-1), "Expected `blocks` to be an integer >= 0"),
        (lambda: networks.unet_decoder((8, 8, 1), 2, 1, bottom_blocks=-1), "Expected `bottom_blocks` to be an integer"),
        (lambda: networks.conv_decoder((8, 8, 1), 0), "Expected `latent_dim` to be an integer >= 1"),
        (lambda: networks.conv1d_decoder((8, 1), 0), "Expected `latent_dim` to be an integer >= 1"),
        (lambda: networks.mlp_decoder((8,), 0), "Expected `latent_dim` to be an integer >= 1"),
        (lambda: networks.mlp_critic(0), "Expected `latent_dim` to be an integer >= 1"),
        (lambda: networks.conv_encoder((8, 8, 1), 2, ()), "Expected `filters` to be one integer >= 1 or more"),
        (lambda: networks.conv1d_decoder((8, 1), 2, ()), "Expected `filters` to be one integer >= 1 or more"),
        (lambda: networks.conv_encoder((8, 8, 1), 2, 32), "Expected `filters` to be a tuple of integers >= 1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["conv_encoder", "conv1d_decoder", "residual_encoder", "clip", "patch", "top_down"])
def test_convolutions_that_would_read_channels_first_are_refused(name):
    builders = {
        **{each: build for each, (build, *_) in NETWORKS.items()},
        "clip": lambda: networks.clip_encoder((4, 8, 8, 1), 2),
        "patch": networks.patch_discriminator,
        "top_down": lambda: networks.bottom_up_encoder((8, 8, 1), scales=(4, 2), width=4, blocks=1),
    }
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="Expected `image_data_format` to be 'channels_last'"):
            builders[name]()
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: networks.mlp_encoder(784, 2),
            "`image_shape` to be a tuple of integers >= 1. Received: .*784",
        ),
        (lambda: networks.mlp_encoder((28.0, 28, 1), 2), "`image_shape` to be a tuple of integers >= 1"),
        (lambda: networks.mlp_encoder((0, 28, 1), 2), "`image_shape` to be a tuple of integers >= 1"),
        (lambda: networks.mlp_decoder((28, None, 1), 2), "`output_shape` to be a tuple of integers >= 1"),
        (lambda: networks.mlp_encoder((4, 4, 1), 2, (8, 0)), "`hidden` to be an integer >= 1. Received: hidden=0"),
        (lambda: networks.conv_encoder((28, 28, 0), 2), r"`image_shape` to be \(H, W, C\) .*, integers >= 1"),
        (
            lambda: networks.conv_encoder((28, 28, 1), 2, dense=12.5),
            "`dense` to be an integer >= 1. Received: .*12.5",
        ),
        (lambda: networks.conv_decoder((28, 28, 1), 2, dense=0), "`dense` to be an integer >= 1. Received: dense=0"),
        (lambda: networks.conv1d_encoder(64, 2), r"`series_shape` to be \(T, C\) .*, integers >= 1"),
        (lambda: networks.residual_decoder((8, 4), 3), r"`grid_shape` to be \(h, w, code_dim\). Received"),
        (lambda: networks.residual_decoder((4, 4, 8), 0), "`params` to be an integer >= 1"),
        (lambda: networks.clip_encoder((10, 32, 32), 2), r"`clip_shape` to be \(T, H, W, C\). Received"),
    ],
)
def test_shapes_and_sizes_are_integers(make, message):
    with pytest.raises(ValueError, match=f"Expected {message}"):
        make()


def test_a_decoder_of_grids_takes_any_height_and_width():
    assert networks.residual_decoder((None, None, 4), 3, 8, 1, 0).output_shape == (None, None, None, 3)
