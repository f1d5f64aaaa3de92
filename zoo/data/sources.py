"""TFDS datasets by name, and small samples of three of them that ship with the package."""

import dataclasses
import logging
import os
import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from zoo._compat import tfds as tfds_compat
from zoo.data.errors import DataError
from zoo.data.splits import Images, Splits, cut, validation_size
from zoo.runtime import checks, disk, startup
from zoo.runtime.types import PathLike

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

SAMPLE_DIR = pathlib.Path(__file__).parent / "sample_data"
SAMPLES = ("mnist", "fashion_mnist", "cifar10")


@dataclasses.dataclass(frozen=True)
class Source:
    """The conversion of a TFDS dataset to images: its splits, and the treatment of pixels and labels."""

    train: str = "train"
    test: str = "test"
    top: int = 255  # the largest pixel value
    crop: int | None = None  # side of the central square to keep
    label: str | None = "label"


SOURCES = {
    # dSprites has one split and binary pixels; its test images are the last tenth of a fixed shuffle.
    "dsprites": Source(test="", top=1, label="label_shape"),
    # The usual central square (Larsen et al. 2016) without most of the background.
    "celeb_a": Source(crop=148, label=None),
}


def load(
    name: str,
    data_dir: PathLike | None = None,
    image_size: int | tuple[int, int] | None = None,
    sample: bool = False,
    disk_folder: PathLike | None = None,
) -> Splits:
    """Loads a TFDS dataset by name, and splits it.

    Args:
        name: str, of TFDS: "mnist", "cifar10", "svhn_cropped", …
        data_dir: path where TFDS looks for the dataset and stores it. None: the environment variable TFDS_DATA_DIR,
            else TFDS's default.
        image_size: (H, W), or an int for squares, or None to keep the size.
        sample: bool, whether to read the small subset that ships with the package; without a `data_dir`.
        disk_folder: path of a folder to keep the images on disk while they are used; None keeps them in memory.

    Returns:
        `Splits`.

    Raises:
        ValueError: for an `image_size` of another form, or a `data_dir` beside `sample`.
        DataError: if the dataset is not available.
        zoo.runtime.disk.NoRoom: if the disk cannot hold the images.

    Example:
        >>> splits = zoo.data.load("mnist", sample=True)
        >>> splits.train.images.shape, splits.test.labels.dtype
        ((…, 28, 28, 1), dtype('int32'))
    """
    if image_size is not None:
        image_size = checks.image_size("image_size", image_size)
    source = SOURCES.get(name, Source())
    builder = prepared(name, _folder(name, data_dir, sample))
    train = _read(builder, source.train, source, image_size, disk_folder)
    if source.test:
        test = _read(builder, source.test, source, image_size, disk_folder)
    else:
        train, test = cut(train, len(train) // 10)
    return Splits(*cut(train, validation_size(len(train))), test)


def image_shape(
    name: str, data_dir: PathLike | None = None, sample: bool = False
) -> tuple[int | None, int | None, int]:
    """(H, W, C) of the images that `load` gives without an `image_size`; H and W None for images of several sizes.

    Args:
        name, data_dir, sample: as in `load`.

    Raises:
        DataError: if the dataset is not available, or has no images.
    """
    builder, source = prepared(name, _folder(name, data_dir, sample)), SOURCES.get(name, Source())
    features = dict(builder.info.features)
    if "image" not in features or len(features["image"].shape) != 3:
        raise DataError(f"Expected a dataset of images. Received: {name!r}, with {', '.join(features)}")
    height, width, channels = features["image"].shape
    return (source.crop or height, source.crop or width, channels)


def _folder(name, data_dir, sample):
    """The folder where TFDS looks; None for its own choice."""
    if not sample:
        return data_dir
    if data_dir is not None:
        checks.fail("data_dir", "None, as sample=True takes the bundled images", data_dir)
    if name not in SAMPLES:
        raise DataError(f"There is no bundled sample of {name!r}; there is one of {', '.join(SAMPLES)}.")
    return SAMPLE_DIR


def prepared(name: str, data_dir: PathLike | None) -> "tfds.core.DatasetBuilder":
    """The TFDS builder of a dataset, downloaded and prepared on disk if it was not."""
    import tensorflow_datasets as tfds

    where = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    # It would print each of its ten attempts; the error of the last one is enough.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        builder = tfds.builder(name, data_dir=where)
        if not builder.is_prepared():
            print(
                f"{name} is not in {builder.data_dir_root} yet: fetching it; without a network, TFDS tries for minutes"
            )
        builder.download_and_prepare()
    except Exception as error:  # network, disk and servers raise errors of many classes
        ways = "pass --data-dir (or set TFDS_DATA_DIR) to a folder that holds it, prepared by TFDS"
        if name in SAMPLES:
            ways += ", or pass --sample for the small real subset that ships with the package"
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"The dataset {name!r} is not available: it is not prepared in {where or 'the default TFDS folder'}, and "
            f"fetching it failed ({type(error).__name__}: {reason}). Remedies: try again with a network, {ways}."
        ) from error
    return builder


