"""Examples are read in batches, with a seed for each that does not depend on the batches."""

import numpy as np
import pytest

import zoo
from zoo.evaluation.rows import Examples

MODEL = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=()), zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=()))


def test_eight_bit_images_are_scaled_and_every_row_comes_once():
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 1)).astype("uint8")
    batches = list(Examples(MODEL, images).batches(seed=5))
    np.testing.assert_allclose(np.concatenate([x for _, x, _, _ in batches]), images / 255.0, rtol=1e-6)
    assert [rows.stop - rows.start for rows, *_ in batches] == [128, 128, 44]
    seeds = np.concatenate([seeds for *_, seeds in batches])
    np.testing.assert_array_equal(seeds, zoo.random.row_seeds(5, 300))


def test_a_part_is_evenly_spaced():
    images = np.arange(11, dtype="float32")[:, None] * np.ones(16, "float32")
    part = Examples(MODEL, images.reshape(11, 4, 4, 1)).take(3)
    assert part.images[:, 0, 0, 0].tolist() == [0.0, 5.0, 10.0]


def test_labels_are_left_out_for_a_model_without_labels():
    examples = Examples(MODEL, np.zeros((2, 4, 4, 1), "float32"), np.zeros(2, "int32"))
    assert examples.labels is None


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (5,)])
def test_no_examples_are_refused(shape):
    with pytest.raises(ValueError, match="Expected `images` to be an array .N, …. of at least one example. Received"):
        Examples(MODEL, np.zeros(shape, "float32"))


def test_binary_data_as_uint8_are_not_divided_by_255():
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    binary = np.random.default_rng(0).integers(0, 2, (9, 4, 4, 1))
    with pytest.raises(ValueError, match="Expected `images` to be uint8 levels up to 255; data of 0 and 1 as floats"):
        Examples(model, binary.astype(np.uint8))
    for same in (bool, np.int32, np.float32):
        np.testing.assert_array_equal(Examples(model, binary.astype(same)).float_images(), binary)
    np.testing.assert_allclose(Examples(model, (2 * binary).astype(np.uint8)).float_images(), 2 * binary / 255)
