"""Images with known factors, from arrays and from TFDS."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import data, evaluation


def some(number=12):
    """Images whose pixels hold two factors: `colour` is 0 to 2, `size` 0 or 1, and never 2, 1 together."""
    rng = np.random.default_rng(0)
    factors = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)])[rng.permutation(number) % 5]
    images = np.zeros((number, 2, 2, 1), np.uint8)
    images[:, 0, :, 0] = factors
    return images, factors


def test_images_and_factors_by_place():
    images, factors = some()
    known = data.FactorImages(images, factors, ["colour", "size"])
    assert len(known) == 12 and known.factor_sizes == (3, 2) and known.factor_names == ("colour", "size")
    which = np.array([3, 3, 0])
    np.testing.assert_array_equal(known.images(which), images[which])
    np.testing.assert_array_equal(known.factors(which), factors[which])


def test_sharing_draws_all_images_with_a_value_and_no_others():
    images, factors = some(60)
    known = data.FactorImages(images, factors, ["colour", "size"], factor_sizes=(4, 2))
    rng, seen = np.random.default_rng(0), {}
    for _ in range(40):
        which = known.sharing(0, 200, rng)
        assert which.shape == (200,) and len(np.unique(factors[which, 0])) == 1
        seen[factors[which[0], 0]] = set(which)
    assert seen == {value: set(np.flatnonzero(factors[:, 0] == value)) for value in range(3)}  # 3 has no images


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": np.zeros((12, 2, 2))}, "`images` to be a uint8 array"),
        ({"factor_values": np.zeros((12, 3), int)}, r"integers of shape \[12, 2\].*\(12, 3\)"),
        ({"factor_values": np.zeros((12, 2))}, "float64"),
        ({"factor_sizes": (2, 2)}, r"below \(2, 2\)"),
        ({"factor_values": np.full((12, 2), -1)}, "integers >= 0"),
    ],
)
def test_wrong_arrays_are_refused(change, message):
    images, factors = some()
    arguments = {"images": images, "factor_values": factors, "factor_names": ["colour", "size"]} | change
    with pytest.raises(ValueError, match=message):
        data.FactorImages(**arguments)


@pytest.mark.parametrize("on_disk", [False, True])
def test_dsprites_of_tfds_has_its_labels_as_factors(prepared, tmp_path, on_disk):
    """The mock holds 300 of the rendered sprites, with 0 and 1 for their pixels, as TFDS has them."""
    sprites = data.Sprites(64)
    places = np.random.default_rng(0).integers(len(sprites), size=300)
    images, factors = sprites.images(places), sprites.factors(places)
    names = ("label_shape", "label_scale", "label_orientation", "label_x_position", "label_y_position")
    examples = {"image": images // 255, **dict(zip(names, factors.T.astype(np.int64)))}

    def as_dataset(builder, split, **kwargs):
        return tf.data.Dataset.from_tensor_slices(examples)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset, data_dir=prepared("dsprites", {"train": 300})):
        known = data.load_factors("dsprites", disk_folder=tmp_path if on_disk else None)
    assert known.factor_names == ("shape", "scale", "orientation", "x_position", "y_position")
    assert known.factor_sizes == sprites.factor_sizes
    everything = np.arange(300)
    np.testing.assert_array_equal(known.images(everything), images)
    np.testing.assert_array_equal(known.factors(everything), factors)
    # The scores take it as it is: the mean column of an image tells x.
    scores = evaluation.mig(position_and_noise, known, 200, num_bins=10)
    assert scores["mig_x_position"] > 0.3 > scores["mig_shape"]


def position_and_noise(images):
    """Codes of the sprite's column, and of nothing."""
    columns = images.sum(axis=(1, 3)) @ np.arange(images.shape[2]) / images.sum(axis=(1, 2, 3))
    return np.stack([columns, np.zeros_like(columns)], axis=1)


def test_a_dataset_without_factors_is_refused(prepared):
    folder = prepared("mnist", {"train": 5})
    with tfds.testing.mock_data(num_examples=5), pytest.raises(ValueError, match='features "label_…".*mnist'):
        data.load_factors("mnist", data_dir=folder)
