"""Counts the records of shards, once: an index beside each shard, or one for all in the folder of a run.

The split of a record follows from a hash of its encoded picture: at level j, pictures whose hash begins with j zero
bits are for testing, those with j − 1 for validation, and the others for training. An index therefore counts records
by leading zeros, and lists the few that may be held out with their places.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from zoo.data.errors import DataError
from zoo.data.shards import locations, reading
from zoo.data.shards.records import leading_zeros
from zoo.runtime import files

_VERSION = 1
_LOWEST, _USUAL = 2, 4  # the level of a handful of records, and that of most: a sixteenth for testing
_HELD_OUT = 5000  # as in `zoo.data.validation_size`
_FEW = 256
_WHOLE, _PLACES, _AT_A_PLACE = 2**20, 8, 4096  # bytes
_SECONDS = 30  # between two notes of the counts so far


@dataclasses.dataclass(frozen=True)
class ShardIndex:
    """The counts of a shard.

    Attributes:
        path: str.
        kind: str, a key of `zoo.data.shards.reading.FORMATS`.
        size: int, bytes of the file.
        sha256: str, the digest of the file.
        zeros: ints `[65]`, the number of records by the leading zero bits of their hash.
        labelled: int, the number of records with a label.
        labels: (least, largest) label, or None without any.
        held: lists (zeros, index, offset) of the records of `lowest` leading zeros or more.
        lowest: int, the least number of leading zeros in `held`.
        broken: pairs (index, reason).
        places: str, a digest of a few places of the file, which tell whether it is still the same; "" in older indices,
            and of a file on another machine.
    """

    path: str
    kind: str
    size: int
    sha256: str
    zeros: Sequence[int]
    labelled: int
    labels: Sequence[int] | None
    held: Sequence[Sequence[int]]
    lowest: int
    broken: Sequence[tuple[int, str]]
    places: str = ""

    def number(self, level: int) -> int:
        """The number of training records."""
        return sum(self.zeros[: level - 1])

    def trimmed(self, lowest: int) -> "ShardIndex":
        """The same without the places of records that no level above `lowest` holds out."""
        if lowest <= self.lowest:
            return self
        return dataclasses.replace(self, held=[each for each in self.held if each[0] >= lowest], lowest=lowest)


class _Hashed:
    """A file that hashes what is read from it, from the beginning on."""

    def __init__(self, file):
        self._file, self._place, self._until, self._digest = file, 0, 0, hashlib.sha256()

    def seek(self, place):
        self._place = place
        return self._file.seek(place)

    def read(self, size=-1):
        part = self._file.read(size)
        self._place += len(part)
        if self._place > self._until:
            self._digest.update(part[len(part) - (self._place - self._until) :])
            self._until = self._place
        return part

    def sha256(self):
        """The digest of the whole file. Reads what is left of it."""
        while self.read(2**20):
            pass
        return self._digest.hexdigest()


def count(path: str) -> ShardIndex:
    """Reads a whole shard and counts its records.

    Raises:
        DataError: if the shard cannot be read, or has no record with a picture.
    """
    kind, zeros, held, broken = reading.form(path), [0] * 65, [], []
    labelled, labels = 0, None
    with locations.open_raw(path) as raw:
        file: Any = _Hashed(raw)
        for record in reading.records(file, kind):
            if record.broken:
                broken.append((record.index, record.broken))
                continue
            leading = leading_zeros(record.image)
            zeros[leading] += 1
            if record.label is not None:
                least, largest = labels or (record.label, record.label)
                labelled, labels = labelled + 1, (min(least, record.label), max(largest, record.label))
            if leading:
                held.append((leading, record.index, record.offset))
        digest = file.sha256()
    number = sum(zeros)
    if not number:
        reason = f" (record {broken[0][0]}: {broken[0][1]})" if broken else ""
        raise DataError(f"Expected pictures in the shard {path!r}. Received: none{reason}")
    size = locations.size(path)
    index = ShardIndex(path, kind, size, digest, zeros, labelled, labels, held, 1, broken, _places(path, size))
    return index.trimmed(_lowest(number))


def _places(path, size):
    """A digest of a few places of a local file: archives of other pictures are often of the same size."""
    if locations.scheme(path):  # each place would cost a transfer of megabytes
        return ""
    parts = [(0, size)]
    if size > _WHOLE:
        middles = [size * (2 * number + 1) // (2 * _PLACES) for number in range(_PLACES)]
        parts = [(middle - _AT_A_PLACE // 2, _AT_A_PLACE) for middle in middles]
    digest = hashlib.sha256()
    with locations.open_raw(path) as file:
        for start, length in parts:
            file.seek(start)
            digest.update(file.read(length))
    return digest.hexdigest()[:16]


def _fits(index, size):
    if index.size != size or not index.places:
        return index.size == size
    return _places(index.path, size) in ("", index.places)


def usual_level(number: int) -> int:
    """The level that holds out a sixteenth of `number` records for each of two splits, but not more than 5,000."""
    return max(_USUAL, math.ceil(math.log2(max(1, number) / _HELD_OUT)))


def level(indices: Iterable[ShardIndex]) -> int:
    """The level of the splits of all shards: higher for very many records, and lower for a handful.

    Raises:
        DataError: if there are too few records.
    """
    zeros = [sum(column) for column in zip(*(index.zeros for index in indices))]
    lower = range(_USUAL - 1, _LOWEST - 1, -1) if sum(zeros) <= _FEW else ()
    for found in (usual_level(sum(zeros)), *lower):
        if sum(zeros[found:]) and zeros[found - 1] and sum(zeros[: found - 1]):
            return found
    received = f"{sum(zeros)} records"
    raise DataError(f"Expected about 50 different pictures or more, to hold some out of training. Received: {received}")


def fingerprint(indices: Sequence[ShardIndex]) -> str:
    """The content of the shards, wherever they are: "1000 records in 4 shards (0123456789abcdef)"."""
    digest = hashlib.sha256(json.dumps([index.sha256 for index in indices]).encode()).hexdigest()[:16]
    number = sum(sum(index.zeros) for index in indices)
    return f"{number} records in {len(indices)} shards ({digest})"


def of_all(paths: Sequence[str], cache: pathlib.Path | None = None) -> list[ShardIndex]:
    """The index of each shard: from the file beside it, from `cache`, or counted now and kept in `cache`.

    Raises:
        DataError: if a shard cannot be read, does not fit the index beside it, is of another format than the first, or
            has no picture.
    """
    known, counted, last, number = _cached(cache), 0, time.monotonic(), 0
    found: list[ShardIndex] = []
    for path in paths:
        index, size = beside(path), locations.size(path)
        if index is not None and not _fits(index, size):
            how = "other content" if index.size == size else f"{size} bytes, and {index.size}"
            raise DataError(
                f"The shard {path!r} is incomplete or has changed: it has {how} by the index beside it. Restore it, or "
                f"remove {path + locations.INDEX_ENDING!r} to count its records again."
            )
        if index is None and path in known and _fits(known[path], size):
            index = known[path]
        if index is None:
            if not counted:
                kept = f"; the numbers are kept in {cache}" if cache else ""
                print(f"counting the records of the shards{kept}", file=sys.stderr)
            index, counted = count(path), counted + 1
        if found and index.kind != found[0].kind:
            first = found[0]
            raise DataError(f"Expected {path!r} to be a {first.kind} shard, as {first.path!r}. Received: {index.kind}")
        lowest, number = _lowest(number), number + sum(index.zeros)
        if lowest < _lowest(number):  # the lists of places must not grow with the data
            found = [each.trimmed(_lowest(number)) for each in found]
        found.append(index.trimmed(_lowest(number)))
        if cache and counted and time.monotonic() - last > _SECONDS:
            _write(cache, found)
            last = time.monotonic()
    if cache and counted:
        _write(cache, found)
    needed = level(found) - 1
    return [count(each.path) if each.lowest > needed else each for each in found]


def _lowest(number):
    return 1 if number <= _FEW else usual_level(number) - 1


def beside(path: str) -> ShardIndex | None:
    """The index in the file beside a shard, or None if there is none that can be read."""
    text = locations.read_text(path + locations.INDEX_ENDING)
    return None if text is None else _parsed(text, path)


def write_beside(scratch: pathlib.Path) -> None:
    """Counts a shard that was written, and writes its index beside it."""
    index = dataclasses.asdict(count(str(scratch))) | {"path": scratch.name, "version": _VERSION}
    files.write_json(f"{scratch}{locations.INDEX_ENDING}", index, indent=None)


def _parsed(text, path):
    try:
        entry = json.loads(text)
        if entry.pop("version") != _VERSION:
            return None
        return ShardIndex(**entry | {"path": path})
    except (ValueError, KeyError, TypeError, AttributeError):  # a file of another program, or one cut short
        return None


def _cached(cache):
    if cache is None or not cache.exists():
        return {}
    try:
        entries = json.loads(cache.read_text(encoding="utf-8"))
        parsed = {path: _parsed(json.dumps(entry), path) for path, entry in entries.items()}
    except (ValueError, AttributeError):
        return {}
    return {path: index for path, index in parsed.items() if index is not None}


def _write(cache, indices):
    entries = {index.path: dataclasses.asdict(index) | {"version": _VERSION} for index in indices}
    files.write_json(cache, entries, indent=None)
