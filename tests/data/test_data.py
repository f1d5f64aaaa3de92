"""Datasets by name and from folders, and the batches that come of them."""

import hashlib
import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from matplotlib import pyplot as plt

from zoo import data
from zoo.data import sources
from zoo.runtime import disk

# sample_data/README.md: training images, those for validation among them, and test images.
SAMPLE_SIZES = {"mnist": (4000, 800), "fashion_mnist": (3600, 600), "cifar10": (2000, 400)}
SAMPLE_SHAPES = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
# Of the full training sets, on the scale of 0 to 255.
PUBLISHED_MEANS = {"mnist": (33.32,), "fashion_mnist": (72.94,), "cifar10": (125.31, 122.95, 113.87)}


@pytest.fixture(scope="module")
def samples():
    return {name: data.load(name, sample=True) for name in data.SAMPLES}


def pictures(number, shape=(6, 5, 1), seed=0, labelled=True):
    """Images that all differ, the i-th with label i."""
    images = np.random.default_rng(seed).integers(0, 256, (number, *shape), np.uint8)
    return data.Images(images, np.arange(number, dtype=np.int32) if labelled else None)


def rows_of(images):
    return [image.tobytes() for image in images]


def label_order(images, batch_size, **kwargs):
    """The labels of each batch; the label of an image of `pictures` is its number."""
    return [labels.numpy().tolist() for _, labels in data.batches(images, batch_size, labels=True, **kwargs)]


# The bundled samples.


def test_samples_are_the_documented_ones():
    assert set(data.SAMPLES) == set(SAMPLE_SIZES)


@pytest.mark.parametrize("name", SAMPLE_SIZES)
def test_sample_has_the_documented_sizes(samples, name):
    splits, (train, test) = samples[name], SAMPLE_SIZES[name]
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (train - train // 10, train // 10, test)
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.shape == (len(part), *SAMPLE_SHAPES[name])
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int32


@pytest.mark.parametrize("name", SAMPLE_SIZES)
def test_sample_holds_real_images_of_all_classes(samples, name):
    for part in (samples[name].train, samples[name].validation, samples[name].test):
        assert np.array_equal(np.unique(part.labels), np.arange(10))
        # No class is rare: at least a third of its fair share.
        assert np.bincount(part.labels).min() > len(part) / 30
        assert part.images.min() == 0 and part.images.max() == 255
    train = samples[name].train.images
    np.testing.assert_allclose(train.mean(axis=(0, 1, 2)), PUBLISHED_MEANS[name], atol=2.0)
    assert len(set(rows_of(train))) == len(train)


def test_labels_of_the_samples_say_what_the_images_show(samples):
    def mean_of(name, label):
        part = samples[name].train
        return part.images[part.labels == label].mean(axis=0) / 255.0

    middle = np.s_[13:15, 13:15]
    assert mean_of("mnist", 0)[middle].max() < 0.2 < 0.5 < mean_of("mnist", 1)[middle].min()  # a ring, a stroke
    flank = np.s_[:, 4:7]
    assert (
        mean_of("fashion_mnist", 1)[flank].mean() < 0.1 < 0.2 < mean_of("fashion_mnist", 4)[flank].mean()
    )  # trousers, coats
    ship, deer = (mean_of("cifar10", label).mean(axis=(0, 1)) for label in (8, 4))
    assert ship[2] > ship[0] and deer[2] < deer[0]  # blue over red: water, woods


def test_samples_take_less_than_10_mib():
    assert 1e6 < sum(path.stat().st_size for path in sources.SAMPLE_DIR.rglob("*") if path.is_file()) < 10 * 2**20


@pytest.mark.parametrize("name", SAMPLE_SIZES)
def test_parts_of_a_sample_are_disjoint(samples, name):
    parts = [set(rows_of(part.images)) for part in (samples[name].train, samples[name].validation, samples[name].test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_validation_is_the_same_at_every_load(samples):
    np.random.seed(1)  # whatever the run's seed is
    again = data.load("mnist", sample=True)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(again, part).images, getattr(samples["mnist"], part).images)
        assert np.array_equal(getattr(again, part).labels, getattr(samples["mnist"], part).labels)


# SHA-256 of the images' bytes, training, validation and test. Runs compare as long as these stay what they are, and
# settings were chosen on this validation split.
DIGESTS = {
    "mnist": ("13c5b1d65f22ec3a", "4acaa18b10a7ee92", "b5c4eb26264a547c"),
    "fashion_mnist": ("b66df241ff5c36ec", "5bb8c74db719682f", "e3c93c54cdad45a5"),
    "cifar10": ("5ae76868a55ca255", "97d1b791abf0db34", "7a3b7d54bee14ebe"),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_splits_of_the_samples_are_the_ones_they_always_were(samples, name):
    splits = samples[name]
    parts = (splits.train, splits.validation, splits.test)
    digests = tuple(hashlib.sha256(np.ascontiguousarray(part.images)).hexdigest()[:16] for part in parts)
    assert digests == DIGESTS[name]


def test_validation_is_a_fair_draw(samples):
    """Not the first or the last tenth: its images come from all over the training split."""
    everything = tfds.load("mnist", split="train", data_dir=sources.SAMPLE_DIR, shuffle_files=False)
    position = {example["image"].tobytes(): i for i, example in enumerate(tfds.as_numpy(everything))}
    found = np.array([position[row] for row in rows_of(samples["mnist"].validation.images)])
    assert np.histogram(found, bins=4, range=(0, 4000))[0].min() > 70


@pytest.mark.parametrize("number, held_out", [(1, 1), (9, 1), (20, 2), (4000, 400), (60_000, 5000)])
def test_validation_size(number, held_out):
    assert data.validation_size(number) == held_out


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "fashion_mnist" else name for name in data.SAMPLES]
)
@pytest.mark.parametrize("image_size", [None, (16, 12)])
def test_records_read_in_batches_are_what_tfds_reads(monkeypatch, name, image_size):
    builder = sources.prepared(name, sources.SAMPLE_DIR)
    read = [sources._read(builder, split, data.Source(), image_size, None) for split in ("train", "test")]
    monkeypatch.setattr(type(builder), "as_dataset", None)  # not used so far
    sources._read(builder, "test", data.Source(), image_size, None)
    monkeypatch.undo()
    monkeypatch.setattr(sources, "_pictures_of_records", lambda *_: None)
    for split, found in zip(("train", "test"), read):
        expected = sources._read(builder, split, data.Source(), image_size, None)
        assert np.array_equal(found.images, expected.images) and np.array_equal(found.labels, expected.labels)
    assert len(sources._read(builder, "train[:30]", data.Source(), image_size, None)) == 30


def test_other_names_have_no_sample():
    with pytest.raises(
        data.DataError, match="no bundled sample of 'celeb_a'; there is one of mnist, fashion_mnist, cifar10"
    ):
        data.load("celeb_a", sample=True)


@pytest.mark.parametrize(
    "load", [data.load, data.image_shape, lambda name, **both: data.load_moving_digits(1, 1, 1, **both)]
)
def test_a_folder_beside_the_bundled_sample_is_refused(load, tmp_path):
    with pytest.raises(ValueError, match="Expected `data_dir` to be None, as sample=True takes the bundled images"):
        load("mnist", data_dir=tmp_path, sample=True)


# Batches.


def test_every_epoch_is_another_order_of_the_whole_set():
    images = pictures(23)
    order = label_order(images, 5, shuffle=True, epochs=3)
    assert [len(batch) for batch in order] == [5, 5, 5, 5, 3] * 3
    epochs = [sum(order[5 * n : 5 * n + 5], []) for n in range(3)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, range(23)]}) == 4


