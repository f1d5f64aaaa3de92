"""Series of several channels: from CSV files and arrays, checked along time, and cut into windows."""

import datetime
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np

from zoo.data.columns import require_told_apart
from zoo.data.errors import DataError
from zoo.data.tables import MISSING, Table, looks_like_number, strays
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, PathLike

GAPS: tuple[Literal["refuse", "cut"], ...] = ("refuse", "cut")


class Series:
    """Values of several channels at even steps of time.

    Times must rise. A step between two times that differs from the median step by more than `tolerance` of it is a gap,
    and so is a row with a missing value. Gaps are refused with the place of the first one, or they cut the series into
    pieces: no window then reaches across a gap or holds a missing value.

    Args:
        values: float `[N,C]`, or `[N]` for one channel; NaN where missing. A DataFrame names the channels too.
        times: float `[N]`, in seconds or another unit, or datetime64 `[N]`; None for the index of a DataFrame, if it
            holds dates or numbers other than 0, 1, 2, …; otherwise for 0, 1, 2, ….
        names: strs, the channels' names; None for "0", "1", ….
        labels: `[N]`, 1 where a step is known to be anomalous and 0 elsewhere; or None.
        gaps: "refuse" or "cut".
        tolerance: float in [0, 1), the share of the median step by which a step may differ.

    Attributes:
        has_names: bool, whether the channels were given names.
        has_times: bool, whether there are times other than 0, 1, 2, ….

    Raises:
        ValueError: for arrays that do not fit, times that do not rise, and gaps that are refused.

    Example:
        >>> series = zoo.data.Series(np.sin(np.arange(100.0)), names=["sine"])
        >>> windows, starts = series.windows(length=32, stride=16)
        >>> windows.shape, starts.tolist()
        ((6, 32, 1), [0, 16, 32, 48, 64, 68])
    """

    def __init__(
        self,
        values: ArrayLike,
        times: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        labels: ArrayLike | None = None,
        gaps: Literal["refuse", "cut"] = "refuse",
        tolerance: float = 0.5,
    ) -> None:
        if names is None and hasattr(values, "columns") and list(values.columns) != [*range(len(values.columns))]:
            names = [str(name) for name in values.columns]
        if times is None:
            times = _index(values)
        array = _numbers("values", values)
        self.values = array[:, None] if array.ndim == 1 else array
        if self.values.ndim != 2 or not self.values.size:
            checks.fail("values", "an array [N,C] of one step or more", array.shape)
        length, channels = self.values.shape
        self.has_times = times is not None
        self.times = np.arange(length) if times is None else checks.numpy_array("times", times)
        if self.times.dtype.kind not in "fiuM":
            checks.fail("times", "numbers or datetime64", f"dtype {self.times.dtype}")
        if self.times.dtype.kind == "u" and self.times.size and self.times.max() > np.iinfo(np.int64).max:
            checks.fail("times", "numbers that int64 holds", self.times.max())
        if self.times.dtype.kind in "iu":  # differences of small or unsigned integers wrap
            self.times = self.times.astype(np.int64)
        if isinstance(names, str):
            checks.fail("names", "a list of strs, one for each channel", names)
        self.has_names = names is not None
        self.names = tuple(map(str, range(channels) if names is None else names))
        self.labels = None if labels is None else _numbers("labels", labels)
        self.gaps: Literal["refuse", "cut"] = checks.one_of("gaps", gaps, GAPS)
        self.tolerance = checks.number("tolerance", tolerance, 0.0, 1.0, open_high=True)
        if len(self.names) != channels:
            checks.fail("names", f"{channels} names, one for each channel", self.names)
        if len(set(self.names)) != channels:
            checks.fail("names", "different ones", self.names)
        for name, along in (("times", self.times), ("labels", self.labels)):
            if along is not None and along.shape != (length,):
                checks.fail(name, f"an array of shape [{length}]", along.shape)
        if self.labels is not None:
            other = self.labels[(self.labels != 0) & (self.labels != 1)]
            if len(other):
                checks.fail("labels", "0 or 1 for each step", f"{len(other)} other values, the first {other[0]:g}")
            self.labels = self.labels.astype(np.int32)
        self.segments = self._segments()

    @classmethod
    def from_csv(
        cls,
        path: PathLike,
        time: str | None = None,
        channels: Sequence[str] | None = None,
        label: str | None = None,
        gaps: Literal["refuse", "cut"] = "refuse",
        tolerance: float = 0.5,
        delimiter: str = ",",
    ) -> "Series":
        """Reads a CSV file with names in its first line.

        Args:
            path: path of the file, in UTF-8.
            time: str, the column of times: numbers, or dates such as 2026-11-26 14:00:00. None for rows at even steps.
            channels: strs, the columns to take; None for all others of numbers.
            label: str, the column that says where anomalies are, or None.
            gaps, tolerance: as in `Series`.
            delimiter: str of one character, or "tab".

        Raises:
            DataError: if the file cannot be read as a table, or as a series; the message names the row. Without
                `channels`, also for a column whose cells are mostly numbers, or numbers with a decimal comma.
            ValueError: for a name that is no column.

        Warns:
            UserWarning: of a channel that looks like times, where neither `time` nor `channels` are given.
        """
        table = Table.from_csv(path, MISSING, delimiter)
        for argument, name in (("time", time), ("label", label), *(("channels", each) for each in channels or ())):
            if name is not None and name not in table.columns:
                checks.fail(argument, f"one of the columns {list(table)}", name)
        if channels is None:
            own = (time, label)
            for name in table:
                if name not in own and table[name].dtype.kind == "U":
                    _require_no_numbers(name, table[name], path)
            channels = [name for name in table if name not in own and table[name].dtype.kind == "f"]
            for name in channels:
                steps = np.diff(table[name])
                if time is None and len(steps) > 1 and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3):
                    text = f"The column {name!r} of {path} rises by equal steps, as times do, and counts as a channel"
                    warnings.warn(f"{text}: give time={name!r}, or the channels", stacklevel=2)
        for name in (*channels, *([label] if label else [])):
            if table[name].dtype.kind != "f":
                raise DataError(f"Expected the column {name!r} of {path} to hold numbers. Received: texts")
        if not channels:
            raise DataError(f"Expected {path} to have a column of numbers. Received: {list(table)}")
        try:
            return cls(
                np.stack([table[name] for name in channels], axis=1),
                None if time is None else _times(table[time]),
                channels,
                None if label is None else table[label],
                gaps,
                tolerance,
            )
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error

    def __len__(self) -> int:
        return len(self.values)

    @property
    def step(self) -> float | None:
        """The median step between two times, in their unit, or seconds for dates; None without times."""
        if not self.has_times or len(self) < 2:
            return None
        steps = np.diff(self.times)
        return float(np.median(steps / np.timedelta64(1, "s") if steps.dtype.kind == "m" else steps))

    def _segments(self):
        """The pieces without gaps: slices."""
        steps = np.diff(self.times)
        nothing = np.zeros((), steps.dtype)
        unsorted = np.flatnonzero(~(steps > nothing))
        if len(unsorted):
            row = unsorted[0] + 1
            received = f"{self.times[row]} in row {row} after {self.times[row - 1]}, and {len(unsorted) - 1} more"
            raise ValueError(f"Expected `times` to rise from row to row, counted from 0. Received: {received}")
        usual = np.median(steps.astype(np.float64)) if len(steps) else 1.0
        uneven = np.asarray(np.abs(steps.astype(np.float64) - usual) > self.tolerance * usual)
        missing = np.asarray(np.isnan(self.values).any(axis=1))
        if self.gaps == "refuse" and missing.any():
            row = int(np.argmax(missing))
            name = self.names[int(np.argmax(np.isnan(self.values[row])))]
            received = f"none of {name!r} in row {row}, counted from 0, and {missing.sum() - 1} more rows"
            raise ValueError(f"Expected `values` to be complete, or gaps='cut'. Received: {received}")
        if self.gaps == "refuse" and uneven.any():
            row = int(np.argmax(uneven))
            received = f"{self.times[row]} and {self.times[row + 1]} in rows {row} and {row + 1}, counted from 0"
            raise ValueError(
                "Expected `times` at even steps, or gaps='cut', or a larger tolerance. "
                f"Received: {received}, and {uneven.sum() - 1} more uneven steps"
            )
        cuts = np.flatnonzero(uneven | missing[1:] | missing[:-1]) + 1
        edges = [0, *cuts.tolist(), len(self)]
        return [slice(a, b) for a, b in zip(edges, edges[1:]) if not missing[a]]

    def take(self, part: slice) -> "Series":
        """The steps of a slice without a stride; raises ValueError for one with a stride."""
        if part.step not in (None, 1):
            checks.fail("part", "a slice without a stride", part)
        labels = None if self.labels is None else self.labels[part]
        return self._like(self.values[part], self.times[part], labels, self.gaps)

    def normal(self) -> "Series":
        """The series cut where steps are labelled as anomalous, which are missing in it; itself if there are none."""
        if self.labels is None or not (self.labels > 0).any():
            return self
        return self._like(np.where(self.labels[:, None] > 0, np.nan, self.values), self.times, None, "cut")

    def _like(self, values, times, labels, gaps):
        found = Series(values, times, self.names if self.has_names else None, labels, gaps, self.tolerance)
        found.has_times = self.has_times
        return found

    def split(self, *shares: float) -> "tuple[Series, ...]":
        """Parts along time without overlap: `split(0.1, 0.2)` gives the first 70 %, the next 10 % and the last 20 %.

        Windows are cut from each part alone.
        """
        for share in shares:
            checks.number("shares", share, 0.0, 1.0, open_low=True, open_high=True)
        sizes = [round(share * len(self)) for share in shares]
        if sum(sizes) >= len(self) or 0 in sizes:
            checks.fail("shares", "parts that leave a step or more for each", shares)
        edges = np.cumsum([0, len(self) - sum(sizes), *sizes]).tolist()
        return tuple(self.take(slice(a, b)) for a, b in zip(edges, edges[1:]))

    @property
    def longest(self) -> int:
        """The steps of the longest piece without gaps."""
        return max((piece.stop - piece.start for piece in self.segments), default=0)

    def starts(self, length: int, stride: int = 1) -> np.ndarray:
        """The first rows of the windows, int64 `[W]`: every `stride` steps, and the last window of each piece.

        Raises:
            ValueError: if no piece is as long as a window.
        """
        checks.positive_int("length", length), checks.positive_int("stride", stride)
        found: list[int] = []
        for piece in self.segments:
            last = piece.stop - length
            if last >= piece.start:
                found += sorted({*range(piece.start, last + 1, stride), last})
        if not found:
            checks.fail("length", f"at most {self.longest}, the longest piece without gaps", length)
        return np.array(found)

    def windows(self, length: int, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Windows, float32 `[W,T,C]`, and their first rows, int64 `[W]`; arguments and errors as in `starts`."""
        starts = self.starts(length, stride)
        return self.values[starts[:, None] + np.arange(length)].astype(np.float32), starts

    def per_step(self, scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Mean over the windows that contain each step: float64 `[N]`, NaN for steps in no window.

        Args:
            scores: float `[W,T]`, of each step of each window.
            starts: int `[W]`, the windows' first rows.
        """
        places = starts[:, None] + np.arange(scores.shape[1])
        sums, counts = (
            np.bincount(places.ravel(), weights, len(self)) for weights in (scores.ravel().astype(np.float64), None)
        )
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the standard deviation of each channel, float64 `[C]` each; 1 for a constant channel.

        Raises:
            ValueError: for a channel that is missing throughout, or whose values float32 does not hold or tell apart.
        """
        for name, values in zip(self.names, self.values.T):
            known = values[~np.isnan(values)]
            if not known.size:
                checks.fail(name, "a channel with a known value", "none")
            require_told_apart(name, "channel", known)
        constant = np.nanmin(self.values, axis=0) == np.nanmax(self.values, axis=0)
        return np.nanmean(self.values, axis=0), np.where(constant, 1.0, np.nanstd(self.values, axis=0))


def _require_no_numbers(name, cells, path):
    """Raises DataError for a column of texts that is a channel with cells that are none."""
    with_points = [cell.replace(",", ".", 1) for cell in cells.tolist()]
    rows = [row for row, _ in strays(with_points)]
    if not rows and all(looks_like_number(cell) for cell in with_points if cell):  # decimal commas alone
        rows = [row for row, cell in enumerate(cells) if cell and not looks_like_number(cell)]
    if rows:
        row, cell = rows[0], str(cells[rows[0]])
        expected = f"the column {name!r} of {path} to hold numbers, or `channels` without it"
        raise DataError(f"Expected {expected}. Received: {cell!r} in row {row}, counted from 0")


def _numbers(name, values):
    try:
        array = np.asarray(values.astype(np.float64).filled(np.nan) if np.ma.is_masked(values) else values)
        if array.dtype.kind in "cmM":
            checks.fail(name, "an array of real numbers", f"dtype {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        checks.fail(name, "an array of numbers", str(error))
    infinite = np.argwhere(np.isinf(array))
    if len(infinite):
        received = f"{len(infinite)} infinite ones, the first in row {infinite[0][0]}, counted from 0"
        checks.fail(name, "finite numbers, NaN where missing", received)
    return array


def _index(values):
    """The index of a DataFrame as times: dates or numbers; None for texts, for 0, 1, 2, …, and of other arrays."""
    index = getattr(values, "index", None)
    if index is None or callable(index):  # lists have a method of this name
        return None
    if getattr(index, "nlevels", 1) > 1:
        checks.fail("values", "a frame of one series, with an index of one level", f"one of {index.nlevels} levels")
    if hasattr(index, "to_timestamp"):  # of periods
        index = index.to_timestamp()
    times = np.asarray(getattr(index, "values", index))  # of dates with a time zone: in UTC
    if times.dtype.kind == "m":
        return times / np.timedelta64(1, "s")
    if times.dtype.kind not in "fiuM" or np.array_equal(times, np.arange(len(times))):
        return None
    return times


def _is_packed_date(number):
    """Whether a number is a date such as 20261126."""
    year, month, day = int(number) // 10000, int(number) // 100 % 100, int(number) % 100
    return number == int(number) and 1900 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31


def _times(cells):
    """Numbers as they are, and dates as seconds since 1970 in datetime64 of microseconds."""
    if cells.dtype.kind == "f":
        missing = np.flatnonzero(np.isnan(cells))
        if len(missing):
            raise ValueError(f"Expected a time in every row. Received: none in row {missing[0]}, counted from 0")
        if all(_is_packed_date(cell) for cell in cells):
            expected = "dates to be written as 2026-11-26, as the numbers rise unevenly at the end of a month"
            raise ValueError(f"Expected {expected}. Received: {cells[0]:.0f}")
        return cells
    found = []
    for row, cell in enumerate(cells.tolist()):
        try:
            moment = datetime.datetime.fromisoformat(cell)
        except ValueError:
            expected = "times to be numbers, or dates such as 2026-11-26 14:00:00"
            raise ValueError(f"Expected {expected}. Received: {cell!r} in row {row}, counted from 0") from None
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
        found.append(moment)
    return np.array(found, "datetime64[us]")
