"""Networks of any size: the receptive field, counted by hand and against gradients; and the networks that have none."""

from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from zoo import networks
from zoo.networks import receptive_field
from zoo.networks.receptive_field import Axis


def model(*parts, shape=(8, 12, 1)):
    x = start = keras.Input(shape)
    for part in parts:
        x = part(x)
    return keras.Model(start, x)


def convolution(kernel, stride=1, **kwargs):
    return layers.Conv2D(1, kernel, stride, **{"padding": "same", **kwargs})


@pytest.mark.parametrize(
    "axis, stride, first, multiple",
    [
        (Axis().window(3, 1), 1, (-1, 1), 1),
        (Axis().window(4, 2), 2, (-1, 2), 2),  # pads one on each side
        (Axis().window(3, 2), 2, (0, 2), 2),  # pads behind alone
        (Axis().window(4, 2).window(3, 1), 2, (-3, 4), 2),
        (Axis().window(4, 2).window(4, 2), 4, (-3, 6), 4),
        # Output o of a transposed convolution adds the inputs i with 0 <= o + 1 − 2i < 4.
        (Axis().transposed(4, 2), Fraction(1, 2), (-1, 0), 1),
        (Axis().window(3, 1).transposed(4, 2), Fraction(1, 2), (-2, 1), 1),
        (Axis().enlarged(2, bilinear=False), Fraction(1, 2), (0, 0), 1),
        (Axis().window(3, 1).merged(Axis().window(5, 1)), 1, (-2, 2), 1),
        (Axis().merged(Axis().window(4, 2).transposed(4, 2)), 1, (-3, 3), 2),  # as in a U-Net, of even sizes
    ],
)
def test_the_field_of_a_value_by_hand(axis, stride, first, multiple):
    assert (axis.stride, axis.inputs(0, 0), axis.multiple) == (stride, first, multiple)


def field_by_gradients(network, size, place):
    """The first and last row of the input that the output in the row `place` depends on, by random weights."""
    for index, weight in enumerate(network.trainable_weights):
        weight.assign(np.random.default_rng(index).uniform(0.1, 1.0, weight.shape))
    x = tf.Variable(np.random.default_rng(0).uniform(0.1, 1.0, (1, *size, network.input_shape[-1])).astype(np.float32))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(network(x)[0, place])
    rows = np.flatnonzero(np.abs(tape.gradient(value, x).numpy()).sum(axis=(0, 2, 3)))
    return int(rows[0]), int(rows[-1])


@pytest.mark.parametrize(
    "build, size, place",
    [
        (lambda: networks.residual_encoder((8, 8, 1), 2, 4, downsamples=2, blocks=1), (64, 4), 7),
        (lambda: networks.residual_decoder((2, 2, 2), 1, 4, upsamples=2, blocks=1), (16, 4), 30),
        (lambda: model(convolution(3, dilation_rate=2), layers.AveragePooling2D(2), convolution(5)), (40, 4), 10),
        (lambda: model(layers.UpSampling2D(2), convolution(3)), (12, 4), 10),
        (lambda: model(layers.UpSampling2D(2, interpolation="bilinear"), convolution(3)), (12, 4), 11),
    ],
)
def test_no_value_depends_on_more_than_its_field(build, size, place):
    found = networks.any_size(build())
    first, last = found.axes[0].inputs(place, place)
    seen = field_by_gradients(found.network, size, place)
    # A field may be larger than what is seen: that of a row in the middle of an enlarged one is smaller.
    assert first <= seen[0] <= first + 1 and last - 1 <= seen[1] <= last


def test_the_network_shares_its_layers_and_is_made_once():
    encoder = networks.residual_encoder((8, 8, 1), 2, 4, blocks=1)
    found = networks.any_size(encoder)
    assert found.network.output_shape == (None, None, None, 2) and networks.any_size(encoder) is found
    assert all(a is b for a, b in zip(found.network.weights, encoder.weights, strict=True))
    again = keras.Model.from_config(encoder.get_config())
    assert again.input_shape == (None, 8, 8, 1) and len(again.layers) == len(encoder.layers)
    sequential = keras.Sequential([keras.Input((4, 4, 1)), convolution(3), layers.ReLU()])
    assert networks.any_size(sequential).axes[1].inputs(5, 5) == (4, 6)


@pytest.mark.parametrize(
    "network, message",
    [
        (lambda: networks.conv_encoder((8, 8, 1), 2, (4,), dense=4), "with a Flatten"),
        (lambda: networks.mlp_decoder((8, 8, 1), 2, (4,)), "no functional model of images"),
        (lambda: model(convolution(3, padding="valid")), "another padding than 'same'"),
        (lambda: model(layers.GroupNormalization(1)), "with a GroupNormalization"),
        (lambda: model(layers.LayerNormalization(axis=(1, 2))), "other axes than the channels"),
        (lambda: convolution(3), "a Conv2D that is no functional model"),
    ],
)
def test_networks_of_one_size_say_which_layer_keeps_them_to_it(network, message):
    made = network()
    assert message in receptive_field.reason(made)
    with pytest.raises(ValueError, match="Expected `network` to be one of convolutions"):
        networks.any_size(made)
