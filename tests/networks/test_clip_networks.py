"""Networks over clips: shapes, the order of frames, and codes that do not look ahead."""

import numpy as np
import pytest

from zoo import networks

CLIP = (4, 8, 8, 2)


def moved(network):
    draw = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(draw.normal(0, 0.3, weight.shape))
    return network


def test_shapes():
    assert networks.clip_encoder(CLIP, 3, (4,), dense=4).output_shape == (None, 6)
    assert networks.clip_features(CLIP, 5, 4, blocks=0).output_shape == (None, 2, 2, 5)
    assert networks.clip_decoder((2, 2, 5), (3, 8, 8, 1), 4, blocks=0).output_shape == (None, 3, 8, 8, 1)
    assert networks.chunk_encoder(CLIP, 2, 5, 4, 1, 0).output_shape == (None, 2, 16, 5)
    assert networks.chunk_decoder(CLIP, 2, 5, 4, 1, 0).output_shape == (None, *CLIP)


@pytest.mark.parametrize("blocks", [0, 2])
def test_blocks_are_as_many_as_in_the_networks_of_images(blocks):
    image, grid = (8, 8, 4), (4, 4, 5)  # two frames of two channels, at half their size
    for made, expected in (
        (networks.clip_encoder((2, 8, 8, 2), 3, (4,), blocks), networks.conv_encoder(image, 3, (4,), blocks)),
        (networks.clip_features((2, 8, 8, 2), 5, 4, 1, blocks), networks.residual_encoder(image, 5, 4, 1, blocks)),
        (networks.clip_decoder(grid, (2, 8, 8, 2), 4, blocks), networks.residual_decoder(grid, 4, 4, 1, blocks)),
        (networks.chunk_encoder(CLIP, 2, 5, 4, 1, blocks), networks.residual_encoder(image, 5, 4, 1, blocks)),
        (networks.chunk_decoder(CLIP, 2, 5, 4, 1, blocks), networks.residual_decoder(grid, 4, 4, 1, blocks)),
    ):
        assert [weight.shape for weight in made.weights] == [weight.shape for weight in expected.weights]


def test_frames_are_channels_in_the_order_of_time():
    network = networks.clip_features(CLIP, 5, 4, downsamples=1, blocks=0)
    x = np.random.default_rng(1).random((2, *CLIP), np.float32)
    as_channels = np.concatenate([x[:, step] for step in range(4)], axis=-1)
    np.testing.assert_allclose(network(x), network.layers[-1](as_channels), atol=1e-6)
    decoder = networks.clip_decoder((4, 4, 5), (3, 8, 8, 2), 4, blocks=0)
    grid = x.reshape(2, -1)[:, :80].reshape(2, 4, 4, 5)
    found, flat = decoder(grid).numpy(), decoder.layers[1](grid).numpy()
    for step in range(3):
        np.testing.assert_allclose(found[:, step], flat[..., 2 * step : 2 * step + 2], atol=1e-6)


def test_the_codes_of_a_chunk_depend_on_its_frames_alone_and_so_do_the_frames_of_its_codes():
    encoder, decoder = (moved(make(CLIP, 2, 5, 4, 1, 0)) for make in (networks.chunk_encoder, networks.chunk_decoder))
    x = np.random.default_rng(1).random((1, *CLIP), np.float32)
    other = x.copy()
    other[:, 2:] = 1.0 - other[:, 2:]
    a, b = encoder(x).numpy(), encoder(other).numpy()
    np.testing.assert_array_equal(a[:, 0], b[:, 0])
    assert np.abs(a[:, 1] - b[:, 1]).min(axis=-1).max() > 1e-3
    # A place of a chunk is a column, by rows: its code moves the pixels there.
    changed = a.copy()
    changed[0, 1, 6] += 1.0
    where = np.argwhere(np.abs(decoder(changed).numpy() - decoder(a).numpy())[0].max(axis=-1) > 1e-6)
    assert set(where[:, 0]) == {2, 3}
    assert np.all(np.abs(where[:, 1] - 2.5) < 5) and np.all(np.abs(where[:, 2] - 4.5) < 5)
    swapped = decoder(a[:, ::-1]).numpy()
    np.testing.assert_allclose(swapped, np.roll(decoder(a).numpy(), 2, axis=1), atol=1e-6)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"`clip_shape` to be \(T, H, W, C\)"):
        networks.clip_encoder((8, 8, 1), 2)
    with pytest.raises(ValueError, match="`clip_shape` to be a multiple of 3"):
        networks.chunk_encoder(CLIP, 3)
    with pytest.raises(ValueError, match="times a power of 2"):
        networks.clip_decoder((3, 3, 5), (3, 8, 8, 1))
