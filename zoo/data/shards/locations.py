"""Finds shards by a pattern, and opens them: local files, and what TensorFlow's gfile or fsspec opens."""

import contextlib
import gzip
import itertools
import os
import re
from collections.abc import Iterator
from typing import IO, Any

import tensorflow as tf

from zoo.data.errors import DataError
from zoo.runtime import checks

INDEX_ENDING = ".index.json"
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_OF = re.compile(r"(.*-)(\d+)(-of-(\d+).*)")


def find(pattern: str) -> list[str]:
    """The paths of the shards of a pattern, in a fixed order; reads no shard.

    Args:
        pattern: str, a path, with ranges `{000..009}`, choices `{a,b}`, and the wildcards `*`, `?` and `[…]`.

    Raises:
        DataError: for a pattern without shards, and for a shard that is missing: one that a range names, or one of
            names like `train-00003-of-00010`.
    """
    found = []
    for path in expand(os.path.expanduser(pattern)):
        if re.search(r"[*?\[]", path) and not _exists(path):
            some = _glob(path)
            if not some:
                raise DataError(f"No shard fits the pattern {path!r}.")
            found += some
        elif not _exists(path):
            raise DataError(f"The shard {path!r} is missing.")
        else:
            found.append(path)
    found = list(dict.fromkeys(found))
    _require_all(found)
    return found


def expand(pattern: str) -> list[str]:
    """The pattern with its braces written out: "a-{08..10}.tar" as "a-08.tar", "a-09.tar", "a-10.tar"."""
    pieces = _BRACES.split(pattern)
    choices = [_choices(piece) if number % 2 else [piece] for number, piece in enumerate(pieces)]
    return ["".join(parts) for parts in itertools.product(*choices)]


def _choices(inside):
    limits = _RANGE.fullmatch(inside)
    if not limits:
        return inside.split(",")
    first, last = limits.groups()
    if int(first) > int(last):
        raise DataError(f"Expected a range of shards with the lower number first. Received: {{{inside}}}")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]


def _require_all(paths):
    """Raises `DataError` if paths like `train-00003-of-00010` are not complete."""
    parts = [match for match in map(_OF.fullmatch, paths) if match]
    for start, total, end in sorted({(match[1], match[4], match[3]) for match in parts}):
        for number in range(int(total)):
            if (name := f"{start}{number:0{len(total)}}{end}") not in paths:
                raise DataError(f"The shard {name!r} is missing.")


def scheme(path: str) -> str:
    """The file system of a path: "s3" of "s3://bucket/name", and "" of a local path."""
    return path.partition("://")[0] if "://" in path else ""


def _of_tensorflow(path):
    return scheme(path) in tf.io.gfile.get_registered_schemes()


def _fsspec(path):
    """(file system, path in it)."""
    try:
        checks.extra("shards", "fsspec")
        import fsspec

        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:  # fsspec or the package for this file system, or an unknown one
        raise DataError(f"The shard {path!r} cannot be read ({error}).") from error


def _glob(path):
    with _as_data_error(path):
        if _of_tensorflow(path):
            found = tf.io.gfile.glob(path)
        else:
            system, inside = _fsspec(path)
            found = [system.unstrip_protocol(each) for each in system.glob(inside)]
    names = ((each, each.rsplit("/", 1)[-1]) for each in found)
    return sorted(each for each, name in names if not name.endswith(INDEX_ENDING) and not name.startswith("."))


def _exists(path):
    with _as_data_error(path):
        if _of_tensorflow(path):
            return tf.io.gfile.exists(path)
        system, inside = _fsspec(path)
        return system.exists(inside)


def size(path: str) -> int:
    """The number of bytes of a file."""
    with _as_data_error(path):
        if _of_tensorflow(path):
            return tf.io.gfile.stat(path).length
        system, inside = _fsspec(path)
        return system.size(inside)


def read_text(path: str) -> str | None:
    """The content of a small file, or None if there is none."""
    if not _exists(path):
        return None
    with open_raw(path) as file:
        return file.read().decode(errors="replace")


@contextlib.contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """A context that gives a file, open for reading. Raises `DataError` where it cannot be opened or read."""
    with _as_data_error(path), contextlib.ExitStack() as stack:
        opened: Any
        if not scheme(path):
            opened = open(path, "rb")  # noqa: SIM115  (the stack closes it)
        elif _of_tensorflow(path):
            opened = tf.io.gfile.GFile(path, "rb")
        else:
            system, inside = _fsspec(path)
            opened = system.open(inside, "rb")
        yield stack.enter_context(opened)


def uncompressed(file: IO[bytes]) -> IO[bytes]:
    """The file itself, or a reader of its content if it is compressed by gzip."""
    head = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if head == b"\x1f\x8b" else file  # type: ignore[return-value]


@contextlib.contextmanager
def _as_data_error(path):
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or getattr(error, "message", None) or error).split())
        raise DataError(f"The shard {path!r} cannot be read ({reason[:200]}).") from error
