"""Reads a shard of either format."""

import gzip
import types
import zlib
from collections.abc import Iterator
from typing import IO

from zoo.data.errors import DataError
from zoo.data.shards import locations, tars, tfrecords
from zoo.data.shards.records import Record

FORMATS: dict[str, types.ModuleType] = {"TFRecord": tfrecords, "tar": tars}
_HEAD = 512


def form(path: str) -> str:
    """The format of a shard, by its first bytes: a key of `FORMATS`.

    Raises:
        DataError: for a file of another format, and for one that is empty or cannot be read.
    """
    with locations.open_raw(path) as raw:
        try:
            head = locations.uncompressed(raw).read(_HEAD)
        except (EOFError, zlib.error):
            head = b""
    for name, module in FORMATS.items():
        if module.begins(head):
            return name
    received = f"one that begins with {head[:8]!r}" if head else "an empty one"
    raise DataError(f"Expected {path!r} to be a TFRecord or a tar shard. Received: {received}")


def read(path: str, kind: str, offset: int = 0, index: int = 0) -> Iterator[Record]:
    """The records of a shard of format `kind`, from the one of number `index` at byte `offset` of the content."""
    with locations.open_raw(path) as raw:
        yield from records(raw, kind, offset, index)


def records(raw: IO[bytes], kind: str, offset: int = 0, index: int = 0) -> Iterator[Record]:
    """As `read`, from an open file."""
    try:
        for record in FORMATS[kind].read(locations.uncompressed(raw), offset, index):
            index = record.index + 1
            yield record
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Record(index, offset, broken="the compressed shard is damaged here, or ends here")
