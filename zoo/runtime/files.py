"""Atomic writing of files and folders, and their removal."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

from zoo.runtime import checks
from zoo.runtime.types import PathLike

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # longer than the letter of a drive
_SCRATCH = re.compile(r"\.(\d+)-")  # a temporary name begins with the number of its process


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """A context that gives a temporary path to write to, which replaces `path` at the end unless an error is raised.

    A symbolic link stays, and what it leads to is replaced. The temporary name keeps the ending, as Keras and
    matplotlib choose the format by it. The content is flushed to the disk before the replacement: a power failure never
    leaves a partial file.
    """
    ending = pathlib.Path(path).suffix
    path = pathlib.Path(os.path.realpath(path) if os.path.islink(path) else path)
    scratch = _scratch(path if path.suffix == ending else path.with_name(path.name + ending))
    try:
        yield scratch
        inside = scratch.rglob("*") if scratch.is_dir() else (scratch,)
        for written in (path for path in inside if path.is_file()):
            with open(written, "rb") as file:
                os.fsync(file.fileno())
        if path.is_file() and scratch.is_file():
            shutil.copymode(path, scratch)
        if path.is_dir() and scratch.is_dir():  # a folder cannot be renamed onto another
            remove(path)
        os.replace(scratch, path)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch)
        else:
            scratch.unlink(missing_ok=True)


def remove(folder: pathlib.Path) -> None:
    """Removes a folder atomically: another process sees all of it or nothing."""
    away = _scratch(folder, "old-")
    os.rename(folder, away)
    shutil.rmtree(away)


def sweep(folder: pathlib.Path) -> None:
    """Removes temporary files that killed processes left in `folder` and below."""
    for path in folder.rglob(".*"):
        if _owner_is_gone(path):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _owner_is_gone(path):
    owner = _SCRATCH.match(path.name)
    return owner is not None and not _is_running(int(owner[1]))


def _prefix():
    return f".{os.getpid()}-"


def _scratch(path, kind=""):
    return path.with_name(f"{_prefix()}{threading.get_ident()}-{kind}{path.name}")


def _is_running(process):
    if process == os.getpid():  # a container reuses the same number at each start
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        pass
    return True


@contextlib.contextmanager
def folder_for(folder: pathlib.Path) -> Iterator[None]:
    """A context in which `folder` exists.

    At the end it is removed if it is empty and did not exist before, and so are its parents.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # which is raised for a folder that is not empty
                path.rmdir()


@contextlib.contextmanager
def scratch_folder(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """A context that gives an empty hidden folder in `parent`, for files to be renamed. Removes it at the end.

    Removes `parent` too if it did not exist before and is empty.
    """
    require_writable("path", parent)
    for left in sorted(path.parent for path in parent.glob(".*/scratch")):
        if not left.name.startswith(_prefix()) and _owner_is_gone(left):
            about = "was left by a process that was killed: remove it, unless another machine still writes to it"
            print(f"{left} {about}", file=sys.stderr)
    with (
        folder_for(parent),
        tempfile.TemporaryDirectory(prefix=_prefix(), dir=parent, ignore_cleanup_errors=True) as folder,
    ):
        scratch = pathlib.Path(folder, "scratch")
        scratch.mkdir()
        yield scratch


@contextlib.contextmanager
def held(name: str, folder: pathlib.Path) -> Iterator[None]:
    """A context in which nobody else holds `folder`, which exists.

    Raises:
        ValueError: about argument `name`, if somebody holds it.
    """
    if fcntl is None:  # Windows has no such lock
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            checks.fail(name, "a folder that no other run writes to", str(folder))
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def local(name: str, path: PathLike) -> pathlib.Path:
    """`path`, on this machine.

    Raises:
        ValueError: about argument `name`, for an address such as gs://bucket/model, for ~, and for an empty text: each
            would become a folder of that name, or files in the current one.
    """
    text = os.fspath(path)
    if not text or _ADDRESS.match(text) or text.startswith("~"):
        checks.fail(name, "a path of this machine, without ~; copy it to another place afterwards", text)
    return pathlib.Path(path)


def require_writable(name: str, folder: pathlib.Path) -> None:
    """Raises a ValueError about argument `name` if `folder` cannot be written to, or cannot be made."""
    local(name, folder)
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_symlink() or path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"Expected `{name}` to be a folder that can be written to. Received: {str(folder)!r} ({error.strerror})"
        ) from error


def sha256(path: PathLike) -> str:
    """The SHA-256 digest of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file, whole or not at all, as do the functions below."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_json(path: PathLike, value: object, indent: int | None = 2) -> None:
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_csv(path: PathLike, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes dicts as rows. The columns are all keys, in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
