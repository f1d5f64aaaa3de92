"""Loads the splits of shards: held-out images whole, training images when they are needed."""

import pathlib

import numpy as np

from zoo.data.errors import DataError
from zoo.data.shards import indexing, locations, reading
from zoo.data.shards.images import ShardedImages, StreamedSplits
from zoo.data.splits import Images
from zoo.runtime import checks, disk
from zoo.runtime.types import PathLike


def load_shards(
    pattern: str,
    image_shape: tuple[int, int, int],
    *,
    buffer: int = 2048,
    background: tuple[int, int, int] = (255, 255, 255),
    static_seed: int | None = None,
    disk_folder: PathLike | None = None,
    cache: PathLike | None = None,
) -> StreamedSplits:
    """Finds and counts the shards of a pattern, and splits their records.

    A shard is a TFRecord file of `tf.train.Example` with an encoded picture under `image` or `image/encoded` and a
    label under `label`, or a WebDataset tar archive with members `KEY.jpg`, `.png`, `.webp`, … and `KEY.cls`. Labels
    are optional. Both may be compressed by gzip. The pixels are those of `load_folder`.

    A hash of the encoded picture decides whether a record is for training, for validation (a sixteenth, at most about
    5,000) or for testing (as many). Copies of a picture are therefore in the same split.

    A record that cannot be used is named on stderr by its shard and its number there, and left out.

    Args:
        pattern: str; see `zoo.data.shards.find`.
        image_shape: (H, W, C), with 1 or 3 channels.
        buffer: int >= 1, the number of training images in memory among which the order is drawn.
        background: (red, green, blue), ints from 0 to 255, the colour behind transparent pixels; white by default.
        static_seed: int, the seed of static binarisation, or None for none.
        disk_folder: path of a folder to keep the held-out images on disk; None keeps them in memory.
        cache: path of a file for the counts of shards that have no index beside them, or None.

    Returns:
        `StreamedSplits`.

    Raises:
        ValueError: for arguments out of range.
        DataError: if a shard is missing, cannot be read, is of another format or has no pictures.
    """
    height, width = checks.image_size("image_shape", tuple(image_shape)[:2])
    if len(image_shape) != 3 or image_shape[2] not in (1, 3):
        checks.fail("image_shape", "(H, W, C) with 1 or 3 channels", image_shape)
    indices = indexing.of_all(locations.find(pattern), None if cache is None else pathlib.Path(cache))
    level = indexing.level(indices)
    train = ShardedImages(
        [index.trimmed(level - 1) for index in indices],
        level,
        (height, width, image_shape[2]),
        checks.positive_int("buffer", buffer),
        checks.colour("background", background),
        static_seed,
    )
    for index in indices:
        for number, reason in index.broken:
            train.skip(index.path, number, reason)
    return StreamedSplits(train, *(_held_out(train, testing, disk_folder) for testing in (False, True)))


def _held_out(train, testing, disk_folder):
    """The `Images` for testing or for validation, in the order of the shards."""
    places = [
        (index, number, offset)
        for index in train.indices
        for zeros, number, offset in index.held
        if (zeros >= train.level if testing else zeros == train.level - 1)
    ]
    images = disk.empty((len(places), *train.image_shape), np.uint8, disk_folder)
    labels, count = np.zeros(len(places), np.int32), 0
    for index, number, offset in places:
        record = next(reading.read(index.path, index.kind, offset, number), None)
        if record is None or record.broken:
            train.skip(index.path, number, record.broken if record else "the shard ends before it")
            continue
        if picture := train.pixels(index.path, record):
            images[count : count + 1], labels[count] = picture[0][None], picture[1]
            count += 1
    if not count:
        raise DataError(f"None of the {len(places)} pictures of the shards that are held out can be decoded.")
    return Images(images, labels if train.labelled else None).take(slice(count))