def test_without_shuffle_the_order_is_that_of_the_images():
    order = label_order(pictures(7), 3, epochs=2)
    assert order == [[0, 1, 2], [3, 4, 5], [6]] * 2


def test_order_depends_on_the_seed_alone():
    images = pictures(40)
    first = label_order(images, 8, shuffle=True, seed=3)
    assert label_order(images, 8, shuffle=True, seed=3) == first
    assert sum(label_order(images, 4, shuffle=True, seed=3), []) == sum(first, [])
    assert label_order(images, 8, shuffle=True, seed=4) != first


def test_shuffle_reaches_all_over_the_set():
    """In the first batch of a shuffled epoch lie images from everywhere, not from a buffer's worth."""
    images = data.Images(np.zeros((10_000, 1, 1, 1), np.uint8), np.arange(10_000, dtype=np.int32))
    first = next(iter(data.batches(images, 200, shuffle=True, labels=True)))[1].numpy()
    assert np.histogram(first, bins=5, range=(0, 10_000))[0].min() > 15  # 40 expected, standard deviation 5.7


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("first_step", [1, 3, 4, 9])
def test_first_step_gives_the_batches_from_there_on(first_step, dynamic):
    images = pictures(11)
    settings = {"shuffle": True, "dynamic": dynamic, "labels": True, "seed": 5, "epochs": 3}
    whole = list(data.batches(images, 4, **settings))  # 3 steps an epoch
    rest = list(data.batches(images, 4, first_step=first_step, **settings))
    assert len(rest) == 9 - first_step
    for (x, labels), (x_again, labels_again) in zip(whole[first_step:], rest, strict=True):
        assert np.array_equal(x, x_again)
        assert np.array_equal(labels, labels_again)


def test_epochs_none_goes_on_without_end():
    order = data.batches(pictures(6), 4, shuffle=True, labels=True, epochs=None)
    assert [len(labels) for _, labels in order.take(9)] == [4, 2, 4, 2, 4, 2, 4, 2, 4]


