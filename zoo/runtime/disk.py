"""Arrays in memory, or in a file that is read row by row."""

import math
import os
import shutil
import tempfile

import numpy as np
from numpy import typing as npt

from zoo.runtime.types import ArrayLike, PathLike, Shape

_PART_BYTES = 2**22


class NoRoom(RuntimeError):
    """The disk cannot hold an array. The message names the folder and the remedies."""


class DiskArray:
    """An array in a file. Indexing by rows works as for a NumPy array.

    The file has no name, and nothing is left of it when the process ends or is killed. Rows are read into new memory
    and not mapped: mapped pages would count as memory of the process.

    Args:
        shape: ints, (N, …).
        dtype: NumPy dtype.
        folder: path of the folder for the file.

    Raises:
        NoRoom: if the disk has less room than the array needs.
    """

    def __init__(self, shape: Shape, dtype: npt.DTypeLike, folder: PathLike) -> None:
        self.shape, self.dtype, self.folder = tuple(shape), np.dtype(dtype), folder
        self._row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._rows: np.ndarray | None = None  # the rows of the file that a view has; None for all
        size, free = self.shape[0] * self._row_bytes, shutil.disk_usage(folder).free
        if size > free:
            raise self._no_room(f"{free / 2**20:.0f} MiB are free")
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (stays open with the array)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | ArrayLike) -> np.ndarray:
        """The rows of an int, a slice, or ints `[n]`, as a NumPy array."""
        rows = self._places(key)
        found = np.empty((rows.size, *self.shape[1:]), self.dtype)
        if found.size:
            flat = found.reshape(-1).view(np.uint8)
            # Consecutive rows are read in one call.
            ends = [*(np.flatnonzero(np.diff(rows.ravel()) != 1) + 1), rows.size]
            for begin, end in zip([0, *ends], ends):
                place = int(rows.ravel()[begin]) * self._row_bytes
                self._read(flat[begin * self._row_bytes : end * self._row_bytes], place)
        return found.reshape(*rows.shape, *self.shape[1:])

    def __setitem__(self, key: slice, values: np.ndarray) -> None:
        """Writes `values` to the rows of a slice without gaps.

        Raises:
            NoRoom: if the disk is full.
        """
        start, stop, step = key.indices(len(self))
        values = np.ascontiguousarray(values, self.dtype)
        if self._rows is not None or step != 1 or values.shape != (stop - start, *self.shape[1:]):
            raise ValueError(f"Expected {stop - start} rows to write. Received: {values.shape} for {key}")
        rest, place = values.reshape(-1).view(np.uint8).data, start * self._row_bytes
        while rest:
            try:
                written = os.pwrite(self._file.fileno(), rest, place)
            except OSError as error:
                raise self._no_room(error.strerror) from error
            rest, place = rest[written:], place + written

    def take(self, rows: slice | ArrayLike) -> "DiskArray":
        """A view of some rows, given as a slice or ints `[n]`, of the same file. It takes 8 bytes per row."""
        view = object.__new__(DiskArray)
        view.__dict__ |= self.__dict__
        view._rows = chosen = self._places(rows)
        view.shape = (len(chosen), *self.shape[1:])
        return view

    def _places(self, key):
        """The numbers, in the file, of the rows that a key selects: int64."""
        if isinstance(key, slice):
            rows = np.arange(*key.indices(len(self)))
        else:
            rows = np.asarray(key)
            if rows.dtype.kind not in "iu":
                raise TypeError(f"Expected an int, a slice or an array of ints. Received: {key!r}")
            if rows.size and not -len(self) <= rows.min() <= rows.max() < len(self):
                raise IndexError(f"Expected indices below {len(self)}. Received: {rows.min()} to {rows.max()}")
            rows = np.where(rows < 0, rows + len(self), rows).astype(np.int64)
        return rows if self._rows is None else self._rows[rows]

    def _read(self, into, place):
        while into.size:
            count = os.preadv(self._file.fileno(), [into], place)
            if not count:
                raise EOFError(f"Expected {into.size} more bytes at {place}. Received: the end of the file")
            into, place = into[count:], place + count

    def _no_room(self, reason):
        size = self.shape[0] * self._row_bytes / 2**20
        return NoRoom(
            f"There is no room for {size:.0f} MiB of data in {str(self.folder)!r} ({reason}). Remedies: make room "
            "there, choose a folder on another disk with --output, or leave out --no-cache."
        )


def empty(shape: Shape, dtype: npt.DTypeLike, folder: PathLike | None = None) -> np.ndarray | DiskArray:
    """A new array without values: in memory, or in a file in `folder`."""
    return np.empty(shape, dtype) if folder is None else DiskArray(shape, dtype, folder)


def empty_like(array: np.ndarray | DiskArray) -> np.ndarray | DiskArray:
    """A new array without values, of the same shape and dtype, in the same place."""
    return empty(array.shape, array.dtype, getattr(array, "folder", None))


def take(array: np.ndarray | DiskArray, rows: slice | np.ndarray) -> np.ndarray | DiskArray:
    """Some rows of an array, given as a slice or ints `[n]`, in the same place."""
    return array.take(rows) if isinstance(array, DiskArray) else array[rows]


def chunks(array: np.ndarray | DiskArray) -> list[slice]:
    """Slices that cover an array in order, a few MiB each."""
    step = rows_at_once(array.shape, array.dtype)
    return [slice(start, min(start + step, len(array))) for start in range(0, len(array), step)]


def rows_at_once(shape: Shape, dtype: npt.DTypeLike) -> int:
    """The number of rows of an array that take a few MiB: int >= 1."""
    return max(1, _PART_BYTES // max(1, math.prod(shape[1:]) * np.dtype(dtype).itemsize))
