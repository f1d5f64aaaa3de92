"""Images of any size: the same result whole and by tiles, for every place of the borders of tiles."""

import keras
import numpy as np
import pytest
import tiny_models

import zoo
from zoo import applications, networks

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    """A model of 8×8 images with two halvings, a block at each size, and two codes for each vector."""
    keras.utils.set_random_seed(0)
    encoder = networks.residual_encoder((8, 8, 1), 3, filters=4, blocks=1)
    decoder = networks.residual_decoder((2, 2, 3), 1, filters=4, blocks=1)
    made = zoo.VQVAE(encoder, decoder, zoo.quantizers.ResidualQuantizer(8, 3, depth=2, seed=0))
    for network in (encoder, decoder):  # so that pixels and codes depend on all that they can
        for weight in network.trainable_weights:
            weight.assign(RNG.normal(0.05, 0.3, weight.shape))
    for level in made.quantizer.quantizers:
        level.embeddings.assign(RNG.normal(0, 0.3, level.embeddings.shape))
    return made


@pytest.fixture(scope="module")
def whole(model):
    """An image that the tiles do not divide, its codes, and its reconstruction as a whole."""
    image = RNG.random((52, 76, 1), np.float32)
    return image, np.asarray(model.encode(image[None]))[0], np.asarray(model.reconstruct(image[None]))[0]


@pytest.mark.parametrize("tile", [16, 512])  # many tiles, and a picture smaller than a tile
def test_tiles_give_the_codes_and_the_picture_of_the_whole(model, whole, tile):
    image, codes, reconstructed = whole
    assert codes.shape == (13, 38) and len(np.unique(codes)) > 4
    np.testing.assert_array_equal(applications.encode_tiled(model, image, tile), codes)
    np.testing.assert_allclose(applications.reconstruct_tiled(model, image, tile), reconstructed, atol=1e-5)


def test_windows_have_one_size_and_hold_what_their_tile_depends_on(model):
    """Each window of the encoder has the field of its tile's codes, or ends where the image does."""
    (axis, _), size = networks.any_size(model.encoder).axes, 52
    windows = applications.tiling._windows(axis, size, size // 4, 2)
    assert {of.stop - of.start for of, _, _ in windows} == {
        8 + 12 + 12
    }  # the field, 9 pixels to each side, in whole strides
    assert [into for _, into, _ in windows] == [slice(first, min(first + 2, 13)) for first in range(0, 13, 2)]
    for of, into, inside in windows:
        first, last = axis.inputs(into.start, into.stop - 1)
        assert of.start <= max(0, first) and min(size - 1, last) < of.stop
        assert of.start % 4 == 0 and of.start // 4 + inside.start == into.start


def test_a_size_that_the_strides_do_not_divide_repeats_the_last_row_and_column(model):
    image = RNG.integers(0, 256, (9, 14, 1), np.uint8)
    filled = np.pad(image, ((0, 3), (0, 2), (0, 0)), mode="edge") / np.float32(255)
    expected = np.asarray(model.reconstruct(filled[None]))[0, :9, :14]
    np.testing.assert_allclose(applications.reconstruct_tiled(model, image), expected, atol=1e-5)


def test_other_images_are_refused(model):
    for image, message in [
        (np.zeros((8, 8), np.uint8), r"of shape \[H, W, 1\]. Received: image='shape \(8, 8\)'"),
        (np.zeros((8, 8, 1), np.int32), "uint8, or floats"),
    ]:
        with pytest.raises(ValueError, match=message):
            applications.reconstruct_tiled(model, image)
    with pytest.raises(ValueError, match="a width divisible by 4"):
        applications.encode_tiled(model, np.zeros((8, 10, 1), np.uint8))
    with pytest.raises(ValueError, match="Expected `codes` to be int32"):
        applications.decode_tiled(model, np.zeros((2, 3), np.int32))  # half a vector


def test_models_of_one_size_are_refused():
    with pytest.raises(ValueError, match="whose latents are a grid, such as a VQVAE. Received: model='a VAE'"):
        applications.reconstruct_tiled(tiny_models.vae(), np.zeros((8, 8, 1), np.uint8))
    image = keras.Input((4, 4, 1))
    encoder = keras.Model(image, keras.layers.Reshape((2, 2, 4))(keras.layers.Flatten()(image)))
    model = zoo.VQVAE(encoder, networks.residual_decoder((2, 2, 4), 1, 4, 1, 0), zoo.quantizers.VectorQuantizer(4, 4))
    with pytest.raises(ValueError, match="whose encoder takes images of any size. Received: model='a network with"):
        applications.reconstruct_tiled(model, np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match=r"shape \[B, 4, 4, 1\]"):
        model.encode(np.zeros((1, 8, 8, 1), np.float32))
