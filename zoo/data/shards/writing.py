"""Writes shards that `load_shards` reads."""

import contextlib
import glob
import io
import itertools
import os
import pathlib
import tarfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from zoo.data import decoding
from zoo.data.shards import indexing, locations
from zoo.data.splits import Images
from zoo.runtime import checks, disk, files
from zoo.runtime.types import PathLike

_OPEN_AT_ONCE = 512  # of the files that a process may usually have open


def write_shards(images: "Images | Iterable[Any]", pattern: PathLike, labels: Iterable[int] | None = None) -> list[str]:
    """Writes pictures to shards, with an index beside each. All of them appear, or none does.

    Picture number i goes to shard i modulo their number. Arrays are stored as PNG, without loss; the content of files
    and bytes is stored as it is.

    Args:
        images: `Images`, or an iterable of uint8 arrays `[H,W,C]` with 1 or 3 channels, of paths of picture files, or
            of their contents as bytes. It may be longer than memory.
        pattern: path of the shards on a local disk, such as "train-{000..009}.tar". The ending chooses the format:
            `.tar` for WebDataset, `.tfrecord` or `.tfrecords` for TFRecord.
        labels: iterable of ints, one for each picture, or None. The labels of `Images` are written if this is None.

    Returns:
        list of str, the paths of the shards.

    Raises:
        ValueError: for another ending, for a shard that exists, for fewer pictures than shards, for labels that are no
            integers, and for what is no picture: the message says which one.

    Example:
        >>> splits = zoo.data.load("mnist", sample=True)
        >>> len(zoo.data.write_shards(splits.test, "mnist-{0..3}.tfrecord"))
        4
    """
    paths = [pathlib.Path(path) for path in locations.expand(os.path.expanduser(os.fspath(pattern)))]
    kinds = {"".join(path.suffixes[-1:]) for path in paths}
    if len({path.parent for path in paths}) > 1 or not kinds <= {".tar", ".tfrecord", ".tfrecords"} or len(kinds) > 1:
        checks.fail("pattern", "shards of one folder that end in .tar, .tfrecord or .tfrecords", str(pattern))
    if len(paths) > _OPEN_AT_ONCE or len(set(paths)) < len(paths):
        checks.fail("pattern", f"at most {_OPEN_AT_ONCE} shards, each once", str(pattern))
    for path in paths:
        if path.exists():
            checks.fail("pattern", "shards that do not exist yet", str(path))
    if isinstance(images, Images):
        labels = images.labels if labels is None else labels
        images = _rows(images.images)
    with files.scratch_folder(paths[0].parent) as folder:
        scratch = [folder / path.name for path in paths]
        count = _fill(scratch, images, labels, _Tar if kinds == {".tar"} else _TFRecord)
        if count < len(paths):
            checks.fail("images", f"{len(paths)} pictures or more, one for each shard", count)
        for path in scratch:
            indexing.write_beside(path)
        _move(
            [(each, path.with_name(each.name)) for path in paths for each in folder.glob(f"{glob.escape(path.name)}*")]
        )
    return [str(path) for path in paths]


def _rows(array):
    for part in disk.chunks(array):
        yield from array[part]


def _fill(paths, images, labels, writer):
    """Writes the pictures to the shards in turn, and returns their number."""
    with contextlib.ExitStack() as stack:
        shards = [stack.enter_context(writer(path)) for path in paths]
        missing: Any = object()
        count = 0
        pairs = (
            zip(images, itertools.repeat(None))
            if labels is None
            else itertools.zip_longest(images, labels, fillvalue=missing)
        )
        for count, (image, label) in enumerate(pairs, 1):
            if image is missing or label is missing:
                checks.fail("labels", "one label for each picture", "more" if image is missing else "fewer")
            content, ending = _encoded(image, count - 1)
            if label is not None and (np.ndim(label) or np.asarray(label).dtype.kind not in "iu"):
                checks.fail(f"labels[{count - 1}]", "an integer", label)
            shards[(count - 1) % len(shards)].add(count - 1, content, ending, None if label is None else int(label))
    return count


def _encoded(image, number):
    """The content of a picture file, and the ending of its name."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
            checks.fail("images", "uint8 arrays [H,W,C] with 1 or 3 channels", f"{image.dtype} {image.shape}")
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
        return file.getvalue(), "png"
    content = bytes(image) if isinstance(image, bytes) else pathlib.Path(image).read_bytes()
    about = f"picture {number}, counted from 0" + ("" if isinstance(image, bytes) else f", {image}")
    try:
        with Image.open(io.BytesIO(content)) as opened:
            kind = opened.format or ""
    except OSError as error:
        checks.fail("images", f"pictures that Pillow opens, as {about}, is not", str(error) or type(error).__name__)
    kind = "JPEG" if kind == "MPO" else kind
    endings = [ending for ending in decoding.endings() if Image.registered_extensions().get(ending) == kind]
    if not endings:
        checks.fail("images", f"pictures in a format that `load_folder` reads, as {about}, is not", kind)
    usual = ".jpg" if kind == "JPEG" else f".{kind.lower()}"
    return content, min(endings, key=lambda ending: (ending != usual, ending)).removeprefix(".")


def _move(pairs):
    """Renames files; takes back what was done if one fails."""
    done = []
    try:
        for scratch, path in pairs:
            os.replace(scratch, path)
            done.append(path)
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        raise


class _TFRecord:
    def __init__(self, path):
        self._writer = tf.io.TFRecordWriter(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def add(self, number, content, ending, label):
        feature = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))}
        if label is not None:
            feature["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        self._writer.write(example.SerializeToString(deterministic=True))


class _Tar:
    def __init__(self, path):
        self._archive = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  (closed in __exit__)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._archive.close()

    def add(self, number, content, ending, label):
        parts = {ending: content} | ({} if label is None else {"cls": str(label).encode()})
        for name, part in parts.items():
            member = tarfile.TarInfo(f"{number:09d}.{name}")
            member.size = len(part)
            self._archive.addfile(member, io.BytesIO(part))
