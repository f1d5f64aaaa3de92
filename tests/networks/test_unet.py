"""The U-Net of a VAEAC: its shapes, and what reaches each pixel."""

import numpy as np
import pytest

from zoo import networks


def test_pixels_depend_on_their_neighbourhood_and_all_of_them_on_the_latents():
    network = networks.unet_decoder((32, 32, 2), 3, 1, filters=(4, 4), blocks=0, bottom_blocks=0, features=4)
    assert (network.input_shape, network.output_shape) == ((None, 32 * 32 * 2 + 3), (None, 32, 32, 2))
    draw = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(draw.normal(0, 0.3, weight.shape))
    given = draw.normal(size=(1, 32, 32, 2)).astype("float32")
    z = np.ones((1, 3), np.float32)

    def run(given, z):
        return network(np.concatenate([given.reshape(1, -1), z], axis=1)).numpy()[0]

    other = given.copy()
    other[0, 0, 0, 1] += 3.0  # the mask of a corner: the second channel
    moved = np.abs(run(other, z) - run(given, z)).max(axis=-1) > 1e-6
    assert moved[0, 0] and not moved[-1].any() and not moved[:, -1].any()
    assert (np.abs(run(given, -z) - run(given, z)).max(axis=-1) > 1e-6).mean() > 0.9


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="`output_shape` to be"):
        networks.unet_decoder((30, 28, 1), 3)
