"""Arrays on the disk give what NumPy's give, and leave nothing behind."""

import os
import tempfile
import types

import numpy as np
import pytest

from zoo.runtime import disk


@pytest.fixture
def memory():
    return np.random.default_rng(0).integers(0, 256, (23, 3, 2), np.uint8)


@pytest.fixture
def array(memory, tmp_path):
    stored = disk.empty(memory.shape, memory.dtype, tmp_path)
    for part in (slice(0, 10), slice(10, 23)):
        stored[part] = memory[part]
    return stored


KEYS = [
    slice(None), slice(3, 9), slice(2, 20, 3), slice(-4, None), slice(9, 3), 0, -1, np.int64(7), [4, 5, 6, 1, 1, 22],
    np.array([-1, -23, 3], np.int32), range(4, 8), np.zeros(0, np.int64), np.array([[1, 2], [3, 0]]),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_rows_are_those_of_numpy(array, memory, key):
    found = array[key]
    assert type(found) is np.ndarray and found.dtype == np.uint8
    assert np.array_equal(found, memory[key])


@pytest.mark.parametrize("rows", [slice(5, 15), [22, 3, 4, 5, 0, 3, -2]], ids=str)
@pytest.mark.parametrize("key", [slice(None), slice(1, 4), [2, 0, -1], 3], ids=str)
def test_part_is_a_view_of_the_same_file(array, memory, rows, key, tmp_path):
    part = disk.take(array, rows)
    assert isinstance(part, disk.DiskArray) and list(tmp_path.iterdir()) == []
    assert part.shape == memory[rows].shape and len(part) == len(memory[rows])
    assert np.array_equal(part[key], memory[rows][key])
    assert np.array_equal(disk.take(part, [1, 0])[:], memory[rows][[1, 0]])
    with pytest.raises(ValueError, match="Expected 2 rows to write"):
        part[:2] = memory[:2]


def test_part_of_numpys_is_numpys(memory):
    assert np.array_equal(disk.take(memory, [3, 1]), memory[[3, 1]])
    assert disk.empty_like(memory).shape == memory.shape and type(disk.empty((2, 3), np.int32)) is np.ndarray


def test_other_dtypes_keep_their_values(tmp_path):
    values = np.arange(-6, 6, dtype=np.int32).reshape(6, 2) * 100_000
    stored = disk.empty_like(disk.DiskArray(values.shape, np.int32, tmp_path))
    stored[:] = values
    assert stored.dtype == np.int32 and stored.size == 12 and stored.ndim == 2
    assert np.array_equal(stored[[5, 0]], values[[5, 0]])


def test_parts_cover_an_array_in_order(monkeypatch, memory):
    monkeypatch.setattr(disk, "_PART_BYTES", 30)
    parts = disk.chunks(memory)  # of 6 bytes a row
    assert [part.stop - part.start for part in parts] == [5, 5, 5, 5, 3]
    assert np.array_equal(np.concatenate([memory[part] for part in parts]), memory)
    monkeypatch.setattr(disk, "_PART_BYTES", 1)
    assert len(disk.chunks(memory)) == 23


@pytest.mark.parametrize("key", [23, -24, [0, 23]], ids=str)
def test_rows_beyond_the_end_are_an_error(array, key):
    with pytest.raises(IndexError, match="Expected indices below 23"):
        array[key]


@pytest.mark.parametrize("key", [1.5, np.ones(23, bool), "a", (1, 2.0)], ids=str)
def test_keys_of_another_kind_are_an_error(array, key):
    with pytest.raises(TypeError, match="Expected an int, a slice or an array of ints"):
        array[key]


def test_a_row_is_written_whole(array):
    with pytest.raises(ValueError, match="Expected 2 rows to write"):
        array[:2] = np.zeros((2, 3, 1), np.uint8)
    with pytest.raises(ValueError, match="Expected 10 rows to write"):
        array[0:10:2] = np.zeros((10, *array.shape[1:]), np.uint8)


def test_rows_that_were_never_written_are_an_error(tmp_path):
    stored = disk.DiskArray((4, 2), np.uint8, tmp_path)
    stored[:2] = np.ones((2, 2), np.uint8)
    with pytest.raises(EOFError):
        stored[3]


def test_file_has_no_name_and_goes_with_the_last_view(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    stored = disk.DiskArray((4, 2), np.uint8, tmp_path)
    stored[:] = np.ones((4, 2), np.uint8)
    part = stored.take([1])
    assert list(tmp_path.iterdir()) == [] and len(os.listdir("/proc/self/fd")) == before + 1
    del stored
    assert part[0].tolist() == [1, 1]
    del part
    assert len(os.listdir("/proc/self/fd")) == before


def test_disk_that_is_too_small_is_named_at_once(tmp_path):
    with pytest.raises(disk.NoRoom, match=r"no room for \d+ MiB of data in .* MiB are free\).*--output.*--no-cache"):
        disk.DiskArray((2**50, 3), np.uint8, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_disk_that_fills_up_later_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    stored = disk.DiskArray((4, 2), np.uint8, tmp_path)
    with pytest.raises(disk.NoRoom, match="No space left on device"):
        stored[:2] = np.ones((2, 2), np.uint8)


def test_a_full_disk_is_refused_with_both_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=2**20))
    with pytest.raises(disk.NoRoom, match=r"no room for 12 MiB of data in .* \(1 MiB are free\)"):
        disk.DiskArray((3, 2**20), np.float32, tmp_path)
