"""Reads TFRecord shards of `tf.train.Example`. A damaged record is reported, and the next one is read."""

import struct
from collections.abc import Iterator, Sequence
from typing import IO

import tensorflow as tf
from google.protobuf import message

from zoo.data.shards import crc
from zoo.data.shards.records import Record

_IMAGE, _LABEL = ("image/encoded", "image"), ("label", "image/class/label")


def begins(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a TFRecord file: a length and its checksum."""
    return len(head) >= 12 and struct.unpack("<I", head[8:12])[0] == crc.masked(head[:8])


def read(file: IO[bytes], offset: int = 0, index: int = 0) -> Iterator[Record]:
    """The records of an open shard, from the one of number `index` at byte `offset` to the end.

    Layout of a record: length (8 bytes), its checksum (4), data, the checksum of the data (4).
    """
    file.seek(offset)
    while head := file.read(12):
        if not begins(head):
            yield Record(index, offset, broken="its length is damaged, so the rest of the shard cannot be read")
            return
        length = struct.unpack("<Q", head[:8])[0]
        body = file.read(length + 4)
        if len(body) < length + 4:
            yield Record(index, offset, broken="the shard ends within it")
            return
        content = body[:length]
        if struct.unpack("<I", body[length:])[0] != crc.masked(content):
            yield Record(index, offset, broken="its checksum does not match")
        else:
            yield _parsed(index, offset, content)
        index, offset = index + 1, offset + 16 + length


def _parsed(index, offset, content):
    try:
        features = tf.train.Example.FromString(content).features.feature
    except message.DecodeError:
        return Record(index, offset, broken="it is no tf.train.Example")
    image: Sequence[bytes] = next((features[name].bytes_list.value for name in _IMAGE if name in features), ())
    if len(image) != 1:
        names = ", ".join(sorted(features)[:5]) or "none"
        return Record(index, offset, broken=f"it has no encoded picture under `image` or `image/encoded`, but {names}")
    label: Sequence[int] = next((features[name].int64_list.value for name in _LABEL if name in features), ())
    return Record(index, offset, image[0], label[0] if len(label) == 1 else None)
