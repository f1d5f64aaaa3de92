"""Reads WebDataset shards: tar archives in which `KEY.jpg` and `KEY.cls` side by side are one record.

Not by `tarfile.open`, which takes a damaged header for the end of the archive.
"""

import re
import tarfile
from collections.abc import Iterator
from typing import IO

from zoo.data import decoding
from zoo.data.shards.records import Record

_BLOCK = 512
_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)$")  # WebDataset: the key ends at the first dot
_LONGEST_NAME = 2**20


def begins(head: bytes) -> bool:
    """Whether the first bytes of a file are the header of a tar archive's member."""
    return _header(head[:_BLOCK]) is not None


def read(file: IO[bytes], offset: int = 0, index: int = 0) -> Iterator[Record]:
    """The records of an open shard, from the one of number `index` whose first member is at byte `offset` to the end.

    Members that are neither pictures nor labels are passed over, as are keys that begin with two underscores.
    """
    key, first, rest = None, offset, False
    parts: dict[str, bytes] = {}
    for place, name, content, broken in _members(file, offset):
        match = _NAME.match(name)
        its_key = match[1] if match else None
        if parts and its_key != key:
            if not (rest and _picture(parts) is None):  # else what is left of the record that was reported
                yield _record(index, first, key, parts)
                index += 1
            parts, rest = {}, False
        if broken:
            yield Record(index, first if its_key is not None and its_key == key else place, broken=broken)
            index, key, parts, rest = index + 1, None, {}, True
        elif its_key and match and not its_key.rsplit("/", 1)[-1].startswith("__"):
            first = place if not parts else first
            key, parts = its_key, {**parts, match[2].lower(): content}
    if parts and not (rest and _picture(parts) is None):
        yield _record(index, first, key, parts)


def _picture(parts):
    return next((content for name, content in parts.items() if _is_picture(name)), None)


def _record(index, offset, key, parts):
    image = _picture(parts)
    if image is None:
        return Record(index, offset, broken=f"{key} has no picture, but {', '.join(sorted(parts)[:5])}")
    if "cls" not in parts:
        return Record(index, offset, image)
    try:
        return Record(index, offset, image, int(parts["cls"]))
    except ValueError:
        return Record(index, offset, broken=f"{key}.cls is no integer")


def _is_picture(ending):
    return "." + ending.rsplit(".", 1)[-1] in decoding.endings()


def _members(file, offset):
    """(byte of the header, name, content, None) of each file, and (byte, name, b"", reason) of what is damaged."""
    file.seek(offset)
    place, start, name, size, lost = offset, offset, None, None, False
    while lost or (block := file.read(_BLOCK)) != bytes(_BLOCK):
        block = file.read(_BLOCK) if lost else block
        if len(block) < _BLOCK:
            if not lost:
                yield place, "", b"", "the shard ends without the end of a tar archive"
            return
        header = _header(block)
        if header is None:
            if not lost:
                yield place, "", b"", "a header of the tar archive is damaged"
            lost, place = True, place + _BLOCK  # the next block that is a header is where the archive goes on
            start, name, size = place, None, None
            continue
        lost, length = False, header.size if size is None else size
        special = header.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)
        full = header.name if name is None else name
        content = _content(file, length, special or _is_wanted(header, full))
        place += _BLOCK + -(-length // _BLOCK) * _BLOCK
        if content is None:
            yield start, full, b"", "the shard ends within it"
            return
        if header.type == tarfile.XHDTYPE:
            name, size = _extended(content, name, size)
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            name = content.rstrip(b"\0").decode("utf-8", "replace")
        else:
            if header.isreg():
                yield start, full, content, None
            start, name, size = place, None, None


def _is_wanted(header, name):
    ending = name.rsplit(".", 1)[-1].lower()
    return header.isreg() and (ending == "cls" or _is_picture(ending))


def _content(file, length, wanted):
    """The content of a member, b"" if it is not wanted, or None if the file ends within it. Reads its last block."""
    padding = -length % _BLOCK
    if wanted:
        content = file.read(length)
        return content if len(content) + len(file.read(padding)) == length + padding else None
    rest = length + padding
    while rest:
        part = len(file.read(min(rest, 2**20)))
        if not part:
            return None
        rest -= part
    return b""


def _header(block):
    """The `TarInfo` of a header, or None if the block is none."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    special = header.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)
    return None if header.size < 0 or (special and header.size > _LONGEST_NAME) else header


def _extended(content, name, size):
    """Name and size from the records of an extended header: lines of "length key=value"."""
    for line in content.rstrip(b"\0").split(b"\n"):
        key, _, value = line.partition(b" ")[2].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size" and value.isdigit():
            size = int(value)
    return name, size