def test_values_are_exactly_k_over_255():
    images = data.Images(np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1))
    batches = list(data.batches(images, 3))
    assert [tuple(batch.shape) for batch in batches] == [(3, 8, 8, 1), (1, 8, 8, 1)]
    assert all(batch.dtype == tf.float32 for batch in batches)
    values = np.concatenate(batches).ravel()
    assert np.array_equal(values, np.arange(256, dtype=np.float32) / np.float32(255))
    assert values[0] == 0.0 and values[255] == 1.0


def test_element_spec_knows_the_image_shape():
    assert data.batches(pictures(5), 2).element_spec == tf.TensorSpec((None, 6, 5, 1), tf.float32)


@pytest.mark.parametrize("shuffle", [False, True])
def test_labels_stay_with_their_images(shuffle):
    images = pictures(17)
    for x, labels in data.batches(images, 4, shuffle=shuffle, labels=True, epochs=2):
        assert labels.dtype == tf.int32
        assert np.array_equal(np.rint(x.numpy() * 255), images.images[labels.numpy()])


def test_a_single_image_makes_batches():
    assert label_order(pictures(1), 4, shuffle=True, epochs=2) == [[0], [0]]


def test_dynamic_binarisation_is_a_fresh_draw_each_epoch():
    images = data.Images(np.full((4, 16, 16, 1), 128, np.uint8))
    first, second = data.batches(images, 4, dynamic=True, epochs=2)
    assert set(np.unique(first)) == {0.0, 1.0} == set(np.unique(second))
    assert first.dtype == tf.float32
    # 1,024 fair coins differ in half of the places; 5 standard deviations are 80.
    assert abs(np.sum(first != second) - 512) < 80


def test_dynamic_binarisation_depends_on_the_seed_alone():
    images = pictures(8, (16, 16, 1))
    first, again, other = (
        next(iter(data.batches(images, 8, dynamic=True, seed=seed))).numpy() for seed in (0, 0, 1)
    )  # fmt: skip
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dynamic_binarisation_has_the_grey_level_as_its_mean():
    grey = np.array([0, 1, 64, 128, 200, 254, 255], np.uint8)
    images = data.Images(np.tile(grey.reshape(1, 1, 7, 1), (50, 40, 1, 1)))
    draws = np.concatenate(list(data.batches(images, 50, dynamic=True, epochs=10)))
    share, expected = draws.mean(axis=(0, 1, 3)), grey / 255.0
    error = np.sqrt(expected * (1 - expected) / (500 * 40))
    assert share[0] == 0.0 and share[-1] == 1.0
    np.testing.assert_array_less(np.abs(share - expected)[1:-1], 4 * error[1:-1])


def test_dynamic_binarisation_leaves_labels_with_their_images():
    images = data.Images(
        np.repeat(np.array([0, 255], np.uint8), 10).reshape(20, 1, 1, 1), np.arange(20, dtype=np.int32)
    )
    for x, labels in data.batches(images, 6, shuffle=True, dynamic=True, labels=True):
        assert np.array_equal(x.numpy().ravel(), labels.numpy() >= 10)


def test_static_binarisation_is_fixed_for_a_seed():
    images = pictures(20, (12, 12, 1))
    first = data.binarize(images, seed=1)
    assert set(np.unique(first.images)) == {0, 255}
    assert first.images.dtype == np.uint8
    assert np.array_equal(first.images, data.binarize(images, seed=1).images)
    assert not np.array_equal(first.images, data.binarize(images, seed=2).images)
    assert np.array_equal(first.labels, images.labels)
    assert np.array_equal(images.images, pictures(20, (12, 12, 1)).images)  # untouched


def test_static_binarisation_has_the_grey_level_as_its_mean():
    grey = np.array([0, 1, 64, 128, 200, 254, 255], np.uint8)
    images = data.Images(np.tile(grey.reshape(1, 1, 7, 1), (200, 100, 1, 1)))
    share, expected = (data.binarize(images, seed=0).images / 255.0).mean(axis=(0, 1, 3)), grey / 255.0
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert share[0] == 0.0 and share[-1] == 1.0
    np.testing.assert_array_less(np.abs(share - expected)[1:-1], 4 * error[1:-1])


@pytest.mark.parametrize("number", [1, 70])
def test_pixel_variance_is_numpys(number):
    images = pictures(number, (7, 9, 3))
    assert data.pixel_variance(images) == pytest.approx(np.var(images.images / 255.0), rel=1e-12)


def test_pixel_variance_of_half_black_and_half_white_is_a_quarter():
    images = data.Images(np.stack([np.zeros((4, 4, 1), np.uint8), np.full((4, 4, 1), 255, np.uint8)]))
    assert data.pixel_variance(images) == 0.25


@pytest.mark.parametrize("number, batch_size, steps", [(10, 5, 2), (11, 5, 3), (1, 5, 1), (10, 1, 10)])
def test_steps_per_epoch_counts_the_partial_batch(number, batch_size, steps):
    assert data.steps_per_epoch(number, batch_size) == steps