def _read(builder, split, source, image_size, disk_folder):
    """Reads a whole split. Each image is written once, directly to its place."""
    import tensorflow_datasets as tfds

    info = builder.info
    keep_labels = source.label is not None and source.label in info.features

    def picture(example):
        image = example["image"] * (255 // source.top)
        if source.crop:
            image = tf.image.resize_with_crop_or_pad(image, source.crop, source.crop)
        if image_size and image_size != tuple(image.shape[:2]):
            image = tf.image.resize(image, image_size, method="area" if source.crop else "bilinear", antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        label = example[source.label] if keep_labels else tf.constant(0, tf.int64)
        return image, tf.cast(label, tf.int32)

    dataset = _pictures_of_records(builder, split, picture, source.label if keep_labels else None)
    if dataset is None:
        once = tfds.ReadConfig(try_autocache=False)  # TFDS would keep small datasets in memory
        dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=once)
        dataset = dataset.map(picture, num_parallel_calls=2)
        image_shape = dataset.element_spec[0].shape
        if None in image_shape:
            checks.fail("image_size", f"(H, W), as the images of {builder.name} are of several sizes", image_size)
        dataset = dataset.batch(disk.rows_at_once((0, *image_shape), np.uint8))
    number = info.splits[split].num_examples
    shape = (number, *dataset.element_spec[0].shape[1:])
    images, labels = disk.empty(shape, np.uint8, disk_folder), np.empty(number, np.int32)
    start = 0
    with startup.quiet():
        for chunk, chunk_labels in dataset.as_numpy_iterator():
            images[start : start + len(chunk)] = chunk
            labels[start : start + len(chunk)] = chunk_labels
            start += len(chunk)
    return Images(images, labels if keep_labels else None).take(slice(start))


def _pictures_of_records(builder, split, picture, label):
    """Batches of the results of `picture` for the examples of a split, in the order of TFDS, in a third of its time.

    None for a split that is not a single record file of 8-bit images.
    """
    feature, path = builder.info.features["image"], tfds_compat.single_record_file(builder, split)
    if path is None or feature.np_dtype != np.uint8:
        return None
    columns = {"image": tf.io.FixedLenFeature((), tf.string)}
    columns |= {label: tf.io.FixedLenFeature((), tf.int64)} if label else {}

    def decoded(example):
        image = tf.io.decode_image(example["image"], feature.shape[-1], expand_animations=False)
        return picture(example | {"image": tf.ensure_shape(image, feature.shape)})

    def batch(records):
        return tf.map_fn(decoded, tf.io.parse_example(records, columns), fn_output_signature=(tf.uint8, tf.int32))

    records = tf.data.TFRecordDataset(path)
    return records.batch(disk.rows_at_once((0, *feature.shape), np.uint8)).map(batch, num_parallel_calls=2)
