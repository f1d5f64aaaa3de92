"""Files that appear whole or not at all."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import keras

from zoo.runtime.types import PathLike

_SCRATCH = re.compile(r"\.(\d+)-")  # how a temporary name begins: with the number of its process


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write to; what lies there at the end takes its place, on an error nothing does.

    The temporary name keeps the ending, as Keras and matplotlib choose the format by it. What was written is on the
    disk before it takes the place, so that not even a machine that loses power leaves half of it.
    """
    path = pathlib.Path(path)
    scratch = _scratch(path)
    try:
        yield scratch
        for written in scratch.rglob("*") if scratch.is_dir() else (scratch,):
            with open(written, "rb") as file:
                os.fsync(file.fileno())
        if path.is_dir():  # a folder cannot be renamed onto another
            remove(path)
        os.replace(scratch, path)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch)
        else:
            scratch.unlink(missing_ok=True)


def remove(folder: pathlib.Path) -> None:
    """Removes a folder whole: whoever looks for it in the middle of that finds all of it or nothing."""
    away = _scratch(folder, "old-")
    os.rename(folder, away)
    shutil.rmtree(away)


def sweep(folder: pathlib.Path) -> None:
    """Removes what processes that were killed left behind in `folder` and below, as they could not."""
    for path in folder.rglob(".*"):
        owner = _SCRATCH.match(path.name)
        if owner and not _is_running(int(owner[1])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _prefix():
    return f".{os.getpid()}-"


def _scratch(path, kind=""):
    return path.with_name(f"{_prefix()}{kind}{path.name}")


def _is_running(process):
    if process == os.getpid():  # as a container gives the same number at each start
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True


@contextlib.contextmanager
def scratch_folder(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives an empty folder in `parent`, hidden, in which to write what is then renamed; what is left goes.

    So does `parent`, where it did not exist before and nothing was put into it.
    """
    made = not parent.exists()
    require_writable("path", parent)
    try:
        with tempfile.TemporaryDirectory(prefix=_prefix(), dir=parent, ignore_cleanup_errors=True) as folder:
            scratch = pathlib.Path(folder, "scratch")
            scratch.mkdir()
            yield scratch
    finally:
        if made and not any(parent.iterdir()):
            parent.rmdir()


def require_writable(name: str, folder: pathlib.Path) -> None:
    """Makes `folder` where it is missing; raises ValueError, naming the argument, if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"Expected `{name}` to be a folder that can be written to. Received: {str(folder)!r} ({error.strerror})"
        ) from error


def sha256(path: PathLike) -> str:
    """The digest of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: PathLike, text: str) -> None:
    with replacing(path) as scratch:
        scratch.write_text(text)


def write_json(path: PathLike, value: object, indent: int | None = 2) -> None:
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_csv(path: PathLike, rows: Sequence[Mapping[str, object]]) -> None:
    """Dicts as rows; the columns are all keys, in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as scratch, open(scratch, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def save_model(model: keras.Model, path: PathLike) -> None:
    with replacing(path) as scratch:
        model.save(scratch)