@pytest.mark.parametrize(
    "array, received",
    [
        (np.zeros((2, 4, 4, 1), np.float32), "float32 of shape (2, 4, 4, 1)"),
        (np.zeros((2, 4, 4), np.uint8), "uint8 of shape (2, 4, 4)"),
        (np.zeros((4, 4, 1), np.int64), "int64 of shape (4, 4, 1)"),
    ],
)
def test_arrays_of_another_kind_are_refused(array, received):
    message = re.escape(f"Expected `images` to be a uint8 array of shape [N,H,W,C]. Received: images='{received}'")
    with pytest.raises(ValueError, match=message):
        data.Images(array)


def test_labels_of_another_length_are_refused():
    message = re.escape("Expected `labels` to be an array of shape [2]. Received: labels=(3,)")
    with pytest.raises(ValueError, match=message):
        data.Images(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int32))


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True])
def test_batch_size_is_checked(batch_size):
    with pytest.raises(
        ValueError, match=f"Expected `batch_size` to be an integer >= 1. Received: batch_size={batch_size}"
    ):
        data.batches(pictures(3), batch_size)


def test_labels_of_unlabelled_images_are_refused():
    with pytest.raises(ValueError, match="Received: images without labels"):
        data.batches(pictures(3, labelled=False), 2, labels=True)


def test_no_images_make_no_batches():
    with pytest.raises(ValueError, match="Expected `images` to hold at least one"):
        data.batches(pictures(0), 2)


# Codes.


def grids(number):
    """The i-th grid holds 2·i and 2·i + 1."""
    return np.arange(2 * number).reshape(number, 1, 2)


@pytest.mark.parametrize("settings", [{}, {"shuffle": True, "seed": 3}, {"shuffle": True, "epochs": 3}])
def test_codes_come_in_the_order_of_images(settings):
    batches = list(data.code_batches(grids(11), 4, **settings))
    assert [(batch[:, 0, 0] // 2).numpy().tolist() for batch in batches] == label_order(pictures(11), 4, **settings)
    for batch in batches:
        assert batch.dtype == tf.int32 and np.all(batch[:, 0, 1] == batch[:, 0, 0] + 1)


@pytest.mark.parametrize("first_step", [1, 3, 7])
def test_first_step_gives_the_codes_from_there_on(first_step):
    whole = list(data.code_batches(grids(11), 4, shuffle=True, epochs=3))
    rest = list(data.code_batches(grids(11), 4, shuffle=True, epochs=None, first_step=first_step).take(9 - first_step))
    assert all(np.array_equal(a, b) for a, b in zip(whole[first_step:], rest, strict=True))


def test_element_spec_knows_the_grid():
    assert data.code_batches(grids(5), 2).element_spec == tf.TensorSpec((None, 1, 2), tf.int32)


def test_code_batches_are_checked():
    with pytest.raises(ValueError, match="Expected `batch_size` to be an integer >= 1. Received: batch_size=0"):
        data.code_batches(grids(3), 0)
    with pytest.raises(ValueError, match="Expected `codes` to hold at least those of one image"):
        data.code_batches(grids(0), 2)


# Examples of any kind.


def marked(x, uniform):
    """Each example beside its draws."""
    return x, uniform([2, 3])


@pytest.mark.parametrize("first_step", [1, 4])
def test_examples_and_what_is_drawn_for_them_are_the_same_from_any_step_on(first_step):
    examples = np.arange(22, dtype=np.int16).reshape(11, 2)
    whole = list(data.example_batches(examples, 4, change=marked, shuffle=True, epochs=2, seed=5))
    assert [x.shape for x, _ in whole] == [(4, 2), (4, 2), (3, 2)] * 2 and whole[0][0].dtype == tf.int16
    assert sorted(x[0] for batch, _ in whole[:3] for x in batch.numpy()) == list(range(0, 22, 2))
    draws = np.concatenate([draws for _, draws in whole])
    assert draws.shape == (22, 2, 3) and draws.min() >= 0.0 and draws.max() < 1.0
    assert len(np.unique(draws)) == draws.size  # none is drawn twice
    rest = data.example_batches(examples, 4, change=marked, shuffle=True, epochs=2, seed=5, first_step=first_step)
    for batch, other in zip(whole[first_step:], rest, strict=True):
        for one, two in zip(batch, other):
            np.testing.assert_array_equal(one, two)


def test_example_batches_are_checked():
    assert next(iter(data.example_batches([[1, 2], [3, 4]], 2))).numpy().tolist() == [[1, 2], [3, 4]]
    for examples in (np.zeros((0, 2), np.float32), [], 3.0):
        with pytest.raises(ValueError, match=r"Expected `examples` to be an array \[N, …\] of one or more"):
            data.example_batches(examples, 2)
    with pytest.raises(ValueError, match="Expected `examples` to be an array of numbers. Received: .*object"):
        data.example_batches([None, 1], 2)
    with pytest.raises(ValueError, match="Expected `change` to be a function"):
        data.example_batches([1], 2, change=3)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [("epochs", 0, ">= 1"), ("epochs", 1.5, ">= 1"), ("first_step", -1, ">= 0"), ("seed", 0.5, "an integer")],
)
def test_the_order_of_batches_is_checked(argument, value, message):
    pixels = np.zeros((3, 2, 2, 1), np.uint8)
    for make, examples in (
        (data.batches, data.Images(pixels)), (data.example_batches, pixels), (data.code_batches, pixels[..., 0])
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"Expected `{argument}` to be .*{message}"):
            make(examples, 2, **{argument: value})


# Datasets by their TFDS name.


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """A TFDS directory with a dataset that nobody else has: 30 and 10 images of 6×5×3, the i-th with label i."""
    folder = tmp_path_factory.mktemp("tfds")
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(6, 5, 3)), "label": tfds.features.ClassLabel(num_classes=30)}
    )
    splits = {}
    for seed, (split, number) in enumerate([("train", 30), ("test", 10)]):
        images = pictures(number, (6, 5, 3), seed)
        columns = {"image": images.images, "label": images.labels.astype(np.int64)}
        splits[split] = tf.data.Dataset.from_tensor_slices(columns)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_pictures", version="1.0.0", features=features, split_datasets=splits, data_dir=folder
    )
    return folder


def check_tiny_pictures(splits):
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (27, 3, 10)
    for parts, original in (
        ((splits.train, splits.validation), pictures(30, (6, 5, 3), seed=0)),
        ((splits.test,), pictures(10, (6, 5, 3), seed=1)),
    ):
        labels = np.concatenate([part.labels for part in parts])
        assert sorted(labels) == list(range(len(original)))
        assert np.array_equal(np.concatenate([part.images for part in parts]), original.images[labels])


def test_data_dir_is_where_a_dataset_is_read_from(tfds_folder):
    check_tiny_pictures(data.load("tiny_pictures", data_dir=tfds_folder))


def test_tfds_data_dir_is_where_a_dataset_is_read_from(tfds_folder, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_folder))
    check_tiny_pictures(data.load("tiny_pictures"))


def test_data_dir_goes_before_tfds_data_dir(tfds_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    check_tiny_pictures(data.load("tiny_pictures", data_dir=tfds_folder))


def test_sample_is_a_tfds_directory_like_any_other(samples):
    splits = data.load("mnist", data_dir=sources.SAMPLE_DIR)
    assert np.array_equal(splits.train.images, samples["mnist"].train.images)


def test_images_are_resized_where_asked_for(samples):
    splits = data.load("mnist", image_size=(32, 32), sample=True)
    assert splits.train.images.shape == (3600, 32, 32, 1)
    assert np.array_equal(splits.train.labels, samples["mnist"].train.labels)
    assert abs(splits.train.images.mean() - samples["mnist"].train.images.mean()) < 0.5
    same = data.load("mnist", image_size=28, sample=True)
    assert np.array_equal(same.test.images, samples["mnist"].test.images)


@pytest.mark.parametrize("name, has_sample", [("cifar10", True), ("svhn_cropped", False)])
def test_a_dataset_that_cannot_be_had_says_the_ways_on(name, has_sample, tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise ConnectionError("Max retries exceeded\n  (Caused by: no route to host)")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(data.DataError) as caught:
        data.load(name, data_dir=tmp_path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 700
    assert f"The dataset {name!r} is not available" in message and str(tmp_path) in message
    assert "ConnectionError: Max retries exceeded (Caused by: no route to host)" in message
    assert "--data-dir" in message and "TFDS_DATA_DIR" in message
    assert ("--sample" in message) == has_sample


def test_a_name_that_tfds_does_not_know_is_a_data_error(tmp_path):
    with pytest.raises(data.DataError, match="The dataset 'mnits' is not available"):
        data.load("mnits", data_dir=tmp_path)


@pytest.mark.parametrize(
    "name, splits, image_size, shape, sizes, labelled",
    [
        ("dsprites", ("train",), None, (64, 64, 1), (17, 1, 2), True),
        ("celeb_a", ("train", "test", "validation"), (64, 64), (64, 64, 3), (18, 2, 20), False),
        ("celeb_a", ("train", "test", "validation"), None, (148, 148, 3), (18, 2, 20), False),
        ("svhn_cropped", ("train", "test", "extra"), None, (32, 32, 3), (18, 2, 20), True),
    ],
)
def test_other_datasets_have_their_shapes(prepared, name, splits, image_size, shape, sizes, labelled):
    folder = prepared(name, dict.fromkeys(splits, 20))
    with tfds.testing.mock_data(num_examples=20, data_dir=folder):
        loaded = data.load(name, image_size=image_size)
    for part, size in zip((loaded.train, loaded.validation, loaded.test), sizes, strict=True):
        assert part.images.shape == (size, *shape)
        assert part.images.std() > 10
        assert (part.labels is not None) == labelled


@pytest.mark.parametrize("image_size", [None, (32, 32)])
def test_dsprites_becomes_black_and_white_with_a_test_split_cut_from_train(prepared, image_size):
    """dSprites holds 0 and 1. Here a square lies at another place in each image."""
    sprites = np.zeros((20, 64, 64, 1), np.uint8)
    for i, sprite in enumerate(sprites):
        sprite[i : i + 40, 2 * i : 2 * i + 20] = 1

    def as_dataset(builder, split, **kwargs):
        return tf.data.Dataset.from_tensor_slices({"image": sprites, "label_shape": np.arange(20) % 3})

    with tfds.testing.mock_data(as_dataset_fn=as_dataset, data_dir=prepared("dsprites", {"train": 20})):
        splits = data.load("dsprites", image_size=image_size)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [17, 1, 2]
    images = np.concatenate([part.images for part in parts])
    assert images.max() == 255 and images.min() == 0
    assert images.mean() == pytest.approx(255 * 40 * 20 / 64**2, rel=0.02)
    if image_size is None:
        assert sorted(rows_of(images)) == sorted(rows_of(255 * sprites))


def test_celeb_a_keeps_the_central_square(prepared):
    """A frame around the central 148×148 of 218×178 is cut off."""
    face = np.zeros((218, 178, 3), np.uint8)
    face[35 : 35 + 148, 15 : 15 + 148] = 200

    def as_dataset(builder, split, **kwargs):
        return tf.data.Dataset.from_tensors({"image": face}).repeat(20)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset, data_dir=prepared("celeb_a", {"train": 20, "test": 20})):
        splits = data.load("celeb_a", image_size=(64, 64))
    assert splits.train.images.shape == (18, 64, 64, 3)
    assert np.all(splits.train.images == 200)


@pytest.mark.parametrize("name, size", [("svhn_cropped", (32, 32)), ("celeb_a", (148, 148))])
def test_fine_stripes_become_grey_where_images_are_made_smaller(prepared, name, size):
    """Without a filter a quarter of the size would keep the two columns in the middle of four, all of them white."""
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[:, 1::4] = stripes[:, 2::4] = 255
    if name == "celeb_a":  # of which the centre is kept
        stripes = np.pad(stripes, [(35, 35), (15, 15), (0, 0)])
    splits = dict.fromkeys(("train", "test"), 20)

    def as_dataset(builder, split, **kwargs):
        return tf.data.Dataset.from_tensors({"image": stripes, "label": 3}).repeat(20)

    smaller = (size[0] // 4, size[1] // 4)
    with tfds.testing.mock_data(as_dataset_fn=as_dataset, data_dir=prepared(name, splits)):
        images = data.load(name, image_size=smaller).train.images
    assert images.shape[1:] == (*smaller, 3)
    inside = images[:, 1:-1, 1:-1].astype(int)  # at the edges the filter sees less
    assert abs(inside - 127.5).max() <= 2


# Folders.


def write_picture(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    encode = tf.io.encode_jpeg if path.suffix.lower() in (".jpg", ".jpeg") else tf.io.encode_png
    path.write_bytes(encode(image).numpy())


def plain(value, height=20, width=30, channels=3):
    return np.full((height, width, channels), value, np.uint8)


def bmp(image):
    """A 24-bit Windows bitmap, bottom row first, as the format has it."""
    height, width, _ = image.shape
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-width * 3 % 4) for row in image[::-1])
    header = b"BM" + np.array([54 + len(rows), 0, 54, 40, width, height], "<u4").tobytes()
    return header + np.array([1, 24], "<u2").tobytes() + np.array([0, len(rows), 0, 0, 0, 0], "<u4").tobytes() + rows


def everything(splits):
    return np.concatenate([splits.train.images, splits.validation.images, splits.test.images])


def test_folder_takes_several_formats_sizes_and_channels(tmp_path):
    write_picture(tmp_path / "colour.png", plain(10))
    write_picture(tmp_path / "grey.png", plain(40, 17, 90, channels=1))
    write_picture(tmp_path / "rgba.png", np.concatenate([plain(70), plain(128, channels=1)], axis=-1))
    write_picture(tmp_path / "holidays" / "PHOTO.JPG", plain(100, 300, 200))
    write_picture(tmp_path / "holidays" / "2019" / "grey.jpeg", plain(130, 9, 9, channels=1))
    (tmp_path / "holidays" / "old.bmp").write_bytes(bmp(plain(160, 13, 11)))
    import PIL.Image

    PIL.Image.fromarray(plain(190, 25, 24)).save(tmp_path / "holidays" / "2019" / "drawing.gif")
    PIL.Image.fromarray(plain(220), "RGB").convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    (tmp_path / "notes.txt").write_text("no picture, no matter")
    splits = data.load_folder(tmp_path, (16, 16))
    images = everything(splits)
    assert images.shape == (8, 16, 16, 3) and images.dtype == np.uint8
    assert splits.train.labels is None
    means = np.sort(images.mean(axis=(1, 2, 3)))
    # The half-transparent 70 lies on white: (70 · 128 + 255 · 127) / 255.
    np.testing.assert_allclose(means, [10, 40, 100, 130, 160, 162, 190, 220], atol=4)
    assert images.std(axis=(1, 2, 3)).max() < 2


def test_folder_keeps_the_aspect_ratio_by_cutting(tmp_path):
    """A wide picture loses its red flanks; its green square is left."""
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, :, 0] = 255
    image[:, 20:40] = (0, 255, 0)
    plt.imsave(tmp_path / "wide.png", image)
    (only,) = data.load_folder(tmp_path, (10, 10)).train.images
    np.testing.assert_array_equal(only, np.broadcast_to(np.uint8([0, 255, 0]), (10, 10, 3)))


def test_folder_keeps_colours_and_orientation(tmp_path):
    quarters = np.zeros((20, 20, 3), np.uint8)
    quarters[:10, :10], quarters[:10, 10:], quarters[10:, :10] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    write_picture(tmp_path / "a.png", quarters)
    (tmp_path / "b.bmp").write_bytes(bmp(quarters))
    for image in everything(data.load_folder(tmp_path, (20, 20))):
        assert np.array_equal(image, quarters)


def test_folder_splits_ten_to_one_to_one(tmp_path):
    for i in range(40):
        write_picture(tmp_path / f"{i}.png", plain(5 * i))
    splits = data.load_folder(tmp_path, (8, 8))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (33, 3, 4)
    assert sorted(everything(splits)[:, 0, 0, 0]) == list(range(0, 200, 5))
    again = data.load_folder(tmp_path, (8, 8))
    assert np.array_equal(everything(again), everything(splits))


@pytest.mark.parametrize("number, sizes", [(1, (1, 1, 1)), (2, (1, 1, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))])
def test_few_pictures_make_all_three_splits(tmp_path, number, sizes, capsys):
    for i in range(number):
        write_picture(tmp_path / f"{i}.png", plain(50 * i + 20))
    splits = data.load_folder(tmp_path, (8, 8))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == sizes
    said = {1: "is for training and validation too\n", 2: "is for validation too\n"}.get(number, "")
    assert capsys.readouterr().err.endswith(said) and bool(said) == (number < 3)
    # Where there are enough, none is in two parts; none is ever left out.
    assert set(everything(splits)[:, 0, 0, 0]) == {50 * i + 20 for i in range(number)}


def test_broken_file_is_named_and_skipped(tmp_path, capsys):
    for i in range(3):
        write_picture(tmp_path / f"{i}.png", plain(50 * i))
    (tmp_path / "0broken.png").write_bytes(b"this is no picture")
    (tmp_path / "1empty.jpg").write_bytes(b"")
    (tmp_path / "2cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    images = everything(data.load_folder(tmp_path, (8, 8)))
    assert sorted(images.mean(axis=(1, 2, 3))) == [0, 50, 100]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"skipped {tmp_path / name}" for name in ("0broken.png", "1empty.jpg", "2cut.png")
    ]
    assert [line.split(": ")[1] for line in lines[:2]] == [
        "no picture of a format that Pillow can read",
        "an empty file",
    ]


def test_whole_files_are_not_mentioned(tmp_path, capsys):
    for i in range(3):
        write_picture(tmp_path / f"{i}.png", plain(9 * i))
    data.load_folder(tmp_path, (8, 8))
    assert capsys.readouterr() == ("", "")


def test_reason_for_a_skipped_file_is_readable(tmp_path, capsys):
    """Not the name of a TensorFlow kernel."""
    write_picture(tmp_path / "a.png", plain(9))
    (tmp_path / "b.png").write_bytes(b"this is no picture")
    data.load_folder(tmp_path, (8, 8))
    assert "function_node" not in capsys.readouterr().err


def test_empty_folder_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    kinds = ".avif, .bmp, .gif, .jpeg, .jpg, .png, .ppm, .tif, .tiff, .webp or another format of pictures"
    expected = f"There is no image in {str(tmp_path)!r}, nor in its subfolders. Expected files of {kinds} that"
    with pytest.raises(data.DataError, match=re.escape(expected)):
        data.load_folder(tmp_path, (8, 8))


def test_folder_of_broken_files_is_an_error(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"this is no picture")
    (tmp_path / "b.jpg").write_bytes(b"nor is this")
    with pytest.raises(data.DataError, match=re.escape(f"None of the 2 images in {str(tmp_path)!r} can be read.")):
        data.load_folder(tmp_path, (8, 8))
    assert capsys.readouterr().err.count("skipped") == 2


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_what_is_no_folder_is_an_error(tmp_path, name):
    write_picture(tmp_path / "file.png", plain(9))
    expected = f"Expected a folder of images. Received: {str(tmp_path / name)!r}, which is no folder."
    with pytest.raises(data.DataError, match=re.escape(expected)):
        data.load_folder(tmp_path / name, (8, 8))


def test_folder_named_like_a_picture_is_no_picture(tmp_path):
    (tmp_path / "album.png").mkdir()
    with pytest.raises(data.DataError, match="There is no image in"):
        data.load_folder(tmp_path, (8, 8))


def test_linked_subfolder_is_followed(tmp_path):
    write_picture(tmp_path / "elsewhere" / "a.png", plain(60))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "link").symlink_to(tmp_path / "elsewhere")
    assert data.load_folder(tmp_path / "pictures", (8, 8)).train.images.mean() == 60


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_picture(tmp_path / "pictures" / "a.png", plain(60))
    assert data.load_folder("~/pictures", (8, 8)).train.images.mean() == 60


# On the disk.


def on_disk(images, folder):
    stored = disk.empty(images.images.shape, np.uint8, folder)
    stored[:] = images.images
    return data.Images(stored, images.labels)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_from_the_disk_are_the_same_to_the_bit(tmp_path, shuffle, dynamic):
    rest, part = data.cut(pictures(53, (6, 5, 3)), 12)
    settings = {"seed": 3, "shuffle": shuffle, "dynamic": dynamic, "labels": True, "first_step": 2, "epochs": 3}
    for images, stored in zip((rest, part), data.cut(on_disk(pictures(53, (6, 5, 3)), tmp_path), 12)):
        assert isinstance(stored.images, disk.DiskArray)
        expected, found = (data.batches(source, 4, **settings) for source in (images, stored))
        assert found.element_spec == expected.element_spec
        for (x, labels), (x_stored, labels_stored) in zip(expected, found, strict=True):
            assert np.array_equal(x, x_stored) and np.array_equal(labels, labels_stored)


def test_batches_of_codes_from_the_disk_are_the_same(tmp_path):
    codes = np.random.default_rng(0).integers(0, 512, (31, 4, 3), np.int32)
    stored = disk.empty(codes.shape, np.int32, tmp_path)
    stored[:] = codes
    expected, found = (data.code_batches(source, 4, shuffle=True, epochs=2) for source in (codes, stored))
    assert found.element_spec == expected.element_spec
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_batches_from_the_disk_feed_every_replica(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    images = pictures(20)
    dataset = strategy.experimental_distribute_dataset(data.batches(on_disk(images, tmp_path), 8, shuffle=True))
    rows = [row for x in dataset for part in strategy.experimental_local_results(x) for row in np.asarray(part)]
    assert sorted(np.uint8(np.rint(np.stack(rows) * 255)).reshape(20, -1).tolist()) == sorted(
        images.images.reshape(20, -1).tolist()
    )


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_dataset_on_the_disk_is_the_same(samples, tmp_path, name):
    stored = data.load(name, sample=True, disk_folder=tmp_path)
    for part in ("train", "validation", "test"):
        expected, found = getattr(samples[name], part), getattr(stored, part)
        assert isinstance(found.images, disk.DiskArray) and np.array_equal(found.images[:], expected.images)
        assert np.array_equal(found.labels, expected.labels)
        assert data.pixel_variance(found) == data.pixel_variance(expected)
    assert list(tmp_path.iterdir()) == []


def test_static_binarisation_on_the_disk_is_the_same(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_PART_BYTES", 100 * 784)
    images = samples["mnist"].test
    stored = data.binarize(on_disk(images, tmp_path), seed=1)
    assert isinstance(stored.images, disk.DiskArray)
    whole = data.binarize(images, seed=1).images
    assert np.array_equal(stored.images[:], whole)
    # Each part is a draw of its own.
    grey = data.Images(np.full((200, 28, 28, 1), 128, np.uint8))
    first, second = np.split(data.binarize(grey, seed=1).images, 2)
    assert 0.45 < np.mean(first != second) < 0.55


def test_folder_on_the_disk_is_the_same(tmp_path, capsys):
    for i in range(25):
        write_picture(tmp_path / "pictures" / f"{i}.png", plain(10 * i))
    (tmp_path / "pictures" / "3broken.png").write_bytes(b"this is no picture")
    expected = data.load_folder(tmp_path / "pictures", (8, 8))
    found = data.load_folder(tmp_path / "pictures", (8, 8), disk_folder=tmp_path)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(found, part).images[:], getattr(expected, part).images)
    assert capsys.readouterr().err.count("3broken.png") == 2


def test_images_of_several_sizes_need_one_to_be_given(prepared):
    folder = prepared("caltech101", {"train": 4, "test": 4})
    with tfds.testing.mock_data(num_examples=4, data_dir=folder):
        with pytest.raises(ValueError, match="Expected `image_size` to be .*caltech101 are of several sizes"):
            data.load("caltech101")
        assert data.load("caltech101", image_size=(8, 8)).test.images.shape == (4, 8, 8, 3)
